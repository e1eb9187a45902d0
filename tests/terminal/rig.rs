//! The program on a real pseudo-terminal: a person's keys and window on one side, its server on the other. One thread
//! turns all of it, so that a test decides what happens between what. The only module here that starts processes.

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
use crate::host::Host;
use crate::model::Model;
use crate::picture::{Picture, squeeze};

const PROGRAM: &str = env!("CARGO_BIN_EXE_madang");

/// Facts of which no descriptor tells are asked for so often.
const TICK: Duration = Duration::from_millis(20);

/// Settings of whoever runs the tests that are not part of a test, besides the program's own.
const FOREIGN: [&str; 4] = ["NO_COLOR", "COLORTERM", "XTERM_VERSION", "TMUX"];

/// Processes are started one at a time: a pty is kept from other children only a moment after it is opened, and one
/// that somebody else holds open is never hung up.
fn alone() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A real server.
pub(crate) fn serve(flags: &[&str]) -> Server {
    let _alone = alone();
    Launch::new(flags).start()
}

/// How the program is to be started.
pub(crate) struct Setup {
    command: Command,
    host: Option<Host>,
    home: Rc<Scratch>,
}

impl Setup {
    /// `madang join` at a host of its own.
    pub(crate) fn new() -> Self {
        let host = Host::new();
        let mut setup = Self::at(&host.addr().to_string());
        setup.host = Some(host);
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
            host: None,
            home: Rc::new(Scratch::new()),
        };
        let home = Rc::clone(&setup.home);
        setup.home(&home)
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

    /// Where its history is kept, for more than one run.
    pub(crate) fn home(mut self, home: &Rc<Scratch>) -> Self {
        let path = home.path("");
        self.command = self.command.env("HOME", &path).env("XDG_STATE_HOME", &path);
        self.home = Rc::clone(home);
        self
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(self, terminal: Box<dyn Model>) -> Rig {
        let _alone = alone();
        let (pty, program_s) = open().expect("a pty");
        let (cols, rows) = terminal.size();
        pty.resize(Size::new(rows, cols)).expect("resize");
        let child = self.command.spawn(program_s).expect(PROGRAM);
        rustix::io::ioctl_fionbio(&pty, true).expect("non-blocking");
        Rig {
            pty: Some(pty),
            child,
            host: self.host,
            terminal,
            written: Vec::new(),
            answers: 0,
            typing: Vec::new(),
            _home: self.home,
        }
    }

    /// Starts it and waits until it is greeted, knows who is here, and its prompt stands.
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
    /// The terminal's end; `None` once it hung up.
    pty: Option<Pty>,
    child: Child,
    host: Option<Host>,
    terminal: Box<dyn Model>,
    /// All that the program wrote.
    written: Vec<u8>,
    /// How often the terminal typed by itself, since the program, or who speaks through it, asked it something.
    answers: usize,
    /// What has still to be typed: a terminal does not wait while it types.
    typing: Vec<u8>,
    _home: Rc<Scratch>,
}

impl Rig {
    /// `madang join`, greeted by a host of its own.
    pub(crate) fn new(terminal: Box<dyn Model>) -> Self {
        Setup::new().start(terminal)
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.host.as_mut().expect("a host of its own")
    }

    pub(crate) fn terminal(&self) -> &dyn Model {
        &*self.terminal
    }

    pub(crate) fn picture(&mut self) -> Picture {
        Picture::of(&mut *self.terminal)
    }

    /// All that the program wrote so far.
    pub(crate) fn written(&self) -> &[u8] {
        &self.written
    }

    pub(crate) fn answers(&self) -> usize {
        self.answers
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The person types so.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.key_bytes(keys.as_bytes());
    }

    /// As `keys`, wherever they are cut.
    pub(crate) fn key_bytes(&mut self, bytes: &[u8]) {
        self.typing.extend_from_slice(bytes);
    }

    /// The server says this line.
    pub(crate) fn say(&mut self, line: &str) {
        self.host().say(format!("{line}\n").as_bytes());
    }

    /// The window changes: the terminal first, then the kernel, as it is with real ones.
    pub(crate) fn resize(&mut self, cols: u16, rows: u16) {
        self.terminal.resize(cols, rows);
        let pty = self.pty.as_ref().expect("not hung up");
        pty.resize(Size::new(rows, cols)).expect("resize");
    }

    /// The terminal goes away.
    pub(crate) fn hang_up(&mut self) {
        self.pty = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal");
    }

    /// Whether lines are edited by the terminal's driver, as it is when no program does it.
    pub(crate) fn is_cooked(&self) -> bool {
        let pty = self.pty.as_ref().expect("not hung up");
        let modes = tcgetattr(pty).expect("a terminal's modes").local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// One turn of everything; it lasts until something can be done, but no longer than so.
    pub(crate) fn turn(&mut self, most: Duration) {
        self.wait(most, true);
        self.type_and_show();
        if let Some(host) = &mut self.host {
            host.turn();
        }
    }

    /// As `turn`, for a terminal that is stalled: nothing is typed or shown.
    pub(crate) fn turn_stalled(&mut self, most: Duration) {
        self.wait(most, false);
        self.host().turn();
    }

    fn wait(&self, most: Duration, pty: bool) {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !self.typing.is_empty());
        let pty = self.pty.as_ref().filter(|_| pty);
        let mut fds: Vec<PollFd<'_>> = pty.map(|pty| PollFd::new(pty, flags)).into_iter().collect();
        fds.extend(self.host.as_ref().and_then(Host::wishes));
        let most = Timespec {
            tv_sec: most.as_secs() as i64,
            tv_nsec: most.subsec_nanos().into(),
        };
        // A failed wait is a short one: what there is to do is asked anyway.
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
        // Its end is an error: no process has the other side open any more.
        while let Ok(count @ 1..) = pty.read(&mut bytes) {
            self.written.extend_from_slice(&bytes[..count]);
            self.terminal.feed(&bytes[..count]);
        }
        let answers = self.terminal.take_answers();
        self.answers += usize::from(!answers.is_empty());
        self.typing.extend(answers);
    }

    /// Lets so much time go by: not to wait for something, but as people and servers do.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left);
        }
    }

    /// Turns until it is so.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut fact: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !fact(self) {
            let late = Instant::now() > deadline;
            assert!(!late, "never came true: {what}");
            self.turn(TICK);
        }
    }

    /// Turns until this stands above the typed line, wherever it is broken.
    #[track_caller]
    pub(crate) fn until_shown(&mut self, line: &str) {
        let text = squeeze(line);
        self.until(&format!("shown: {line:?}"), |rig| {
            rig.picture().text_above().contains(&text)
        });
    }

    /// Turns until this is typed before the cursor, and that after it.
    #[track_caller]
    pub(crate) fn until_typed(&mut self, before: &str, after: &str) {
        let typed = Some((squeeze(before), squeeze(after)));
        self.until(&format!("typed: {before:?}, {after:?}"), |rig| {
            rig.picture().typed() == typed
        });
    }

    /// Turns until the host has heard so many lines, which must be these.
    #[track_caller]
    pub(crate) fn until_heard(&mut self, lines: &[&str]) {
        self.until(&format!("heard: {lines:?}"), |rig| {
            rig.host().heard().len() >= lines.len()
        });
        assert_eq!(self.host().heard(), lines);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_some()
    }

    /// Turns until the program ends by itself.
    #[track_caller]
    pub(crate) fn until_ended(&mut self) -> ExitStatus {
        self.until("the program's end", Self::has_ended);
        // What it wrote last is still on its way to the terminal.
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
