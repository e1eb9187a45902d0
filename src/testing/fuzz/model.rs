//! The reference model of the fuzz target `hub`: which lines each peer must receive. It has two rooms, of chat clients
//! and of raw connections. A recorder in each room reads at once, and so records the order of the room's lines. Knows
//! no hub.

use super::shown::assert_harmless;
use crate::hub::Wire;
use crate::hub::name;
use std::collections::BTreeMap;

/// How much the model checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// That each peer receives every line. No peer changes its name or its room, and there are no announcements and no
    /// history.
    Exact,
    /// That every line is harmless and begins with its author's name. Peers send arbitrary commands.
    Harmless,
}

/// A line that was said: its author, and its index among the author's lines.
type Said = (usize, usize);

#[derive(Debug)]
struct PeerModel {
    wire: Wire,
    name: String,
    /// All lines that the peer has sent for its room, as rendered.
    lines: Vec<String>,
    /// How many of `lines` have been said.
    said: usize,
    /// Index in the room: the peer has received all lines before it, or a notice that they were skipped.
    at: usize,
    /// The unfinished line that the peer has received last.
    partial: Vec<u8>,
    /// The peer has sent a telnet negotiation; the hub knows it once a line to the peer has ended with CR LF.
    telnet: bool,
    receives_crlf: bool,
    /// Index in the room: the server must not close the peer before the peer has received all lines before it.
    required: usize,
    /// Lines that the peer has lost, by the notices that it has received.
    skipped: u64,
}

#[derive(Debug)]
pub struct Model {
    expectation: Expectation,
    peers: Vec<PeerModel>,
    /// The lines said in the room of raw connections (`true`) and in that of chat clients.
    rooms: BTreeMap<bool, Vec<Said>>,
}

impl Model {
    pub fn new(expectation: Expectation) -> Model {
        Model {
            expectation,
            peers: Vec::new(),
            rooms: BTreeMap::from([(false, Vec::new()), (true, Vec::new())]),
        }
    }

    /// Adds a peer. With [`Expectation::Exact`] the first of each wire is a recorder: peer 0 for chat, peer 1 for raw.
    pub fn add(&mut self, wire: Wire, name: String) {
        let at = self.rooms[&(wire == Wire::Raw)].len();
        self.peers.push(PeerModel {
            wire,
            name,
            lines: Vec::new(),
            said: 0,
            at,
            partial: Vec::new(),
            telnet: false,
            receives_crlf: false,
            required: 0,
            skipped: 0,
        });
    }

    pub fn is_exact(&self) -> bool {
        self.expectation == Expectation::Exact
    }

    pub fn is_raw(&self, number: usize) -> bool {
        self.peers[number].wire == Wire::Raw
    }

    pub fn is_operator(&self, number: usize) -> bool {
        self.peers[number].wire == Wire::Control
    }

    /// The next line that a peer sends, without its terminator. `shown` is `filler` as rendered.
    pub fn compose(&mut self, number: usize, filler: &str, shown: &str) -> String {
        let lines = &mut self.peers[number].lines;
        let tag = format!("L{number}.{}.", lines.len());
        lines.push(format!("{tag}{shown}"));
        format!("{tag}{filler}")
    }

    /// A peer receives these bytes.
    pub fn receive(&mut self, number: usize, bytes: &[u8]) {
        let mut partial = std::mem::take(&mut self.peers[number].partial);
        partial.extend_from_slice(bytes);
        let mut rest = &partial[..];
        loop {
            // Answers to telnet negotiations come between lines.
            if let [255, verb, option, after @ ..] = rest {
                let is_answer = matches!((verb, option), (252 | 254, _) | (251, 6));
                assert!(is_answer && self.peers[number].telnet);
                rest = after;
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', rest) else {
                break;
            };
            let line = &rest[..end];
            rest = &rest[end + 1..];
            let line = self.without_cr(number, line);
            self.receive_line(number, line);
        }
        self.peers[number].partial = rest.to_vec();
    }

    /// The peer has sent a telnet negotiation, which the hub may not have handled.
    pub fn negotiate(&mut self, number: usize) {
        self.peers[number].telnet = !self.is_raw(number);
    }

    /// A line without its CR, which a telnet client must receive with each line once it has received one.
    fn without_cr<'l>(&mut self, number: usize, line: &'l [u8]) -> &'l [u8] {
        let peer = &mut self.peers[number];
        let Some(text) = line.strip_suffix(b"\r").filter(|_| peer.telnet) else {
            assert!(!peer.receives_crlf, "a line ends with LF alone");
            return line;
        };
        peer.receives_crlf = true;
        text
    }

    fn receive_line(&mut self, number: usize, line: &[u8]) {
        let line = str::from_utf8(line).expect("lines are UTF-8");
        if self.is_operator(number) {
            // It is in no room.
            let is_private = line.contains(" -> you: ") || line.starts_with("you -> ");
            assert!(is_private || line.starts_with(['*', '!']), "{line}");
            return;
        }
        let raw = self.is_raw(number);
        let server_line = !raw && is_server_line(line);
        let private = !raw && line.contains(" -> you: ");
        // Lines equal to a recorder's are not checked again.
        if server_line || private || !self.is_exact() || number == usize::from(raw) {
            assert_harmless(line.as_bytes());
        }
        if server_line {
            if let Some(count) = skipped(line) {
                self.receive_skipped(number, count);
            }
            return;
        }
        let (speaker, text) = match line.split_once(": ") {
            Some((speaker, text)) if !raw => (Some(speaker), text),
            _ => (None, line),
        };
        assert_eq!(speaker.is_none(), raw, "{line:?} has no author");
        if let Some(speaker) = speaker {
            assert_is_name(speaker.strip_suffix(" -> you").unwrap_or(speaker));
        }
        if self.is_exact() && !speaker.is_some_and(|it| it.ends_with(" -> you")) {
            self.receive_said(number, speaker, text);
        }
    }

    /// A line of the room. Its text contains its author's number and its index.
    fn receive_said(&mut self, number: usize, speaker: Option<&str>, text: &str) {
        let mut tag = text.strip_prefix('L').unwrap_or("").split('.');
        let mut part = || tag.next().and_then(|part| part.parse::<usize>().ok());
        let (Some(author), Some(index)) = (part(), part()) else {
            panic!("no peer said {text:?}");
        };
        assert_eq!(self.peers[author].lines[index], text);
        let raw = self.is_raw(number);
        assert_eq!(self.is_raw(author), raw);
        assert!(speaker.is_none_or(|speaker| speaker == self.peers[author].name));
        let is_recorder = number == usize::from(raw);
        if is_recorder {
            assert_eq!(self.peers[author].said, index, "once each, in order");
            self.peers[author].said += 1;
            self.rooms.entry(raw).or_default().push((author, index));
        }
        assert_eq!(self.next_of_others(number), Some((author, index)));
    }

    fn receive_skipped(&mut self, number: usize, count: u64) {
        self.peers[number].skipped += count;
        if self.is_exact() {
            assert!(number > 0, "a recorder loses nothing");
            for _ in 0..count {
                let lost = self.next_of_others(number);
                assert!(lost.is_some(), "more lines were skipped than were said");
            }
        }
    }

    /// Takes the next line of others that a peer has neither received nor lost.
    fn next_of_others(&mut self, number: usize) -> Option<Said> {
        let room = &self.rooms[&self.is_raw(number)];
        let peer = &mut self.peers[number];
        while let Some(&said) = room.get(peer.at) {
            peer.at += 1;
            if said.0 != number {
                return Some(said);
            }
        }
        None
    }

    /// From now on this peer must receive all lines said so far before it is closed.
    pub fn require_delivery(&mut self, number: usize) {
        self.peers[number].required = self.rooms[&self.is_raw(number)].len();
    }

    /// Asserts that a peer which is closed after its last read has received what it [must](Model::require_delivery).
    pub fn assert_required_received(&self, number: usize) {
        self.assert_received(number, self.peers[number].required);
    }

    pub fn assert_all_received(&self, number: usize) {
        assert_eq!(self.peers[number].partial, b"");
        self.assert_received(number, usize::MAX);
    }

    fn assert_received(&self, number: usize, end: usize) {
        if self.is_operator(number) {
            return;
        }
        let room = &self.rooms[&self.is_raw(number)];
        let missed = room.iter().take(end).skip(self.peers[number].at);
        let missed: Vec<&Said> = missed.filter(|said| said.0 != number).collect();
        assert_eq!(missed, [&(0, 0); 0], "lost without a notice");
    }

    pub fn assert_said_all(&self, number: usize) {
        if self.is_exact() {
            let peer = &self.peers[number];
            assert_eq!(peer.said, peer.lines.len(), "{}", peer.name);
        }
    }

    /// Asserts that the hub's counters agree with what peers have received.
    pub fn assert_totals(&self, lines: u64, skipped: u64) {
        let reported: u64 = self.peers.iter().map(|peer| peer.skipped).sum();
        assert!(reported <= skipped);
        if self.is_exact() {
            let said: usize = self.rooms.values().map(Vec::len).sum();
            assert_eq!(said as u64, lines);
        }
    }
}

/// Whether a line to a chat client is a notice, a refusal, or the confirmation of a private line.
fn is_server_line(line: &str) -> bool {
    let own = ["* ", "** ", "! "]
        .iter()
        .any(|mark| line.starts_with(mark));
    own || line.strip_prefix("you -> ").is_some_and(|rest| {
        let name = rest.split_once(": ").map_or(rest, |(name, _)| name);
        assert_is_name(name);
        true
    })
}

fn assert_is_name(name: &str) {
    let known = name::guest_number(name).is_some()
        || name::nickname(name).is_ok_and(|nickname| *nickname.name == *name)
        || name == "host";
    assert!(known, "{name:?} is not a name");
}

fn skipped(line: &str) -> Option<u64> {
    let count = line.strip_prefix("* ")?;
    let count = count.strip_suffix(" lines skipped: you are reading too slowly")?;
    count.replace(',', "").parse().ok()
}
