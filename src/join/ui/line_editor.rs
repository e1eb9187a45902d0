//! The line being typed: its text, its cursor, and the text that was cut last. The cursor moves by grapheme clusters, the
//! characters as people see them. Knows nothing of keys, history or screens.

use crate::hub::Text;
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// Longest line that can be typed.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;

/// A line being typed.
#[derive(Clone, Debug, Default)]
pub struct LineEditor {
    /// At most [`INPUT_BYTES_MAX`] bytes, safe to show on a terminal.
    text: String,
    /// `0..=text.len()`, between two grapheme clusters.
    cursor: usize,
    /// The text that was cut last.
    cut: String,
}

/// Whether an insertion fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Insert {
    /// Inserted.
    Done,
    /// The line would be too long; nothing changed.
    TooLong,
}

impl LineEditor {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cursor's byte offset in the text.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Inserts text at the cursor. A character that is not safe to show is replaced by a visible one, as on the server.
    pub fn insert(&mut self, text: &str) -> Insert {
        let inserted = Text::of(text).to_string();
        if self.text.len() + inserted.len() > INPUT_BYTES_MAX {
            return Insert::TooLong;
        }
        self.text.insert_str(self.cursor, &inserted);
        // The insertion may form one cluster with the text after it: a letter before a combining mark.
        self.cursor = self.boundary_at_or_after(self.cursor + inserted.len());
        self.check();
        Insert::Done
    }

    /// Replaces the line by a text, cut to [`INPUT_BYTES_MAX`]. The cursor goes to the end.
    pub fn set(&mut self, text: &str) {
        let mut shown = Text::of(text).to_string();
        let end = (0..=shown.len().min(INPUT_BYTES_MAX)).rfind(|&at| shown.is_char_boundary(at));
        shown.truncate(end.unwrap_or(0));
        self.cursor = shown.len();
        self.text = shown;
        self.check();
    }

    /// Returns the line and leaves an empty one.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Replaces the text from `start` to the cursor.
    pub fn replace_before_cursor(&mut self, start: usize, text: &str) -> Insert {
        let cut = std::mem::take(&mut self.cut);
        let old = self.text[start..self.cursor].to_string();
        self.remove(start, self.cursor);
        let done = self.insert(text);
        if done == Insert::TooLong {
            let again = self.insert(&old);
            debug_assert_eq!(again, Insert::Done, "the old text fitted before");
        }
        self.cut = cut;
        done
    }

    /// One cluster to the left.
    pub fn left(&mut self) {
        self.cursor = self.boundary_before(self.cursor);
    }

    /// One cluster to the right.
    pub fn right(&mut self) {
        self.cursor = self.boundary_after(self.cursor);
    }

    /// To the line's start.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// To the line's end.
    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// To the start of this word, or of the one before.
    pub fn word_left(&mut self) {
        self.cursor = self.word_start();
    }

    /// To the end of this word, or of the next.
    pub fn word_right(&mut self) {
        let rest = &self.text[self.cursor..];
        let word = rest.unicode_word_indices().next();
        self.cursor = word.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len());
        self.cursor = self.boundary_at_or_after(self.cursor);
    }

    /// Removes the cluster before the cursor.
    pub fn backspace(&mut self) {
        let start = self.boundary_before(self.cursor);
        self.remove(start, self.cursor);
    }

    /// Removes the cluster after the cursor.
    pub fn delete(&mut self) {
        self.remove(self.cursor, self.boundary_after(self.cursor));
    }

    /// Cuts from the start to the cursor.
    pub fn cut_to_start(&mut self) {
        self.cut(0, self.cursor);
    }

    /// Cuts from the cursor to the end.
    pub fn cut_to_end(&mut self) {
        self.cut(self.cursor, self.text.len());
    }

    /// Cuts back to a blank, as Ctrl-W does in a terminal driver's own line editing.
    pub fn cut_word(&mut self) {
        let before = self.text[..self.cursor].trim_end();
        let start = before.char_indices().rfind(|(_, c)| c.is_whitespace());
        self.cut(start.map_or(0, |(at, c)| at + c.len_utf8()), self.cursor);
    }

    /// Inserts the text that was cut last.
    pub fn paste_cut(&mut self) -> Insert {
        let cut = self.cut.clone();
        self.insert(&cut)
    }

    /// Swaps the clusters before and at the cursor.
    pub fn transpose(&mut self) {
        let middle = if self.cursor == self.text.len() {
            self.boundary_before(self.cursor)
        } else {
            self.cursor
        };
        let (start, end) = (self.boundary_before(middle), self.boundary_after(middle));
        if start < middle && middle < end {
            let swapped = [&self.text[middle..end], &self.text[start..middle]].concat();
            self.text.replace_range(start..end, &swapped);
            self.cursor = self.boundary_at_or_after(end);
        }
        self.check();
    }

    fn cut(&mut self, start: usize, end: usize) {
        if start < end {
            self.cut = self.text[start..end].to_string();
            self.remove(start, end);
        }
    }

    fn remove(&mut self, start: usize, end: usize) {
        self.text.replace_range(start..end, "");
        self.cursor = self.boundary_at_or_after(start);
        self.check();
    }

    fn word_start(&self) -> usize {
        let mut words = self.text[..self.cursor].unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    fn boundary_before(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        let found = cursor.prev_boundary(&self.text, 0);
        found.expect("the cursor sees all of the text").unwrap_or(0)
    }

    fn boundary_after(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        let found = cursor.next_boundary(&self.text, 0);
        let found = found.expect("the cursor sees all of the text");
        found.unwrap_or(self.text.len())
    }

    /// The first cluster boundary that is not before `at`.
    fn boundary_at_or_after(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        let is_boundary = cursor.is_boundary(&self.text, 0);
        match is_boundary.expect("the cursor sees all of the text") {
            true => at,
            false => self.boundary_after(at),
        }
    }

    fn check(&self) {
        debug_assert!(self.text.len() <= INPUT_BYTES_MAX);
        debug_assert_eq!(self.cursor, self.boundary_at_or_after(self.cursor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> LineEditor {
        let mut line = LineEditor::default();
        assert_eq!(line.insert(text), Insert::Done);
        line
    }

    #[test]
    fn the_cursor_moves_by_grapheme_clusters() {
        let mut line = typed("a👩‍👩‍👧e\u{301}\u{1112}\u{1161}\u{11ab}🇰🇷");
        let mut places = vec![line.cursor()];
        while line.cursor() > 0 {
            line.left();
            places.push(line.cursor());
        }
        assert_eq!(places, [39, 31, 22, 19, 1, 0]);
        line.right();
        line.delete();
        assert_eq!(line.text(), "ae\u{301}\u{1112}\u{1161}\u{11ab}🇰🇷");
        line.end();
        line.backspace();
        line.backspace();
        assert_eq!(line.text(), "ae\u{301}");
    }

    #[test]
    fn text_inserted_before_a_combining_mark_joins_it() {
        let mut line = typed("x\u{301}");
        line.home();
        assert_eq!(line.insert("\u{1f469}\u{200d}"), Insert::Done);
        line.delete();
        assert_eq!(line.insert("e"), Insert::Done);
        line.check();
    }

    #[test]
    fn cut_words_can_be_pasted() {
        let mut line = typed("one two  세 단어");
        line.cut_word();
        assert_eq!(line.text(), "one two  세 ");
        line.cut_word();
        assert_eq!(line.text(), "one two  ");
        line.home();
        assert_eq!(line.paste_cut(), Insert::Done);
        assert_eq!(line.text(), "세 one two  ");
        line.word_right();
        line.cut_to_start();
        assert_eq!((line.text(), line.cursor()), (" two  ", 0));
        line.end();
        line.word_left();
        line.cut_to_end();
        line.cut_to_end();
        assert_eq!(line.text(), " ");
        assert_eq!(line.paste_cut(), Insert::Done);
        // The second cut had nothing to cut, and kept the text of the first.
        assert_eq!(line.text(), " two  ");
    }

    #[test]
    fn transpose_swaps_two_clusters() {
        let mut line = typed("ab");
        line.transpose();
        assert_eq!((line.text(), line.cursor()), ("ba", 2));
        line.home();
        line.transpose();
        assert_eq!(line.text(), "ba");
    }

    #[test]
    fn long_text_is_refused_and_control_characters_are_replaced() {
        let mut line = typed("\x1b[2J\x07\ttab");
        assert_eq!(line.text(), "␛[2J␇\ttab");
        assert_eq!(line.insert(&"x".repeat(INPUT_BYTES_MAX)), Insert::TooLong);
        assert_eq!(line.text(), "␛[2J␇\ttab");
        line.set(&"\x1b".repeat(INPUT_BYTES_MAX));
        assert!(line.text().len() <= INPUT_BYTES_MAX);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the seed of a failed run")]
    fn random_edits_keep_the_cursor_between_clusters() {
        let pieces = [
            "a", "한", "\u{301}", "\u{200d}", "👩", "🇰", " ", "\u{1161}", "\t",
        ];
        const SEED: &str = "MADANG_TERMINAL_SEED";
        let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |n| n.parse().unwrap());
        println!("{SEED}={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut line = LineEditor::default();
        for _ in 0..20_000 {
            match random.u8(0..16) {
                0..6 => {
                    let piece = pieces[random.usize(..pieces.len())];
                    assert_eq!(line.insert(piece), Insert::Done);
                }
                6 => line.left(),
                7 => line.right(),
                8 => line.backspace(),
                9 => line.delete(),
                10 => line.word_left(),
                11 => line.word_right(),
                12 => line.cut_word(),
                13 => line.transpose(),
                14 => line.home(),
                _ => line.end(),
            }
            line.check();
            if line.text().len() > 300 {
                line.cut_to_start();
            }
        }
    }
}
