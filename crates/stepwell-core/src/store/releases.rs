//! Whose declaration counts, where two releases of the code declare one schedule or one queue.

use std::time::Duration;

/// How long a release counts as there after its last executor has ended: a deploy that restarts a
/// newer process must not give an older one the word in between.
pub const RELEASE_KEPT: Duration = Duration::from_secs(10 * 60);

/// How long what an executor declares stands after it was lost: it may be the same process that goes on
/// under a new incarnation. One that retired has said that it is gone.
pub const DECLARATIONS_KEPT: Duration = Duration::from_secs(60);

/// A release of the code, as a declaration sees it.
///
/// Releases are numbered in the order in which an executor of each first came to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its number; 0 for what no release has declared.
    pub number: i64,
    /// Whether an executor of it lives, or has ended less than [`RELEASE_KEPT`] ago.
    pub is_there: bool,
}

/// How an executor comes to declare something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declaring {
    /// It has launched, or uses a queue for the first time: within one release the last one counts.
    Anew,
    /// It has found something else than it declares. Within one release what stands stays: two
    /// programs that give themselves one version would take turns for ever.
    Again,
}

impl Standing {
    /// Whether what this release declares takes the place of what another one has declared: the newer
    /// counts, and an older one when the newer is gone for good, as after a roll-back.
    #[must_use]
    pub fn counts_before(self, declared: Self, declaring: Declaring) -> bool {
        let is_newer = match declaring {
            Declaring::Anew => self.number >= declared.number,
            Declaring::Again => self.number > declared.number,
        };
        is_newer || !declared.is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn release(number: i64, is_there: bool) -> Standing {
        Standing { number, is_there }
    }

    #[test]
    fn the_newer_release_counts_and_an_older_one_when_the_newer_is_gone() {
        let (old, new) = (release(1, true), release(2, true));
        for declaring in [Declaring::Anew, Declaring::Again] {
            assert!(new.counts_before(old, declaring));
            assert!(!old.counts_before(new, declaring));
            assert!(
                old.counts_before(release(2, false), declaring),
                "a roll-back"
            );
            assert!(old.counts_before(release(0, false), declaring), "nobody's");
        }
    }

    #[test]
    fn within_a_release_the_last_launch_counts_and_nothing_else() {
        let it = release(1, true);
        assert!(it.counts_before(it, Declaring::Anew));
        assert!(!it.counts_before(it, Declaring::Again));
    }
}
