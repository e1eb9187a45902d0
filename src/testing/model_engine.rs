//! A model of the engine and of a node's driver, for tests and simulations: lanes in memory, opening, appending and closing as
//! the contract says, and faults on demand. No chance and no clock: the caller decides what happens when. The file is compiled
//! into other programs too, which name the contract beside it.

use super::contract::{Batch, Entry, Input, Lane, Op, Outcome};
use std::collections::{BTreeMap, VecDeque};

/// Changes of a lane that can be lost.
const UNDO_MAX: usize = 32;

/// An entry, and what the engine orders them by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Grows with each entry of all lanes, whatever is lost.
    pub id: u64,
    pub lane: Lane,
    pub sequence: u64,
    pub incarnation: u64,
    pub number: u64,
    pub first_numbers: Vec<u64>,
    pub payload: Vec<u8>,
}

impl Stored {
    /// The entry as it is read.
    pub fn entry(&self) -> Entry<'_> {
        Entry {
            lane: self.lane,
            sequence: self.sequence,
            incarnation: self.incarnation,
            number: self.number,
            first_numbers: &self.first_numbers,
            payload: &self.payload,
        }
    }
}

/// What the engine keeps of a lane, besides its entries.
#[derive(Clone, Debug, Default)]
struct Keys {
    sequence: u64,
    /// By room, the number of its last line.
    numbers: BTreeMap<Box<str>, u64>,
    /// By incarnation that is open, the number of its last batch.
    open: BTreeMap<u64, u64>,
    /// Of the directory: the numbers of nodes by their incarnations, and by their names.
    nodes: BTreeMap<u64, u16>,
    names: BTreeMap<String, u16>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    keys: Keys,
    entries: VecDeque<Stored>,
    /// The largest identity that an entry has had, also if it was trimmed since; what is lost does not count.
    last_id: u64,
    /// What the keys were, and the last identity, before each of the last changes.
    undo: VecDeque<(Keys, u64)>,
}

impl Stream {
    fn change(&mut self) -> &mut Keys {
        if self.undo.len() == UNDO_MAX {
            self.undo.pop_front();
        }
        self.undo.push_back((self.keys.clone(), self.last_id));
        &mut self.keys
    }
}

/// The engine.
#[derive(Debug, Default)]
pub struct ModelEngine {
    streams: BTreeMap<Lane, Stream>,
    /// Grows when the engine is emptied: no incarnation of before is known then.
    world: u64,
    last_id: u64,
    /// All that was ever appended, also if it was trimmed or lost since.
    pub record: Vec<Stored>,
}

impl ModelEngine {
    fn store(&mut self, batch: &Batch, first_numbers: Vec<u64>) {
        self.last_id += 1;
        let id = self.last_id;
        let stream = self.streams.entry(batch.lane).or_default();
        stream.keys.sequence += 1;
        stream.last_id = id;
        let stored = Stored {
            id,
            lane: batch.lane,
            sequence: stream.keys.sequence,
            incarnation: batch.incarnation,
            number: batch.number,
            first_numbers,
            payload: batch.payload.clone(),
        };
        self.record.push(stored.clone());
        stream.entries.push_back(stored);
    }

    fn count_lines(keys: &mut Keys, batch: &Batch) -> Vec<u64> {
        let count = |(room, lines): &(Box<str>, u32)| {
            let last = keys.numbers.entry(room.clone()).or_default();
            *last += u64::from(*lines);
            *last - u64::from(*lines) + 1
        };
        batch.rooms.iter().map(count).collect()
    }

    /// Opens an incarnation in all lanes. Returns the number of its node, and the others that are open.
    fn open(&mut self, name: &str, incarnation: u64, started: &[u8], lanes: u8) -> Input<'static> {
        for lane in (0..lanes).map(Lane::of_rooms) {
            let keys = self.streams.entry(lane).or_default().change();
            keys.open.insert(incarnation, 0);
        }
        let keys = self.streams.entry(Lane::DIRECTORY).or_default().change();
        let new = keys.names.len() as u16 + 1;
        let node = *keys.names.entry(name.to_owned()).or_insert(new);
        let open = keys.open.keys().map(|it| (keys.nodes[it], *it));
        let others = open.collect();
        keys.open.insert(incarnation, 0);
        keys.nodes.insert(incarnation, node);
        let batch = Batch {
            lane: Lane::DIRECTORY,
            incarnation,
            number: 0,
            rooms: Vec::new(),
            payload: started.to_vec(),
        };
        self.store(&batch, vec![u64::from(node)]);
        Input::Attached { node, others }
    }

    fn append(&mut self, world: u64, batch: &Batch) -> Outcome {
        let is_same = world == self.world;
        let stream = self.streams.entry(batch.lane).or_default();
        match stream.keys.open.get(&batch.incarnation) {
            Some(&last) if is_same && last >= batch.number => Outcome::Repeated,
            Some(_) if is_same => {
                let keys = stream.change();
                keys.open.insert(batch.incarnation, batch.number);
                let first_numbers = Self::count_lines(keys, batch);
                self.store(batch, first_numbers);
                Outcome::Appended
            }
            _ => Outcome::Fenced,
        }
    }

    fn close(&mut self, batch: &Batch) -> Outcome {
        let stream = self.streams.entry(batch.lane).or_default();
        if !stream.keys.open.contains_key(&batch.incarnation) {
            return Outcome::Fenced;
        }
        let keys = stream.change();
        keys.open.remove(&batch.incarnation);
        let first_numbers = Self::count_lines(keys, batch);
        self.store(batch, first_numbers);
        Outcome::Appended
    }

    /// The first entry of a lane after that identity.
    fn next(&self, lane: Lane, after: u64) -> Option<&Stored> {
        let entries = &self.streams.get(&lane)?.entries;
        entries.get(entries.partition_point(|it| it.id <= after))
    }

    fn last_id(&self, lane: Lane) -> u64 {
        self.streams.get(&lane).map_or(0, |stream| stream.last_id)
    }

    /// Incarnations that are open in a lane.
    pub fn open_in(&self, lane: Lane) -> Vec<u64> {
        let stream = self.streams.get(&lane);
        stream.map_or(Vec::new(), |it| it.keys.open.keys().copied().collect())
    }

    /// Forgets all entries of a lane but the last ones.
    pub fn trim(&mut self, lane: Lane, keep: usize) {
        if let Some(stream) = self.streams.get_mut(&lane) {
            let excess = stream.entries.len().saturating_sub(keep);
            stream.entries.drain(..excess);
        }
    }

    /// A lane loses its last changes, as when a replica takes over that had not received them.
    pub fn lose_tail(&mut self, lane: Lane, changes: usize) {
        let Some(stream) = self.streams.get_mut(&lane) else {
            return;
        };
        for _ in 0..changes {
            let Some((keys, last_id)) = stream.undo.pop_back() else {
                return;
            };
            (stream.keys, stream.last_id) = (keys, last_id);
            while stream.entries.back().is_some_and(|it| it.id > last_id) {
                stream.entries.pop_back();
            }
        }
    }

    /// All is lost.
    pub fn empty(&mut self) {
        self.streams.clear();
        self.world += 1;
    }
}

/// What a driver has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The next entry of a lane.
    Entry(Stored),
    /// See [`Input::Rewound`].
    Rewound(Lane),
}

/// The driver of one node.
#[derive(Debug)]
pub struct ModelDriver {
    lanes: u8,
    is_connected: bool,
    world: u64,
    /// By lane that is read, the identity of the entry that was read last.
    read: BTreeMap<Lane, u64>,
    ops: VecDeque<Op>,
    /// Answers that are on their way, and from where the directory is read once one to an [`Op::Attach`] has come.
    answers: VecDeque<(Input<'static>, Option<u64>)>,
    /// All has been read up to a moment.
    has_caught_up: bool,
}

impl ModelDriver {
    /// A driver without a connection.
    pub fn new(lanes: u8) -> ModelDriver {
        ModelDriver {
            lanes,
            is_connected: false,
            world: 0,
            read: BTreeMap::new(),
            ops: VecDeque::new(),
            answers: VecDeque::new(),
            has_caught_up: false,
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Makes a connection.
    pub fn connect(&mut self) -> Input<'static> {
        self.is_connected = true;
        Input::Connected
    }

    /// Loses it, with all ops and answers that are on their way.
    pub fn cut(&mut self) -> Input<'static> {
        self.is_connected = false;
        self.ops.clear();
        self.answers.clear();
        self.has_caught_up = false;
        Input::Disconnected
    }

    /// Sends an op.
    pub fn send(&mut self, op: Op) {
        assert!(self.is_connected);
        self.ops.push_back(op);
    }

    /// The engine carries out the next op; false: there is none.
    pub fn carry_out(&mut self, engine: &mut ModelEngine) -> bool {
        let Some(op) = self.ops.pop_front() else {
            return false;
        };
        let (batch, outcome) = match op {
            Op::Attach {
                name,
                incarnation,
                started,
                history_entries,
            } => {
                for lane in (0..self.lanes).map(Lane::of_rooms) {
                    let history = history_entries as usize;
                    let stream = engine.streams.entry(lane).or_default();
                    let skipped = stream.entries.len().saturating_sub(history);
                    let before = skipped.checked_sub(1).map(|at| stream.entries[at].id);
                    self.read.entry(lane).or_insert(before.unwrap_or_default());
                }
                self.world = engine.world;
                let from = engine.last_id(Lane::DIRECTORY);
                let answer = engine.open(&name, incarnation, &started, self.lanes);
                self.answers.push_back((answer, Some(from)));
                return true;
            }
            Op::Append(batch) => {
                let outcome = engine.append(self.world, &batch);
                (batch, outcome)
            }
            Op::Close(batch) => {
                let outcome = engine.close(&batch);
                (batch, outcome)
            }
        };
        let answer = Input::Appended {
            lane: batch.lane,
            incarnation: batch.incarnation,
            number: batch.number,
            outcome,
        };
        self.answers.push_back((answer, None));
        true
    }

    /// The next answer.
    pub fn answer(&mut self) -> Option<Input<'static>> {
        let (answer, from) = self.answers.pop_front()?;
        if let Some(from) = from {
            self.read.insert(Lane::DIRECTORY, from);
        }
        Some(answer)
    }

    /// Reads the next entry of a lane.
    pub fn read(&mut self, engine: &ModelEngine, lane: Lane) -> Option<Read> {
        let after = self.read.get_mut(&lane).filter(|_| self.is_connected)?;
        let last_id = engine.last_id(lane);
        if last_id < *after {
            *after = last_id;
            return Some(Read::Rewound(lane));
        }
        if let Some(stored) = engine.next(lane, *after) {
            *after = stored.id;
            return Some(Read::Entry(stored.clone()));
        }
        // Nothing is left of what was trimmed.
        *after = last_id;
        let has_read = |(&lane, &after): (&Lane, &u64)| after == engine.last_id(lane);
        self.has_caught_up |= self.read.iter().all(has_read);
        None
    }

    /// All had been read up to a moment that is not more recent than the last call of [`read`](ModelDriver::read).
    pub fn caught_up(&mut self) -> Option<Input<'static>> {
        std::mem::take(&mut self.has_caught_up).then_some(Input::CaughtUp)
    }
}
