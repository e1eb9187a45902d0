//! Promise 2: while many flood, who hardly ever speaks is heard within a bounded number of turns, however little of its
//! work the server gets done in one.

use super::client::{Client, Manner};
use super::world::{Faults, World};
use fastrand::Rng;
use madang::hub::limits::{Limits, SlowPolicy};
use madang::hub::{Hub, Wire};
use madang::net::scheduler::Scheduler;

/// Visits that a turn surely makes in each of its phases: the clock is looked at after so many.
const VISITS: usize = 16;

/// A line is read when its speaker's turn has come, waits then for its room and at last for its listener's turn.
/// Members that do not read are waited for meanwhile, which takes some turns (16 were seen).
const ROUNDS_MAX: usize = 30;

/// Clients that flood, and that never read, and two that do neither.
struct Crush {
    scheduler: Scheduler<World>,
    flooders: Vec<Client>,
    speaker: Client,
    listener: Client,
    said: usize,
}

impl Crush {
    fn new(seed: u64) -> Crush {
        let mut rng = Rng::with_seed(seed);
        let limits = Limits {
            slow: [SlowPolicy::Skip, SlowPolicy::Close][rng.usize(..2)],
            announce_members_max: 0,
            room_log_bytes_max: 1 << [18, 20, 22][rng.usize(..3)],
            ..Limits::default()
        };
        // Both phases have used up their time at the first look.
        let faults = Faults {
            look_us: 8_000,
            ..Faults::default()
        };
        let mut world = World::new(rng.u64(..), faults);
        let mut connect = |number: usize, capacity: usize, manner: Manner| {
            Client::new(number, world.connect(Wire::Chat, capacity), manner)
        };
        let flooders = 2 + rng.usize(..60);
        let readers = rng.u8(0..=100);
        let flooders: Vec<Client> = (0..flooders)
            .map(|number| {
                let reads = rng.u8(0..100) < readers;
                connect(number, 4096, Manner::flood(reads))
            })
            .collect();
        let speaker = connect(flooders.len(), 100_000, Manner::observer());
        let listener = connect(flooders.len() + 1, 100_000, Manner::observer());
        let scheduler = Scheduler::new(world, Hub::new(limits), 1);
        Crush {
            scheduler,
            flooders,
            speaker,
            listener,
            said: 0,
        }
    }

    fn turn_once(&mut self, rng: &mut Rng) {
        let everybody = self.flooders.len() + 2;
        for flooder in &mut self.flooders {
            flooder.act(self.scheduler.net(), rng, 1, everybody);
        }
        self.speaker.catch_up(self.scheduler.net());
        self.listener.catch_up(self.scheduler.net());
        for event in self.scheduler.net().poll() {
            self.scheduler.event(event);
        }
        self.scheduler.run();
    }

    /// The turns until the listener has heard what the speaker says.
    fn turns_until_heard(&mut self, rng: &mut Rng) -> usize {
        self.said += 1;
        let text = format!("quiet word {}", self.said);
        self.speaker.enqueue(&text);
        let heard_before = self.listener.received.len();
        for turn in 1..600 {
            self.turn_once(rng);
            let heard = &self.listener.received[heard_before..];
            if String::from_utf8_lossy(heard).contains(&text) {
                self.listener.received.clear();
                self.speaker.received.clear();
                return turn;
            }
        }
        let unread = self.speaker.pipe.borrow().inbound.len();
        panic!("nobody heard {text}: {unread} bytes of it are unread");
    }
}

#[test]
fn who_hardly_speaks_is_heard_however_many_flood() {
    for seed in 0..20 {
        let mut crush = Crush::new(seed);
        let mut rng = Rng::with_seed(seed);
        (0..50).for_each(|_| crush.turn_once(&mut rng));
        let lines = crush.scheduler.hub().totals().lines;
        let rounds = (crush.flooders.len() + 2).div_ceil(VISITS);
        for _ in 0..10 {
            let turns = crush.turns_until_heard(&mut rng);
            assert!(turns <= ROUNDS_MAX * rounds, "{turns} turns");
        }
        assert!(
            crush.scheduler.hub().totals().lines > lines + 100,
            "no flood"
        );
    }
}
