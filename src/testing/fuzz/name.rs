//! Names: what is accepted is normal and fits the rules, and no two that are in use at a time look alike.

use super::shown::assert_harmless;
use crate::hub::directory::Directory;
use crate::hub::input::text::Text;
use crate::hub::limits::NAME_CHARS_MAX;
use crate::hub::name::{Name, Skeletons, guest_number, nickname, room_name, room_skeleton};
use crate::protocol::Append;
use std::collections::BTreeMap;

/// What stands for the server or for somebody in particular: written down once more, not taken from the code.
const WORDS: [&str; 10] = [
    "server", "you", "here", "host", "madang", "system", "everyone", "all", "lines", "rooms",
];

/// How many names of an input are tried.
const NAMES_MAX: usize = 12;

/// How many bear names at a time.
const BEARERS: usize = 4;

/// A number, and names of which each is tried on the next bearer.
pub fn name(data: &[u8]) {
    let (number, names) = data.split_at(data.len().min(8));
    let number = number
        .iter()
        .fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
    guest_round_trip(number.max(1));
    let names = String::from_utf8_lossy(names);
    let words: Vec<String> = WORDS.into_iter().flat_map(forms).collect();
    let mut register = Register::new();
    for (at, raw) in names.split('\n').take(NAMES_MAX).enumerate() {
        if let Some(number) = guest_number(raw) {
            assert_eq!(raw, format!("guest{number}"));
            assert!(nickname(raw).is_err(), "nobody can take a guest's name");
        }
        if let Ok(room) = room_name(raw) {
            check_fit(&room);
            assert_eq!(room_name(&room).as_ref(), Ok(&room));
            assert_eq!(room_skeleton(&room), room_skeleton(&room.to_lowercase()));
        }
        if let Ok(name) = nickname(raw) {
            check_nickname(&name, &words);
            register.rename(at % BEARERS, &name);
        }
    }
    register.close();
}

fn guest_round_trip(number: u64) {
    let name = Name::Guest(number);
    let mut pushed = Vec::new();
    name.append_to(&mut pushed);
    assert_eq!(pushed, name.to_string().as_bytes());
    assert_eq!(guest_number(&name.to_string()), Some(number));
    assert!(nickname(&name.to_string()).is_err());
}

/// What holds of every name, a room's too: it can stand before a colon in a line and be told from what follows.
fn check_fit(name: &str) {
    assert!((1..=NAME_CHARS_MAX).contains(&name.chars().count()));
    assert!(name.starts_with(char::is_alphanumeric), "{name:?}");
    assert!(!name.contains([':', ' ', '*', '!', '/', ',', '(', '>']));
    assert!(!name.contains(char::is_whitespace) && !name.contains(char::is_control));
    assert_harmless(name.as_bytes());
    let mut shown = Vec::new();
    Text::of(name).append_to(&mut shown);
    assert_eq!(shown, name.as_bytes(), "it is shown as it is");
}

fn check_nickname(name: &str, words: &[String]) {
    check_fit(name);
    assert_eq!(nickname(name).as_deref(), Ok(name));
    assert!(name.contains(char::is_alphabetic), "{name:?}");
    assert_eq!(guest_number(name), None);
    for form in forms(name) {
        assert!(!words.contains(&form), "{name:?} looks like {form}");
    }
    if let Ok(lower) = nickname(&name.to_lowercase()) {
        assert!(alike(name, &lower), "{name:?} and {lower:?}");
    }
}

fn forms(name: &str) -> Vec<String> {
    Skeletons::of(name).iter().map(str::to_owned).collect()
}

fn alike(one: &str, other: &str) -> bool {
    let others = forms(other);
    forms(one).iter().any(|form| others.contains(form))
}

/// The names in use, kept twice: by the code, and as a list of who has what.
struct Register {
    directory: Directory,
    bearers: Vec<Name>,
    chosen: BTreeMap<usize, String>,
}

impl Register {
    fn new() -> Register {
        let mut directory = Directory::default();
        let bearers = (0..BEARERS as u32).map(|slot| directory.add_guest(slot));
        let bearers = bearers.collect();
        Register {
            directory,
            bearers,
            chosen: BTreeMap::new(),
        }
    }

    fn rename(&mut self, bearer: usize, name: &str) {
        let in_the_way: Vec<usize> = self
            .chosen
            .iter()
            .filter(|&(&other, chosen)| other != bearer && alike(chosen, name))
            .map(|(&other, _)| other)
            .collect();
        match self
            .directory
            .rename(bearer as u32, &self.bearers[bearer], name)
        {
            Err(other) => assert!(in_the_way.contains(&(other as usize)), "{name:?}"),
            Ok(new) => {
                assert!(in_the_way.is_empty(), "{name:?}");
                assert_eq!(new, Name::Chosen(name.into()));
                self.bearers[bearer] = new;
                self.chosen.insert(bearer, name.to_owned());
            }
        }
        self.check();
    }

    /// Everybody is found by its name, and each form is one bearer's.
    fn check(&self) {
        let mut taken = Vec::new();
        for (slot, name) in self.bearers.iter().enumerate() {
            assert_eq!(self.directory.find(&name.to_string()), Some(slot as u32));
            match name {
                Name::Guest(_) => taken.push(name.to_string()),
                Name::Chosen(_) | Name::Host => taken.extend(forms(&name.to_string())),
            }
        }
        let count = taken.len();
        assert_eq!(self.directory.names(), count);
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), count, "a form is shared: {taken:?}");
    }

    fn close(mut self) {
        for name in &self.bearers {
            self.directory.release(name);
        }
        assert_eq!(self.directory.names(), 0);
    }
}
