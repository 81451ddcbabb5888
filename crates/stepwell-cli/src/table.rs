//! Tables and pages for people. Pure: what is drawn depends on what is passed in alone.

use comfy_table::{Color, ColumnConstraint, ContentArrangement, Table, presets};
use jiff::{Timestamp, Unit};
use stepwell_core::State;

use crate::terminal::clean;

/// How the place looks where a table is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// How wide it is; not bounded if it is no terminal, so that no value is cut.
    pub(crate) width: Option<u16>,
    pub(crate) coloured: bool,
}

/// What a word means, for those who see colours. The word says it to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Busy,
    Faint,
}

/// A text in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text, without what would steer a terminal.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: clean(text.as_ref()).into_owned(),
            tone: Tone::Plain,
        }
    }

    /// A text that may not be there.
    pub(crate) fn maybe(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(|| Self::new(""), Self::new)
    }

    /// An instant, to the second.
    pub(crate) fn at(instant: Option<Timestamp>) -> Self {
        let seconds = instant.map(|at| at.round(Unit::Second).unwrap_or(at).to_string());
        Self::maybe(seconds)
    }

    /// A number.
    pub(crate) fn number(number: impl std::fmt::Display) -> Self {
        Self::new(number.to_string())
    }

    /// A state, as a word.
    pub(crate) fn state(state: State) -> Self {
        let tone = match state {
            State::Succeeded => Tone::Good,
            State::Failed | State::Stuck | State::Dead | State::Unknown => Tone::Bad,
            State::Running => Tone::Busy,
            State::Delayed | State::Enqueued | State::Parked | State::Cancelled => Tone::Faint,
        };
        Self::new(state.as_str()).toned(tone)
    }

    pub(crate) fn toned(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Cuts a long text off.
    pub(crate) fn short(mut self, characters_max: usize) -> Self {
        if let Some((end, _)) = self.text.char_indices().nth(characters_max) {
            self.text.truncate(end);
            self.text.push('…');
        }
        self
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn drawn(self) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(self.text);
        match self.tone {
            Tone::Plain => cell,
            Tone::Good => cell.fg(Color::Green),
            Tone::Bad => cell.fg(Color::Red),
            Tone::Busy => cell.fg(Color::Blue),
            Tone::Faint => cell.fg(Color::DarkGrey),
        }
    }
}

/// Draws things below each other.
pub(crate) fn draw_table(
    columns: &[&str],
    rows: impl Iterator<Item = Vec<Cell>>,
    look: Look,
) -> String {
    let mut table = empty(look);
    table.set_header(columns.iter().copied());
    table.add_rows(rows.map(|cells| cells.into_iter().map(Cell::drawn)));
    drawn(table)
}

/// Draws one thing, a line for each field that is not empty.
pub(crate) fn draw_fields(fields: Vec<(&'static str, Cell)>, look: Look) -> String {
    let mut table = empty(look);
    for (name, cell) in fields {
        if !cell.is_empty() {
            table.add_row([comfy_table::Cell::new(name), cell.drawn()]);
        }
    }
    drawn(table)
}

fn empty(look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.force_no_tty();
    if look.coloured {
        table.enforce_styling();
    }
    if let Some(width) = look.width {
        table.set_width(width);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn drawn(mut table: Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    // An id that is broken across lines cannot be copied.
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> impl Iterator<Item = Vec<Cell>> {
        let wide = Cell::new("one two three four five six seven");
        [
            vec![Cell::new("order-1"), Cell::state(State::Succeeded), wide],
            vec![Cell::new("o-2"), Cell::state(State::Failed), Cell::new("")],
        ]
        .into_iter()
    }

    fn look(width: Option<u16>, coloured: bool) -> Look {
        Look { width, coloured }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let drawn = draw_table(&["ID", "STATE", "WHY"], rows(), look(None, false));
        let expected = "\
ID       STATE      WHY
order-1  succeeded  one two three four five six seven
o-2      failed
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_table_fits_its_terminal() {
        let drawn = draw_table(&["ID", "STATE", "WHY"], rows(), look(Some(40), false));
        assert!(drawn.lines().count() > 3, "{drawn}");
        assert!(
            drawn.lines().all(|line| line.chars().count() <= 40),
            "{drawn}"
        );
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        let of = |coloured| draw_table(&["ID", "STATE", "WHY"], rows(), look(None, coloured));
        assert!(of(true).contains("\x1b["), "{:?}", of(true));
        assert!(!of(false).contains('\x1b'));
    }

    #[test]
    fn what_was_stored_does_not_steer_the_terminal() {
        let cell = Cell::new("a\x1b[31mb\nc\0");
        assert_eq!(cell.text, "a [31mb c ");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(Cell::new("größer").short(3).text, "grö…");
        assert_eq!(Cell::new("größer").short(6).text, "größer");
    }

    #[test]
    fn empty_fields_are_left_out() {
        let fields = vec![
            ("ID", Cell::new("o-1")),
            ("WHY", Cell::new("")),
            ("Q", Cell::new("m")),
        ];
        assert_eq!(draw_fields(fields, look(None, false)), "ID  o-1\nQ   m\n");
    }
}
