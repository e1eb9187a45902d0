//! What a naive person expects the peers to hear. Two rooms, that of chat and that of raw connections, in each of
//! which a witness that reads at once tells in which order lines were said. Knows no hub.

use super::shown::assert_harmless;
use crate::hub::Wire;
use crate::hub::name;
use std::collections::BTreeMap;

/// How much is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schooling {
    /// Every line, for everybody: nobody changes its name or its room, nothing is announced, there is no history.
    Exact,
    /// That every line is harmless and says who said it: peers send what they like.
    Harmless,
}

/// A line that was said: (speaker, index among its lines).
type Said = (usize, usize);

#[derive(Debug)]
struct Listener {
    wire: Wire,
    name: String,
    /// What it sends that is to be said, as it is to be shown.
    lines: Vec<String>,
    /// How many of these were said.
    said: usize,
    /// How much of what was said in its room it was given or told that it lost.
    at: usize,
    /// The start of a line that it was given.
    partial: Vec<u8>,
    /// What was said before this is to be given to it before it is closed.
    promised: usize,
    /// Lines that it was told it lost.
    skipped: u64,
}

#[derive(Debug)]
pub struct Model {
    schooling: Schooling,
    listeners: Vec<Listener>,
    rooms: BTreeMap<bool, Vec<Said>>,
}

impl Model {
    pub fn new(schooling: Schooling) -> Model {
        Model {
            schooling,
            listeners: Vec::new(),
            rooms: BTreeMap::from([(false, Vec::new()), (true, Vec::new())]),
        }
    }

    /// The first that arrives for a wire is its witness.
    pub fn arrive(&mut self, wire: Wire, name: String) {
        let at = self.rooms[&(wire == Wire::Raw)].len();
        self.listeners.push(Listener {
            wire,
            name,
            lines: Vec::new(),
            said: 0,
            at,
            partial: Vec::new(),
            promised: 0,
            skipped: 0,
        });
    }

    pub fn is_exact(&self) -> bool {
        self.schooling == Schooling::Exact
    }

    pub fn is_raw(&self, number: usize) -> bool {
        self.listeners[number].wire == Wire::Raw
    }

    /// The next line that a peer sends: what to send, without the terminator.
    pub fn compose(&mut self, number: usize, filler: &str, shown: &str) -> String {
        let lines = &mut self.listeners[number].lines;
        let tag = format!("L{number}.{}.", lines.len());
        lines.push(format!("{tag}{shown}"));
        format!("{tag}{filler}")
    }

    /// A peer is given these bytes.
    pub fn hear(&mut self, number: usize, bytes: &[u8]) {
        let mut partial = std::mem::take(&mut self.listeners[number].partial);
        partial.extend_from_slice(bytes);
        let mut rest = &partial[..];
        loop {
            // Answers to telnet's negotiations come between lines.
            if let [255, verb, _, after @ ..] = rest {
                assert!(matches!(verb, 252 | 254) && !self.is_raw(number));
                rest = after;
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', rest) else {
                break;
            };
            self.line(number, &rest[..end]);
            rest = &rest[end + 1..];
        }
        self.listeners[number].partial = rest.to_vec();
    }

    fn line(&mut self, number: usize, line: &[u8]) {
        let line = str::from_utf8(line).expect("what is given is UTF-8");
        let raw = self.is_raw(number);
        let own_word = !raw && is_own_word(line);
        let private = !raw && line.contains(" -> you: ");
        // What is the very line that its witness was given need not be looked at again.
        if own_word || private || !self.is_exact() || number == usize::from(raw) {
            assert_harmless(line.as_bytes());
        }
        if own_word {
            if let Some(count) = skipped(line) {
                self.skip(number, count);
            }
            return;
        }
        let (speaker, text) = match line.split_once(": ") {
            Some((speaker, text)) if !raw => (Some(speaker), text),
            _ => (None, line),
        };
        assert_eq!(speaker.is_none(), raw, "{line:?} does not say who said it");
        if let Some(speaker) = speaker {
            assert_is_name(speaker.strip_suffix(" -> you").unwrap_or(speaker));
        }
        if self.is_exact() && !speaker.is_some_and(|it| it.ends_with(" -> you")) {
            self.said(number, speaker, text);
        }
    }

    /// A line of the room's: whose it is and which, it says itself.
    fn said(&mut self, number: usize, speaker: Option<&str>, text: &str) {
        let mut tag = text.strip_prefix('L').unwrap_or("").split('.');
        let mut part = || tag.next().and_then(|part| part.parse::<usize>().ok());
        let (Some(who), Some(which)) = (part(), part()) else {
            panic!("nobody said {text:?}");
        };
        assert_eq!(self.listeners[who].lines[which], text);
        let raw = self.is_raw(number);
        assert_eq!(self.is_raw(who), raw);
        assert!(speaker.is_none_or(|speaker| speaker == self.listeners[who].name));
        let is_witness = number == usize::from(raw);
        if is_witness {
            assert_eq!(self.listeners[who].said, which, "once each, in order");
            self.listeners[who].said += 1;
            self.rooms.entry(raw).or_default().push((who, which));
        }
        assert_eq!(self.next_of_others(number), Some((who, which)));
    }

    fn skip(&mut self, number: usize, count: u64) {
        self.listeners[number].skipped += count;
        if self.is_exact() {
            assert!(number > 0, "the witness reads at once");
            for _ in 0..count {
                let lost = self.next_of_others(number);
                assert!(lost.is_some(), "told of more than was said");
            }
        }
    }

    /// The next line that a peer has not heard and did not say itself: it counts as heard from now on.
    fn next_of_others(&mut self, number: usize) -> Option<Said> {
        let room = &self.rooms[&self.is_raw(number)];
        let listener = &mut self.listeners[number];
        while let Some(&said) = room.get(listener.at) {
            listener.at += 1;
            if said.0 != number {
                return Some(said);
            }
        }
        None
    }

    /// All that has been said by now is to be given to this peer before it is closed.
    pub fn promise(&mut self, number: usize) {
        self.listeners[number].promised = self.rooms[&self.is_raw(number)].len();
    }

    /// It is closed, and not because it took too long: it has been given what it was promised.
    pub fn assert_kept(&self, number: usize) {
        self.assert_heard(number, self.listeners[number].promised);
    }

    pub fn assert_heard_all(&self, number: usize) {
        assert_eq!(self.listeners[number].partial, b"");
        self.assert_heard(number, usize::MAX);
    }

    fn assert_heard(&self, number: usize, end: usize) {
        let room = &self.rooms[&self.is_raw(number)];
        let missed = room.iter().take(end).skip(self.listeners[number].at);
        let missed: Vec<&Said> = missed.filter(|said| said.0 != number).collect();
        assert_eq!(missed, [&(0, 0); 0], "neither given nor told of");
    }

    pub fn assert_said_all(&self, number: usize) {
        if self.is_exact() {
            let listener = &self.listeners[number];
            assert_eq!(listener.said, listener.lines.len(), "{}", listener.name);
        }
    }

    /// What the hub counts agrees with what was heard.
    pub fn assert_totals(&self, lines: u64, skipped: u64) {
        let told: u64 = self.listeners.iter().map(|listener| listener.skipped).sum();
        assert!(told <= skipped);
        if self.is_exact() {
            let said: usize = self.rooms.values().map(Vec::len).sum();
            assert_eq!(said as u64, lines);
        }
    }
}

/// Whether a line to a chat client is the server's own, or confirms one of the client's own.
fn is_own_word(line: &str) -> bool {
    let own = line.starts_with("* ") || line.starts_with("! ");
    own || line.strip_prefix("you -> ").is_some_and(|rest| {
        let name = rest.split_once(": ").map_or(rest, |(name, _)| name);
        assert_is_name(name);
        true
    })
}

fn assert_is_name(name: &str) {
    let known = name::guest_number(name).is_some()
        || name::nickname(name).as_deref() == Ok(name)
        || name == "host";
    assert!(known, "{name:?} is no name");
}

fn skipped(line: &str) -> Option<u64> {
    let count = line.strip_prefix("* ")?;
    let count = count.strip_suffix(" lines skipped: you are reading too slowly")?;
    count.replace(',', "").parse().ok()
}
