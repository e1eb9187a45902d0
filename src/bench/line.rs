//! The lines of a run: how they are written, and how received lines are read. Bytes only: no socket, no clock.
//!
//! A line is `b`, the number of the run, its sender, its own number, the time at which it was due, and dots up to the
//! size that the plan asks for. Numbers have six bits a digit, so that any server takes them as text and they are short.

use super::plan::Protocol;
use crate::protocol::{self, Notice};

/// Digits of the run's number, which distinguishes its lines from those of other runs and of people.
const RUN_DIGITS: usize = 4;
const SENDER_DIGITS: usize = 3;
const NUMBER_DIGITS: usize = 6;
/// Enough for three days of nanoseconds.
const TIME_DIGITS: usize = 8;

const RUN_AT: usize = 1;
const SENDER_AT: usize = RUN_AT + RUN_DIGITS;
const NUMBER_AT: usize = SENDER_AT + SENDER_DIGITS;
const TIME_AT: usize = NUMBER_AT + NUMBER_DIGITS;
const FILLING_AT: usize = TIME_AT + TIME_DIGITS;

/// The shortest line that holds all of this, in bytes without its end.
pub const LINE_BYTES_MIN: usize = FILLING_AT;

/// How many senders a line can distinguish.
pub const SENDERS_MAX: u32 = 1 << (6 * SENDER_DIGITS);

/// The number of a probe: a line that only finds out which connections the server has accepted, and is not counted.
pub const PROBE: u32 = u32::MAX;

const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
const NO_DIGIT: u8 = 0xFF;
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

fn put(into: &mut [u8], mut number: u64) {
    for digit in into.iter_mut().rev() {
        *digit = DIGITS[number as usize % DIGITS.len()];
        number /= DIGITS.len() as u64;
    }
}

fn get(digits: &[u8]) -> Option<u64> {
    let (mut number, mut wrong) = (0, 0);
    for &digit in digits {
        let value = VALUES[digit as usize];
        wrong |= value;
        number = number << 6 | u64::from(value);
    }
    (wrong != NO_DIGIT).then_some(number)
}

/// What a line of this run says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The number of its sender.
    pub sender: u32,
    /// How many lines the sender has said before, or [`PROBE`].
    pub number: u32,
    /// When it was due, in nanoseconds of the run.
    pub at_ns: u64,
}

/// A line from the server, by its first byte. What people say is not read any further, and need not be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `* text`.
    Notice(Notice<'a>),
    /// `! text`: the text.
    Refusal(&'a str),
    /// Any other line.
    Said(&'a [u8]),
}

impl<'a> Kind<'a> {
    /// Reads a line, given without its end.
    pub fn of(line: &'a [u8]) -> Kind<'a> {
        if !matches!(line.first(), Some(b'*' | b'!')) {
            return Kind::Said(line);
        }
        match std::str::from_utf8(line).map(protocol::Line::parse) {
            Ok(protocol::Line::Notice(text)) => Kind::Notice(Notice::parse(text)),
            Ok(protocol::Line::Refusal(text)) => Kind::Refusal(text),
            _ => Kind::Said(line),
        }
    }
}

/// A line that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A whole line of this run.
    Said(Said),
    /// A notice of the server.
    Notice(Notice<'a>),
    /// What the server refuses.
    Refusal(&'a str),
    /// A line that is not of this run, or is damaged.
    Foreign,
}

/// Writes and reads the lines of one run.
#[derive(Debug)]
pub struct Format {
    protocol: Protocol,
    /// A line with its run and filling, and without its numbers; ends with `\n`.
    blank: Vec<u8>,
}

impl Format {
    /// Lines of `line_bytes` (at least [`LINE_BYTES_MIN`]) without their end.
    pub fn new(protocol: Protocol, line_bytes: usize, run: u64) -> Format {
        let mut blank = vec![b'.'; line_bytes];
        blank[0] = b'b';
        put(&mut blank[RUN_AT..SENDER_AT], run);
        blank.push(b'\n');
        Format { protocol, blank }
    }

    /// Appends a line.
    pub fn write(&self, out: &mut Vec<u8>, said: Said) {
        let start = out.len();
        out.extend_from_slice(&self.blank);
        let line = &mut out[start..];
        put(&mut line[SENDER_AT..NUMBER_AT], said.sender.into());
        put(&mut line[NUMBER_AT..TIME_AT], said.number.into());
        put(&mut line[TIME_AT..FILLING_AT], said.at_ns);
    }

    /// Reads a line, given without its end.
    pub fn read<'a>(&self, line: &'a [u8]) -> Line<'a> {
        let bytes = self.blank.len() - 1;
        let text = match self.protocol {
            Protocol::Raw => line,
            Protocol::Madang => match Kind::of(line) {
                Kind::Notice(notice) => return Line::Notice(notice),
                Kind::Refusal(text) => return Line::Refusal(text),
                // `name: text`
                Kind::Said(line) => match line.len().checked_sub(bytes) {
                    Some(at) if line[..at].ends_with(b": ") => &line[at..],
                    _ => return Line::Foreign,
                },
            },
        };
        self.said(text).map_or(Line::Foreign, Line::Said)
    }

    fn said(&self, text: &[u8]) -> Option<Said> {
        let blank = &self.blank[..self.blank.len() - 1];
        if text.len() != blank.len()
            || text[..SENDER_AT] != blank[..SENDER_AT]
            || text[FILLING_AT..] != blank[FILLING_AT..]
        {
            return None;
        }
        Some(Said {
            sender: get(&text[SENDER_AT..NUMBER_AT])? as u32,
            number: u32::try_from(get(&text[NUMBER_AT..TIME_AT])?).ok()?,
            at_ns: get(&text[TIME_AT..FILLING_AT])?,
        })
    }
}

/// A received line for a terminal: what is not UTF-8 in it is replaced, and control characters are escaped.
pub fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(protocol: Protocol) -> Format {
        Format::new(protocol, 40, 77)
    }

    const SAID: Said = Said {
        sender: 262_143,
        number: u32::MAX - 1,
        at_ns: 86_400_000_000_123,
    };

    #[test]
    fn a_written_line_is_read_back() {
        let first = Said {
            sender: 0,
            number: 0,
            at_ns: 0,
        };
        for said in [SAID, first] {
            let mut out = b"guest1: ".to_vec();
            format(Protocol::Madang).write(&mut out, said);
            assert_eq!(out.len(), 8 + 40 + 1);
            assert_eq!(out.pop(), Some(b'\n'));
            assert_eq!(format(Protocol::Madang).read(&out), Line::Said(said));
            assert_eq!(format(Protocol::Raw).read(&out[8..]), Line::Said(said));
            assert_eq!(format(Protocol::Raw).read(&out), Line::Foreign);
            assert_eq!(format(Protocol::Madang).read(&out[8..]), Line::Foreign);
        }
    }

    #[test]
    fn a_damaged_line_or_one_of_another_run_is_foreign() {
        let format = format(Protocol::Raw);
        let mut out = Vec::new();
        format.write(&mut out, SAID);
        out.pop();
        for at in 0..out.len() {
            let mut damaged = out.clone();
            damaged[at] = b' ';
            assert_eq!(format.read(&damaged), Line::Foreign, "{at}");
        }
        assert_eq!(format.read(&out[1..]), Line::Foreign);
        let other = Format::new(Protocol::Raw, 40, 78);
        assert_eq!(other.read(&out), Line::Foreign);
    }

    #[test]
    fn lines_of_the_server_are_recognised() {
        let format = format(Protocol::Madang);
        let read = |line| format.read(line);
        assert_eq!(
            read(b"* 1,320 lines skipped: you are reading too slowly"),
            Line::Notice(Notice::Skipped { lines: 1320 })
        );
        assert_eq!(
            read(b"* joined: kim (1,204 here)"),
            Line::Notice(Notice::Joined {
                names: "kim",
                here: 1204
            })
        );
        assert_eq!(
            read(b"! server is full: 3"),
            Line::Refusal("server is full: 3")
        );
        let foreign: [&[u8]; 4] = [b"kim: hello", b"", b"*", b"* \xff"];
        for line in foreign {
            assert_eq!(read(line), Line::Foreign);
        }
    }
}
