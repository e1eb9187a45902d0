//! Lines typed before, to be recalled with the arrow keys. Reads and writes no file.

use std::collections::VecDeque;

/// Lines that are kept.
pub const HISTORY_LINES_MAX: usize = 1000;

/// Lines typed before, and the one that is recalled now.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The oldest first; at most [`HISTORY_LINES_MAX`], none empty, none equal to the one before it.
    lines: VecDeque<String>,
    /// While a line is recalled: its index (`0..lines.len()`), and the text that was being typed.
    recalled: Option<(usize, String)>,
}

impl History {
    /// Reads the text of a history file: one entry a line.
    pub fn parse(text: &str) -> History {
        let mut history = History::default();
        text.lines().for_each(|line| history.push(line));
        history
    }

    /// The text of a history file with these lines.
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Adds a line; no line is recalled any more.
    pub fn push(&mut self, line: &str) {
        self.recalled = None;
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == HISTORY_LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_string());
    }

    /// Recalls the line before. `typed` is what [`History::newer`] returns at the end.
    pub fn older(&mut self, typed: &str) -> Option<&str> {
        let from = self.recalled.as_ref().map_or(self.lines.len(), |it| it.0);
        let at = from.checked_sub(1)?;
        let kept = self.recalled.take().map(|(_, typed)| typed);
        self.recalled = Some((at, kept.unwrap_or_else(|| typed.to_string())));
        Some(&self.lines[at])
    }

    /// Recalls the line after; after the last line, the text that was being typed.
    pub fn newer(&mut self) -> Option<String> {
        let (at, typed) = self.recalled.take()?;
        match self.lines.get(at + 1) {
            Some(line) => {
                self.recalled = Some((at + 1, typed));
                Some(line.clone())
            }
            None => Some(typed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recalling_back_and_forth_ends_at_the_typed_text() {
        let mut history = History::parse("one\n\ntwo\ntwo\nthree\n");
        assert_eq!(history.text(), "one\ntwo\nthree\n");
        assert_eq!(history.newer(), None);
        for line in ["three", "two", "one"] {
            assert_eq!(history.older("half"), Some(line));
        }
        assert_eq!(history.older("half"), None);
        for line in ["two", "three", "half"] {
            assert_eq!(history.newer().as_deref(), Some(line));
        }
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn the_oldest_lines_are_dropped() {
        let mut history = History::default();
        (0..HISTORY_LINES_MAX + 5).for_each(|n| history.push(&n.to_string()));
        assert!(history.text().starts_with("5\n6\n"));
    }
}
