//! The connections to the engine from the first to the last, and what is asked over each. One thing after the other: see the
//! picture in `engine.rs`.

use super::attaching::Attaching;
use super::barrier::Barrier;
use super::client::{Came, Client, Purpose};
use super::clients::Clients;
use super::command::{BLOCK_MS, Scripts};
use super::connection::Server;
use super::lanes::Lanes;
use super::options::{Figures, Options};
use super::servers::{Servers, Shard};
use super::trouble::Told;
use crate::address::engine::EngineAddress;
use crate::hub::link::contract::{Input, Lane, Op};
use mio::Registry;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Pause before connecting again. It doubles with each try.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);
/// After this time a connection that is lost was a good one: the next pause is short again.
pub(super) const STABLE: Duration = Duration::from_secs(5);
/// How often the ends of lanes are looked at, and Sentinel is asked for the primary.
pub(super) const CHECK_EVERY: Duration = Duration::from_millis(BLOCK_MS);

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is tried until then.
    Waiting(Instant),
    /// A Sentinel is asked for the primary.
    Asking,
    /// A server is asked what it is.
    Greeting,
    /// The other connections are made.
    Opening,
    /// It can be used, since then.
    Open(Instant),
}

/// The connections.
#[derive(Debug)]
pub struct Session {
    pub(super) address: EngineAddress,
    pub(super) options: Options,
    pub(super) servers: Servers,
    pub(super) clients: Clients,
    pub(super) lanes: Lanes,
    pub(super) scripts: Scripts,
    pub(super) phase: Phase,
    /// The server that is the primary, or the first that is asked.
    pub(super) primary: Option<Server>,
    /// The Sentinel that is asked, and when next.
    pub(super) sentinel: Option<usize>,
    pub(super) sentinel_at: Instant,
    /// The parts of a cluster; `None`: a single engine.
    pub(super) cluster: Option<Vec<Shard>>,
    /// What is to be passed on before anything else.
    pub(super) inputs: VecDeque<Input<'static>>,
    /// The hub knows that the engine can be used.
    pub(super) is_known: bool,
    pub(super) attaching: Option<Attaching>,
    /// Ops that wait until it is attached.
    pub(super) waiting: VecDeque<Op>,
    /// The world of batches.
    pub(super) world: String,
    pub(super) barrier: Option<Barrier>,
    /// So that a world that is begun has a name that no other has.
    pub(super) salt: u32,
    /// When the ends of lanes were looked at.
    pub(super) checked_at: Instant,
    pub(super) now: Instant,
    pub(super) pause: Duration,
    /// Why the engine cannot be used, and why it does not do something.
    pub(super) told: Told,
    pub(super) told_tasks: Told,
    pub(super) refusal: Option<String>,
    pub(super) losses: u64,
}

impl Session {
    /// No connection yet.
    ///
    /// # Errors
    /// See [`Servers::new`].
    pub fn new(
        address: EngineAddress,
        options: Options,
        registry: Registry,
        tokens: Range<usize>,
    ) -> io::Result<Session> {
        let now = Instant::now();
        Ok(Session {
            servers: Servers::new(&address, &options.tls())?,
            clients: Clients::new(registry, tokens),
            lanes: Lanes::new(&address.prefix, options.lanes),
            address,
            options,
            scripts: Scripts::default(),
            phase: Phase::Waiting(now),
            primary: None,
            sentinel: None,
            sentinel_at: now,
            cluster: None,
            inputs: VecDeque::new(),
            is_known: false,
            attaching: None,
            waiting: VecDeque::new(),
            world: String::new(),
            barrier: None,
            salt: getrandom::u32().map_err(io::Error::other)?,
            checked_at: now,
            now,
            pause: PAUSE_MIN,
            told: Told::default(),
            told_tasks: Told::default(),
            refusal: None,
            losses: 0,
        })
    }

    /// See [`super::Engine::event`].
    pub fn event(&mut self, event: &mio::event::Event) {
        if let Some(place) = self.clients.of_token(event.token())
            && let Err(why) = self.clients.get_mut(place).connection.ready(event)
        {
            self.lose(place, &why);
        }
    }

    /// See [`super::Engine::tick`].
    pub fn tick(&mut self, now: Instant) {
        self.now = now;
        if let Phase::Waiting(until) = self.phase
            && until <= now
        {
            self.connect();
        }
        for place in self.clients.places() {
            if self.clients.has(place) && self.clients.get_mut(place).is_late(now) {
                let why = match self.clients.get(place).connection.is_connecting() {
                    true => "no connection to it within 5 s",
                    false => "it does not answer",
                };
                self.lose(place, why);
            }
        }
        self.ask_sentinel();
        self.retry_reads();
        self.flush();
    }

    /// See [`super::Engine::deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        let until = match self.phase {
            Phase::Waiting(until) => Some(until),
            _ => None,
        };
        let of_clients = self.clients.iter().flat_map(|client| {
            let reader = matches!(client.purpose, Purpose::Reads(_)) && client.is_idle();
            let check = (reader && self.is_reading()).then(|| self.checked_at + CHECK_EVERY);
            [client.deadline(), client.tasks.deadline(), check]
        });
        let sentinel = self.sentinel.filter(|_| self.is_open());
        let sentinel = sentinel.map(|_| self.sentinel_at);
        of_clients.chain([until, sentinel]).flatten().min()
    }

    /// Whether something may have come that can be taken.
    pub fn has_work(&self) -> bool {
        let is_held = |client: &Client| self.is_held(client);
        let mut clients = self.clients.iter();
        !self.inputs.is_empty()
            || clients.any(|client| client.connection.has_work() && !is_held(client))
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether lanes are read.
    pub(super) fn is_reading(&self) -> bool {
        self.is_open() && self.lanes.are_read() && self.attaching.is_none()
    }

    /// The next input that is not lent.
    pub fn take_input(&mut self) -> Option<Input<'static>> {
        let input = self.inputs.pop_front();
        self.is_known |= matches!(input, Some(Input::Connected)) && self.is_open();
        input
    }

    /// What has come next, and over which client. An entry has been passed over.
    pub fn step(&mut self) -> Option<(usize, Came)> {
        loop {
            let holds = self.attaching.is_some();
            let is_held = |client: &Client| holds && matches!(client.purpose, Purpose::Reads(_));
            let place = self.clients.next_with_work(is_held)?;
            let lanes = &self.lanes;
            let came = self.clients.get_mut(place).next(|log| lanes.find(log));
            match came {
                Ok(None) => self.clients.pass_on(),
                Ok(Some(Came::Entry)) => {
                    let head = self.clients.get(place).head();
                    let (lane, id, sequence) = (head.lane, head.id, head.sequence);
                    if self.lanes.pass(lane, id, Some(sequence)) {
                        return Some((place, Came::Entry));
                    }
                }
                Ok(Some(came)) => return Some((place, came)),
                Err(why) => self.lose(place, &why),
            }
        }
    }

    /// A client.
    pub fn client(&self, place: usize) -> &Client {
        self.clients.get(place)
    }

    /// The lane of a place.
    pub fn lane(&self, place: usize) -> Lane {
        self.lanes.get(place).keys.lane
    }

    /// See [`super::Engine::refusal`].
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// See [`super::Engine::figures`].
    pub fn figures(&self) -> Figures {
        let (bytes_in, bytes_out) = self.clients.traffic();
        let tasks = |client: &&Client| client.purpose == Purpose::Tasks;
        let client = self.clients.iter().find(tasks);
        Figures {
            is_connected: self.is_open(),
            server: client.map_or_else(String::new, |client| client.server.to_string()),
            round_trip: client.and_then(Client::round_trip),
            bytes_in,
            bytes_out,
            losses: self.losses,
        }
    }
}
