//! The result as text: one row per measurement.

use std::fmt;

/// What was measured, in the order of measuring.
#[derive(Debug, Default)]
pub(crate) struct Table {
    notes: Vec<[String; 2]>,
    scores: Vec<[String; SCORE.len()]>,
    rows: Vec<[String; 4]>,
}

/// The columns of workflows that were run as fast as possible.
pub(crate) const SCORE: [&str; 9] = [
    "",
    "workflows/s",
    "steps/s",
    "workflow p50 µs",
    "p99",
    "step p50 µs",
    "p99",
    "CPU µs per step",
    "Stepwell beside it",
];

impl Table {
    /// What one should know about the numbers.
    pub(crate) fn note(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.notes.push([name.into(), text.into()]);
    }

    /// Workflows that were run as fast as possible.
    pub(crate) fn score(&mut self, score: [String; SCORE.len()]) {
        self.scores.push(score);
    }

    /// A measurement without a target.
    pub(crate) fn row(&mut self, name: impl Into<String>, ours: impl Into<String>) {
        self.rows
            .push([name.into(), ours.into(), String::new(), String::new()]);
    }

    /// A measurement with the bound that it must keep.
    pub(crate) fn ratio(&mut self, name: impl Into<String>, what: impl Into<String>, goal: Goal) {
        let verdict = goal.verdict();
        self.rows
            .push([name.into(), what.into(), goal.to_string(), verdict]);
    }
}

/// A target.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At least so much: what was reached, and the bound.
    AtLeast(f64, f64),
    /// At most so much: what was reached, and the bound.
    AtMost(f64, f64),
}

impl Goal {
    fn verdict(self) -> String {
        let (met, reached, bound) = match self {
            Self::AtLeast(reached, bound) => (reached >= bound, reached, bound),
            Self::AtMost(reached, bound) => (reached <= bound, reached, bound),
        };
        if met {
            "met".to_owned()
        } else {
            format!("missed by {:.2}×", (reached / bound).max(bound / reached))
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(_, bound) => write!(f, "≥ {bound}"),
            Self::AtMost(_, bound) => write!(f, "≤ {bound}"),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        aligned(f, &self.notes)?;
        writeln!(f)?;
        let mut scores = vec![SCORE.map(str::to_owned)];
        scores.extend(self.scores.iter().cloned());
        aligned(f, &scores)?;
        writeln!(f)?;
        aligned(f, &self.rows)
    }
}

fn aligned<const N: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; N]]) -> fmt::Result {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The middle of a few measurements, with the smallest and the largest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            median: at(values.len() / 2),
            least: at(0),
            most: at(values.len().saturating_sub(1)),
        }
    }

    /// The same in another unit.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            least: self.least * factor,
            most: self.most * factor,
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} ({:.0}–{:.0})", self.median, self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_says_by_how_much() {
        assert_eq!(Goal::AtLeast(0.25, 0.5).verdict(), "missed by 2.00×");
        assert_eq!(Goal::AtMost(2.6, 1.3).verdict(), "missed by 2.00×");
        assert_eq!(Goal::AtMost(1.3, 1.3).verdict(), "met");
    }
}
