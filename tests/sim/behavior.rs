//! How simulated clients behave, drawn from the seed: how often and how much each sends and reads, and how it ends. Sends
//! nothing.

use fastrand::Rng;

/// How a client behaves, drawn once from the seed.
#[derive(Clone, Copy, Debug)]
pub struct Behavior {
    /// Chances a step, in percent: to compose lines, to send, to read, to start or stop reading.
    pub says: u8,
    pub sends: u8,
    pub reads: u8,
    pub stalls: u8,
    /// Maxima: lines composed at once, bytes of a line, bytes of a send, bytes of a read.
    pub lines: usize,
    pub line: usize,
    pub send: usize,
    pub read: usize,
    /// Chances a line, in percent: to be a command, to follow invalid input.
    pub commands: u8,
    pub junk: u8,
    /// Chance a step to end the connection, in thousandths.
    pub ends: u8,
    /// Reads all in its turn, and nothing in the turns of others.
    pub turns: Option<Turns>,
    /// Sends little else.
    pub costly: Option<Costly>,
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
