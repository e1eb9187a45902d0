//! Fairness: during a flood, a line of a quiet client is delivered within a bounded number of turns, even if the time
//! budget of each turn is too short for all clients.

use super::behavior::Behavior;
use super::client::Client;
use super::faults::Faults;
use super::network::Network;
use fastrand::Rng;
use madang::hub::limits::{Limits, SlowPolicy};
use madang::hub::{Hub, Wire};
use madang::net::scheduler::Scheduler;

/// Visits that each phase of a turn makes at least: it has 2 ms, and reads the clock after each visit or more.
const VISITS_MIN: usize = 16;

/// Microseconds that pass at most when the scheduler reads the clock.
const CLOCK_STEP_US: u64 = 2_000 / VISITS_MIN as u64;

/// How often the server may visit all clients until a line is delivered: it must visit the speaker, the room must
/// accept the line, and it must visit the listener. The room's wait for members that do not read has taken up to 16
/// turns.
const ROUNDS_MAX: usize = 30;

/// Clients that flood, of which some never read; and two clients that read and do not flood.
struct Flood {
    scheduler: Scheduler<Network>,
    flooders: Vec<Client>,
    speaker: Client,
    listener: Client,
    said: usize,
}

impl Flood {
    fn new(seed: u64) -> Flood {
        let mut rng = Rng::with_seed(seed);
        let limits = Limits {
            slow: [SlowPolicy::Skip, SlowPolicy::Close][rng.usize(..2)],
            announce_members_max: 0,
            room_log_bytes_max: 1 << [18, 20, 22][rng.usize(..3)],
            ..Limits::default()
        };
        let faults = Faults {
            clock_step_us: CLOCK_STEP_US,
            ..Faults::default()
        };
        let mut network = Network::new(rng.u64(..), 1, faults);
        let mut connect = |number: usize, capacity: usize, behavior: Behavior| {
            Client::new(number, network.connect(Wire::Chat, capacity), behavior)
        };
        let flooders = 2 + rng.usize(..60);
        let readers = rng.u8(0..=100);
        let flooder = |number| {
            let reads = rng.u8(0..100) < readers;
            connect(number, 4096, Behavior::flood(reads))
        };
        let flooders: Vec<Client> = (0..flooders).map(flooder).collect();
        let speaker = connect(flooders.len(), 100_000, Behavior::observer());
        let listener = connect(flooders.len() + 1, 100_000, Behavior::observer());
        let scheduler = Scheduler::new(network, Hub::new(limits), 1);
        Flood {
            scheduler,
            flooders,
            speaker,
            listener,
            said: 0,
        }
    }

    fn turn_once(&mut self, rng: &mut Rng) {
        let clients = self.flooders.len() + 2;
        for flooder in &mut self.flooders {
            flooder.act(self.scheduler.net(), rng, 1, clients);
        }
        self.speaker.send_and_read_all(self.scheduler.net());
        self.listener.send_and_read_all(self.scheduler.net());
        self.scheduler.timeout();
        for event in self.scheduler.net().poll() {
            self.scheduler.event(event);
        }
        self.scheduler.run();
    }

    /// The turns until the listener has received a line of the speaker.
    fn turns_until_delivered(&mut self, rng: &mut Rng) -> usize {
        self.said += 1;
        let text = format!("quiet word {}", self.said);
        self.speaker.enqueue(&text);
        let received_before = self.listener.received.len();
        for turn in 1..600 {
            self.turn_once(rng);
            let received = &self.listener.received[received_before..];
            if String::from_utf8_lossy(received).contains(&text) {
                self.listener.received.clear();
                self.speaker.received.clear();
                return turn;
            }
        }
        let unread = self.speaker.pipe.borrow().inbound.len();
        panic!("{text} was not delivered: the server has not read {unread} bytes of the speaker");
    }
}

#[test]
fn a_quiet_client_is_heard_within_bounded_turns_of_a_flood() {
    let mut flooded = 0;
    for seed in 0..20 {
        let mut flood = Flood::new(seed);
        let mut rng = Rng::with_seed(seed);
        (0..50).for_each(|_| flood.turn_once(&mut rng));
        let before = flood.scheduler.hub().totals().lines;
        let rounds = (flood.flooders.len() + 2).div_ceil(VISITS_MIN);
        for _ in 0..10 {
            let turns = flood.turns_until_delivered(&mut rng);
            assert!(turns <= ROUNDS_MAX * rounds, "{turns} turns");
        }
        // Flooders that do not read may be blocked by then.
        flooded += flood.scheduler.hub().totals().lines - before;
    }
    assert!(flooded > 20_000, "only {flooded} lines are no flood");
}
