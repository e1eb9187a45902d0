//! Simulation of the whole server: the real hub and scheduler run on simulated sockets, a simulated poll and a
//! simulated clock. A seed decides how many clients and rooms there are, how the clients behave, which limits hold and
//! how often each fault happens. The same seed gives the same run.
//!
//! | file | contents |
//! | --- | --- |
//! | `main.rs` | one run: clients connect, act, read everything and disconnect; the tests over many seeds |
//! | `quiet.rs` | how a run comes to rest: the server has nothing to do, and in the end no client |
//! | `network.rs`, `pipe.rs`, `step.rs` | the simulated sockets, poll and clock |
//! | `veil.rs` | what TLS is in a simulation: handshakes, records, bytes that are kept |
//! | `faults.rs` | how often each of their faults happens |
//! | `limits.rs` | the server's limits, drawn from the seed |
//! | `world.rs` | what the clients of a run have in common: listeners, floods, storms, pauses |
//! | `events.rs` | pauses, storms and newcomers of a run, and what must hold at each turn |
//! | `relays.rs` | a proxy: clients that come through it, and newcomers that never get through |
//! | `budget.rs` | how long a turn may be |
//! | `behavior.rs` | how a simulated client behaves, drawn from the seed |
//! | `client.rs` | a simulated client: when it sends and reads, how it ends |
//! | `composition.rs` | what it says |
//! | `operator.rs` | an operator: what it commands, and what it must be told |
//! | `transcript.rs` | the bytes that a client has received, parsed into rooms and lines |
//! | `judge.rs` | checks the transcripts: order, completeness, counted losses |
//! | `room_lines.rs` | the lines of a room, and where each stands |
//! | `stay_check.rs` | compares what one client has received in a room with the lines of that room |
//! | `announcements.rs` | a naive model of what a room hears of comings and goings |
//! | `fair.rs` | a simulation of its own: one quiet client during a flood |
//! | `pauses.rs` | another: one silent client, and a pause of the process at each look at the clock |
//! | `strangers.rs` | another: a server that asks for a password, and a locked room |
//!
//! ```sh
//! MADANG_SIM_SEED=7 cargo test --test sim -- --nocapture                     # one seed, with its trace
//! MADANG_SIM_SEEDS=10000 cargo test --release --test sim -- --nocapture      # 10,000 seeds instead of 200
//! MADANG_SIM_FIRST=201 cargo test --test sim                                 # starts at seed 201 instead of 1
//! ```

mod announcements;
mod behavior;
mod budget;
mod client;
mod composition;
mod events;
mod fair;
mod faults;
mod judge;
mod limits;
mod network;
mod operator;
mod pauses;
mod pipe;
mod quiet;
mod relays;
mod room_lines;
mod stay_check;
mod step;
mod strangers;
mod transcript;
mod veil;
mod world;

use behavior::Behavior;
use client::Client;
use composition::room_name;
use fastrand::Rng;
use faults::Faults;
use limits::{changed_limits, drawn_limits, largest, strictest};
use madang::hub::limits::Limits;
use madang::hub::{Hub, Totals, Wire};
use madang::net::scheduler::Scheduler;
use network::Network;
use operator::Operator;
use pipe::{Pipe, Socket};
use relays::Relays;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;
use world::{Theme, World};

struct Sim {
    scheduler: Scheduler<Network>,
    rng: Rng,
    /// The limits at present, and those that follow.
    limits: Limits,
    planned: Vec<Limits>,
    /// The strictest and the largest of all these.
    least: Limits,
    most: Limits,
    /// Decides when limits change.
    changes: Rng,
    world: World,
    observers: Vec<Client>,
    clients: Vec<Client>,
    operator: Option<Operator>,
    relays: Relays,
    /// Clients of storms are `clients` too.
    storm_clients: usize,
    /// Newcomers without faults: their index in `clients`, and how many turns they wait at most from now on to be greeted.
    newcomers: Vec<(usize, usize)>,
    faults: Faults,
    verbose: bool,
    /// When clients last sent something in order not to be closed as idle, in microseconds.
    kept_alive_at: u64,
    /// The first client is the console.
    has_console: bool,
    /// All clients are kept alive, not only the observers.
    keeps_clients_alive: bool,
    /// Until this time the poll waits, unless an event is due. Microseconds.
    wakes_at: u64,
}

/// The result of one seed.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    trace: u64,
    deliveries: u64,
    totals: Totals,
}

impl Sim {
    fn new(seed: u64, verbose: bool) -> Sim {
        let mut rng = Rng::with_seed(seed);
        let mut limits = drawn_limits(&mut rng);
        let world = World::drawn(&mut rng, &mut limits);
        limits.check().expect("valid limits");
        let mut changes = Rng::with_seed(!seed);
        let count = if changes.u8(0..3) == 0 {
            changes.usize(1..6)
        } else {
            0
        };
        let planned = (0..count).map(|_| changed_limits(&mut changes, &limits));
        let planned: Vec<Limits> = planned.collect();
        let all = [&[limits.clone()], &*planned].concat();
        let mut faults = Faults::drawn(&mut rng);
        if rng.u8(0..8) == 0 {
            faults = Faults::default();
        }
        let mut network = Network::new(rng.u64(..), world.listeners, Faults::default());
        network.verbose = verbose;
        let mut scheduler = Scheduler::new(network, Hub::new(limits.clone()), world.listeners);
        scheduler.set_proxies(Relays::addresses());
        Sim {
            scheduler,
            rng,
            limits,
            planned,
            least: strictest(&all),
            most: largest(&all),
            changes,
            world,
            observers: Vec::new(),
            clients: Vec::new(),
            operator: None,
            relays: Relays::drawn(seed),
            storm_clients: 0,
            newcomers: Vec::new(),
            faults,
            verbose,
            kept_alive_at: 0,
            has_console: false,
            keeps_clients_alive: false,
            wakes_at: 0,
        }
    }

    /// Connects an observer in each room, before all other clients.
    fn connect_observers(&mut self, rooms: usize) {
        let raw = self.connected(0, Wire::Raw, usize::MAX, World::observers_address(0xf));
        let observer = Client::new(usize::MAX, raw, Behavior::observer());
        self.observers.push(observer);
        for room in 0..rooms {
            let address = World::observers_address(room as u8);
            let pipe = self.connected(0, Wire::Chat, usize::MAX, address);
            let mut observer = Client::new(usize::MAX - 1 - room, pipe, Behavior::observer());
            if room > 0 {
                observer.enqueue(&format!("/join {}", room_name(room)));
            }
            self.observers.push(observer);
            self.run_until_quiet();
        }
    }

    /// Connects the console, which stays to the end: the server never closes it for reading slowly.
    fn connect_console_client(&mut self) {
        let pipe = Pipe::shared(Wire::Chat, self.drawn_capacity());
        let behavior = self.world.behavior(&mut self.rng).without_end();
        let socket = Socket(pipe.clone());
        let connected = self.scheduler.connect_console(socket);
        connected.expect("no faults yet");
        let client = Client::new(0, pipe, behavior).connected(self.scheduler.net());
        self.clients.push(client);
        self.has_console = true;
    }

    pub fn drawn_capacity(&mut self) -> usize {
        // A client that moves to and fro reads the history of a room each time.
        let smallest = if self.most.history_lines > 0 { 500 } else { 50 };
        [smallest, 1000, 20_000, 150_000][self.rng.usize(..4)]
    }

    /// Runs one turn of the event loop, unless its poll would still wait.
    fn turn_once(&mut self) {
        self.keep_alive();
        self.count_turn_of_newcomers();
        self.answer_requests();
        let events = self.scheduler.net().poll();
        if events.is_empty() && self.scheduler.net().micros() < self.wakes_at {
            return;
        }
        for event in events {
            self.scheduler.event(event);
        }
        self.run_scheduler();
        let timeout = self.timeout().unwrap_or(u64::MAX);
        self.wakes_at = self.scheduler.net().micros().saturating_add(timeout);
        for observer in &mut self.observers {
            observer.send_and_read_all(self.scheduler.net());
        }
        self.scheduler.hub().check();
        let census = self.scheduler.hub().census();
        assert!(census.bytes <= self.most.memory_bytes_max(), "{census:?}");
    }

    fn keep_alive(&mut self) {
        let idle_us = self.least.idle_timeout_us;
        let now = self.scheduler.net().micros();
        if idle_us == 0 || now < self.kept_alive_at + idle_us / 4 {
            return;
        }
        self.kept_alive_at = now;
        let clients = if self.keeps_clients_alive {
            // The console has no idle timeout.
            &mut self.clients[usize::from(self.has_console)..]
        } else {
            &mut []
        };
        for client in self.observers.iter_mut().chain(clients) {
            client.keep_alive();
            client.send_all(self.scheduler.net());
        }
    }

    /// How long the poll may wait.
    fn timeout(&mut self) -> Option<u64> {
        let timeout = self.scheduler.timeout();
        self.scheduler.net().may_wait(timeout);
        timeout
    }

    /// Advances the clock at most to the next deadline, as a poll does.
    fn wait(&mut self) {
        let timeout = self.timeout().unwrap_or(2_000_000);
        if timeout > 0 {
            let micros = if self.rng.bool() {
                timeout
            } else {
                self.rng.u64(0..=timeout)
            };
            self.scheduler.net().advance(micros.min(2_000_000));
        }
    }

    fn run_steps(&mut self) {
        // One room if unfinished lines are flushed, since a cut `/join` would name another room.
        let rooms = if self.limits.partial_after_us > 0 {
            1
        } else {
            self.rng.usize(1..4)
        };
        let peers = self.rng.usize(1..9);
        let steps = self.rng.usize(20..300);
        self.connect_observers(rooms);
        if self.rng.u8(0..3) == 0 {
            self.connect_console_client();
        }
        if self.rng.u8(0..3) == 0 {
            self.connect_operator();
        }
        self.scheduler.net().faults = self.faults;
        for _ in 0..steps {
            if self.clients.len() - self.storm_clients < peers && self.rng.u8(0..4) == 0 {
                self.connect_client();
            }
            if self.changes.u8(0..16) == 0 {
                self.change_limits();
            }
            if matches!(self.world.theme, Theme::Storms) && self.rng.u8(0..8) == 0 {
                self.storm();
            }
            if self.rng.usize(..self.world.steps_a_pause) == 0 {
                self.pause(rooms, peers);
            }
            self.relays
                .stall(self.scheduler.net(), self.world.listeners);
            for client in &mut self.clients {
                client.act(self.scheduler.net(), &mut self.rng, rooms, peers + rooms);
            }
            for _ in 0..self.rng.usize(1..4) {
                self.turn_once();
                self.operate();
            }
            self.wait();
        }
        self.scheduler.net().faults = Faults::default();
        self.run_until_quiet();
        self.relays.judge();
        assert_eq!(self.scheduler.handshakes_unfinished(), 0);
    }

    fn connect_client(&mut self) {
        let capacity = self.drawn_capacity();
        let behavior = self.world.behavior(&mut self.rng);
        // A flushed part of a raw line does not contain its author.
        let raw = self.rng.u8(0..6) == 0 && self.limits.partial_after_us == 0;
        let (wire, behavior) = if raw {
            (Wire::Raw, behavior.plain())
        } else {
            (Wire::Chat, behavior)
        };
        self.push_client(wire, capacity, behavior);
    }

    fn run(seed: u64, verbose: bool) -> Outcome {
        let mut sim = Sim::new(seed, verbose);
        sim.run_steps();
        if sim.verbose {
            println!("{:?}\n{:?}", sim.limits, sim.scheduler.hub().totals());
        }
        sim.judge_silence();
        let has_operator = sim.operator.is_some();
        judge::judge(&sim.observers, &sim.clients, &sim.least, has_operator);
        sim.judge_operator();
        sim.disconnect_all();
        let totals = sim.scheduler.hub().totals();
        let network = sim.scheduler.net();
        Outcome {
            trace: network.trace,
            deliveries: network.deliveries,
            totals,
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// Runs seeds on all cores. Of those that fail there is no outcome.
fn run_all(seeds: Range<u64>) -> BTreeMap<u64, Option<Outcome>> {
    let next = Mutex::new(seeds);
    let run_some = || {
        let mut outcomes = Vec::new();
        loop {
            let Some(seed) = next.lock().expect("seeds").next() else {
                return outcomes;
            };
            let outcome = std::panic::catch_unwind(|| Sim::run(seed, false)).ok();
            if outcome.is_none() {
                println!("seed {seed} fails");
            }
            outcomes.push((seed, outcome));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(run_some)).collect();
        let outcomes = threads.into_iter().map(|it| it.join().expect("outcomes"));
        outcomes.flatten().collect()
    })
}

#[test]
fn every_seed_keeps_the_guarantees() {
    if let Some(seed) = number_from("MADANG_SIM_SEED") {
        println!("{:?}", Sim::run(seed, true));
        return;
    }
    let first = number_from("MADANG_SIM_FIRST").unwrap_or(1);
    let seeds = number_from("MADANG_SIM_SEEDS").unwrap_or(200);
    let start = Instant::now();
    let (mut deliveries, mut skipped, mut slow_closed) = (0, 0, 0);
    let mut failed = Vec::new();
    for (seed, outcome) in run_all(first..first + seeds) {
        let Some(outcome) = outcome else {
            failed.push(seed);
            continue;
        };
        deliveries += outcome.deliveries;
        skipped += outcome.totals.skipped_lines;
        slow_closed += outcome.totals.slow_closed;
    }
    println!("{deliveries} lines delivered, {skipped} skipped, {slow_closed} closed as slow");
    let a_minute = |count: u64| count as f64 / start.elapsed().as_secs_f64() * 60.0;
    let (seeds_a_minute, lines_a_minute) = (a_minute(seeds), a_minute(deliveries));
    println!("{seeds} seeds; a minute: {seeds_a_minute:.0} seeds, {lines_a_minute:.0} deliveries");
    assert!(
        failed.is_empty(),
        "seeds {failed:?} fail: repeat one with MADANG_SIM_SEED=N"
    );
    let has_slow_members = skipped > 0 && slow_closed > 0;
    assert!(seeds < 100 || has_slow_members, "no seed has slow members");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..20 {
        assert_eq!(Sim::run(seed, false), Sim::run(seed, false), "seed {seed}");
    }
}
