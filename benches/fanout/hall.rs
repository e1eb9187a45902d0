//! A server and its audience: some who speak, many who listen, and what it costs the server to hand on what is said.

use std::time::{Duration, Instant};

use crate::floor::{Piece, Stage};
use crate::lab::ear::{Count, Ear, MARK, StampEar};
use crate::lab::load::Load;
use crate::lab::server::Server;
use crate::lab::{ANNOUNCED_AFTER, Lab, Outcome};
use crate::servers::Kind;

/// How long a server takes at most to accept as many as may be on their way, if it says nothing.
const ACCEPTED_AFTER: Duration = Duration::from_millis(3);
/// Bytes of a line's text.
const TEXT_BYTES: usize = 64;
/// Windows of one line before a round that comes after a silence: a TCP receiver acknowledges its first 16 segments
/// after one (of its retransmission timeout, at least 200 ms) one by one, later ones seldom, and the server pays for it.
const WARM_UP_WINDOWS: u64 = 18;
const SILENCE: Duration = Duration::from_millis(150);
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
    /// How many lines each speaker has said.
    said: Vec<u64>,
    /// When the last was heard.
    quiet_since: Instant,
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
            said: vec![0; stage.speakers],
            quiet_since: Instant::now(),
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
        if self.quiet_since.elapsed() > SILENCE {
            self.speak(1, 1, WARM_UP_WINDOWS)?;
        }
        // Whatever the window, another server has just emptied the caches.
        let cost = self.cost(1)?.max(1);
        if self.windows == 0 {
            self.windows = (long.as_nanos() as u64 / cost).clamp(WINDOWS_MIN, WINDOWS_MAX);
        }
        let windows = self.windows;
        let cost = self.cost(windows)? as f64;
        let lines = windows * self.window_lines * self.stage.speakers as u64;
        Ok(cost / (lines * self.hearers()) as f64)
    }

    /// What so many windows cost the server, in nanoseconds.
    fn cost(&mut self, windows: u64) -> Outcome<u64> {
        let before = self.server.cpu_ns()?;
        self.speak(self.stage.speakers, self.window_lines, windows)?;
        Ok(self.server.cpu_ns()? - before)
    }

    /// So many speakers send so many lines each, and all of them are awaited by all; so many times.
    pub(crate) fn speak(&mut self, speakers: usize, lines: u64, windows: u64) -> Outcome<()> {
        let window = self.line.repeat(lines as usize);
        let deliveries = lines * speakers as u64 * self.hearers();
        for _ in 0..windows {
            let expected = self.load.heard() + deliveries;
            for speaker in 0..speakers {
                self.load.send(speaker, &window)?;
                self.said[speaker] += lines;
            }
            self.load.until("all receivers to hear a line", |load| {
                load.heard() >= expected
            })?;
        }
        self.quiet_since = Instant::now();
        self.check()
    }

    /// Everybody has heard as many lines as were said to it.
    fn check(&self) -> Outcome<()> {
        let all: u64 = self.said.iter().sum();
        for (id, ear) in self.load.ears().enumerate() {
            let said = match self.said.get(id) {
                None => all,
                Some(own) if self.kind.speakers_hear => all - own,
                Some(_) => 0,
            };
            if ear.heard != said {
                let heard = ear.heard;
                return Err(format!("client {id} heard {heard} lines instead of {said}").into());
            }
        }
        Ok(())
    }
}

/// A server with one who speaks, and with many who take the time of what they hear.
pub(crate) struct Stand {
    pub(crate) kind: &'static Kind,
    pub(crate) load: Load<StampEar>,
    /// Comes last, so that the clients are gone before it is ended.
    pub(crate) server: Server,
}

impl Stand {
    /// Starts a server and lets everybody in.
    pub(crate) fn gather(lab: &Lab, kind: &'static Kind, receivers: usize) -> Outcome<Self> {
        let server = kind.start(lab, solo(Piece::Line, receivers))?;
        let mut load = Load::new(server.address, kind.speaker)?;
        load.admit(1, 1)?;
        load.let_arrive(kind.listener);
        let_in(&mut load, kind, receivers)?;
        load.listen_for(ANNOUNCED_AFTER)?;
        if lab.load_has_its_own_core() {
            load.stay_awake();
        }
        Ok(Self { kind, load, server })
    }
}

/// Lets so many more in, no more at once than the server can take.
fn let_in<E: Ear>(load: &mut Load<E>, kind: &Kind, newcomers: usize) -> Outcome<()> {
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
