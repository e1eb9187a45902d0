//! From former limits to new ones while clients are connected. What a newcomer or a line meets are the new limits at once;
//! rooms and clients that are there are brought within them one after the other, a few in each call: 18,000 clients or
//! 1,000 rooms at once would be a long turn. Decides no limit.

use super::client::State;
use super::context::Context;
use super::limits::{
    HalfClose, LIMIT_CHANGE_AGAIN_US, LIMIT_CHANGE_SEATS_MAX, LIMIT_CHANGE_SLOTS_MAX,
};
use super::reading::Reading;
use super::room::backpressure;
use super::room::view::RoomView;
use super::types::{Ending, Now};

/// How far a change of limits has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitChange {
    progress: Progress,
    /// Whether a timer that is due goes before the next step: they take turns.
    yields: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Progress {
    /// Everything is within the limits.
    #[default]
    Done,
    /// Rooms from number `next` on still live by the ceiling.
    Rooms {
        next: u32,
        /// The log of that room is being shortened.
        shortening: Option<Shortening>,
    },
    /// Clients in slots from `next` on have not been looked at. `fit`: those before are within the limits.
    Clients { next: u32, fit: bool },
    /// Something still takes more than the limits allow, because it has not been read, or has not left. It is looked at
    /// again then.
    Later(Now),
}

/// Members of a room are moved forward, from the last seat to the first: a member that takes the seat of one that has left
/// comes from the last seat, so no member is passed over.
#[derive(Clone, Copy, Debug)]
struct Shortening {
    /// Seats below this one are still to be looked at.
    seats: usize,
    /// Members before this position are moved forward to it.
    target: u64,
    /// It is done a second time, since much was said meanwhile: all seats at once.
    is_again: bool,
}

impl LimitChange {
    /// The limits have changed.
    pub fn begin(&mut self) {
        self.progress = Progress::Rooms {
            next: 0,
            shortening: None,
        };
    }

    /// Rooms below this number live by the limits, the others by the ceiling.
    pub fn rooms_within(&self) -> u32 {
        match self.progress {
            Progress::Rooms { next, .. } => next,
            _ => u32::MAX,
        }
    }

    /// Whether everything is within the limits.
    pub fn is_done(&self) -> bool {
        matches!(self.progress, Progress::Done)
    }

    /// When the next step is due.
    pub fn deadline(&self) -> Option<Now> {
        match self.progress {
            Progress::Done => None,
            Progress::Later(at) => Some(at),
            Progress::Rooms { .. } | Progress::Clients { .. } => Some(Now::default()),
        }
    }

    /// Whether a timer that is due goes first this time.
    pub fn yields(&mut self) -> bool {
        self.yields = !self.yields;
        self.yields
    }

    /// Takes one step, if one is due. False: none is.
    pub fn step(&mut self, reading: &mut Reading<'_>) -> bool {
        self.progress = match self.progress {
            Progress::Done => return false,
            Progress::Later(at) if at > reading.cx.now => return false,
            Progress::Later(_) => Progress::Clients { next: 0, fit: true },
            Progress::Rooms { next, shortening } => step_rooms(&mut reading.cx, next, shortening),
            Progress::Clients { next, fit } => step_clients(reading, next, fit),
        };
        true
    }
}

/// Brings the next room within the limits, or a part of it.
fn step_rooms(cx: &mut Context<'_>, next: u32, shortening: Option<Shortening>) -> Progress {
    let limits = cx.limits;
    if cx.rooms.close_spare(limits) {
        return Progress::Rooms { next, shortening };
    }
    let end = next.saturating_add(LIMIT_CHANGE_SLOTS_MAX);
    let Some(number) = cx.rooms.next_from(next, end) else {
        return match end < cx.rooms.capacity() {
            true => Progress::Rooms {
                next: end,
                shortening: None,
            },
            false => Progress::Clients { next: 0, fit: true },
        };
    };
    // A room that is being shortened may have been closed meanwhile.
    let shortening = shortening.filter(|_| number == next);
    let mut view = cx.room(number);
    view.limits = limits;
    if shortening.is_none() {
        view.room.set_bounds(limits);
    }
    if view.room.must_evict(0, limits) {
        return Progress::Rooms {
            next: number,
            shortening: Some(shorten(&mut view, shortening)),
        };
    }
    *view.log_bytes -= view.room.log.memory_bytes();
    view.room.fit(limits);
    *view.log_bytes += view.room.log.memory_bytes();
    backpressure::tick(&mut view);
    Progress::Rooms {
        next: number + 1,
        shortening: None,
    }
}

/// Moves some members of a room forward, whose log is longer than it may be.
fn shorten(view: &mut RoomView<'_>, shortening: Option<Shortening>) -> Shortening {
    let mut now = match shortening {
        Some(now) if now.seats > 0 => now,
        before => Shortening {
            seats: view.room.members.len(),
            target: view.room.eviction_target(view.limits.log_kept_bytes()),
            is_again: before.is_some(),
        },
    };
    let seats = now.seats.min(view.room.members.len());
    let count = match now.is_again {
        true => seats,
        false => seats.min(LIMIT_CHANGE_SEATS_MAX),
    };
    now.seats = seats - count;
    backpressure::evict(view, now.seats..seats, now.target);
    now
}

/// Brings the next clients within the limits, as far as that is possible.
fn step_clients(reading: &mut Reading<'_>, next: u32, mut fit: bool) -> Progress {
    let slots = reading.cx.clients.capacity() as u32;
    let end = slots.min(next.saturating_add(LIMIT_CHANGE_SLOTS_MAX));
    for slot in next..end {
        if reading.cx.clients.contains(slot as usize) {
            apply_to_client(reading, slot);
            fit &= fits(reading, slot);
        }
    }
    if end < slots {
        return Progress::Clients { next: end, fit };
    }
    let cx = &reading.cx;
    // The console and the room of raw connections are not counted.
    fit &= cx.clients.len() <= cx.limits.clients_max + 1;
    fit &= cx.rooms.fits(cx.limits);
    match fit {
        true => Progress::Done,
        false => Progress::Later(cx.now.after(LIMIT_CHANGE_AGAIN_US)),
    }
}

/// What has been begun under former limits goes on under these: a wait for the rate, a silence, a drain, a connection whose
/// peer has finished sending.
fn apply_to_client(reading: &mut Reading<'_>, slot: u32) {
    let (now, limits) = (reading.cx.now, reading.cx.limits);
    reading.addresses.cap_rate(now, slot, limits);
    let client = &reading.cx.clients[slot as usize];
    let is_receive_only = matches!(client.state(), State::ReceiveOnly);
    if is_receive_only && limits.half_close == HalfClose::Close {
        reading.cx.room_of(slot).drain(slot, Ending::EndOfInput);
    }
    reading.arm(slot);
}

/// Whether a client holds no more than the limits allow.
fn fits(reading: &Reading<'_>, slot: u32) -> bool {
    let (client, limits) = (&reading.cx.clients[slot as usize], reading.cx.limits);
    let input = &reading.inputs[slot as usize];
    client.memory_bytes() + input.memory_bytes() <= limits.client_bytes_max()
        && client.outbox.private_bytes() <= limits.private_bytes_max()
        && input.partial().len() <= limits.line_bytes_max
}
