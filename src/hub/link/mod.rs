//! One yard on several servers, which are called *nodes*: what this node tells the others, and what they tell it. Pure: the
//! engine that keeps the lanes, and the sockets to it, are the driver's.
//!
//! # Contract
//! The driver passes what comes from the engine to [`Link::input`], calls [`Link::tick`] when it is [due](Link::deadline), and drains
//! [`Link::next_op`] once a turn. The hub, after each input and tick, in this order:
//!
//! 1. drains [`Link::next_lost`]: lines that are missing before those that follow;
//! 2. applies the entry that the input has returned, if it has;
//! 3. drains [`Link::next_event`]; calls of [`Link::close_batch`] and [`Link::snapshot`] that an event asks for are made before the
//!    next event is taken;
//! 4. as long as [`Link::next_replay`] has an entry: applies it, and drains the events again.
//!
//! What the hub tells ([`Link::line`], [`Link::tell`] …) takes effect when it is read back, and not before.
//!
//! # The life of a node
//!
//! ```text
//!   DETACHED ──Attach──▶ ATTACHING ──Attached──▶ STARTING ──all is told──▶ REPLAYING ──▶ LIVE ──stop──▶ CLOSING ──▶ STOPPED
//!      ▲                     │                      │ nobody is there before this one      ▲  │
//!      │                     │                      └──────────────────────────────────────┘  │
//!      └─ cut off, fenced, held for dead, a gap, a lost tail: the next incarnation ───────────┘
//! ```
//!
//! # What holds
//! - Every node that is live all the time applies the same entries of each lane in the same order; so do the others, from where they
//!   start. Who is where, and which nodes there are, is the same on all live nodes after the same entry of the directory.
//! - What was said on a living node is applied on each of them once, whatever connections are cut and answers are lost, and also if the
//!   node starts anew meanwhile. If the engine loses the tail of a lane, what was in flight then is appended again: so some nodes may
//!   have it twice; what had been read back by its node may have been read by some nodes and not by others.
//! - A line that was trimmed before a node has read it is counted there, exactly, when the next line of its room comes.
//! - While nodes are there that can use the engine, a dead one is gone within [`SILENT_ALIVES_MAX`](limits::SILENT_ALIVES_MAX) and one
//!   periods of [`ALIVE_US`](limits::ALIVE_US), and the time that the engine takes.

mod closes;
pub mod contract;
mod directory;
pub mod item;
pub mod items;
mod lifecycle;
pub mod limits;
mod nodes;
mod numbers;
mod ops;
mod outgoing;
mod parcel;
mod reading;
mod starting;
#[cfg(test)]
mod tests;
pub mod types;

use super::types::Now;
use closes::Closes;
use contract::{Input, Lane};
use item::{Announcement, Delivery, Item, PersonId};
use nodes::Nodes;
use numbers::Numbers;
use outgoing::Outgoing;
use starting::Starting;
use std::collections::VecDeque;
pub use types::{Applied, Event, Figures, Lost, OwnedEntry, Settings, Why};

/// A node's place among the others. See the [module](self) for the order of calls.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    /// The first incarnation of this process.
    first_incarnation: u64,
    /// The present one, or the next if none is open.
    incarnation: u64,
    /// This node's number; 0 before the engine has given one.
    node: u16,
    engine: Engine,
    phase: Phase,
    directory: Outgoing,
    /// The sequence number of the directory's entry that was read last, while it is followed.
    directory_read: u64,
    /// By the numbers of lanes for rooms.
    rooms: Vec<RoomLane>,
    nodes: Nodes,
    closes: Closes,
    /// Incarnations that have ended when this node was not ready: it closes them when it is. Each once.
    unclosed: VecDeque<u64>,
    events: VecDeque<Event>,
    lost: VecDeque<Lost>,
    /// Lanes that had no space and have some again; each once.
    wakes: VecDeque<Lane>,
    /// Lanes that [`Link::next_op`] has looked at since it last had nothing; the directory is the first.
    looked_at: usize,
    /// When an incarnation was last opened.
    attached_at: Option<Now>,
    /// When this node is to be alive again, while an incarnation is open.
    alive_at: Option<Now>,
    /// It was alive, and that was not read back yet.
    is_alive_pending: bool,
    stop: Stop,
    /// When it stops at the latest, if it is to.
    stop_by: Option<Now>,
    counters: Counters,
}

/// A lane for rooms.
#[derive(Debug)]
struct RoomLane {
    outgoing: Outgoing,
    numbers: Numbers,
}

/// The connection to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    /// It could never be used.
    Never,
    /// It can be used.
    Connected,
    /// It cannot, since then.
    Disconnected(Now),
    /// … and that was told.
    CutOff,
}

/// Where a node is in its life.
#[derive(Debug)]
enum Phase {
    /// No incarnation is open.
    Detached,
    /// One is being opened.
    Attaching,
    /// One is open; what the others know is not known yet.
    Starting(Starting),
    /// It is known; these entries of the directory are to be applied, the oldest first.
    Replaying(VecDeque<OwnedEntry>),
    /// Each entry of the directory is applied when it is read.
    Live,
    /// The node has stopped, and closes its incarnation.
    Closing,
    /// It is closed.
    Stopped,
}

/// Whether the node is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It is not.
    No,
    /// It is.
    Wanted,
    /// … and the others are told.
    Told,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    entries_read: u64,
    malformed: u64,
    disconnections: u64,
    restarts: u64,
    lag_us: u64,
    lost_lines: u64,
}

impl Link {
    /// A node that has not started yet. Its later incarnations are those after this one.
    pub fn new(settings: Settings, incarnation: u64) -> Link {
        assert!((1..=Lane::ROOMS_MAX).contains(&settings.lanes));
        let bytes_max = settings.lane_bytes_max;
        let room_lane = |number| RoomLane {
            outgoing: Outgoing::new(Lane::of_rooms(number), bytes_max),
            numbers: Numbers::default(),
        };
        Link {
            first_incarnation: incarnation,
            incarnation,
            node: 0,
            engine: Engine::Never,
            phase: Phase::Detached,
            directory: Outgoing::new(Lane::DIRECTORY, bytes_max),
            directory_read: 0,
            rooms: (0..settings.lanes).map(room_lane).collect(),
            nodes: Nodes::default(),
            closes: Closes::default(),
            unclosed: VecDeque::new(),
            events: VecDeque::new(),
            lost: VecDeque::new(),
            wakes: VecDeque::new(),
            looked_at: 0,
            attached_at: None,
            alive_at: None,
            is_alive_pending: false,
            stop: Stop::No,
            stop_by: None,
            counters: Counters::default(),
            settings,
        }
    }

    /// This node's number; 0 before the engine has given one.
    pub fn node(&self) -> u16 {
        self.node
    }

    /// Whether it knows all that the others know, since [`Event::Live`].
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }

    /// Whether there has been no engine for two seconds.
    pub fn is_cut_off(&self) -> bool {
        self.engine == Engine::CutOff
    }

    /// Whether there has been no engine for two seconds, or never.
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self.engine, Engine::CutOff | Engine::Never)
    }

    /// The lane of a room: the CRC-32 of its name, modulo the number of lanes. All nodes, of all versions, agree on that.
    pub fn lane_of(&self, room: &str) -> Lane {
        self.place_of(room).0
    }

    /// A room's lane, and the hash of its name.
    fn place_of(&self, room: &str) -> (Lane, u32) {
        let hash = crc32fast::hash(room.as_bytes());
        let number = hash % u32::from(self.settings.lanes);
        (Lane::of_rooms(number as u8), hash)
    }

    /// Whether this cluster has a lane.
    fn has_lane(&self, lane: Lane) -> bool {
        lane.number()
            .is_none_or(|number| number < self.settings.lanes)
    }

    /// What goes to a lane. One that this cluster does not have counts as the directory.
    fn outgoing(&mut self, lane: Lane) -> &mut Outgoing {
        let number = lane.number().map_or(usize::MAX, usize::from);
        match self.rooms.get_mut(number) {
            Some(room_lane) => &mut room_lane.outgoing,
            None => &mut self.directory,
        }
    }

    /// Whether more may be said in a lane: there are fewer bytes than allowed, or there were more and now only half as many.
    pub fn has_space(&self, lane: Lane) -> bool {
        let number = lane.number().map_or(usize::MAX, usize::from);
        let room_lane = self.rooms.get(number);
        room_lane
            .map_or(&self.directory, |it| &it.outgoing)
            .has_space()
    }

    /// The next lane that had no space and has some again.
    pub fn wakes(&mut self) -> Option<Lane> {
        self.wakes.pop_front()
    }

    /// A client has said something; `render` appends the line, with its `\n`, as it is to stand in the room's log.
    pub fn line(&mut self, room: &str, author: u64, render: impl FnOnce(&mut Vec<u8>)) {
        let (lane, hash) = self.place_of(room);
        let outgoing = self.outgoing(lane);
        outgoing.gather(|parcel| parcel.line(room, hash, author, render));
    }

    /// Clients of this node have come to a room, or have left it.
    pub fn announce(&mut self, room: &str, announcement: &Announcement<'_>) {
        let (lane, hash) = self.place_of(room);
        let item = Item::Announcement(announcement.clone());
        let outgoing = self.outgoing(lane);
        outgoing.gather(|parcel| parcel.line_item(room, hash, &item));
    }

    /// A client of this node in `room` has another name.
    pub fn renamed(&mut self, room: &str, connection: u64, old: &str, new: &str) {
        let (lane, hash) = self.place_of(room);
        let item = Item::Renamed {
            connection,
            old,
            new,
        };
        let outgoing = self.outgoing(lane);
        outgoing.gather(|parcel| parcel.line_item(room, hash, &item));
    }

    /// A client in `room` has sent a private line to a person on another node.
    pub fn private(&mut self, room: &str, from: u64, to: PersonId, received: &[u8]) {
        let of = self.nodes.incarnation_of(to.node);
        let item = Item::Private {
            from,
            to,
            of,
            received,
        };
        let lane = self.lane_of(room);
        self.outgoing(lane).gather(|parcel| parcel.push(&item));
    }

    /// What has become of a private line that came in `lane`; `of`: the incarnation under which it was sent.
    pub fn private_outcome(&mut self, lane: Lane, from: PersonId, of: u64, outcome: Delivery) {
        let item = Item::PrivateOutcome { from, of, outcome };
        self.outgoing(lane).gather(|parcel| parcel.push(&item));
    }

    /// Tells an item of the directory. While the node is not live it is dropped: at [`Event::Live`] the hub tells everything.
    pub fn tell(&mut self, item: &Item<'_>) {
        if self.is_live() {
            self.directory.gather(|parcel| parcel.push(item));
        }
    }

    /// The node is to stop, after all that has been said.
    pub fn stop(&mut self, now: Now) {
        if self.stop == Stop::No {
            self.stop = Stop::Wanted;
            self.stop_by = Some(now.after(limits::STOP_US));
        }
    }

    /// Whether it has stopped, and the others will know.
    pub fn has_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    /// Something has come from the engine. Returns an entry that the hub is to apply, if it is one.
    #[must_use = "an entry that is returned is to be applied"]
    pub fn input<'a>(&mut self, now: Now, input: Input<'a>) -> Option<Applied<'a>> {
        match input {
            Input::Connected => self.connected(),
            Input::Disconnected => self.disconnected(now),
            Input::Attached { node, others } => self.attached(now, node, others),
            Input::Appended {
                lane,
                incarnation,
                number,
                outcome,
            } if self.has_lane(lane) => self.answered(lane, incarnation, number, outcome),
            Input::Entry(entry) if entry.lane == Lane::DIRECTORY => {
                return self.directory_entry(now, entry);
            }
            Input::Entry(entry) => return self.room_entry(now, entry),
            Input::CaughtUp => self.caught_up(),
            Input::Rewound(lane) if self.has_lane(lane) => self.rewound(lane),
            // There is no such lane.
            Input::Appended { .. } | Input::Rewound(_) => {}
        }
        None
    }

    /// The next lines that are lost; see the [module](self).
    pub fn next_lost(&mut self) -> Option<Lost> {
        self.lost.pop_front()
    }

    /// The next event; see the [module](self).
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Everything countable.
    pub fn figures(&self) -> Figures {
        let lanes = self.rooms.iter().map(|it| &it.outgoing);
        let all = || lanes.clone().chain([&self.directory]);
        Figures {
            node: self.node,
            incarnation: self.incarnation,
            is_live: self.is_live(),
            is_connected: self.engine == Engine::Connected,
            nodes: self.nodes.figures(),
            bytes_gathered: all().map(Outgoing::gathered_bytes).sum(),
            bytes_in_flight: all().map(Outgoing::flight_bytes).sum(),
            entries_read: self.counters.entries_read,
            malformed: self.counters.malformed,
            disconnections: self.counters.disconnections,
            restarts: self.counters.restarts,
            lag_us: self.counters.lag_us,
            lost_lines: self.counters.lost_lines,
        }
    }

    /// Panics if something does not hold that always must.
    pub fn check(&self) {
        self.directory.check();
        self.nodes.check();
        self.closes.check();
        for room_lane in &self.rooms {
            room_lane.outgoing.check();
            room_lane.numbers.check();
        }
        assert!(self.unclosed.len() <= limits::UNCLOSED_MAX);
        assert!(!self.unclosed.contains(&self.incarnation));
        assert!(self.wakes.len() <= self.rooms.len() + 1);
        match &self.phase {
            Phase::Detached | Phase::Attaching => assert!(self.directory.is_empty()),
            Phase::Starting(starting) => starting.check(),
            Phase::Live => assert!(self.nodes.has(self.incarnation)),
            _ => {}
        }
    }
}
