//! What a client's request may touch: clients, rooms, the schedule, the counters. Names and addresses are given beside it
//! to those that need them; the clients' input is out of reach, since a request may be borrowed from it.

use super::client::Clients;
use super::limits::Limits;
use super::operators::state::Operators;
use super::room::view::RoomView;
use super::rooms::Rooms;
use super::schedule::Schedule;
use super::types::{Now, Totals};
use crate::protocol::{Notice, Refusal};

/// A part of the hub, for as long as one call lasts.
pub struct Context<'a> {
    /// The time of the call.
    pub now: Now,
    pub limits: &'a Limits,
    pub clients: &'a mut Clients,
    pub rooms: &'a mut Rooms,
    pub schedule: &'a mut Schedule,
    pub totals: &'a mut Totals,
    pub operators: &'a mut Operators,
}

impl Context<'_> {
    /// A client's room, together with its members.
    pub fn room_of(&mut self, slot: u32) -> RoomView<'_> {
        let number = self.clients[slot as usize].room;
        self.room(number)
    }

    /// A room, together with its members.
    pub fn room(&mut self, number: u32) -> RoomView<'_> {
        RoomView {
            now: self.now,
            limits: self.limits,
            number,
            room: self.rooms.get_mut(number),
            clients: self.clients,
            schedule: self.schedule,
            totals: self.totals,
        }
    }

    /// Sends a client a notice of its own.
    pub fn notify(&mut self, slot: u32, notice: Notice<'_>) {
        self.room_of(slot).notify(slot, notice);
    }

    /// Tells a client that what it sent is refused, and why.
    pub fn refuse(&mut self, slot: u32, refusal: Refusal<'_>) {
        self.room_of(slot).refuse(slot, refusal);
    }

    /// The same, of a line: it is counted.
    pub fn refuse_line(&mut self, slot: u32, refusal: Refusal<'_>) {
        self.totals.refused_lines += 1;
        self.refuse(slot, refusal);
    }
}
