//! One client on a real socket: it says lines and bytes, and takes line after line of what comes back.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{Announcement, DEADLINE, announcement, assert_safe, is_coming_or_going};

/// What came next from the server within a time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole line, without its `\n`.
    Line(String),
    /// The server's orderly end.
    End,
    /// An end that may have cost data.
    Reset,
    /// Nothing, for as long as was waited.
    Silence,
}

/// A connection with its own line buffer. `seen` keeps the last lines for the message of a failing test.
pub(crate) struct Client {
    socket: Socket,
    arrived: Vec<u8>,
    /// Bytes of `arrived` that were handed out; `taken <= arrived.len()`.
    taken: usize,
    seen: VecDeque<String>,
    name: String,
    here: u64,
}

impl Client {
    /// Connects and waits for the greeting.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::raw(addr).greeted()
    }

    /// Connects, is greeted and takes a name.
    pub(crate) fn connect_named(addr: SocketAddr, name: &str) -> Self {
        Self::connect(addr).named(name)
    }

    /// Connects without waiting for a word: for raw listeners and for those who will be refused.
    pub(crate) fn raw(addr: SocketAddr) -> Self {
        Self::shaped(addr, |_| {})
    }

    /// As `raw`, from a local address of one's own.
    pub(crate) fn raw_from(local: IpAddr, addr: SocketAddr) -> Self {
        Self::shaped(addr, |socket| {
            socket
                .bind(&SocketAddr::new(local, 0).into())
                .expect("bind");
        })
    }

    /// As `raw`, with a receive buffer so small that the server notices at once when nobody reads.
    pub(crate) fn raw_narrow(addr: SocketAddr) -> Self {
        Self::shaped(addr, |socket| {
            socket.set_recv_buffer_size(4096).expect("receive buffer");
        })
    }

    /// Connects to a Unix-domain listener, without waiting for a word.
    pub(crate) fn raw_unix(path: &Path) -> Self {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("socket");
        let addr = SockAddr::unix(path).expect("a path that fits");
        socket
            .connect(&addr)
            .unwrap_or_else(|error| panic!("connect {}: {error}", path.display()));
        Self::on(socket)
    }

    /// The other end of a connection that is there already.
    pub(crate) fn on_pair(stream: UnixStream) -> Self {
        Self::on(stream.into())
    }

    fn shaped(addr: SocketAddr, shape: impl FnOnce(&Socket)) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("socket");
        shape(&socket);
        socket
            .connect_timeout(&addr.into(), DEADLINE)
            .unwrap_or_else(|error| panic!("connect {addr}: {error}"));
        socket.set_tcp_nodelay(true).expect("nodelay");
        Self::on(socket)
    }

    fn on(socket: Socket) -> Self {
        socket
            .set_write_timeout(Some(DEADLINE))
            .expect("write timeout");
        let (arrived, seen, name) = (Vec::new(), VecDeque::new(), String::new());
        Self {
            socket,
            arrived,
            taken: 0,
            seen,
            name,
            here: 0,
        }
    }

    /// Waits for `* you are guest1 in lobby (1 here); /help lists commands`, or says what came instead.
    pub(crate) fn try_greeted(mut self) -> Result<Self, String> {
        loop {
            match self.next(DEADLINE) {
                Next::Line(line) if line.starts_with("! ") => return Err(line),
                Next::Line(line) => {
                    let Some(rest) = line.strip_prefix("* you are ") else {
                        continue;
                    };
                    let greeting =
                        rest.strip_suffix(" here); /help lists commands")
                            .and_then(|rest| {
                                let (name, here) = rest.split_once(" in lobby (")?;
                                Some((name.to_owned(), super::number(here)?))
                            });
                    (self.name, self.here) =
                        greeting.unwrap_or_else(|| panic!("odd greeting {line:?}"));
                    return Ok(self);
                }
                other => return Err(format!("{other:?} instead of a greeting")),
            }
        }
    }

    pub(crate) fn greeted(self) -> Self {
        self.try_greeted()
            .unwrap_or_else(|refusal| panic!("not let in: {refusal}"))
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.say(&format!("/nick {name}"));
        self.expect(&format!("* you are now {name}"));
        name.clone_into(&mut self.name);
        self
    }

    /// The name by which the others hear this client.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many were in the lobby, this one included, when it came.
    pub(crate) fn here(&self) -> u64 {
        self.here
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// A second handle for a thread that only writes.
    pub(crate) fn writer(&self) -> Socket {
        self.socket.try_clone().expect("clone")
    }

    pub(crate) fn say(&self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        (&self.socket)
            .write_all(bytes)
            .unwrap_or_else(|error| panic!("{}: write: {error}", self.name));
    }

    /// Sends each byte by itself, so that the server may see the input cut anywhere.
    pub(crate) fn trickle(&self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.send(&[byte]));
    }

    /// Ends this side's sending, as `nc -N` does at the end of its input.
    pub(crate) fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Ends the connection with a reset instead of a FIN.
    pub(crate) fn reset(self) {
        self.socket
            .set_linger(Some(Duration::ZERO))
            .expect("linger");
    }

    /// What comes next, announcements included.
    pub(crate) fn next(&mut self, within: Duration) -> Next {
        let deadline = Instant::now() + within;
        let mut searched = self.taken;
        loop {
            if let Some(at) = self.arrived[searched..]
                .iter()
                .position(|&byte| byte == b'\n')
            {
                let end = searched + at;
                let line = assert_safe(&self.arrived[self.taken..end]);
                self.taken = end + 1;
                self.remember(&line);
                return Next::Line(line);
            }
            self.arrived.drain(..self.taken);
            self.taken = 0;
            searched = self.arrived.len();
            match self.fill(deadline) {
                None => {}
                Some(Next::End) if !self.arrived.is_empty() => {
                    panic!(
                        "{}: the end came within a line: {:?}",
                        self.name,
                        self.arrived.escape_ascii()
                    );
                }
                Some(end) => return end,
            }
        }
    }

    /// Reads once; `None` if bytes came.
    fn fill(&mut self, deadline: Instant) -> Option<Next> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Some(Next::Silence);
        }
        self.socket
            .set_read_timeout(Some(left))
            .expect("read timeout");
        let mut chunk = [0; 16 * 1024];
        match self.socket.read(&mut chunk) {
            Ok(0) => Some(Next::End),
            Ok(count) => {
                self.arrived.extend_from_slice(&chunk[..count]);
                None
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Some(Next::Silence),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Some(Next::Reset),
                ErrorKind::Interrupted => None,
                _ => panic!("{}: read: {error}", self.name),
            },
        }
    }

    fn remember(&mut self, line: &str) {
        if self.seen.len() == 12 {
            self.seen.pop_front();
        }
        self.seen.push_back(line.to_owned());
    }

    /// The next line, whatever it tells.
    pub(crate) fn line_raw(&mut self) -> String {
        match self.next(DEADLINE) {
            Next::Line(line) => line,
            other => panic!(
                "{}: {other:?} instead of a line, after {:#?}",
                self.name, self.seen
            ),
        }
    }

    /// The next line that does not only tell who came, went or was renamed.
    pub(crate) fn line(&mut self) -> String {
        loop {
            let line = self.line_raw();
            if !is_coming_or_going(&line) {
                return line;
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) {
        let line = self.line();
        assert_eq!(line, expected, "{} had seen {:#?}", self.name, self.seen);
    }

    #[track_caller]
    pub(crate) fn expect_start(&mut self, start: &str) -> String {
        let line = self.line();
        assert!(
            line.starts_with(start),
            "{}: {line:?} does not start with {start:?}",
            self.name
        );
        line
    }

    /// Passes over everything until exactly this line has come; what was passed over.
    pub(crate) fn find(&mut self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.next(DEADLINE) {
                Next::Line(line) if line == wanted => return before,
                Next::Line(line) => before.push(line),
                other => panic!(
                    "{}: {other:?} instead of {wanted:?}, after {:#?}",
                    self.name, self.seen
                ),
            }
        }
    }

    /// Passes over everything until an announcement of comings and goings for which `wanted` holds.
    pub(crate) fn find_announcement(
        &mut self,
        wanted: impl Fn(&Announcement) -> bool,
    ) -> Announcement {
        loop {
            if let Some(found) = announcement(&self.line_raw()).filter(&wanted) {
                return found;
            }
        }
    }

    /// All lines up to the orderly end.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.next(DEADLINE) {
                Next::Line(line) => lines.push(line),
                Next::End => return lines,
                other => panic!(
                    "{}: {other:?} instead of the end, after {:#?}",
                    self.name, self.seen
                ),
            }
        }
    }

    /// Passes over everything until the connection is over, in whichever way.
    pub(crate) fn rest_or_reset(&mut self) {
        while let Next::Line(_) = self.next(DEADLINE) {}
    }

    /// An orderly end, and before it nothing but announcements.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut lines = self.rest();
        lines.retain(|line| !is_coming_or_going(line));
        assert_eq!(
            lines,
            Vec::<String>::new(),
            "{} had more to read before the end",
            self.name
        );
    }

    /// No line but announcements for so long.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, period: Duration) {
        let end = Instant::now() + period;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Next::Silence => return,
                Next::Line(line) if is_coming_or_going(&line) => {}
                other => panic!("{}: {other:?} instead of silence", self.name),
            }
        }
    }

    /// The bytes up to and with `needle`, taken as they are: for answers that are no text.
    pub(crate) fn bytes_until(&mut self, needle: &[u8]) -> Vec<u8> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let fresh = &self.arrived[self.taken..];
            if let Some(at) = fresh
                .windows(needle.len())
                .position(|window| window == needle)
            {
                let bytes = fresh[..at + needle.len()].to_vec();
                self.taken += bytes.len();
                return bytes;
            }
            if let Some(end) = self.fill(deadline) {
                panic!(
                    "{}: {end:?} instead of {:?}",
                    self.name,
                    needle.escape_ascii()
                );
            }
        }
    }
}

/// Asks again and again until `fact` holds, giving the processor away in between.
#[track_caller]
pub(crate) fn until(what: &str, mut fact: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !fact() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::yield_now();
    }
}
