//! The hub as one of several nodes that share their rooms: what its clients do is told to the others, and what a lane says is
//! applied, also what was told here. What the lanes are, and which nodes there are, is in [`link`](super::link).
//!
//! ```text
//!  a client ──▶ telling ──▶ link ──▶ (engine) ──▶ link ──▶ applying ──▶ room log, directory, people
//! ```
//!
//! So a line stands in no room's log before it has come back from its lane: all nodes have the same lines in the same order.

pub mod applying;
pub mod contract;
pub mod node_events;
pub mod people;
pub mod privately;
pub mod telling;

use super::client::{Block, Clients};
use super::comings::Comings;
use super::link::Link;
use super::link::contract::Lane;
use super::link::item::PersonId;
use super::types::{ConnId, Now};
use people::People;
use std::collections::{BTreeMap, VecDeque};

/// How long a client waits for what has become of its private line: longer than until a dead node is known as dead. The node for
/// which it was may have missed it.
const PRIVATE_US: u64 = 20_000_000;
/// Room numbers that are kept by name.
const ROOM_NUMBERS_MAX: usize = 4096;

/// What a node of a cluster has beside what every server has.
#[derive(Debug)]
pub struct Cluster {
    pub link: Link,
    pub people: People,
    /// What clients wait for whose last command is told to the others, by slot.
    waiting: BTreeMap<u32, Waiting>,
    /// Clients that wait until their lane has space.
    blocked: BTreeMap<Lane, Vec<ConnId>>,
    /// Announcements that are told and have not come back, the oldest first.
    announced: BTreeMap<Lane, VecDeque<Comings>>,
    /// Clients that wait for what has become of a private line, and until when; in the order of these times.
    private_until: VecDeque<(Now, ConnId)>,
    /// Private lines for clients of this node that have come, and may have overtaken others.
    held: VecDeque<Held>,
    /// Clients in slots before this one are known to the others, if they have a name; as long as the link is live.
    told: u32,
    /// The number of a room that was found by its name, as it is called.
    room_numbers: BTreeMap<Box<str>, u32>,
    /// Other nodes have been joined once: newcomers may come.
    has_joined: bool,
    /// This node is about to stop: for the others all its people leave with it.
    pub is_leaving: bool,
}

/// What a client waits for.
#[derive(Debug)]
pub enum Waiting {
    /// The name that it wants.
    Name,
    /// The name that it has had before all its node's people had to be told anew.
    OldName(Box<str>),
    /// The room to which it goes.
    Room,
    /// What has become of a private line.
    Private {
        /// For whom it is.
        to: PersonId,
        name: Box<str>,
        /// What its sender is told when it is delivered.
        confirmation: Vec<u8>,
        /// It waits no longer.
        until: Now,
    },
}

/// A private line for a client of this node that has come from its lane.
#[derive(Debug)]
struct Held {
    lane: Lane,
    from: PersonId,
    /// Under which incarnation it was sent.
    of: u64,
    /// The client's connection.
    to: u64,
    line: Vec<u8>,
}

impl Cluster {
    /// A node that has not joined the others yet.
    pub fn new(link: Link) -> Cluster {
        Cluster {
            link,
            people: People::default(),
            waiting: BTreeMap::new(),
            blocked: BTreeMap::new(),
            announced: BTreeMap::new(),
            private_until: VecDeque::new(),
            held: VecDeque::new(),
            told: 0,
            room_numbers: BTreeMap::new(),
            has_joined: false,
            is_leaving: false,
        }
    }

    /// Whether the others can be told something, and will soon answer.
    pub fn is_up(&self) -> bool {
        self.link.is_live() && !self.link.is_cut_off()
    }

    /// Whether lines are refused that find no space: nobody knows when there will be some.
    fn refuses(&self) -> bool {
        self.link.is_cut_off()
    }

    /// Whether the others know of the client in this slot, if it has a name.
    pub fn knows(&self, slot: u32) -> bool {
        self.link.is_live() && slot < self.told
    }

    /// Who a client of this node is for the others.
    pub fn id(&self, id: ConnId) -> PersonId {
        PersonId {
            node: self.link.node(),
            connection: id.to_token() as u64,
        }
    }

    /// The client of this node with this id, if it is still connected.
    pub fn client(clients: &Clients, connection: u64) -> Option<u32> {
        let id = ConnId::from_token(usize::try_from(connection).ok()?)?;
        let client = clients.get(id.slot() as usize)?;
        (client.serial == id.serial()).then_some(id.slot())
    }

    /// The input of a client waits until the others have answered.
    fn wait(&mut self, clients: &mut Clients, slot: u32, what: Waiting) {
        clients[slot as usize].block(Block::Cluster);
        self.waiting.insert(slot, what);
    }

    /// A client has left.
    pub fn forget_client(&mut self, slot: u32) {
        self.waiting.remove(&slot);
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self, clients: &Clients) {
        self.link.check();
        self.people.check();
        for (&slot, what) in &self.waiting {
            let client = &clients[slot as usize];
            let waits = client.is_blocked_by(Block::Cluster) || client.is_closing();
            assert!(waits || !client.is_receiving(), "{what:?}");
        }
        for (slot, client) in clients {
            let waits = self.waiting.contains_key(&(slot as u32));
            assert!(waits || !client.is_blocked_by(Block::Cluster));
        }
        assert!(self.room_numbers.len() <= ROOM_NUMBERS_MAX);
    }
}
