//! A server that asks for a password, in a simulation of its own: newcomers that know it, that guess, that stall and that send
//! junk, while two people talk in a locked room. Strangers are shown nothing, those who know the password come in, and nobody
//! outside hears what is said in the room.

use super::faults::Faults;
use super::network::Network;
use super::pipe::{Pipe, Shared};
use fastrand::Rng;
use madang::hub::limits::Limits;
use madang::hub::secret::Secret;
use madang::hub::{Hub, Wire};
use madang::net::scheduler::Scheduler;
use std::net::Ipv4Addr;

/// Places of the server. A quarter of them are for strangers.
const CLIENTS_MAX: usize = 60;
/// Newcomers that know the password, at most: with the residents they leave places for strangers.
const FRIENDS_MAX: usize = 25;
/// Addresses of those that do not.
const HOSTILE_ADDRESSES: u8 = 3;
/// What only residents of the locked room may hear.
const HIDDEN: &str = "between us";

/// What may be written to a stranger.
const SHOWN: [&str; 8] = [
    "* this server asks for a password: send /pass SECRET within 30 s",
    "! line not read: this server asks for a password first; send /pass SECRET",
    "! wrong password",
    "! closed: too many wrong passwords from your address; try again in a minute",
    "! closed: no password within 30 s",
    "! closed: no password within 1,024 bytes",
    "! closed: too many connections have not said the password; try again",
    // Strangers that are being closed take nobody's place, but only so many of them.
    "! server is full: 60 connections; try again later",
];

/// A newcomer.
struct Newcomer {
    pipe: Shared,
    knows: bool,
    /// What it has not sent yet, and the most that it sends in a step.
    pending: Vec<u8>,
    piece: usize,
    received: Vec<u8>,
}

struct Gate {
    scheduler: Scheduler<Network>,
    rng: Rng,
    newcomers: Vec<Newcomer>,
    friends: u8,
    /// Two people in a locked room: one says `said` lines, the other listens.
    speaker: Newcomer,
    listener: Newcomer,
    said: usize,
}

impl Newcomer {
    fn connect(network: &mut Network, address: Ipv4Addr, sends: &str, piece: usize) -> Newcomer {
        let pipe = Pipe::shared(Wire::Chat, 100_000);
        pipe.borrow_mut().address = address;
        network.connect_to(0, pipe.clone());
        Newcomer {
            pipe,
            knows: false,
            pending: sends.into(),
            piece,
            received: Vec::new(),
        }
    }

    fn act(&mut self, network: &mut Network) {
        let n = self.pending.len().min(self.piece);
        if n > 0 && !self.pipe.borrow().server_closed {
            let bytes: Vec<u8> = self.pending.drain(..n).collect();
            network.send(&self.pipe, &bytes);
        }
        self.received
            .extend(network.receive(&self.pipe, usize::MAX));
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).replace('\r', "")
    }
}

impl Gate {
    fn new(seed: u64) -> Gate {
        let mut rng = Rng::with_seed(seed);
        let limits = Limits {
            clients_max: CLIENTS_MAX,
            history_lines: [0, 5][rng.usize(..2)],
            ..Limits::default()
        };
        let mut network = Network::new(rng.u64(..), 1, Faults::default());
        let mut hub = Hub::new(limits);
        hub.set_password(Some(Secret::of("sesame")));
        let mut resident = |last: u8, sends: &str| {
            let address = Ipv4Addr::new(10, 0, 0, last);
            Newcomer::connect(&mut network, address, sends, usize::MAX)
        };
        let speaker = resident(
            1,
            "/pass sesame\n/nick kim\n/join pond\n/lock quiet please\n",
        );
        let listener = resident(2, "/pass sesame\n/nick lee\n/join pond quiet please\n");
        let mut gate = Gate {
            scheduler: Scheduler::new(network, hub, 1),
            rng,
            newcomers: Vec::new(),
            friends: 0,
            speaker,
            listener,
            said: 0,
        };
        (0..100).for_each(|_| gate.turn_once());
        assert!(gate.listener.text().contains("* you are in pond (2 here)"));
        let mut faults = Faults::drawn(&mut gate.rng);
        // A newcomer that the system has lost proves nothing.
        (faults.accept_error, faults.register_error) = (0, 0);
        gate.scheduler.net().faults = faults;
        gate
    }

    fn turn_once(&mut self) {
        let residents = [&mut self.speaker, &mut self.listener];
        for newcomer in self.newcomers.iter_mut().chain(residents) {
            newcomer.act(self.scheduler.net());
        }
        for event in self.scheduler.net().poll() {
            self.scheduler.event(event);
        }
        self.scheduler.run();
        let timeout = self.scheduler.timeout().unwrap_or(0);
        let wait = self.rng.u64(0..=timeout.min(50_000));
        self.scheduler.net().advance(wait);
        self.scheduler.hub().check();
        assert!(self.scheduler.hub().strangers() <= CLIENTS_MAX / 4);
    }

    /// Somebody comes who knows the password, or one of many who do not.
    fn connect(&mut self) {
        let rng = &mut self.rng;
        let piece = [1, 5, 40, 2000][rng.usize(..4)];
        let knows = rng.u8(0..6) == 0 && usize::from(self.friends) < FRIENDS_MAX;
        let (address, sends) = if knows {
            self.friends += 1;
            let sends = "/pass sesame\r\nhello\n/join pond sesame\n/who pond\n/whois kim\n";
            (Ipv4Addr::new(10, 1, 0, self.friends), sends.to_owned())
        } else {
            let lines = [
                "",
                "/pass no\n",
                "/pass\n",
                "sesame\n",
                "/join pond\n/who\n/msg kim hi\n",
                "\n",
            ];
            let lines = lines[rng.usize(..lines.len())].repeat(rng.usize(0..300));
            (Ipv4Addr::new(10, 2, 0, rng.u8(0..HOSTILE_ADDRESSES)), lines)
        };
        let mut newcomer = Newcomer::connect(self.scheduler.net(), address, &sends, piece);
        newcomer.knows = knows;
        self.newcomers.push(newcomer);
    }

    fn run(seed: u64) -> usize {
        let mut gate = Gate::new(seed);
        for _ in 0..300 {
            for _ in 0..gate.rng.usize(0..3) {
                gate.connect();
            }
            if gate.rng.u8(0..4) == 0 {
                gate.said += 1;
                let line = format!("{HIDDEN} {}\n", gate.said);
                gate.speaker.pending.extend(line.into_bytes());
            }
            gate.turn_once();
        }
        gate.scheduler.net().faults = Faults::default();
        // Friends have sent all; then the time of all others is over.
        for _ in 0..300 {
            gate.turn_once();
        }
        // A longer step would be a pause of the process, in which nobody's time passes.
        for _ in 0..100 {
            gate.scheduler.net().advance(500_000);
            gate.turn_once();
        }
        gate.judge();
        usize::from(gate.friends)
    }

    fn judge(&self) {
        for newcomer in &self.newcomers {
            let text = newcomer.text();
            assert!(!text.contains(HIDDEN), "somebody outside has heard: {text}");
            if newcomer.knows {
                assert!(
                    text.contains("* you are guest"),
                    "a friend is kept out: {text}"
                );
                let refused = "! room not changed: pond is locked; ";
                assert!(text.contains(refused), "{text}");
                assert!(text.contains("* whois: kim is connected for "), "{text}");
                continue;
            }
            let wrong = text.lines().find(|line| !SHOWN.contains(line));
            assert_eq!(wrong, None, "a stranger is shown it");
            assert!(
                newcomer.pipe.borrow().server_closed,
                "a stranger stays: {text}"
            );
        }
        let heard = self.listener.text();
        let heard = heard.lines().filter(|line| line.contains(HIDDEN));
        let said = (1..=self.said).map(|nth| format!("kim: {HIDDEN} {nth}"));
        assert_eq!(heard.collect::<Vec<_>>(), said.collect::<Vec<_>>());
        assert_eq!(self.scheduler.hub().strangers(), 0);
    }
}

#[test]
fn strangers_hear_nothing_and_keep_nobody_out() {
    let seeds = super::number_from("MADANG_SIM_SEEDS").map_or(20, |seeds| (seeds / 20).max(20));
    let mut friends = 0;
    for seed in 0..seeds {
        let run = std::panic::catch_unwind(|| Gate::run(seed));
        friends += run.unwrap_or_else(|_| panic!("seed {seed} of the strangers fails"));
    }
    assert!(
        friends as u64 > 5 * seeds,
        "only {friends} know the password"
    );
}
