//! What a terminal shows at one moment, read as a person reads it: lines, and below them the typed line.

use std::fmt;

use crate::model::{Model, Row};

/// The start of the typed line.
pub(crate) const PROMPT: &str = "> ";

/// What is wrong above the typed line.
#[derive(Debug)]
pub(crate) enum Fault {
    /// This line is missing, or out of order.
    Missing(String),
    /// Every line is there, and so is this: a part of the typed line that was not erased.
    Leftover(String),
}

/// A terminal's rows, scrollback included, and its cursor.
pub(crate) struct Picture {
    rows: Vec<Row>,
    /// The cursor's row in `rows` and its column.
    cursor: (usize, usize),
    /// The typed line's first row, `0..=rows.len()`; `rows.len()` if there is no typed line.
    start: usize,
}

impl Picture {
    pub(crate) fn of(model: &mut dyn Model) -> Picture {
        let rows = model.rows();
        let cursor = model.cursor();
        let start = rows.iter().rposition(|row| row.text.starts_with(PROMPT));
        Picture {
            cursor,
            start: start.unwrap_or(rows.len()),
            rows,
        }
    }

    /// All text above the typed line, without blanks: not every terminal tells a line that it wrapped before a wide
    /// character from two lines.
    pub(crate) fn text_above(&self) -> String {
        let rows = self.rows[..self.start].iter();
        rows.map(|row| without_blanks(&row.text)).collect()
    }

    /// The lines above the typed one, joined where the terminal wrapped them, without empty lines.
    pub(crate) fn above(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for row in &self.rows[..self.start] {
            line.push_str(&row.text);
            if !row.wrapped {
                lines.push(line.trim_end().to_owned());
                line.clear();
            }
        }
        lines.push(line.trim_end().to_owned());
        lines.retain(|line| !line.is_empty());
        lines
    }

    /// The typed text before the cursor and after it, without blanks: those at a row's end cannot be told from empty cells.
    pub(crate) fn typed(&self) -> Option<(String, String)> {
        let mut before = String::new();
        for row in self.rows.get(self.start..self.cursor.0)? {
            before.push_str(&row.text);
        }
        let row = self.rows.get(self.cursor.0)?;
        let in_row = row.before(self.cursor.1);
        before.push_str(in_row);
        let mut after = row.text[in_row.len()..].to_owned();
        for row in &self.rows[self.cursor.0 + 1..] {
            after.push_str(&row.text);
        }
        let before = before.strip_prefix(PROMPT)?;
        Some((without_blanks(before), without_blanks(&after)))
    }

    /// Checks that these lines are above the typed one, in order, with no part of the typed line between them. Where the
    /// terminal may have truncated the lines, only the `first` characters of each are checked.
    pub(crate) fn check_lines(&self, lines: &[String], first: Option<usize>) -> Result<(), Fault> {
        let above = self.text_above();
        let mut rest = above.as_str();
        let mut between = String::new();
        for line in lines {
            let line = start_without_blanks(line, first);
            let Some(at) = rest.find(&line) else {
                return Err(Fault::Missing(line));
            };
            between.push_str(&rest[..at]);
            rest = &rest[at + line.len()..];
        }
        between.push_str(rest);
        let has_leftover = match first {
            None => !between.is_empty(),
            Some(_) => between.contains(PROMPT.trim_end()),
        };
        if has_leftover {
            return Err(Fault::Leftover(between));
        }
        Ok(())
    }
}

/// The text without blanks.
pub(crate) fn without_blanks(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The first characters of the text without blanks; `None`: all of them.
pub(crate) fn start_without_blanks(text: &str, first: Option<usize>) -> String {
    let text = without_blanks(text);
    text.chars().take(first.unwrap_or(usize::MAX)).collect()
}

/// The last rows, with `▌` for the cursor and `\` where the terminal wrapped a line.
impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.rows.len().saturating_sub(24);
        for (number, row) in self.rows.iter().enumerate().skip(from) {
            let end = if row.wrapped { "\\" } else { "" };
            if number == self.cursor.0 {
                let before = row.before(self.cursor.1);
                let after = row.text[before.len()..].trim_end();
                writeln!(f, "  {before}\u{258c}{after}{end}")?;
            } else {
                writeln!(f, "  {}{end}", row.text.trim_end())?;
            }
        }
        Ok(())
    }
}
