//! Lines that end with CR LF, for a telnet client: its terminal would draw stairs otherwise. The log is shared and its
//! lines end with LF, so they are copied, just before they are written, with a CR before each LF. Knows no log and no
//! outbox: it sees the bytes that are next, and tells how many of them have been written.

use crate::hub::limits::TELNET_WRITE_BYTES_MAX;
use std::io::IoSlice;

const IAC: u8 = 255;
/// Bytes of an answer to a telnet negotiation, which are no text.
const ANSWER_BYTES: u8 = 3;

/// What has been written to a client besides whole bytes of its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crlf {
    /// Nothing.
    #[default]
    Text,
    /// The CR of the LF that is next.
    CrWritten,
    /// The beginning of an answer, of which so many bytes are next.
    Answer(u8),
}

impl Crlf {
    /// Replaces the slices of `plain` by one of `written`, into which what to write is put. Returns how many slices that is.
    pub fn output<'a>(self, plain: &mut [IoSlice<'a>], written: &'a mut Vec<u8>) -> usize {
        self.write(plain, written);
        let Some(first) = plain.first_mut() else {
            return 0;
        };
        *first = IoSlice::new(written);
        1
    }

    /// Puts into `written` what to write: `plain` with CRs, as far as there is space.
    fn write(self, plain: &[IoSlice<'_>], written: &mut Vec<u8>) {
        written.clear();
        let mut state = self;
        state.walk(plain, |piece| {
            let n = piece.len().min(TELNET_WRITE_BYTES_MAX - written.len());
            written.extend_from_slice(&piece[..n]);
            n
        });
    }

    /// The first `n` bytes of what to write have been written. Returns how many bytes of `plain` that is.
    pub fn sent(&mut self, plain: &[IoSlice<'_>], n: usize) -> usize {
        let mut left = n;
        self.walk(plain, |piece| {
            let n = piece.len().min(left);
            left -= n;
            n
        })
    }

    /// Hands what to write to `write`, piece by piece, until that takes less than a whole piece. Returns how many bytes of
    /// `plain` it has taken.
    fn walk(&mut self, plain: &[IoSlice<'_>], mut write: impl FnMut(&[u8]) -> usize) -> usize {
        let mut taken = 0;
        for slice in plain {
            let mut rest = &**slice;
            while let Some(&first) = rest.first() {
                if first == b'\n' && *self == Crlf::Text {
                    if write(b"\r") == 0 {
                        return taken;
                    }
                    *self = Crlf::CrWritten;
                }
                let piece = &rest[..self.piece_bytes(rest)];
                let n = write(piece);
                if n > 0 {
                    *self = self.after(first, n);
                }
                taken += n;
                if n < piece.len() {
                    return taken;
                }
                rest = &rest[n..];
            }
        }
        taken
    }

    /// How many bytes at the front of `rest` are written as they are.
    fn piece_bytes(self, rest: &[u8]) -> usize {
        match (self, rest[0]) {
            (Crlf::CrWritten, _) => 1,
            (Crlf::Answer(left), _) => rest.len().min(usize::from(left)),
            (Crlf::Text, IAC) => rest.len().min(usize::from(ANSWER_BYTES)),
            (Crlf::Text, _) => memchr::memchr2(b'\n', IAC, rest).unwrap_or(rest.len()),
        }
    }

    /// After `n` bytes of a piece that begins with `first`.
    fn after(self, first: u8, n: usize) -> Crlf {
        let left = match self {
            Crlf::Answer(left) => left,
            Crlf::Text if first == IAC => ANSWER_BYTES,
            Crlf::Text | Crlf::CrWritten => return Crlf::Text,
        };
        match left - n as u8 {
            0 => Crlf::Text,
            left => Crlf::Answer(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes all of `plain`, which the client takes `sizes` bytes at a time and gets cut into slices of `slice` bytes.
    fn written(plain: &[u8], sizes: &[usize], slice: usize) -> Vec<u8> {
        let (mut crlf, mut rest, mut all) = (Crlf::default(), plain, Vec::new());
        let mut buffer = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let slices: Vec<IoSlice<'_>> = rest.chunks(slice).take(4).map(IoSlice::new).collect();
            crlf.write(&slices, &mut buffer);
            assert!(buffer.len() <= TELNET_WRITE_BYTES_MAX && !buffer.is_empty());
            let n = buffer.len().min(*size);
            all.extend_from_slice(&buffer[..n]);
            rest = &rest[crlf.sent(&slices, n)..];
        }
        assert_eq!(crlf, Crlf::Text);
        all
    }

    #[test]
    fn every_line_ends_with_crlf_however_little_is_written_at_a_time() {
        // An answer may contain an LF, which is the number of an option.
        let plain = b"* hello\nkim: one\n\xff\xfc\n\xff\xfc\x01two\n\n\xff\xfe\xff\n";
        let want = b"* hello\r\nkim: one\r\n\xff\xfc\n\xff\xfc\x01two\r\n\r\n\xff\xfe\xff\r\n";
        for first in 0..5 {
            for second in 1..5 {
                for slice in 1..9 {
                    assert_eq!(written(plain, &[first, second], slice), want);
                }
            }
        }
    }

    #[test]
    fn a_write_is_bounded() {
        let plain = b"\n".repeat(3 * TELNET_WRITE_BYTES_MAX);
        let got = written(&plain, &[usize::MAX], usize::MAX);
        assert_eq!(got, b"\r\n".repeat(3 * TELNET_WRITE_BYTES_MAX));
    }
}
