//! Lines for the server, kept until the kernel has taken all of a line's bytes: no other line is lost with a connection.
//! A request for a name or a room is kept until the server has answered it, and the lines after it wait for the answer, so
//! that nothing is said under another name or in another room than asked for. Writes to any writer; knows nothing of
//! connections.

use super::request::{Answer, Request};
use memchr::{memchr, memchr_iter, memrchr};
use std::io::{self, Write};

/// A line that is not finished is held back up to this length, in case it becomes a request.
const PARTIAL_REQUEST_BYTES_MAX: usize = 4096;

/// Lines to be sent.
#[derive(Debug, Default)]
pub struct SendQueue {
    /// The setup lines (see [`SendQueue::push_setup`]), then all others, each with its LF.
    bytes: Vec<u8>,
    /// Bytes that the writer has taken on this connection. If all of them are with the kernel, they are of the first line
    /// and less than it, unless it is a request.
    written: usize,
    /// The writer keeps some of them, as TLS does with a record that the socket has not taken.
    is_unflushed: bool,
    /// Bytes of the setup lines.
    setup: usize,
    /// Nothing may be written for now.
    is_held: bool,
    /// The bytes begin within a line.
    is_mid_line: bool,
    /// Bytes that have been searched for a request: whole lines, up to the end of `request` if there is one.
    searched: usize,
    /// The first request, and where its line begins: it ends at `searched`.
    request: Option<(usize, Request)>,
}

impl SendQueue {
    /// Appends a line.
    pub fn push(&mut self, line: &str) {
        self.push_bytes(line.as_bytes());
        self.push_bytes(b"\n");
    }

    /// Appends bytes, wherever lines end in them.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.search();
    }

    /// Ends a line that is not finished.
    pub fn end_line(&mut self) {
        let is_whole = self
            .bytes
            .last()
            .map_or(!self.is_mid_line, |&byte| byte == b'\n');
        if !is_whole {
            self.push_bytes(b"\n");
        }
    }

    /// Puts the lines that set up this connection before all others. To be called before anything is written on it; when
    /// the connection is lost, what is left of these lines is dropped.
    pub fn push_setup(&mut self, lines: &[String]) {
        debug_assert_eq!((self.written, self.setup), (0, 0));
        let setup = lines.iter().flat_map(|line| [line, "\n"]);
        let setup: String = setup.collect();
        self.setup = setup.len();
        self.bytes.splice(..0, setup.bytes());
        (self.searched, self.request) = (0, None);
        self.search();
    }

    /// Puts the line that says the password before all others. To be called before anything else is written on this connection;
    /// the line is one of those that set it up.
    pub fn push_password(&mut self, line: &str) {
        debug_assert_eq!(self.written, 0);
        let line = format!("{line}\n");
        self.bytes.splice(..0, line.bytes());
        self.setup += line.len();
        (self.searched, self.request) = (0, None);
        self.search();
    }

    /// Whether the password is what may be written next, or has been.
    pub fn is_password_next(&self) -> bool {
        self.request == Some((0, Request::Password))
    }

    /// Puts a question of the client's own before the lines that wait for an answer, so that it is not discarded with them.
    pub fn ask(&mut self, line: &str) {
        if self.written > self.setup {
            return self.push(line);
        }
        let line = format!("{line}\n");
        self.bytes.splice(self.setup..self.setup, line.bytes());
        self.setup += line.len();
        (self.searched, self.request) = (0, None);
        self.search();
    }

    /// Whether to hold back all lines.
    pub fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// The request that has been sent, and that the server has not answered.
    pub fn unanswered(&self) -> Option<Request> {
        let (_, request) = self.request?;
        (self.written == self.searched && !self.is_unflushed).then_some(request)
    }

    /// Takes an answer of the server's: if it is to the request, the lines after that may be sent. Returns the
    /// request, and whether it was a setup line.
    pub fn answered(&mut self, answer: Answer) -> Option<(Request, bool)> {
        let request = self.unanswered()?;
        if !answer.is_to(request, &self.bytes[..self.written]) {
            return None;
        }
        let is_setup = self.setup > 0;
        self.forget(self.written);
        self.search();
        Some((request, is_setup))
    }

    /// Finds the first request.
    fn search(&mut self) {
        while self.request.is_none()
            && let Some(end) = memchr(b'\n', &self.bytes[self.searched..])
        {
            let start = self.searched;
            self.searched += end + 1;
            if start > 0 || !self.is_mid_line {
                let request = Request::of(&self.bytes[start..self.searched]);
                self.request = request.map(|request| (start, request));
            }
        }
    }

    /// Drops the first bytes, which have been dealt with.
    fn forget(&mut self, bytes: usize) {
        if let Some(last) = bytes.checked_sub(1) {
            self.is_mid_line = self.bytes[last] != b'\n';
        }
        self.bytes.drain(..bytes);
        self.written -= bytes;
        self.setup = self.setup.saturating_sub(bytes);
        self.request = match self.request {
            Some((start, request)) if start >= bytes => Some((start - bytes, request)),
            _ => None,
        };
        self.searched = self.searched.saturating_sub(bytes);
    }

    /// The bytes that may be written now.
    fn sendable(&self) -> &[u8] {
        let partial = &self.bytes[self.searched..];
        let may_be_request = (self.searched > 0 || !self.is_mid_line)
            && Request::may_begin(partial)
            && partial.len() < PARTIAL_REQUEST_BYTES_MAX;
        let end = if self.is_held {
            self.written
        } else if self.request.is_some() || may_be_request {
            self.searched
        } else {
            self.bytes.len()
        };
        &self.bytes[self.written..end]
    }

    /// Whether any bytes may be written now.
    pub fn has_sendable(&self) -> bool {
        !self.sendable().is_empty()
    }

    /// Writes as much as the writer takes without blocking, and has it flush that.
    ///
    /// # Errors
    /// See write(2). `WouldBlock` is no error.
    pub fn write_to(&mut self, mut to: impl Write) -> io::Result<()> {
        loop {
            let done = match to.flush() {
                Ok(()) => {
                    self.flushed();
                    if !self.has_sendable() {
                        return Ok(());
                    }
                    to.write(self.sendable()).map(|n| {
                        self.written += n;
                        self.is_unflushed = true;
                    })
                }
                Err(error) => Err(error),
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => done?,
            }
        }
    }

    /// All that was written is with the kernel: drops the lines in it.
    fn flushed(&mut self) {
        if !std::mem::take(&mut self.is_unflushed) {
            return;
        }
        let done = match self.request {
            Some((start, _)) if self.written > start => start,
            _ if self.written == self.bytes.len() => self.written,
            _ => memrchr(b'\n', &self.bytes[..self.written]).map_or(0, |end| end + 1),
        };
        self.forget(done);
    }

    /// The connection is lost: a line that was written in part, or a request that was not answered, will be written again
    /// from its start.
    pub fn rewind(&mut self) {
        self.written = self.setup;
        self.forget(self.setup);
        self.written = 0;
        self.is_unflushed = false;
    }

    /// Drops all lines but the setup lines and a line that is written in part. Returns how many were dropped.
    pub fn discard(&mut self) -> usize {
        let partial = match self.written {
            0 => 0,
            written if self.bytes[written - 1] == b'\n' => written,
            written => memchr(b'\n', &self.bytes[written..])
                .map_or(self.bytes.len(), |end| written + end + 1),
        };
        let kept = self.setup.max(partial);
        let lines = memchr_iter(b'\n', &self.bytes[kept..]).count();
        self.bytes.truncate(kept);
        self.searched = self.searched.min(kept);
        self.request = self.request.filter(|&(start, _)| start < kept);
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

    /// Lines that are not sent, besides the setup lines.
    pub fn lines(&self) -> usize {
        let sent = self.unanswered().map_or(0, |_| self.searched);
        let lines = &self.bytes[self.setup.max(sent)..];
        memchr_iter(b'\n', lines).count()
            + usize::from(lines.last().is_some_and(|&last| last != b'\n'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Answer = Answer::Granted(Request::Name);
    const ROOM: Answer = Answer::Granted(Request::Room);

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
            assert_eq!((queue.lines(), queue.bytes()), (4, 17));
            let [mut before, mut after] = [cut, usize::MAX].map(|most| Taker(most, Vec::new()));
            for taker in [&mut before, &mut after] {
                queue.push_setup(&setup);
                queue.write_to(&mut *taker).unwrap();
                if queue.unanswered() == Some(Request::Name) {
                    assert_eq!(queue.answered(NAME), Some((Request::Name, true)));
                    queue.write_to(&mut *taker).unwrap();
                }
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

    /// What the queue writes to a writer that takes everything.
    fn written(queue: &mut SendQueue) -> String {
        let mut taker = Taker(usize::MAX, Vec::new());
        queue.write_to(&mut taker).unwrap();
        String::from_utf8(taker.1).unwrap()
    }

    #[test]
    fn nothing_is_sent_while_all_lines_are_held() {
        let mut queue = SendQueue::default();
        queue.push("one");
        queue.push_setup(&["/join garden".into()]);
        queue.hold(true);
        assert_eq!(written(&mut queue), "");
        assert_eq!((queue.discard(), queue.lines()), (1, 0));
        queue.push("two");
        queue.hold(false);
        assert_eq!(written(&mut queue), "/join garden\n");
    }

    #[test]
    fn the_password_is_written_alone_and_before_all_others() {
        let mut queue = SendQueue::default();
        queue.push("one");
        queue.push_setup(&["/nick kim".into()]);
        queue.hold(true);
        assert!(!queue.is_password_next());
        queue.push_password("/pass no");
        queue.push_password("/pass sesame");
        assert!(queue.is_password_next());
        queue.hold(false);
        assert_eq!(written(&mut queue), "/pass sesame\n");
        assert_eq!(written(&mut queue), "");
        let right = Answer::Granted(Request::Password);
        assert_eq!(queue.answered(right), Some((Request::Password, true)));
        assert_eq!(written(&mut queue), "/pass no\n");
        // With the connection it is lost; it is said again where it is asked for.
        queue.rewind();
        queue.hold(false);
        assert_eq!(written(&mut queue), "one\n");
    }

    #[test]
    fn lines_after_a_request_wait_for_its_answer() {
        for chunk in 1..=40 {
            let mut queue = SendQueue::default();
            queue.push_setup(&["/nick kim".into()]);
            for bytes in b"one\n/JOIN pond\r\ntwo\n/nick\nthr".chunks(chunk) {
                queue.push_bytes(bytes);
            }
            assert_eq!(written(&mut queue), "/nick kim\n");
            assert_eq!(written(&mut queue), "");
            assert_eq!(queue.unanswered(), Some(Request::Name));
            assert_eq!(queue.answered(ROOM), None);
            assert_eq!(
                queue.answered(NAME),
                Some((Request::Name, true)),
                "a setup line"
            );
            assert_eq!(written(&mut queue), "one\n/JOIN pond\r\n");
            assert_eq!(
                (queue.unanswered(), queue.lines()),
                (Some(Request::Room), 3)
            );
            assert_eq!(queue.answered(ROOM), Some((Request::Room, false)));
            assert_eq!(written(&mut queue), "two\n/nick\n");
            queue.push_bytes(b"ee\n");
            assert_eq!(written(&mut queue), "");
            queue.answered(NAME);
            assert_eq!(written(&mut queue), "three\n");
            assert!(queue.is_empty() && queue.unanswered().is_none());
        }
    }

    #[test]
    fn lines_after_a_refused_request_are_discarded_and_setup_lines_are_not() {
        let mut queue = SendQueue::default();
        queue.push("one");
        queue.push_setup(&["/nick kim".into(), "/join pond".into()]);
        written(&mut queue);
        assert_eq!(
            (queue.discard(), queue.answered(NAME)),
            (1, Some((Request::Name, true)))
        );
        assert_eq!(written(&mut queue), "/join pond\n");
        queue.push("two");
        queue.push("/nick lee");
        queue.ask("/who");
        assert_eq!(queue.answered(ROOM), Some((Request::Room, true)));
        assert_eq!((queue.discard(), queue.lines()), (2, 0));
        assert_eq!(written(&mut queue), "/who\n");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_request_without_an_answer_is_sent_again_on_the_next_connection() {
        let mut queue = SendQueue::default();
        queue.push("/join pond");
        queue.push("one");
        assert_eq!(written(&mut queue), "/join pond\n");
        queue.rewind();
        assert_eq!(written(&mut queue), "/join pond\n");
        queue.answered(ROOM);
        assert_eq!(written(&mut queue), "one\n");
    }

    #[test]
    fn an_unfinished_line_waits_only_while_it_may_become_a_request() {
        let mut queue = SendQueue::default();
        queue.push_bytes(b"text/");
        assert_eq!(written(&mut queue), "text/");
        queue.push_bytes(b"/join pond\n/jo");
        assert_eq!(written(&mut queue), "/join pond\n", "within a line");
        assert_eq!(queue.unanswered(), None);
        queue.push_bytes(&[b'x'; PARTIAL_REQUEST_BYTES_MAX]);
        assert_eq!(written(&mut queue).len(), PARTIAL_REQUEST_BYTES_MAX + 3);
        queue.end_line();
        queue.end_line();
        assert_eq!(written(&mut queue), "\n");
        queue.push_bytes(b"/join pond");
        queue.end_line();
        assert_eq!(written(&mut queue), "/join pond\n");
        assert_eq!(queue.unanswered(), Some(Request::Room));
    }

    #[test]
    fn a_line_written_in_part_is_not_discarded() {
        for written in 0..4 {
            let mut queue = SendQueue::default();
            queue.push("one");
            queue.push("two");
            let mut taker = Taker(written, Vec::new());
            queue.write_to(&mut taker).unwrap();
            assert_eq!(queue.discard(), if written == 0 { 2 } else { 1 });
            taker.0 = 99;
            queue.write_to(&mut taker).unwrap();
            let whole: &[u8] = if written == 0 { b"" } else { b"one\n" };
            assert_eq!(taker.1, whole);
        }
    }

    /// A writer that keeps what it takes, a few bytes at a time, until it may flush.
    #[derive(Default)]
    struct Keeper {
        may_flush: bool,
        kept: Vec<u8>,
        flushed: Vec<u8>,
    }

    impl Write for Keeper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.flush()?;
            self.kept.extend_from_slice(&bytes[..bytes.len().min(10)]);
            Ok(self.kept.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            if !self.may_flush && !self.kept.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.flushed.append(&mut self.kept);
            Ok(())
        }
    }

    #[test]
    fn lines_that_the_writer_keeps_are_sent_again_on_the_next_connection() {
        let mut queue = SendQueue::default();
        for line in ["one", "two", "three"] {
            queue.push(line);
        }
        let mut keeper = Keeper::default();
        queue.write_to(&mut keeper).unwrap();
        assert_eq!(keeper.kept, b"one\ntwo\nth");
        assert_eq!(queue.lines(), 3, "none is with the kernel");
        queue.rewind();
        assert_eq!(written(&mut queue), "one\ntwo\nthree\n");
        assert!(queue.is_empty());
    }

    #[test]
    fn what_the_writer_keeps_stays_in_its_place() {
        let mut queue = SendQueue::default();
        queue.ask("/who");
        queue.push("one");
        queue.push("two");
        let mut keeper = Keeper::default();
        queue.write_to(&mut keeper).unwrap();
        assert_eq!(keeper.kept, b"/who\none\nt");
        queue.ask("/rooms");
        assert_eq!(queue.discard(), 1, "what is kept is not discarded");
        queue.push("three");
        keeper.may_flush = true;
        queue.write_to(&mut keeper).unwrap();
        assert_eq!(keeper.flushed, b"/who\none\ntwo\nthree\n");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_request_that_the_writer_keeps_is_not_sent_yet() {
        let mut queue = SendQueue::default();
        queue.push("/nick kim");
        queue.push("hello");
        let mut keeper = Keeper::default();
        queue.write_to(&mut keeper).unwrap();
        assert_eq!(keeper.kept, b"/nick kim\n");
        assert_eq!((queue.unanswered(), queue.lines()), (None, 2));
        assert_eq!(queue.answered(NAME), None);
        keeper.may_flush = true;
        queue.write_to(&mut keeper).unwrap();
        assert_eq!(
            (queue.unanswered(), queue.lines()),
            (Some(Request::Name), 1)
        );
        assert_eq!(queue.answered(NAME), Some((Request::Name, false)));
        queue.write_to(&mut keeper).unwrap();
        assert_eq!(keeper.flushed, b"/nick kim\nhello\n");
    }
}
