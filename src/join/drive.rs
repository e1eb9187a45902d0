//! The one loop of the client on a terminal: waits for the keyboard, the server, the signals and the clock, and gives each
//! to whom it belongs. What is done with a key or a line is decided elsewhere.

use super::Ended;
use super::keys::{Key, Keys};
use super::link::{self, LINE_BYTES_MAX, Link, News};
use super::log::Log;
use super::poll::poll;
use super::session::Reply;
use super::signals::Signals;
use super::store::Store;
use super::talk::{Talk, Wish, is_quit};
use super::tty::Tty;
use crate::hub::Line;
use rustix::event::PollFlags;
use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A window that has not changed for so long is still. tmux tells a program of a change up to 250 ms late.
const STILL: Duration = Duration::from_millis(300);
/// How long a terminal may take to say where its cursor is.
const ANSWER: Duration = Duration::from_millis(500);
/// How long a server that takes nothing and says nothing may delay the client's leave.
const LEAVE: Duration = Duration::from_secs(2);
/// Of bytes waiting for the server, so many are enough: the keyboard waits. More than anybody types or pastes, since
/// whoever is not listened to cannot leave by a key.
const UNSENT_BYTES_ENOUGH: usize = 16 << 20;
/// … and of these, so many: the server is not answered.
const REPLY_BYTES_ENOUGH: usize = 1 << 20;

/// Whose terminal it is.
#[derive(Debug)]
pub enum Role {
    /// A client's. A connection that is lost is made again, if so wished.
    Client {
        /// It is.
        reconnect: bool,
    },
    /// The server's console, with the other end of its log if that goes to the terminal. Signals are the server's.
    Console {
        /// The log's other end.
        log: Option<Log>,
    },
}

/// The client on a terminal.
#[derive(Debug)]
pub struct Drive {
    tty: Tty,
    talk: Talk,
    link: Link,
    role: Role,
    signals: Signals,
    store: Option<Store>,
    keys: Keys,
    /// When keys mean something else if nothing follows.
    idle_at: Option<Instant>,
    /// The window settles: when to ask where the cursor is, or (`true`) when the answer is not awaited any longer.
    settle_at: Option<(Instant, bool)>,
    /// When the connection was made, or called for the last time.
    connected_at: Instant,
    /// When the name is asked for again.
    name_at: Option<Instant>,
    /// All is said: when the client ends at the latest.
    leaving: Option<Instant>,
    /// Why there is no connection, once that was told.
    told: Option<String>,
}

impl Drive {
    /// Holds the terminal until it is dropped.
    ///
    /// # Errors
    /// The signals or the terminal cannot be set up.
    pub fn new(
        tty: Tty,
        talk: Talk,
        link: Link,
        role: Role,
        store: Option<Store>,
    ) -> io::Result<Drive> {
        let signals: &[i32] = match role {
            Role::Client { .. } => &[SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT],
            Role::Console { .. } => &[SIGHUP, SIGQUIT, SIGWINCH, SIGCONT],
        };
        Ok(Drive {
            tty,
            talk,
            link,
            role,
            signals: Signals::new(signals)?,
            store,
            keys: Keys::default(),
            idle_at: None,
            settle_at: None,
            connected_at: Instant::now(),
            name_at: None,
            leaving: None,
            told: None,
        })
    }

    /// Talks until somebody ends it. The terminal is as it was found when this returns.
    pub fn run(mut self) -> Ended {
        let first = self.talk.session.connected();
        self.link.outgoing.push_first(&first);
        let ended = loop {
            match self.turn() {
                Ok(None) => {}
                Ok(Some(ended)) => break ended,
                // The terminal is gone.
                Err(_) => break Ended::Signal(SIGHUP),
            }
        };
        if let Role::Console { log: Some(log) } = &mut self.role
            && let Some(rest) = log.take_partial()
        {
            self.talk.log(rest);
        }
        if let Some(typed) = self.talk.leave() {
            self.keep(&typed);
        }
        let _ = self.tty.write_all(self.talk.screen.output());
        match (ended, self.link.outgoing.lines()) {
            (Ended::Left, lines @ 1..) => Ended::Unsent(lines),
            (ended, _) => ended,
        }
    }

    /// One turn; whether that was the last.
    fn turn(&mut self) -> io::Result<Option<Ended>> {
        self.show()?;
        let [tty, signals, link, log] = self.wait()?;
        let now = Instant::now();
        self.talk.set_time(super::time);
        if !signals.is_empty()
            && let Some(ended) = self.take_signals()?
        {
            return Ok(Some(ended));
        }
        // Asked before anything that came is used: the signal may still be under way.
        self.ask_size()?;
        let keys = self.read_keys(now, tty)?;
        for key in keys {
            if let Some(wish) = self.talk.key(key)
                && let Some(ended) = self.grant(now, wish)?
            {
                return Ok(Some(ended));
            }
        }
        if !log.is_empty() {
            self.read_log();
        }
        if self.name_at.is_some_and(|at| at <= now) {
            self.name_at = None;
            if let Some(line) = self.talk.session.name_request() {
                self.link.outgoing.push(&line);
            }
        }
        let unsent = self.link.outgoing.bytes();
        if let Some(ended) = self.serve(now, link) {
            return Ok(Some(ended));
        }
        if let Some(until) = &mut self.leaving {
            if self.link.outgoing.bytes() < unsent {
                *until = now + LEAVE;
            }
            if *until <= now {
                return Ok(Some(Ended::Left));
            }
        }
        Ok(None)
    }

    /// Shows what is to be shown, as far as the terminal takes it.
    fn show(&mut self) -> io::Result<()> {
        self.ask_size()?;
        match self.settle_at {
            _ if !self.talk.screen.is_settling() => self.settle_at = None,
            Some((at, asked)) if at <= Instant::now() => {
                if asked {
                    self.talk.screen.no_answer();
                } else {
                    self.talk.screen.still();
                    self.settle_at = Some((Instant::now() + ANSWER, true));
                }
            }
            _ => {}
        }
        self.talk.draw();
        if let Some(n) = self.tty.write(self.talk.screen.output())? {
            self.talk.screen.written(n);
        }
        Ok(())
    }

    fn ask_size(&mut self) -> io::Result<()> {
        let (cols, rows) = self.tty.size()?;
        if self.talk.screen.resize(cols, rows) {
            self.settle_at = Some((Instant::now() + STILL, false));
        }
        Ok(())
    }

    /// Waits until something is to be done: what is ready of the terminal, the signals, the connection, the log.
    fn wait(&self) -> io::Result<[PollFlags; 4]> {
        let settle = self.settle_at.map(|(at, _)| at);
        let link = self.link.due();
        let due = [self.idle_at, settle, self.name_at, self.leaving, link];
        let due = due.into_iter().flatten().min();
        // Who may not send is not asked to type more; who cannot show is not sent more.
        let mut tty = PollFlags::empty();
        tty.set(
            PollFlags::IN,
            self.link.outgoing.bytes() < UNSENT_BYTES_ENOUGH,
        );
        tty.set(PollFlags::OUT, !self.talk.screen.output().is_empty());
        let may_show = !self.talk.screen.is_full();
        let log = match &self.role {
            Role::Console { log: Some(log) } if may_show => Some((log.as_fd(), PollFlags::IN)),
            _ => None,
        };
        poll(
            [
                Some((self.tty.as_fd(), tty)),
                Some((self.signals.as_fd(), PollFlags::IN)),
                self.link.wants(may_show),
                log,
            ],
            due,
        )
    }

    fn take_signals(&mut self) -> io::Result<Option<Ended>> {
        for signal in self.signals.pending() {
            match signal {
                SIGWINCH => {}
                SIGCONT => {
                    self.tty.hold()?;
                    self.talk.screen.forget();
                }
                signal => return Ok(Some(Ended::Signal(signal))),
            }
        }
        Ok(None)
    }

    fn read_keys(&mut self, now: Instant, ready: PollFlags) -> io::Result<Vec<Key>> {
        let mut keys = Vec::new();
        let mut bytes = [0; 4096];
        if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            if let Some(n) = self.tty.read(&mut bytes)? {
                self.keys.feed(&bytes[..n], |key| keys.push(key));
            }
            self.idle_at = self.keys.patience().map(|patience| now + patience);
        } else if self.idle_at.is_some_and(|at| at <= now) {
            self.keys.idle(|key| keys.push(key));
            self.idle_at = None;
        }
        Ok(keys)
    }

    fn read_log(&mut self) {
        let talk = &mut self.talk;
        if let Role::Console { log } = &mut self.role {
            log.take_if(|log| !log.read(|line| talk.log(line)));
        }
    }

    /// Reads and writes the connection; whether its end is the client's.
    fn serve(&mut self, now: Instant, ready: PollFlags) -> Option<Ended> {
        let mut replies = Vec::new();
        let talk = &mut self.talk;
        let news = self.link.turn(ready, now, |line| match line {
            Line::Whole(line) => replies.extend(talk.hear(line)),
            Line::TooLong => talk.refuse(&format!(
                "a line of more than {LINE_BYTES_MAX} bytes came and is not shown"
            )),
        });
        for reply in replies {
            match reply {
                // All is said already; or it asks without end, and takes nothing.
                Reply::Send(_) if self.leaving.is_some() => {}
                Reply::Send(_) if self.link.outgoing.bytes() >= REPLY_BYTES_ENOUGH => {}
                Reply::Send(line) => self.link.outgoing.push(line),
                Reply::NameLater(pause) => self.name_at = Some(now + pause),
                Reply::RoomRefused => self.room_refused(),
            }
        }
        let ended = match news {
            News::None => None,
            News::Connected => {
                self.told = None;
                self.connected_at = now;
                self.talk.notice("connected again");
                let first = self.talk.session.connected();
                self.link.outgoing.push_first(&first);
                None
            }
            News::Lost(error) => self.lost(now, &error),
        };
        let is_unsettled = self.talk.session.is_unsettled();
        self.link.outgoing.hold(is_unsettled);
        ended
    }

    /// Lines that wait were meant for a room that cannot be entered any more.
    fn room_refused(&mut self) {
        let lines = self.link.outgoing.discard();
        if lines > 0 {
            self.talk.refuse(&format!(
                "not sent, since they were for another room: {lines} of your lines"
            ));
        }
        self.link.outgoing.push("/who");
    }

    fn lost(&mut self, now: Instant, error: &io::Error) -> Option<Ended> {
        if self.leaving.is_some() || self.talk.session.is_over() {
            return Some(Ended::Left);
        }
        let why = link::why(error);
        match self.role {
            Role::Console { .. } => return Some(Ended::Left),
            Role::Client { reconnect: false } => return Some(Ended::Lost(why)),
            Role::Client { reconnect: true } => {}
        }
        let stood = now.saturating_duration_since(self.connected_at);
        let pause = self.talk.session.lost(stood, fastrand::f64());
        self.name_at = None;
        self.connected_at = now + pause;
        self.link.call_at(now + pause);
        if self.told.as_ref() != Some(&why) {
            let what = match self.told {
                None => "connection lost",
                Some(_) => "not connected",
            };
            self.talk
                .refuse(&format!("{what}: {why}; trying again (Ctrl-C leaves)"));
            self.told = Some(why);
        }
        None
    }

    fn grant(&mut self, now: Instant, wish: Wish) -> io::Result<Option<Ended>> {
        match wish {
            // It would leave as soon as it has a connection again.
            Wish::Say(line) if is_quit(&line) && !self.link.is_up() => {
                return Ok(Some(Ended::Left));
            }
            Wish::Say(line) => {
                self.keep(&line);
                self.link.outgoing.push(&line);
            }
            Wish::Leave if self.leaving.is_some() || !self.link.is_up() => {
                return Ok(Some(Ended::Left));
            }
            Wish::Leave => {
                if self.talk.session.is_greeted() {
                    self.link.outgoing.push("/quit");
                }
                self.link.finish();
                self.leaving = Some(now + LEAVE);
            }
            // The server's console cannot stop without the server.
            Wish::Suspend if matches!(self.role, Role::Console { .. }) => {}
            Wish::Suspend => return self.suspend(),
        }
        Ok(None)
    }

    /// Stops, as the terminal's Ctrl-Z would have it, until SIGCONT; at once, where there is no shell to continue it.
    fn suspend(&mut self) -> io::Result<Option<Ended>> {
        self.talk.screen.leave();
        self.tty.write_all(self.talk.screen.output())?;
        self.talk.screen.written(self.talk.screen.output().len());
        self.tty.release();
        kill_process(getpid(), Signal::TSTP)?;
        self.tty.hold()?;
        // SIGCONT has come: were it found later, what is drawn by then would be forgotten.
        self.take_signals()
    }

    /// Keeps a line for the next run.
    fn keep(&mut self, line: &str) {
        if let Some(store) = &mut self.store
            && let Err(error) = store.append(line)
        {
            self.store = None;
            self.talk
                .refuse(&format!("what you type is not kept any more: {error}"));
        }
    }
}
