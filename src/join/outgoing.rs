//! Lines on their way to the server, kept until they are written whole: a connection that is lost takes none of those
//! along that were not handed to the system. Writes them, and knows nothing of connections.

use memchr::{memchr, memchr_iter, memrchr};
use std::io::{self, Write};

/// Lines that wait.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Lines, each with its end; the first may be written in part.
    bytes: Vec<u8>,
    /// Of these, so many are written on this connection: no whole line.
    written: usize,
    /// Of the lines, so many bytes are for this connection only.
    first: usize,
    /// Only those are written for now.
    is_held: bool,
}

impl Outgoing {
    /// Puts a line behind the others.
    pub fn push(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
    }

    /// Puts bytes behind the others, wherever lines end in them.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts lines before the others, on a connection on which nothing was written yet, and for that connection only.
    pub fn push_first(&mut self, lines: &[String]) {
        debug_assert_eq!((self.written, self.first), (0, 0));
        let first = lines.iter().flat_map(|line| [line, "\n"]);
        let first: String = first.collect();
        self.first = first.len();
        self.bytes.splice(..0, first.bytes());
    }

    /// Holds the lines back that are not for this connection only, or lets them go.
    pub fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// What may be written now.
    fn due(&self) -> &[u8] {
        let end = if self.is_held {
            self.first.max(self.written)
        } else {
            self.bytes.len()
        };
        &self.bytes[self.written..end]
    }

    /// Whether anything may be written now.
    pub fn is_due(&self) -> bool {
        !self.due().is_empty()
    }

    /// Writes what can be written at once.
    ///
    /// # Errors
    /// See write(2); that nothing more can be written is none.
    pub fn write_to(&mut self, mut to: impl Write) -> io::Result<()> {
        while self.is_due() {
            match to.write(self.due()) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            let whole = if self.written == self.bytes.len() {
                self.written
            } else {
                memrchr(b'\n', &self.bytes[..self.written]).map_or(0, |end| end + 1)
            };
            self.bytes.drain(..whole);
            self.written -= whole;
            self.first = self.first.saturating_sub(whole);
        }
        Ok(())
    }

    /// The connection is lost: what was written of a line in part is written again.
    pub fn rewind(&mut self) {
        self.bytes.drain(..self.first);
        (self.written, self.first) = (0, 0);
    }

    /// Throws away all lines but those for this connection only, and one that is written in part; how many.
    pub fn discard(&mut self) -> usize {
        let begun = match self.written {
            0 => 0,
            written => memchr(b'\n', &self.bytes[written..])
                .map_or(self.bytes.len(), |end| written + end + 1),
        };
        let kept = self.first.max(begun);
        let lines = memchr_iter(b'\n', &self.bytes[kept..]).count();
        self.bytes.truncate(kept);
        lines
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Lines that wait.
    pub fn lines(&self) -> usize {
        memchr_iter(b'\n', &self.bytes).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes.
    struct Taker(usize, Vec<u8>);

    impl Write for Taker {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.0);
            if n == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.0 -= n;
            self.1.extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_counts_as_sent_when_it_is_written_whole() {
        let first = ["/nick kim".to_string()];
        for cut in 0..=24 {
            let mut outgoing = Outgoing::default();
            for line in ["one", "two", "three"] {
                outgoing.push(line);
            }
            outgoing.push_bytes(b"end");
            assert_eq!((outgoing.lines(), outgoing.bytes()), (3, 17));
            let [mut before, mut after] = [cut, usize::MAX].map(|most| Taker(most, Vec::new()));
            for taker in [&mut before, &mut after] {
                outgoing.push_first(&first);
                outgoing.write_to(&mut *taker).unwrap();
                outgoing.rewind();
            }
            assert!(outgoing.is_empty());
            let whole = before.1.iter().rposition(|&byte| byte == b'\n');
            let whole = before.1[..whole.map_or(0, |at| at + 1)].to_vec();
            let whole = whole.strip_prefix(b"/nick kim\n").unwrap_or_default();
            let all = [whole, after.1.strip_prefix(b"/nick kim\n").unwrap()].concat();
            assert_eq!(all, b"one\ntwo\nthree\nend", "cut at {cut}");
        }
    }

    #[test]
    fn what_is_held_waits_behind_what_is_for_this_connection() {
        let mut outgoing = Outgoing::default();
        outgoing.push("one");
        outgoing.push_first(&["/join garden".into()]);
        outgoing.hold(true);
        let mut taker = Taker(5, Vec::new());
        outgoing.write_to(&mut taker).unwrap();
        taker.0 = 99;
        outgoing.write_to(&mut taker).unwrap();
        outgoing.push("two");
        outgoing.write_to(&mut taker).unwrap();
        assert_eq!(taker.1, b"/join garden\n");
        assert!(!outgoing.is_due() && !outgoing.is_empty());
        let mut refused = Outgoing {
            bytes: outgoing.bytes.clone(),
            ..Outgoing::default()
        };
        assert_eq!((refused.discard(), refused.is_empty()), (2, true));
        outgoing.hold(false);
        outgoing.write_to(&mut taker).unwrap();
        assert_eq!(taker.1, b"/join garden\none\ntwo\n");
    }

    #[test]
    fn a_line_that_is_written_in_part_is_not_thrown_away() {
        for written in 0..4 {
            let mut outgoing = Outgoing::default();
            outgoing.push("one");
            outgoing.push("two");
            let mut taker = Taker(written, Vec::new());
            outgoing.write_to(&mut taker).unwrap();
            outgoing.hold(true);
            assert_eq!(outgoing.discard(), if written == 0 { 2 } else { 1 });
            outgoing.hold(false);
            taker.0 = 99;
            outgoing.write_to(&mut taker).unwrap();
            let whole: &[u8] = if written == 0 { b"" } else { b"one\n" };
            assert_eq!(taker.1, whole);
        }
    }
}
