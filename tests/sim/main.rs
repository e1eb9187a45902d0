//! The whole server, hub and turn, on simulated sockets and a simulated clock. Each seed is a world of its own: how
//! many clients and rooms there are, how they behave, which limits hold, how often each fault happens.
//!
//! `MADANG_SIM_SEEDS=n` runs more seeds, `MADANG_SIM_SEED=n` one, with its trace.

mod account;
mod client;
mod fair;
mod judge;
mod limits;
mod world;

use client::{Client, End, Manner, room_name};
use fastrand::Rng;
use limits::drawn_limits;
use madang::hub::limits::{HalfClose, LOG_BLOCK_BYTES, Limits};
use madang::hub::{Census, Hub, Totals, Wire};
use madang::net::scheduler::Scheduler;
use std::time::Instant;
use world::{Faults, Pipe, Socket, World};

/// Turns within which a calm world must have come to rest.
const TURNS_TO_REST: usize = 200_000;

/// Longer than any timer but that of who is idle: twice the longest `slow_timeout_us`.
const LAST_TIMER_US: u64 = 80_000_000;

struct Sim {
    scheduler: Scheduler<World>,
    rng: Rng,
    limits: Limits,
    observers: Vec<Client>,
    clients: Vec<Client>,
    faults: Faults,
    verbose: bool,
    /// When whoever must not be taken for gone was last heard.
    kept_alive_at: u64,
    /// The first client is the host.
    hosted: bool,
    /// Everybody is kept alive, not just the observers.
    resting: bool,
    /// Until then the poll waits, unless something is reported.
    wakes_at: u64,
}

/// What one seed has come to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    trace: u64,
    deliveries: u64,
    totals: Totals,
}

impl Sim {
    fn new(seed: u64, verbose: bool) -> Sim {
        let mut rng = Rng::with_seed(seed);
        let limits = drawn_limits(&mut rng);
        limits.check().expect("sound limits are drawn");
        let mut faults = Faults::drawn(&mut rng);
        if rng.u8(0..8) == 0 {
            faults = Faults::default();
        }
        let mut world = World::new(rng.u64(..), Faults::default());
        world.verbose = verbose;
        let scheduler = Scheduler::new(world, Hub::new(limits.clone()), 1);
        let (observers, clients) = (Vec::new(), Vec::new());
        Sim {
            scheduler,
            rng,
            limits,
            observers,
            clients,
            faults,
            verbose,
            kept_alive_at: 0,
            hosted: false,
            resting: false,
            wakes_at: 0,
        }
    }

    /// An observer in each room, there before anybody else.
    fn seat_observers(&mut self, rooms: usize) {
        let raw = self.scheduler.net().connect(Wire::Raw, usize::MAX);
        self.observers
            .push(Client::new(usize::MAX, raw, Manner::observer()));
        for room in 0..rooms {
            let pipe = self.scheduler.net().connect(Wire::Chat, usize::MAX);
            let mut observer = Client::new(usize::MAX - 1 - room, pipe, Manner::observer());
            if room > 0 {
                observer.enqueue(&format!("/join {}", room_name(room)));
            }
            self.observers.push(observer);
            self.rest();
        }
    }

    /// A host that stays to the end, however slow it is: what others are closed for, it is not.
    fn seat_host(&mut self) {
        let pipe = Pipe::shared(Wire::Chat, self.drawn_capacity());
        let manner = Manner::drawn(&mut self.rng).lasting();
        let socket = Socket(pipe.clone());
        self.scheduler
            .connect_console(socket)
            .expect("a calm world");
        self.clients.push(Client::new(0, pipe, manner));
        self.hosted = true;
    }

    fn drawn_capacity(&mut self) -> usize {
        [50, 1000, 20_000, 150_000][self.rng.usize(..4)]
    }

    /// One turn, if the poll would not go on waiting.
    fn turn_once(&mut self) {
        self.keep_alive();
        let events = self.scheduler.net().poll();
        if events.is_empty() && self.scheduler.net().micros() < self.wakes_at {
            return;
        }
        for event in events {
            self.scheduler.event(event);
        }
        self.scheduler.run();
        let patience = self.scheduler.timeout().unwrap_or(u64::MAX);
        self.wakes_at = self.scheduler.net().micros().saturating_add(patience);
        for observer in &mut self.observers {
            observer.catch_up(self.scheduler.net());
        }
        self.scheduler.hub().check();
        let census = self.scheduler.hub().census();
        assert!(census.bytes <= self.limits.memory_bytes_max(), "{census:?}");
    }

    fn keep_alive(&mut self) {
        let idle_us = self.limits.idle_timeout_us;
        let now = self.scheduler.net().micros();
        if idle_us == 0 || now < self.kept_alive_at + idle_us / 4 {
            return;
        }
        self.kept_alive_at = now;
        let clients = if self.resting {
            // The host need not show that it is there.
            &mut self.clients[usize::from(self.hosted)..]
        } else {
            &mut []
        };
        for client in self.observers.iter_mut().chain(clients) {
            client.keep_alive();
            client.catch_up(self.scheduler.net());
        }
    }

    /// Lets time pass as the poll would: until the next deadline at the latest.
    fn wait(&mut self) {
        let most = self.scheduler.timeout().unwrap_or(2_000_000);
        if most > 0 {
            let micros = if self.rng.bool() {
                most
            } else {
                self.rng.u64(0..=most)
            };
            let jump = if self.rng.u8(0..50) == 0 {
                self.rng.u64(0..20_000_000)
            } else {
                0
            };
            self.scheduler.net().pass(micros.min(2_000_000) + jump);
        }
    }

    /// A calm world comes to rest: nothing is to be done, and nothing will be until somebody does something.
    fn rest(&mut self) {
        self.resting = true;
        let (mut quiet, mut changed_at) = (0, self.scheduler.net().micros());
        let mut last_seen = (self.scheduler.hub().totals(), 0);
        for _ in 0..TURNS_TO_REST {
            for client in &mut self.clients {
                client.catch_up(self.scheduler.net());
            }
            self.turn_once();
            let patience = self.scheduler.timeout();
            let events = self.scheduler.net().has_events();
            let pending = self.clients.iter().any(Client::has_pending);
            let now = self.scheduler.net().micros();
            let seen = (
                self.scheduler.hub().totals(),
                self.scheduler.net().deliveries,
            );
            if seen != last_seen {
                (last_seen, changed_at) = (seen, now);
            }
            // The timers of who is idle ring for ever; every other has rung by then.
            let only_idle = self.limits.idle_timeout_us > 0 && now > changed_at + LAST_TIMER_US;
            let done = patience.is_none() || only_idle && patience != Some(0);
            let at_rest = done && !events && !pending;
            let wait = patience.filter(|_| !events && !at_rest).unwrap_or(0);
            self.scheduler.net().pass(wait.max(1));
            quiet = if at_rest { quiet + 1 } else { 0 };
            if quiet > 3 {
                self.resting = false;
                return;
            }
        }
        let unread: Vec<_> = self
            .clients
            .iter()
            .map(|client| {
                (
                    client.number,
                    client.end,
                    client.pipe.borrow().inbound.len(),
                    client.has_pending(),
                )
            })
            .collect();
        let (patience, census) = (self.scheduler.timeout(), self.scheduler.hub().census());
        panic!(
            "no rest after {TURNS_TO_REST} turns: {patience:?} {census:?} {unread:?} {:?}",
            self.limits
        );
    }

    fn live(&mut self) {
        // History shows whoever comes back its own lines too, which the judge could not tell from new ones; where
        // pieces are passed on, half a command is one.
        let one_room = self.limits.history_lines > 0 || self.limits.partial_after_us > 0;
        let rooms = if one_room { 1 } else { self.rng.usize(1..4) };
        let peers = self.rng.usize(1..9);
        let steps = self.rng.usize(20..300);
        self.seat_observers(rooms);
        if self.rng.u8(0..3) == 0 {
            self.seat_host();
        }
        self.scheduler.net().faults = self.faults;
        for _ in 0..steps {
            if self.clients.len() < peers && self.rng.u8(0..4) == 0 {
                self.arrive();
            }
            for client in &mut self.clients {
                client.act(self.scheduler.net(), &mut self.rng, rooms, peers + rooms);
            }
            for _ in 0..self.rng.usize(1..4) {
                self.turn_once();
            }
            self.wait();
        }
        self.scheduler.net().faults = Faults::default();
        self.rest();
    }

    fn arrive(&mut self) {
        let capacity = self.drawn_capacity();
        let manner = Manner::drawn(&mut self.rng);
        // A piece of a raw line does not say whose it is.
        let raw = self.rng.u8(0..6) == 0 && self.limits.partial_after_us == 0;
        let (wire, manner) = if raw {
            (Wire::Raw, manner.plain())
        } else {
            (Wire::Chat, manner)
        };
        let pipe = self.scheduler.net().connect(wire, capacity);
        self.clients
            .push(Client::new(self.clients.len(), pipe, manner));
    }

    /// All go, some politely; then there is nothing left of them.
    fn leave(&mut self) {
        let has_left = |sim: &Sim| sim.scheduler.hub().console_has_left();
        assert!(!has_left(self), "the host has been sent away");
        for client in self.clients.iter_mut().chain(&mut self.observers) {
            if client.end == End::Fin || self.rng.bool() {
                client.reset(self.scheduler.net());
            } else {
                client.finish(self.scheduler.net());
            }
        }
        let mut stopped = self.rng.bool() || self.limits.half_close == HalfClose::Keep;
        if stopped {
            self.scheduler.stop();
        }
        for _ in 0..1000 {
            self.turn_once();
            if !stopped && has_left(self) {
                stopped = true;
                self.scheduler.stop();
            }
            self.scheduler.net().pass(20_000);
            for client in &mut self.clients {
                client.catch_up(self.scheduler.net());
            }
        }
        assert_eq!(has_left(self), self.hosted);
        let census = self.scheduler.hub().census();
        let Census {
            clients,
            names,
            addresses,
            rooms,
            timers,
            bytes,
        } = census;
        assert_eq!((clients, names, addresses), (0, 0, 0), "{census:?}");
        assert_eq!(timers, 0, "{census:?}");
        assert_eq!(rooms, 2, "{census:?}");
        // A log that nobody reads and that has no history keeps less than a block.
        assert!(self.limits.history_lines > 0 || bytes <= 2 * LOG_BLOCK_BYTES);
        for client in self.clients.iter().chain(&self.observers) {
            assert!(client.pipe.borrow().server_closed, "a socket is still open");
        }
    }

    fn run(seed: u64, verbose: bool) -> Outcome {
        let mut sim = Sim::new(seed, verbose);
        sim.live();
        if sim.verbose {
            println!("{:?}\n{:?}", sim.limits, sim.scheduler.hub().totals());
        }
        let everything_said = sim.limits.partial_after_us == 0 && sim.limits.line_bytes_max > 64;
        judge::judge(
            &sim.observers,
            &sim.clients,
            everything_said,
            sim.limits.line_bytes_max,
        );
        sim.leave();
        let totals = sim.scheduler.hub().totals();
        let world = sim.scheduler.net();
        Outcome {
            trace: world.trace,
            deliveries: world.deliveries,
            totals,
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number"))
    })
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number_from("MADANG_SIM_SEED") {
        println!("{:?}", Sim::run(seed, true));
        return;
    }
    let (first, seeds) = (
        number_from("MADANG_SIM_FIRST").unwrap_or(1),
        number_from("MADANG_SIM_SEEDS").unwrap_or(300),
    );
    let start = Instant::now();
    let (mut deliveries, mut skipped, mut slow_closed) = (0, 0, 0);
    for seed in first..first + seeds {
        let outcome = std::panic::catch_unwind(|| Sim::run(seed, false))
            .unwrap_or_else(|_| panic!("seed {seed} fails: repeat it with MADANG_SIM_SEED={seed}"));
        deliveries += outcome.deliveries;
        skipped += outcome.totals.skipped_lines;
        slow_closed += outcome.totals.slow_closed;
    }
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    println!(
        "{seeds} seeds, {deliveries} lines delivered, {skipped} skipped, {slow_closed} closed as slow; a minute: {:.0} seeds, {:.0} deliveries",
        seeds as f64 / minutes,
        deliveries as f64 / minutes
    );
    assert!(
        seeds < 100 || (skipped > 0 && slow_closed > 0),
        "the seeds do not reach slow members"
    );
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 1..20 {
        assert_eq!(Sim::run(seed, false), Sim::run(seed, false), "seed {seed}");
    }
}
