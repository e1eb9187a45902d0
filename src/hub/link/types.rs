//! The types of the link's contract with the hub: settings, what is to be applied, events, figures. No behaviour lives here.

use super::contract::{Entry, Lane};
use std::fmt;

/// What a node is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The node's name; no other node of the cluster has it.
    pub name: String,
    /// Lanes for rooms: `1 <= lanes <=` [`Lane::ROOMS_MAX`].
    pub lanes: u8,
    /// Bytes that are gathered or on their way in a lane, after which the lane has no space.
    pub lane_bytes_max: usize,
    /// Entries of each room's lane that are read of what was before the node started.
    pub history_entries: u32,
}

/// An entry whose items the hub is to apply now. Items that are the link's own business (`Started`, `Ready`, `Stopped`, `Alive`,
/// `Snapshot`) may be among them; the hub passes over these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied<'a> {
    /// Where it stands.
    pub lane: Lane,
    /// The node that has appended it; 0: one that this node has not heard of yet, or has forgotten. Never 0 in the directory.
    pub node: u16,
    /// Under which incarnation.
    pub incarnation: u64,
    /// This process has appended it, under this incarnation or an earlier one: its connections are ours.
    pub is_own: bool,
    /// The number of the first line of each of the batch's rooms, by [`Item::Room`](super::item::Item::Room)'s `nth`. A malformed
    /// batch may have fewer than it names rooms.
    pub first_numbers: &'a [u64],
    /// [Items](super::items::items).
    pub payload: &'a [u8],
}

/// An entry that was kept until it can be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedEntry {
    pub(super) lane: Lane,
    pub(super) sequence: u64,
    pub(super) incarnation: u64,
    pub(super) number: u64,
    pub(super) first_numbers: Box<[u64]>,
    pub(super) payload: Box<[u8]>,
    /// The node, once it is to be applied.
    pub(super) node: u16,
    pub(super) is_own: bool,
}

impl OwnedEntry {
    /// A copy of an entry.
    pub(super) fn of(entry: &Entry<'_>) -> OwnedEntry {
        OwnedEntry {
            lane: entry.lane,
            sequence: entry.sequence,
            incarnation: entry.incarnation,
            number: entry.number,
            first_numbers: entry.first_numbers.into(),
            payload: entry.payload.into(),
            node: 0,
            is_own: false,
        }
    }

    /// The entry as it was read.
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry {
            lane: self.lane,
            sequence: self.sequence,
            incarnation: self.incarnation,
            number: self.number,
            first_numbers: &self.first_numbers,
            payload: &self.payload,
        }
    }

    /// What the hub is to apply.
    pub fn applied(&self) -> Applied<'_> {
        Applied {
            incarnation: self.incarnation,
            lane: self.lane,
            node: self.node,
            is_own: self.is_own,
            first_numbers: &self.first_numbers,
            payload: &self.payload,
        }
    }
}

/// What the link tells the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node knows all that the others know. The hub tells of all its people (`Came`, `Rename`, `Move`); clients may come.
    Live {
        /// The node's number.
        node: u16,
    },
    /// The node starts anew: people on other nodes are unknown from now on, and requests under way are refused. What was said and
    /// not yet read back is not lost.
    Restarting {
        /// The reason, for the log.
        why: Why,
    },
    /// Facts follow: the hub removes all people of other nodes, and all bans that are not its own.
    Forget,
    /// [Facts](super::items::facts) about people and bans, to be applied; those about nodes are passed over.
    Facts(Vec<u8>),
    /// A node has ended: the hub removes its people. If `announce`, it calls [`Link::close_batch`](super::Link::close_batch) at once.
    NodeLost {
        /// The node's number.
        node: u16,
        /// Its name.
        name: String,
        /// Which of its incarnations.
        incarnation: u64,
        /// Why it is gone.
        why: Why,
        /// This node announces it.
        announce: bool,
    },
    /// A node that has started waits for all that is known: the hub calls [`Link::snapshot`](super::Link::snapshot) at once.
    SnapshotWanted {
        /// For which incarnation.
        incarnation: u64,
    },
    /// There has been no engine for two seconds.
    CutOff,
    /// There is one again, after [`Event::CutOff`].
    Restored,
}

/// Why an incarnation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The node has stopped in order.
    Stopped,
    /// It was silent, and another node has told so.
    Silent,
    /// A node of the same name has started.
    Replaced,
    /// It was closed in a lane.
    Closed,
    /// What it has appended was refused: it was closed in this lane, or the engine was emptied.
    Fenced(Lane),
    /// Entries of the directory are missing.
    Gap,
    /// This lane has lost its tail, or has been emptied.
    Rewound(Lane),
    /// The others took so long to tell what they know that too much would have had to be kept.
    TooLong,
    /// There are as many nodes as there may be.
    TooManyNodes,
    /// What a node has told of the others does not contain this one.
    Unknown,
}

/// For the log.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Stopped => f.write_str("it has stopped"),
            Why::Silent => f.write_str("nothing was heard from it"),
            Why::Replaced => f.write_str("a node of the same name has started"),
            Why::Closed => f.write_str("it was closed"),
            Why::Fenced(lane) => write!(f, "it is not open in lane {lane}"),
            Why::Gap => f.write_str("entries of the directory are missing"),
            Why::Rewound(lane) => write!(f, "lane {lane} has lost its last entries"),
            Why::TooLong => f.write_str("too much has happened before it was ready"),
            Why::TooManyNodes => f.write_str("there are too many nodes"),
            Why::Unknown => f.write_str("the other nodes do not know it"),
        }
    }
}

/// Lines of a room that this node has not read, and never will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The room's name; empty: the room of raw connections.
    pub room: String,
    /// How many lines.
    pub lines: u64,
}

/// A node, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFigures {
    /// Its number.
    pub node: u16,
    /// Its name.
    pub name: String,
    /// It knows all that the others know.
    pub is_ready: bool,
    /// How many times this node has been alive since the other's last entry.
    pub silent_alives: u8,
}

/// Everything countable of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// This node's number; 0 before the engine has given one.
    pub node: u16,
    /// Its incarnation.
    pub incarnation: u64,
    /// It knows all that the others know.
    pub is_live: bool,
    /// The engine can be used.
    pub is_connected: bool,
    /// All nodes, this one included, in the order in which they have started.
    pub nodes: Vec<NodeFigures>,
    /// Bytes that wait to be sent to the engine.
    pub bytes_gathered: usize,
    /// Bytes that were sent and have not been read back.
    pub bytes_in_flight: usize,
    /// Entries that were read, of all lanes.
    pub entries_read: u64,
    /// Payloads among them that could not be read to their ends.
    pub malformed: u64,
    /// How many times the engine could not be used any more.
    pub disconnections: u64,
    /// How many times the node has started anew.
    pub restarts: u64,
    /// Microseconds from when the last own batch was sent to when it was read back.
    pub lag_us: u64,
    /// Lines that were [lost](Lost).
    pub lost_lines: u64,
}
