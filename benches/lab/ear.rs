//! How a client of the load listens: bytes in, counts out. No socket is touched here, and no time is taken.

use std::time::Instant;

use memchr::{memchr, memchr_iter};

/// One client's listening. The load hands over whatever a `read` brought, cut anywhere.
pub(crate) trait Ear: Default {
    /// Takes in the next bytes, which arrived at `now`, and says how many said lines they completed.
    fn hear(&mut self, now: Instant, bytes: &[u8]) -> u64;
}

/// A line from the server, told apart by how it begins (protocol version 1).
pub(crate) enum Line<'a> {
    /// `guest1: text`: somebody said the text.
    Said(&'a [u8]),
    /// `* 132 lines skipped: …`: so many lines will never come.
    Skipped(u64),
    /// Any other `* …`: a greeting, or who came and went.
    Notice,
    /// `! …`: something was refused.
    Refusal,
}

impl<'a> Line<'a> {
    /// Reads a line without its newline.
    pub(crate) fn read(line: &'a [u8]) -> Self {
        match line.first() {
            Some(b'*') => skipped_count(line).map_or(Line::Notice, Line::Skipped),
            Some(b'!') => Line::Refusal,
            _ => Line::Said(line),
        }
    }
}

/// The number in `* 1,320 lines skipped: …`.
fn skipped_count(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("* ")?;
    let (count, rest) = text.split_once(' ')?;
    rest.starts_with("lines skipped")
        .then(|| count.replace(',', "").parse().ok())?
}

/// Puts lines together again that were cut between two reads.
#[derive(Default)]
pub(crate) struct Lines {
    /// The beginning of a line whose newline has not come yet; never holds a newline.
    begun: Vec<u8>,
}

impl Lines {
    /// Calls `take` with each line that `bytes` complete, without its newline.
    pub(crate) fn complete(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        let mut start = 0;
        for newline in memchr_iter(b'\n', bytes) {
            if self.begun.is_empty() {
                take(&bytes[start..newline]);
            } else {
                self.begun.extend_from_slice(&bytes[start..newline]);
                take(&self.begun);
                self.begun.clear();
            }
            start = newline + 1;
        }
        self.begun.extend_from_slice(&bytes[start..]);
    }
}

/// Counts lines by kind.
#[derive(Default)]
pub(crate) struct Tally {
    /// Lines that somebody said.
    pub(crate) said: u64,
    /// Bytes of all lines, newlines included.
    pub(crate) bytes: u64,
    lines: Lines,
}

impl Ear for Tally {
    fn hear(&mut self, _now: Instant, bytes: &[u8]) -> u64 {
        let before = self.said;
        self.bytes += bytes.len() as u64;
        self.lines.complete(bytes, |line| {
            self.said += u64::from(matches!(Line::read(line), Line::Said(_)));
        });
        self.said - before
    }
}

/// Stands once in every text that is counted or timed, and in nothing else that a server sends. In the latter case it
/// begins a stamp: the digits that follow, up to whatever is no digit.
pub(crate) const MARK: u8 = b'^';

/// Counts marked texts, whatever protocol they are wrapped in.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) heard: u64,
}

impl Ear for Count {
    fn hear(&mut self, _now: Instant, bytes: &[u8]) -> u64 {
        let heard = memchr_iter(MARK, bytes).count() as u64;
        self.heard += heard;
        heard
    }
}

/// Hears only stamped texts (`guest2: ^12345`), in whatever else there is, at the cost of one `memchr` over it all.
#[derive(Default)]
pub(crate) struct StampEar {
    /// The stamps in order of arrival, each with the moment when its end had come.
    pub(crate) heard: Vec<(u64, Instant)>,
    /// A stamp whose end has not come yet, without its mark; `None` outside a stamp.
    begun: Option<Vec<u8>>,
}

impl Ear for StampEar {
    fn hear(&mut self, now: Instant, mut bytes: &[u8]) -> u64 {
        let before = self.heard.len();
        loop {
            let Some(digits) = &mut self.begun else {
                let Some(mark) = memchr(MARK, bytes) else {
                    break;
                };
                self.begun = Some(Vec::new());
                bytes = &bytes[mark + 1..];
                continue;
            };
            let end = bytes.iter().position(|byte| !byte.is_ascii_digit());
            digits.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else { break };
            self.heard.extend(parse(digits).map(|stamp| (stamp, now)));
            self.begun = None;
            bytes = &bytes[end..];
        }
        (self.heard.len() - before) as u64
    }
}

fn parse(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
