//! Ticks, around changes of the clock most of all.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn ticks(spec: &str, zone: &str, from: &str, expected: &[&str]) {
    let ticks = Ticks::of(spec, Some(zone)).unwrap();
    let mut last = at(from);
    for expected in expected {
        last = ticks.after(last).unwrap();
        assert_eq!(last.to_string(), *expected);
        assert_eq!(ticks.until(last), Some(last), "a tick is its own last");
    }
}

// Berlin: from 02:00 to 03:00 (01:00 UTC) on 29 March 2026, from 03:00 back to 02:00 (01:00 UTC)
// on 25 October 2026.

#[test]
fn a_time_of_day_that_does_not_exist_comes_at_the_change() {
    ticks(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    );
}

#[test]
fn a_time_of_day_that_comes_twice_comes_once() {
    ticks(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    );
}

#[test]
fn what_ticks_all_the_time_goes_on_through_a_change() {
    ticks(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-10-25T00:10:00Z",
        &[
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
        ],
    );
    ticks(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:10:00Z",
        &[
            "2026-03-29T00:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:30:00Z",
        ],
    );
}

#[test]
fn an_even_schedule_ticks_at_multiples_of_its_length() {
    ticks(
        "@every 90s",
        "UTC",
        "2026-01-01T00:00:10Z",
        &["2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"],
    );
    ticks(
        "@every 1h 30m",
        "UTC",
        "1970-01-01T00:00:00Z",
        &["1970-01-01T01:30:00Z"],
    );
}

#[test]
fn the_last_tick_before_an_instant_is_found() {
    let ticks = Ticks::of("0 3 * * *", None).unwrap();
    let last = ticks.until(at("2026-05-05T02:59:59Z")).unwrap();
    assert_eq!(last.to_string(), "2026-05-04T03:00:00Z");
}

#[test]
fn a_wrong_schedule_says_what_is_wrong() {
    for (spec, zone, says) in [
        ("61 * * * *", None, "the minute `61`"),
        ("@every never", None, "`never` is no duration"),
        ("@every 10ms", None, "every second at the most"),
        ("@every -1h", None, "every second at the most"),
        (
            "* * * * *",
            Some("Mars/Base"),
            "`Mars/Base` is no time zone",
        ),
    ] {
        let error = Ticks::of(spec, zone).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn lists_of_times_of_day_come_each_once_through_a_change() {
    ticks(
        "0,30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        &[
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:00:00Z",
            "2026-03-30T00:30:00Z",
        ],
    );
    ticks(
        "30 2,14 * * *",
        "Europe/Berlin",
        "2026-03-28T14:00:00Z",
        &[
            "2026-03-29T01:00:00Z",
            "2026-03-29T12:30:00Z",
            "2026-03-30T00:30:00Z",
        ],
    );
    ticks(
        "0,30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        &[
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:00:00Z",
        ],
    );
}

#[test]
fn a_day_that_a_time_zone_leaves_out_is_no_end() {
    // Samoa had no 30 December 2011; Casey went forward by three hours.
    ticks(
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-29T20:00:00Z",
        &[
            "2011-12-29T22:00:00Z",
            "2011-12-30T10:00:00Z",
            "2011-12-30T22:00:00Z",
        ],
    );
    let casey = Ticks::of("0 3 * * *", Some("Antarctica/Casey")).unwrap();
    let mut tick = at("2009-01-01T00:00:00Z");
    for _ in 0..10_000 {
        tick = casey.after(tick).unwrap();
    }
    assert!(tick > at("2036-01-01T00:00:00Z"), "{tick}");
}

#[test]
fn years_end_a_schedule() {
    let ticks = Ticks::of("0 0 0 1 1 * 2026-2027", None).unwrap();
    let first = ticks.after(at("2025-05-05T00:00:00Z")).unwrap();
    assert_eq!(first, at("2026-01-01T00:00:00Z"));
    let last = ticks.after(first).unwrap();
    assert_eq!(ticks.after(last), None);
}

#[test]
fn nicknames_and_steps_from_a_number_are_read() {
    for (spec, first) in [
        ("@daily", "2026-05-06T00:00:00Z"),
        ("@hourly", "2026-05-05T11:00:00Z"),
        ("5/15 * * * *", "2026-05-05T10:35:00Z"),
    ] {
        let ticks = Ticks::of(spec, None).unwrap();
        assert_eq!(ticks.after(at("2026-05-05T10:20:00Z")), Some(at(first)));
    }
}

/// Every minute of three days, asked one by one.
fn by_hand(spec: &str, zone: &TimeZone, from: Timestamp) -> Vec<Timestamp> {
    let (Ticks::TimesOfDay { cron, .. } | Ticks::AllTheTime { cron, .. }) =
        Ticks::of(spec, None).unwrap()
    else {
        unreachable!("no even schedule is asked about")
    };
    const MINUTES: i64 = 3 * 24 * 60;
    let minute = |minute| from + SignedDuration::from_mins(minute);
    let mut found: Vec<_> = if cron.pattern.hours.from_wildcard {
        let all = (1..=MINUTES).map(minute);
        all.filter(|at| cron.is_time_matching(&zone.to_datetime(*at)).unwrap())
            .collect()
    } else {
        let first = zone.to_datetime(minute(-26 * 60));
        let times = (0..MINUTES + 52 * 60).map(|it| first + SignedDuration::from_mins(it));
        let times = times.filter(|time| cron.is_time_matching(time).unwrap());
        times.filter_map(|time| moment(zone, time)).collect()
    };
    found.retain(|at| *at > from && *at <= minute(MINUTES));
    found.sort();
    found.dedup();
    found
}

#[test]
fn ticks_are_those_of_every_minute_asked_one_by_one() {
    let specs = [
        "* * * * *",
        "*/7 * * * *",
        "30 * * * *",
        "0 */2 * * *",
        "30 2 * * *",
        "0,30 2 * * *",
        "*/20 1-3 * * *",
        "15 0,2,12,23 * * *",
        "59 23 * * *",
        "0 0 * * *",
    ];
    for (name, around) in [
        ("Europe/Berlin", "2026-03-28T12:00:00Z"),
        ("Europe/Berlin", "2026-10-24T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-03T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-02T12:00:00Z"),
        ("Pacific/Apia", "2011-12-29T00:00:00Z"),
        ("America/New_York", "2026-11-01T00:00:00Z"),
        ("UTC", "2026-05-05T00:00:00Z"),
    ] {
        let zone = TimeZone::get(name).unwrap();
        for spec in specs {
            let ticks = Ticks::of(spec, Some(name)).unwrap();
            let expected = by_hand(spec, &zone, at(around));
            let mut last = at(around);
            for expected in expected {
                let next = ticks.after(last).unwrap();
                assert_eq!(next, expected, "`{spec}` in {name} after {last}");
                assert_eq!(ticks.until(next), Some(next), "`{spec}` in {name}");
                let behind = next + SignedDuration::from_secs(59);
                assert_eq!(ticks.until(behind), Some(next), "`{spec}` in {name}");
                last = next;
            }
        }
    }
}
