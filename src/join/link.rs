//! The connection to the server, over as many sockets as it takes: calls, reads lines, writes lines, says its end, and
//! never waits but for the first call. What a line says is none of its business.

use super::outgoing::Outgoing;
use super::poll::Wanted;
use crate::address::Address;
use crate::hub::{Frame, Line};
use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use std::io::{self, Read};
use std::net::{Shutdown, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A line of the server's may have so many bytes; a longer one is not shown, which is told.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// How long one call may take.
const CALL: Duration = Duration::from_secs(10);
/// Silence after which the server is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// … so often, before it is given up, within as long again.
#[cfg(not(target_os = "openbsd"))]
const KEEPALIVE_PROBES: u32 = 6;
/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;

/// Where the server is. Found out once: asking again could wait for long.
#[derive(Debug)]
pub struct Places {
    all: Vec<SockAddr>,
    /// The place that is called next.
    next: usize,
}

impl Places {
    /// The places that an address stands for.
    ///
    /// # Errors
    /// There is no such host, or the path is too long.
    pub fn of(address: &Address) -> io::Result<Places> {
        let all = match address {
            Address::Unix(path) => vec![SockAddr::unix(path)?],
            Address::Tcp(host) => host.to_socket_addrs()?.map(SockAddr::from).collect(),
        };
        if all.is_empty() {
            return Err(io::Error::other("the host has no address"));
        }
        Ok(Places { all, next: 0 })
    }

    /// Connects to the first place that answers, and waits for that.
    ///
    /// # Errors
    /// None does; why the last does not.
    pub fn connect(&self) -> io::Result<Socket> {
        let mut failed = None;
        for place in &self.all {
            let connected = new_socket(place).and_then(|socket| {
                match place.domain() {
                    Domain::UNIX => socket.connect(place)?,
                    _ => socket.connect_timeout(place, CALL)?,
                }
                Ok(socket)
            });
            match connected {
                Ok(socket) => return Ok(socket),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("there is at least one place"))
    }

    /// Sets a connection on its way to the next place.
    fn call(&mut self) -> io::Result<Socket> {
        let place = &self.all[self.next];
        self.next = (self.next + 1) % self.all.len();
        let socket = new_socket(place)?;
        socket.set_nonblocking(true)?;
        match socket.connect(place) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                Err(error)
            }
            _ => Ok(socket),
        }
    }
}

fn new_socket(place: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(place.domain(), Type::STREAM, None)?;
    if place.domain() != Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
        // A server that is gone without a word is noticed.
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
        #[cfg(not(target_os = "openbsd"))]
        let keepalive = keepalive
            .with_interval(KEEPALIVE / KEEPALIVE_PROBES)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        // Keepalive says nothing while bytes wait for a server that has vanished.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(Some(10 * KEEPALIVE))?;
    }
    Ok(socket)
}

/// What has become of the connection.
#[derive(Debug)]
pub enum News {
    /// Nothing of note.
    None,
    /// A call was answered.
    Connected,
    /// It is over, or a call was in vain.
    Lost(io::Error),
}

#[derive(Debug)]
enum State {
    /// It stands.
    Up(Socket),
    /// It is called; given up at that time.
    Calling(Socket, Instant),
    /// It is called again at that time, if ever.
    Down(Option<Instant>),
}

/// The connection.
#[derive(Debug)]
pub struct Link {
    /// `None`: a connection that was given, and cannot be made again.
    places: Option<Places>,
    state: State,
    frame: Frame,
    /// Lines for the server.
    pub outgoing: Outgoing,
    /// Nothing can be written any more; what can be read still is.
    is_deaf: bool,
    /// All is said: the server is told so when it is written.
    is_finished: bool,
}

impl Link {
    /// A connection that stands, and where to call when it is lost.
    ///
    /// # Errors
    /// The socket cannot be told not to wait.
    pub fn new(socket: Socket, places: Option<Places>) -> io::Result<Link> {
        socket.set_nonblocking(true)?;
        Ok(Link {
            places,
            state: State::Up(socket),
            frame: Frame::default(),
            outgoing: Outgoing::default(),
            is_deaf: false,
            is_finished: false,
        })
    }

    /// Whether it stands.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// What to poll for, if anything. Nothing is read unless `may_read`, or it has ended: then the rest is.
    pub fn wants(&self, may_read: bool) -> Wanted<'_> {
        match &self.state {
            State::Up(socket) => {
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN, may_read);
                flags.set(PollFlags::OUT, self.outgoing.is_due() && !self.is_deaf);
                Some((socket.as_fd(), flags))
            }
            State::Calling(socket, _) => Some((socket.as_fd(), PollFlags::OUT)),
            State::Down(_) => None,
        }
    }

    /// When [`Link::turn`] is wanted even if nothing is polled.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Up(_) => None,
            State::Calling(_, until) => Some(until),
            State::Down(at) => at,
        }
    }

    /// Calls again at this time.
    pub fn call_at(&mut self, at: Instant) {
        self.state = State::Down(Some(at));
    }

    /// All is said: the server is told when all is written.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// Reads, writes, calls: whatever can be done now, given what the poll said.
    pub fn turn(&mut self, ready: PollFlags, now: Instant, mut take: impl FnMut(Line<'_>)) -> News {
        let news = match &self.state {
            State::Up(_) => self.talk(ready, &mut take),
            State::Calling(socket, until) => match called(socket, ready) {
                Ok(false) if now < *until => Ok(News::None),
                Ok(false) => Err(io::ErrorKind::TimedOut.into()),
                Ok(true) => Ok(News::Connected),
                Err(error) => Err(error),
            },
            State::Down(Some(at)) if *at <= now => self.call(now),
            State::Down(_) => Ok(News::None),
        };
        match news {
            Ok(News::Connected) => {
                self.state = match std::mem::replace(&mut self.state, State::Down(None)) {
                    State::Calling(socket, _) => State::Up(socket),
                    state => state,
                };
                News::Connected
            }
            Ok(news) => news,
            Err(error) => {
                self.state = State::Down(None);
                self.is_deaf = false;
                self.outgoing.rewind();
                if let Some(rest) = std::mem::take(&mut self.frame).take_partial() {
                    take(Line::Whole(rest));
                }
                News::Lost(error)
            }
        }
    }

    fn call(&mut self, now: Instant) -> io::Result<News> {
        let places = self.places.as_mut().expect("it can be called");
        self.state = State::Calling(places.call()?, now + CALL);
        Ok(News::None)
    }

    fn talk(&mut self, ready: PollFlags, take: &mut impl FnMut(Line<'_>)) -> io::Result<News> {
        let State::Up(socket) = &self.state else {
            return Ok(News::None);
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
        if !self.is_deaf && self.outgoing.write_to(socket).is_err() {
            // Why will be known when all that the server said before is read.
            self.is_deaf = true;
        }
        if self.is_finished && self.outgoing.is_empty() && !self.is_deaf {
            self.is_deaf = true;
            let _ = socket.shutdown(Shutdown::Write);
        }
        Ok(News::None)
    }
}

/// Whether a call was answered.
fn called(socket: &Socket, ready: PollFlags) -> io::Result<bool> {
    if ready.is_empty() {
        return Ok(false);
    }
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(true),
    }
}

/// Why a connection ended, for people.
pub fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server has ended it".into(),
        io::ErrorKind::ConnectionRefused => "nobody listens there".into(),
        io::ErrorKind::ConnectionReset => "it was reset".into(),
        io::ErrorKind::TimedOut => "no answer".into(),
        io::ErrorKind::NotFound => "there is no such socket".into(),
        _ => error.to_string(),
    }
}
