//! Where an operation stands in its workflow: a path of numbers, `4`, `4.0`, `4.0.2`.
//!
//! The numbers of a path take turns: the first counts operations that come one after the other, the
//! second members that run side by side (of a join or a race), the third operations of one member, and
//! so on. So a number never depends on timing, and two positions say whether one comes after the other.

use std::{fmt, iter, sync::Arc};

/// A path of numbers that names one operation of a workflow. Cheap to clone: each operation in progress
/// says where, and a step that is quick should not pay for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(Arc<[u32]>);

impl Position {
    /// The `number`-th operation of the workflow's body.
    #[must_use]
    pub fn top(number: u32) -> Self {
        Self(Arc::new([number]))
    }

    /// The `number`-th position below this one.
    #[must_use]
    pub fn child(&self, number: u32) -> Self {
        Self(self.0.iter().copied().chain(iter::once(number)).collect())
    }

    /// The number in the workflow's body that this position is at or below.
    #[must_use]
    pub fn top_number(&self) -> u32 {
        self.0.first().copied().unwrap_or(0)
    }

    /// The positions that this one lies below, the outermost first.
    pub(crate) fn enclosing(&self) -> impl Iterator<Item = Self> + '_ {
        (1..self.0.len()).map(|length| Self(self.0[..length].into()))
    }

    /// For each level that counts what comes one after the other: the position behind this one there,
    /// and what all that comes later on that level lies within; none for the workflow's body.
    pub(crate) fn successors(&self) -> impl Iterator<Item = (Self, Option<Self>)> + '_ {
        (0..self.0.len()).step_by(2).map(|level| {
            let mut next = self.0[..=level].to_vec();
            next[level] = next[level].saturating_add(1);
            let within = (level > 0).then(|| Self(self.0[..level].into()));
            (Self(next.into()), within)
        })
    }

    /// Whether this position is `other` or lies below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The number that follows `ancestor` on this path, if it lies below it.
    #[must_use]
    pub fn member_of(&self, ancestor: &Self) -> Option<u32> {
        self.is_within(ancestor)
            .then(|| self.0.get(ancestor.0.len()).copied())
            .flatten()
    }

    /// The position below which members number that run side by side.
    #[must_use]
    pub(crate) fn of_members(&self) -> Self {
        match self.0.len() % 2 {
            1 => self.clone(),
            _ => self.child(0),
        }
    }

    /// The position below which operations number that come one after the other.
    #[must_use]
    pub(crate) fn of_sequence(&self) -> Self {
        match self.0.len() % 2 {
            1 => self.child(0),
            _ => self.clone(),
        }
    }

    /// Whether what stands here came after what stands at `other`, and not beside it or before it.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(other.0.iter()).enumerate();
        match pairs.find(|(_, (mine, others))| mine != others) {
            Some((level, (mine, others))) => level % 2 == 0 && mine > others,
            // The record of what encloses an operation is made when that has ended.
            None => self.0.len() < other.0.len(),
        }
    }

    /// The form that a store keeps: its bytes sort as the positions do, and a person can read it.
    ///
    /// A number of one digit stands as it is; a longer one is led by a letter for its length, `a`
    /// for two digits, `b` for three: `4.0`, `a12`, `b100.3`. `.` sorts before every digit and every
    /// digit before every letter, so plain byte order is path order.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(self.0.len() * 3);
        for (i, number) in self.0.iter().enumerate() {
            if i > 0 {
                text.push('.');
            }
            let digits = number.to_string();
            if let Some(letter) = length_letter(digits.len()) {
                text.push(letter);
            }
            text.push_str(&digits);
        }
        text
    }

    /// Reads the stored form; also the shown form, in which numbers have no letter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |part: &str| {
            part.trim_start_matches(|c: char| c.is_ascii_lowercase())
                .parse()
                .ok()
        };
        text.split('.')
            .map(number)
            .collect::<Option<Arc<[u32]>>>()
            .map(Self)
    }
}

/// The letter that leads a number of `digits` digits; none for one digit.
fn length_letter(digits: usize) -> Option<char> {
    match digits {
        0 | 1 => None,
        more => Some(char::from(
            b'a' + u8::try_from(more - 2).unwrap_or(u8::MAX - b'a'),
        )),
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, number) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            number.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_stored_form_is_readable() {
        assert_eq!(Position::top(4).child(0).child(12).encode(), "4.0.a12");
        assert_eq!(Position::top(4).child(0).child(12).to_string(), "4.0.12");
        assert_eq!(Position::parse("b100.3"), Some(Position::top(100).child(3)));
        assert_eq!(Position::parse("4..1"), None);
        assert_eq!(Position::parse("x"), None);
    }

    #[test]
    fn a_member_is_named_by_its_number_below() {
        let race = Position::top(3);
        assert_eq!(race.child(1).child(7).member_of(&race), Some(1));
        assert_eq!(race.member_of(&race), None);
        assert_eq!(Position::top(30).member_of(&race), None);
    }

    #[test]
    fn only_what_comes_one_after_the_other_is_after() {
        let at = |text: &str| Position::parse(text).expect("a position");
        for (later, earlier) in [
            ("5", "4"),
            ("5", "4.1.2"),
            ("4.1.3", "4.1.2"),
            ("4", "4.1.2"),
        ] {
            assert!(at(later).is_after(&at(earlier)), "{later} {earlier}");
            assert!(!at(earlier).is_after(&at(later)), "{earlier} {later}");
        }
        for (one, other) in [("4.0", "4.1"), ("4.0.7", "4.1.2"), ("4.1", "4.1")] {
            assert!(!at(one).is_after(&at(other)), "{one} {other}");
            assert!(!at(other).is_after(&at(one)), "{other} {one}");
        }
    }

    #[test]
    fn members_and_sequences_take_turns() {
        let (operation, member) = (Position::top(4), Position::top(4).child(1));
        assert_eq!(operation.of_members(), operation);
        assert_eq!(operation.of_sequence(), operation.child(0));
        assert_eq!(member.of_members(), member.child(0));
        assert_eq!(member.of_sequence(), member);
    }

    proptest! {
        #[test]
        fn byte_order_is_path_order(
            a in prop::collection::vec(0u32..2_000_000, 1..4),
            b in prop::collection::vec(0u32..2_000_000, 1..4),
        ) {
            let (a, b) = (Position(a.into()), Position(b.into()));
            prop_assert_eq!(a.encode().as_bytes().cmp(b.encode().as_bytes()), a.cmp(&b));
            prop_assert_eq!(Position::parse(&a.encode()), Some(a));
        }
    }
}
