//! JSON as a tree that can be compared: members in the order of their names, numbers as they are
//! written.
//!
//! `serde_json::Value` would not do: it takes 18446744073709551616 and 18446744073709551617 for one
//! number.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// How deep a text may nest. `serde_json` reads no deeper either.
const DEPTH_MAX: usize = 128;

/// What the order of a list's elements means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    /// Another order is another value.
    Ordered,
    /// Sets are lists in JSON, and have another order each time they are written.
    Sorted,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tree<'a> {
    /// A number as it is written, `true`, `false` or `null`.
    Token(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Tree<'a> {
    /// Reads JSON. None if it is none, or nests deeper than can be read.
    pub(super) fn of(json: &'a str, lists: Lists) -> Option<Self> {
        // The scanner below stands on this: it looks at no more than it needs to find its way.
        serde_json::from_str::<IgnoredAny>(json).ok()?;
        Scanner { json, at: 0, lists }.value(DEPTH_MAX)
    }

    /// Where two trees begin to differ: `items[2].price`, empty for the whole.
    pub(super) fn difference(&self, other: &Self) -> String {
        match (self, other) {
            (Self::List(mine), Self::List(theirs)) if mine.len() == theirs.len() => {
                let pairs = mine.iter().zip(theirs);
                let differs = pairs.enumerate().find(|(_, (one, other))| one != other);
                differs.map_or_else(String::new, |(index, (one, other))| {
                    format!("[{index}]{}", one.difference(other))
                })
            }
            (Self::Object(mine), Self::Object(theirs)) => {
                let pairs = mine.iter().zip(theirs);
                let differs = { pairs }.find(|(one, other)| one != other);
                differs.map_or_else(String::new, |((name, one), (other_name, other))| {
                    match name == other_name {
                        true => format!(".{name}{}", one.difference(other)),
                        // A member that only one of them has.
                        false => format!(".{}", name.min(other_name)),
                    }
                })
            }
            _ => String::new(),
        }
    }
}

/// Walks over text that is known to be JSON.
struct Scanner<'a> {
    json: &'a str,
    at: usize,
    lists: Lists,
}

impl<'a> Scanner<'a> {
    fn value(&mut self, depth: usize) -> Option<Tree<'a>> {
        let depth = depth.checked_sub(1)?;
        match self.next()? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => Some(Tree::Text(self.text()?)),
            _ => Some(Tree::Token(self.token())),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Tree<'a>> {
        let mut members = Vec::new();
        self.at += 1;
        while self.more(b'}')? {
            let name = self.text()?;
            self.next().filter(|byte| *byte == b':')?;
            self.at += 1;
            members.push((name, self.value(depth)?));
        }
        // Stable: of members with one name the last counts, and stays the last.
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        Some(Tree::Object(members))
    }

    fn list(&mut self, depth: usize) -> Option<Tree<'a>> {
        let mut elements = Vec::new();
        self.at += 1;
        while self.more(b']')? {
            elements.push(self.value(depth)?);
        }
        if self.lists == Lists::Sorted {
            elements.sort();
        }
        Some(Tree::List(elements))
    }

    /// Whether another part comes before the end, which is passed.
    fn more(&mut self, end: u8) -> Option<bool> {
        if self.next()? == b',' {
            self.at += 1;
        }
        let is_over = self.next()? == end;
        self.at += usize::from(is_over);
        Some(!is_over)
    }

    /// The next byte that is no blank; it is not passed.
    fn next(&mut self) -> Option<u8> {
        let rest = self.json.as_bytes().get(self.at..)?;
        let blanks = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        self.at += blanks;
        rest.get(blanks).copied()
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        self.next().filter(|byte| *byte == b'"')?;
        let bytes = self.json.as_bytes();
        let begin = self.at;
        self.at += 1;
        let mut is_plain = true;
        while *bytes.get(self.at)? != b'"' {
            if bytes.get(self.at) == Some(&b'\\') {
                is_plain = false;
                self.at += 1;
            }
            self.at += 1;
        }
        self.at += 1;
        let quoted = self.json.get(begin..self.at)?;
        if is_plain {
            return quoted.get(1..quoted.len() - 1).map(Cow::Borrowed);
        }
        // Half a pair of surrogates is no text that Rust could hold: it is compared as it is written.
        Some(serde_json::from_str(quoted).map_or(Cow::Borrowed(quoted), Cow::Owned))
    }

    fn token(&mut self) -> &'a str {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let is_end = |c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace();
        let token = rest.split(is_end).next().unwrap_or_default();
        self.at += token.len();
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(one: &str, other: &str) -> bool {
        let tree = |json| Tree::of(json, Lists::Ordered).expect("JSON");
        tree(one) == tree(other)
    }

    #[test]
    fn blanks_and_the_order_of_members_and_escapes_do_not_count() {
        assert!(same(
            r#" { "b" : [ 1 , "\u0041\"" ] , "a" : { } } "#,
            r#"{"a":{},"b":[1,"A\""]}"#
        ));
        assert!(same("[]", " [ ] "));
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":null}"#));
    }

    #[test]
    fn numbers_are_compared_as_they_are_written() {
        assert!(!same("18446744073709551616", "18446744073709551617"));
        assert!(!same("0.1", "0.10000000000000001"));
        assert!(same("[-0.0,1e30]", "[ -0.0 , 1e30 ]"));
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_no_tree() {
        for json in ["", "{", "[1,]", "nul", "1 2", "\"a"] {
            assert_eq!(Tree::of(json, Lists::Ordered), None, "{json}");
        }
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Tree::of(&deep(DEPTH_MAX), Lists::Ordered).is_some());
        assert_eq!(Tree::of(&deep(100_000), Lists::Ordered), None);
    }

    #[test]
    fn a_difference_is_named_by_its_path() {
        let tree = |json| Tree::of(json, Lists::Ordered).expect("JSON");
        let difference = |one, other| tree(one).difference(&tree(other));
        assert_eq!(difference("1", "2"), "");
        assert_eq!(
            difference(
                r#"{"a":0,"items":[{"p":1}]}"#,
                r#"{"a":0,"items":[{"p":2}]}"#
            ),
            ".items[0].p"
        );
        assert_eq!(difference(r#"{"a":0}"#, r#"{"b":0}"#), ".a");
    }
}
