//! Lines for the server, kept until the kernel has taken all of a line's bytes: no other line is lost with a connection.
//! Writes to any writer; knows nothing of connections.

use memchr::{memchr, memchr_iter, memrchr};
use std::io::{self, Write};

/// Lines to be sent.
#[derive(Debug, Default)]
pub struct SendQueue {
    /// The setup lines (see [`SendQueue::push_setup`]), then all others, each with its LF.
    bytes: Vec<u8>,
    /// Bytes of the first line that are written on this connection: less than the line.
    written: usize,
    /// Bytes of the setup lines.
    setup: usize,
    /// Only setup lines, and a line that is written in part, may be written for now.
    is_held: bool,
}

impl SendQueue {
    /// Appends a line.
    pub fn push(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
    }

    /// Appends bytes, wherever lines end in them.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts the lines that set up this connection before all others. To be called before anything is written on it; when
    /// the connection is lost, what is left of these lines is dropped.
    pub fn push_setup(&mut self, lines: &[String]) {
        debug_assert_eq!((self.written, self.setup), (0, 0));
        let setup = lines.iter().flat_map(|line| [line, "\n"]);
        let setup: String = setup.collect();
        self.setup = setup.len();
        self.bytes.splice(..0, setup.bytes());
    }

    /// Whether to hold back all lines but the setup lines.
    pub fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// The bytes that may be written now.
    fn sendable(&self) -> &[u8] {
        let end = if self.is_held {
            self.setup.max(self.written)
        } else {
            self.bytes.len()
        };
        &self.bytes[self.written..end]
    }

    /// Whether any bytes may be written now.
    pub fn has_sendable(&self) -> bool {
        !self.sendable().is_empty()
    }

    /// Writes as much as the writer takes without blocking.
    ///
    /// # Errors
    /// See write(2). `WouldBlock` is no error.
    pub fn write_to(&mut self, mut to: impl Write) -> io::Result<()> {
        while self.has_sendable() {
            match to.write(self.sendable()) {
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
            self.setup = self.setup.saturating_sub(whole);
        }
        Ok(())
    }

    /// The connection is lost: a line that was written in part will be written again from its start.
    pub fn rewind(&mut self) {
        self.bytes.drain(..self.setup);
        (self.written, self.setup) = (0, 0);
    }

    /// Drops all lines but the setup lines and a line that is written in part. Returns how many were dropped.
    pub fn discard(&mut self) -> usize {
        let partial = match self.written {
            0 => 0,
            written => memchr(b'\n', &self.bytes[written..])
                .map_or(self.bytes.len(), |end| written + end + 1),
        };
        let kept = self.setup.max(partial);
        let lines = memchr_iter(b'\n', &self.bytes[kept..]).count();
        self.bytes.truncate(kept);
        lines
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes in the queue.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Lines in the queue.
    pub fn lines(&self) -> usize {
        memchr_iter(b'\n', &self.bytes).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that takes this many bytes, then blocks.
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
    fn a_line_written_in_part_is_sent_again_on_the_next_connection() {
        let setup = ["/nick kim".to_string()];
        for cut in 0..=24 {
            let mut queue = SendQueue::default();
            for line in ["one", "two", "three"] {
                queue.push(line);
            }
            queue.push_bytes(b"end");
            assert_eq!((queue.lines(), queue.bytes()), (3, 17));
            let [mut before, mut after] = [cut, usize::MAX].map(|most| Taker(most, Vec::new()));
            for taker in [&mut before, &mut after] {
                queue.push_setup(&setup);
                queue.write_to(&mut *taker).unwrap();
                queue.rewind();
            }
            assert!(queue.is_empty());
            let whole = before.1.iter().rposition(|&byte| byte == b'\n');
            let whole = before.1[..whole.map_or(0, |at| at + 1)].to_vec();
            let whole = whole.strip_prefix(b"/nick kim\n").unwrap_or_default();
            let all = [whole, after.1.strip_prefix(b"/nick kim\n").unwrap()].concat();
            assert_eq!(all, b"one\ntwo\nthree\nend", "cut at {cut}");
        }
    }

    #[test]
    fn held_lines_wait_while_setup_lines_are_sent() {
        let mut queue = SendQueue::default();
        queue.push("one");
        queue.push_setup(&["/join garden".into()]);
        queue.hold(true);
        let mut taker = Taker(5, Vec::new());
        queue.write_to(&mut taker).unwrap();
        taker.0 = 99;
        queue.write_to(&mut taker).unwrap();
        queue.push("two");
        queue.write_to(&mut taker).unwrap();
        assert_eq!(taker.1, b"/join garden\n");
        assert!(!queue.has_sendable() && !queue.is_empty());
        let mut refused = SendQueue {
            bytes: queue.bytes.clone(),
            ..SendQueue::default()
        };
        assert_eq!((refused.discard(), refused.is_empty()), (2, true));
        queue.hold(false);
        queue.write_to(&mut taker).unwrap();
        assert_eq!(taker.1, b"/join garden\none\ntwo\n");
    }

    #[test]
    fn a_line_written_in_part_is_not_discarded() {
        for written in 0..4 {
            let mut queue = SendQueue::default();
            queue.push("one");
            queue.push("two");
            let mut taker = Taker(written, Vec::new());
            queue.write_to(&mut taker).unwrap();
            queue.hold(true);
            assert_eq!(queue.discard(), if written == 0 { 2 } else { 1 });
            queue.hold(false);
            taker.0 = 99;
            queue.write_to(&mut taker).unwrap();
            let whole: &[u8] = if written == 0 { b"" } else { b"one\n" };
            assert_eq!(taker.1, whole);
        }
    }
}
