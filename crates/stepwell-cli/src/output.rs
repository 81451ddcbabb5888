//! What was found, on standard output, in the form that was asked for.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use serde::Serialize;

use crate::{
    exit::{Exit, Problem},
    table::{Cell, Look, draw_fields, draw_table},
    terminal::{clean, escaped},
};

/// Below this a table is not made to fit: a letter on each line helps nobody.
const WIDTH_MIN: u16 = 40;

/// How to print what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// A table for people
    #[default]
    Table,
    /// One JSON document; its form stays
    Json,
    /// A JSON document on each line
    Jsonl,
    /// The id or name of each thing on a line
    Ids,
}

/// A thing that commands show. Its JSON is its `Serialize`, which stays as it is: fields are added,
/// never renamed or taken away.
pub(crate) trait Shown: Serialize {
    /// The heads of the columns of a table.
    const COLUMNS: &'static [&'static str];

    /// Its id or name.
    fn id(&self) -> &str;

    /// Its line in a table: a cell for each column.
    fn cells(&self) -> Vec<Cell>;

    /// Everything about it, for a page of its own.
    fn fields(&self) -> Vec<(&'static str, Cell)> {
        Self::COLUMNS.iter().copied().zip(self.cells()).collect()
    }
}

/// Prints to standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints things below each other: a JSON array, whatever their number.
    pub(crate) fn list<T: Shown>(self, things: &[T]) -> Result<Exit, Problem> {
        print(&match self.format {
            Format::Table => {
                let rows = things.iter().map(Shown::cells);
                draw_table(T::COLUMNS, rows, look())
            }
            Format::Json => pretty(&things)?,
            Format::Jsonl => lines(things.iter().map(compact), "")?,
            Format::Ids => ids(things)?,
        })
    }

    /// Prints one thing with all that is known of it: a JSON object.
    pub(crate) fn one<T: Shown>(self, thing: &T) -> Result<Exit, Problem> {
        self.pages(std::slice::from_ref(thing), pretty(thing))
    }

    /// Prints one thing; for people and scripts alike only a line of it, unless JSON is asked for.
    pub(crate) fn line<T: Shown>(self, line: &str, thing: &T) -> Result<Exit, Problem> {
        match self.format {
            Format::Table | Format::Ids => print(&format!("{line}\n")),
            Format::Json | Format::Jsonl => self.one(thing),
        }
    }

    /// Prints several things, each with all that is known of it: a JSON array.
    pub(crate) fn each<T: Shown>(self, things: &[T]) -> Result<Exit, Problem> {
        self.pages(things, pretty(&things))
    }

    fn pages<T: Shown>(self, things: &[T], json: Result<String, Problem>) -> Result<Exit, Problem> {
        print(&match self.format {
            Format::Table => {
                let pages = things
                    .iter()
                    .map(|thing| Ok(draw_fields(thing.fields(), look())));
                lines(pages, "\n")?
            }
            Format::Json => json?,
            Format::Jsonl => lines(things.iter().map(compact), "")?,
            Format::Ids => ids(things)?,
        })
    }
}

/// The ids as they are, for another program; cleaned where a person reads them.
fn ids<T: Shown>(things: &[T]) -> Result<String, Problem> {
    let is_read = io::stdout().is_terminal();
    let shown = |thing: &T| match is_read {
        true => clean(thing.id()).into_owned(),
        false => thing.id().to_owned(),
    };
    lines(things.iter().map(|thing| Ok(shown(thing))), "")
}

fn compact<T: Serialize>(thing: &T) -> Result<String, Problem> {
    let text = serde_json::to_string(thing).map_err(io::Error::from)?;
    Ok(escaped(text))
}

fn pretty<T: Serialize>(thing: &T) -> Result<String, Problem> {
    let text = serde_json::to_string_pretty(thing).map_err(io::Error::from)?;
    Ok(escaped(text) + "\n")
}

/// Ends every text with a line break, and puts something between each two. Blanks at its end stay: they
/// may be an id's.
fn lines(
    texts: impl Iterator<Item = Result<String, Problem>>,
    between: &str,
) -> Result<String, Problem> {
    let mut all = String::new();
    for text in texts {
        if !all.is_empty() {
            all.push_str(between);
        }
        all.push_str(text?.trim_end_matches('\n'));
        all.push('\n');
    }
    Ok(all)
}

/// How wide the terminal is, and whether it wants colour (`NO_COLOR`, `TERM=dumb`).
fn look() -> Look {
    let stdout = io::stdout();
    let coloured = AutoStream::choice(&stdout) != ColorChoice::Never;
    let width = stdout.is_terminal().then(terminal_width).flatten();
    Look { width, coloured }
}

fn terminal_width() -> Option<u16> {
    // A terminal that was never told its size says 0.
    let width = comfy_table::Table::new().width();
    width.filter(|width| *width >= WIDTH_MIN)
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<Exit, Problem> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        // Whoever reads has seen enough: `stepwell workflow list | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        written => Ok(written.map(|()| Exit::Ok)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_the_blanks_of_its_id() {
        let texts = ["order-1 ", "order-2\u{a0}", "a page\n"];
        let all = lines(texts.into_iter().map(|text| Ok(text.to_owned())), "");
        assert_eq!(
            all.ok().as_deref(),
            Some("order-1 \norder-2\u{a0}\na page\n")
        );
    }
}
