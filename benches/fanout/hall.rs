//! A server and its audience: some who speak, many who listen, and what it costs the server to hand on what is said.

use std::time::Duration;

use crate::floor::{Piece, Stage};
use crate::lab::ear::{Count, Ear, MARK};
use crate::lab::load::Load;
use crate::lab::server::Server;
use crate::lab::{ANNOUNCED_AFTER, Lab, Outcome};
use crate::servers::Kind;

/// How long a server takes at most to accept as many as may be on their way, if it says nothing.
const ACCEPTED_AFTER: Duration = Duration::from_millis(3);
/// Bytes of a line's text.
const TEXT_BYTES: usize = 64;
/// Windows of one line before each measured round. A TCP receiver acknowledges its first 16 segments after a silence
/// one by one, later ones seldom, and the server pays for it; besides, another server has just emptied the caches.
const WARM_UP_WINDOWS: u64 = 18;
/// A round has at least and at most so many windows, whatever they cost.
const WINDOWS_MIN: u64 = 1;
const WINDOWS_MAX: u64 = 200;

/// A server with everybody in it.
pub(crate) struct Hall {
    pub(crate) kind: &'static Kind,
    pub(crate) load: Load<Count>,
    stage: Stage,
    /// A line as a speaker sends it.
    line: Vec<u8>,
    /// Lines that a speaker sends before all are awaited.
    window_lines: u64,
    /// How many lines have been said.
    said: u64,
    /// How many windows are a round; 0 until that is known.
    windows: u64,
    /// Comes last, so that the clients are gone before it is ended.
    pub(crate) server: Server,
}

impl Hall {
    /// Starts a server and lets everybody in.
    pub(crate) fn gather(
        lab: &Lab,
        kind: &'static Kind,
        stage: Stage,
        window_lines: u64,
    ) -> Outcome<Self> {
        let mut hall = Self::open(lab, kind, stage, window_lines)?;
        hall.load.let_arrive(kind.listener);
        let_in(&mut hall.load, kind, stage.receivers)?;
        hall.settle(lab)?;
        Ok(hall)
    }

    /// Starts a server with nobody in it but those who will speak.
    pub(crate) fn open(
        lab: &Lab,
        kind: &'static Kind,
        stage: Stage,
        window_lines: u64,
    ) -> Outcome<Self> {
        let server = kind.start(lab, stage)?;
        let mut load = Load::new(server.address, kind.speaker)?;
        load.admit(stage.speakers, 1)?;
        Ok(Self {
            kind,
            load,
            stage,
            line: (kind.say)(&text()),
            window_lines,
            said: 0,
            windows: 0,
            server,
        })
    }

    /// Waits until all announcements have been made.
    pub(crate) fn settle(&mut self, lab: &Lab) -> Outcome<()> {
        self.load.listen_for(ANNOUNCED_AFTER)?;
        if lab.load_has_its_own_core() {
            self.load.stay_awake();
        }
        Ok(())
    }

    /// How many hear a line.
    fn hearers(&self) -> u64 {
        let colleagues = if self.kind.speakers_hear {
            self.stage.speakers - 1
        } else {
            0
        };
        (self.stage.receivers + colleagues) as u64
    }

    /// The server's time on its core for each line and hearer, in nanoseconds, over a round of about this much of it.
    pub(crate) fn round(&mut self, long: Duration) -> Outcome<f64> {
        if self.windows == 0 {
            self.speak(1, WARM_UP_WINDOWS)?;
            let cost = self.cost(1)?.max(1);
            self.windows = (long.as_nanos() as u64 / cost).clamp(WINDOWS_MIN, WINDOWS_MAX);
        }
        self.speak(1, WARM_UP_WINDOWS)?;
        self.speak(self.window_lines, 1)?;
        let windows = self.windows;
        let cost = self.cost(windows)? as f64;
        let lines = windows * self.window_lines * self.stage.speakers as u64;
        Ok(cost / (lines * self.hearers()) as f64)
    }

    /// What so many windows cost the server, in nanoseconds.
    fn cost(&mut self, windows: u64) -> Outcome<u64> {
        let before = self.server.cpu_ns()?;
        self.speak(self.window_lines, windows)?;
        Ok(self.server.cpu_ns()? - before)
    }

    /// Every speaker sends so many lines, all of them are awaited by all; so many times.
    pub(crate) fn speak(&mut self, lines: u64, windows: u64) -> Outcome<()> {
        let window = self.line.repeat(lines as usize);
        let said = lines * self.stage.speakers as u64;
        let deliveries = said * self.hearers();
        for _ in 0..windows {
            let expected = self.load.heard() + deliveries;
            for speaker in 0..self.stage.speakers {
                self.load.send(speaker, &window)?;
            }
            self.load.until("all receivers to hear a line", |load| {
                load.heard() >= expected
            })?;
            self.said += said;
        }
        self.check()
    }

    /// Everybody has heard as many lines as were said to it.
    fn check(&self) -> Outcome<()> {
        let speakers = self.stage.speakers;
        for (id, ear) in self.load.ears().enumerate() {
            let said = match id < speakers {
                false => self.said,
                true if self.kind.speakers_hear => self.said - self.said / speakers as u64,
                true => 0,
            };
            if ear.heard != said {
                let heard = ear.heard;
                return Err(format!("client {id} heard {heard} lines instead of {said}").into());
            }
        }
        Ok(())
    }
}

/// Lets so many more in, no more at once than the server can take.
pub(crate) fn let_in<E: Ear>(load: &mut Load<E>, kind: &Kind, newcomers: usize) -> Outcome<()> {
    if kind.backlog >= newcomers || kind.greets() {
        return load.admit(newcomers, kind.backlog);
    }
    // Nothing tells when it has accepted somebody, so it is given time.
    let mut left = newcomers;
    while left > 0 {
        let some = left.min(kind.backlog);
        load.admit(some, some)?;
        load.listen_for(ACCEPTED_AFTER)?;
        left -= some;
    }
    Ok(())
}

/// What is said: it begins with the mark by which it is counted.
fn text() -> String {
    format!("{}{}", MARK as char, "m".repeat(TEXT_BYTES - 1))
}

/// One who speaks, so many who listen.
pub(crate) fn solo(piece: Piece, receivers: usize) -> Stage {
    Stage {
        piece,
        speakers: 1,
        receivers,
    }
}
