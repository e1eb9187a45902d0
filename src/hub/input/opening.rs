//! What a connection begins with, until its first line is known: a byte order mark, which goes, or another protocol. Looks at
//! text before it is cut into lines, so that nothing of another protocol is ever said. Each byte is looked at once.

use super::frame::Frame;
use super::sniff::{self, HEAD_BYTES, Protocol};
use super::telnet::Negotiation;

/// U+FEFF in UTF-8: some editors and shells of Windows begin a text with it.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Options from this number on have hardly ever been used, and none is refused before it is offered.
const OPTIONS_IN_USE: u8 = 64;

/// What is known of the start of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opening {
    /// Nothing has come but a part of a byte order mark.
    Start,
    /// A telnet DONT has come, and nothing else. A client cannot know yet of an option that it does not want; the same
    /// bytes begin a text in UTF-16 with a byte order mark, FF FE.
    AfterDont,
    /// The first line that is not empty has not been seen whole.
    FirstLine,
    /// The first line is this protocol's, or it is not looked for.
    #[default]
    Over,
}

impl Opening {
    /// An option was negotiated. Returns another protocol if this shows it.
    pub fn negotiated(&mut self, negotiation: Negotiation) -> Option<Protocol> {
        let is_first = std::mem::replace(self, Opening::FirstLine) == Opening::Start;
        if !is_first || !negotiation.is_dont() {
            return None;
        }
        *self = Opening::AfterDont;
        (negotiation.option >= OPTIONS_IN_USE).then_some(Protocol::Utf16)
    }

    /// Looks at text that follows the unfinished line of `frame`, and removes a byte order mark from both. Returns another
    /// protocol if its first line shows it.
    pub fn text(
        &mut self,
        frame: &mut Frame,
        text: &mut &[u8],
        line_bytes_max: usize,
    ) -> Option<Protocol> {
        match self {
            Opening::Over => return None,
            Opening::AfterDont => {
                *self = Opening::FirstLine;
                if matches!(text.first(), Some(0 | 0x80..)) {
                    return Some(Protocol::Utf16);
                }
            }
            Opening::Start if !remove_byte_order_mark(frame, text) => {}
            Opening::Start | Opening::FirstLine => *self = Opening::FirstLine,
        }
        let begun = frame.partial();
        let (blank, line) = text.split_at(match begun {
            [] => blank_bytes(text, frame.is_after_cr()),
            _ => 0,
        });
        let end = memchr::memchr2(b'\r', b'\n', line);
        let more = &line[..end.unwrap_or(line.len())];
        let more = &more[..more.len().min(line_bytes_max.saturating_sub(begun.len()))];
        let is_whole = end == Some(more.len());
        if end.is_some() || more.len() < line.len() {
            *self = Opening::Over;
        }
        let head = &begun[..begun.len().min(HEAD_BYTES)];
        if more.iter().chain(head).any(|&byte| sniff::is_binary(byte)) {
            let head: Vec<u8> = begun.iter().chain(more).take(HEAD_BYTES).copied().collect();
            let after_lf = frame.line_ends().have_lf() || blank.contains(&b'\n');
            return sniff::binary(&head, is_whole, after_lf);
        }
        if !is_whole {
            return None;
        }
        sniff::text(&[begun, more].concat(), line[more.len()] == b'\r')
    }

    /// The unfinished first line counts as a line. Returns another protocol if it shows it.
    pub fn end(&mut self, line: &[u8]) -> Option<Protocol> {
        if std::mem::take(self) == Opening::Over {
            return None;
        }
        let head = &line[..line.len().min(HEAD_BYTES)];
        if head.iter().any(|&byte| sniff::is_binary(byte)) {
            return sniff::binary(head, true, false);
        }
        sniff::text(line, false)
    }
}

/// Removes a byte order mark of which the first bytes may be in `frame`. Returns whether it is known if there is one.
fn remove_byte_order_mark(frame: &mut Frame, text: &mut &[u8]) -> bool {
    let begun = frame.partial();
    let Some(missing) = BYTE_ORDER_MARK.strip_prefix(begun) else {
        return true;
    };
    if let Some(rest) = text.strip_prefix(missing) {
        frame.erase_line();
        *text = rest;
        return true;
    }
    !missing.starts_with(text)
}

/// How many bytes at the front of `text` end empty lines.
fn blank_bytes(text: &[u8], after_cr: bool) -> usize {
    let mut after_cr = after_cr;
    let line = text.iter().position(|&byte| {
        let is_blank = matches!(byte, b'\r' | b'\n') || byte == 0 && after_cr;
        after_cr = byte == b'\r';
        !is_blank
    });
    line.unwrap_or(text.len())
}
