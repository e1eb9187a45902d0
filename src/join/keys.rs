//! Bytes from a keyboard → keys, cut anywhere: UTF-8, control characters, CSI and SS3 sequences, bracketed paste. Knows
//! nothing of lines or screens.
//!
//! Sources: ECMA-48 5.4 (control sequences), xterm's ctlseqs ("PC-Style Function Keys", "Bracketed Paste Mode").

use std::time::Duration;

/// Of a control sequence, so many bytes are kept; a longer one is read to its end and means nothing.
const SEQUENCE_BYTES_MAX: usize = 32;

/// What begins and ends a pasted text.
const PASTE_START: &[u8] = b"[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// After an ESC, silence of that length tells that it was the key; within a pasted text, that its end was lost.
const ESCAPE: Duration = Duration::from_millis(50);
const PASTE: Duration = Duration::from_secs(5);

/// What was pressed, or what the terminal told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to insert; a broken byte is U+FFFD.
    Char(char),
    /// Enter; in a pasted text, the end of a line (CR, LF or CR LF).
    Enter,
    /// Ctrl and a letter (`b'a'..=b'z'`) or one of `\ ] ^ _ @`; Tab, Enter and Backspace have keys of their own.
    Ctrl(u8),
    /// Alt and a character.
    Alt(char),
    /// Tab.
    Tab,
    /// Backspace.
    Backspace,
    /// Delete (forwards).
    Delete,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// Ctrl or Alt and the left arrow.
    WordLeft,
    /// Ctrl or Alt and the right arrow.
    WordRight,
    /// Home.
    Home,
    /// End.
    End,
    /// Escape alone; only [`Keys::idle`] can tell.
    Escape,
    /// The terminal's answer to `CSI 6 n`: the cursor's row and column, from 1.
    CursorAt(u16, u16),
    /// The terminal's answer to `CSI > c` (xterm's ctlseqs, "Secondary DA"): its model and its version.
    Terminal(u16, u16),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between keys.
    #[default]
    Ground,
    /// Within a character: what came of it; 1 to 3 bytes.
    Utf8(Vec<u8>),
    /// After ESC.
    Escape,
    /// After ESC O.
    Ss3,
    /// After ESC [: that bracket and what followed; at most [`SEQUENCE_BYTES_MAX`].
    Csi(Vec<u8>),
}

/// The reader of keys.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    state: State,
    /// Within a pasted text: how much of [`PASTE_END`] was matched (`0..PASTE_END.len()`).
    paste: Option<usize>,
    /// The last byte was CR: an LF now belongs to it.
    after_cr: bool,
}

impl Keys {
    /// Reads bytes and gives keys.
    pub fn feed(&mut self, bytes: &[u8], mut give: impl FnMut(Key)) {
        for &byte in bytes {
            self.byte(byte, &mut give);
        }
    }

    /// How long silence must be until [`Keys::idle`] is to be called; `None`: it tells nothing.
    pub fn patience(&self) -> Option<Duration> {
        match (&self.state, self.paste) {
            (_, Some(_)) => Some(PASTE),
            (State::Escape, None) => Some(ESCAPE),
            _ => None,
        }
    }

    /// Nothing more came for so long: an ESC that waits was the Escape key, and a pasted text without an end has one, or
    /// Ctrl-C would be text for ever.
    pub fn idle(&mut self, mut give: impl FnMut(Key)) {
        if let Some(matched) = self.paste.take() {
            for &byte in &PASTE_END[..matched] {
                self.literal(byte, &mut give);
            }
            self.end_character(&mut give);
        } else if self.state == State::Escape {
            self.state = State::Ground;
            give(Key::Escape);
        }
    }

    fn byte(&mut self, byte: u8, give: &mut impl FnMut(Key)) {
        let Some(matched) = self.paste else {
            return self.plain(byte, give);
        };
        if byte == PASTE_END[matched] {
            let matched = matched + 1;
            self.paste = (matched < PASTE_END.len()).then_some(matched);
            if self.paste.is_none() {
                self.end_character(give);
                self.after_cr = false;
            }
            return;
        }
        // It was not the end: what looked like it is text. Only its first byte can begin it anew.
        self.paste = Some(0);
        for &byte in &PASTE_END[..matched] {
            self.literal(byte, give);
        }
        if byte == PASTE_END[0] {
            self.paste = Some(1);
        } else {
            self.literal(byte, give);
        }
    }

    /// A byte of a pasted text: it has no sequences.
    fn literal(&mut self, byte: u8, give: &mut impl FnMut(Key)) {
        match byte {
            0x80.. => self.utf8(byte, give),
            _ => {
                self.end_character(give);
                match byte {
                    b'\r' | b'\n' => self.newline(byte, give),
                    _ => {
                        self.after_cr = false;
                        give(Key::Char(char::from(byte)));
                    }
                }
            }
        }
    }

    fn plain(&mut self, byte: u8, give: &mut impl FnMut(Key)) {
        match &mut self.state {
            State::Ground => self.ground(byte, give),
            State::Utf8(_) => self.utf8(byte, give),
            State::Escape => {
                self.state = match byte {
                    b'[' => State::Csi(vec![byte]),
                    b'O' => State::Ss3,
                    0x1b => State::Escape,
                    _ => State::Ground,
                };
                match byte {
                    0x7f | 0x08 => give(Key::Ctrl(b'w')),
                    b' '..=b'~' if self.state == State::Ground => give(Key::Alt(byte.into())),
                    _ if self.state == State::Ground => self.ground(byte, give),
                    _ => {}
                }
            }
            State::Ss3 => {
                self.state = State::Ground;
                // A sequence cut short, or Alt and O: what follows counts.
                if !matches!(byte, b' '..=b'~') {
                    return self.ground(byte, give);
                }
                let key = match byte {
                    // The keypad's. CSI M is a mouse.
                    b'M' => Some(Key::Enter),
                    _ => sequence(&[b'[', byte]),
                };
                if let Some(key) = key {
                    give(key);
                }
            }
            State::Csi(sequence) => match byte {
                0x20..=0x3f if sequence.len() < SEQUENCE_BYTES_MAX => sequence.push(byte),
                0x20..=0x3f => {}
                0x40..=0x7e => self.csi(byte, give),
                // A sequence cut short, such as by a break in the line: what follows counts.
                _ => {
                    self.state = State::Ground;
                    self.ground(byte, give);
                }
            },
        }
    }

    fn csi(&mut self, last: u8, give: &mut impl FnMut(Key)) {
        let State::Csi(mut bytes) = std::mem::take(&mut self.state) else {
            unreachable!("only called within a control sequence");
        };
        if bytes.len() >= SEQUENCE_BYTES_MAX {
            return;
        }
        bytes.push(last);
        if bytes == PASTE_START {
            self.paste = Some(0);
            self.after_cr = false;
        } else if let Some(key) = sequence(&bytes) {
            give(key);
        }
    }

    fn ground(&mut self, byte: u8, give: &mut impl FnMut(Key)) {
        if matches!(byte, b'\r' | b'\n') {
            return self.newline(byte, give);
        }
        self.after_cr = false;
        match byte {
            b'\t' => give(Key::Tab),
            0x08 | 0x7f => give(Key::Backspace),
            0x1b => self.state = State::Escape,
            0x00..=0x1f => give(Key::Ctrl((byte | 0x40).to_ascii_lowercase())),
            0x20..=0x7e => give(Key::Char(byte.into())),
            0x80.. => self.utf8(byte, give),
        }
    }

    fn newline(&mut self, byte: u8, give: &mut impl FnMut(Key)) {
        let second_half = byte == b'\n' && self.after_cr;
        self.after_cr = byte == b'\r';
        if !second_half {
            give(Key::Enter);
        }
    }

    /// A byte of a character of several bytes, or one that ends it too early.
    fn utf8(&mut self, byte: u8, give: &mut impl FnMut(Key)) {
        self.after_cr = false;
        let mut bytes = match std::mem::take(&mut self.state) {
            State::Utf8(bytes) => bytes,
            _ => Vec::with_capacity(4),
        };
        bytes.push(byte);
        match str::from_utf8(&bytes) {
            Ok(text) => text.chars().for_each(|c| give(Key::Char(c))),
            Err(error) if error.error_len().is_none() => self.state = State::Utf8(bytes),
            Err(_) => {
                give(Key::Char(char::REPLACEMENT_CHARACTER));
                // The byte that broke the character may begin another key.
                if bytes.len() > 1 {
                    self.byte_again(byte, give);
                }
            }
        }
    }

    fn byte_again(&mut self, byte: u8, give: &mut impl FnMut(Key)) {
        match self.paste {
            Some(_) => self.literal(byte, give),
            None => self.ground(byte, give),
        }
    }

    fn end_character(&mut self, give: &mut impl FnMut(Key)) {
        if let State::Utf8(_) = self.state {
            self.state = State::Ground;
            give(Key::Char(char::REPLACEMENT_CHARACTER));
        }
    }
}

/// What a whole control sequence (without its ESC) means.
fn sequence(bytes: &[u8]) -> Option<Key> {
    let (last, middle) = bytes.split_last()?;
    let middle = str::from_utf8(middle.strip_prefix(b"[")?).ok()?;
    // The answer to a question that was marked in the same way.
    let secondary = middle.strip_prefix('>');
    let mut numbers = secondary
        .unwrap_or(middle)
        .split(';')
        .map(str::parse::<u16>);
    let first = numbers.next().and_then(Result::ok);
    let second = numbers.next().and_then(Result::ok);
    // The second number is 1 + Shift 1 + Alt 2 + Ctrl 4.
    let by_word = second.is_some_and(|modifiers| modifiers.saturating_sub(1) & 6 != 0);
    Some(match (last, first) {
        (b'c', Some(model)) if secondary.is_some() => Key::Terminal(model, second?),
        _ if secondary.is_some() => return None,
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if by_word => Key::WordRight,
        (b'C', _) => Key::Right,
        (b'D', _) if by_word => Key::WordLeft,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', Some(1 | 7)) => Key::Home,
        (b'F', _) | (b'~', Some(4 | 8)) => Key::End,
        (b'~', Some(3)) => Key::Delete,
        (b'R', Some(row)) => Key::CursorAt(row, second?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        Keys::default().feed(bytes, |key| keys.push(key));
        keys
    }

    fn text(bytes: &[u8]) -> String {
        let shown = |key: Key| match key {
            Key::Char(c) => c,
            Key::Enter => '\n',
            key => panic!("{key:?}"),
        };
        keys(bytes).into_iter().map(shown).collect()
    }

    #[test]
    fn every_way_to_cut_gives_the_same_keys() {
        let input = "a한\u{1b}[D\u{1b}[1;5C\u{1b}OH\u{1b}[200~x\r\ny\u{1b}[3~z👩‍👩‍👧\u{1b}[201~\r\u{1b}b\u{3}\u{1b}[12;40R\u{1b}[>41;390;0c";
        let whole = keys(input.as_bytes());
        assert_eq!(whole.last(), Some(&Key::Terminal(41, 390)));
        assert!(whole.contains(&Key::CursorAt(12, 40)) && whole.contains(&Key::WordRight));
        for first in 0..input.len() {
            for second in first..input.len() {
                let mut cut = Vec::new();
                let mut reader = Keys::default();
                for piece in [
                    &[][..],
                    &input.as_bytes()[..first],
                    &input.as_bytes()[first..second],
                    &input.as_bytes()[second..],
                ] {
                    reader.feed(piece, |key| cut.push(key));
                }
                assert_eq!(cut, whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn keys_are_what_terminals_send_for_them() {
        for (bytes, key) in [
            ("\x1b[A", Key::Up),
            ("\x1bOB", Key::Down),
            ("\x1b[C", Key::Right),
            ("\x1b[1;2C", Key::Right),
            ("\x1b[1;3C", Key::WordRight),
            ("\x1b[1;5C", Key::WordRight),
            ("\x1b[D", Key::Left),
            ("\x1b[1;2D", Key::Left),
            ("\x1b[1;5D", Key::WordLeft),
            ("\x1b[H", Key::Home),
            ("\x1b[1~", Key::Home),
            ("\x1bOF", Key::End),
            ("\x1b[8~", Key::End),
            ("\x1b[3~", Key::Delete),
            ("\x1b[7;9R", Key::CursorAt(7, 9)),
            ("\x1b[>84;0;0c", Key::Terminal(84, 0)),
            ("\x1bb", Key::Alt('b')),
            ("\x1b\x1bf", Key::Alt('f')),
            ("\x1b\x7f", Key::Ctrl(b'w')),
            ("\x01", Key::Ctrl(b'a')),
            ("\x1f", Key::Ctrl(b'_')),
            ("\x08", Key::Backspace),
            ("\t", Key::Tab),
        ] {
            assert_eq!(keys(bytes.as_bytes()), [key], "{bytes:?}");
        }
        for nothing in [
            "\x1b[Z",
            "\x1b[?1;2c",
            "\x1b[1;2c",
            "\x1b[>1A",
            "\x1b[5~",
            "\x1b[I",
        ] {
            assert_eq!(keys(nothing.as_bytes()), [], "{nothing:?}");
        }
    }

    #[test]
    fn a_line_ends_once_however_it_ends() {
        assert_eq!(text(b"a\rb\nc\r\nd\r\re\n\nf"), "a\nb\nc\nd\n\ne\n\nf");
        assert_eq!(text(b"\x1b[200~a\rb\nc\r\nd\x1b[201~"), "a\nb\nc\nd");
    }

    #[test]
    fn in_a_pasted_text_nothing_is_a_key() {
        assert_eq!(
            text(b"\x1b[200~\x03\x1b[D\x1b[201x\x1b\x1b[201~"),
            "\u{3}\u{1b}[D\u{1b}[201x\u{1b}"
        );
    }

    #[test]
    fn a_broken_byte_is_a_replacement_and_costs_no_neighbour() {
        assert_eq!(
            text(b"a\xffb\xed\x95c\xf0\x9f\x91\rd"),
            "a\u{fffd}b\u{fffd}c\u{fffd}\nd"
        );
        assert_eq!(text(b"\x1b[200~\xed\x95\x1b[201~x"), "\u{fffd}x");
    }

    #[test]
    fn a_sequence_without_end_is_no_memory_and_no_text() {
        let mut input = b"\x1b[".to_vec();
        input.extend([b'1'; 10_000]);
        input.extend(b"~a");
        assert_eq!(text(&input), "a");
    }

    #[test]
    fn a_mouse_enters_nothing() {
        // A program before this one may have left it switched on: SGR's form, and xterm's focus reports.
        assert_eq!(text(b"a\x1b[<0;10;5M\x1b[<0;10;5m\x1b[Ib\x1b[O"), "ab");
        assert_eq!(text(b"a\x1bOMb"), "a\nb", "the keypad's Enter");
    }

    #[test]
    fn a_sequence_cut_short_swallows_no_enter() {
        assert_eq!(text(b"a\x1bO\rb\x1b[\rc\x1b\rd"), "a\nb\nc\nd");
    }

    #[test]
    fn escape_alone_is_told_by_silence() {
        let mut reader = Keys::default();
        let mut given = Vec::new();
        reader.feed(b"\x1b", |key| given.push(key));
        assert_eq!(reader.patience(), Some(ESCAPE));
        assert_eq!(given, []);
        reader.idle(|key| given.push(key));
        assert_eq!(given, [Key::Escape]);
        assert_eq!(reader.patience(), None);
        reader.feed(b"\x1b[200~a\x03\x1b[2", |_| {});
        assert_eq!(reader.patience(), Some(PASTE));
        given.clear();
        reader.idle(|key| given.push(key));
        reader.feed(b"\x03", |key| given.push(key));
        let cut = "\x1b[2".chars().map(Key::Char);
        assert!(given.iter().copied().eq(cut.chain([Key::Ctrl(b'c')])));
    }
}
