//! The types of the hub's contract: times, connection ids, peers, answers, counters. No behaviour lives here.

use super::input::sniff::Protocol;
use crate::protocol::Refusal;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

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

/// A connection: its slot (low half) and a serial number that no other connection in that slot has had (high half). The
/// same number is its poll token, so that a late event cannot reach a newcomer in the slot.
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

    /// The connection's slot: small, and free again once the connection is disconnected.
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// The serial number; never 0.
    pub fn serial(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The id as a poll token.
    pub fn to_token(self) -> usize {
        self.0
    }

    /// The id of a poll token; `None` if the token is not a connection's.
    pub fn from_token(token: usize) -> Option<ConnId> {
        (token as u32 <= ConnId::SLOT_MAX).then_some(ConnId(token))
    }
}

/// What the two sides of a connection speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Lines, commands, names and notices.
    Chat,
    /// Lines alone.
    Raw,
    /// As [`Wire::Chat`], and the peer is an operator: only those who may be one can reach the listener.
    Control,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` for a Unix-domain socket.
    pub address: Option<IpAddr>,
    /// What the listener speaks to which the peer has connected.
    pub wire: Wire,
    /// Nobody between the peer and the server can read what they send each other: TLS, a Unix-domain socket, or an address of
    /// this machine.
    pub is_secure: bool,
    /// The SHA-256 of the certificate with which the peer has shown who it is, if it has.
    pub fingerprint: Option<[u8; 32]>,
    /// The user of this machine that the peer is, if it is to have that user's name.
    pub uid: Option<u32>,
}

impl Peer {
    /// A peer without encryption.
    pub const fn new(address: Option<IpAddr>, wire: Wire) -> Peer {
        let is_secure = match address {
            Some(address) => address.to_canonical().is_loopback(),
            None => true,
        };
        Peer {
            address,
            wire,
            is_secure,
            fingerprint: None,
            uid: None,
        }
    }
}

/// Why a client's connection is closed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client has left with `/quit`.
    Quit,
    /// Its peer has finished sending.
    EndOfInput,
    /// Nothing was received from it for `--idle-timeout`.
    Idle,
    /// It read too slowly.
    Slow,
    /// It speaks another protocol.
    WrongProtocol(Protocol),
    /// It has not said the server's password.
    NoPassword,
    /// An operator has removed it.
    Kicked,
    /// An operator has banned its address.
    Banned,
    /// The server ends.
    Shutdown,
}

/// For the log.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Quit => f.write_str("quit"),
            Ending::EndOfInput => f.write_str("end of input"),
            Ending::Idle => f.write_str("idle"),
            Ending::Slow => f.write_str("slow"),
            Ending::WrongProtocol(protocol) => write!(f, "speaks {protocol}"),
            Ending::NoPassword => f.write_str("no password"),
            Ending::Kicked => f.write_str("kicked"),
            Ending::Banned => f.write_str("banned"),
            Ending::Shutdown => f.write_str("shutdown"),
        }
    }
}

impl Ending {
    /// Every [label](Ending::label).
    pub const LABELS: [&str; 9] = [
        "quit",
        "end_of_input",
        "idle",
        "slow",
        "wrong_protocol",
        "no_password",
        "kicked",
        "banned",
        "shutdown",
    ];

    /// The reason as the value of a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Ending::Quit => "quit",
            Ending::EndOfInput => "end_of_input",
            Ending::Idle => "idle",
            Ending::Slow => "slow",
            Ending::WrongProtocol(_) => "wrong_protocol",
            Ending::NoPassword => "no_password",
            Ending::Kicked => "kicked",
            Ending::Banned => "banned",
            Ending::Shutdown => "shutdown",
        }
    }
}

/// Why a newcomer is refused, as far as such newcomers are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are `--max-clients` connections.
    ServerFull,
    /// There are `--max-per-ip` connections from its address.
    AddressFull,
    /// The server ends, or is to end when all have left.
    ShuttingDown,
    /// An operator has banned its address.
    Banned,
    /// `--allow` and `--deny` do not let its address come.
    Denied,
    /// Anything else.
    Other,
}

impl Refused {
    /// Every reason, in the order of [`Totals::refused`].
    pub const ALL: [Refused; 6] = [
        Refused::ServerFull,
        Refused::AddressFull,
        Refused::ShuttingDown,
        Refused::Banned,
        Refused::Denied,
        Refused::Other,
    ];

    /// The reason for a refusal.
    pub fn of(refusal: &Refusal<'_>) -> Refused {
        match refusal {
            Refusal::ServerFull { .. } => Refused::ServerFull,
            Refusal::AddressFull { .. } => Refused::AddressFull,
            Refusal::ShuttingDown {} | Refusal::Draining {} => Refused::ShuttingDown,
            Refusal::Banned { .. } | Refusal::BannedWhy { .. } => Refused::Banned,
            Refusal::AddressDenied {} => Refused::Denied,
            _ => Refused::Other,
        }
    }

    /// The reason as the value of a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Refused::ServerFull => "server_full",
            Refused::AddressFull => "address_full",
            Refused::ShuttingDown => "shutdown",
            Refused::Banned => "banned",
            Refused::Denied => "denied",
            Refused::Other => "other",
        }
    }
}

/// What the driver of a hub knows of its connections, for operators. An id that is no longer in use has neither.
pub trait Peers {
    /// The peer's address and port; `None` for a Unix-domain socket.
    fn address(&mut self, id: ConnId) -> Option<SocketAddr>;
    /// The user at the other end of a Unix-domain socket, if the system says so.
    fn uid(&mut self, _id: ConnId) -> Option<u32> {
        None
    }
    /// The rest.
    fn details(&mut self, id: ConnId) -> Details;
}

/// What the driver knows of one connection besides its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The listener that has accepted it, as the log names it; empty for the console.
    pub listener: String,
    /// For how many seconds it has lasted.
    pub seconds: u64,
    /// Bytes that were received from it; no more than 4 GiB are counted.
    pub bytes_in: u64,
    /// The address and port of the proxy that relays it, if one does.
    pub proxy: Option<SocketAddr>,
}

/// Something that an operator has done, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The operator's connection; it may have ended since.
    pub by: ConnId,
    /// The operator's name when it was done.
    pub name: String,
    /// What was done.
    pub what: String,
}

/// What the operator may want to know of a client that is about to be disconnected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Its last name; `None` for a raw connection.
    pub name: Option<String>,
    /// Lines that it has said; no more than 65,535 are counted.
    pub lines: u16,
    /// Bytes that were written to it; no more than 4 GiB are counted.
    pub bytes: u32,
    /// Why the server closes it; `None`: it does not.
    pub ending: Option<Ending>,
}

/// Something that has happened to a client, for a detailed log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It has another name: the old, the new.
    Renamed(String, String),
    /// What it sent is refused: the text that it is sent.
    Refused(String),
    /// It has sent more lines than `--rate` allows; its further input waits.
    Throttled,
}

/// Whether a connection may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It may be read once.
    Read,
    /// Not yet. It comes out of [`next_readable`](super::Hub::next_readable) when that may have changed, by time or by
    /// what others do.
    Wait,
    /// Not before it takes what the hub has for it, if ever again.
    Blocked,
}

/// What has happened since the start, for the operator. Nothing is dropped that is not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections accepted by the hub.
    pub connections: u64,
    /// Connections refused by the hub, by [reason](Refused::ALL).
    pub refused: [u64; Refused::ALL.len()],
    /// Lines said to a room.
    pub lines: u64,
    /// Lines of rooms written to members, summed over the members: a line counts when its end has been written.
    pub delivered_lines: u64,
    /// Bytes received from clients.
    pub received_bytes: u64,
    /// Bytes written to clients.
    pub sent_bytes: u64,
    /// Lines refused: not UTF-8, too long, not understood.
    pub refused_lines: u64,
    /// Passwords, and secrets of rooms, that were wrong.
    pub wrong_secrets: u64,
    /// Bytes of over-long lines that were discarded.
    pub discarded_bytes: u64,
    /// Lines skipped, summed over the members that did not receive them.
    pub skipped_lines: u64,
    /// Members closed because they read too slowly.
    pub slow_closed: u64,
    /// Logins by [result](LoggedIn::ALL).
    pub logins: [u64; LoggedIn::ALL.len()],
    /// Units of work done for clients: see [`VISIT_WORK_MAX`](super::limits::VISIT_WORK_MAX).
    pub work: u64,
}

impl Totals {
    /// Connections refused by the hub.
    pub fn refused_connections(&self) -> u64 {
        self.refused.iter().sum()
    }
}

/// What has come of a `/login`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedIn {
    /// The client has the name.
    Done,
    /// The token is wrong, or there is no such name.
    Wrong,
    /// There were too many wrong tokens from the same origin, so that it was not looked at.
    Limited,
}

impl LoggedIn {
    /// Every result, in the order of [`Totals::logins`].
    pub const ALL: [LoggedIn; 3] = [LoggedIn::Done, LoggedIn::Wrong, LoggedIn::Limited];

    /// The result as the value of a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            LoggedIn::Done => "done",
            LoggedIn::Wrong => "wrong",
            LoggedIn::Limited => "limited",
        }
    }
}

/// What clients hold and wait for at a moment, summed over those that have been looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Clients that have been looked at.
    pub clients: usize,
    /// Members that fell behind, and that their room waits for no longer until they have caught up.
    pub laggards: usize,
    /// Clients whose input waits because they exceed `--rate`.
    pub blocked_by_rate: usize,
    /// … because they do not read what is written to them.
    pub blocked_by_backlog: usize,
    /// … because their room waits for its members.
    pub blocked_by_room: usize,
    /// Bytes that are held of what clients have sent, besides their fixed records.
    pub input_bytes: usize,
    /// Bytes that are held for clients to read, besides their fixed records and the logs of rooms.
    pub output_bytes: usize,
}

/// What the hub holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Connections.
    pub clients: usize,
    /// Rooms, the lobby and the room of raw connections included.
    pub rooms: usize,
    /// Names in use, each counted once for each closed form by which it is found.
    pub names: usize,
    /// Addresses at which connections are counted: none unless there is a limit for them.
    pub addresses: usize,
    /// Timers that are armed: at most one a connection, one a room, one for bans and mutes, and one for names.
    pub timers: usize,
    /// Bytes that are held for rooms and for connections, besides their fixed records.
    pub bytes: usize,
}
