//! The body of the fuzz target `entry`: whatever an engine has in its lanes, what is read is written as it was read; and whatever
//! it answers, in whatever order, a link appends one batch at a time in a lane, with growing numbers, whose lines are those that
//! were said, and holds no more memory than it is given.

use super::bytes::Bytes;
use crate::hub::link::contract::{Batch, Entry, Input, Lane, Op, Outcome};
use crate::hub::link::item::{Announcement, Fact, Item, PersonId};
use crate::hub::link::limits::NODES_MAX;
use crate::hub::link::{Event, Link, Settings, items};
use crate::hub::types::Now;
use std::collections::BTreeMap;

const LANES: u8 = 3;
const FIRST: u64 = 1 << 20;

/// Reads `data` as a payload; then takes it for what an engine answers.
pub fn entry(data: &[u8]) {
    read(data);
    drive(data);
}

/// What can be read is written as something that is read as the same.
fn read(data: &[u8]) {
    let (mut written, mut count) = (Vec::new(), 0);
    let read: Vec<_> = items::items(data).map_while(Result::ok).collect();
    for item in &read {
        items::write(item, &mut written);
        count += 1;
        if let Item::Line { author, line } = *item {
            let mut alone = Vec::new();
            items::write_line(author, |out| out.extend_from_slice(line), &mut alone);
            assert!(written.ends_with(&alone), "a line is written in two ways");
        }
    }
    assert!(count <= data.len() && written.len() <= data.len());
    let again: Vec<_> = items::items(&written).collect();
    assert!(again.into_iter().eq(read.into_iter().map(Ok)));
    let facts: Vec<_> = items::facts(data).map_while(Result::ok).collect();
    let mut written = Vec::new();
    facts
        .iter()
        .for_each(|fact| items::write(fact, &mut written));
    assert!(items::facts(&written).eq(facts.into_iter().map(Ok)));
}

/// What a link has submitted.
#[derive(Default)]
struct Submitted {
    /// By lane, the last batch: its incarnation, its number, and whether it must be read back before another one.
    last: BTreeMap<Lane, (u64, u64, bool)>,
}

impl Submitted {
    fn take(&mut self, link: &Link, op: &Op) {
        let Op::Append(batch) = op else { return };
        assert_eq!(batch.incarnation, link.figures().incarnation);
        let key = (batch.incarnation, batch.number);
        if let Some(&(incarnation, number, is_in_flight)) = self.last.get(&batch.lane)
            && incarnation == batch.incarnation
        {
            assert!(
                !is_in_flight,
                "a second batch is in flight in {}",
                batch.lane
            );
            assert!(number <= batch.number, "numbers go back in {}", batch.lane);
        }
        self.last.insert(batch.lane, (key.0, key.1, true));
        let mut lines = vec![0; batch.rooms.len()];
        let mut at = usize::MAX;
        for item in items::items(&batch.payload) {
            match item.expect("a link writes what can be read") {
                Item::Room { nth, name } => {
                    at = usize::from(nth);
                    assert_eq!(*batch.rooms[at].0, *name);
                }
                item if item.is_line() => lines[at] += 1,
                _ => {}
            }
        }
        assert!(batch.rooms.iter().map(|room| room.1).eq(lines));
    }

    fn read_back(&mut self, entry: &Entry<'_>) {
        if let Some((incarnation, number, is_in_flight)) = self.last.get_mut(&entry.lane)
            && *incarnation == entry.incarnation
            && (*number <= entry.number)
        {
            *is_in_flight = false;
        }
    }

    fn release(&mut self) {
        self.last.values_mut().for_each(|last| last.2 = false);
    }
}

fn lane(byte: u8) -> Lane {
    match byte % (LANES + 2) {
        LANES => Lane::DIRECTORY,
        number => Lane::of_rooms(number),
    }
}

/// An item that belongs to the directory or to a lane for rooms, or bytes that may be none.
fn payload(bytes: &mut Bytes<'_>, incarnation: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..bytes.byte() % 4 {
        let number = u64::from(bytes.byte());
        let (name, after) = ("pond", number % 16);
        let facts = [];
        let item = match bytes.byte() % 12 {
            0 => Item::Started { name },
            1 => Item::Ready,
            2 => Item::Stopped,
            3 => Item::Alive {
                silent: vec![(incarnation, after), (number, u64::MAX)],
            },
            4 | 5 => {
                let mut facts = Vec::new();
                for (at, incarnation) in [incarnation, number].into_iter().enumerate() {
                    let fact = Fact::Node {
                        node: at as u16 + 1,
                        incarnation,
                        name,
                        is_ready: at == 1,
                        last: after,
                    };
                    items::write(&fact, &mut facts);
                }
                let item = Item::Snapshot {
                    incarnation,
                    after,
                    is_last: number % 2 == 0,
                    facts: &facts,
                };
                items::write(&item, &mut out);
                continue;
            }
            6 => Item::Snapshot {
                incarnation,
                after,
                is_last: true,
                facts: &facts,
            },
            7 => Item::Room {
                nth: after as u16,
                name,
            },
            8 => Item::Line {
                author: number,
                line: b"hello\n",
            },
            9 => Item::Announcement(Announcement {
                joined: 1,
                joined_names: vec![(number, name)],
                left: 0,
                left_names: Vec::new(),
                here: 1,
            }),
            10 => Item::Came {
                connection: number,
                name,
            },
            _ => {
                out.extend_from_slice(bytes.take(number as usize % 8));
                continue;
            }
        };
        items::write(&item, &mut out);
    }
    out
}

/// Inputs in any order; what a hub does after each is done.
fn drive(data: &[u8]) {
    let mut bytes = Bytes(data);
    let settings = Settings {
        name: "n".to_owned(),
        lanes: LANES,
        lane_bytes_max: 256,
        history_entries: 1,
    };
    let mut link = Link::new(settings, FIRST);
    let mut submitted = Submitted::default();
    let mut sequences = BTreeMap::new();
    let mut now = 0;
    while !bytes.is_empty() {
        now += u64::from(bytes.byte()) * 50_000;
        let at = Now::from_micros(now);
        let kind = bytes.byte();
        if kind % 16 >= 12 {
            say(&mut link, at, kind / 16);
        }
        let own = link.figures().incarnation;
        let incarnation = match bytes.byte() % 8 {
            0 => own.wrapping_sub(1),
            1 | 2 => u64::from(bytes.byte()),
            _ => own,
        };
        let lane = lane(bytes.byte());
        let payload = payload(&mut bytes, own);
        let number = match bytes.byte() % 8 {
            0 => 0,
            1 => Batch::LAST,
            number => u64::from(number) - 1,
        };
        let first_numbers = [u64::from(bytes.byte() % 4), 7];
        let next = sequences.entry(lane).or_insert(0);
        let is_entry = kind % 16 > 5;
        *next += u64::from(is_entry && kind >= 8) + u64::from(is_entry && kind >= 240);
        let entry = Entry {
            lane,
            sequence: *next,
            incarnation,
            number,
            first_numbers: &first_numbers[..usize::from(kind / 16) % 3],
            payload: &payload,
        };
        let input = input(kind, entry);
        match &input {
            Input::Entry(entry) => submitted.read_back(entry),
            // What was submitted may be submitted again, or is known to be gone.
            Input::Disconnected | Input::CaughtUp | Input::Rewound(_) => submitted.release(),
            _ => {}
        }
        let applied = link.input(at, input);
        assert!(applied.is_none_or(|it| it.payload == payload));
        follow(&mut link);
        if link.deadline().is_some_and(|due| due <= at) {
            link.tick(at);
            follow(&mut link);
        }
        while let Some(op) = link.next_op(at) {
            submitted.take(&link, &op);
        }
        link.check();
    }
}

/// An input of a kind; what an entry has is in others as well.
fn input(kind: u8, entry: Entry<'_>) -> Input<'_> {
    let nth = usize::from(kind / 16);
    match kind % 16 {
        0 => Input::Connected,
        1 => Input::Disconnected,
        2 => Input::Attached {
            node: 1,
            others: vec![(2, entry.incarnation); nth % 2],
        },
        3 => Input::CaughtUp,
        4 if kind >= 128 => Input::Rewound(entry.lane),
        4 | 5 => Input::Appended {
            lane: entry.lane,
            incarnation: entry.incarnation,
            number: entry.number,
            outcome: [Outcome::Appended, Outcome::Repeated, Outcome::Fenced][nth % 3],
        },
        _ => Input::Entry(entry),
    }
}

fn say(link: &mut Link, at: Now, kind: u8) {
    let room = ["", "pond", "lake"][usize::from(kind) % 3];
    let lane = link.lane_of(room);
    let to = PersonId {
        node: 2,
        connection: 1,
    };
    match kind {
        15 => link.stop(at),
        _ if !link.has_space(lane) => {}
        0..6 => link.line(room, 1, |out| out.extend_from_slice(b"hello\n")),
        6..9 => link.private(room, 1, to, b"hello\n"),
        _ if link.has_space(Lane::DIRECTORY) => link.tell(&Item::Went { connection: 1 }),
        _ => {}
    }
}

/// Does what a hub does after each input.
fn follow(link: &mut Link) {
    drain(link);
    while link.next_replay().is_some() {
        drain(link);
    }
    let figures = link.figures();
    assert!(figures.nodes.len() <= NODES_MAX);
    // Each lane has what it may have, and what was added before that was noticed; the directory has what the node itself says.
    assert!(figures.bytes_gathered + figures.bytes_in_flight <= 16 * 1024);
}

fn drain(link: &mut Link) {
    while link.next_lost().is_some() {}
    while link.wakes().is_some() {}
    while let Some(event) = link.next_event() {
        match event {
            Event::NodeLost {
                incarnation,
                announce: true,
                ..
            } => {
                let announcement = Announcement {
                    joined: 0,
                    joined_names: Vec::new(),
                    left: 1,
                    left_names: vec![(1, "kim")],
                    here: 1,
                };
                link.close_batch(incarnation, [("pond", announcement)].into_iter());
            }
            Event::SnapshotWanted { incarnation } => link.snapshot(incarnation, [].into_iter()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Random changes of the committed inputs, which are steps that make sense.
    #[test]
    fn random_steps_pass() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/entry");
        let files = std::fs::read_dir(folder).expect("a folder");
        let mut paths: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
        paths.sort();
        let seeds: Vec<_> = paths
            .iter()
            .map(|it| std::fs::read(it).expect("an input"))
            .collect();
        let seed = std::env::var("MADANG_LINK_SEED")
            .ok()
            .and_then(|it| it.parse().ok());
        for seed in seed.map_or(1..=3000, |seed| seed..=seed) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut data = Vec::new();
            for _ in 0..rng.usize(1..6) {
                data.extend_from_slice(rng.choice(&seeds).expect("there are inputs"));
            }
            for _ in 0..rng.usize(..20) {
                let at = rng.usize(..data.len());
                data[at] = rng.u8(..);
            }
            // Printed only if the body fails.
            println!("MADANG_LINK_SEED={seed}");
            entry(&data);
        }
    }
}
