//! The lanes as this node reads them: up to where, and of which world. Opens no socket.

use super::entries::Id;
use super::keys::LaneKeys;
use crate::hub::link::contract::Lane;

/// One lane.
#[derive(Clone, Debug)]
pub struct ReadLane {
    /// Its keys.
    pub keys: LaneKeys,
    /// The last entry that has been passed on, or lies before those that are; `None`: nothing has been read.
    pub cursor: Option<Id>,
    /// That entry's number in the lane; 0 if it is not known.
    pub sequence: u64,
    /// The world of the entries, empty if there is none.
    world: String,
}

/// All lanes: those of rooms by number, and last the directory.
#[derive(Clone, Debug)]
pub struct Lanes(Vec<ReadLane>);

impl Lanes {
    /// Lanes of which nothing has been read.
    pub fn new(prefix: &str, lanes: u8) -> Lanes {
        let lane = |keys| ReadLane {
            keys,
            cursor: None,
            sequence: 0,
            world: String::new(),
        };
        Lanes(LaneKeys::all(prefix, lanes).into_iter().map(lane).collect())
    }

    /// How many there are, with the directory.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The place of the directory.
    pub fn directory(&self) -> usize {
        self.0.len() - 1
    }

    /// The place of a lane.
    pub fn place(&self, lane: Lane) -> usize {
        lane.number().map_or(self.directory(), usize::from)
    }

    /// The place of the lane with this log.
    pub fn find(&self, log: &[u8]) -> Option<usize> {
        self.0
            .iter()
            .position(|lane| lane.keys.log.as_bytes() == log)
    }

    /// A lane by its place.
    pub fn get(&self, place: usize) -> &ReadLane {
        &self.0[place]
    }

    /// Whether the lanes are read.
    pub fn are_read(&self) -> bool {
        self.0.iter().all(|lane| lane.cursor.is_some())
    }

    /// Passes over an entry. False: it has been passed on already, or is not wanted.
    pub fn pass(&mut self, place: usize, id: Id, sequence: Option<u64>) -> bool {
        let lane = &mut self.0[place];
        if lane.cursor.is_none_or(|cursor| id <= cursor) {
            return false;
        }
        lane.cursor = Some(id);
        lane.sequence = sequence.unwrap_or(lane.sequence);
        true
    }

    /// An incarnation has been opened in a lane, which ends with `last`, and the entries wanted from before come after
    /// `after`. Whether the lane has lost its tail.
    #[must_use]
    pub fn opened(&mut self, place: usize, opened: &Opened) -> bool {
        let is_directory = place == self.directory();
        let lane = &mut self.0[place];
        let is_another = !lane.world.is_empty() && lane.world != opened.world;
        let was_read = lane.cursor;
        let is_lost = was_read.is_some_and(|cursor| is_another || opened.last < cursor);
        lane.world.clone_from(&opened.world);
        lane.cursor = Some(match was_read {
            _ if is_directory || is_lost => opened.last,
            Some(cursor) => cursor,
            None => opened.after,
        });
        if lane.cursor == Some(opened.last) {
            lane.sequence = opened.sequence;
        }
        is_lost
    }

    /// A lane ends with `last`, in this world. Whether it has lost its tail.
    #[must_use]
    pub fn ends(&mut self, place: usize, world: &str, last: Id) -> bool {
        let lane = &mut self.0[place];
        let is_another = !lane.world.is_empty() && lane.world != world;
        let is_lost = is_another || lane.cursor.is_some_and(|cursor| last < cursor);
        if lane.world != world {
            world.clone_into(&mut lane.world);
        }
        if is_lost {
            lane.cursor = Some(last);
            lane.sequence = 0;
        }
        is_lost
    }
}

/// How an incarnation was opened in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The lane's world.
    pub world: String,
    /// The last entry before.
    pub last: Id,
    /// Its number in the lane.
    pub sequence: u64,
    /// The entry after which those come that are wanted from before.
    pub after: Id,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(world: &str, last: u64) -> Opened {
        Opened {
            world: world.into(),
            last: Id(last, 0),
            sequence: last,
            after: Id(last.saturating_sub(2), 0),
        }
    }

    fn cursors(lanes: &Lanes) -> Vec<Option<Id>> {
        lanes.0.iter().map(|lane| lane.cursor).collect()
    }

    #[test]
    fn history_is_read_once_and_the_directory_from_its_end() {
        let mut lanes = Lanes::new("m", 1);
        assert!(!lanes.are_read() && !lanes.pass(0, Id(1, 0), None));
        assert!(!lanes.opened(0, &opened("w", 9)) && !lanes.opened(1, &opened("w", 9)));
        assert_eq!(cursors(&lanes), [Some(Id(7, 0)), Some(Id(9, 0))]);
        assert!(lanes.pass(0, Id(8, 0), Some(8)) && !lanes.pass(0, Id(8, 0), Some(8)));
        assert!(!lanes.opened(0, &opened("w", 20)) && !lanes.opened(1, &opened("w", 20)));
        assert_eq!(cursors(&lanes), [Some(Id(8, 0)), Some(Id(20, 0))]);
    }

    #[test]
    fn a_lost_tail_is_noticed_once() {
        let mut lanes = Lanes::new("m", 1);
        let _ = lanes.opened(0, &opened("w", 9));
        assert!(lanes.pass(0, Id(9, 5), Some(10)));
        assert!(!lanes.ends(0, "w", Id(9, 5)) && !lanes.ends(0, "w", Id(10, 0)));
        assert!(lanes.ends(0, "w", Id(9, 4)), "a tail is lost");
        assert!(!lanes.ends(0, "w", Id(9, 4)));
        assert!(lanes.ends(0, "", Id(0, 0)), "all is lost");
        assert!(!lanes.ends(0, "v", Id(3, 0)), "it began anew");
        assert_eq!(lanes.get(0).cursor, Some(Id(0, 0)));
        assert!(lanes.ends(0, "u", Id(3, 0)), "another world");
        assert!(lanes.opened(0, &opened("t", 50)));
        assert!(!lanes.opened(0, &opened("t", 50)));
    }
}
