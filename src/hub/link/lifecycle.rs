//! How an incarnation ends and the next one begins; what this node tells those that start, and of those that have ended.

use super::contract::{Batch, Lane};
use super::item::{Announcement, Fact, Item};
use super::items;
use super::limits::{CLOSE_ROOMS_MAX, SNAPSHOT_PART_BYTES_MAX, UNCLOSED_MAX};
use super::parcel::Parcel;
use super::{Event, Link, Phase, Stop, Why};

impl Link {
    /// The node starts anew, under its next incarnation. What is said in rooms stays; what is told to the directory does not.
    pub(super) fn restart(&mut self, why: Why) {
        if !matches!(
            self.phase,
            Phase::Starting(_) | Phase::Replaying(_) | Phase::Live
        ) {
            return;
        }
        self.counters.restarts += 1;
        self.next_incarnation();
        self.events.push_back(Event::Restarting { why });
    }

    /// The present incarnation is not open any more, or never was.
    pub(super) fn next_incarnation(&mut self) {
        let ended = self.incarnation;
        self.incarnation = ended.wrapping_add(1);
        self.close_later(ended);
        self.phase = Phase::Detached;
        self.nodes.clear();
        self.directory.clear();
        self.wake(Lane::DIRECTORY);
        for room_lane in &mut self.rooms {
            room_lane.outgoing.restart();
        }
        self.alive_at = None;
        self.is_alive_pending = false;
        if self.stop == Stop::Told {
            self.stop = Stop::Wanted;
        }
    }

    /// An incarnation has ended, and this node cannot say yet what that means: it closes it when it is ready.
    pub(super) fn close_later(&mut self, incarnation: u64) {
        if !self.unclosed.contains(&incarnation) {
            if self.unclosed.len() == UNCLOSED_MAX {
                self.unclosed.pop_front();
            }
            self.unclosed.push_back(incarnation);
        }
    }

    /// The answer to [`Event::SnapshotWanted`]: all people, those of this node included, and all bans, as they are after the entry
    /// with which the event came.
    pub fn snapshot<'f>(&mut self, incarnation: u64, facts: impl Iterator<Item = Fact<'f>>) {
        if !self.is_live() {
            return;
        }
        let after = self.directory_read;
        let mut part = Vec::new();
        for fact in self.nodes.facts() {
            items::write(&fact, &mut part);
        }
        for fact in facts {
            if part.len() >= SNAPSHOT_PART_BYTES_MAX {
                self.tell_part(incarnation, after, false, &part);
                part.clear();
            }
            items::write(&fact, &mut part);
        }
        self.tell_part(incarnation, after, true, &part);
    }

    fn tell_part(&mut self, incarnation: u64, after: u64, is_last: bool, facts: &[u8]) {
        let item = Item::Snapshot {
            incarnation,
            after,
            is_last,
            facts,
        };
        self.directory.gather(|parcel| parcel.push(&item));
    }

    /// The answer to [`Event::NodeLost`] with `announce`: for each room what it is to hear of those who have left with the node.
    /// Beyond [`CLOSE_ROOMS_MAX`] rooms of a lane the others hear nothing.
    pub fn close_batch<'r>(
        &mut self,
        incarnation: u64,
        lefts: impl Iterator<Item = (&'r str, Announcement<'r>)>,
    ) {
        let mut parcels = vec![Parcel::default(); self.rooms.len()];
        for (room, announcement) in lefts {
            let (lane, hash) = self.place_of(room);
            let parcel = lane.number().map(usize::from);
            let parcel = parcel.and_then(|number| parcels.get_mut(number));
            if let Some(parcel) = parcel
                && parcel.rooms().len() < CLOSE_ROOMS_MAX
            {
                parcel.line_item(room, hash, &Item::Announcement(announcement));
            }
        }
        self.close(Lane::DIRECTORY, incarnation);
        for (number, parcel) in (0..self.settings.lanes).zip(parcels) {
            self.closes.push(Batch {
                lane: Lane::of_rooms(number),
                incarnation,
                number: Batch::LAST,
                rooms: parcel.rooms().to_vec(),
                payload: parcel.payload().to_vec(),
            });
        }
    }
}
