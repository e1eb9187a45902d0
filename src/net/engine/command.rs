//! Commands as they are written to the engine: those of a lane are scripts, which stand beside this file. Decides nothing.

use super::entries::Id;
use super::keys::LaneKeys;
use super::resp::{write_command, write_number, write_part};
use crate::address::engine::Login;
use crate::hub::link::contract::Batch;

/// Entries of one lane that one XREAD brings at most.
pub const ENTRIES_A_READ: usize = 64;
/// Milliseconds for which a read waits at most: after that the engine is asked whether it is still the right one.
pub const BLOCK_MS: u64 = 1_000;

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Opens an incarnation.
    Open,
    /// Appends a batch.
    Append,
    /// Closes an incarnation.
    Close,
    /// Where a lane ends.
    Ends,
}

impl Script {
    /// All of them, in the order of [`Scripts`].
    pub const ALL: [Script; 4] = [Script::Open, Script::Append, Script::Close, Script::Ends];

    /// Its text.
    pub fn text(self) -> &'static str {
        match self {
            Script::Open => include_str!("open.lua"),
            Script::Append => include_str!("append.lua"),
            Script::Close => include_str!("close.lua"),
            Script::Ends => include_str!("ends.lua"),
        }
    }
}

/// The digests by which an engine knows the scripts, once it has said them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts([Option<String>; 4]);

impl Scripts {
    /// Notes a digest.
    pub fn set(&mut self, script: Script, digest: &str) {
        self.0[script as usize] = Some(digest.to_owned());
    }

    /// Begins the call of a script, by its text if `by_text` or its digest is not known.
    fn write_call(&self, out: &mut Vec<u8>, script: Script, by_text: bool, arguments: usize) {
        write_command(out, 2 + arguments);
        match self.0[script as usize].as_ref().filter(|_| !by_text) {
            Some(digest) => {
                write_part(out, b"EVALSHA");
                write_part(out, digest.as_bytes());
            }
            None => {
                write_part(out, b"EVAL");
                write_part(out, script.text().as_bytes());
            }
        }
    }

    /// Writes a call of [`Script::Open`].
    pub fn write_open(
        &self,
        out: &mut Vec<u8>,
        by_text: bool,
        keys: &LaneKeys,
        opening: &Opening<'_>,
    ) {
        let more = if opening.first_batch.is_some() { 2 } else { 0 };
        self.write_call(out, Script::Open, by_text, 1 + 6 + 7 + more);
        write_keys(out, &keys.six());
        write_part(out, keys.lane.to_string().as_bytes());
        write_part(out, opening.world.as_bytes());
        write_number(out, u64::from(opening.lanes));
        write_number(out, u64::from(opening.format));
        write_incarnation(out, opening.incarnation);
        write_number(out, u64::from(opening.history_entries));
        write_number(out, u64::from(opening.entries_max));
        if let Some((name, payload)) = opening.first_batch {
            write_part(out, name.as_bytes());
            write_part(out, payload);
        }
    }

    /// Writes a call of [`Script::Append`].
    pub fn write_append(
        &self,
        out: &mut Vec<u8>,
        by_text: bool,
        keys: &LaneKeys,
        world: &str,
        entries_max: u32,
        batch: &Batch,
    ) {
        let arguments = 1 + 4 + 5 + 2 * batch.rooms.len();
        self.write_call(out, Script::Append, by_text, arguments);
        write_keys(out, &keys.six()[..4]);
        write_part(out, world.as_bytes());
        write_incarnation(out, batch.incarnation);
        write_number(out, batch.number);
        write_number(out, u64::from(entries_max));
        write_batch(out, batch);
    }

    /// Writes a call of [`Script::Close`].
    pub fn write_close(
        &self,
        out: &mut Vec<u8>,
        by_text: bool,
        keys: &LaneKeys,
        entries_max: u32,
        batch: &Batch,
    ) {
        let arguments = 1 + 6 + 3 + 2 * batch.rooms.len();
        self.write_call(out, Script::Close, by_text, arguments);
        write_keys(out, &keys.six());
        write_incarnation(out, batch.incarnation);
        write_number(out, u64::from(entries_max));
        write_batch(out, batch);
    }

    /// Writes a call of [`Script::Ends`].
    pub fn write_ends(&self, out: &mut Vec<u8>, by_text: bool, keys: &LaneKeys) {
        self.write_call(out, Script::Ends, by_text, 1 + 2);
        write_keys(out, &keys.six()[..2]);
    }
}

/// What [`Script::Open`] is told.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// The world that is opened, if the lane is in none.
    pub world: &'a str,
    /// Lanes for rooms.
    pub lanes: u8,
    /// The format of payloads.
    pub format: u32,
    pub incarnation: u64,
    /// Entries from before that are wanted.
    pub history_entries: u32,
    /// Entries that the lane keeps, about.
    pub entries_max: u32,
    /// In the directory: the node's name, and the first batch.
    pub first_batch: Option<(&'a str, &'a [u8])>,
}

/// An incarnation as it stands in the engine.
fn write_incarnation(out: &mut Vec<u8>, incarnation: u64) {
    write_part(out, format!("{incarnation:016x}").as_bytes());
}

fn write_keys(out: &mut Vec<u8>, keys: &[&str]) {
    write_number(out, keys.len() as u64);
    for key in keys {
        write_part(out, key.as_bytes());
    }
}

/// Writes a batch's payload and rooms.
fn write_batch(out: &mut Vec<u8>, batch: &Batch) {
    write_part(out, &batch.payload);
    for (room, lines) in &batch.rooms {
        write_part(out, room.as_bytes());
        write_number(out, u64::from(*lines));
    }
}

/// Writes a command of words.
pub fn write_words(out: &mut Vec<u8>, words: &[&str]) {
    write_command(out, words.len());
    for word in words {
        write_part(out, word.as_bytes());
    }
}

/// Writes the command that logs in.
pub fn write_login(out: &mut Vec<u8>, login: &Login) {
    match &login.user {
        Some(user) => write_words(out, &["AUTH", user, login.password()]),
        None => write_words(out, &["AUTH", login.password()]),
    }
}

/// Writes a read of these lanes, each after an id, that waits for an entry.
pub fn write_read<'a>(out: &mut Vec<u8>, lanes: impl Iterator<Item = (&'a LaneKeys, Id)> + Clone) {
    write_command(out, 6 + 2 * lanes.clone().count());
    for word in [&b"XREAD"[..], b"COUNT"] {
        write_part(out, word);
    }
    write_number(out, ENTRIES_A_READ as u64);
    write_part(out, b"BLOCK");
    write_number(out, BLOCK_MS);
    write_part(out, b"STREAMS");
    for (keys, _) in lanes.clone() {
        write_part(out, keys.log.as_bytes());
    }
    for (_, id) in lanes {
        write_part(out, id.to_string().as_bytes());
    }
}
