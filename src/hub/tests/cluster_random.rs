//! Several hubs as nodes of one cluster, under random schedules: clients come, speak, are renamed, move and leave on all of
//! them; nodes pause, are cut off, are killed and start; the engine forgets. Then all heals, and what people have heard, and
//! who the nodes think is there, is compared. `MADANG_CLUSTER_SEEDS` is how many seeds are run, from `MADANG_CLUSTER_FIRST` on;
//! `MADANG_CLUSTER_SEED` runs one alone, and shows it.

use crate::hub::limits::Limits;
use crate::hub::link::Settings;
use crate::hub::link::contract::{Input, Lane};
use crate::hub::link::limits::{ALIVE_US, SILENT_ALIVES_MAX};
use crate::hub::types::ConnId;
use crate::hub::{Resume, Wire};
use crate::testing::model_engine::{ModelDriver, ModelEngine, Read};
use crate::testing::test_hub::TestHub;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Seeds without the variable.
const SEEDS: u64 = 12;
/// Lanes for rooms.
const LANES: u8 = 3;
const ROOMS: [&str; 3] = ["lobby", "pond", "lake"];
const NAMES: [&str; 5] = ["kim", "KIM", "klm", "lee", "ana"];
/// Rounds in which something may go wrong.
const ROUNDS: usize = 250;

/// A client, also after it has left.
struct Person {
    id: ConnId,
    /// What it has still to send.
    to_send: VecDeque<String>,
    heard: String,
    /// Lines that it has said, and private ones.
    said: Vec<String>,
    whispered: Vec<String>,
    is_here: bool,
    /// It stays in one room, and says nothing.
    is_observer: bool,
}

impl Person {
    fn new(id: ConnId, is_observer: bool) -> Person {
        Person {
            id,
            to_send: VecDeque::new(),
            heard: String::new(),
            said: Vec::new(),
            whispered: Vec::new(),
            is_here: true,
            is_observer,
        }
    }

    /// The lines that it has heard people say while it was in their rooms: their tags.
    fn tags(&self, kind: char) -> Vec<&str> {
        let mut is_history = false;
        let lines = self.heard.lines().filter(|line| {
            match line.strip_prefix("* ") {
                Some("now") => is_history = false,
                Some(notice) => is_history |= notice.starts_with("the last "),
                None => return !is_history && !line.starts_with('!'),
            }
            false
        });
        let words = lines.filter_map(|line| line.rsplit(' ').next());
        words.filter(|word| word.starts_with(kind)).collect()
    }

    fn count(&self, start: &str) -> usize {
        self.heard
            .lines()
            .filter(|line| line.starts_with(start))
            .count()
    }
}

/// A node: its hub, its driver, and its clients.
struct Node {
    name: String,
    test: TestHub,
    driver: ModelDriver,
    people: Vec<Person>,
    /// Observers of each room, by their places, once they are there.
    observers: Vec<usize>,
    paused_until: u64,
    /// It was there from the start.
    is_first: bool,
}

struct World {
    rng: Rng,
    now: u64,
    engine: ModelEngine,
    is_engine_there: bool,
    nodes: Vec<Node>,
    next_incarnation: u64,
    next_line: u64,
    /// The engine has lost something.
    has_loss: bool,
    has_trim: bool,
    /// Those of nodes that were killed.
    dead: Vec<Person>,
    is_shown: bool,
}

impl World {
    fn new(seed: u64, is_shown: bool) -> World {
        World {
            rng: Rng::with_seed(seed),
            now: 0,
            engine: ModelEngine::default(),
            is_engine_there: true,
            nodes: Vec::new(),
            next_incarnation: 1,
            next_line: 1,
            has_loss: false,
            has_trim: false,
            dead: Vec::new(),
            is_shown,
        }
    }

    fn show(&self, text: impl FnOnce() -> String) {
        if self.is_shown {
            println!("{:9.3} {}", self.now as f64 / 1e6, text());
        }
    }

    fn start(&mut self, name: &str) {
        let mut test = TestHub::new(Limits {
            history_lines: 3,
            ..Limits::default()
        });
        let settings = Settings {
            name: name.to_owned(),
            lanes: LANES,
            lane_bytes_max: 600,
            history_entries: 10,
        };
        self.show(|| format!("{name} starts"));
        test.hub.set_cluster(settings, self.next_incarnation << 32);
        self.next_incarnation += 1;
        self.nodes.push(Node {
            name: name.to_owned(),
            test,
            driver: ModelDriver::new(LANES),
            people: Vec::new(),
            observers: Vec::new(),
            paused_until: 0,
            is_first: self.now == 0,
        });
    }

    fn cut(&mut self, at: usize) {
        if self.nodes[at].driver.is_connected() {
            self.show(|| format!("{} is cut off", self.nodes[at].name));
            let node = &mut self.nodes[at];
            let input = node.driver.cut();
            node.test.hub.engine_input(node.test.now, input);
        }
    }

    /// Something goes wrong.
    fn fault(&mut self, severity: u8) {
        let count = self.nodes.len();
        let at = self.rng.usize(..count.max(1));
        let lane = match self.rng.u8(..=LANES) {
            LANES => Lane::DIRECTORY,
            number => Lane::of_rooms(number),
        };
        match self.rng.u8(..20) {
            0..7 if count > 0 => self.cut(at),
            7..10 if count > 0 => {
                let pause = self.rng.u64(..40_000_000);
                self.show(|| format!("{} is paused for {pause} us", self.nodes[at].name));
                self.nodes[at].paused_until = self.now + pause;
            }
            10 | 11 if count > 1 => {
                let node = self.nodes.remove(at);
                self.show(|| format!("{} is killed", node.name));
                self.dead.extend(node.people);
                if self.rng.bool() {
                    self.start(&node.name);
                }
            }
            12 | 13 if count < 4 => {
                let name = format!("n{}", self.rng.u8(..5));
                if self.nodes.iter().all(|it| it.name != name) {
                    self.start(&name);
                }
            }
            14 | 15 => {
                self.is_engine_there ^= true;
                self.show(|| format!("the engine is there: {}", self.is_engine_there));
                if !self.is_engine_there {
                    (0..count).for_each(|at| self.cut(at));
                }
            }
            16 if severity > 0 => {
                self.has_trim = true;
                let keep = self.rng.usize(..4);
                self.show(|| format!("lane {lane} is trimmed to {keep}"));
                self.engine.trim(lane, keep);
            }
            17 if severity > 1 => {
                self.has_loss = true;
                (0..count).for_each(|at| self.cut(at));
                let changes = self.rng.usize(1..6);
                self.show(|| format!("lane {lane} loses {changes} changes"));
                self.engine.lose_tail(lane, changes);
            }
            18 if severity > 1 => {
                self.has_loss = true;
                self.show(|| "the engine is emptied".to_owned());
                (0..count).for_each(|at| self.cut(at));
                self.engine.empty();
            }
            _ => {}
        }
    }

    /// A client does something.
    fn act(&mut self) {
        let count = self.nodes.len();
        if count == 0 {
            return;
        }
        let node = &mut self.nodes[self.rng.usize(..count)];
        if !node.test.hub.is_open() || node.paused_until > self.now {
            return;
        }
        let rng = &mut self.rng;
        let here = (0..node.people.len()).filter(|&at| {
            let person = &node.people[at];
            person.is_here && !person.is_observer
        });
        let here: Vec<usize> = here.collect();
        let Some(&at) = rng.choice(&here).filter(|_| here.len() > 1) else {
            let id = node.test.connect(Wire::Chat).expect("there is space");
            return node.people.push(Person::new(id, false));
        };
        let name = rng.choice(NAMES).expect("a name");
        let room = rng.choice(ROOMS).expect("a room");
        let person = &mut node.people[at];
        let number = self.next_line;
        self.next_line += 1;
        match rng.u8(..24) {
            0 => {
                person.is_here = false;
                node.test.hub.disconnect(node.test.now, person.id);
            }
            1 => person.to_send.push_back("/quit".into()),
            2..5 => person.to_send.push_back(format!("/nick {name}")),
            5..8 => person.to_send.push_back(format!("/join {room}")),
            8..12 => {
                person.whispered.push(format!("P{number}"));
                person.to_send.push_back(format!("/msg {name} P{number}"));
            }
            12 => person.to_send.push_back("/who".into()),
            _ => {
                person.said.push(format!("L{number}"));
                person.to_send.push_back(format!("L{number}"));
            }
        }
    }

    /// A node does something with its engine; false: there is nothing to be done.
    fn step(&mut self, at: usize) -> bool {
        let Node {
            test,
            driver,
            paused_until,
            ..
        } = &mut self.nodes[at];
        if *paused_until > self.now {
            return false;
        }
        if !driver.is_connected() {
            if self.is_engine_there && self.rng.u8(..4) == 0 {
                test.hub.engine_input(test.now, driver.connect());
            }
            return self.is_engine_there;
        }
        while let Some(op) = test.hub.next_op(test.now) {
            driver.send(op);
        }
        let first = self.rng.u8(..6);
        let has_acted = (0..6).any(|offset| match (first + offset) % 6 {
            0 => driver.carry_out(&mut self.engine),
            1 => match driver.answer() {
                Some(input) => {
                    test.hub.engine_input(test.now, input);
                    true
                }
                None => false,
            },
            2 => match driver.caught_up() {
                Some(input) => {
                    test.hub.engine_input(test.now, input);
                    true
                }
                None => false,
            },
            _ => {
                let lane = match self.rng.u8(..=LANES) {
                    LANES => Lane::DIRECTORY,
                    number => Lane::of_rooms(number),
                };
                match driver.read(&self.engine, lane) {
                    Some(Read::Entry(stored)) => {
                        let input = Input::Entry(stored.entry());
                        test.hub.engine_input(test.now, input);
                        true
                    }
                    Some(Read::Rewound(lane)) => {
                        test.hub.engine_input(test.now, Input::Rewound(lane));
                        true
                    }
                    None => false,
                }
            }
        });
        test.hub.check();
        has_acted
    }

    /// Time passes, differently on each node.
    fn round(&mut self, elapsed: u64, steps: usize) {
        self.now += elapsed;
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if node.paused_until > self.now {
                continue;
            }
            let skewed = elapsed * self.rng.u64(8..=12) / 10;
            node.test.advance(skewed);
            node.come();
            node.talk();
        }
        for _ in 0..steps {
            let count = self.nodes.len();
            for at in 0..count {
                self.step(at);
            }
        }
        for node in &mut self.nodes {
            if node.paused_until <= self.now {
                node.talk();
            }
        }
    }

    fn heal(&mut self) {
        self.show(|| "no more faults".to_owned());
        self.is_engine_there = true;
        if self.nodes.is_empty() {
            self.start("n0");
        }
        for node in &mut self.nodes {
            node.paused_until = 0;
        }
        self.settle();
    }

    /// As long as it takes until what is dead is gone: first the nodes that are, then those for which a starting one waits.
    fn settle(&mut self) {
        let calm = 2 * u64::from(SILENT_ALIVES_MAX + 2) * ALIVE_US;
        for _ in 0..calm / 250_000 {
            self.round(250_000, 60);
        }
    }
}

impl Node {
    /// Observers come as soon as they can, one to each room.
    fn come(&mut self) {
        if self.test.hub.is_open() && self.observers.is_empty() {
            for room in ROOMS {
                let id = self.test.connect(Wire::Chat).expect("there is space");
                let mut observer = Person::new(id, true);
                if room != ROOMS[0] {
                    observer.to_send.push_back(format!("/join {room}"));
                }
                self.observers.push(self.people.len());
                self.people.push(observer);
            }
        }
    }

    /// Each client sends what it has to send, as far as it may, and reads everything.
    fn talk(&mut self) {
        let test = &mut self.test;
        test.resume_all();
        for person in self.people.iter_mut().filter(|it| it.is_here) {
            while let Some(line) = person.to_send.front() {
                let bytes = format!("{line}\n");
                if test.send(person.id, bytes.as_bytes()) != Resume::Read {
                    break;
                }
                person.to_send.pop_front();
            }
            person.heard += &test.read(person.id);
        }
        test.resume_all();
        let closed = test.reap();
        for person in self.people.iter_mut().filter(|it| closed.contains(&it.id)) {
            person.is_here = false;
        }
        test.check();
    }

    /// Who is where, as this node knows: names and rooms.
    fn known(&self) -> BTreeMap<String, String> {
        let hub = &self.test.hub;
        let cluster = hub.cluster.as_deref().expect("a node");
        let room = |number: Option<u32>| {
            let number = number.expect("everybody is in a room");
            hub.rooms.get(number).name.to_string()
        };
        let mut known = BTreeMap::new();
        let elsewhere = cluster.people.iter().map(|(_, person)| {
            let name = person.name.to_string();
            (name, room(person.room))
        });
        let here = hub.clients.iter().map(|(_, client)| {
            let name = client.name.as_ref().expect("a name").to_string();
            (name, room(Some(client.room)))
        });
        for (name, room) in elsewhere.chain(here) {
            let other = known.insert(name.clone(), room);
            assert!(other.is_none(), "{}: two are called {name}", self.name);
        }
        known
    }
}

/// All nodes are there, know the same, and nobody waits.
fn judge_nodes(world: &World) {
    let all = world.nodes[0].known();
    for node in &world.nodes {
        let name = &node.name;
        let figures = node.test.hub.cluster_figures().expect("a node");
        assert!(figures.is_live, "{name} waits for ever: {figures:?}");
        assert_eq!(
            figures.nodes.len(),
            world.nodes.len(),
            "{name}: {figures:?}"
        );
        let waiting = figures.bytes_gathered + figures.bytes_in_flight;
        assert_eq!(waiting, 0, "{name}: {figures:?}");
        assert_eq!(figures.malformed, 0, "{name}");
        assert_eq!(node.known(), all, "{name}, beside {}", world.nodes[0].name);
        for person in node.people.iter().filter(|it| it.is_here) {
            let left: Vec<_> = person.to_send.iter().collect();
            assert!(
                left.is_empty(),
                "{name}: {:?} still has {left:?}",
                person.id
            );
        }
    }
}

/// Nobody hears itself, or anything twice; what one has said is heard in its order.
fn judge_hearing(world: &World) {
    let living = || world.nodes.iter().flat_map(|it| &it.people);
    let all = || living().chain(&world.dead);
    for person in all() {
        let heard = person.tags('L');
        let own = person.said.iter().find(|it| heard.contains(&&***it));
        assert!(own.is_none(), "{:?} hears its own {own:?}", person.id);
        if world.has_loss {
            continue;
        }
        // A newcomer to a room reads its last lines, and may have heard them before.
        if person.is_observer {
            let once: BTreeSet<_> = heard.iter().collect();
            assert_eq!(once.len(), heard.len(), "{:?}: {heard:?}", person.id);
        }
    }
}

/// What was said is heard by the observers, and all of these hear the same.
fn judge_lines(world: &World) {
    if world.has_loss || world.has_trim {
        return;
    }
    let first = |node: &&Node| node.is_first && !node.observers.is_empty();
    let mut rooms: Option<Vec<Vec<&str>>> = None;
    for node in world.nodes.iter().filter(first) {
        let heard = node.observers.iter().map(|&at| node.people[at].tags('L'));
        let heard: Vec<Vec<&str>> = heard.collect();
        match &rooms {
            Some(rooms) => assert_eq!(*rooms, heard, "{}", node.name),
            None => rooms = Some(heard),
        }
    }
    let Some(rooms) = rooms else { return };
    let mut order = BTreeMap::new();
    for (nth, tag) in rooms.iter().flatten().enumerate() {
        assert!(order.insert(*tag, nth).is_none(), "{tag} stands twice");
    }
    for person in world.nodes.iter().flat_map(|it| &it.people) {
        let said = person
            .said
            .iter()
            .filter(|tag| !person.to_send.contains(tag));
        let missing: Vec<_> = said.filter(|tag| !order.contains_key(&***tag)).collect();
        let refused = person.count("! line not sent: this server is cut off");
        // Also private lines are refused in these words.
        assert!(
            missing.len() <= refused || !person.is_here,
            "{:?}: {missing:?} are lost",
            person.id
        );
        for room in &rooms {
            let own = room
                .iter()
                .filter(|tag| person.said.iter().any(|it| it == *tag));
            let numbers = own.map(|tag| tag[1..].parse::<u64>().expect("a number"));
            assert!(numbers.is_sorted(), "{:?} is heard out of order", person.id);
        }
    }
}

/// A private line comes once at most, and to one client; its sender is told once what has become of it.
fn judge_whispers(world: &World) {
    let living = || world.nodes.iter().flat_map(|it| &it.people);
    let mut received: BTreeMap<&str, usize> = BTreeMap::new();
    for person in living().chain(&world.dead) {
        let lines = person
            .heard
            .lines()
            .filter(|line| line.contains(" -> you: "));
        for tag in lines.filter_map(|line| line.rsplit(' ').next()) {
            *received.entry(tag).or_default() += 1;
        }
    }
    // What became of a batch that was trimmed before its node read it back is not known: it is appended again.
    let may_repeat = world.has_loss || world.has_trim;
    for (tag, times) in &received {
        let lines = || {
            let lines = living().chain(&world.dead).flat_map(|it| it.heard.lines());
            let of_tag = lines.filter(|line| line.ends_with(&format!(": {tag}")));
            of_tag.collect::<Vec<_>>()
        };
        assert!(
            *times == 1 || may_repeat,
            "{tag} has come {times} times: {:?}",
            lines()
        );
    }
    for person in living() {
        for tag in &person.whispered {
            let confirmed = person
                .heard
                .lines()
                .filter(|line| line.starts_with("you -> ") && line.ends_with(&format!(": {tag}")));
            let confirmed = confirmed.count();
            assert!(confirmed <= 1, "{tag} is confirmed {confirmed} times");
            let has_come = received.contains_key(&**tag);
            assert!(
                confirmed == 0 || has_come,
                "{tag} is confirmed, and has not come"
            );
        }
    }
}

/// Each says one line more: all others in its room hear it, nobody else does.
fn judge_talk(world: &mut World) {
    let mut said = Vec::new();
    for node in &mut world.nodes {
        let cluster = node.test.hub.cluster.as_deref().expect("a node");
        let number = cluster.link.node();
        for person in node.people.iter_mut().filter(|it| it.is_here) {
            person.heard.clear();
            let client = node.test.hub.client(person.id).expect("it is here");
            let room = node.test.hub.rooms.get(client.room).name.to_string();
            let tag = format!("T{}", person.id.to_token() as u64 | u64::from(number) << 50);
            person.to_send.push_back(tag.clone());
            said.push((room, tag));
        }
    }
    for _ in 0..20 {
        world.round(250_000, 60);
    }
    let mut nth = 0;
    for node in &world.nodes {
        for person in node.people.iter().filter(|it| it.is_here) {
            let (room, own) = &said[nth];
            let others = said
                .iter()
                .filter(|(other, tag)| other == room && tag != own);
            let wanted: BTreeSet<&str> = others.map(|(_, tag)| &**tag).collect();
            let heard = person.tags('T');
            let once: BTreeSet<&str> = heard.iter().copied().collect();
            assert_eq!(once, wanted, "{}: {:?} in {room}", node.name, person.id);
            assert_eq!(heard.len(), once.len(), "{}: twice", node.name);
            nth += 1;
        }
    }
}

fn run(seed: u64, is_shown: bool) {
    let mut world = World::new(seed, is_shown);
    let severity = (seed % 3) as u8;
    let faults = world.rng.u8(..30);
    for at in 0..world.rng.u8(1..4) {
        world.start(&format!("n{at}"));
    }
    // Observers of the first nodes are there before anything is said.
    for _ in 0..40 {
        world.round(50_000, 40);
    }
    for _ in 0..ROUNDS {
        let elapsed = world.rng.u64(..400_000);
        let steps = world.rng.usize(..30);
        for _ in 0..world.rng.u8(..4) {
            world.act();
        }
        world.round(elapsed, steps);
        if world.rng.u8(..) < faults {
            world.fault(severity);
        }
    }
    world.heal();
    judge_nodes(&world);
    judge_hearing(&world);
    judge_lines(&world);
    judge_whispers(&world);
    judge_talk(&mut world);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a seed comes from the environment"
)]
fn hubs_agree_whatever_happens() {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .and_then(|it| it.parse::<u64>().ok())
    };
    if let Some(seed) = variable("MADANG_CLUSTER_SEED") {
        return run(seed, true);
    }
    let first = variable("MADANG_CLUSTER_FIRST").unwrap_or(0);
    let seeds = variable("MADANG_CLUSTER_SEEDS").unwrap_or(SEEDS);
    let mut failed = Vec::new();
    for seed in first..first + seeds {
        if std::panic::catch_unwind(|| run(seed, false)).is_err() {
            println!("seed {seed} fails");
            failed.push(seed);
        }
    }
    assert!(
        failed.is_empty(),
        "{failed:?} fail: MADANG_CLUSTER_SEED=N shows one"
    );
}
