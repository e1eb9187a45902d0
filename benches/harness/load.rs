//! The clients of a bench: the connections of `madang bench`'s engine, each with a [`Decoder`].
//!
//! A scenario makes a [`Load`], connects clients with [`Load::admit`], sends with [`Load::send`], and waits with
//! [`Load::until`] or [`Load::poll_for`]. Each of them polls, and every client that is not paused reads meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use madang::address::{Address, Target};
use madang::bench::engine::{Engine, Event};
use madang::bench::socket::Dialler;
use madang::tls_client::Options;
use socket2::Socket;

use super::decoder::Decoder;
use super::{Harness, Outcome, TIMEOUT};

/// Connections within a minute, for which the engine chooses source addresses: the port of a closed connection is not
/// free before (TIME_WAIT), and clients come and go by the million.
const CONNECTIONS_A_MINUTE: usize = 250_000;
/// How long one poll waits for events, unless the load stays awake.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// When a client has arrived.
#[derive(Clone, Copy)]
pub(crate) enum Arrival {
    /// When its connection is established: the server sends nothing by itself.
    Connected,
    /// When the server has sent it a whole line.
    Greeted,
    /// When the server has answered what the client sends first.
    Answered {
        /// What the client of this number sends.
        hello: fn(usize) -> Vec<u8>,
        /// Bytes that occur in the answer and in nothing before it. They do not begin anew within themselves.
        answer: &'static [u8],
    },
}

struct Client<D> {
    decoder: D,
    arrival: Arrival,
    is_connected: bool,
    /// How many bytes of the answer have come, one after the other.
    matched: usize,
    is_closed: bool,
}

impl<D> Client<D> {
    /// The bytes from the server with which the client arrives; perhaps none.
    fn answer(&self) -> &'static [u8] {
        match self.arrival {
            Arrival::Connected => b"",
            Arrival::Greeted => b"\n",
            Arrival::Answered { answer, .. } => answer,
        }
    }

    fn has_arrived(&self) -> bool {
        self.is_connected && self.matched == self.answer().len()
    }

    fn match_answer(&mut self, bytes: &[u8]) {
        let answer = self.answer();
        for &byte in bytes {
            if self.matched == answer.len() {
                return;
            }
            if byte != answer[self.matched] {
                self.matched = 0;
            }
            self.matched += usize::from(byte == answer[self.matched]);
        }
    }
}

/// What the events of one poll add up to.
#[derive(Default)]
struct Seen {
    connected: Vec<usize>,
    arrived: usize,
    received: u64,
    closed: Option<usize>,
}

impl Seen {
    fn handle<D: Decoder>(&mut self, id: usize, client: &mut Client<D>, event: Event<'_>) {
        let had_arrived = client.has_arrived();
        match event {
            Event::Connected => {
                client.is_connected = true;
                self.connected.push(id);
            }
            Event::Received { at_ns, bytes } => {
                client.match_answer(bytes);
                self.received += client.decoder.decode(at_ns, bytes);
            }
            Event::Closed => {
                client.is_closed = true;
                self.closed = Some(id);
            }
        }
        self.arrived += usize::from(client.has_arrived() && !had_arrived);
    }
}

/// All clients of one server, numbered from 0 in the order in which they connect.
pub(crate) struct Load<D> {
    engine: Engine<Client<D>>,
    /// How the clients arrive that connect from now on.
    arrival: Arrival,
    /// Whether the kernel is to hold few bytes for the clients that connect from now on.
    is_slow: bool,
    /// Whether the server may close connections.
    may_close: bool,
    /// How many clients have arrived; those that have connected again count anew.
    arrived: usize,
    received: u64,
    poll_timeout: Duration,
}

impl<D: Decoder> Load<D> {
    /// A load without clients, which will come from many addresses.
    pub(crate) fn new(server: SocketAddr, arrival: Arrival) -> Outcome<Self> {
        Self::from_addresses(server, arrival, CONNECTIONS_A_MINUTE, 0)
    }

    /// A load without clients, which will all come from 127.0.0.1, as no client of [`Self::from_net`] does.
    pub(crate) fn from_one_address(server: SocketAddr, arrival: Arrival) -> Outcome<Self> {
        Self::from_addresses(server, arrival, 1, 0)
    }

    /// A load without clients, which will come from the addresses 127.0.`net`.1 and so on.
    pub(crate) fn from_net(server: SocketAddr, arrival: Arrival, net: u8) -> Outcome<Self> {
        Self::from_addresses(server, arrival, CONNECTIONS_A_MINUTE, net.into())
    }

    /// A load without clients, which will come from many addresses, over TLS.
    pub(crate) fn over_tls(
        server: SocketAddr,
        arrival: Arrival,
        options: &Options,
    ) -> Outcome<Self> {
        let target = Target::parse(&format!("tls:{server}"))?;
        Self::dialling(&target, options, arrival, CONNECTIONS_A_MINUTE, 0)
    }

    fn from_addresses(
        server: SocketAddr,
        arrival: Arrival,
        connections: usize,
        run: u64,
    ) -> Outcome<Self> {
        let target = Target::from(Address::from(server));
        Self::dialling(&target, &Options::default(), arrival, connections, run)
    }

    fn dialling(
        target: &Target,
        options: &Options,
        arrival: Arrival,
        connections: usize,
        run: u64,
    ) -> Outcome<Self> {
        let dialler = Dialler::new(
            std::slice::from_ref(target),
            options,
            vec![0; connections],
            run,
        )?;
        Ok(Self {
            engine: Engine::new(dialler)?,
            arrival,
            is_slow: false,
            may_close: false,
            arrived: 0,
            received: 0,
            poll_timeout: POLL_TIMEOUT,
        })
    }

    /// Sets how the clients arrive that connect from now on.
    pub(crate) fn set_arrival(&mut self, arrival: Arrival) {
        self.arrival = arrival;
    }

    /// From now on the load polls without ever sleeping, if it has a core of its own.
    ///
    /// A sender pays for waking a sleeping receiver on the same machine. Receivers on other machines would not cost it
    /// that, and how often a load sleeps is chance.
    pub(crate) fn stay_awake(&mut self, harness: &Harness) {
        if harness.load_has_its_own_core() {
            self.poll_timeout = Duration::ZERO;
        }
    }

    /// From now on the kernel holds few bytes for the clients that connect.
    pub(crate) fn connect_slow(&mut self) {
        self.is_slow = true;
    }

    /// From now on it is no error when the server closes a connection: see [`Self::is_closed`].
    pub(crate) fn allow_closing(&mut self) {
        self.may_close = true;
    }

    /// One poll reads so many clients at most: it is short, and who calls it can look after other clients.
    pub(crate) fn set_reads_max(&mut self, reads_max: usize) {
        self.engine.set_reads_max(reads_max);
    }

    /// Connects `newcomers` more clients, at most `pending_max` at a time, and waits until all have arrived.
    pub(crate) fn admit(&mut self, newcomers: usize, pending_max: usize) -> Outcome<()> {
        let expected = self.engine.opened() + newcomers;
        self.until("all clients to be served", |load| {
            let end = expected.min(load.arrived + pending_max);
            while load.engine.opened() < end {
                load.connect()?;
            }
            Ok(load.arrived == expected)
        })
    }

    /// Starts the connection of one more client.
    pub(crate) fn connect(&mut self) -> Outcome<()> {
        let client = self.newcomer();
        match self.engine.open(self.is_slow, client)? {
            true => Ok(()),
            false => Err("the server's backlog is full".into()),
        }
    }

    /// Drops a client's connection, open or not, and starts another one under its number with a new decoder.
    pub(crate) fn reconnect(&mut self, id: usize) -> Outcome<()> {
        let client = self.newcomer();
        match self.engine.reopen(id, self.is_slow, client)? {
            true => Ok(()),
            false => Err("the server's backlog is full".into()),
        }
    }

    fn newcomer(&self) -> Client<D> {
        Client {
            decoder: D::default(),
            arrival: self.arrival,
            is_connected: false,
            matched: 0,
            is_closed: false,
        }
    }

    /// Waits for events, at most for `timeout`, and lets every client read.
    pub(crate) fn poll(&mut self, timeout: Duration) -> Outcome<()> {
        let mut seen = Seen::default();
        self.engine
            .poll(timeout, |id, client, event| seen.handle(id, client, event))?;
        self.add(seen)
    }

    fn add(&mut self, seen: Seen) -> Outcome<()> {
        self.arrived += seen.arrived;
        self.received += seen.received;
        if let Some(id) = seen.closed
            && !self.may_close
        {
            return Err(format!("client {id}: the server has closed the connection").into());
        }
        for id in seen.connected {
            if let Arrival::Answered { hello, .. } = self.engine.state(id).arrival {
                let sent = self.engine.write_all(id, &hello(id));
                sent.or_else(|problem| if self.may_close { Ok(()) } else { Err(problem) })?;
            }
        }
        Ok(())
    }

    /// Polls until `done`; an error after [`TIMEOUT`]. `what` completes "waited in vain for …".
    pub(crate) fn until(
        &mut self,
        what: &str,
        mut done: impl FnMut(&mut Self) -> Outcome<bool>,
    ) -> Outcome<()> {
        let deadline = Instant::now() + TIMEOUT;
        while !done(self)? {
            if Instant::now() > deadline {
                let arrived = self.arrived;
                let problem = format!("waited in vain for {what} ({TIMEOUT:?}; {arrived} arrived)");
                return Err(problem.into());
            }
            self.poll(self.poll_timeout)?;
        }
        Ok(())
    }

    /// Polls until the clients together have received so many lines since the load was made; an error if they receive
    /// more.
    pub(crate) fn until_received(&mut self, expected: u64) -> Outcome<()> {
        self.until("all lines to arrive", |load| Ok(load.received >= expected))?;
        match self.received {
            received if received > expected => {
                Err(format!("{received} lines were received instead of {expected}").into())
            }
            _ => Ok(()),
        }
    }

    /// Polls for a given time.
    pub(crate) fn poll_for(&mut self, time: Duration) -> Outcome<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.poll(left.clamp(Duration::from_millis(1), POLL_TIMEOUT))?;
        }
        Ok(())
    }

    /// Writes all of `bytes` for a client, and polls while its socket is full.
    pub(crate) fn send(&mut self, id: usize, bytes: &[u8]) -> Outcome<()> {
        let mut sent = self.offer(id, bytes);
        if sent < bytes.len() {
            self.until("the server to read", |load| {
                sent += load.offer(id, &bytes[sent..]);
                Ok(sent == bytes.len())
            })?;
        }
        Ok(())
    }

    /// Writes what a client's socket takes at once, perhaps nothing, and returns how many bytes that was.
    pub(crate) fn offer(&mut self, id: usize, bytes: &[u8]) -> usize {
        self.engine.write(id, bytes)
    }

    /// A client stops reading: its socket keeps what arrives.
    pub(crate) fn pause(&mut self, id: usize) {
        self.engine.pause(id);
    }

    /// A paused client reads again.
    pub(crate) fn resume(&mut self, id: usize) {
        self.engine.resume(id);
    }

    /// A paused client reads once, at most so many bytes.
    pub(crate) fn read_paused(&mut self, id: usize, bytes_max: usize) -> Outcome<()> {
        let mut seen = Seen::default();
        self.engine.read_paused(id, bytes_max, |id, client, event| {
            seen.handle(id, client, event);
        });
        self.add(seen)
    }

    /// Whether the server has closed a client's connection, as far as the client has read.
    pub(crate) fn is_closed(&self, id: usize) -> bool {
        self.engine.state(id).is_closed
    }

    /// Whether a client has arrived.
    pub(crate) fn has_arrived(&self, id: usize) -> bool {
        self.engine.state(id).has_arrived()
    }

    /// How many clients there are.
    pub(crate) fn clients(&self) -> usize {
        self.engine.opened()
    }

    /// Nanoseconds since the load was made: the clock of the decoders.
    pub(crate) fn now_ns(&self) -> u64 {
        self.engine.now_ns()
    }

    /// Lines received so far, by all clients together.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// How many clients have arrived.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived
    }

    /// The decoder of a client.
    pub(crate) fn decoder(&self, id: usize) -> &D {
        &self.engine.state(id).decoder
    }

    /// The decoders of all clients, in order.
    pub(crate) fn decoders(&self) -> impl Iterator<Item = &D> {
        self.engine.states().map(|client| &client.decoder)
    }

    /// The same, to be changed.
    pub(crate) fn decoders_mut(&mut self) -> impl Iterator<Item = &mut D> {
        self.engine.states_mut().map(|client| &mut client.decoder)
    }

    /// The sockets of all clients, in order. They do not block.
    pub(crate) fn into_sockets(self) -> impl Iterator<Item = Socket> {
        self.engine.into_sockets()
    }
}
