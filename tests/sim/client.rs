//! A simulated client: what it sends, how unevenly it sends and reads, how it ends. Checks nothing.

use super::network::{Network, Shared};
use fastrand::Rng;
use madang::hub::Wire;
use std::collections::VecDeque;

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is still connected.
    None,
    /// It has finished sending and continues to read.
    Fin,
    /// It has reset the connection; anything may be lost.
    Reset,
}

/// How a client behaves, drawn once from the seed.
#[derive(Clone, Copy, Debug)]
pub struct Behavior {
    /// Chances a step, in percent: to compose lines, to send, to read, to start or stop reading.
    says: u8,
    sends: u8,
    reads: u8,
    stalls: u8,
    /// Maxima: lines composed at once, bytes of a line, bytes of a send, bytes of a read.
    lines: usize,
    line: usize,
    send: usize,
    read: usize,
    /// Chances a line, in percent: to be a command, to follow invalid input.
    commands: u8,
    junk: u8,
    /// Chance a step to end the connection, in thousandths.
    ends: u8,
    /// Reads all in its turn, and nothing in the turns of others.
    turns: Option<Turns>,
    /// Sends little else.
    costly: Option<Costly>,
}

/// Clients that take turns in reading: each reads for `steps` steps, then the next of `parts` parts of them does.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    pub steps: usize,
    pub parts: usize,
}

/// Lines that cost the server much, and their sender little.
#[derive(Clone, Copy, Debug)]
pub enum Costly {
    /// `/nick` of two names by turns.
    Renames,
    /// `/join` of two rooms by turns, if there are so many.
    Moves,
    /// `/who` of a text that no room can be called, and that grows by its normalization.
    Who,
    /// `/msg` to a name that nobody has.
    MessagesToNobody,
    /// `/nick` of a name that looks like another.
    LookAlikes,
    /// Lines that grow when they are rendered.
    Growing,
}

impl Costly {
    pub fn drawn(rng: &mut Rng) -> Costly {
        let kinds = [
            Costly::Renames,
            Costly::Moves,
            Costly::Who,
            Costly::MessagesToNobody,
            Costly::LookAlikes,
            Costly::Growing,
        ];
        kinds[rng.usize(..kinds.len())]
    }
}

impl Behavior {
    pub fn drawn(rng: &mut Rng) -> Behavior {
        let flood = rng.u8(0..5) == 0;
        let slow = rng.u8(0..3) == 0;
        Behavior {
            says: if flood { 100 } else { rng.u8(0..40) },
            sends: rng.u8(30..=100),
            reads: rng.u8(if slow { 0..=19 } else { 50..=100 }),
            stalls: if rng.bool() { rng.u8(0..10) } else { 0 },
            lines: rng.usize(if flood { 1..60 } else { 1..6 }),
            line: [3, 40, 300, 900, 2000][rng.usize(..5)],
            send: [1, 7, 100, 4000, 40_000][rng.usize(..5)],
            read: [1, 13, 600, 20_000, 200_000][rng.usize(..5)],
            commands: rng.u8(0..30),
            junk: rng.u8(0..20),
            ends: if rng.bool() { 1 } else { 0 },
            turns: None,
            costly: None,
        }
    }

    /// Sends more than the server can read. Reads as fast as it can, or never.
    pub fn flood(reads: bool) -> Behavior {
        Behavior {
            says: 100,
            lines: 60,
            reads: if reads { 100 } else { 0 },
            ..Behavior::observer()
        }
    }

    /// The same without commands and invalid input.
    pub fn plain(self) -> Behavior {
        Behavior {
            commands: 0,
            junk: 0,
            costly: None,
            ..self
        }
    }

    /// The same, but reads by turns.
    pub fn by_turns(self, turns: Turns) -> Behavior {
        Behavior {
            turns: Some(turns),
            ..self
        }
    }

    /// The same, but floods lines of one kind that cost much.
    pub fn costly(self, costly: Costly) -> Behavior {
        Behavior {
            says: 100,
            sends: 100,
            lines: 20,
            send: 40_000,
            costly: Some(costly),
            ..self
        }
    }

    /// The same, but never ends its connection.
    pub fn without_end(self) -> Behavior {
        Behavior { ends: 0, ..self }
    }

    /// Reads everything and sends nothing.
    pub fn observer() -> Behavior {
        Behavior {
            says: 0,
            sends: 100,
            reads: 100,
            stalls: 0,
            lines: 1,
            line: 3,
            send: usize::MAX,
            read: usize::MAX,
            commands: 0,
            junk: 0,
            ends: 0,
            turns: None,
            costly: None,
        }
    }
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
    stays: usize,
    room: usize,
    behavior: Behavior,
    stalled: bool,
    /// Bytes that it is about to send.
    pending: VecDeque<u8>,
    /// The last byte sent does not end a line.
    mid_line: bool,
    lines: usize,
    names: usize,
    steps: usize,
    /// When it last sent something, and the longest silence before that, in [active](Network::active_micros)
    /// microseconds.
    sent_at: u64,
    longest_silence_us: u64,
}

/// Bytes that the kernel would take from a client before the server reads them.
const INBOUND_MAX: usize = 65_536;

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
            steps: 0,
            sent_at: 0,
            longest_silence_us: 0,
        }
    }

    /// It has just connected.
    pub fn connected(mut self, network: &Network) -> Client {
        self.sent_at = network.active_micros();
        self
    }

    /// The longest time for which it has sent nothing, until now.
    pub fn longest_silence_us(&self, network: &Network) -> u64 {
        let silence_us = network.active_micros() - self.sent_at;
        self.longest_silence_us.max(silence_us)
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
        if stalls {
            self.stalled = !self.stalled;
        }
        if let Some(turns) = behavior.turns {
            if self.steps / turns.steps % turns.parts == self.number % turns.parts {
                self.read(network, usize::MAX);
            }
        } else if reads && !self.stalled {
            self.read(network, rng.usize(1..=behavior.read));
        }
        if ends && self.end == End::None {
            // A part of a raw line would not contain its author.
            if rng.bool() && !(self.mid_line && self.is_raw()) {
                self.finish(network);
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

    /// Finishes sending.
    pub fn finish(&mut self, network: &mut Network) {
        if self.end == End::None {
            self.end = End::Fin;
            self.pipe.borrow_mut().fin = true;
            network.arrived(&self.pipe);
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
        let mut pipe = self.pipe.borrow_mut();
        if self.end != End::None || pipe.server_closed {
            return;
        }
        let room = INBOUND_MAX - pipe.inbound.len();
        let n = n.min(self.pending.len()).min(room);
        if n > 0 || room == 0 {
            self.longest_silence_us = self.longest_silence_us(network);
            self.sent_at = network.active_micros();
        }
        if n > 0 {
            pipe.inbound.extend(self.pending.drain(..n));
            self.mid_line = pipe.inbound.back() != Some(&b'\n');
            drop(pipe);
            network.arrived(&self.pipe);
        }
    }

    fn read(&mut self, network: &mut Network, n: usize) {
        let mut pipe = self.pipe.borrow_mut();
        let n = n.min(pipe.outbound.len());
        if n > 0 {
            self.received.extend(pipe.outbound.drain(..n));
            drop(pipe);
            network.drained(&self.pipe);
        }
    }

    /// Composes a line: mostly text, sometimes a command; sometimes invalid input before it.
    fn compose(&mut self, rng: &mut Rng, rooms: usize, peers: usize) {
        self.lines += 1;
        let (number, n) = (self.number, self.lines);
        let unique = format!("L{number}.{n}.");
        let mut text =
            unique.clone() + &"한글 text ~ ".repeat(rng.usize(0..=self.behavior.line) / 16);
        if rng.u8(0..100) < self.behavior.junk {
            let junk: [&[u8]; 6] = [
                b"bad \xc3\x28 utf\n",
                b"\xff\xfd\x01\xff\xfb\x18",
                b"\n\r\n\r\0",
                &[b'z'; 5000],
                b"\n",
                b"\xff\xf6",
            ];
            self.pending.extend(junk[rng.usize(..junk.len())]);
            // What follows is a line of its own.
            self.pending.push_back(b'\n');
        }
        if let Some(costly) = self.behavior.costly
            && rng.u8(0..10) > 0
        {
            return self.compose_costly(costly, rooms, unique);
        }
        if rng.u8(0..100) < self.behavior.commands {
            return self.compose_command(rng, rooms, peers, &text);
        }
        if rng.u8(0..8) == 0 {
            self.enqueue(&format!("{text}\x1b[2J\u{202e}"));
            text += "␛[2J\u{fffd}";
        } else {
            self.enqueue(&text);
        }
        self.said.push((self.stays, text));
    }

    fn compose_costly(&mut self, costly: Costly, rooms: usize, unique: String) {
        let (number, length) = (letters(self.number), self.behavior.line);
        match costly {
            Costly::Renames => {
                let name = ["x", "z"][self.lines % 2];
                self.enqueue(&format!("/nick {number}{name}"));
            }
            Costly::Moves if rooms > 1 => {
                self.room = usize::from(self.room == 0);
                self.stays += 1;
                self.enqueue(&format!("/join {}", room_name(self.room)));
            }
            Costly::Moves | Costly::Growing => {
                self.enqueue(&(unique.clone() + &"\u{1b}".repeat(length)));
                self.said.push((self.stays, unique + &"␛".repeat(length)));
            }
            Costly::Who => self.enqueue(&format!("/who {}", "\u{fdfa}".repeat(length / 3))),
            Costly::MessagesToNobody => self.enqueue(&format!("/msg nobody {unique}")),
            // The first observer is guest1, and stays that.
            Costly::LookAlikes => self.enqueue("/nick guestl"),
        }
    }

    fn compose_command(&mut self, rng: &mut Rng, rooms: usize, peers: usize, text: &str) {
        match rng.u8(0..16) {
            0..=2 if rooms > 1 => {
                self.room = (self.room + rng.usize(1..rooms)) % rooms;
                self.stays += 1;
                self.enqueue(&format!("/join {}", room_name(self.room)));
            }
            3..=4 => {
                self.names += 1;
                let name = format!("/nick {}x{}", letters(self.number), letters(self.names));
                self.enqueue(&name);
            }
            5 => match rng.usize(0..=peers) {
                0 => self.enqueue(&format!("/msg host {text}")),
                guest => self.enqueue(&format!("/msg guest{guest} {text}")),
            },
            6 => {
                self.enqueue(&format!("/me {text}"));
                self.said.push((self.stays, text.trim_end().into()));
            }
            7 => self.enqueue("/who"),
            8 => self.enqueue("/rooms"),
            9 => self.enqueue("/help"),
            10 => self.enqueue("/nick server"),
            11..=13 => {
                let command = ["ignore", "ignore", "unignore"][rng.usize(..3)];
                let name = some_name(rng, peers);
                self.enqueue(&format!("/{command} {name}"));
            }
            14 => self.enqueue(&format!("/whois {}", some_name(rng, peers))),
            _ => self.enqueue("/frob"),
        }
    }
}

/// A name that some client may have.
fn some_name(rng: &mut Rng, peers: usize) -> String {
    match rng.usize(0..=2 * peers) {
        0 => "host".into(),
        guest if guest <= peers => format!("guest{guest}"),
        peer => format!("{}x{}", letters(peer - peers - 1), letters(rng.usize(1..3))),
    }
}

/// The name of the room with this number.
pub fn room_name(room: usize) -> String {
    if room == 0 {
        "lobby".into()
    } else {
        format!("room-{}", letters(room))
    }
}

/// A number written in nine letters that do not look alike. A number below 9 is one letter, so no client's name is a
/// prefix of another's.
pub fn letters(mut number: usize) -> String {
    let mut out = String::new();
    loop {
        out.push(['a', 'b', 'd', 'e', 'f', 'h', 'k', 't', 'y'][number % 9]);
        number /= 9;
        if number == 0 {
            return out;
        }
    }
}
