//! What clients make of the bytes that they receive: counts and times. No socket is touched here.

use memchr::{memchr, memchr_iter};

/// The state of one client, which its connection's bytes change.
pub(crate) trait Decoder: Default {
    /// Reads the next bytes, cut anywhere, which arrived at `at_ns` on the load's clock. Returns how many lines that a
    /// client has said they complete.
    fn decode(&mut self, at_ns: u64, bytes: &[u8]) -> u64;
}

/// Occurs once in every text that is counted or timed, and in nothing else that a server sends. In the latter case it
/// begins a stamp: the digits that follow, up to another byte.
pub(crate) const MARK: u8 = b'^';

/// A text of so many bytes that begins with the mark.
pub(crate) fn marked(bytes: usize) -> String {
    format!("{}{}", MARK as char, "m".repeat(bytes - 1))
}

/// Counts marked texts, in any protocol.
#[derive(Default)]
pub(crate) struct Count {
    /// Marked texts received.
    pub(crate) texts: u64,
    /// Bytes received.
    pub(crate) bytes: u64,
}

impl Decoder for Count {
    fn decode(&mut self, _at_ns: u64, bytes: &[u8]) -> u64 {
        let texts = memchr_iter(MARK, bytes).count() as u64;
        self.texts += texts;
        self.bytes += bytes.len() as u64;
        texts
    }
}

/// Records stamped texts (`guest2: ^12345`), in any protocol, at the cost of one `memchr` over the bytes.
#[derive(Default)]
pub(crate) struct Stamps {
    /// The stamps in order of arrival, each with the time at which it was complete.
    pub(crate) received: Vec<(u64, u64)>,
    /// The beginning of a stamp, without its mark; `None` outside a stamp.
    begun: Option<Vec<u8>>,
}

impl Decoder for Stamps {
    fn decode(&mut self, at_ns: u64, mut bytes: &[u8]) -> u64 {
        let before = self.received.len();
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
            let stamp = std::str::from_utf8(digits).ok();
            let stamp = stamp.and_then(|digits| digits.parse().ok());
            self.received.extend(stamp.map(|stamp| (stamp, at_ns)));
            self.begun = None;
            bytes = &bytes[end..];
        }
        (self.received.len() - before) as u64
    }
}
