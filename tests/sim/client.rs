//! A simulated client: when it sends and reads, how unevenly, and how it ends. Checks nothing.

use super::behavior::Behavior;
use super::network::Network;
use super::pipe::Shared;
use super::veil::{HEADER_BYTES, RECORD_BYTES};
use fastrand::Rng;
use madang::hub::Wire;
use std::collections::{BTreeSet, VecDeque};

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is still connected.
    None,
    /// It has finished sending and continues to read.
    Fin,
    /// The same, but under a veil, and without a last word.
    Cut,
    /// It has reset the connection; anything may be lost.
    Reset,
}

/// One client.
pub struct Client {
    pub number: usize,
    pub pipe: Shared,
    pub end: End,
    /// All bytes that it has read.
    pub received: Vec<u8>,
    /// Lines that the server must accept: the number of its stay (0 in the first room), and the text.
    pub said: Vec<(usize, String)>,
    /// How many times it has sent `/join`.
    pub stays: usize,
    pub room: usize,
    pub behavior: Behavior,
    stalled: bool,
    /// Bytes that it is about to send.
    pub pending: VecDeque<u8>,
    /// The last byte sent does not end a line.
    mid_line: bool,
    pub lines: usize,
    pub names: usize,
    /// The names for which it has asked, whether it had them or not.
    pub asked_names: BTreeSet<String>,
    steps: usize,
    /// When it last sent something, and the longest silence before that, in [service](Network::service_micros)
    /// microseconds.
    sent_at: u64,
    longest_silence_us: u64,
}

/// Bytes that the kernel would take from a client before the server reads them.
const INBOUND_MAX: usize = 65_536;

/// More than the headers of the records into which so many bytes go, and of one record more.
const RECORDS_BYTES: usize = (INBOUND_MAX / RECORD_BYTES + 2) * HEADER_BYTES;

/// More than a greeting's first words, up to the name.
const GREETING_BYTES_MAX: usize = 100;

impl Client {
    pub fn new(number: usize, pipe: Shared, behavior: Behavior) -> Client {
        Client {
            number,
            pipe,
            end: End::None,
            received: Vec::new(),
            said: Vec::new(),
            stays: 0,
            room: 0,
            behavior,
            stalled: false,
            pending: VecDeque::new(),
            mid_line: false,
            lines: 0,
            names: 0,
            asked_names: BTreeSet::new(),
            steps: 0,
            sent_at: 0,
            longest_silence_us: 0,
        }
    }

    /// It has just connected.
    pub fn connected(mut self, network: &Network) -> Client {
        self.sent_at = network.service_micros();
        self
    }

    /// The longest time for which it has sent nothing, until now.
    pub fn longest_silence_us(&self, network: &Network) -> u64 {
        let silence_us = network.service_micros() - self.sent_at;
        self.longest_silence_us.max(silence_us)
    }

    /// The name that it was given when it connected, if that has been sent to it: it may not have read it.
    pub fn given_name(&self) -> Option<String> {
        let mut sent = self.received.clone();
        sent.extend(self.pipe.borrow().unread_text());
        sent.truncate(GREETING_BYTES_MAX);
        let sent = String::from_utf8_lossy(&sent);
        let (name, _) = sent.strip_prefix("* you are ")?.split_once(" in ")?;
        Some(name.into())
    }

    fn is_veiled(&self) -> bool {
        self.pipe.borrow().veil.is_some()
    }

    pub fn is_raw(&self) -> bool {
        self.pipe.borrow().wire == Wire::Raw
    }

    /// Sends an empty line if nothing is pending, so that the client is not idle.
    pub fn keep_alive(&mut self) {
        if self.pending.is_empty() {
            self.enqueue("");
        }
    }

    /// Adds a line to what is pending.
    pub fn enqueue(&mut self, line: &str) {
        self.pending.extend(line.bytes());
        self.pending.push_back(b'\n');
    }

    /// One step: composes, sends, reads or ends, as its behaviour decides.
    pub fn act(&mut self, network: &mut Network, rng: &mut Rng, rooms: usize, peers: usize) {
        let behavior = self.behavior;
        let mut chance = |percent: u8| rng.u8(0..100) < percent;
        let (says, sends, reads, stalls) = (
            chance(behavior.says),
            chance(behavior.sends),
            chance(behavior.reads),
            chance(behavior.stalls),
        );
        let ends = chance(behavior.ends) && chance(10);
        self.steps += 1;
        if says && self.pending.len() < INBOUND_MAX && self.end == End::None {
            for _ in 0..rng.usize(1..=behavior.lines) {
                self.compose(rng, rooms, peers);
            }
        }
        if sends {
            self.send(network, rng.usize(1..=behavior.send));
        }
        if self.is_veiled() && self.end == End::None && rng.u8(0..16) == 0 {
            network.ask_update(&self.pipe);
        }
        if stalls {
            self.stalled = !self.stalled;
        }
        if self.pipe.borrow().shakes_hands() {
            self.read(network, usize::MAX);
        } else if let Some(turns) = behavior.turns {
            if self.steps / turns.steps % turns.parts == self.number % turns.parts {
                self.read(network, usize::MAX);
            }
        } else if reads && !self.stalled {
            self.read(network, rng.usize(1..=behavior.read));
        }
        if ends && self.end == End::None {
            // A part of a raw line would not contain its author.
            if rng.bool() && !(self.mid_line && self.is_raw()) {
                self.finish(network, rng);
            } else {
                self.reset(network);
            }
        }
    }

    /// Sends all pending bytes, as far as the kernel takes them, and reads all that has arrived.
    pub fn send_and_read_all(&mut self, network: &mut Network) {
        self.send_all(network);
        self.read(network, usize::MAX);
    }

    /// Sends all pending bytes, as far as the kernel takes them.
    pub fn send_all(&mut self, network: &mut Network) {
        self.send(network, usize::MAX);
    }

    pub fn has_pending(&self) -> bool {
        self.end == End::None && !self.pending.is_empty() && !self.pipe.borrow().server_closed
    }

    /// Finishes sending. Under a veil that may be a cut.
    pub fn finish(&mut self, network: &mut Network, rng: &mut Rng) {
        if self.end == End::None {
            let is_cut = self.is_veiled() && rng.bool();
            self.end = if is_cut { End::Cut } else { End::Fin };
            network.finish_sending(&self.pipe, !is_cut);
        }
    }

    pub fn reset(&mut self, network: &mut Network) {
        self.end = End::Reset;
        let mut pipe = self.pipe.borrow_mut();
        pipe.reset = true;
        // Half of the bytes in flight are lost.
        let keep = pipe.inbound.len() / 2;
        pipe.inbound.truncate(keep);
        drop(pipe);
        network.arrived(&self.pipe);
    }

    fn send(&mut self, network: &mut Network, n: usize) {
        let pipe = self.pipe.borrow();
        if self.end != End::None || pipe.server_closed {
            return;
        }
        // What it sends is to fit into records.
        let room = match pipe.shakes_hands() {
            true => 0,
            false => INBOUND_MAX.saturating_sub(pipe.inbound.len() + RECORDS_BYTES),
        };
        let n = n.min(self.pending.len()).min(room);
        if n > 0 || room == 0 {
            self.longest_silence_us = self.longest_silence_us(network);
            self.sent_at = network.service_micros();
        }
        if n > 0 {
            drop(pipe);
            let bytes: Vec<u8> = self.pending.drain(..n).collect();
            self.mid_line = !bytes.ends_with(b"\n");
            network.send(&self.pipe, &bytes);
        }
    }

    fn read(&mut self, network: &mut Network, n: usize) {
        self.received.extend(network.receive(&self.pipe, n));
    }
}
