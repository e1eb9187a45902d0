//! The rig: the program on a real pty, with a model of a terminal on one side and a server on the other. One thread runs
//! all of it, so that a test decides in which order things happen. The only module here that starts processes.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

use crate::common::{DEADLINE, Launch, Scratch, Server};
use crate::fake_server::FakeServer;
use crate::model::Model;
use crate::picture::{Picture, without_blanks};

const PROGRAM: &str = env!("CARGO_BIN_EXE_madang");

/// The left arrow.
pub(crate) const LEFT: &str = "\x1b[D";

/// How often to check facts that no descriptor reports.
const TICK: Duration = Duration::from_millis(20);

/// Variables that the program reads, besides its own `MADANG_…`. No test may depend on the tester's values.
const FOREIGN: [&str; 4] = ["NO_COLOR", "COLORTERM", "XTERM_VERSION", "TMUX"];

/// Lets one test start a process at a time. A pty becomes close-on-exec only a moment after it is opened; a process started
/// in between would inherit it, and then it would never hang up.
fn lock_start() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a real server.
pub(crate) fn start_server(flags: &[&str]) -> Server {
    let _lock = lock_start();
    Launch::new(flags).start()
}

/// How to start the program.
pub(crate) struct Setup {
    command: Command,
    server: Option<FakeServer>,
    home: Rc<Scratch>,
}

impl Setup {
    /// `madang join` at a fake server of its own.
    pub(crate) fn new() -> Self {
        let server = FakeServer::new();
        let mut setup = Self::at(&server.addr().to_string());
        setup.server = Some(server);
        setup
    }

    /// `madang join ADDR`.
    pub(crate) fn at(addr: &str) -> Self {
        Self::program(&["join", addr])
    }

    /// `madang` with these arguments.
    pub(crate) fn program(arguments: &[&str]) -> Self {
        Self::of(PROGRAM.as_ref(), arguments)
    }

    /// Any program with these arguments.
    pub(crate) fn of(program: &OsStr, arguments: &[&str]) -> Self {
        let mut command = Command::new(program).args(arguments);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("MADANG_") || FOREIGN.contains(&&*name) {
                command = command.env_remove(&*name);
            }
        }
        let setup = Self {
            command: command.env("TERM", "xterm-256color"),
            server: None,
            home: Rc::new(Scratch::new()),
        };
        let home = Rc::clone(&setup.home);
        setup.home(&home)
    }

    /// With this server.
    pub(crate) fn server(mut self, server: FakeServer) -> Self {
        self.server = Some(server);
        self
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.command = self.command.args(flags);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command = self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command = self.command.env_remove(name);
        self
    }

    /// The folder of its history file, which may be used in more than one run.
    pub(crate) fn home(mut self, home: &Rc<Scratch>) -> Self {
        let path = home.path("");
        self.command = self.command.env("HOME", &path).env("XDG_STATE_HOME", &path);
        self.home = Rc::clone(home);
        self
    }

    /// Starts the program without waiting for anything.
    pub(crate) fn spawn(self, terminal: Box<dyn Model>) -> Rig {
        let _lock = lock_start();
        let (pty, child_side) = open().expect("a pty");
        let (cols, rows) = terminal.size();
        pty.resize(Size::new(rows, cols)).expect("resize");
        let child = self.command.spawn(child_side).expect(PROGRAM);
        rustix::io::ioctl_fionbio(&pty, true).expect("non-blocking");
        Rig {
            pty: Some(pty),
            child,
            server: self.server,
            terminal,
            written: Vec::new(),
            answers: 0,
            holds_answers: false,
            typing: Vec::new(),
            _home: self.home,
        }
    }

    /// Starts the program and waits until it shows the greeting, the members and its prompt.
    pub(crate) fn start(self, terminal: Box<dyn Model>) -> Rig {
        let mut rig = self.spawn(terminal);
        rig.until_shown("* you are ");
        rig.until_shown("* here in ");
        rig.until_typed("", "");
        rig
    }
}

/// The program on its terminal.
pub(crate) struct Rig {
    /// The terminal's end of the pty; `None` once it hung up.
    pty: Option<Pty>,
    child: Child,
    server: Option<FakeServer>,
    terminal: Box<dyn Model>,
    /// All bytes that the program wrote.
    written: Vec<u8>,
    /// How often the terminal answered a query.
    answers: usize,
    /// Answers are kept back, as over a slow line.
    holds_answers: bool,
    /// Keys and answers that the pty has not taken yet.
    typing: Vec<u8>,
    _home: Rc<Scratch>,
}

impl Rig {
    /// `madang join`, greeted by a fake server of its own.
    pub(crate) fn new(terminal: Box<dyn Model>) -> Self {
        Setup::new().start(terminal)
    }

    pub(crate) fn server(&mut self) -> &mut FakeServer {
        self.server.as_mut().expect("a fake server")
    }

    pub(crate) fn terminal(&self) -> &dyn Model {
        &*self.terminal
    }

    pub(crate) fn picture(&mut self) -> Picture {
        Picture::of(&mut *self.terminal)
    }

    /// All bytes that the program wrote so far.
    pub(crate) fn written(&self) -> &[u8] {
        &self.written
    }

    pub(crate) fn answers(&self) -> usize {
        self.answers
    }

    /// Keeps the terminal's answers to queries back, or lets them go.
    pub(crate) fn hold_answers(&mut self, hold: bool) {
        self.holds_answers = hold;
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types keys.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.key_bytes(keys.as_bytes());
    }

    /// Types bytes, which may end within a character.
    pub(crate) fn key_bytes(&mut self, bytes: &[u8]) {
        self.typing.extend_from_slice(bytes);
    }

    /// Types a line and goes back, so that the cursor is between these texts.
    #[track_caller]
    pub(crate) fn type_around(&mut self, before: &str, after: &str) {
        self.keys(&format!("{before}{after}"));
        self.keys(&LEFT.repeat(after.chars().count()));
        self.until_typed(before, after);
    }

    /// The server sends a line.
    pub(crate) fn send(&mut self, line: &str) {
        self.server().send(format!("{line}\n").as_bytes());
    }

    /// The window changes: first in the terminal, then in the kernel, as with real terminals.
    pub(crate) fn resize(&mut self, cols: u16, rows: u16) {
        self.terminal.resize(cols, rows);
        let pty = self.pty.as_ref().expect("not hung up");
        pty.resize(Size::new(rows, cols)).expect("resize");
    }

    /// The terminal is closed.
    pub(crate) fn hang_up(&mut self) {
        self.pty = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal");
    }

    /// Whether the terminal driver edits lines, as it does unless a program switched to raw mode.
    pub(crate) fn is_cooked(&self) -> bool {
        let pty = self.pty.as_ref().expect("not hung up");
        let modes = tcgetattr(pty).expect("a terminal's modes").local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Whether the terminal driver shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        let pty = self.pty.as_ref().expect("not hung up");
        let modes = tcgetattr(pty).expect("a terminal's modes").local_modes;
        modes.contains(LocalModes::ECHO)
    }

    /// Whether the terminal is as it was before the program.
    pub(crate) fn is_restored(&self) -> bool {
        self.is_cooked() && !self.terminal.brackets_pastes()
    }

    /// Waits until something can be done, for `most` at the longest, and does it.
    pub(crate) fn step(&mut self, most: Duration) {
        self.wait(most, true);
        self.type_and_show();
        if let Some(server) = &mut self.server {
            server.step();
        }
    }

    /// As `step`, with a stalled terminal: nothing is typed or shown.
    pub(crate) fn step_stalled(&mut self, most: Duration) {
        self.wait(most, false);
        self.server().step();
    }

    fn wait(&self, most: Duration, pty: bool) {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !self.typing.is_empty());
        let pty = self.pty.as_ref().filter(|_| pty);
        let mut fds: Vec<PollFd<'_>> = pty.map(|pty| PollFd::new(pty, flags)).into_iter().collect();
        fds.extend(self.server.as_ref().and_then(FakeServer::interest));
        let most = Timespec::try_from(most).expect("a short time");
        // After a failed wait, the step does what is possible all the same.
        let _ = poll(&mut fds, Some(&most));
    }

    fn type_and_show(&mut self) {
        let Some(mut pty) = self.pty.as_ref() else {
            return;
        };
        if let Ok(count) = pty.write(&self.typing) {
            self.typing.drain(..count);
        }
        let mut bytes = [0; 4096];
        // The read fails when no process has the other side open any more.
        while let Ok(count @ 1..) = pty.read(&mut bytes) {
            self.written.extend_from_slice(&bytes[..count]);
            self.terminal.feed(&bytes[..count]);
        }
        if self.holds_answers {
            return;
        }
        let answers = self.terminal.take_answers();
        self.answers += usize::from(!answers.is_empty());
        self.typing.extend(answers);
    }

    /// Runs for some time: a pause between keys or lines, not a wait for a result.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.step(left);
        }
    }

    /// Runs until the fact is true. Panics at the deadline.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut fact: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !fact(self) {
            let late = Instant::now() > deadline;
            assert!(!late, "deadline passed, waiting for: {what}");
            self.step(TICK);
        }
    }

    /// Runs until this text is shown above the typed line, wrapped anywhere.
    #[track_caller]
    pub(crate) fn until_shown(&mut self, line: &str) {
        let text = without_blanks(line);
        self.until(&format!("shown: {line:?}"), |rig| {
            rig.picture().text_above().contains(&text)
        });
    }

    /// Runs until the typed line is `before`, the cursor, and `after`.
    #[track_caller]
    pub(crate) fn until_typed(&mut self, before: &str, after: &str) {
        let typed = Some((without_blanks(before), without_blanks(after)));
        self.until(&format!("typed: {before:?}, {after:?}"), |rig| {
            rig.picture().typed() == typed
        });
    }

    /// Runs until the fake server has received as many lines as these, and asserts that it received these.
    #[track_caller]
    pub(crate) fn until_received(&mut self, lines: &[&str]) {
        self.until(&format!("received: {lines:?}"), |rig| {
            rig.server().received().len() >= lines.len()
        });
        assert_eq!(self.server().received(), lines);
    }

    pub(crate) fn has_exited(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_some()
    }

    /// Runs until the program exits.
    #[track_caller]
    pub(crate) fn until_exited(&mut self) -> ExitStatus {
        self.until("the program's exit", Self::has_exited);
        // The pty may still hold what the program wrote last.
        self.type_and_show();
        self.child.wait().expect("wait")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the terminal showed:\n{}", self.picture());
        }
    }
}
