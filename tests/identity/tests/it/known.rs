//! What a store should hold: whose work each id is.

use std::collections::{HashMap, HashSet};

/// A piece of work: who asked for it, under which name and with which input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Work {
    /// The maker, and what it calls the work: of a child its parent and that one's life.
    pub(crate) by: String,
    /// The workflow's name and input.
    pub(crate) what: String,
}

/// Who chooses an id freely.
pub(crate) const APPLICATION: &str = "the application";

impl Work {
    /// Whether what is there is this work. A fork has an id that somebody chose, and is found by the
    /// application under it like any other work of that name and input.
    fn is(&self, there: &Self) -> bool {
        let chosen = self.by == APPLICATION && there.by.starts_with("fork of ");
        self.what == there.what && (self.by == there.by || chosen)
    }
}

/// One that lives.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) work: Work,
    /// The first one of its id, or a later one.
    pub(crate) number: i64,
}

/// What an answer said of the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    New,
    Existing,
    Conflict,
}

#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) alive: HashMap<String, Life>,
    /// Those whose children are known.
    pub(crate) parents: HashSet<String>,
    /// How many there have been of each id.
    pub(crate) lives: HashMap<String, i64>,
    /// How a run is repeated.
    pub(crate) said: String,
}

impl Known {
    /// Notes what was answered, and fails if it cannot be.
    pub(crate) fn heard(&mut self, id: &str, work: Work, said: Said) {
        let there = self.alive.get(id).map(|life| life.work.clone());
        let right = match (&there, said) {
            (None, Said::New) => true,
            (Some(there), Said::Existing) => work.is(there),
            (Some(there), Said::Conflict) => !work.is(there),
            _ => false,
        };
        let run = &self.said;
        assert!(
            right,
            "{run}: `{id}` for {work:?} was {said:?}, there is {there:?}"
        );
        if said == Said::New {
            let number = self.lives.entry(id.to_owned()).or_default();
            *number += 1;
            let number = *number;
            self.alive.insert(id.to_owned(), Life { work, number });
        }
    }

    /// Whether the id lives, by any work.
    pub(crate) fn lives(&self, id: &str) -> bool {
        self.alive.contains_key(id)
    }

    /// The piece of work that a life of an id is, for what is made of it.
    pub(crate) fn life_of(&self, id: &str) -> String {
        format!("{id}#{}", self.alive[id].number)
    }

    /// How often each id was entered into the books.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, i64)> {
        self.lives.iter().map(|(id, lives)| (id, *lives))
    }
}
