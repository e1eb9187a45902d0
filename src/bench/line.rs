//! What a line of the run carries, and what a line that was received is. Bytes only: no socket, no clock.
//!
//! A line is `b`, the run, its sender, its number, the time at which it was to be sent, and dots up to the size that was
//! asked for. Numbers have six bits a digit, so that they are text to any server and short.

use super::plan::Protocol;

/// Digits of the run's number: lines of another run, or of people, are told apart by it.
const RUN_DIGITS: usize = 4;
/// Digits of the sender's number.
pub const SENDER_DIGITS: usize = 3;
const NUMBER_DIGITS: usize = 6;
/// Enough for three days of nanoseconds.
const TIME_DIGITS: usize = 8;

const RUN_AT: usize = 1;
const SENDER_AT: usize = RUN_AT + RUN_DIGITS;
const NUMBER_AT: usize = SENDER_AT + SENDER_DIGITS;
const TIME_AT: usize = NUMBER_AT + NUMBER_DIGITS;
const FILLING_AT: usize = TIME_AT + TIME_DIGITS;

/// The shortest line, in bytes without its end, that has room for all of this.
pub const LINE_BYTES_MIN: usize = FILLING_AT;

/// The number of a line that only asks who is there already, and counts for nothing.
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

/// What stands in a line of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which sender said it.
    pub sender: u32,
    /// How many it had said before, or [`PROBE`].
    pub number: u32,
    /// When it was to be sent, in nanoseconds of the run.
    pub at_ns: u64,
}

/// A line that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line of this run, whole.
    Said(Said),
    /// So many lines were taken from this connection here.
    Skipped(u64),
    /// The server refuses something.
    Refusal,
    /// Another notice of the server.
    Notice,
    /// Somebody else's, or not whole.
    Strange,
}

/// Writes and reads the lines of one run.
#[derive(Debug)]
pub struct Form {
    protocol: Protocol,
    /// A line with its run and filling, and without its numbers; ends with `\n`.
    blank: Vec<u8>,
}

impl Form {
    /// Lines of `line_bytes` (at least [`LINE_BYTES_MIN`]) without their end.
    pub fn new(protocol: Protocol, line_bytes: usize, run: u64) -> Form {
        let mut blank = vec![b'.'; line_bytes];
        blank[0] = b'b';
        put(&mut blank[RUN_AT..SENDER_AT], run);
        blank.push(b'\n');
        Form { protocol, blank }
    }

    /// Bytes of a line with its end.
    pub fn bytes(&self) -> usize {
        self.blank.len()
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
    pub fn read(&self, line: &[u8]) -> Line {
        let bytes = self.blank.len() - 1;
        let before = match (self.protocol, line.first()) {
            (Protocol::Raw, _) => 0,
            (Protocol::Madang, Some(b'*')) => {
                return skipped(line).map_or(Line::Notice, Line::Skipped);
            }
            (Protocol::Madang, Some(b'!')) => return Line::Refusal,
            (Protocol::Madang, _) => line.len().saturating_sub(bytes),
        };
        let (name, text) = line.split_at(before);
        let named = self.protocol == Protocol::Raw || name.ends_with(b": ");
        if !named || text.len() != bytes {
            return Line::Strange;
        }
        self.said(text).map_or(Line::Strange, Line::Said)
    }

    fn said(&self, text: &[u8]) -> Option<Said> {
        let blank = &self.blank[..text.len()];
        if text[..SENDER_AT] != blank[..SENDER_AT] || text[FILLING_AT..] != blank[FILLING_AT..] {
            return None;
        }
        Some(Said {
            sender: get(&text[SENDER_AT..NUMBER_AT])? as u32,
            number: u32::try_from(get(&text[NUMBER_AT..TIME_AT])?).ok()?,
            at_ns: get(&text[TIME_AT..FILLING_AT])?,
        })
    }
}

/// The number in `* 132 lines skipped: you are reading too slowly`.
fn skipped(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let (count, _) = text.strip_prefix("* ")?.split_once(" lines skipped: ")?;
    count.parse::<u32>().ok().map(u64::from)
}

/// The number in `… (1,204 here)` or `… (1,204 here); …`: how many are in the room.
pub fn here(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    let (before, _) = text.rsplit_once(" here)")?;
    let (_, count) = before.rsplit_once('(')?;
    count.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(protocol: Protocol) -> Form {
        Form::new(protocol, 40, 77)
    }

    const SAID: Said = Said {
        sender: 262_143,
        number: u32::MAX - 1,
        at_ns: 86_400_000_000_123,
    };

    #[test]
    fn what_is_written_is_read_again() {
        for said in [
            SAID,
            Said {
                sender: 0,
                number: 0,
                at_ns: 0,
            },
        ] {
            let mut out = b"guest1: ".to_vec();
            form(Protocol::Madang).write(&mut out, said);
            assert_eq!(out.len(), 8 + form(Protocol::Madang).bytes());
            assert_eq!(out.pop(), Some(b'\n'));
            assert_eq!(form(Protocol::Madang).read(&out), Line::Said(said));
            assert_eq!(form(Protocol::Raw).read(&out[8..]), Line::Said(said));
            assert_eq!(form(Protocol::Raw).read(&out), Line::Strange);
            assert_eq!(form(Protocol::Madang).read(&out[8..]), Line::Strange);
        }
    }

    #[test]
    fn a_line_with_a_damaged_byte_is_no_line_of_the_run() {
        let form = form(Protocol::Raw);
        let mut out = Vec::new();
        form.write(&mut out, SAID);
        out.pop();
        for at in 0..out.len() {
            let mut damaged = out.clone();
            damaged[at] = b' ';
            assert_eq!(form.read(&damaged), Line::Strange, "{at}");
        }
        assert_eq!(form.read(&out[1..]), Line::Strange);
        let other = Form::new(Protocol::Raw, 40, 78);
        assert_eq!(other.read(&out), Line::Strange);
    }

    #[test]
    fn notices_are_told_apart() {
        let read = |line: &str| form(Protocol::Madang).read(line.as_bytes());
        assert_eq!(
            read("* 132 lines skipped: you are reading too slowly"),
            Line::Skipped(132)
        );
        assert_eq!(read("* joined: kim (2 here)"), Line::Notice);
        assert_eq!(read("! server is full: 3"), Line::Refusal);
        assert_eq!(read("kim: hello"), Line::Strange);
        assert_eq!(read(""), Line::Strange);
        assert_eq!(here(b"* 37 joined, 5 left (1,204 here)"), Some(1204));
        assert_eq!(
            here(b"* you are a in b (7 here); /help lists commands"),
            Some(7)
        );
        assert_eq!(here(b"* nobody"), None);
    }
}
