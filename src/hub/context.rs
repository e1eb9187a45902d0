//! What a client's request may touch: clients, rooms, the schedule, the counters. Names and addresses are given beside it
//! to those that need them; the clients' input is out of reach, since a request may be borrowed from it.

use super::accounts::Accounts;
use super::ages::Ages;
use super::client::Clients;
use super::cluster::Cluster;
use super::ignoring::Ignoring;
use super::limits::Limits;
use super::operators::state::Operators;
use super::room::view::RoomView;
use super::rooms::Rooms;
use super::schedule::Schedule;
use super::strangers::Strangers;
use super::tries::Tries;
use super::types::{ConnId, Now, Totals};
use crate::protocol::{Notice, Refusal};

/// A part of the hub, for as long as one call lasts.
pub struct Context<'a> {
    /// The time of the call.
    pub now: Now,
    pub limits: &'a Limits,
    /// What holds for rooms that are not within the limits yet.
    pub ceiling: &'a Limits,
    /// Rooms from this number on are not.
    pub rooms_within: u32,
    pub clients: &'a mut Clients,
    pub rooms: &'a mut Rooms,
    pub schedule: &'a mut Schedule,
    pub totals: &'a mut Totals,
    pub ignoring: &'a mut Ignoring,
    pub ages: &'a Ages,
    pub operators: &'a mut Operators,
    pub accounts: &'a mut Accounts,
    pub strangers: &'a mut Strangers,
    /// Wrong secrets of rooms, by connection.
    pub lock_tries: &'a mut Tries<ConnId>,
    /// What there is of other nodes.
    pub cluster: &'a mut Option<Box<Cluster>>,
}

impl<'a> Context<'a> {
    /// The limits by which a room lives.
    pub fn limits_of(&self, room: u32) -> &'a Limits {
        match room < self.rooms_within {
            true => self.limits,
            false => self.ceiling,
        }
    }

    /// A client's room, together with its members.
    pub fn room_of(&mut self, slot: u32) -> RoomView<'_> {
        let number = self.clients[slot as usize].room;
        self.room(number)
    }

    /// A room, together with its members.
    pub fn room(&mut self, number: u32) -> RoomView<'_> {
        let limits = self.limits_of(number);
        let (room, log_bytes) = self.rooms.get_counted(number);
        RoomView {
            now: self.now,
            limits,
            number,
            room,
            log_bytes,
            clients: self.clients,
            schedule: self.schedule,
            totals: self.totals,
            ignoring: self.ignoring,
            cluster: self.cluster,
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

    /// A secret of a client's has been taken: tells it if others could read the secret on its way.
    pub fn warn_if_overheard(&mut self, slot: u32) {
        if !self.clients[slot as usize].is_secure() {
            self.notify(slot, Notice::SecretInClear {});
        }
    }
}
