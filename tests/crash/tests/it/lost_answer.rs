//! A start is on disk, but its answer never arrives: the same start again makes nothing new.

use crate::{journal::Journal, place::Place, shop::Shop, steps, victim::Victim};

#[test]
fn a_start_whose_answer_was_lost_starts_nothing_twice() {
    for (point, answer) in [
        ("journal::before_commit", "New"),
        ("journal::after_commit", "Existing"),
    ] {
        let place = Place::new();
        let mut first = Victim::ready(&place, &[format!("strike={point}#1#kill")]);
        first.tell("start everything e");
        first.wait();
        assert_eq!(first.lines(), ["ready"], "the answer was not lost");
        let journal = Journal::open(&place).unwrap();
        let there = usize::from(answer == "Existing");
        assert_eq!(
            journal.states().len(),
            there,
            "killed at {point}: what is on disk"
        );

        let mut second = Victim::ready(&place, &[]);
        second.tell("start everything e");
        let started = second.hear("started e");
        assert!(started.starts_with(answer), "killed at {point}: {started}");
        second.tell("follow everything e");
        second.hear("done e succeeded");
        // Itself and its child.
        assert_eq!(
            journal.states().len(),
            2,
            "killed at {point}: workflows were doubled"
        );
        let runs = steps::runs(&steps::read(&place));
        assert!(
            runs.values().all(|runs| *runs == 1),
            "killed at {point}: {runs:?}"
        );
        assert!(Shop::open(&place).doubled().is_empty());
        println!("lost answer: killed at {point} of a start, again: {answer}, one workflow");
    }
}

#[test]
fn the_same_id_with_another_input_is_refused_after_a_crash() {
    let place = Place::new();
    let mut first = Victim::ready(&place, &["strike=journal::after_commit#1#kill".into()]);
    first.tell("start chain s 3 1");
    first.wait();
    let mut second = Victim::ready(&place, &[]);
    second.tell("start chain s 4 1");
    let refused = second.hear("refused s");
    assert!(refused.contains("another input"), "{refused}");
    second.tell("follow chain s");
    second.hear("done s succeeded 3");
}
