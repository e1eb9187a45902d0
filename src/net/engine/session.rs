//! The connections to the engine from the first to the last, and what is asked over each. One thing after the other: see the
//! picture in `engine.rs`.

use super::NONSENSE;
use super::answers;
use super::attaching::Attaching;
use super::carrying::Barrier;
use super::client::{Came, Client, Purpose, Question};
use super::clients::Clients;
use super::command::{self, BLOCK_MS, Script, Scripts};
use super::connection::{Broken, Server};
use super::lanes::Lanes;
use super::options::{Figures, Options};
use super::servers::{Servers, Shard, shards};
use super::trouble::{Remedy, Told, judge};
use super::value::Value;
use crate::address::engine::EngineAddress;
use crate::hub::link::contract::{Input, Lane, Op};
use mio::Registry;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Pause before connecting again. It doubles with each try.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// After this time a connection that is lost was a good one: the next pause is short again.
const STABLE: Duration = Duration::from_secs(5);
/// How often the ends of lanes are looked at, and Sentinel is asked for the primary.
const CHECK_EVERY: Duration = Duration::from_millis(BLOCK_MS);

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
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
    address: EngineAddress,
    pub(super) options: Options,
    servers: Servers,
    pub(super) clients: Clients,
    pub(super) lanes: Lanes,
    pub(super) scripts: Scripts,
    phase: Phase,
    /// The server that is the primary, or the first that is asked.
    primary: Option<Server>,
    /// The Sentinel that is asked, and when next.
    sentinel: Option<usize>,
    sentinel_at: Instant,
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
    pause: Duration,
    /// Why the engine cannot be used, and why it does not do something.
    told: Told,
    pub(super) told_tasks: Told,
    pub(super) refusal: Option<String>,
    losses: u64,
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
            servers: Servers::new(&address, &options.tls)?,
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

/// Connecting.
impl Session {
    /// Begins with the next server.
    fn connect(&mut self) {
        let server = self.servers.next();
        self.phase = Phase::Greeting;
        self.cluster = None;
        let is_sentinel = self.address.sentinel_name.is_some();
        let purpose = match is_sentinel {
            true => Purpose::Sentinel,
            false => Purpose::Seed,
        };
        self.primary = Some(server.clone());
        match self.clients.open(&server, purpose, self.now) {
            Ok(place) if is_sentinel => {
                self.phase = Phase::Asking;
                self.sentinel = Some(place);
                self.ask_for_primary(place);
            }
            Ok(place) => self.greet(place),
            Err(why) => self.failed(&server, &why),
        }
    }

    fn ask_for_primary(&mut self, place: usize) {
        let Some(name) = &self.address.sentinel_name else {
            return;
        };
        self.sentinel_at = self.now + CHECK_EVERY;
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name];
        let client = self.clients.get_mut(place);
        client.ask(Question::Primary, self.now, |out| {
            command::write_words(out, &words);
        });
    }

    /// While the engine is used, a Sentinel is asked now and then whether it still is the primary.
    fn ask_sentinel(&mut self) {
        if let Some(place) = self.sentinel
            && self.is_open()
            && self.sentinel_at <= self.now
            && self.clients.get(place).is_idle()
        {
            self.ask_for_primary(place);
        }
    }

    /// Asks a server everything that must be known before it can be used.
    fn greet(&mut self, place: usize) {
        let (now, login) = (self.now, self.address.login.as_ref());
        let client = self.clients.get_mut(place);
        if let Some(login) = login {
            client.ask(Question::Login, now, |out| command::write_login(out, login));
        }
        if client.purpose == Purpose::Seed {
            let words = ["CLUSTER", "SLOTS"];
            client.ask(Question::Slots, now, |out| {
                command::write_words(out, &words)
            });
        }
        client.ask(Question::Role, now, |out| {
            command::write_words(out, &["ROLE"])
        });
        if !matches!(client.purpose, Purpose::Reads(_)) {
            for (nth, script) in Script::ALL.iter().enumerate() {
                let words = ["SCRIPT", "LOAD", script.text()];
                client.ask(Question::Load(nth), now, |out| {
                    command::write_words(out, &words);
                });
            }
        }
    }

    /// The first server has answered everything: the others are connected to.
    fn greeted(&mut self, place: usize) -> Result<(), Broken> {
        self.phase = Phase::Opening;
        let seed = self.clients.get(place).server.clone();
        let lanes: Vec<usize> = (0..self.lanes.count()).collect();
        let Some(cluster) = self.cluster.take() else {
            self.clients.get_mut(place).purpose = Purpose::Tasks;
            self.clients.set_routes(vec![place; lanes.len()]);
            let reader = self.clients.open(&seed, Purpose::Reads(lanes), self.now)?;
            self.greet(reader);
            return Ok(());
        };
        self.clients.close(place);
        let mut primaries: Vec<(Server, usize)> = Vec::new();
        let mut routes = Vec::new();
        for &lane in &lanes {
            let slot = u64::from(self.lanes.get(lane).keys.slot);
            let shard = cluster
                .iter()
                .find(|it| (it.first..=it.last).contains(&slot));
            let shard = shard.ok_or("a part of the cluster's slots is served by nobody")?;
            let server = self.servers.named(&seed, &shard.host, shard.port)?;
            let known = primaries
                .iter()
                .find(|(known, _)| known.place == server.place);
            let route = match known {
                Some((_, route)) => *route,
                None => {
                    let route = self.clients.open(&server, Purpose::Tasks, self.now)?;
                    primaries.push((server.clone(), route));
                    self.greet(route);
                    route
                }
            };
            routes.push(route);
            let reader = self
                .clients
                .open(&server, Purpose::Reads(vec![lane]), self.now)?;
            self.greet(reader);
        }
        self.clients.set_routes(routes);
        Ok(())
    }

    /// Everything is there.
    fn opened(&mut self) {
        self.phase = Phase::Open(self.now);
        self.servers.stay();
        self.told.clear();
        let servers: Vec<&Server> = {
            let tasks = self
                .clients
                .iter()
                .filter(|it| it.purpose == Purpose::Tasks);
            tasks.map(|client| &client.server).collect()
        };
        match &*servers {
            [server] => tracing::info!(%server, "connected to the engine"),
            servers => {
                tracing::info!(
                    servers = servers.len(),
                    "connected to the engine, a Redis Cluster"
                );
            }
        }
        self.inputs.push_back(Input::Connected);
        self.read_all();
    }

    /// A client is of no more use, and with it all of them.
    pub(super) fn lose(&mut self, place: usize, why: &str) {
        let server = self.clients.get(place).server.clone();
        if self.sentinel == Some(place) && self.is_open() {
            // The engine can be used all the same.
            self.clients.close(place);
            self.sentinel = None;
            tracing::warn!(%server, "the connection to Sentinel is lost: {why}; trying the next one");
            let next = self.servers.next();
            if let Ok(place) = self.clients.open(&next, Purpose::Sentinel, self.now) {
                self.sentinel = Some(place);
                self.sentinel_at = self.now + CHECK_EVERY;
            }
            return;
        }
        self.failed(&server, why);
    }

    /// Gives all connections up, and tries again after a pause.
    fn failed(&mut self, server: &Server, why: &str) {
        self.clients.close_all();
        self.sentinel = None;
        self.attaching = None;
        self.waiting.clear();
        self.barrier = None;
        self.is_known = false;
        let pause = self.pause;
        self.pause = (2 * self.pause).min(PAUSE_MAX);
        if let Phase::Open(since) = self.phase {
            if since + STABLE <= self.now {
                self.pause = PAUSE_MIN;
            }
            self.losses += 1;
            self.inputs.push_back(Input::Disconnected);
            tracing::warn!(%server, "the connection to the engine is lost: {why}; connecting again");
            self.told.is_news(self.now, &format!("{server}: {why}"));
        } else if self.told.is_news(self.now, &format!("{server}: {why}")) {
            tracing::error!(%server, "no connection to the engine: {why}; trying again every 2 s at least");
        }
        self.phase = Phase::Waiting(self.now + pause);
    }
}

/// Answers.
impl Session {
    /// Handles what has come over a client, which is no entry.
    pub fn came(&mut self, place: usize, came: Came) {
        let done = match came {
            Came::Answer(question, value) => self.answered(place, question, value),
            Came::ReadEnded(ended) => {
                self.read_ended(place, ended);
                Ok(())
            }
            Came::Foreign => {
                let head = self.clients.get(place).head();
                let (lane, id) = (head.lane, head.id);
                if self.lanes.pass(lane, id, None) {
                    let log = &self.lanes.get(lane).keys.log;
                    tracing::warn!("entry {id} of {log} was written by no node: it is passed over");
                }
                Ok(())
            }
            Came::Entry => Ok(()),
        };
        if let Err(why) = done {
            self.lose(place, &why);
        }
    }

    fn answered(&mut self, place: usize, question: Question, value: Value) -> Result<(), Broken> {
        if let Value::Error(error) = &value {
            self.refused(place, question, error)?;
        } else {
            self.accepted(place, question, &value)?;
        }
        if self.clients.has(place) && self.clients.get(place).is_idle() {
            self.next_question(place)?;
        }
        Ok(())
    }

    /// A client has been answered everything.
    fn next_question(&mut self, place: usize) -> Result<(), Broken> {
        let is_reader = matches!(self.clients.get(place).purpose, Purpose::Reads(_));
        match self.phase {
            Phase::Greeting => self.greeted(place),
            Phase::Opening if self.clients.iter().all(Client::is_idle) => {
                self.opened();
                Ok(())
            }
            Phase::Open(_) if is_reader && self.is_reading() => {
                self.read(place);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn accepted(&mut self, place: usize, question: Question, value: &Value) -> Result<(), Broken> {
        match question {
            Question::Login | Question::Read => {}
            Question::Role => {
                // A cluster says itself which servers are its primaries.
                if let Some(primary) = answers::primary_of_replica(value)
                    && self.cluster.is_none()
                {
                    return Err(format!("it is a replica, of {primary}"));
                }
            }
            Question::Slots => {
                let shards = shards(value).filter(|shards| !shards.is_empty());
                let none = "the cluster has no slots: it is not complete";
                self.cluster = Some(shards.ok_or(none)?);
            }
            Question::Load(nth) => {
                let digest = value.text().ok_or("it does not say a script's digest")?;
                self.scripts.set(Script::ALL[nth], digest);
            }
            Question::Primary => return self.primary_named(place, value),
            Question::Task => return self.task_done(place, value),
            Question::Ends(lane) => {
                let (world, last) = answers::ends(value).ok_or(NONSENSE)?;
                if self.lanes.ends(lane, world, last) {
                    let lane = self.lanes.get(lane).keys.lane;
                    tracing::warn!("the engine has lost the last entries of lane {lane}");
                    self.inputs.push_back(Input::Rewound(lane));
                }
            }
            Question::Sequence(lane) => self.barrier_answer(lane, value.number().unwrap_or(0)),
        }
        Ok(())
    }

    fn primary_named(&mut self, place: usize, value: &Value) -> Result<(), Broken> {
        let sentinel = self.clients.get(place).server.clone();
        let [host, port] = value.elements() else {
            let name = self.address.sentinel_name.as_deref().unwrap_or_default();
            return Err(format!(
                "this Sentinel watches no primary by the name {name}"
            ));
        };
        let port = port.number().and_then(|port| u16::try_from(port).ok());
        let (host, port) = host.text().zip(port).ok_or(NONSENSE)?;
        let named = self.servers.named(&sentinel, host, port)?;
        if self.is_open() {
            if let Some(primary) = self.primary.clone()
                && primary.place != named.place
            {
                self.failed(&primary, &format!("Sentinel has made {named} the primary"));
            }
            return Ok(());
        }
        self.phase = Phase::Greeting;
        self.primary = Some(named.clone());
        let seed = self.clients.open(&named, Purpose::Seed, self.now);
        match seed {
            Ok(seed) => self.greet(seed),
            Err(why) => self.failed(&named, &why),
        }
        Ok(())
    }

    /// The engine has refused something.
    fn refused(&mut self, place: usize, question: Question, error: &str) -> Result<(), Broken> {
        let (remedy, why) = judge(error);
        match (question, remedy) {
            // A single engine, or one whose user may not ask that.
            (Question::Slots, _) if !error.starts_with("NOAUTH") => Ok(()),
            (Question::Role, Remedy::GiveUp) if error.starts_with("NOPERM") => Ok(()),
            (Question::Task, _) => self.task_refused(place, error, remedy, why),
            (Question::Ends(lane), Remedy::SendScript) => {
                let (client, keys) = (self.clients.get_mut(place), &self.lanes.get(lane).keys);
                let scripts = &self.scripts;
                client.ask(question, self.now, |out| {
                    scripts.write_ends(out, true, keys)
                });
                Ok(())
            }
            // The reader is idle now, and looks again later.
            (Question::Ends(_) | Question::Read, Remedy::TryAgain) => {
                self.tell_trouble(place, &why);
                Ok(())
            }
            _ => Err(why),
        }
    }

    pub(super) fn tell_trouble(&mut self, place: usize, why: &str) {
        if self.told_tasks.is_news(self.now, why) {
            let server = &self.clients.get(place).server;
            tracing::warn!(%server, "the engine cannot do what it is asked: {why}; trying again");
        }
    }
}
