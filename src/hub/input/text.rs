//! What may be shown on a terminal: valid UTF-8, no control character but TAB, no character that changes the direction of
//! writing. Every other character is replaced by a visible stand-in. Knows nothing of lines or clients.

use crate::protocol::Append;
use std::fmt;
use unicode_segmentation::UnicodeSegmentation;

/// Bytes of the longest character that is seen as one. No emoji has as many; of marks on marks on a letter, these go at
/// once.
const CHARACTER_BYTES_MAX: usize = 64;

/// A text that may be shown once its stand-ins are put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    text: &'a str,
    /// No character of `text` needs a stand-in.
    clean: bool,
}

/// A line is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8 {
    /// The first invalid byte of the line, counted from 1.
    pub byte: usize,
    /// It is the first of a character of which bytes are missing.
    pub is_cut: bool,
}

impl<'a> Text<'a> {
    /// Checks a line, once.
    ///
    /// # Errors
    /// The line is not UTF-8.
    pub fn check(line: &'a [u8]) -> Result<Text<'a>, NotUtf8> {
        let text = str::from_utf8(line).map_err(|error| NotUtf8 {
            byte: error.valid_up_to() + 1,
            is_cut: matches!(line[error.valid_up_to()], 0xc2..=0xf4),
        })?;
        Ok(Text::of(text))
    }

    /// Checks a string, such as an argument of a command.
    pub fn of(text: &'a str) -> Text<'a> {
        let clean =
            is_printable_ascii(text.as_bytes()) || !text.chars().any(|c| stand_in(c).is_some());
        Text { text, clean }
    }

    /// The text as it was sent, without stand-ins.
    pub fn as_sent(&self) -> &'a str {
        self.text
    }
}

impl Append for Text<'_> {
    /// With its stand-ins: at most 3 bytes each.
    fn append_to(&self, out: &mut Vec<u8>) {
        if self.clean {
            out.extend_from_slice(self.text.as_bytes());
            return;
        }
        let mut utf8 = [0; 4];
        for c in self.text.chars() {
            out.extend_from_slice(stand_in(c).unwrap_or(c).encode_utf8(&mut utf8).as_bytes());
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text
            .chars()
            .try_for_each(|c| fmt::Write::write_char(f, stand_in(c).unwrap_or(c)))
    }
}

/// The common case, without a branch a byte, so that it is compiled to vector instructions.
fn is_printable_ascii(line: &[u8]) -> bool {
    line.iter().fold(true, |all, &byte| {
        all & (matches!(byte, b' '..=b'~') | (byte == b'\t'))
    })
}

/// How many bytes the last character of a line has, as a person sees it: with its marks (UAX #29). A byte that is not
/// UTF-8 is a character.
pub fn last_character_bytes(line: &[u8]) -> usize {
    let tail = &line[line.len().saturating_sub(CHARACTER_BYTES_MAX)..];
    let last = tail.utf8_chunks().last();
    last.map_or(0, |chunk| match chunk.invalid().len() {
        0 => chunk
            .valid()
            .graphemes(true)
            .next_back()
            .map_or(0, str::len),
        n => n,
    })
}

/// What is shown in place of a character that must not reach a terminal.
///
/// C0 and DEL have pictures of their own (U+2400 block). C1, the bidirectional controls (Unicode's `Bidi_Control`),
/// the line and paragraph separators, the deprecated format characters and the interlinear annotation have none.
fn stand_in(c: char) -> Option<char> {
    match c {
        '\t' | ' '..='~' => None,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)),
        '\x7f' => Some('\u{2421}'),
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}' => Some('\u{fffd}'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[u8]) -> String {
        let mut out = Vec::new();
        let text = Text::check(line).unwrap();
        text.append_to(&mut out);
        assert_eq!(text.to_string().as_bytes(), out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn harmless_text_passes_unchanged() {
        for text in [
            "plain ASCII ~",
            "tab\there",
            "한글과 漢字",
            "👩‍👩‍👧 family",
            "e\u{301}",
            "خوش‌آمدید",
        ] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn terminal_controls_are_replaced() {
        assert_eq!(shown(b"\x1b[2Jgone"), "␛[2Jgone");
        assert_eq!(shown(b"a\rb\0c\x7f\x07"), "a␍b␀c␡␇");
        assert_eq!(shown("\u{9b}2J".as_bytes()), "\u{fffd}2J");
        for c in [
            '\u{85}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200f}',
            '\u{61c}',
        ] {
            assert_eq!(shown(c.to_string().as_bytes()), "\u{fffd}");
        }
    }

    #[test]
    fn shown_text_is_safe_for_every_character() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let once = shown(c.to_string().as_bytes());
            assert_eq!(shown(once.as_bytes()), once);
            assert!(!once.chars().any(|c| c.is_control() && c != '\t'), "{c:?}");
            assert!(once.len() <= 3 * c.len_utf8());
        }
    }

    #[test]
    fn first_invalid_byte_is_counted_from_one() {
        let not_utf8 = |byte, is_cut| Err(NotUtf8 { byte, is_cut });
        assert_eq!(Text::check(b"abcd\xff"), not_utf8(5, false));
        assert_eq!(Text::check(b"\xc0\x80"), not_utf8(1, false));
        assert_eq!(Text::check(b"ab\xed\xa0\x80"), not_utf8(3, true));
        assert_eq!(Text::check(b"ab\xe2\x82"), not_utf8(3, true));
        assert_eq!(Text::check(b"ab\xe2\x82 c"), not_utf8(3, true));
    }

    #[test]
    fn the_last_character_is_what_a_person_sees() {
        for (line, last) in [
            ("", ""),
            ("ab", "b"),
            ("한글", "글"),
            ("ze\u{301}", "e\u{301}"),
            ("a👩\u{200d}👩\u{200d}👧", "👩\u{200d}👩\u{200d}👧"),
            ("a\u{1b}", "\u{1b}"),
        ] {
            assert_eq!(last_character_bytes(line.as_bytes()), last.len(), "{line}");
        }
        assert_eq!(last_character_bytes(b"a\xe2\x82"), 2);
        assert_eq!(last_character_bytes(b"a\x82"), 1);
        let marks = format!("a{}", "\u{301}".repeat(100));
        assert_eq!(last_character_bytes(marks.as_bytes()), CHARACTER_BYTES_MAX);
    }
}
