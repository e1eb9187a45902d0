//! Decodes a terminal's bytes into keys: UTF-8, control characters, CSI and SS3 sequences, bracketed paste. A key may be
//! cut anywhere between two reads. Knows nothing of lines or screens.
//!
//! Sources: ECMA-48 5.4 (control sequences), xterm's ctlseqs ("PC-Style Function Keys", "Bracketed Paste Mode").

use std::time::Duration;

/// Longest control sequence that is decoded. A longer one is skipped.
const SEQUENCE_BYTES_MAX: usize = 32;

/// The control sequences around a pasted text: the first without its ESC.
const PASTE_START: &[u8] = b"[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// How long after an ESC it counts as the Escape key.
const ESCAPE_TIMEOUT: Duration = Duration::from_millis(50);
/// How long after the last byte of a paste its end counts as lost.
const PASTE_TIMEOUT: Duration = Duration::from_secs(5);

/// A key, or a terminal's answer to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to insert. Invalid UTF-8 is U+FFFD.
    Char(char),
    /// Enter, or the end of a pasted line (CR, LF or CR LF).
    Enter,
    /// Ctrl and a letter (`b'a'..=b'z'`) or one of `\ ] ^ _ @`. Never Tab, Enter or Backspace.
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
    /// Escape alone. Only [`KeyDecoder::time_out`] emits it.
    Escape,
    /// The terminal's answer to `CSI 6 n`: the cursor's row and column, from 1.
    CursorAt(u16, u16),
    /// The terminal's answer to `CSI > c` (xterm's ctlseqs, "Secondary DA"): its model and its version.
    Terminal(u16, u16),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Not within a key.
    #[default]
    Ground,
    /// Within a character: its first 1 to 3 bytes.
    Utf8(Vec<u8>),
    /// After ESC.
    Escape,
    /// After ESC O.
    Ss3,
    /// After `ESC [`: the bracket and what followed, at most [`SEQUENCE_BYTES_MAX`] bytes.
    Csi(Vec<u8>),
}

/// Decodes bytes into keys.
#[derive(Clone, Debug, Default)]
pub struct KeyDecoder {
    state: State,
    /// Within a pasted text: how many bytes of [`PASTE_END`] were matched (`0..PASTE_END.len()`).
    paste: Option<usize>,
    /// The last byte was CR: an LF that follows is part of the same line end.
    after_cr: bool,
    /// Decoded in this call; empty between calls.
    keys: Vec<Key>,
}

impl KeyDecoder {
    /// Decodes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        bytes.iter().for_each(|&byte| self.byte(byte));
        std::mem::take(&mut self.keys)
    }

    /// How long after the last byte to call [`KeyDecoder::time_out`]; `None`: not at all.
    pub fn timeout(&self) -> Option<Duration> {
        match (&self.state, self.paste) {
            (_, Some(_)) => Some(PASTE_TIMEOUT),
            (State::Escape, None) => Some(ESCAPE_TIMEOUT),
            _ => None,
        }
    }

    /// No byte came within the timeout. A pending ESC becomes the Escape key. A paste whose end was lost ends, since
    /// otherwise even Ctrl-C would be taken as pasted text from then on.
    pub fn time_out(&mut self) -> Vec<Key> {
        if let Some(matched) = self.paste.take() {
            self.pasted(&PASTE_END[..matched]);
            self.end_character();
        } else if self.state == State::Escape {
            self.state = State::Ground;
            self.keys.push(Key::Escape);
        }
        std::mem::take(&mut self.keys)
    }

    fn byte(&mut self, byte: u8) {
        let Some(matched) = self.paste else {
            return self.key_byte(byte);
        };
        if byte == PASTE_END[matched] {
            let matched = matched + 1;
            self.paste = (matched < PASTE_END.len()).then_some(matched);
            if self.paste.is_none() {
                self.end_character();
                self.after_cr = false;
            }
            return;
        }
        // The matched bytes were not the paste's end, so they are text. No byte of PASTE_END but its first, ESC, can
        // begin another match.
        self.paste = Some(0);
        self.pasted(&PASTE_END[..matched]);
        match byte {
            0x1b => self.paste = Some(1),
            _ => self.pasted(&[byte]),
        }
    }

    /// Bytes of a pasted text, where no control sequence has a meaning.
    fn pasted(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte >= 0x80 {
                self.utf8(byte);
                continue;
            }
            self.end_character();
            match byte {
                b'\r' | b'\n' => self.newline(byte),
                _ => {
                    self.after_cr = false;
                    self.keys.push(Key::Char(char::from(byte)));
                }
            }
        }
    }

    fn key_byte(&mut self, byte: u8) {
        match &mut self.state {
            State::Ground => self.first_byte(byte),
            State::Utf8(_) => self.utf8(byte),
            State::Escape => {
                self.state = State::Ground;
                match byte {
                    b'[' => self.state = State::Csi(vec![byte]),
                    b'O' => self.state = State::Ss3,
                    0x1b => self.state = State::Escape,
                    0x7f | 0x08 => self.keys.push(Key::Ctrl(b'w')),
                    b' '..=b'~' => self.keys.push(Key::Alt(byte.into())),
                    _ => self.first_byte(byte),
                }
            }
            State::Ss3 => {
                self.state = State::Ground;
                match byte {
                    // The keypad's Enter. (CSI M is a mouse event.)
                    b'M' => self.keys.push(Key::Enter),
                    b' '..=b'~' => self.keys.extend(sequence(&[b'[', byte])),
                    // The sequence was cut short, or it was Alt and O: this byte begins another key.
                    _ => self.first_byte(byte),
                }
            }
            State::Csi(bytes) => {
                // A sequence that is too long loses its last byte, and so its meaning.
                if bytes.len() < SEQUENCE_BYTES_MAX {
                    bytes.push(byte);
                }
                match byte {
                    0x20..=0x3f => {}
                    0x40..=0x7e => self.csi(),
                    // The sequence was cut short: this byte begins another key.
                    _ => {
                        self.state = State::Ground;
                        self.first_byte(byte);
                    }
                }
            }
        }
    }

    /// A control sequence is complete.
    fn csi(&mut self) {
        let State::Csi(bytes) = std::mem::take(&mut self.state) else {
            unreachable!("only called within a control sequence");
        };
        if bytes == PASTE_START {
            self.paste = Some(0);
            self.after_cr = false;
        } else {
            self.keys.extend(sequence(&bytes));
        }
    }

    fn first_byte(&mut self, byte: u8) {
        if matches!(byte, b'\r' | b'\n') {
            return self.newline(byte);
        }
        self.after_cr = false;
        match byte {
            b'\t' => self.keys.push(Key::Tab),
            0x08 | 0x7f => self.keys.push(Key::Backspace),
            0x1b => self.state = State::Escape,
            0x00..=0x1f => {
                let letter = (byte | 0x40).to_ascii_lowercase();
                self.keys.push(Key::Ctrl(letter));
            }
            0x20..=0x7e => self.keys.push(Key::Char(byte.into())),
            0x80.. => self.utf8(byte),
        }
    }

    fn newline(&mut self, byte: u8) {
        let second_half = byte == b'\n' && self.after_cr;
        self.after_cr = byte == b'\r';
        if !second_half {
            self.keys.push(Key::Enter);
        }
    }

    /// A byte of a multi-byte character, or one that interrupts it.
    fn utf8(&mut self, byte: u8) {
        self.after_cr = false;
        let mut bytes = match std::mem::take(&mut self.state) {
            State::Utf8(bytes) => bytes,
            _ => Vec::with_capacity(4),
        };
        bytes.push(byte);
        match str::from_utf8(&bytes) {
            Ok(text) => self.keys.extend(text.chars().map(Key::Char)),
            Err(error) if error.error_len().is_none() => self.state = State::Utf8(bytes),
            Err(_) => {
                self.keys.push(Key::Char(char::REPLACEMENT_CHARACTER));
                // The byte that interrupted the character may begin another key.
                match self.paste {
                    _ if bytes.len() == 1 => {}
                    Some(_) => self.pasted(&[byte]),
                    None => self.first_byte(byte),
                }
            }
        }
    }

    fn end_character(&mut self) {
        if let State::Utf8(_) = self.state {
            self.state = State::Ground;
            self.keys.push(Key::Char(char::REPLACEMENT_CHARACTER));
        }
    }
}

/// The key that a complete control sequence (without its ESC) stands for.
fn sequence(bytes: &[u8]) -> Option<Key> {
    let (last, middle) = bytes.split_last()?;
    let middle = str::from_utf8(middle.strip_prefix(b"[")?).ok()?;
    // The answer to `CSI > c` carries the same mark.
    let identity = middle.strip_prefix('>');
    let mut numbers = identity.unwrap_or(middle).split(';').map(str::parse::<u16>);
    let first = numbers.next().and_then(Result::ok);
    let second = numbers.next().and_then(Result::ok);
    // The second number is 1, plus 1 for Shift, 2 for Alt, 4 for Ctrl.
    let by_word = second.is_some_and(|modifiers| modifiers.saturating_sub(1) & 6 != 0);
    Some(match (last, first) {
        (b'c', Some(model)) if identity.is_some() => Key::Terminal(model, second?),
        _ if identity.is_some() => return None,
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
        KeyDecoder::default().feed(bytes)
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
    fn keys_do_not_depend_on_where_reads_cut() {
        let input = "a한\u{1b}[D\u{1b}[1;5C\u{1b}OH\u{1b}[200~x\r\ny\u{1b}[3~z👩‍👩‍👧\u{1b}[201~\r\u{1b}b\u{3}\u{1b}[12;40R\u{1b}[>41;390;0c";
        let whole = keys(input.as_bytes());
        assert_eq!(whole.last(), Some(&Key::Terminal(41, 390)));
        assert!(whole.contains(&Key::CursorAt(12, 40)) && whole.contains(&Key::WordRight));
        for first in 0..input.len() {
            for second in first..input.len() {
                let mut decoder = KeyDecoder::default();
                let pieces = [0..0, 0..first, first..second, second..input.len()];
                let pieces = pieces.map(|piece| decoder.feed(&input.as_bytes()[piece]));
                let cut = pieces.concat();
                assert_eq!(cut, whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn each_sequence_is_its_key() {
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
        for nothing in ["[Z", "[?1;2c", "[1;2c", "[>1A", "[5~", "[I"] {
            assert_eq!(keys(format!("\x1b{nothing}").as_bytes()), [], "{nothing:?}");
        }
    }

    #[test]
    fn cr_lf_and_cr_lf_pairs_each_end_one_line() {
        assert_eq!(text(b"a\rb\nc\r\nd\r\re\n\nf"), "a\nb\nc\nd\n\ne\n\nf");
        assert_eq!(text(b"\x1b[200~a\rb\nc\r\nd\x1b[201~"), "a\nb\nc\nd");
    }

    #[test]
    fn control_sequences_within_a_paste_are_text() {
        let pasted = "\x03\x1b[D\x1b[201x\x1b";
        let input = format!("\x1b[200~{pasted}\x1b[201~");
        assert_eq!(text(input.as_bytes()), pasted);
    }

    #[test]
    fn invalid_utf8_becomes_u_fffd_without_losing_its_neighbours() {
        let shown = text(b"a\xffb\xed\x95c\xf0\x9f\x91\rd");
        assert_eq!(shown, "a\u{fffd}b\u{fffd}c\u{fffd}\nd");
        assert_eq!(text(b"\x1b[200~\xed\x95\x1b[201~x"), "\u{fffd}x");
    }

    #[test]
    fn an_endless_control_sequence_is_skipped() {
        let mut input = b"\x1b[".to_vec();
        input.extend([b'1'; 10_000]);
        input.extend(b"~a");
        assert_eq!(text(&input), "a");
    }

    #[test]
    fn mouse_and_focus_reports_are_ignored() {
        // A program that ran before may have left mouse reports (SGR) or focus reports (xterm) switched on.
        assert_eq!(text(b"a\x1b[<0;10;5M\x1b[<0;10;5m\x1b[Ib\x1b[O"), "ab");
        assert_eq!(text(b"a\x1bOMb"), "a\nb", "the keypad's Enter");
    }

    #[test]
    fn enter_after_an_incomplete_sequence_is_kept() {
        assert_eq!(text(b"a\x1bO\rb\x1b[\rc\x1b\rd"), "a\nb\nc\nd");
    }

    #[test]
    fn timeouts_end_an_escape_and_a_paste() {
        let mut decoder = KeyDecoder::default();
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert_eq!(decoder.timeout(), Some(ESCAPE_TIMEOUT));
        assert_eq!(decoder.time_out(), [Key::Escape]);
        assert_eq!(decoder.timeout(), None);
        decoder.feed(b"\x1b[200~a\x03\x1b[2");
        assert_eq!(decoder.timeout(), Some(PASTE_TIMEOUT));
        assert_eq!(decoder.time_out(), ['\x1b', '[', '2'].map(Key::Char));
        assert_eq!(decoder.feed(b"\x03"), [Key::Ctrl(b'c')]);
    }
}
