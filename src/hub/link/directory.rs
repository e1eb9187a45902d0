//! Entries of the directory: what they say about nodes is done here, the rest is the hub's.

use super::contract::{Entry, Lane};
use super::item::Item;
use super::items;
use super::nodes::{Node, Verdict};
use super::starting::Part;
use super::{Applied, Event, Link, OwnedEntry, Phase, Stop, Why};
use crate::hub::types::Now;

impl Link {
    /// An entry of the directory has been read.
    pub(super) fn directory_entry<'a>(
        &mut self,
        now: Now,
        entry: Entry<'a>,
    ) -> Option<Applied<'a>> {
        self.counters.entries_read += 1;
        if let Phase::Starting(starting) = &self.phase
            && starting.since.is_none()
        {
            if (entry.incarnation, entry.number) == (self.incarnation, 0) {
                self.begin(&entry);
            }
            return None;
        }
        if !matches!(
            self.phase,
            Phase::Starting(_) | Phase::Replaying(_) | Phase::Live
        ) {
            return None;
        }
        if entry.sequence != self.directory_read.saturating_add(1) {
            self.restart(Why::Gap);
            return None;
        }
        self.directory_read = entry.sequence;
        self.read_back(now, &entry);
        match &mut self.phase {
            Phase::Live => {
                let verdict = self.read_nodes(&entry);
                let is_followed = matches!(self.phase, Phase::Live | Phase::Closing);
                let node = self.nodes.number_of(entry.incarnation);
                (is_followed && verdict.is_known && verdict.is_for_hub)
                    .then(|| self.applied(&entry, node))
            }
            Phase::Replaying(entries) => {
                // The hub is late with these.
                entries.push_back(OwnedEntry::of(&entry));
                None
            }
            _ => {
                self.starting_entry(&entry);
                None
            }
        }
    }

    /// The first entry of the present incarnation has been read.
    fn begin(&mut self, entry: &Entry<'_>) {
        let Phase::Starting(starting) = &mut self.phase else {
            return;
        };
        starting.since = Some(entry.sequence);
        self.directory_read = entry.sequence;
        let others = std::mem::take(&mut starting.others);
        self.nodes.begin(&others, self.node, entry.sequence);
        for (number, incarnation) in others {
            if number == self.node {
                self.close_later(incarnation);
            }
        }
        let _ = self.nodes.read(self.incarnation, entry);
        if !self.nodes.has(self.incarnation) {
            self.restart(Why::TooManyNodes);
        } else if !self.nodes.has_before() {
            self.know_nothing();
        }
    }

    /// An entry that is to be applied when it is known what was before; what it says about nodes decides for whom to wait.
    fn starting_entry(&mut self, entry: &Entry<'_>) {
        let verdict = self.nodes.read(self.incarnation, entry);
        self.is_alive_pending &= !verdict.is_own_alive;
        for (node, why) in verdict.deaths {
            if node.incarnation == self.incarnation {
                return self.end(why);
            }
            self.close_later(node.incarnation);
        }
        let Phase::Starting(starting) = &mut self.phase else {
            return;
        };
        if !starting.keep(entry) {
            return self.restart(Why::TooLong);
        }
        if verdict.has_snapshot && verdict.is_known {
            self.take_snapshot(entry);
        }
        if matches!(self.phase, Phase::Starting(_)) && !self.nodes.has_before() {
            self.know_nothing();
        }
    }

    /// Another node tells what it knows.
    fn take_snapshot(&mut self, entry: &Entry<'_>) {
        for item in items::items(entry.payload).map_while(Result::ok) {
            let Phase::Starting(starting) = &mut self.phase else {
                return;
            };
            let Item::Snapshot {
                incarnation,
                after,
                is_last,
                facts,
            } = item
            else {
                continue;
            };
            let known = starting.since.unwrap_or(u64::MAX)..entry.sequence;
            if incarnation != self.incarnation || !known.contains(&after) {
                continue;
            }
            let by = entry.incarnation;
            if starting.take_part(Part { by, after, facts }) {
                self.events.push_back(Event::Forget);
            }
            self.events.push_back(Event::Facts(facts.to_vec()));
            if is_last {
                self.know_all();
            }
        }
    }

    /// All that the others know has been told.
    fn know_all(&mut self) {
        let Phase::Starting(starting) = std::mem::replace(&mut self.phase, Phase::Detached) else {
            return;
        };
        let (nodes, kept) = starting.finish();
        for incarnation in self.nodes.take(nodes) {
            self.close_later(incarnation);
        }
        self.phase = Phase::Replaying(kept);
        if !self.nodes.has(self.incarnation) {
            self.restart(Why::Unknown);
        } else {
            self.live_if_replayed();
        }
    }

    /// Nobody is there who knows anything.
    fn know_nothing(&mut self) {
        self.events.push_back(Event::Forget);
        self.phase = Phase::Replaying([].into());
        self.live_if_replayed();
    }

    fn live_if_replayed(&mut self) {
        if matches!(&self.phase, Phase::Replaying(entries) if entries.is_empty()) {
            self.phase = Phase::Live;
            self.directory.gather(|parcel| parcel.push(&Item::Ready));
            self.events.push_back(Event::Live { node: self.node });
        }
    }

    /// The next entry that had to wait for a snapshot.
    #[must_use = "it is to be applied"]
    pub fn next_replay(&mut self) -> Option<OwnedEntry> {
        loop {
            let Phase::Replaying(entries) = &mut self.phase else {
                return None;
            };
            let mut entry = entries.pop_front()?;
            let verdict = self.read_nodes(&entry.entry());
            self.live_if_replayed();
            if !matches!(self.phase, Phase::Replaying(_) | Phase::Live) {
                return None;
            }
            // One that has events is returned in any case, so that these are handled before the next entry is applied.
            if verdict.is_known {
                entry.node = self.nodes.number_of(entry.incarnation);
                entry.is_own = self.is_own(entry.incarnation);
                return Some(entry);
            }
        }
    }

    /// Does what an entry says about nodes. `deaths` of the verdict are taken out.
    fn read_nodes(&mut self, entry: &Entry<'_>) -> Verdict {
        let mut verdict = self.nodes.read(self.incarnation, entry);
        self.counters.malformed += u64::from(verdict.is_malformed);
        self.is_alive_pending &= !verdict.is_own_alive;
        for (node, why) in std::mem::take(&mut verdict.deaths) {
            if node.incarnation == self.incarnation {
                self.end(why);
                return verdict;
            }
            self.lose(node, why);
        }
        if verdict.is_own_ready {
            self.close_all_unclosed();
        }
        // Only what it has read itself, and has been applied, can it tell.
        if matches!(self.phase, Phase::Live) && self.nodes.is_ready(self.incarnation) {
            while let Some(incarnation) = self.nodes.take_unanswered(self.incarnation) {
                self.events.push_back(Event::SnapshotWanted { incarnation });
            }
        }
        verdict
    }

    /// Another node is dead.
    fn lose(&mut self, node: Node, why: Why) {
        let announce = self.nodes.is_ready(self.incarnation);
        if !announce {
            self.close_later(node.incarnation);
        }
        self.events.push_back(Event::NodeLost {
            node: node.number,
            name: node.name,
            incarnation: node.incarnation,
            why,
            announce,
        });
    }

    /// The present incarnation is dead.
    fn end(&mut self, why: Why) {
        if why == Why::Stopped && self.stop == Stop::Told {
            self.close_own();
        } else {
            self.restart(why);
        }
    }

    /// This node is ready: it closes what has ended before.
    fn close_all_unclosed(&mut self) {
        let lanes = self.rooms.iter().filter_map(|it| it.outgoing.unsettled());
        let unsettled: Vec<_> = lanes.collect();
        for incarnation in unsettled {
            self.close_later(incarnation);
        }
        for incarnation in std::mem::take(&mut self.unclosed) {
            self.close(Lane::DIRECTORY, incarnation);
            for number in 0..self.settings.lanes {
                self.close(Lane::of_rooms(number), incarnation);
            }
        }
    }
}
