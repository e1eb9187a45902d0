//! The line being typed: its text, a cursor that stands between characters as people see them (grapheme clusters), what
//! was cut. Knows nothing of keys, history or screens.

use crate::hub::Text;
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// A typed line takes so many bytes; what would make it longer is refused.
pub const EDIT_BYTES_MAX: usize = 64 * 1024;

/// A line being typed.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// At most [`EDIT_BYTES_MAX`] bytes, nothing that may not be shown on a terminal.
    text: String,
    /// `0..=text.len()`, between two grapheme clusters.
    cursor: usize,
    /// What was cut last.
    cut: String,
}

/// Whether there was room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Insert {
    /// Inserted.
    Done,
    /// The line would be too long: nothing changed.
    TooLong,
}

impl Edit {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cursor's place in the text, in bytes.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts text in at the cursor. What may not be shown on a terminal is replaced by its stand-in, as the server would.
    pub fn insert(&mut self, text: &str) -> Insert {
        let inserted = Text::of(text).to_string();
        if self.text.len() + inserted.len() > EDIT_BYTES_MAX {
            return Insert::TooLong;
        }
        self.text.insert_str(self.cursor, &inserted);
        // What was put in may have joined what follows: a base before a mark, an emoji before a joiner.
        self.cursor = self.boundary_from(self.cursor + inserted.len());
        self.check();
        Insert::Done
    }

    /// Replaces all by a text, or by as much of it as there is room for; the cursor goes to the end.
    pub fn set(&mut self, text: &str) {
        let mut shown = Text::of(text).to_string();
        let end = (0..=shown.len().min(EDIT_BYTES_MAX)).rfind(|&at| shown.is_char_boundary(at));
        shown.truncate(end.unwrap_or(0));
        self.cursor = shown.len();
        self.text = shown;
        self.check();
    }

    /// Takes the line out.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Replaces what is between a place before the cursor and the cursor.
    pub fn replace_back_to(&mut self, start: usize, text: &str) -> Insert {
        let cut = std::mem::take(&mut self.cut);
        let old = self.text[start..self.cursor].to_string();
        self.remove(start, self.cursor);
        let done = self.insert(text);
        if done == Insert::TooLong {
            let again = self.insert(&old);
            debug_assert_eq!(again, Insert::Done, "it was there before");
        }
        self.cut = cut;
        done
    }

    /// One cluster to the left.
    pub fn left(&mut self) {
        self.cursor = self.before(self.cursor);
    }

    /// One cluster to the right.
    pub fn right(&mut self) {
        self.cursor = self.after(self.cursor);
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
        self.cursor = self.boundary_from(self.cursor);
    }

    /// Removes the cluster before the cursor.
    pub fn backspace(&mut self) {
        let start = self.before(self.cursor);
        self.remove(start, self.cursor);
    }

    /// Removes the cluster after the cursor.
    pub fn delete(&mut self) {
        self.remove(self.cursor, self.after(self.cursor));
    }

    /// Cuts from the start to the cursor.
    pub fn cut_to_start(&mut self) {
        self.cut(0, self.cursor);
    }

    /// Cuts from the cursor to the end.
    pub fn cut_to_end(&mut self) {
        self.cut(self.cursor, self.text.len());
    }

    /// Cuts the word before the cursor, as the terminal's own Ctrl-W: back to a blank.
    pub fn cut_word(&mut self) {
        let before = self.text[..self.cursor].trim_end();
        let start = before.char_indices().rfind(|(_, c)| c.is_whitespace());
        self.cut(start.map_or(0, |(at, c)| at + c.len_utf8()), self.cursor);
    }

    /// Puts in again what was cut last.
    pub fn paste_cut(&mut self) -> Insert {
        let cut = self.cut.clone();
        self.insert(&cut)
    }

    /// Exchanges the clusters before and at the cursor.
    pub fn exchange(&mut self) {
        let middle = if self.cursor == self.text.len() {
            self.before(self.cursor)
        } else {
            self.cursor
        };
        let (start, end) = (self.before(middle), self.after(middle));
        if start < middle && middle < end {
            let exchanged = [&self.text[middle..end], &self.text[start..middle]].concat();
            self.text.replace_range(start..end, &exchanged);
            self.cursor = self.boundary_from(end);
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
        self.cursor = self.boundary_from(start);
        self.check();
    }

    fn word_start(&self) -> usize {
        let mut words = self.text[..self.cursor].unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    fn before(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        let found = cursor.prev_boundary(&self.text, 0);
        found.expect("the text is whole").unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        let found = cursor.next_boundary(&self.text, 0);
        found.expect("the text is whole").unwrap_or(self.text.len())
    }

    /// The place itself, or the next one that is between two clusters.
    fn boundary_from(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        if cursor
            .is_boundary(&self.text, 0)
            .expect("the text is whole")
        {
            at
        } else {
            self.after(at)
        }
    }

    fn check(&self) {
        debug_assert!(self.text.len() <= EDIT_BYTES_MAX);
        debug_assert_eq!(self.cursor, self.boundary_from(self.cursor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str) -> Edit {
        let mut edit = Edit::default();
        assert_eq!(edit.insert(text), Insert::Done);
        edit
    }

    #[test]
    fn the_cursor_goes_by_what_people_see() {
        let mut line = edit("a👩‍👩‍👧e\u{301}\u{1112}\u{1161}\u{11ab}🇰🇷");
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
    fn what_is_put_in_before_a_mark_takes_it() {
        let mut line = edit("x\u{301}");
        line.home();
        assert_eq!(line.insert("\u{1f469}\u{200d}"), Insert::Done);
        line.delete();
        assert_eq!(line.insert("e"), Insert::Done);
        line.check();
    }

    #[test]
    fn words_are_cut_and_put_in_again() {
        let mut line = edit("one two  세 단어");
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
        assert_eq!(
            line.text(),
            " two  ",
            "where there is nothing to cut, nothing is forgotten"
        );
    }

    #[test]
    fn two_clusters_change_places() {
        let mut line = edit("ab");
        line.exchange();
        assert_eq!((line.text(), line.cursor()), ("ba", 2));
        line.home();
        line.exchange();
        assert_eq!(line.text(), "ba");
    }

    #[test]
    fn a_line_has_a_longest_and_no_control_characters() {
        let mut line = edit("\x1b[2J\x07\ttab");
        assert_eq!(line.text(), "␛[2J␇\ttab");
        assert_eq!(line.insert(&"x".repeat(EDIT_BYTES_MAX)), Insert::TooLong);
        assert_eq!(line.text(), "␛[2J␇\ttab");
        line.set(&"\x1b".repeat(EDIT_BYTES_MAX));
        assert!(line.text().len() <= EDIT_BYTES_MAX);
    }

    #[test]
    fn any_series_of_edits_keeps_the_cursor_between_clusters() {
        let pieces = [
            "a", "한", "\u{301}", "\u{200d}", "👩", "🇰", " ", "\u{1161}", "\t",
        ];
        let seed =
            std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut line = Edit::default();
        for _ in 0..20_000 {
            match random.u8(0..16) {
                0..6 => assert_eq!(
                    line.insert(pieces[random.usize(..pieces.len())]),
                    Insert::Done
                ),
                6 => line.left(),
                7 => line.right(),
                8 => line.backspace(),
                9 => line.delete(),
                10 => line.word_left(),
                11 => line.word_right(),
                12 => line.cut_word(),
                13 => line.exchange(),
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
