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

pub mod contract;
pub mod item;
pub mod items;
pub mod limits;
pub mod types;

use super::types::Now;
use contract::{Input, Lane, Op};
use item::{Announcement, Delivery, Fact, Item, PersonId};
pub use types::{Applied, Event, Figures, Lost, OwnedEntry, Settings, Why};

/// A node's place among the others. See the [module](self) for the order of calls.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    incarnation: u64,
    node: u16,
}

impl Link {
    /// A node that has not started yet. Its later incarnations are those after this one.
    pub fn new(settings: Settings, incarnation: u64) -> Link {
        assert!((1..=Lane::ROOMS_MAX).contains(&settings.lanes));
        Link {
            settings,
            incarnation,
            node: 0,
        }
    }

    /// This node's number; 0 before the engine has given one.
    pub fn node(&self) -> u16 {
        self.node
    }

    /// Whether it knows all that the others know, since [`Event::Live`].
    pub fn is_live(&self) -> bool {
        false
    }

    /// Whether there has been no engine for two seconds.
    pub fn is_cut_off(&self) -> bool {
        false
    }

    /// The lane of a room: the CRC-32 of its name, modulo the number of lanes. All nodes, of all versions, agree on that.
    pub fn lane_of(&self, room: &str) -> Lane {
        let lanes = u32::from(self.settings.lanes);
        Lane::of_rooms((crc32fast::hash(room.as_bytes()) % lanes) as u8)
    }

    /// Whether more may be said in a lane.
    pub fn has_space(&self, _lane: Lane) -> bool {
        true
    }

    /// The next lane that had no space and has some again.
    pub fn wakes(&mut self) -> Option<Lane> {
        None
    }

    /// A client has said something; `render` appends the line, as it is to stand in the room's log.
    pub fn line(&mut self, room: &str, author: u64, render: impl FnOnce(&mut Vec<u8>)) {
        let _ = (room, author, render);
    }

    /// Clients of this node have come to a room, or have left it.
    pub fn announce(&mut self, room: &str, announcement: &Announcement<'_>) {
        let _ = (room, announcement);
    }

    /// A client in `room` has sent a private line to a person on another node.
    pub fn private(&mut self, room: &str, from: u64, to: PersonId, received: &[u8]) {
        let _ = (room, from, to, received);
    }

    /// What has become of a private line that came in `lane`.
    pub fn private_outcome(&mut self, lane: Lane, from: PersonId, outcome: Delivery) {
        let _ = (lane, from, outcome);
    }

    /// Tells an item of the directory. While the node is not live it is dropped: at [`Event::Live`] the hub tells everything.
    pub fn tell(&mut self, item: &Item<'_>) {
        let _ = item;
    }

    /// The node is to stop, after all that has been said.
    pub fn stop(&mut self) {}

    /// Whether it has, and all others will know.
    pub fn has_stopped(&self) -> bool {
        false
    }

    /// The next thing that the engine is to do.
    #[must_use = "it is not returned again"]
    pub fn next_op(&mut self, _now: Now) -> Option<Op> {
        None
    }

    /// Something has come from the engine. Returns an entry that the hub is to apply, if it is one.
    #[must_use = "an entry that is returned is to be applied"]
    pub fn input<'a>(&mut self, _now: Now, _input: Input<'a>) -> Option<Applied<'a>> {
        None
    }

    /// The next entry that had to wait for a snapshot.
    #[must_use = "it is to be applied"]
    pub fn next_replay(&mut self) -> Option<OwnedEntry> {
        None
    }

    /// The next lines that are lost; see the [module](self).
    pub fn next_lost(&mut self) -> Option<Lost> {
        None
    }

    /// The next event; see the [module](self).
    pub fn next_event(&mut self) -> Option<Event> {
        None
    }

    /// When [`tick`](Link::tick) is to be called.
    pub fn deadline(&self) -> Option<Now> {
        None
    }

    /// Does what is due by now.
    pub fn tick(&mut self, _now: Now) {}

    /// The answer to [`Event::SnapshotWanted`]: all people, those of this node included, and all bans, as they are after the entry
    /// with which the event came.
    pub fn snapshot<'f>(&mut self, incarnation: u64, facts: impl Iterator<Item = Fact<'f>>) {
        let _ = (incarnation, facts.count());
    }

    /// The answer to [`Event::NodeLost`] with `announce`: for each room what it is to hear of those who have left with the node.
    pub fn close_batch<'r>(
        &mut self,
        incarnation: u64,
        lefts: impl Iterator<Item = (&'r str, Announcement<'r>)>,
    ) {
        let _ = (incarnation, lefts.count());
    }

    /// Everything countable.
    pub fn figures(&self) -> Figures {
        Figures {
            node: self.node,
            incarnation: self.incarnation,
            ..Figures::default()
        }
    }

    /// Panics if something does not hold that always must.
    pub fn check(&self) {}
}
