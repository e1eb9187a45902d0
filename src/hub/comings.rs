//! Who has come to a room and who has left it: in words, and as other nodes are told. Knows no room.

use super::limits::ANNOUNCED_NAMES_MAX;
use super::link::item::Announcement;
use super::types::ConnId;
use crate::protocol::Notice;

/// Who has come to a room, and who has left it.
#[derive(Debug)]
pub struct Comings {
    pub joined: Side,
    pub left: Side,
    /// How many are in the room.
    pub here: usize,
}

/// Those who have come, or those who have left.
#[derive(Debug)]
pub struct Side {
    pub count: usize,
    /// Their connections, if they are of this node.
    pub ids: Vec<ConnId>,
    /// The first of their names, one more than are shown.
    pub names: Vec<String>,
}

impl Side {
    fn of_names(count: u32, names: &[(u64, &str)]) -> Side {
        Side {
            count: count as usize,
            ids: Vec::new(),
            names: names.iter().map(|(_, name)| (*name).into()).collect(),
        }
    }

    /// All of them.
    pub fn people(&self) -> People<'_> {
        People {
            count: self.count,
            names: &self.names,
            without: None,
        }
    }

    /// Their names for other nodes, if they are to be `named`.
    fn to_names(&self, named: bool) -> Vec<(u64, &str)> {
        let people = self.ids.iter().zip(&self.names).filter(|_| named);
        people
            .map(|(id, name)| (id.to_token() as u64, &**name))
            .collect()
    }
}

impl Comings {
    /// As other nodes are told.
    pub fn to_item(&self) -> Announcement<'_> {
        let named = self.joined.count + self.left.count <= ANNOUNCED_NAMES_MAX;
        Announcement {
            joined: self.joined.count as u32,
            joined_names: self.joined.to_names(named),
            left: self.left.count as u32,
            left_names: self.left.to_names(named),
            here: self.here as u32,
        }
    }

    /// As another node has told.
    pub fn of_item(item: &Announcement<'_>) -> Comings {
        Comings {
            joined: Side::of_names(item.joined, &item.joined_names),
            left: Side::of_names(item.left, &item.left_names),
            here: item.here as usize,
        }
    }

    /// Whether other nodes are told of these by `item`.
    pub fn is(&self, item: &Announcement<'_>) -> bool {
        self.to_item() == *item
    }
}

/// Those who have come, or those who have left, without one of them.
#[derive(Clone, Copy)]
pub struct People<'a> {
    count: usize,
    names: &'a [String],
    /// The one that is left out.
    without: Option<usize>,
}

impl<'a> People<'a> {
    /// Without the nth.
    pub fn without(self, nth: usize) -> People<'a> {
        People {
            count: self.count - 1,
            without: Some(nth),
            ..self
        }
    }

    fn list(self) -> String {
        let names = self.names.iter().enumerate();
        let names = names.filter(|(nth, _)| Some(*nth) != self.without);
        names
            .map(|(_, name)| &**name)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// What is announced when members have come and others have left: by name if they are few.
pub fn announcement(joined: People<'_>, left: People<'_>, here: usize) -> Option<String> {
    if joined.count + left.count > ANNOUNCED_NAMES_MAX {
        let notice = match (joined.count, left.count) {
            (joined, 0) => Notice::ManyJoined { joined, here },
            (0, left) => Notice::ManyLeft { left, here },
            (joined, left) => Notice::ManyJoinedAndLeft { joined, left, here },
        };
        return Some(notice.to_string());
    }
    let (joined_names, left_names) = (&*joined.list(), &*left.list());
    let notice = match (joined.count, left.count) {
        (0, 0) => return None,
        (_, 0) => Notice::Joined {
            names: joined_names,
            here,
        },
        (0, _) => Notice::Left {
            names: left_names,
            here,
        },
        _ => Notice::JoinedAndLeft {
            joined: joined_names,
            left: left_names,
            here,
        },
    };
    Some(notice.to_string())
}
