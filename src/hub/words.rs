//! The words of the hub's contract: times, connections, peers, answers. No behaviour lives here.

pub use super::session::Wire;
use std::fmt;
use std::net::IpAddr;

/// A time: microseconds since a start that only the caller knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(u64);

impl Now {
    /// The time so many microseconds after the start.
    pub const fn from_micros(micros: u64) -> Now {
        Now(micros)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time so many microseconds later.
    pub const fn after(self, micros: u64) -> Now {
        Now(self.0.saturating_add(micros))
    }
}

/// A connection: the slot that it has (low half) and a serial number that nobody else in that slot has had (high
/// half). The same number is its poll token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(usize);

impl ConnId {
    /// The largest slot. The numbers above are free for other tokens.
    pub const SLOT_MAX: u32 = u32::MAX - 0x1_0000;

    pub(super) fn new(slot: u32, serial: u32) -> ConnId {
        assert!(
            slot <= ConnId::SLOT_MAX,
            "no machine holds that many connections"
        );
        ConnId((serial as usize) << 32 | slot as usize)
    }

    /// The connection's slot: small, and free again once it is disconnected.
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// What tells the connection from others that have had its slot.
    pub fn serial(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The id as a poll token.
    pub fn to_token(self) -> usize {
        self.0
    }

    /// The id of a poll token; `None` if the token is no connection's.
    pub fn from_token(token: usize) -> Option<ConnId> {
        (token as u32 <= ConnId::SLOT_MAX).then_some(ConnId(token))
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` for a Unix-domain socket.
    pub address: Option<IpAddr>,
    /// What the listener that it came to speaks.
    pub wire: Wire,
}

/// Why a newcomer is not let in. Its text is what the newcomer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many connections as there may be.
    Full(usize),
    /// There are as many from its address as there may be.
    PerAddress(usize),
    /// The server is about to end.
    ShuttingDown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Full(clients) => {
                write!(f, "server is full: {clients} connections; try again later")
            }
            Refusal::PerAddress(clients) => {
                write!(
                    f,
                    "server is full: {clients} connections from your address; close one first"
                )
            }
            Refusal::ShuttingDown => f.write_str("server is shutting down"),
        }
    }
}

/// What has happened since the start, for the operator. Nothing is dropped that is not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections let in.
    pub connections: u64,
    /// Newcomers not let in.
    pub refused_connections: u64,
    /// Lines said to a room.
    pub lines: u64,
    /// Lines refused: not UTF-8, too long, not understood.
    pub refused_lines: u64,
    /// Bytes of over-long lines that were discarded.
    pub discarded_bytes: u64,
    /// Lines skipped, summed over the members that they were taken from.
    pub skipped_lines: u64,
    /// Members closed because they read too slowly.
    pub slow_closed: u64,
}

/// Whether a connection may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Yes, once.
    Read,
    /// Not yet: time or the others will let it.
    Wait,
    /// Not unless it takes what it is owed, if ever again.
    Blocked,
}

/// What the hub holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Connections.
    pub clients: usize,
    /// Rooms, the lobby and the room of raw connections included.
    pub rooms: usize,
    /// Names taken, each counted once for every form in which it looks like others.
    pub names: usize,
    /// Addresses at which connections are counted: none unless there is a limit for them.
    pub addresses: usize,
    /// Bytes that are held for rooms and for connections, besides their fixed records.
    pub bytes: usize,
}
