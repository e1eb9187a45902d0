//! What a node wants of the engine, and what comes from there: the contract between the hub and its driver. No behaviour
//! lives here.
//!
//! The engine keeps *lanes*: streams of entries that every node reads in the same order. A room's lines are in one lane, which
//! its name decides; who is where, and which nodes there are, is in the lane of the directory.
//!
//! A node appends under its *incarnation*, a number that it has made up when it began. In each lane an incarnation is open
//! from [`Op::Attach`] until [`Op::Close`], by itself or by another node that holds it for dead. Batches of an incarnation that
//! is not open are not appended, so what a node sends that the others have given up is seen by nobody.

use std::fmt;

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u8);

impl Lane {
    /// Who is where, and which nodes there are.
    pub const DIRECTORY: Lane = Lane(u8::MAX);
    /// As many lanes for rooms there can be.
    pub const ROOMS_MAX: u8 = 128;

    /// A lane for rooms, of this number: `0 <= number < ROOMS_MAX`.
    pub fn of_rooms(number: u8) -> Lane {
        assert!(number < Lane::ROOMS_MAX);
        Lane(number)
    }

    /// Its number among those for rooms; `None` for the directory.
    pub fn number(self) -> Option<u8> {
        (self != Lane::DIRECTORY).then_some(self.0)
    }
}

/// As its key in the engine says: a number, or `directory`.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{number}"),
            None => f.write_str("directory"),
        }
    }
}

/// What a node wants of the engine. The driver carries them out in their order, each whole or not at all, and answers each
/// with an [`Input`], as long as the connection lasts. After [`Input::Disconnected`] it has forgotten those that were not
/// answered, and nobody knows which of them were carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Opens an incarnation in all lanes, and appends `started` to the directory as its batch 0. From then on the lanes are
    /// read: the directory from that entry on, the others from where the driver stopped reading them, or, the first time,
    /// from so many entries before their ends. Answered by [`Input::Attached`].
    Attach {
        /// The node's name. An incarnation of the same name that is open is not closed by this.
        name: String,
        /// The incarnation that is to be open.
        incarnation: u64,
        /// The items of the first batch.
        started: Vec<u8>,
        /// Entries of each room's lane that are read of what was before.
        history_entries: u32,
    },
    /// Appends a batch, unless its incarnation is not open in the lane, or one of its number or a greater one has been
    /// appended. Answered by [`Input::Appended`].
    Append(Batch),
    /// Closes an incarnation in a lane. If it was open there, appends the batch as its last one. Answered by
    /// [`Input::Appended`], too: [`Outcome::Fenced`] if it was not open.
    Close(Batch),
}

/// What is appended to a lane at once: one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where it is to stand.
    pub lane: Lane,
    /// Whose it is.
    pub incarnation: u64,
    /// Grows with each batch of an incarnation in a lane; [`Batch::LAST`] for the last.
    pub number: u64,
    /// Rooms for whose lines the engine is to find numbers, each once, and how many lines there are.
    pub rooms: Vec<(Box<str>, u32)>,
    /// [Items](super::item).
    pub payload: Vec<u8>,
}

impl Batch {
    /// The number of an incarnation's last batch.
    pub const LAST: u64 = u64::MAX;
}

/// A batch as it is read from a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it stands.
    pub lane: Lane,
    /// Its number in the lane, which grows by one with each entry.
    pub sequence: u64,
    /// Whose batch it is.
    pub incarnation: u64,
    /// The batch's number; [`Batch::LAST`]: the incarnation is closed in this lane.
    pub number: u64,
    /// The number of the first line of each of the batch's rooms, in their order. In each room the engine counts from 1. Of the
    /// batch that [`Op::Attach`] appends: the node's number.
    pub first_numbers: &'a [u64],
    /// [Items](super::item).
    pub payload: &'a [u8],
}

/// What comes from the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// It can be used: ops are carried out from now on.
    Connected,
    /// It cannot. Of those ops that have not been answered nobody knows whether they were carried out.
    Disconnected,
    /// The answer to [`Op::Attach`].
    Attached {
        /// The node's number: small, and always the same for a name.
        node: u16,
        /// Incarnations that are open in the directory, without this one, with the number of each one's node.
        others: Vec<(u16, u64)>,
    },
    /// The answer to [`Op::Append`] and [`Op::Close`].
    Appended {
        /// The batch's lane.
        lane: Lane,
        /// Its incarnation.
        incarnation: u64,
        /// Its number; [`Batch::LAST`] of [`Op::Close`].
        number: u64,
        /// What has become of it.
        outcome: Outcome,
    },
    /// The next entry of a lane.
    Entry(Entry<'a>),
    /// All lanes have been read up to the same moment. Comes every second at least, also while nothing is appended, as long as
    /// no lane has more than can be read at once. When the second one comes after an answer, everything has been read that stood in
    /// the lanes when the answer was given.
    CaughtUp,
    /// A lane has lost its tail: its last entry is before the one that was read last. It is read on from its present end.
    Rewound(Lane),
}

/// What has become of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in the lane now, and will be read.
    Appended,
    /// It, or a later one, stood there already.
    Repeated,
    /// Its incarnation is not open in this lane.
    Fenced,
}
