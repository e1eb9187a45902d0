//! The log: where its lines are written, on standard error or to the console. Writing never blocks and never panics;
//! lines that could not be written are counted, and the count is logged. What is logged is decided elsewhere.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::SendFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

/// Lines dropped since the start.
static DROPPED_LINES: AtomicU64 = AtomicU64::new(0);

/// How many lines have been dropped since the start, because they could not be written at once.
pub fn dropped_lines() -> u64 {
    DROPPED_LINES.load(Ordering::Relaxed)
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Format {
    /// Text, one line per message
    Text,
    /// JSON, one object per line
    Json,
}

/// What is logged, once it is.
static FILTER: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Starts logging to a duplicate of `fd`, which stays open until the process ends. Call it once.
pub fn start(level: Level, format: Format, fd: impl AsFd) {
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level));
    // A second start fails below.
    let _ = FILTER.set(handle);
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(false)
        .with_writer(Arc::new(Writer::new(fd.as_fd(), format)));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => registry.with(lines).init(),
        Format::Json => registry.with(lines.json()).init(),
    }
}

/// Changes the least severe messages that are logged.
pub fn set_level(level: Level) {
    if let Some(filter) = FILTER.get() {
        // Fails only after a panic within the log.
        let _ = filter.reload(LevelFilter::from_level(level));
    }
}

/// Writes log lines that were sent elsewhere to standard error, as many bytes as it takes without blocking.
pub fn write_to_stderr(lines: &[u8]) {
    if let Ok(stderr) = Sink::new(io::stderr().as_fd()) {
        stderr.write(lines);
    }
}

/// Writes log lines to a sink, each whole or not at all.
#[derive(Debug)]
struct Writer {
    sink: Sink,
    format: Format,
    /// Lines dropped since the last line that was written.
    dropped_lines: AtomicU64,
}

/// A descriptor, and how to write to it without blocking.
#[derive(Debug)]
enum Sink {
    /// A pipe or a terminal, opened again with `O_NONBLOCK`. The flag belongs to the open file description (open(2)), and
    /// the inherited one is shared with other programs.
    Reopened(OwnedFd),
    /// A socket, written with `MSG_DONTWAIT`.
    Socket(OwnedFd),
    /// A file or a device, where a write does not wait for a reader; or a pipe or terminal that could not be opened
    /// again. Written only when poll(2) reports it writable.
    Polled(OwnedFd),
    /// The descriptor is closed; every line is dropped.
    Closed,
}

impl Writer {
    fn new(fd: BorrowedFd<'_>, format: Format) -> Writer {
        Writer {
            sink: Sink::new(fd).unwrap_or(Sink::Closed),
            format,
            dropped_lines: AtomicU64::new(0),
        }
    }

    /// Writes one line, and before it the number of lines dropped, if there are any.
    fn write_line(&self, line: &[u8]) {
        let dropped = self.dropped_lines.swap(0, Ordering::Relaxed);
        let written = if dropped == 0 {
            self.sink.write(line)
        } else {
            let note = match self.format {
                Format::Text => format!("{dropped} log lines dropped\n"),
                Format::Json => format!(
                    "{{\"level\":\"WARN\",\"fields\":{{\"log_lines_dropped\":{dropped}}}}}\n"
                ),
            };
            self.sink.write(&[note.as_bytes(), line].concat())
        };
        if !written {
            self.dropped_lines.fetch_add(dropped + 1, Ordering::Relaxed);
            DROPPED_LINES.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl io::Write for &Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn new(fd: BorrowedFd<'_>) -> rustix::io::Result<Sink> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode);
        let duplicate = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        Ok(match kind {
            FileType::Socket => Sink::Socket(duplicate),
            FileType::Fifo | FileType::CharacterDevice => {
                reopen(fd).map_or(Sink::Polled(duplicate), Sink::Reopened)
            }
            _ => Sink::Polled(duplicate),
        })
    }

    /// Writes `line`; returns whether all of it was written. A pipe takes up to 4 KiB (`PIPE_BUF`) whole or not at all.
    fn write(&self, line: &[u8]) -> bool {
        let written = match self {
            Sink::Reopened(fd) => rustix::io::write(fd, line),
            Sink::Socket(fd) => rustix::net::send(fd, line, SendFlags::DONTWAIT),
            Sink::Polled(fd) if is_writable(fd.as_fd()) => rustix::io::write(fd, line),
            Sink::Polled(_) | Sink::Closed => return false,
        };
        written == Ok(line.len())
    }
}

/// Opens the file behind a descriptor again. Only on Linux: elsewhere opening `/dev/fd/2` duplicates the descriptor, and
/// the flags stay shared.
fn reopen(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return None;
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/dev/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn dropped_lines_are_counted_and_logged() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let writer = Writer::new(ours.as_fd(), Format::Text);
        let line = [b'x'; 1000];
        let before = dropped_lines();
        let mut lines = 0;
        while writer.dropped_lines.load(Ordering::Relaxed) < 3 {
            writer.write_line(&line);
            lines += 1;
        }
        // Other tests in this process may drop lines too.
        assert!(dropped_lines() >= before + 3);
        let mut read = vec![0; (lines - 3) * line.len()];
        theirs.read_exact(&mut read).unwrap();
        writer.write_line(b"again\n");
        drop((writer, ours));
        let mut rest = String::new();
        theirs.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "3 log lines dropped\nagain\n");
    }

    #[test]
    fn a_pipe_is_reopened_and_receives_the_line() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let writer = Writer::new(pipe.as_fd(), Format::Text);
        if cfg!(target_os = "linux") {
            assert!(matches!(writer.sink, Sink::Reopened(_)), "{writer:?}");
        }
        writer.write_line(b"into the pipe\n");
        drop((writer, pipe));
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "into the pipe\n");
    }

    #[test]
    fn a_line_to_a_closed_socket_is_dropped() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let writer = Writer::new(ours.as_fd(), Format::Text);
        drop(theirs);
        writer.write_line(b"lost\n");
        assert_eq!(writer.dropped_lines.load(Ordering::Relaxed), 1);
    }
}
