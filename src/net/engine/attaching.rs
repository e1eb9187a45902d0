//! An attachment that is under way: an incarnation is being opened, first in the directory, whose world counts, then in all
//! other lanes. Opens no socket.

use super::command::Opening;
use super::lanes::{Lanes, Opened};
use crate::hub::link::contract::Input;

/// What the hub wants opened, and how far that is.
#[derive(Debug)]
pub struct Attaching {
    name: String,
    incarnation: u64,
    started: Vec<u8>,
    history_entries: u32,
    /// The world that is begun, if the engine has none; then the directory's.
    world: String,
    /// Lanes in which it is not open. `0 <= left <= ` all lanes.
    left: usize,
    node: u16,
    others: Vec<(u16, u64)>,
    /// What is to be told the hub before that it is attached.
    rewound: Vec<Input<'static>>,
}

impl Attaching {
    /// Begins, in so many lanes. `world` is a name that no other world has.
    pub fn new(
        (name, incarnation): (String, u64),
        started: Vec<u8>,
        history_entries: u32,
        world: String,
        lanes: usize,
    ) -> Attaching {
        Attaching {
            name,
            incarnation,
            started,
            history_entries,
            world,
            left: lanes,
            node: 0,
            others: Vec::new(),
            rewound: Vec::new(),
        }
    }

    /// How the lane of this place is opened.
    pub fn opening(
        &self,
        lanes: &Lanes,
        place: usize,
        format: u32,
        entries_max: u32,
    ) -> Opening<'_> {
        let is_directory = place == lanes.directory();
        let is_new = lanes.get(place).cursor.is_none();
        Opening {
            world: &self.world,
            lanes: (lanes.count() - 1) as u8,
            format,
            incarnation: self.incarnation,
            history_entries: if is_new { self.history_entries } else { 0 },
            entries_max,
            first_batch: is_directory.then_some((&*self.name, &*self.started)),
        }
    }

    /// The directory has been opened.
    pub fn directory_opened(&mut self, opened: &Opened, node: u16, others: Vec<(u16, u64)>) {
        self.world.clone_from(&opened.world);
        self.node = node;
        self.others = others;
    }

    /// A lane has been opened. Returns what is to be told the hub if it was the last one.
    pub fn lane_opened(
        &mut self,
        lanes: &mut Lanes,
        place: usize,
        opened: &Opened,
    ) -> Option<Vec<Input<'static>>> {
        if lanes.opened(place, opened) {
            let lane = lanes.get(place).keys.lane;
            self.rewound.push(Input::Rewound(lane));
        }
        self.left -= 1;
        if self.left > 0 {
            return None;
        }
        let mut inputs = std::mem::take(&mut self.rewound);
        inputs.push(Input::Attached {
            node: self.node,
            others: std::mem::take(&mut self.others),
        });
        Some(inputs)
    }

    /// The world in which batches are appended from now on.
    pub fn world(&self) -> &str {
        &self.world
    }
}
