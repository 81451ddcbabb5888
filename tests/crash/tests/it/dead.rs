//! A workflow that kills every process that runs it.

use crate::{journal::Journal, place::Place, shop::Shop, steps, victim::Victim, wait::until};

const RECOVERIES_MAX: usize = 3;

#[test]
fn a_workflow_that_kills_its_process_is_dead_until_it_is_resumed() {
    let place = Place::new();
    let settings = [
        format!("recoveries_max={RECOVERIES_MAX}"),
        "alerts=true".to_owned(),
    ];
    let mut first = Victim::ready(&place, &settings);
    first.tell("start poisoned p");
    first.wait();
    let mut killed = 1;
    let mut survivor = loop {
        let mut next = Victim::spawn(&place, &settings);
        if survives(&place, &mut next) {
            break next;
        }
        killed += 1;
        assert!(killed <= 2 * RECOVERIES_MAX, "it is run again and again");
    };
    let runs = steps::runs(&steps::read(&place));
    assert_eq!(runs["p:0"], 1, "a recorded step ran again");
    assert_eq!(runs["p:1"], killed, "each kill was a run of the step");
    let journal = Journal::open(&place).unwrap();
    let reason = journal.text("select reason from workflows where workflow_id = 'p'");
    assert!(
        reason.contains("without a new record") && reason.contains("resume"),
        "the reason says nothing to act on: {reason}"
    );
    survivor.tell("follow poisoned p");
    assert!(
        survivor
            .hear("done p dead")
            .contains("without a new record")
    );

    let told = until("the alert about it", || alerts(&journal).pop());
    assert!(told.contains("poisoned `p` is dead: "), "{told}");
    survivor.terminate();
    survivor.wait();
    let mut survivor = Victim::ready(&place, &settings);
    place.open_gate();
    survivor.tell("resume p");
    survivor.hear("resumed p");
    survivor.tell("follow poisoned p");
    survivor.hear("done p succeeded");
    assert!(Shop::open(&place).doubled().is_empty());
    assert_eq!(alerts(&journal).len(), 1, "somebody was alerted twice");
    println!(
        "dead: {killed} processes killed, dead after {RECOVERIES_MAX} recoveries without a record, \
         resumed and succeeded; reason: {reason}"
    );
}

/// What the alerts that have ended say.
fn alerts(journal: &Journal) -> Vec<String> {
    let sql = "
        select coalesce(group_concat(payload, char(10)), '')
        from records
        join workflows using (workflow_key)
        where workflows.name = 'told' and kind = 'result'";
    journal.text(sql).lines().map(str::to_owned).collect()
}

/// Whether a process outlives its first claim.
fn survives(place: &Place, victim: &mut Victim) -> bool {
    if victim.listen_for("ready").is_err() {
        victim.wait();
        return false;
    }
    let journal = Journal::open(place).unwrap();
    until("a kill or a dead workflow", || {
        if journal.count("dead") == 1 {
            return Some(true);
        }
        victim.has_ended().then_some(false)
    })
}
