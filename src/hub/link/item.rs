//! What the batches of a lane are made of, as nodes write it and read it. A payload is a sequence of items. What cannot be
//! read is an error, never a panic: an engine can hold anything.

use serde::{Deserialize, Serialize};

/// The format of payloads. A cluster has one; a node that knows another does not start.
pub const FORMAT: u32 = 1;

/// A person: on which node, and its connection there, as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersonId {
    /// The node's number.
    pub node: u16,
    /// [`ConnId::to_token`](crate::hub::ConnId::to_token).
    pub connection: u64,
}

/// One thing that a node tells the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item<'a> {
    // In the lanes of rooms:
    /// The items that follow, up to the next of this kind, are of this room; an empty name: of the room of raw connections.
    /// It is the nth of the batch's rooms, and the lines that follow it are numbered on from where that room's last stopped.
    Room {
        /// Its place among the batch's rooms, from 0.
        nth: u16,
        /// Its name.
        name: &'a str,
    },
    /// A line, as it stands in the room's log.
    Line {
        /// Who has said it. It does not receive it.
        author: u64,
        /// With its `\n`.
        line: &'a [u8],
    },
    /// Some have come and others have left. It is a line of the room as well.
    Announcement(Announcement<'a>),
    /// A person in the room has another name. It is a line of the room as well.
    Renamed {
        /// Its connection.
        connection: u64,
        /// The name that it had.
        old: &'a str,
        /// The name that it has.
        new: &'a str,
    },
    /// A private line, for the node of `to`. It is in the lane of its sender's room.
    Private {
        /// The sender's connection.
        from: u64,
        /// The one who is to receive it.
        to: PersonId,
        /// An incarnation of that one's process: in another process the connection may be somebody else's.
        of: u64,
        /// As the one who receives it reads it, with its `\n`.
        received: &'a [u8],
    },
    /// What has become of a private line.
    PrivateOutcome {
        /// Who has sent it.
        from: PersonId,
        /// An incarnation of that one's process.
        of: u64,
        /// What has become of it.
        outcome: Delivery,
    },

    // In the directory:
    /// A node has begun: the batch of [`Op::Attach`](super::contract::Op::Attach).
    Started {
        /// The node's name.
        name: &'a str,
    },
    /// A node knows all that the others know.
    Ready,
    /// A node has ended, and its people have left.
    Stopped,
    /// A node is there.
    Alive {
        /// Incarnations of which nothing has come for as long as it takes to hold them for dead, and up to which sequence number
        /// of the directory: each is dead if its last entry is not after that.
        silent: Vec<(u64, u64)>,
    },
    /// A part of all that is known after the directory's entry `after`, for a node that has begun.
    Snapshot {
        /// For which incarnation.
        incarnation: u64,
        /// The sequence number of that entry.
        after: u64,
        /// No other part follows.
        is_last: bool,
        /// [Facts](Fact), one after the other.
        facts: &'a [u8],
    },
    /// A person has connected, and is in the lobby.
    Came {
        /// Its connection.
        connection: u64,
        /// Its name.
        name: &'a str,
    },
    /// A person has left.
    Went {
        /// Its connection.
        connection: u64,
    },
    /// A person wants a name: it is that person's if nobody has one like it here.
    Rename {
        /// Its connection.
        connection: u64,
        /// The name.
        name: &'a str,
    },
    /// A person goes to a room.
    Move {
        /// Its connection.
        connection: u64,
        /// The room.
        room: &'a str,
    },
    /// Addresses are banned, as the keeper keeps it.
    Ban {
        /// The addresses.
        range: &'a str,
        /// Until when, by whom and why.
        value: &'a str,
    },
    /// … and not any more.
    Unban {
        /// The addresses.
        range: &'a str,
    },
    /// An operator acts on a person that is on another node.
    Act {
        /// The person.
        to: PersonId,
        /// What is done.
        act: Act,
        /// The operator's name.
        by: &'a str,
        /// The reason; may be empty.
        why: &'a str,
    },
    /// An operator says something to all rooms.
    Say {
        /// The text.
        text: &'a str,
    },
}

impl Item<'_> {
    /// Whether it is a line of its room, and so has a number there.
    pub fn is_line(&self) -> bool {
        matches!(
            self,
            Item::Line { .. } | Item::Announcement(_) | Item::Renamed { .. }
        )
    }
}

/// Who has come to a room, and who has left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement<'a> {
    /// How many have come.
    pub joined: u32,
    /// The first of them, with their connections: no more than are named.
    #[serde(borrow)]
    pub joined_names: Vec<(u64, &'a str)>,
    /// How many have left.
    pub left: u32,
    /// The first of them, with their connections: no more than are named.
    #[serde(borrow)]
    pub left_names: Vec<(u64, &'a str)>,
    /// How many are in the room now.
    pub here: u32,
}

/// What has become of a private line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// It will be written to the one for whom it is.
    Delivered,
    /// That one has left.
    Gone,
    /// That one ignores its sender.
    Ignored,
    /// That one is not reading.
    NotReading,
    /// That one has not read earlier lines of the same sender.
    Unread,
    /// That one has too many private lines to read.
    TooMany,
}

/// What an operator does to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Removes it.
    Kick,
    /// It may not speak until this time, in seconds since 1970.
    Mute {
        /// The time.
        until: u64,
    },
    /// It may speak again.
    Unmute,
}

/// A part of what all nodes know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact<'a> {
    /// A node. Those that are ready come first, in the order in which they have become so; then the others.
    Node {
        /// Its number.
        node: u16,
        /// Its incarnation.
        incarnation: u64,
        /// Its name.
        name: &'a str,
        /// It knows all that the others know.
        is_ready: bool,
        /// The sequence number of its last entry in the directory.
        last: u64,
    },
    /// A person.
    Person {
        /// The person.
        id: PersonId,
        /// Its name.
        name: &'a str,
        /// The room where it is.
        room: &'a str,
    },
    /// Addresses that are banned.
    Ban {
        /// The addresses.
        range: &'a str,
        /// Until when, by whom and why.
        value: &'a str,
    },
}
