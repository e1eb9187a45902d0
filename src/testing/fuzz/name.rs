//! The body of the fuzz target `name`: every accepted name is normalized and obeys the rules, and no two names in use
//! look alike.

use super::shown::assert_harmless;
use crate::hub::directory::Directory;
use crate::hub::input::text::Text;
use crate::hub::limits::NAME_CHARS_MAX;
use crate::hub::name::{Name, Nickname, Skeletons, guest_number, nickname, room_name};
use crate::protocol::Append;
use std::collections::{BTreeMap, BTreeSet};

/// Reserved names. A second copy, independent of the code under test.
const RESERVED: [&str; 10] = [
    "server", "you", "here", "host", "madang", "system", "everyone", "all", "lines", "rooms",
];

/// How many names of an input are used.
const NAMES_MAX: usize = 12;

/// How many clients have a name at a time.
const SLOTS: usize = 4;

/// Input: a guest's number, and names, one a line. The clients take turns to choose the names.
pub fn name(data: &[u8]) {
    let (number, names) = data.split_at(data.len().min(8));
    let number = number
        .iter()
        .fold(0, |n: u64, &byte| n << 8 | u64::from(byte));
    guest_round_trip(number.max(1));
    let names = String::from_utf8_lossy(names);
    let reserved: Vec<String> = RESERVED.into_iter().flat_map(skeletons).collect();
    let mut registry = Registry::new();
    for (at, raw) in names.split('\n').take(NAMES_MAX).enumerate() {
        if let Some(number) = guest_number(raw) {
            assert_eq!(raw, format!("guest{number}"));
            assert!(nickname(raw).is_err(), "a client chose a guest's name");
        }
        if let Ok(room) = room_name(raw) {
            check_fit(&room.name);
            assert_eq!(room_name(&room.name).as_ref(), Ok(&room));
            if let Ok(lower) = room_name(&room.name.to_lowercase()) {
                assert_eq!(lower.skeleton, room.skeleton);
            }
        }
        if let Ok(nickname) = nickname(raw) {
            check_nickname(&nickname, &reserved);
            registry.rename(at % SLOTS, nickname);
        }
    }
    registry.close();
}

fn guest_round_trip(number: u64) {
    let name = Name::Guest(number);
    let mut pushed = Vec::new();
    name.append_to(&mut pushed);
    assert_eq!(pushed, name.to_string().as_bytes());
    assert_eq!(guest_number(&name.to_string()), Some(number));
    assert!(nickname(&name.to_string()).is_err());
}

/// Holds for every name, also a room's: a reader of a line can find the end of the name.
fn check_fit(name: &str) {
    assert!((1..=NAME_CHARS_MAX).contains(&name.chars().count()));
    assert!(name.starts_with(char::is_alphanumeric), "{name:?}");
    assert!(!name.contains([':', ' ', '*', '!', '/', ',', '(', '>']));
    assert!(!name.contains(char::is_whitespace) && !name.contains(char::is_control));
    assert_harmless(name.as_bytes());
    let mut shown = Vec::new();
    Text::of(name).append_to(&mut shown);
    assert_eq!(shown, name.as_bytes(), "a name is rendered unchanged");
}

fn check_nickname(chosen: &Nickname, reserved: &[String]) {
    let name = &*chosen.name;
    check_fit(name);
    assert_eq!(nickname(name).as_ref(), Ok(chosen));
    assert!(name.contains(char::is_alphabetic), "{name:?}");
    assert_eq!(guest_number(name), None);
    for skeleton in skeletons(name) {
        assert!(!reserved.contains(&skeleton), "{name:?}: {skeleton}");
    }
    if let Ok(lower) = nickname(&name.to_lowercase()) {
        assert!(alike(name, &lower.name), "{name:?} and {lower:?}");
    }
}

fn skeletons(name: &str) -> Vec<String> {
    Skeletons::of(name).iter().map(str::to_owned).collect()
}

fn alike(one: &str, other: &str) -> bool {
    let others = skeletons(other);
    let ones = skeletons(one);
    ones.iter().any(|skeleton| others.contains(skeleton))
}

/// The names in use: in the directory under test, and in plain lists.
struct Registry {
    directory: Directory,
    names: Vec<Name>,
    chosen: BTreeMap<usize, String>,
}

impl Registry {
    fn new() -> Registry {
        let mut directory = Directory::default();
        let names = (0..SLOTS as u32).map(|slot| directory.add_guest(slot));
        Registry {
            names: names.collect(),
            directory,
            chosen: BTreeMap::new(),
        }
    }

    fn rename(&mut self, slot: usize, nickname: Nickname) {
        let name = &*nickname.name.clone();
        let is_conflict = |other: &usize| *other != slot && alike(&self.chosen[other], name);
        let conflicts = self.chosen.keys().copied().filter(is_conflict);
        let conflicts: Vec<usize> = conflicts.collect();
        let old = &self.names[slot];
        match self.directory.rename(slot as u32, old, nickname) {
            Err(other) => assert!(conflicts.contains(&(other as usize)), "{name:?}"),
            Ok(new) => {
                assert!(conflicts.is_empty(), "{name:?}");
                assert_eq!(new, Name::Chosen(Box::new(name.into())));
                self.names[slot] = new;
                self.chosen.insert(slot, name.to_owned());
            }
        }
        self.check();
    }

    /// The directory finds each client by its name, and no two clients share a skeleton.
    fn check(&self) {
        let mut in_use = Vec::new();
        for (slot, name) in self.names.iter().enumerate() {
            assert_eq!(self.directory.find(&name.to_string()), Some(slot as u32));
            match name {
                Name::Guest(_) => in_use.push(name.to_string()),
                Name::Chosen(_) | Name::Host => in_use.extend(skeletons(&name.to_string())),
            }
        }
        assert_eq!(self.directory.names(), in_use.len());
        let distinct: BTreeSet<&String> = in_use.iter().collect();
        assert_eq!(distinct.len(), in_use.len(), "shared: {in_use:?}");
    }

    fn close(mut self) {
        for (slot, name) in self.names.iter().enumerate() {
            self.directory.release(slot as u32, name);
        }
        assert_eq!(self.directory.names(), 0);
    }
}
