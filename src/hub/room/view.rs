//! One room together with its members: what back-pressure, membership and the handlers may touch of the hub.

use super::Room;
use crate::hub::client::{Block, Client, Clients, State};
use crate::hub::cluster::Cluster;
use crate::hub::ignoring::Ignoring;
use crate::hub::limits::{Limits, NOTICE_WORK};
use crate::hub::schedule::{Place, Schedule, Timer};
use crate::hub::types::{Ending, Now, Report, Totals};
use crate::protocol::{Notice, Refusal};

/// One room, for as long as one call lasts.
pub struct RoomView<'a> {
    /// The time of the call.
    pub now: Now,
    pub limits: &'a Limits,
    /// The room's number.
    pub number: u32,
    pub room: &'a mut Room,
    /// Bytes of memory that the logs of all rooms take.
    pub log_bytes: &'a mut usize,
    /// The room's members, by slot. Others are in here too and are none of the room's business.
    pub clients: &'a mut Clients,
    pub schedule: &'a mut Schedule,
    pub totals: &'a mut Totals,
    pub ignoring: &'a Ignoring,
    pub cluster: &'a mut Option<Box<Cluster>>,
}

impl RoomView<'_> {
    /// The client in this slot.
    pub fn client(&mut self, slot: u32) -> &mut Client {
        &mut self.clients[slot as usize]
    }

    /// Sends a member a notice of its own.
    pub fn notify(&mut self, slot: u32, notice: Notice<'_>) {
        self.notify_after(slot, 0, notice);
    }

    /// Sends a member a notice of its own, which it receives after the log up to `position`.
    pub fn notify_after(&mut self, slot: u32, position: u64, notice: Notice<'_>) {
        self.write_private(slot, position, |out| notice.write(out));
    }

    /// Tells a member why something is refused.
    pub fn refuse(&mut self, slot: u32, refusal: Refusal<'_>) {
        let id = self.clients[slot as usize].id(slot);
        let report = || Report::Refused(refusal.to_string());
        self.schedule.reports.add(id, report);
        self.write_private(slot, 0, |out| refusal.write(out));
    }

    fn write_private(&mut self, slot: u32, position: u64, render: impl FnOnce(&mut Vec<u8>)) {
        let client = &mut self.clients[slot as usize];
        let before = client.outbox.private_bytes();
        client.write_private(slot, position, self.schedule, render);
        let bytes = client.outbox.private_bytes() - before;
        self.totals.work += NOTICE_WORK + bytes as u64;
    }

    /// Writes to a member all that it is to receive by now, then closes it.
    pub fn drain(&mut self, slot: u32, why: Ending) {
        let until = self.clients[slot as usize].log_until(self.room.log.end());
        self.drain_until(slot, until, why);
    }

    /// Writes to a member its private bytes and the log up to `until`, then closes it.
    pub fn drain_until(&mut self, slot: u32, until: u64, why: Ending) {
        let client = &mut self.clients[slot as usize];
        if client.drain(self.now, until, why) {
            self.schedule.want_write(client.id(slot));
            if let Some(due) = client.deadline(self.limits, false, self.now) {
                self.schedule.arm(Timer::Client(slot), due);
            }
        }
        self.settle(slot);
    }

    /// A member has made progress, or is on its way out: does what has waited for that.
    pub fn settle(&mut self, slot: u32) {
        let client = &mut self.clients[slot as usize];
        let is_drained =
            matches!(client.state(), State::Draining(_)) && !client.has_output(self.room.log.end());
        if is_drained {
            client.close();
            self.schedule.want_close(client.id(slot));
        } else if client.can_move() {
            self.schedule.want_read(client.id(slot), Place::Last);
        } else if client.is_blocked_by(Block::Backlog) {
            self.wake(slot, Place::Last);
        }
    }

    /// A member's input may be handled again.
    pub fn wake(&mut self, slot: u32, place: Place) {
        let client = &mut self.clients[slot as usize];
        client.unblock(self.now);
        self.schedule.want_read(client.id(slot), place);
    }
}
