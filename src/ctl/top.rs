//! The live table on the terminal, or one table where there is none. What is known of the server is kept in `watch`, what
//! is drawn is computed in `table`.

use super::Ended;
use super::client::{Arrived, Client};
use super::table::{Style, rows};
use super::watch::{INTERVAL, Watch};
use crate::terminal::may_color;
use crate::terminal::poll::poll;
use crate::terminal::signals::Signals;
use crate::terminal::tty::{self, Tty};
use rustix::event::PollFlags;
use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Rows of a table that is not on a terminal.
const PRINTED_ROWS: usize = 48;
const KEYS: &str = "q: leave";

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_Z: u8 = 0x1a;
const ESCAPE: u8 = 0x1b;

/// Writes one table, of two snapshots an interval apart.
///
/// # Errors
/// The server goes away or does not answer, or the table cannot be written: in words.
pub fn print(client: Client, out: &mut dyn Write) -> Result<Ended, String> {
    let mut watch = Watch::new(client);
    // The first tells how many clients there are.
    for pause in [Duration::ZERO, Duration::ZERO, INTERVAL] {
        std::thread::sleep(pause);
        watch.ask()?;
        loop {
            let line = watch.client.next_line()?;
            let line = line.ok_or_else(|| watch.ended())?;
            if watch.take(&line) {
                break;
            }
            if let Some(why) = watch.refused() {
                return Err(format!("the server refuses: {why}"));
            }
        }
    }
    let view = watch.view(None);
    let rows = view.map_or_else(Vec::new, |view| rows(&view, usize::MAX, PRINTED_ROWS));
    let text: String = rows.iter().map(|row| format!("{}\n", row.text)).collect();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(Ended::Done),
    }
}

/// Shows the table on the terminal until the person leaves.
///
/// # Errors
/// The server goes away or does not answer, or the terminal cannot be used: in words.
pub fn run(client: Client) -> Result<Ended, String> {
    let unusable = |error: io::Error| format!("cannot use the terminal: {error}");
    let signals = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT];
    let mut top = Top {
        signals: Signals::new(&signals).map_err(unusable)?,
        watch: Watch::new(client),
        ask_at: Some(Instant::now()),
        output: Vec::new(),
        is_stale: false,
        has_color: may_color(),
        size: (0, 0),
        tty: Tty::open(tty::SCREEN).map_err(unusable)?,
    };
    top.watch.client.stop_blocking()?;
    loop {
        match top.run_once() {
            Ok(Step::On) => {}
            Ok(Step::End(ended)) => return Ok(ended),
            Err(Failure::Server(why)) => return Err(why),
            // The terminal is gone.
            Err(Failure::Terminal) => return Ok(Ended::Signal(SIGHUP)),
        }
    }
}

/// The table on its terminal. When it is dropped the terminal is restored.
struct Top {
    watch: Watch,
    signals: Signals,
    /// When to ask next; `None` while an answer comes.
    ask_at: Option<Instant>,
    /// What the terminal has not taken yet. A picture is drawn when the one before is out.
    output: Vec<u8>,
    /// The picture on the terminal is not the newest.
    is_stale: bool,
    has_color: bool,
    /// Columns and rows of the last picture.
    size: (usize, usize),
    tty: Tty,
}

enum Step {
    On,
    End(Ended),
}

enum Failure {
    Server(String),
    Terminal,
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Failure {
        Failure::Terminal
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Server(why)
    }
}

impl Top {
    /// Waits once and handles what is ready.
    fn run_once(&mut self) -> Result<Step, Failure> {
        self.show()?;
        let [tty, signals, socket] = self.wait()?;
        if !signals.is_empty()
            && let Some(ended) = self.handle_signals()
        {
            return Ok(Step::End(ended));
        }
        self.follow_foreground()?;
        if let Some(ended) = self.read_keys(tty)? {
            return Ok(Step::End(ended));
        }
        if !socket.is_empty() {
            self.read_answer()?;
        }
        let now = Instant::now();
        match self.watch.deadline() {
            Some((at, true)) if at <= now => {
                self.watch.give_up();
                self.answered(now);
            }
            Some((at, false)) if at <= now => return Err(self.watch.client.silent().into()),
            _ => {}
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            self.watch.ask()?;
        }
        Ok(Step::On)
    }

    fn wait(&self) -> io::Result<[PollFlags; 3]> {
        let answer = self.watch.deadline().map(|(at, _)| at);
        let deadlines = [self.ask_at, answer, self.tty.look_again_at()];
        let mut tty = PollFlags::empty();
        if self.tty.is_taken() {
            tty.set(PollFlags::IN, true);
            tty.set(PollFlags::OUT, !self.output.is_empty());
        }
        let tty = Some((self.tty.as_fd(), tty));
        let signals = Some((self.signals.as_fd(), PollFlags::IN));
        let socket = Some((self.watch.client.as_fd(), PollFlags::IN));
        poll(
            [tty, signals, socket],
            deadlines.into_iter().flatten().min(),
        )
    }

    fn read_answer(&mut self) -> Result<(), String> {
        let arrived = self.watch.client.read()?;
        while let Some(line) = self.watch.client.take_line() {
            if self.watch.take(&line) {
                self.answered(Instant::now());
            }
        }
        match arrived {
            Arrived::End => Err(self.watch.ended()),
            Arrived::Some | Arrived::Nothing => Ok(()),
        }
    }

    /// An answer is complete, or will never be: when to ask again.
    fn answered(&mut self, now: Instant) {
        self.ask_at = Some(now + self.watch.rest());
        self.is_stale = true;
    }

    fn handle_signals(&mut self) -> Option<Ended> {
        for signal in self.signals.pending() {
            match signal {
                SIGWINCH => self.is_stale = true,
                SIGCONT => {
                    self.tty.was_stopped();
                    self.is_stale = true;
                }
                signal => return Some(Ended::Signal(signal)),
            }
        }
        None
    }

    fn follow_foreground(&mut self) -> io::Result<()> {
        let was_taken = self.tty.is_taken();
        self.tty.follow_foreground()?;
        if !was_taken && self.tty.is_taken() {
            // What was left of a picture belongs to another screen.
            self.output.clear();
            self.is_stale = true;
        }
        Ok(())
    }

    fn read_keys(&mut self, ready: PollFlags) -> io::Result<Option<Ended>> {
        let is_gone = ready.intersects(PollFlags::HUP | PollFlags::ERR);
        let may_read = self.tty.is_taken() && ready.contains(PollFlags::IN);
        if !is_gone && !may_read {
            return Ok(None);
        }
        let mut bytes = [0; 256];
        let read = self.tty.read(&mut bytes)?.unwrap_or(0);
        let keys = &bytes[..read];
        if keys.iter().any(|key| matches!(*key, CTRL_C | CTRL_D)) {
            return Ok(Some(Ended::Done));
        }
        // What begins with an escape is an arrow or the like, whatever letters follow.
        if keys.first() != Some(&ESCAPE) && keys.iter().any(|key| matches!(key, b'q' | b'Q')) {
            return Ok(Some(Ended::Done));
        }
        if keys.contains(&CTRL_Z) {
            self.tty.restore();
            kill_process(getpid(), Signal::TSTP)?;
            return Ok(self.handle_signals());
        }
        Ok(None)
    }

    /// Draws the newest picture, as much as the terminal takes. In the background it waits.
    fn show(&mut self) -> io::Result<()> {
        self.follow_foreground()?;
        if !self.tty.is_taken() {
            return Ok(());
        }
        let size = self.tty.size()?;
        if self.output.is_empty() && (self.is_stale || size != self.size) {
            self.draw(size);
        }
        if let Some(written) = self.tty.write(&self.output)? {
            self.output.drain(..written);
        }
        Ok(())
    }

    fn draw(&mut self, (width, height): (usize, usize)) {
        let rows = match self.watch.view(Some(KEYS)) {
            Some(view) => rows(&view, width, height),
            None => return,
        };
        (self.size, self.is_stale) = ((width, height), false);
        self.output.extend_from_slice(b"\x1b[H");
        for (at, row) in rows.iter().enumerate() {
            let (on, off) = match row.style {
                Style::Head if self.has_color => ("\x1b[1m", "\x1b[0m"),
                Style::Warning if self.has_color => ("\x1b[31m", "\x1b[0m"),
                _ => ("", ""),
            };
            let line_end = if at == 0 { "" } else { "\r\n" };
            let text = &row.text;
            self.output
                .extend(format!("{line_end}{on}{text}{off}\x1b[K").bytes());
        }
        self.output.extend_from_slice(b"\x1b[J");
    }
}
