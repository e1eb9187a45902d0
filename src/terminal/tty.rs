//! The terminal: in raw mode while the program uses it, restored however the program ends. No other file changes a terminal.
//!
//! A process in the background must not touch it: the modes are the shell's then, and a change of them stops the process
//! (SIGTTOU, termios(3)). Nothing reports that a running process has come into the foreground, so the program looks.

use super::poll::poll;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetsid, tcgetwinsize, tcsetattr,
    ttyname,
};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For typing lines: bracketed paste (xterm's ctlseqs).
pub const LINES: Modes = Modes {
    on: b"\x1b[?2004h",
    off: b"\x1b[?2004l",
};
/// For tables that are drawn again and again: the alternate screen, without a cursor, and rows that do not wrap.
pub const SCREEN: Modes = Modes {
    on: b"\x1b[?1049h\x1b[?25l\x1b[?7l",
    off: b"\x1b[?7h\x1b[?25h\x1b[?1049l",
};
/// How long to go on writing to a terminal that takes too little.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a terminal may take to answer a query.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a program in the background looks whether it has come into the foreground.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The terminal in raw mode. Static, so that the panic hook can restore it.
static RAW: Mutex<Option<Raw>> = Mutex::new(None);

/// What a terminal does for the program beside raw mode: the sequences that begin and end it.
#[derive(Clone, Copy, Debug)]
pub struct Modes {
    on: &'static [u8],
    off: &'static [u8],
}

/// A terminal in raw mode.
struct Raw {
    file: File,
    /// Its settings before.
    before: Termios,
    modes: Modes,
}

/// The terminal of standard input.
#[derive(Debug)]
pub struct Tty {
    file: File,
    modes: Modes,
    /// The terminal is in raw mode, and this process in its foreground, as far as is known.
    is_taken: bool,
}

impl Tty {
    /// Opens standard input's terminal again, and makes it raw if this process is in its foreground. `O_NONBLOCK` belongs to
    /// an open file: set on standard input itself, it would change the shell's.
    ///
    /// # Errors
    /// The terminal cannot be opened or changed.
    pub fn open(modes: Modes) -> io::Result<Tty> {
        let path = ttyname(io::stdin(), Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            // It may belong to another user, as after su(1). Its session can still open it as /dev/tty.
            Err(_) if tcgetsid(io::stdin()).is_ok() => {
                rustix::fs::open("/dev/tty", flags, Mode::empty())?
            }
            file => file?,
        };
        let file = File::from(file);
        let inner = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            inner(panic);
        }));
        let mut tty = Tty {
            file,
            modes,
            is_taken: false,
        };
        tty.follow_foreground()?;
        Ok(tty)
    }

    /// Whether the program may use the terminal now.
    pub fn is_taken(&self) -> bool {
        self.is_taken
    }

    /// When to call [`Tty::follow_foreground`] again at the latest.
    pub fn look_again_at(&self) -> Option<Instant> {
        (!self.is_taken).then(|| Instant::now() + LOOK_INTERVAL)
    }

    /// Takes the terminal if this process has come into its foreground; leaves it alone in the background. Returns whether
    /// the terminal was taken before and is not any more.
    ///
    /// # Errors
    /// See tcsetattr(3).
    pub fn follow_foreground(&mut self) -> io::Result<bool> {
        let was_taken = self.is_taken;
        let is_foreground = is_foreground(&self.file);
        if is_foreground && !was_taken {
            self.make_raw()?;
        }
        self.is_taken = is_foreground;
        Ok(was_taken && !is_foreground)
    }

    /// This process was stopped: another program may have used and changed the terminal.
    pub fn was_stopped(&mut self) {
        self.is_taken = false;
    }

    /// Makes the terminal raw: keys come one by one and are not echoed. Does so again if it is raw already.
    fn make_raw(&self) -> io::Result<()> {
        let mut raw = match &*lock() {
            Some(raw) => raw.before.clone(),
            None => tcgetattr(&self.file)?,
        };
        lock().get_or_insert(Raw {
            file: self.file.try_clone()?,
            before: raw.clone(),
            modes: self.modes,
        });
        raw.make_raw();
        // `Drain`: after pending output, and without discarding keys typed ahead.
        tcsetattr(&self.file, OptionalActions::Drain, &raw)?;
        self.write_all(self.modes.on)
    }

    /// Reads and hands over what comes, as long as an answer to a query is due: otherwise a shell would take it for typed
    /// text. Keys that are typed meanwhile are lost.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn read_answers(
        &self,
        mut is_due: bool,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<()> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut bytes = [0; 4096];
        while is_due && Instant::now() < deadline {
            poll([Some((self.as_fd(), PollFlags::IN))], Some(deadline))?;
            if let Some(read) = self.read(&mut bytes)? {
                is_due = take(&bytes[..read]);
            }
        }
        Ok(())
    }

    /// Restores the settings of before, until [`Tty::follow_foreground`].
    pub fn restore(&mut self) {
        restore();
        self.is_taken = false;
    }

    /// Columns and rows; 80 by 24 where the terminal does not report them.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn size(&self) -> io::Result<(usize, usize)> {
        let size = tcgetwinsize(&self.file)?;
        let or = |n: u16, otherwise| if n == 0 { otherwise } else { usize::from(n) };
        Ok((or(size.ws_col, 80), or(size.ws_row, 24)))
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// The terminal has not taken them within 500 ms, or is gone.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        write_all(&self.file, bytes)
    }

    /// Reads keys without blocking; `None`: there are none.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(into) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => unless_blocked(other),
        }
    }

    /// Writes what the terminal takes without blocking; `None`: nothing.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn write(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        unless_blocked((&self.file).write(bytes))
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        restore();
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Standard input's terminal does not echo what is typed, only the end of each line. Dropping this restores what was before.
#[derive(Debug)]
pub struct Unseen {
    before: Termios,
}

impl Unseen {
    /// `None`: standard input is no terminal, or this process is not in its foreground.
    pub fn begin() -> Option<Unseen> {
        if !is_foreground(io::stdin()) {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        unseen.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Now, &unseen).ok()?;
        Some(Unseen { before })
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if is_foreground(io::stdin()) {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

fn write_all(mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + WRITE_TIMEOUT;
    while !bytes.is_empty() {
        match unless_blocked(file.write(bytes))? {
            Some(n) => bytes = &bytes[n..],
            None if Instant::now() < deadline => {
                poll([Some((file.as_fd(), PollFlags::OUT))], Some(deadline))?;
            }
            None => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Ok(())
}

fn lock() -> MutexGuard<'static, Option<Raw>> {
    RAW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process is in the terminal's foreground. Without job control there is nothing else.
fn is_foreground(file: impl AsFd) -> bool {
    tcgetpgrp(file).map_or(true, |group| group == getpgrp())
}

/// Restores the terminal if it is raw, and this process is in its foreground.
fn restore() {
    let taken = lock().take();
    if let Some(raw) = taken.filter(|raw| is_foreground(&raw.file)) {
        let _ = write_all(&raw.file, raw.modes.off);
        // `Now`, not after pending output: a stalled terminal must not delay the program's exit.
        let _ = tcsetattr(&raw.file, OptionalActions::Now, &raw.before);
    }
}
