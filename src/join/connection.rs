//! The connection to the server: connects, reads lines, writes lines, closes its sending side, and can do all that again on
//! another socket. Blocks in [`Endpoints::connect`] only. Does not look into lines.

use super::send_queue::SendQueue;
use crate::address::{Address, resolve};
use crate::hub::{Frame, Line};
use crate::protocol::grouped;
use crate::terminal::poll::Interest;
use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Longest line from the server that is shown. In place of a longer one, [`too_long`] is.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take to greet a newcomer: nothing is sent to it before.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of a line that are quoted in an error.
const QUOTED_CHARS_MAX: usize = 60;
/// Silence after which the kernel sends the first keepalive probe.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Unanswered probes, over as long again, after which the connection is lost.
#[cfg(not(target_os = "openbsd"))]
const KEEPALIVE_PROBES: u32 = 6;
/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;

/// The server's socket addresses. They are resolved once, since resolving blocks.
#[derive(Debug)]
pub struct Endpoints {
    all: Vec<SockAddr>,
    /// Index of the endpoint to try next.
    next: usize,
}

impl Endpoints {
    /// Resolves an address.
    ///
    /// # Errors
    /// There is no such host, or the path is too long.
    pub fn resolve(address: &Address) -> io::Result<Endpoints> {
        let all = match address {
            Address::Unix(path) => vec![SockAddr::unix(path)?],
            Address::Tcp { host, port } => {
                let all = resolve(host, *port)?.into_iter();
                all.map(SockAddr::from).collect()
            }
        };
        Ok(Endpoints { all, next: 0 })
    }

    /// Connects to the first endpoint that accepts. Blocks.
    ///
    /// # Errors
    /// No endpoint accepts: the error of the last.
    pub fn connect(&self) -> io::Result<Socket> {
        let mut failed = None;
        for endpoint in &self.all {
            let connected = new_socket(endpoint).and_then(|socket| {
                match endpoint.domain() {
                    Domain::UNIX => socket.connect(endpoint)?,
                    _ => socket.connect_timeout(endpoint, CONNECT_TIMEOUT)?,
                }
                Ok(socket)
            });
            match connected {
                Ok(socket) => return Ok(socket),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("there is at least one endpoint"))
    }

    /// Begins to connect to the next endpoint, without blocking.
    fn begin(&mut self) -> io::Result<Socket> {
        let endpoint = &self.all[self.next];
        self.next = (self.next + 1) % self.all.len();
        let socket = new_socket(endpoint)?;
        socket.set_nonblocking(true)?;
        match socket.connect(endpoint) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                Err(error)
            }
            _ => Ok(socket),
        }
    }
}

fn new_socket(endpoint: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(endpoint.domain(), Type::STREAM, None)?;
    if endpoint.domain() != Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
        // Keepalive detects a server that vanished without closing the connection.
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
        #[cfg(not(target_os = "openbsd"))]
        let keepalive = keepalive
            .with_interval(KEEPALIVE / KEEPALIVE_PROBES)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        // The kernel sends no keepalive probes while sent bytes are unacknowledged. For these there is another timeout.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(Some(10 * KEEPALIVE))?;
    }
    Ok(socket)
}

/// A change of the connection.
#[derive(Debug)]
pub enum Event {
    /// A new connection is made.
    Connected,
    /// The connection is lost, or an attempt to connect has failed.
    Disconnected(io::Error),
}

#[derive(Debug)]
enum State {
    Connected(Socket),
    /// An attempt to connect, and when it times out.
    Connecting(Socket, Instant),
    /// When the next attempt begins; `None`: never.
    Disconnected(Option<Instant>),
}

/// What is done with the send queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// When the queue is empty, the sending side is closed (a FIN).
    Finishing,
    /// The sending side is closed, or broken. What the server sent can still be read.
    Closed,
}

/// The connection.
#[derive(Debug)]
pub struct Connection {
    /// `None`: this connection cannot be made again.
    endpoints: Option<Endpoints>,
    state: State,
    frame: Frame,
    /// Lines for the server.
    pub queue: SendQueue,
    sending: Sending,
}

impl Connection {
    /// An established connection, and where to reconnect.
    ///
    /// # Errors
    /// See fcntl(2).
    pub fn new(socket: Socket, endpoints: Option<Endpoints>) -> io::Result<Connection> {
        socket.set_nonblocking(true)?;
        Ok(Connection {
            endpoints,
            state: State::Connected(socket),
            frame: Frame::default(),
            queue: SendQueue::default(),
            sending: Sending::Open,
        })
    }

    /// Whether the connection is established.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected(_))
    }

    /// What to poll for. Input is polled for only if `may_read`; the connection's end is reported in any case.
    pub fn interest(&self, may_read: bool) -> Interest<'_> {
        match &self.state {
            State::Connected(socket) => {
                let may_write = self.queue.has_sendable() && self.sending != Sending::Closed;
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN, may_read);
                flags.set(PollFlags::OUT, may_write);
                Some((socket.as_fd(), flags))
            }
            State::Connecting(socket, _) => Some((socket.as_fd(), PollFlags::OUT)),
            State::Disconnected(_) => None,
        }
    }

    /// When to call [`Connection::handle`] at the latest, even if no descriptor is ready.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Connected(_) => None,
            State::Connecting(_, deadline) => Some(deadline),
            State::Disconnected(retry_at) => retry_at,
        }
    }

    /// Reconnects at this time; `None`: not before this is called again.
    pub fn reconnect_at(&mut self, at: Option<Instant>) {
        self.state = State::Disconnected(at);
    }

    /// Closes the connection at once. What is not sent is kept for the next.
    pub fn close(&mut self) {
        self.state = State::Disconnected(None);
        self.sending = Sending::Open;
        self.queue.rewind();
        self.frame = Frame::default();
    }

    /// Closes the sending side once the queue is empty.
    pub fn finish(&mut self) {
        if self.sending == Sending::Open {
            self.sending = Sending::Finishing;
        }
    }

    /// Reads, writes or connects, whatever is possible now. `ready` is what the poll reported; each line that was read
    /// goes to `take`.
    pub fn handle(
        &mut self,
        ready: PollFlags,
        now: Instant,
        mut take: impl FnMut(Line<'_>),
    ) -> Option<Event> {
        let done = match &self.state {
            State::Connected(_) => self.transfer(ready, &mut take).map(|()| None),
            State::Connecting(..) => self.finish_connecting(ready, now),
            State::Disconnected(Some(at)) if *at <= now => {
                self.begin_connecting(now).map(|()| None)
            }
            State::Disconnected(_) => Ok(None),
        };
        done.unwrap_or_else(|error| {
            let mut frame = std::mem::take(&mut self.frame);
            self.close();
            if let Some(rest) = frame.take_partial() {
                take(Line::Whole(rest));
            }
            Some(Event::Disconnected(error))
        })
    }

    fn begin_connecting(&mut self, now: Instant) -> io::Result<()> {
        let endpoints = self.endpoints.as_mut();
        let socket = endpoints.expect("reconnect_at needs endpoints").begin()?;
        self.state = State::Connecting(socket, now + CONNECT_TIMEOUT);
        Ok(())
    }

    fn finish_connecting(&mut self, ready: PollFlags, now: Instant) -> io::Result<Option<Event>> {
        if let State::Connecting(_, deadline) = self.state
            && ready.is_empty()
        {
            let timed_out = Err(io::ErrorKind::TimedOut.into());
            return if now < deadline { Ok(None) } else { timed_out };
        }
        let state = std::mem::replace(&mut self.state, State::Disconnected(None));
        let State::Connecting(socket, _) = state else {
            return Ok(None);
        };
        socket.take_error()?.map_or(Ok(()), Err)?;
        self.state = State::Connected(socket);
        Ok(Some(Event::Connected))
    }

    /// Reads and writes.
    fn transfer(&mut self, ready: PollFlags, take: &mut impl FnMut(Line<'_>)) -> io::Result<()> {
        let State::Connected(socket) = &self.state else {
            return Ok(());
        };
        if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            let mut bytes = [0; READ_BYTES];
            match (&*socket).read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    let mut input = &bytes[..n];
                    while let Some(line) = self.frame.next(&mut input, LINE_BYTES_MAX) {
                        take(line);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.sending != Sending::Closed && self.queue.write_to(socket).is_err() {
            // What the server sent before is read first. Then the read fails and tells why.
            self.sending = Sending::Closed;
        }
        if self.sending == Sending::Finishing && self.queue.is_empty() {
            self.sending = Sending::Closed;
            let _ = socket.shutdown(Shutdown::Write);
        }
        Ok(())
    }
}

/// Why there is no connection, for people.
pub fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "closed by the server".into(),
        io::ErrorKind::ConnectionRefused => "connection refused; is the server running?".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::TimedOut => "timed out".into(),
        io::ErrorKind::NotFound => "no such socket; is the server running?".into(),
        _ => error.to_string(),
    }
}

/// Why a server is taken for one of another kind: it has said nothing.
pub fn silent() -> String {
    let seconds = GREETING_TIMEOUT.as_secs();
    format!("it has not greeted within {seconds} s")
}

/// The same: it has closed the connection before.
pub fn no_greeting() -> String {
    "it has closed the connection without a greeting".into()
}

/// The same: what it has said instead of a greeting, made safe to show.
pub fn foreign(line: &str) -> String {
    let quoted: String = line.chars().take(QUOTED_CHARS_MAX).collect();
    let dots = if quoted.len() < line.len() { "…" } else { "" };
    format!("it says \"{quoted}{dots}\" instead of a greeting")
}

/// What is shown in place of a line longer than [`LINE_BYTES_MAX`].
pub fn too_long() -> String {
    let bytes = grouped(LINE_BYTES_MAX);
    format!("line not shown: longer than {bytes} bytes")
}
