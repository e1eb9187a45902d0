//! The log, on standard error or wherever else it is sent: never waits, never panics, counts what it could not write and
//! says so. Decides nothing about what is logged.

use crate::cli::{LogFormat, LogLevel};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::SendFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Sends everything that is logged from now on to `to`, of which it keeps a duplicate: whoever reads at the other end of
/// a pipe or a socket comes to its end with the process. To be called once.
pub fn start(level: LogLevel, format: LogFormat, to: impl AsFd) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let journal = Journal::new(to.as_fd(), format);
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(false)
        .with_writer(journal);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Writes to standard error what is left of a log that went elsewhere: as much as it takes without waiting.
pub fn pass_on(log: &[u8]) {
    if let Ok(stderr) = Sink::of(io::stderr().as_fd()) {
        stderr.write(log);
    }
}

/// Where log lines go, each whole or not at all.
#[derive(Debug)]
struct Journal {
    to: Sink,
    format: LogFormat,
    /// Lines that could not be written since the last that could.
    dropped_lines: AtomicU64,
}

/// How something can be written to without waiting.
#[derive(Debug)]
enum Sink {
    /// A pipe or a terminal, opened anew: not waiting is a property of the opening, and the one that was inherited is
    /// shared with other programs.
    Reopened(OwnedFd),
    /// A socket.
    Socket(OwnedFd),
    /// A file or a device, where writing never waits for anybody; or what could not be opened anew, after a look
    /// whether there is place.
    Shared(OwnedFd),
    /// It is closed.
    Nowhere,
}

impl Journal {
    fn new(to: BorrowedFd<'_>, format: LogFormat) -> Journal {
        Journal {
            to: Sink::of(to).unwrap_or(Sink::Nowhere),
            format,
            dropped_lines: AtomicU64::new(0),
        }
    }

    /// Writes one line, after the number of those that were dropped before it, if any were.
    fn write_line(&self, line: &[u8]) {
        let dropped = self.dropped_lines.load(Ordering::Relaxed);
        let written = if dropped == 0 {
            self.to.write(line)
        } else {
            let note = match self.format {
                LogFormat::Text => format!("{dropped} log lines dropped\n"),
                LogFormat::Json => format!(
                    "{{\"level\":\"WARN\",\"fields\":{{\"log_lines_dropped\":{dropped}}}}}\n"
                ),
            };
            self.to.write(&[note.as_bytes(), line].concat())
        };
        if written {
            self.dropped_lines.store(0, Ordering::Relaxed);
        } else {
            self.dropped_lines.store(dropped + 1, Ordering::Relaxed);
        }
    }
}

impl Sink {
    fn of(to: BorrowedFd<'_>) -> rustix::io::Result<Sink> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(to)?.st_mode);
        let own = rustix::io::fcntl_dupfd_cloexec(to, 3)?;
        Ok(match kind {
            FileType::Socket => Sink::Socket(own),
            FileType::Fifo | FileType::CharacterDevice => {
                reopen(to).map_or(Sink::Shared(own), Sink::Reopened)
            }
            _ => Sink::Shared(own),
        })
    }

    /// Writes a line whole; returns whether it did. A line of up to 4 KiB (`PIPE_BUF`) is never cut by a pipe.
    fn write(&self, line: &[u8]) -> bool {
        let written = match self {
            Sink::Reopened(fd) => rustix::io::write(fd, line),
            Sink::Socket(fd) => rustix::net::send(fd, line, SendFlags::DONTWAIT),
            Sink::Shared(fd) if has_place(fd.as_fd()) => rustix::io::write(fd, line),
            Sink::Shared(_) | Sink::Nowhere => return false,
        };
        written == Ok(line.len())
    }
}

/// What a descriptor stands for, opened anew. Only Linux does that: elsewhere opening `/dev/fd/2` duplicates what was
/// inherited.
fn reopen(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return None;
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/dev/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

fn has_place(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// One log line on its way.
struct LineWriter<'a>(&'a Journal);

impl io::Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_told() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let journal = Journal::new(ours.as_fd(), LogFormat::Text);
        let line = [b'x'; 1000];
        let mut written = 0;
        while journal.dropped_lines.load(Ordering::Relaxed) < 3 {
            journal.write_line(&line);
            written += 1;
        }
        let mut read = vec![0; (written - 3) * line.len()];
        theirs.read_exact(&mut read).unwrap();
        journal.write_line(b"again\n");
        drop((journal, ours));
        let mut rest = String::new();
        theirs.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "3 log lines dropped\nagain\n");
    }

    #[test]
    fn what_is_written_to_is_what_was_given() {
        let (mut theirs, ours) = std::io::pipe().unwrap();
        let journal = Journal::new(ours.as_fd(), LogFormat::Text);
        if cfg!(target_os = "linux") {
            assert!(matches!(journal.to, Sink::Reopened(_)), "{:?}", journal.to);
        }
        journal.write_line(b"into the pipe\n");
        drop((journal, ours));
        let mut read = String::new();
        theirs.read_to_string(&mut read).unwrap();
        assert_eq!(read, "into the pipe\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_fault() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let journal = Journal::new(ours.as_fd(), LogFormat::Text);
        drop(theirs);
        journal.write_line(b"nobody hears this\n");
        assert_eq!(journal.dropped_lines.load(Ordering::Relaxed), 1);
    }
}
