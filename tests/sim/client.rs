//! A simulated client: what it says, how unevenly it sends and reads, how it goes. Judges nothing.

use super::world::{Pipe, Shared, World};
use fastrand::Rng;
use madang::hub::Wire;
use std::collections::VecDeque;

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not yet.
    None,
    /// It has finished sending and reads on.
    Fin,
    /// It has gone without a word, and may have lost anything.
    Reset,
}

/// How a client behaves, drawn once.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Percent of its turns in which it says something, sends, reads, changes between reading and not.
    says: u8,
    sends: u8,
    reads: u8,
    stalls: u8,
    /// Lines at a time, bytes a line, bytes a send, bytes a read: at most.
    lines: usize,
    line: usize,
    send: usize,
    read: usize,
    commands: u8,
    junk: u8,
    ends: u8,
}

impl Manner {
    pub fn drawn(rng: &mut Rng) -> Manner {
        let flood = rng.u8(0..5) == 0;
        let slow = rng.u8(0..3) == 0;
        Manner {
            says: if flood { 100 } else { rng.u8(0..40) },
            sends: rng.u8(30..=100),
            reads: if slow {
                rng.u8(0..20)
            } else {
                rng.u8(50..=100)
            },
            stalls: if rng.bool() { rng.u8(0..10) } else { 0 },
            lines: if flood {
                rng.usize(1..60)
            } else {
                rng.usize(1..6)
            },
            line: [3, 40, 300, 900, 2000][rng.usize(..5)],
            send: [1, 7, 100, 4000, 40_000][rng.usize(..5)],
            read: [1, 13, 600, 20_000, 200_000][rng.usize(..5)],
            commands: rng.u8(0..30),
            junk: rng.u8(0..20),
            ends: if rng.bool() { 1 } else { 0 },
        }
    }

    /// Says more than can be taken, and reads as fast as it can or never.
    pub fn flood(reads: bool) -> Manner {
        Manner {
            says: 100,
            lines: 60,
            reads: if reads { 100 } else { 0 },
            ..Manner::observer()
        }
    }

    /// The same without commands and without what is no text.
    pub fn plain(self) -> Manner {
        Manner {
            commands: 0,
            junk: 0,
            ..self
        }
    }

    /// The same, but it never goes by itself.
    pub fn lasting(self) -> Manner {
        Manner { ends: 0, ..self }
    }

    /// Reads everything, says nothing.
    pub fn observer() -> Manner {
        Manner {
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
        }
    }
}

/// One client.
pub struct Client {
    pub number: usize,
    pub pipe: Shared,
    pub end: End,
    /// Everything that it has read.
    pub received: Vec<u8>,
    /// Lines that the server must take as said: its stay when it said them (0 in the first room), and the text.
    pub said: Vec<(usize, String)>,
    stays: usize,
    room: usize,
    manner: Manner,
    stalled: bool,
    /// What it is about to send.
    pending: VecDeque<u8>,
    /// What it has sent ends within a line.
    mid_line: bool,
    lines: usize,
    names: usize,
}

/// How much of what it has not read the kernel takes of a client.
const INBOUND_MAX: usize = 65_536;

impl Client {
    pub fn new(number: usize, pipe: Shared, manner: Manner) -> Client {
        Client {
            number,
            pipe,
            end: End::None,
            received: Vec::new(),
            said: Vec::new(),
            stays: 0,
            room: 0,
            manner,
            stalled: false,
            pending: VecDeque::new(),
            mid_line: false,
            lines: 0,
            names: 0,
        }
    }

    pub fn is_raw(&self) -> bool {
        self.pipe.borrow().wire == Wire::Raw
    }

    /// Shows that it is there, if it has nothing to say.
    pub fn keep_alive(&mut self) {
        if self.pending.is_empty() {
            self.enqueue("");
        }
    }

    /// Says a line of exactly these bytes.
    pub fn enqueue(&mut self, line: &str) {
        self.pending.extend(line.bytes());
        self.pending.push_back(b'\n');
    }

    /// Does something, or nothing.
    pub fn act(&mut self, world: &mut World, rng: &mut Rng, rooms: usize, peers: usize) {
        let manner = self.manner;
        let mut often = |percent: u8| rng.u8(0..100) < percent;
        let (says, sends, reads, stalls) = (
            often(manner.says),
            often(manner.sends),
            often(manner.reads),
            often(manner.stalls),
        );
        let ends = often(manner.ends) && often(10);
        if says && self.pending.len() < INBOUND_MAX && self.end == End::None {
            for _ in 0..rng.usize(1..=manner.lines) {
                self.think(rng, rooms, peers);
            }
        }
        if sends {
            self.send(world, rng.usize(1..=manner.send));
        }
        if stalls {
            self.stalled = !self.stalled;
        }
        if reads && !self.stalled {
            self.read(world, rng.usize(1..=manner.read));
        }
        if ends && self.end == End::None {
            // A piece of a raw line would not say whose it is.
            if rng.bool() && !(self.mid_line && self.is_raw()) {
                self.finish(world);
            } else {
                self.reset(world);
            }
        }
    }

    /// Sends all that is pending and reads all that is there.
    pub fn catch_up(&mut self, world: &mut World) {
        self.send(world, usize::MAX);
        self.read(world, usize::MAX);
    }

    pub fn has_pending(&self) -> bool {
        self.end == End::None && !self.pending.is_empty() && !self.pipe.borrow().server_closed
    }

    /// Finishes sending.
    pub fn finish(&mut self, world: &mut World) {
        if self.end == End::None {
            self.end = End::Fin;
            self.pipe.borrow_mut().fin = true;
            world.arrived(&self.pipe);
        }
    }

    pub fn reset(&mut self, world: &mut World) {
        self.end = End::Reset;
        let mut pipe = self.pipe.borrow_mut();
        pipe.reset = true;
        // Some of what was sent is lost, some of it has arrived.
        let keep = pipe.inbound.len() / 2;
        pipe.inbound.truncate(keep);
        drop(pipe);
        world.arrived(&self.pipe);
    }

    fn send(&mut self, world: &mut World, n: usize) {
        let mut pipe = self.pipe.borrow_mut();
        if self.end != End::None || pipe.server_closed {
            return;
        }
        let n = n
            .min(self.pending.len())
            .min(INBOUND_MAX - pipe.inbound.len());
        if n > 0 {
            pipe.inbound.extend(self.pending.drain(..n));
            self.mid_line = pipe.inbound.back() != Some(&b'\n');
            drop(pipe);
            world.arrived(&self.pipe);
        }
    }

    fn read(&mut self, world: &mut World, n: usize) {
        let mut pipe = self.pipe.borrow_mut();
        let Pipe { outbound, .. } = &mut *pipe;
        let n = n.min(outbound.len());
        if n > 0 {
            self.received.extend(outbound.drain(..n));
            drop(pipe);
            world.drained(&self.pipe);
        }
    }

    /// Makes up a line: text mostly, sometimes a command, sometimes junk.
    fn think(&mut self, rng: &mut Rng, rooms: usize, peers: usize) {
        self.lines += 1;
        let (number, n) = (self.number, self.lines);
        let unique = format!("L{number}.{n}.");
        let mut text = unique + &"한글 text ~ ".repeat(rng.usize(0..=self.manner.line) / 16);
        if rng.u8(0..100) < self.manner.junk {
            let junk: [&[u8]; 6] = [
                b"bad \xc3\x28 utf\n",
                b"\xff\xfd\x01\xff\xfb\x18",
                b"\n\r\n\r\0",
                &[b'z'; 5000],
                b"\n",
                b"\xff\xf6",
            ];
            self.pending.extend(junk[rng.usize(..junk.len())]);
            // So that what follows is a line of its own.
            self.pending.push_back(b'\n');
        }
        if rng.u8(0..100) < self.manner.commands {
            return self.think_command(rng, rooms, peers, &text);
        }
        if rng.u8(0..8) == 0 {
            self.enqueue(&format!("{text}\x1b[2J\u{202e}"));
            text += "␛[2J\u{fffd}";
        } else {
            self.enqueue(&text);
        }
        self.said.push((self.stays, text));
    }

    fn think_command(&mut self, rng: &mut Rng, rooms: usize, peers: usize, text: &str) {
        match rng.u8(0..12) {
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
            _ => self.enqueue("/frob"),
        }
    }
}

/// The name of a room by its number.
pub fn room_name(room: usize) -> String {
    if room == 0 {
        "lobby".into()
    } else {
        format!("room-{}", letters(room))
    }
}

/// A number in letters that do not look like one another: numbers below 9 in one, so that no piece of one's name is
/// another's.
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
