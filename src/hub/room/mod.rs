//! A room: its log, its members, the order in which they are visited, what is to be announced, and whether it accepts
//! lines. Knows its members only by their slots; `view` is the room together with them.

pub mod append;
pub mod arrivals;
pub mod backpressure;
pub mod carousel;
pub mod eviction;
pub mod gate;
pub mod lock;
pub mod log;
pub mod marks;
pub mod view;

use super::likeness::Likeness;
use super::limits::{EVICTION_BYTES_A_MEMBER, Limits, ROOM_VISITS_MAX, SlowPolicy};
use super::name::RoomName;
use super::types::{ConnId, Now};
use arrivals::Arrivals;
use carousel::Carousel;
use eviction::Eviction;
use gate::Gate;
use lock::Lock;
use log::Log;
use std::ops::Range;

/// A room.
#[derive(Debug)]
pub struct Room {
    /// Its name as it was first given; empty for the room of all raw connections.
    pub name: Box<str>,
    /// Rooms whose names are like this would be this room.
    pub likeness: Likeness,
    /// The member that has entered it when nobody was in it, until that one leaves.
    pub opener: Option<ConnId>,
    /// What keeps others out, if it is locked.
    pub lock: Option<Box<Lock>>,
    /// What was said in it and is still needed.
    pub log: Log,
    /// The slots of its members, in no order. Each member knows its seat, the index in here.
    pub members: Vec<u32>,
    /// How many people of other nodes are in it.
    pub elsewhere: u32,
    /// The slot of the console, if it is a member: nobody waits for it.
    pub console: Option<u32>,
    /// Which member is visited next.
    pub carousel: Carousel,
    /// Comings and goings that have not been announced.
    pub arrivals: Arrivals,
    /// Whether the room has to wait for some of its members.
    pub gate: Gate,
    /// Which members are moved forward before the log is at its cap.
    pub eviction: Eviction,
}

impl Room {
    /// An empty room.
    pub fn new(name: RoomName, limits: &Limits) -> Room {
        Room {
            name: name.name,
            likeness: name.likeness,
            opener: None,
            lock: None,
            log: Log::new(
                limits.history_lines,
                limits.history_bytes_max(),
                limits.late_bytes(),
                limits.log_marks_max(),
            ),
            members: Vec::new(),
            elsewhere: 0,
            console: None,
            carousel: Carousel::default(),
            arrivals: Arrivals::default(),
            gate: Gate::new(),
            eviction: Eviction::default(),
        }
    }

    /// The limits have changed: history and lateness are by the new ones.
    pub fn set_bounds(&mut self, limits: &Limits) {
        let history_bytes_max = limits.history_bytes_max();
        let late_bytes = limits.late_bytes();
        self.log
            .set_bounds(limits.history_lines, history_bytes_max, late_bytes);
    }

    /// The limits have changed, and the log holds no more than they allow: gives back memory, and is not full if there is no
    /// full log any more.
    pub fn fit(&mut self, limits: &Limits) {
        self.log.fit(limits.room_log_bytes_max);
        if limits.slow != SlowPolicy::Wait {
            self.gate.forget_full();
        }
    }

    /// Brings the gate up to date. To be called before [`accepts_lines`](Room::accepts_lines).
    pub fn observe(&mut self, now: Now, limits: &Limits) {
        self.gate.observe(now, &self.log, limits);
    }

    /// Whether something may be said: the room waits for none of its members, and each has been offered nearly all that
    /// was said before.
    pub fn accepts_lines(&self, limits: &Limits) -> bool {
        !self.gate.is_shut()
            && self.log.end() - self.carousel.offered() < limits.room_round_bytes_max() as u64
    }

    /// Whether a line of `bytes` would make the log forget what a member has not read.
    pub fn must_evict(&self, bytes: usize, limits: &Limits) -> bool {
        self.log.live_bytes() + bytes > limits.log_live_bytes_max()
    }

    /// Bytes that may be said before the log is at its cap.
    pub fn bytes_before_cap(&self, limits: &Limits) -> usize {
        limits
            .log_live_bytes_max()
            .saturating_sub(self.log.live_bytes())
    }

    /// Bytes before the cap at which an eviction begins: enough for a share of the members with each line. Under
    /// `--slow wait` senders wait long before the cap.
    pub fn eviction_bytes(&self, limits: &Limits) -> usize {
        match limits.slow {
            SlowPolicy::Wait => 0,
            _ => {
                let bytes = EVICTION_BYTES_A_MEMBER * self.members.len();
                bytes.min(limits.log_live_bytes_max() / 4)
            }
        }
    }

    /// Whether a line of `bytes` could make the log full, under `--slow wait`.
    pub fn may_fill(&self, bytes: usize, limits: &Limits) -> bool {
        limits.slow == SlowPolicy::Wait && self.log.live_bytes() + bytes > limits.log_full_bytes()
    }

    /// The start of the first line such that at most `kept_bytes` follow it.
    pub fn eviction_target(&self, kept_bytes: usize) -> u64 {
        let target = self.log.end().saturating_sub(kept_bytes as u64);
        self.log.after_line(target.max(self.log.start()))
    }

    /// Appends one line, and has every member visited once more. `bytes_max` bounds what `render` pushes.
    pub fn append(
        &mut self,
        bytes_max: usize,
        limits: &Limits,
        render: impl FnOnce(&mut Vec<u8>),
    ) -> Range<u64> {
        self.carousel.turn(self.members.len());
        self.log
            .append(bytes_max, limits.room_log_bytes_max, render)
    }

    /// How many are in it, on all nodes.
    pub fn here(&self) -> usize {
        self.members.len() + self.elsewhere as usize
    }

    /// Whether the client in this slot is a member, given the seat that it has in its room.
    pub fn is_member(&self, slot: u32, seat: u32) -> bool {
        self.members.get(seat as usize) == Some(&slot)
    }

    /// Members that are visited before the next room has its turn: a share that grows with the room.
    pub fn visits_a_turn(&self) -> usize {
        self.members.len().clamp(1, ROOM_VISITS_MAX)
    }

    /// The last member has left: forgets what concerned members, and gives back memory.
    pub fn vacate(&mut self) {
        drop(self.arrivals.take_untold());
        self.gate = Gate::new();
        self.eviction = Eviction::default();
        self.log.shrink();
    }

    /// The member to visit next, if one has not been offered all that was said.
    pub fn next_visit(&mut self) -> Option<u32> {
        self.carousel.next(&self.members, self.log.end())
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self, limits: &Limits) {
        self.log.check();
        self.gate.check();
        if let Some(lock) = &self.lock {
            lock.check();
        }
        self.carousel.check(self.members.len(), self.log.end());
        assert!(self.log.live_bytes() <= limits.room_log_bytes_max);
        assert!(
            self.console
                .is_none_or(|console| self.members.contains(&console))
        );
    }
}
