//! The server's side of the keeper: hands requests over, takes answers, and replaces a keeper that has ended, without
//! waiting. The process and its socket are in `keeper_process`; what is worth keeping is decided elsewhere.
//!
//! ```text
//!            ready                  it ends, hangs, or talks nonsense
//! STARTING ─────────▶ RUNNING ─────────────────────────────▶ ENDING
//!     ▲  └──────────────────────────────────────────────────▶  │ reaped
//!     └──────────────────────── WAITING ◀───────────────────────┘
//!            after a pause that grows
//! ```
//!
//! *What the file holds is what was acknowledged.* Only the server decides which changes those are: the answers that it
//! has read. All others stand at the end of the file, if they are in it at all. So a keeper that replaces another is told
//! the number of the last acknowledged change, and cuts the file after it before it says that it is ready. The requests
//! that were in flight are refused then, and not before: at no moment is a refused change in the file.

use super::keeper_process::{Process, start};
use crate::keeper::change::{Change, Entry};
use crate::keeper::lock::lock_folder;
use crate::keeper::message::Message;
use mio::{Registry, Token};
use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::mem;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Requests in flight; one more is refused.
pub const REQUESTS_MAX: usize = 128;
/// How long a request may take before the keeper counts as hung and is killed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a keeper that replaces another may take to read its file.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests wait for the next keeper after their own is lost.
const RESTART_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before a restart. It doubles with each one.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// After so long without trouble the pause is short again.
const STABLE: Duration = Duration::from_secs(60);
/// Pause between two looks whether a killed process has ended.
const REAP_PAUSE: Duration = Duration::from_millis(10);
/// How long the server waits at its end for its keeper.
const END_TIMEOUT: Duration = Duration::from_secs(1);
const END_PAUSE: Duration = Duration::from_millis(1);

/// The keeper, as the server sees it.
#[derive(Debug)]
pub struct Keeper {
    program: PathBuf,
    folder: PathBuf,
    /// Locked as long as this process or its keeper lives.
    lock: File,
    registration: Option<(Registry, Token)>,
    state: State,
    /// Requests without an answer, oldest first, with the time at which they came; at most [`REQUESTS_MAX`].
    in_flight: VecDeque<(u64, Instant)>,
    /// Answers that were not taken yet, one a request.
    answers: VecDeque<(u64, Result<(), String>)>,
    /// The number of the last change that was acknowledged.
    acknowledged: u64,
    /// Pause before the next restart.
    pause: Duration,
    /// When the last keeper that was running was lost.
    lost_at: Instant,
    /// Why the last keeper was lost, until another one is running.
    trouble: String,
}

#[derive(Debug)]
enum State {
    /// It reads the file and undoes what was not acknowledged.
    Starting(Process, Instant),
    /// It takes requests since then.
    Running(Process, Instant),
    /// It was killed, or has ended by itself, and is to be reaped, by a look at this time. Only then there may be another
    /// one.
    Ending(Process, Instant),
    /// The next one is started at this time.
    Waiting(Instant),
}

fn unusable(folder: &Path, error: &io::Error) -> io::Error {
    let folder = folder.display();
    io::Error::other(format!("the state folder {folder} cannot be used: {error}"))
}

impl Keeper {
    /// Locks and, if need be, creates a folder, starts the keeper, and waits until it has read everything that is kept.
    ///
    /// # Errors
    /// One line that says why this folder cannot be used.
    pub fn start(folder: &Path) -> io::Result<(Keeper, Vec<Entry>)> {
        Keeper::start_program(&own_program()?, folder)
    }

    /// The same with another program as the keeper: for tests, which are not the program themselves.
    #[doc(hidden)]
    pub fn start_program(program: &Path, folder: &Path) -> io::Result<(Keeper, Vec<Entry>)> {
        Keeper::create_folder(folder)?;
        Keeper::start_in(program, folder).map_err(|error| unusable(folder, &error))
    }

    /// Creates the folder, if it is not there.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn create_folder(folder: &Path) -> io::Result<()> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        created.map_err(|error| unusable(folder, &error))
    }

    fn start_in(program: &Path, folder: &Path) -> io::Result<(Keeper, Vec<Entry>)> {
        let folder = fs::canonicalize(folder)?;
        if fs::metadata(&folder)?.mode() & 0o022 != 0 {
            let folder = folder.display();
            tracing::warn!("other users may write to the folder {folder}, and replace the state");
        }
        let lock = lock_folder(&folder)?;
        let (process, acknowledged, entries) = start(program, &folder, &lock)?;
        let now = Instant::now();
        let keeper = Keeper {
            program: program.into(),
            folder,
            lock,
            registration: None,
            state: State::Running(process, now),
            in_flight: VecDeque::new(),
            answers: VecDeque::new(),
            acknowledged,
            pause: PAUSE_MIN,
            lost_at: now,
            trouble: String::new(),
        };
        Ok((keeper, entries))
    }

    /// Makes the poll report the keeper's socket under `token`, also that of each later keeper.
    ///
    /// # Errors
    /// The system has no memory for that.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.registration = Some((registry.try_clone()?, token));
        self.register_process()
    }

    fn register_process(&mut self) -> io::Result<()> {
        match (&mut self.state, &self.registration) {
            (State::Starting(process, _) | State::Running(process, _), Some((registry, token))) => {
                process.register(registry, *token)
            }
            _ => Ok(()),
        }
    }

    /// Asks for a change. It is answered once, under its ticket: when it is on the disk, or with why nothing has changed.
    pub fn store(&mut self, ticket: u64, change: &Change) {
        if let Err(why) = self.try_store(ticket, change) {
            self.answers.push_back((ticket, Err(why)));
        }
    }

    fn try_store(&mut self, ticket: u64, change: &Change) -> Result<(), String> {
        change.check()?;
        let State::Running(process, _) = &mut self.state else {
            let why = &self.trouble;
            return Err(format!(
                "nothing can be kept at the moment ({why}); try again"
            ));
        };
        if self.in_flight.len() >= REQUESTS_MAX {
            return Err(format!(
                "{REQUESTS_MAX} other requests are waiting for the disk; try again"
            ));
        }
        let now = Instant::now();
        self.in_flight.push_back((ticket, now));
        process.request(change);
        if let Err(error) = process.flush() {
            // It may have answered earlier requests before it ended.
            self.lose(now, &error.to_string());
        }
        Ok(())
    }

    /// An answer to a request; the text is for the operator.
    pub fn next_answer(&mut self) -> Option<(u64, Result<(), String>)> {
        self.answers.pop_front()
    }

    /// The poll has reported the keeper's socket.
    pub fn ready(&mut self) {
        let (State::Starting(process, _) | State::Running(process, _)) = &mut self.state else {
            return;
        };
        let now = Instant::now();
        if let Err(error) = process.flush() {
            return self.lose(now, &error.to_string());
        }
        if let Err(why) = self.take_messages(now) {
            self.lose(now, &why);
        }
    }

    /// When [`tick`](Keeper::tick) is to be called next, at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let oldest = self.in_flight.front().map(|&(_, since)| since);
        let next = match &self.state {
            State::Running(..) => return oldest.map(|since| since + ANSWER_TIMEOUT),
            State::Starting(_, since) => *since + START_TIMEOUT,
            State::Ending(_, at) | State::Waiting(at) => *at,
        };
        let refusal = oldest.map(|_| self.lost_at + RESTART_TIMEOUT);
        Some(refusal.map_or(next, |at| at.min(next)))
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        let oldest = self.in_flight.front().map(|&(_, since)| since);
        let is_late = match &self.state {
            State::Running(..) => oldest.is_some_and(|since| since + ANSWER_TIMEOUT <= now),
            State::Starting(_, since) => *since + START_TIMEOUT <= now,
            State::Ending(..) | State::Waiting(..) => false,
        };
        if is_late {
            self.lose(now, "it does not answer");
        }
        self.reap(now);
        self.restart(now);
        let is_running = matches!(self.state, State::Running(..));
        if oldest.is_some() && !is_running && self.lost_at + RESTART_TIMEOUT <= now {
            let why = format!(
                "the keeper ended and cannot be started again ({}); what it may have written is undone when it can",
                self.trouble
            );
            self.refuse_all(&why);
        }
    }

    /// The process id of the keeper.
    #[doc(hidden)]
    pub fn process_id(&self) -> Option<u32> {
        match &self.state {
            State::Starting(process, _)
            | State::Running(process, _)
            | State::Ending(process, _) => Some(process.id()),
            State::Waiting(_) => None,
        }
    }

    /// Handles all messages that have come. An error is why this keeper is of no more use.
    fn take_messages(&mut self, now: Instant) -> Result<(), String> {
        let (State::Starting(process, _) | State::Running(process, _)) = &mut self.state else {
            return Ok(());
        };
        // What a keeper said before it ended comes before its end.
        let (messages, ended) = process.read();
        for message in messages {
            self.handle(now, message)?;
        }
        ended.map_or(Ok(()), Err)
    }

    fn handle(&mut self, now: Instant, message: Message) -> Result<(), String> {
        match (message, &self.state) {
            (Message::Note(text), _) => tracing::warn!("{text}"),
            (Message::Failed(why), _) => return Err(why),
            (Message::Ready(number), State::Starting(..)) if number == self.acknowledged => {
                self.has_started(now);
            }
            (Message::Done(number), State::Running(..)) if number == self.acknowledged + 1 => {
                let (ticket, _) = self.in_flight.pop_front().ok_or("it answers unasked")?;
                self.acknowledged = number;
                self.answers.push_back((ticket, Ok(())));
            }
            (Message::Refused(why), State::Running(..)) => {
                let (ticket, _) = self.in_flight.pop_front().ok_or("it answers unasked")?;
                self.answers.push_back((ticket, Err(why)));
            }
            (message, _) => return Err(format!("it says {message:?} out of turn")),
        }
        Ok(())
    }

    /// The new keeper has undone whatever the last one had not acknowledged.
    fn has_started(&mut self, now: Instant) {
        self.refuse_all("the keeper ended before it was done, and nothing has changed; try again");
        self.trouble.clear();
        self.state = match mem::replace(&mut self.state, State::Waiting(now)) {
            State::Starting(process, _) => State::Running(process, now),
            other => other,
        };
        tracing::info!(process = self.process_id(), "the keeper is running again");
    }

    fn refuse_all(&mut self, why: &str) {
        let tickets = self.in_flight.drain(..);
        let refused = tickets.map(|(ticket, _)| (ticket, Err(why.to_owned())));
        self.answers.extend(refused);
    }

    /// Gives up a keeper, with all that it has not acknowledged. It is killed, since two must never write.
    fn lose(&mut self, now: Instant, why: &str) {
        if matches!(self.state, State::Running(..)) {
            // What it has answered before it ended counts. Another error of it changes nothing.
            let _ = self.take_messages(now);
            self.lost_at = now;
        }
        tracing::error!(process = self.process_id(), "the keeper is lost: {why}");
        why.clone_into(&mut self.trouble);
        self.state = match mem::replace(&mut self.state, State::Waiting(now)) {
            State::Running(process, since) => {
                if since + STABLE <= now {
                    self.pause = PAUSE_MIN;
                }
                State::Ending(process.killed(), now)
            }
            State::Starting(process, _) => State::Ending(process.killed(), now),
            other => other,
        };
    }

    /// Looks whether a process has ended, and reaps it.
    fn reap(&mut self, now: Instant) {
        let State::Ending(process, look_at) = &mut self.state else {
            return;
        };
        if *look_at > now {
            return;
        }
        match process.status() {
            None => *look_at = now + REAP_PAUSE,
            Some(status) => {
                tracing::info!("the keeper has ended: {status}");
                self.pause_restart(now);
            }
        }
    }

    fn pause_restart(&mut self, now: Instant) {
        self.state = State::Waiting(now + self.pause);
        self.pause = (2 * self.pause).min(PAUSE_MAX);
    }

    /// Starts the next keeper when it is time.
    fn restart(&mut self, now: Instant) {
        match self.state {
            State::Waiting(until) if until <= now => {}
            _ => return,
        }
        let acknowledged = Some(self.acknowledged);
        match Process::spawn(&self.program, &self.folder, &self.lock, acknowledged) {
            Ok(process) => {
                self.state = State::Starting(process, now);
                if let Err(error) = self.register_process() {
                    self.lose(now, &error.to_string());
                }
            }
            Err(error) => {
                self.trouble = format!("it cannot be started: {error}");
                tracing::error!("the keeper is lost: {}", self.trouble);
                self.pause_restart(now);
            }
        }
    }
}

/// Closes the socket, which ends the keeper, and waits for that, so that the folder is free and no process is left. One that
/// hangs is left to the system.
impl Drop for Keeper {
    fn drop(&mut self) {
        let mut process = match mem::replace(&mut self.state, State::Waiting(self.lost_at)) {
            State::Starting(process, _) | State::Running(process, _) => process,
            State::Ending(process, _) => process,
            State::Waiting(_) => return,
        };
        process.close();
        let deadline = Instant::now() + END_TIMEOUT;
        while process.status().is_none() && Instant::now() < deadline {
            thread::sleep(END_PAUSE);
        }
    }
}

/// The program of this process, also when another version has been installed over it meanwhile.
fn own_program() -> io::Result<PathBuf> {
    match cfg!(any(target_os = "linux", target_os = "android")) {
        true => Ok("/proc/self/exe".into()),
        false => std::env::current_exe(),
    }
}
