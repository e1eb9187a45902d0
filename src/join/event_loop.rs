//! The event loop of the client on a terminal: waits for the keyboard, the server, signals and timers, and passes each
//! event to the part that it concerns. What a key or a line means is decided in the user interface, what the end of a
//! connection means in `conversation`.

mod conversation;

use super::clock::time_of_day;
use super::connection::Connection;
use super::ended::Ended;
use super::history_file::HistoryFile;
use super::role::Role;
use super::ui::keys::{Key, KeyDecoder};
use super::ui::{Action, Ui, is_quit};
use crate::hub::input::command::without_secret;
use crate::terminal::poll::poll;
use crate::terminal::signals::Signals;
use crate::terminal::tty::{ANSWER_TIMEOUT, Tty};
use rustix::event::PollFlags;
use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A window that has not changed for so long has stopped changing: tmux reports a change up to 250 ms late.
const RESIZE_PAUSE: Duration = Duration::from_millis(300);
/// How long to wait, when the user leaves, for a server that neither takes bytes nor closes the connection.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes waiting for the server at which no more keys are read. Much more than a paste, because Ctrl-C is a key too.
const UNSENT_BYTES_MAX: usize = 16 << 20;
/// Bytes waiting for the server at which its lines are not answered any more.
const UNSENT_BYTES_TO_ANSWER: usize = 1 << 20;

/// What to do next about a window that is changing.
#[derive(Clone, Copy, Debug)]
enum Resize {
    AskCursor,
    StopWaiting,
}

/// The client on a terminal.
#[derive(Debug)]
pub struct EventLoop {
    tty: Tty,
    ui: Ui,
    connection: Connection,
    role: Role,
    signals: Signals,
    history_file: Option<HistoryFile>,
    keys: KeyDecoder,
    /// When an incomplete key times out.
    key_timeout: Option<Instant>,
    resize: Option<(Instant, Resize)>,
    /// When the connection was made, or when the next attempt begins.
    connected_at: Instant,
    /// A server has greeted the client on some connection.
    was_greeted: bool,
    /// The name was requested again, and is not answered yet.
    is_retrying: bool,
    /// Nothing is attempted before the user presses a key.
    waits_for_key: bool,
    /// When to request the wanted name again.
    name_retry_at: Option<Instant>,
    /// The user has left: when the client ends at the latest.
    leave_by: Option<Instant>,
    /// The connection error that was shown last; `None` while connected.
    shown_error: Option<String>,
    /// The name whose token was kept last.
    token_name: Option<String>,
}

impl EventLoop {
    /// Registers the signals.
    ///
    /// # Errors
    /// See socketpair(2) and sigaction(2).
    pub fn new(
        tty: Tty,
        ui: Ui,
        connection: Connection,
        role: Role,
        history_file: Option<HistoryFile>,
    ) -> io::Result<EventLoop> {
        let signals: &[i32] = match role {
            Role::Client { .. } => &[SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT],
            Role::Console { .. } => &[SIGQUIT, SIGWINCH, SIGCONT],
        };
        Ok(EventLoop {
            tty,
            ui,
            connection,
            role,
            signals: Signals::new(signals)?,
            history_file,
            keys: KeyDecoder::default(),
            key_timeout: None,
            resize: None,
            connected_at: Instant::now(),
            was_greeted: false,
            is_retrying: false,
            waits_for_key: false,
            name_retry_at: None,
            leave_by: None,
            shown_error: None,
            token_name: None,
        })
    }

    /// Runs until the user leaves, the connection is lost for good, or a signal comes. Restores the terminal.
    pub fn run(mut self) -> Ended {
        let setup = self.ui.session.connected();
        self.connection.queue.push_setup(&setup);
        self.connection.queue.hold(true);
        let ended = loop {
            match self.run_once() {
                Ok(None) => {}
                Ok(Some(ended)) => break ended,
                // The terminal is gone.
                Err(_) => break Ended::Signal(SIGHUP),
            }
        };
        if let Role::Console { log: Some(log) } = &mut self.role
            && let Some(rest) = log.take_partial()
        {
            self.ui.server_log(rest);
        }
        if let Some(typed) = self.ui.close() {
            self.save(&typed);
        }
        let _ = self.give_back();
        match (ended, self.connection.queue.lines()) {
            (Ended::Left, lines @ 1..) => Ended::Unsent(lines),
            (ended, _) => ended,
        }
    }

    /// Waits once and handles what is ready. Returns how the client ends, if it does. Errors are the terminal's.
    fn run_once(&mut self) -> io::Result<Option<Ended>> {
        self.show()?;
        let [tty, signals, socket, log] = self.wait()?;
        let now = Instant::now();
        self.ui.set_time(time_of_day);
        if !signals.is_empty()
            && let Some(ended) = self.handle_signals()
        {
            return Ok(Some(ended));
        }
        self.follow_foreground()?;
        // The size must be known before any other event is handled, and SIGWINCH may come late.
        self.update_size()?;
        for key in self.read_keys(now, tty)? {
            self.return_for(&key, now);
            if let Some(action) = self.ui.key(key)
                && let Some(ended) = self.perform(now, action)?
            {
                return Ok(Some(ended));
            }
        }
        if !log.is_empty() {
            self.read_log();
        }
        if self.name_retry_at.is_some_and(|at| at <= now) {
            self.name_retry_at = None;
            if let Some(line) = self.ui.session.name_request() {
                self.connection.queue.ask(&line);
                self.is_retrying = true;
            }
        }
        let unsent = self.connection.queue.bytes();
        if let Some(ended) = self.handle_connection(now, socket) {
            return Ok(Some(ended));
        }
        if let Some(deadline) = &mut self.leave_by {
            if self.connection.queue.bytes() < unsent {
                *deadline = now + LEAVE_TIMEOUT;
            }
            if *deadline <= now {
                return Ok(Some(Ended::Left));
            }
        }
        Ok(None)
    }

    /// Takes the terminal in the foreground, leaves it alone in the background.
    fn follow_foreground(&mut self) -> io::Result<()> {
        if self.tty.follow_foreground()? {
            self.ui.screen.invalidate();
        }
        Ok(())
    }

    /// Writes what is to be shown, as much as the terminal takes. In the background all of it waits.
    fn show(&mut self) -> io::Result<()> {
        self.follow_foreground()?;
        if !self.tty.is_taken() {
            return Ok(());
        }
        self.update_size()?;
        match self.resize {
            _ if !self.ui.screen.is_resizing() => self.resize = None,
            Some((at, step)) if at <= Instant::now() => match step {
                Resize::AskCursor => {
                    self.ui.screen.ask_cursor();
                    self.resize = Some((Instant::now() + ANSWER_TIMEOUT, Resize::StopWaiting));
                }
                Resize::StopWaiting => self.ui.screen.no_answer(),
            },
            _ => {}
        }
        self.ui.draw();
        if let Some(n) = self.tty.write(self.ui.screen.output())? {
            self.ui.screen.written(n);
        }
        Ok(())
    }

    fn update_size(&mut self) -> io::Result<()> {
        let (cols, rows) = self.tty.size()?;
        if self.ui.screen.resize(cols, rows) {
            self.resize = Some((Instant::now() + RESIZE_PAUSE, Resize::AskCursor));
        }
        Ok(())
    }

    /// Waits for an event. Returns what the terminal, the signals, the connection and the log are ready for.
    fn wait(&self) -> io::Result<[PollFlags; 4]> {
        let timers = [self.key_timeout, self.name_retry_at, self.leave_by];
        let others = [self.resize.map(|(at, _)| at), self.connection.deadline()];
        let greeting = [self.greeted_by()];
        let others = others.into_iter().chain([self.tty.look_again_at()]);
        let deadline = timers.into_iter().chain(others).chain(greeting);
        let deadline = deadline.flatten().min();
        // Back-pressure both ways: no keys while too much is unsent, no lines while too much is not shown.
        let may_type = self.connection.queue.bytes() < UNSENT_BYTES_MAX;
        let may_show = !self.ui.screen.is_full();
        let mut tty = PollFlags::empty();
        if self.tty.is_taken() {
            tty.set(PollFlags::IN, may_type);
            tty.set(PollFlags::OUT, !self.ui.screen.output().is_empty());
        }
        let log = match &self.role {
            Role::Console { log: Some(log) } if may_show => Some((log.as_fd(), PollFlags::IN)),
            _ => None,
        };
        let tty = Some((self.tty.as_fd(), tty));
        let signals = Some((self.signals.as_fd(), PollFlags::IN));
        let socket = self.connection.interest(may_show);
        poll([tty, signals, socket, log], deadline)
    }

    fn handle_signals(&mut self) -> Option<Ended> {
        for signal in self.signals.pending() {
            match signal {
                SIGWINCH => {}
                SIGCONT => {
                    self.tty.was_stopped();
                    self.ui.screen.invalidate();
                }
                signal => return Some(Ended::Signal(signal)),
            }
        }
        None
    }

    fn read_keys(&mut self, now: Instant, ready: PollFlags) -> io::Result<Vec<Key>> {
        let mut bytes = [0; 4096];
        // Reading in the background would stop this process (SIGTTIN), unless the terminal is gone.
        let is_gone = ready.intersects(PollFlags::HUP | PollFlags::ERR);
        if is_gone || (self.tty.is_taken() && ready.contains(PollFlags::IN)) {
            let read = self.tty.read(&mut bytes)?.unwrap_or(0);
            let keys = self.keys.feed(&bytes[..read]);
            self.key_timeout = self.keys.timeout().map(|timeout| now + timeout);
            return Ok(keys);
        }
        let timed_out = self.key_timeout.take_if(|at| *at <= now);
        Ok(timed_out.map_or_else(Vec::new, |_| self.keys.time_out()))
    }

    fn read_log(&mut self) {
        let ui = &mut self.ui;
        if let Role::Console { log } = &mut self.role {
            log.take_if(|log| !log.read(|line| ui.server_log(line)));
        }
    }

    fn perform(&mut self, now: Instant, action: Action) -> io::Result<Option<Ended>> {
        match action {
            // Without a connection there is nobody to send `/quit` to.
            Action::Send(line) if is_quit(&line) && !self.connection.is_connected() => {
                return Ok(Some(Ended::Left));
            }
            Action::Send(line) => {
                self.save(&line);
                self.ui.session.sent(&line);
                self.connection.queue.push(&line);
            }
            Action::Password(password) => {
                self.connection.queue.push_password(&password.line());
                self.ui.session.set_password(password);
            }
            Action::Leave if self.leave_by.is_some() || !self.connection.is_connected() => {
                return Ok(Some(Ended::Left));
            }
            // Nothing can be sent before the greeting.
            Action::Leave
                if !self.ui.session.is_greeted() && self.connection.queue.lines() == 0 =>
            {
                return Ok(Some(Ended::Left));
            }
            Action::Leave => {
                if self.ui.session.is_greeted() {
                    self.connection.queue.push("/quit");
                }
                self.connection.finish();
                self.leave_by = Some(now + LEAVE_TIMEOUT);
            }
            // Suspending the console would suspend the server.
            Action::Suspend if matches!(self.role, Role::Console { .. }) => {}
            Action::Suspend => return self.suspend(),
        }
        Ok(None)
    }

    /// Suspends this process until SIGCONT. Where no shell could continue it, the kernel ignores the request.
    fn suspend(&mut self) -> io::Result<Option<Ended>> {
        self.ui.screen.remove_area();
        self.give_back()?;
        kill_process(getpid(), Signal::TSTP)?;
        // Handles SIGCONT before anything is drawn: it makes the screen forget what is drawn.
        Ok(self.handle_signals())
    }

    /// Writes what is left to be shown, and restores the terminal. In the background neither.
    fn give_back(&mut self) -> io::Result<()> {
        if !self.tty.is_taken() {
            return Ok(());
        }
        let (keys, screen) = (&mut self.keys, &mut self.ui.screen);
        self.tty.write_all(screen.output())?;
        screen.written(screen.output().len());
        self.tty.read_answers(screen.is_answer_due(), |bytes| {
            for key in keys.feed(bytes) {
                if let Key::CursorAt(_, column) = key {
                    screen.cursor_at(column);
                }
            }
            screen.is_answer_due()
        })?;
        self.tty.restore();
        Ok(())
    }

    /// Saves a typed line for the next run, unless it has a secret.
    fn save(&mut self, line: &str) {
        if without_secret(line).is_some() {
            return;
        }
        if let Some(file) = &mut self.history_file
            && let Err(error) = file.append(line)
        {
            self.history_file = None;
            let message = format!("typed lines are no longer saved: {error}");
            self.ui.error(&message);
        }
    }
}
