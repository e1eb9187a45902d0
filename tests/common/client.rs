//! One client on a real socket: it sends lines and bytes, and reads the server's lines one by one.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::lines::greeting;
use super::{Announcement, DEADLINE, announcement, assert_safe, is_presence_notice, number};

/// What the server sent next, within a time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole line, without its `\n`.
    Line(String),
    /// The end of the stream: the server has closed in order.
    End,
    /// A reset, which may have destroyed data.
    Reset,
    /// Nothing within the time.
    Silence,
}

/// A connection with its own line buffer.
pub(crate) struct Client {
    socket: Socket,
    arrived: Vec<u8>,
    /// Bytes of `arrived` that were returned; `taken <= arrived.len()`.
    taken: usize,
    /// The last lines, for the message of a failing test.
    seen: VecDeque<String>,
    /// The name by which the others know this client.
    name: String,
    /// Members of the lobby when this client was greeted, including itself.
    here: u64,
    /// Lines end with CR LF, since this client has negotiated telnet.
    crlf: bool,
}

impl Client {
    /// Connects and waits for the greeting.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::open(addr).greeted()
    }

    /// Connects, waits for the greeting and takes a name.
    pub(crate) fn connect_named(addr: SocketAddr, name: &str) -> Self {
        Self::connect(addr).named(name)
    }

    /// Connects without waiting for a greeting: for raw listeners, and where the server refuses.
    pub(crate) fn open(addr: SocketAddr) -> Self {
        Self::open_with(addr, |_| {})
    }

    /// As `open`, from the local address `local`.
    pub(crate) fn open_from(local: IpAddr, addr: SocketAddr) -> Self {
        Self::open_with(addr, |socket| {
            let local = SocketAddr::new(local, 0).into();
            socket.bind(&local).expect("bind");
        })
    }

    /// As `open`, with a receive buffer so small that the server notices soon when this client does not read.
    pub(crate) fn open_narrow(addr: SocketAddr) -> Self {
        Self::open_with(addr, |socket| {
            socket.set_recv_buffer_size(4096).expect("receive buffer");
        })
    }

    /// Connects to a Unix-domain listener without waiting for a greeting.
    pub(crate) fn open_unix(path: &Path) -> Self {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("socket");
        let addr = SockAddr::unix(path).expect("a path that fits");
        let connected = socket.connect(&addr);
        connected.unwrap_or_else(|error| panic!("connect {}: {error}", path.display()));
        Self::on(socket)
    }

    /// A client on an existing connection.
    pub(crate) fn on_pair(stream: UnixStream) -> Self {
        Self::on(stream.into())
    }

    fn open_with(addr: SocketAddr, prepare: impl FnOnce(&Socket)) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("socket");
        prepare(&socket);
        let connected = socket.connect_timeout(&addr.into(), DEADLINE);
        connected.unwrap_or_else(|error| panic!("connect {addr}: {error}"));
        socket.set_tcp_nodelay(true).expect("nodelay");
        Self::on(socket)
    }

    fn on(socket: Socket) -> Self {
        let bounded = socket.set_write_timeout(Some(DEADLINE));
        bounded.expect("write timeout");
        Self {
            socket,
            arrived: Vec::new(),
            taken: 0,
            seen: VecDeque::new(),
            name: String::new(),
            here: 0,
            crlf: false,
        }
    }

    /// Waits for the greeting. The error is what came instead.
    pub(crate) fn try_greeted(mut self) -> Result<Self, String> {
        loop {
            match self.next(DEADLINE) {
                Next::Line(line) if line.starts_with("! ") => return Err(line),
                Next::Line(line) if line.starts_with("* you are ") => {
                    let read = greeting(&line);
                    (self.name, self.here) = read.unwrap_or_else(|| panic!("odd line {line:?}"));
                    return Ok(self);
                }
                Next::Line(_) => {}
                other => return Err(format!("{other:?} instead of a greeting")),
            }
        }
    }

    pub(crate) fn greeted(self) -> Self {
        self.try_greeted()
            .unwrap_or_else(|refusal| panic!("refused: {refusal}"))
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.say(&format!("/nick {name}"));
        self.expect(&format!("* you are now {name}"));
        name.clone_into(&mut self.name);
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn here(&self) -> u64 {
        self.here
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// A second handle, for a thread that only writes.
    pub(crate) fn writer(&self) -> Socket {
        self.socket.try_clone().expect("clone")
    }

    pub(crate) fn say(&self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        let written = (&self.socket).write_all(bytes);
        written.unwrap_or_else(|error| panic!("{}: write: {error}", self.name));
    }

    /// Negotiates as telnet does at its start; every line that comes from now on must end with CR LF.
    pub(crate) fn negotiate(&mut self) {
        // IAC WILL NAWS, IAC DO SUPPRESS-GO-AHEAD, and the answers.
        self.send(&[255, 251, 31, 255, 253, 3]);
        self.bytes_until(&[255, 254, 31, 255, 252, 3]);
        self.crlf = true;
    }

    /// Sends each byte in a write of its own, so that the server may read the input split anywhere.
    pub(crate) fn trickle(&self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.send(&[byte]));
    }

    /// Shuts down sending (FIN), as `nc -N` does at the end of its input.
    pub(crate) fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Closes with a reset instead of a FIN.
    pub(crate) fn reset(self) {
        let linger = self.socket.set_linger(Some(Duration::ZERO));
        linger.expect("linger");
    }

    /// The next line, even if it is a presence notice, or why there is none.
    pub(crate) fn next(&mut self, within: Duration) -> Next {
        let deadline = Instant::now() + within;
        let mut searched = self.taken;
        loop {
            let mut fresh = self.arrived[searched..].iter();
            if let Some(at) = fresh.position(|&byte| byte == b'\n') {
                let end = searched + at;
                let mut line = &self.arrived[self.taken..end];
                if self.crlf {
                    let text = line.strip_suffix(b"\r");
                    line = text.unwrap_or_else(|| panic!("a line ends with LF alone: {line:?}"));
                }
                let line = assert_safe(line);
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
                    let line = self.arrived.escape_ascii();
                    panic!("{}: the stream ended within a line: {line:?}", self.name);
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
        let bounded = self.socket.set_read_timeout(Some(left));
        bounded.expect("read timeout");
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

    /// Fails the test, and shows the last lines.
    #[track_caller]
    fn fail(&self, got: &Next, wanted: &str) -> ! {
        let (name, seen) = (&self.name, &self.seen);
        panic!("{name}: {got:?} instead of {wanted}, after {seen:#?}");
    }

    /// The next line, even if it is a presence notice.
    pub(crate) fn line_raw(&mut self) -> String {
        match self.next(DEADLINE) {
            Next::Line(line) => line,
            other => self.fail(&other, "a line"),
        }
    }

    /// The next line that is not a presence notice.
    pub(crate) fn line(&mut self) -> String {
        loop {
            let line = self.line_raw();
            if !is_presence_notice(&line) {
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
        let (line, name) = (self.line(), &self.name);
        assert!(
            line.starts_with(start),
            "{name}: {line:?} does not start with {start:?}"
        );
        line
    }

    /// Reads until this very line; returns the lines before it.
    pub(crate) fn find(&mut self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.next(DEADLINE) {
                Next::Line(line) if line == wanted => return before,
                Next::Line(line) => before.push(line),
                other => self.fail(&other, wanted),
            }
        }
    }

    /// Reads until an announcement of joins and leaves for which `wanted` holds.
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

    /// Waits until one member of this client's room has left, after which `here` are in it.
    #[track_caller]
    pub(crate) fn expect_departure(&mut self, here: u64) {
        let seen = self.find_announcement(|seen| seen.left > 0);
        assert_eq!((seen.left, seen.here), (1, here));
    }

    /// Enters a room, in which `here` members are then.
    #[track_caller]
    pub(crate) fn join(&mut self, room: &str, here: u64) {
        self.say(&format!("/join {room}"));
        self.expect(&format!("* you are in {room} ({here} here)"));
    }

    /// Asks `/who` and returns how many members of the client's room the answer counts.
    #[track_caller]
    pub(crate) fn count_members(&mut self) -> u64 {
        self.say("/who");
        let line = self.expect_start("* here in ");
        let list = line
            .strip_suffix(')')
            .and_then(|line| line.rsplit_once('('));
        let count = list.and_then(|(_, count)| number(count));
        count.unwrap_or_else(|| panic!("odd answer {line:?}"))
    }

    /// All lines up to the end of the stream.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.next(DEADLINE) {
                Next::Line(line) => lines.push(line),
                Next::End => return lines,
                other => self.fail(&other, "the end"),
            }
        }
    }

    /// Reads until the connection ends in any way.
    pub(crate) fn rest_or_reset(&mut self) {
        while let Next::Line(_) = self.next(DEADLINE) {}
    }

    /// Expects the end of the stream, and no line before it but presence notices.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut lines = self.rest();
        lines.retain(|line| !is_presence_notice(line));
        assert_eq!(lines, [""; 0], "{} received more before the end", self.name);
    }

    /// Expects no line but presence notices for `period`.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, period: Duration) {
        let end = Instant::now() + period;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Next::Silence => return,
                Next::Line(line) if is_presence_notice(&line) => {}
                other => self.fail(&other, "silence"),
            }
        }
    }

    /// The bytes up to and including `needle`, unchecked: for answers that are not text.
    pub(crate) fn bytes_until(&mut self, needle: &[u8]) -> Vec<u8> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let fresh = &self.arrived[self.taken..];
            let mut windows = fresh.windows(needle.len());
            if let Some(at) = windows.position(|window| window == needle) {
                let bytes = fresh[..at + needle.len()].to_vec();
                self.taken += bytes.len();
                return bytes;
            }
            if let Some(end) = self.fill(deadline) {
                self.fail(&end, &needle.escape_ascii().to_string());
            }
        }
    }
}
