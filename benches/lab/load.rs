//! The clients: any number of connections to one server, played by one thread on one poll.
//!
//! A scenario makes a [`Load`], lets clients in with [`Load::admit`], speaks with [`Load::send`], and waits with
//! [`Load::until`] or [`Load::listen_for`]. All of them turn the same poll, so whatever is being waited for, every
//! client reads what comes meanwhile, unless it has been told to [`Load::stop_reading`].

use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use super::ear::Ear;
use super::{Outcome, PATIENCE};

/// Bytes asked for in one `read`; what comes is nearly always less, which says that the socket is empty.
const READ_BYTES: usize = 256 * 1024;
/// How many addresses the clients connect from, by turns. So many that of each only a few thousand ports are taken,
/// even by a crowd that comes and goes a million times: a port rests for a minute after each goodbye (TIME_WAIT).
const SOURCE_ADDRESSES: usize = 64;
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// How long a turn waits when nothing happens, unless the load stays awake.
const DOZE: Duration = Duration::from_millis(100);

/// When a newcomer counts as having arrived.
#[derive(Clone, Copy)]
pub(crate) enum Arrival {
    /// When the connection stands: the floor says nothing by itself.
    Connected,
    /// When the server has sent it a whole line.
    Greeted,
    /// When the server has answered what the client says as soon as the connection stands.
    Answered {
        /// What the client of this number says.
        hello: fn(usize) -> Vec<u8>,
        /// What the answer holds, and nothing before it does.
        answer: &'static [u8],
    },
}

impl Arrival {
    /// What the server's part of it ends with; empty if it has none.
    fn answer(self) -> &'static [u8] {
        match self {
            Self::Connected => b"",
            Self::Greeted => b"\n",
            Self::Answered { answer, .. } => answer,
        }
    }
}

/// One connection.
struct Client<E> {
    stream: TcpStream,
    ear: E,
    arrival: Arrival,
    /// What it still has to say before it can arrive.
    hello: Vec<u8>,
    /// How many bytes of the answer that it waits for have come, one after the other.
    answered: usize,
    /// Whether it has arrived, in the sense of its `arrival`.
    arrived: bool,
    /// False after a write of which the socket took nothing, until the poll says that there is room again.
    writable: bool,
    /// False while this client is one that does not read.
    reading: bool,
}

/// All clients of one server. A client is known by its number: the first admitted is 0.
pub(crate) struct Load<E> {
    server: SocketAddr,
    /// How those arrive who are let in from now on.
    arrival: Arrival,
    poll: Poll,
    events: Events,
    clients: Vec<Client<E>>,
    /// How many of `clients` have arrived.
    arrived: usize,
    /// Said lines heard so far, by all clients together.
    heard: u64,
    /// How long a turn waits when nothing happens.
    doze: Duration,
    scratch: Box<[u8]>,
}

impl<E: Ear> Load<E> {
    /// A load without clients as yet.
    pub(crate) fn new(server: SocketAddr, arrival: Arrival) -> Outcome<Self> {
        Ok(Self {
            server,
            arrival,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            clients: Vec::new(),
            arrived: 0,
            heard: 0,
            doze: DOZE,
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    /// Those who are let in from now on arrive like this.
    pub(crate) fn let_arrive(&mut self, arrival: Arrival) {
        self.arrival = arrival;
    }

    /// From now on the load asks for events without ever sleeping.
    ///
    /// A sender pays for waking a sleeping receiver on the same machine. Receivers elsewhere cost it nothing of the
    /// kind, and how often a load happens to sleep changes with the weather.
    pub(crate) fn stay_awake(&mut self) {
        self.doze = Duration::ZERO;
    }

    /// Connects `newcomers` more clients, never more than `at_once` on their way, and waits until all have arrived.
    pub(crate) fn admit(&mut self, newcomers: usize, at_once: usize) -> Outcome<()> {
        let expected = self.clients.len() + newcomers;
        let deadline = Instant::now() + PATIENCE;
        while self.arrived < expected {
            let places = at_once.saturating_sub(self.clients.len() - self.arrived);
            for _ in 0..places.min(expected - self.clients.len()) {
                self.connect()?;
            }
            self.turn(self.doze)?;
            if Instant::now() > deadline {
                let arrived = self.arrived;
                return Err(format!(
                    "only {arrived} of {expected} connections were served in {PATIENCE:?}"
                )
                .into());
            }
        }
        Ok(())
    }

    /// Sets one more client on its way, without waiting for it.
    pub(crate) fn connect(&mut self) -> Outcome<()> {
        let mut stream = connect_from(source_address(self.clients.len()), self.server)?;
        stream.set_nodelay(true)?;
        let id = self.clients.len();
        let token = Token(id);
        self.poll.registry().register(
            &mut stream,
            token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        let hello = match self.arrival {
            Arrival::Connected | Arrival::Greeted => Vec::new(),
            Arrival::Answered { hello, .. } => hello(id),
        };
        self.clients.push(Client {
            stream,
            ear: E::default(),
            arrival: self.arrival,
            hello,
            answered: 0,
            arrived: false,
            writable: false,
            reading: true,
        });
        Ok(())
    }

    /// Waits for events, at most this long, and lets every client read what has come for it.
    pub(crate) fn turn(&mut self, timeout: Duration) -> Outcome<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let Token(id) = event.token();
            let client = &mut self.clients[id];
            client.writable |= event.is_writable();
            let was_there = client.arrived;
            let heard = client
                .attend(event, &mut self.scratch)
                .map_err(|error| format!("client {id}: {error}"))?;
            self.heard += heard;
            self.arrived += usize::from(client.arrived && !was_there);
        }
        Ok(())
    }

    /// Turns until `done`, or fails when patience ends; `what` completes "waited in vain for …".
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            if Instant::now() > deadline {
                return Err(format!("waited in vain for {what} ({PATIENCE:?})").into());
            }
            self.turn(self.doze)?;
        }
        Ok(())
    }

    /// Turns for a given time: to keep a pace, or to hear what the server gathers before it tells.
    pub(crate) fn listen_for(&mut self, time: Duration) -> Outcome<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left.clamp(Duration::from_millis(1), DOZE))?;
        }
        Ok(())
    }

    /// Writes all of `bytes` for a client, turning while its socket is full.
    pub(crate) fn send(&mut self, id: usize, bytes: &[u8]) -> Outcome<()> {
        let mut sent = 0;
        let deadline = Instant::now() + PATIENCE;
        while sent < bytes.len() {
            sent += self.offer(id, &bytes[sent..])?;
            if sent < bytes.len() {
                self.turn(self.doze)?;
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "the server has not read what client {id} sends for {PATIENCE:?}"
                )
                .into());
            }
        }
        Ok(())
    }

    /// Writes what the client's socket takes at once, perhaps nothing, and says how many bytes that was.
    pub(crate) fn offer(&mut self, id: usize, bytes: &[u8]) -> Outcome<usize> {
        let client = &mut self.clients[id];
        if !client.writable {
            return Ok(0);
        }
        match client.stream.write(bytes) {
            Ok(taken) => Ok(taken),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                client.writable = false;
                Ok(0)
            }
            Err(error) => Err(format!("client {id} cannot send: {error}").into()),
        }
    }

    /// From now on the client leaves in its socket what arrives for it.
    pub(crate) fn stop_reading(&mut self, id: usize) {
        self.clients[id].reading = false;
    }

    /// The client reads again, beginning with what has gathered: its event is long gone.
    pub(crate) fn resume_reading(&mut self, id: usize) -> Outcome<()> {
        let client = &mut self.clients[id];
        client.reading = true;
        self.heard += client.read_all(true, &mut self.scratch)?;
        Ok(())
    }

    /// Reads once, no more than `bytes_max`, for a client that does not read by itself.
    pub(crate) fn sip(&mut self, id: usize, bytes_max: usize) -> Outcome<()> {
        if let Some((_, heard)) = self.clients[id].read_once(&mut self.scratch[..bytes_max])? {
            self.heard += heard;
        }
        Ok(())
    }

    /// Said lines heard so far, by all clients together.
    pub(crate) fn heard(&self) -> u64 {
        self.heard
    }

    /// How many clients have arrived.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived
    }

    /// What a client has heard.
    pub(crate) fn ear(&self, id: usize) -> &E {
        &self.clients[id].ear
    }

    /// The same, to begin an account anew.
    pub(crate) fn ear_mut(&mut self, id: usize) -> &mut E {
        &mut self.clients[id].ear
    }

    /// Each client's ear, to begin anew with.
    pub(crate) fn ears_mut(&mut self) -> impl Iterator<Item = &mut E> {
        self.clients.iter_mut().map(|client| &mut client.ear)
    }

    /// What each client has heard, in order of their numbers.
    pub(crate) fn ears(&self) -> impl Iterator<Item = &E> {
        self.clients.iter().map(|client| &client.ear)
    }

    /// The clients' connections, in order of their numbers: from now on nobody listens. They do not block.
    pub(crate) fn into_streams(self) -> impl Iterator<Item = net::TcpStream> {
        self.clients.into_iter().map(|client| client.stream.into())
    }
}

/// Where the client of this number connects from.
///
/// With one address for all, the kernel's search for a free port becomes slow, milliseconds each, once half of its
/// range is taken (some 14,000 ports). All of 127.0.0.0/8 is this machine.
fn source_address(id: usize) -> SocketAddr {
    let host = 1 + (id % SOURCE_ADDRESSES) as u8;
    SocketAddr::from(([127, 0, 0, host], 0))
}

/// A connection on its way. mio's own `connect` leaves the choice of the source to the kernel.
fn connect_from(source: SocketAddr, server: SocketAddr) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&socket, &source)?;
    match connect(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from_std(socket.into())),
        Err(error) => Err(error.into()),
    }
}

impl<E: Ear> Client<E> {
    /// Does what an event asks for: says hello, and reads; the said lines that came.
    fn attend(&mut self, event: &Event, scratch: &mut [u8]) -> io::Result<u64> {
        if self.writable && !self.hello.is_empty() {
            let taken = self.stream.write(&self.hello)?;
            self.hello.drain(..taken);
        }
        let heard = if event.is_readable() && self.reading {
            self.read_all(event.is_read_closed(), scratch)?
        } else {
            0
        };
        let answered = self.answered == self.arrival.answer().len();
        self.arrived |= self.writable && answered;
        Ok(heard)
    }

    /// Reads until the socket is empty. A read that did not fill the scratch says so as well as `WouldBlock` would
    /// (epoll(7), question 9; no server here sends urgent data), and halves the calls that the load makes; but if the
    /// stream may have ended, only the next read tells.
    fn read_all(&mut self, may_have_ended: bool, scratch: &mut [u8]) -> io::Result<u64> {
        let mut all = 0;
        while let Some((bytes, heard)) = self.read_once(scratch)? {
            all += heard;
            if bytes < scratch.len() && !may_have_ended {
                break;
            }
        }
        Ok(all)
    }

    /// Reads once: how many bytes and how many said lines, or `None` when there was nothing.
    fn read_once(&mut self, scratch: &mut [u8]) -> io::Result<Option<(usize, u64)>> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(io::Error::other("the server has closed the connection")),
                Ok(bytes) => {
                    let heard = &scratch[..bytes];
                    if !self.arrived {
                        self.look_for_answer(heard);
                    }
                    return Ok(Some((bytes, self.ear.hear(Instant::now(), heard))));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks for the answer in what may be cut anywhere. No answer that is waited for begins within itself.
    fn look_for_answer(&mut self, heard: &[u8]) {
        let answer = self.arrival.answer();
        for &byte in heard {
            if self.answered == answer.len() {
                return;
            }
            if byte != answer[self.answered] {
                self.answered = 0;
            }
            self.answered += usize::from(byte == answer[self.answered]);
        }
    }
}
