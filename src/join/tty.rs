//! The terminal: opened anew, raw while it is held, restored whatever happens. The only file that changes a terminal.

use super::poll::poll;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::termios::{
    OptionalActions, Termios, tcgetattr, tcgetsid, tcgetwinsize, tcsetattr, ttyname,
};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Asks for pasted texts in brackets, and takes it back.
const ENTER: &[u8] = b"\x1b[?2004h";
const LEAVE: &[u8] = b"\x1b[?2004l";
/// How long a terminal that takes nothing may keep the client.
const WRITE: Duration = Duration::from_millis(500);

/// What is restored, also by a panic before it speaks.
static HELD: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// A terminal that is held.
#[derive(Debug)]
pub struct Tty {
    file: File,
}

impl Tty {
    /// Opens standard input's terminal *anew* (not waiting is a property of what was opened, and standard input was opened
    /// by the shell, which would not like to find it changed) and holds it.
    ///
    /// # Errors
    /// It cannot be opened or changed.
    pub fn open() -> io::Result<Tty> {
        let path = ttyname(io::stdin(), Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            // It may be somebody else's, such as after su(1). Its session may open it by this name nevertheless.
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
        let tty = Tty { file };
        tty.hold()?;
        Ok(tty)
    }

    /// Makes it raw: keys come one by one, and nothing is echoed. When it is held already, somebody else may have changed
    /// it in the meantime: it is made raw again.
    ///
    /// # Errors
    /// See tcsetattr(3).
    pub fn hold(&self) -> io::Result<()> {
        let mut raw = match &*held() {
            Some((_, before)) => before.clone(),
            None => tcgetattr(&self.file)?,
        };
        held().get_or_insert((self.file.try_clone()?, raw.clone()));
        raw.make_raw();
        // After what was written, and without discarding what was typed ahead.
        tcsetattr(&self.file, OptionalActions::Drain, &raw)?;
        self.write_all(ENTER)
    }

    /// Gives it back as it was found, until it is held again.
    pub fn release(&self) {
        restore();
    }

    /// Columns and rows; 80 by 24 when the terminal does not know.
    ///
    /// # Errors
    /// It is gone.
    pub fn size(&self) -> io::Result<(usize, usize)> {
        let size = tcgetwinsize(&self.file)?;
        let or = |n: u16, otherwise| if n == 0 { otherwise } else { usize::from(n) };
        Ok((or(size.ws_col, 80), or(size.ws_row, 24)))
    }

    /// Writes all, unless the terminal takes nothing for too long.
    ///
    /// # Errors
    /// It does, or it is gone.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        write_all(&self.file, bytes)
    }

    /// Reads what was typed; `None`: nothing.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(into) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => unless_blocked(other),
        }
    }

    /// Writes what it takes; `None`: nothing.
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
    let end = Instant::now() + WRITE;
    while !bytes.is_empty() {
        match unless_blocked(file.write(bytes))? {
            Some(n) => bytes = &bytes[n..],
            None if Instant::now() < end => {
                poll([Some((file.as_fd(), PollFlags::OUT))], Some(end))?;
            }
            None => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Ok(())
}

fn held() -> MutexGuard<'static, Option<(File, Termios)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Restores the terminal, once.
fn restore() {
    let taken = held().take();
    if let Some((file, before)) = taken {
        let _ = write_all(&file, LEAVE);
        // Now, not after what was written: a terminal that takes nothing more must not keep the client.
        let _ = tcsetattr(&file, OptionalActions::Now, &before);
    }
}
