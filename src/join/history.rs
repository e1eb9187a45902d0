//! What was typed before: walking through it, its lines in a file's form. Files are somebody else's.

use std::collections::VecDeque;

/// So many lines are kept.
pub const HISTORY_LINES_MAX: usize = 1000;

/// Lines typed before, and where one is among them.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The oldest first; at most [`HISTORY_LINES_MAX`], none empty, none like the one before it.
    lines: VecDeque<String>,
    /// While one walks: the line shown (`0..lines.len()`), and what one had typed before walking.
    walk: Option<(usize, String)>,
}

impl History {
    /// From a file's text: one line each.
    pub fn parse(text: &str) -> History {
        let mut history = History::default();
        text.lines().for_each(|line| history.push(line));
        history
    }

    /// In a file's form.
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Takes a line in, and ends a walk.
    pub fn push(&mut self, line: &str) {
        self.walk = None;
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == HISTORY_LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_string());
    }

    /// The line before; `typed` is kept for the way back.
    pub fn older(&mut self, typed: &str) -> Option<&str> {
        let at = match &self.walk {
            Some((at, _)) => at.checked_sub(1)?,
            None => self.lines.len().checked_sub(1)?,
        };
        let kept = self
            .walk
            .take()
            .map_or_else(|| typed.to_string(), |(_, kept)| kept);
        self.walk = Some((at, kept));
        Some(&self.lines[at])
    }

    /// The line after; after the last, what one had typed.
    pub fn newer(&mut self) -> Option<String> {
        let (at, typed) = self.walk.take()?;
        match self.lines.get(at + 1) {
            Some(line) => {
                self.walk = Some((at + 1, typed));
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
    fn walking_back_and_forth_ends_at_what_was_typed() {
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
    fn the_oldest_lines_go() {
        let mut history = History::default();
        (0..HISTORY_LINES_MAX + 5).for_each(|n| history.push(&n.to_string()));
        assert!(history.text().starts_with("5\n6\n"));
    }
}
