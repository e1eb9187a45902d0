//! One keeper process and the socket to it: spawned, spoken to without waiting, killed, reaped. Decides nothing.

use super::systemd::VARIABLES;
use crate::keeper::change::{Change, Entry};
use crate::keeper::message::Message;
use crate::keeper::record::LINE_BYTES_MAX;
use mio::net::UnixStream as Socket;
use mio::{Interest, Registry, Token};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long the server waits, before it serves, for each part of what is kept.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes read at a time.
const READ_BYTES: usize = 4096;
/// Reads in a call: more than all answers that there can be.
const READS_MAX: usize = 256;

/// A process and the socket to it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    socket: Socket,
    /// The start of a message: at most [`LINE_BYTES_MAX`] and one read.
    input: Vec<u8>,
    /// What the socket has not taken yet: at most all requests in flight.
    output: Vec<u8>,
}

/// Starts the first keeper of a server, and waits until it has read its file: the number of the last change, and all
/// entries.
pub(super) fn start(
    program: &Path,
    folder: &Path,
    lock: &File,
) -> io::Result<(Process, u64, Vec<Entry>)> {
    let (mut child, socket) = spawn(program, folder, lock, None)?;
    let read = read_entries(&socket).and_then(|read| {
        socket.set_read_timeout(None)?;
        socket.set_nonblocking(true)?;
        Ok(read)
    });
    match read {
        Ok((number, entries)) => Ok((Process::new(child, socket), number, entries)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

impl Process {
    fn new(child: Child, socket: UnixStream) -> Process {
        Process {
            child,
            socket: Socket::from_std(socket),
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Starts a keeper, which undoes what comes after the change of this number. It says so later.
    pub(super) fn spawn(
        program: &Path,
        folder: &Path,
        lock: &File,
        acknowledged: Option<u64>,
    ) -> io::Result<Process> {
        let (child, socket) = spawn(program, folder, lock, acknowledged)?;
        socket.set_nonblocking(true)?;
        Ok(Process::new(child, socket))
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes the poll report the socket, both ways, by edges.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut self.socket, token, both)
    }

    /// Notes a request, to be [flushed](Process::flush).
    pub(super) fn request(&mut self, change: &Change) {
        let mut line = String::new();
        change.write(&mut line);
        line.push('\n');
        self.output.extend_from_slice(line.as_bytes());
    }

    /// Writes as much as the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(n) => drop(self.output.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads all messages that have come, and then why no more will come, if that is so.
    pub(super) fn read(&mut self) -> (Vec<Message>, Option<String>) {
        let mut messages = Vec::new();
        let mut chunk = [0; READ_BYTES];
        for _ in 0..READS_MAX {
            match self.socket.read(&mut chunk) {
                Ok(0) => return (messages, Some("it has ended".into())),
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (messages, None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return (messages, Some(error.to_string())),
            }
            while let Some(end) = memchr::memchr(b'\n', &self.input) {
                let Some(message) = Message::parse(&self.input[..end]) else {
                    return (messages, Some("it does not speak as a keeper does".into()));
                };
                messages.push(message);
                self.input.drain(..=end);
            }
            if self.input.len() > LINE_BYTES_MAX {
                break;
            }
        }
        (messages, Some("it says too much".into()))
    }

    /// The same process, which ends now, whatever it does.
    pub(super) fn killed(mut self) -> Process {
        // It may have ended.
        let _ = self.child.kill();
        self
    }

    /// Closes the socket, so that the keeper ends when it has done what it is doing.
    pub(super) fn close(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// How the process has ended; reaps it.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        // An error would mean that somebody else has reaped it.
        self.child.try_wait().unwrap_or(Some(ExitStatus::default()))
    }
}

/// Spawns `madang keeper FOLDER` with a socket as its standard input, the lock as its standard output, and nothing else that
/// is open here. It is in a process group of its own, so that Ctrl-C at a terminal does not reach it.
fn spawn(
    program: &Path,
    folder: &Path,
    lock: &File,
    acknowledged: Option<u64>,
) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(program);
    command.arg0("madang").arg("keeper").arg(folder);
    if let Some(number) = acknowledged {
        command.arg("--acknowledged").arg(number.to_string());
    }
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::from(lock.try_clone()?))
        .process_group(0);
    Ok((command.spawn()?, ours))
}

/// Reads what a keeper says at its start. Blocks.
fn read_entries(socket: &UnixStream) -> io::Result<(u64, Vec<Entry>)> {
    socket.set_read_timeout(Some(READ_TIMEOUT))?;
    // Nothing comes after `Ready`, so nothing is left in the buffer.
    let mut lines = BufReader::new(socket);
    let (mut entries, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        let message = line.strip_suffix(b"\n").and_then(Message::parse);
        match message {
            Some(Message::Note(text)) => tracing::warn!("{text}"),
            Some(Message::Entry(entry)) => entries.push(entry),
            Some(Message::Ready(number)) => return Ok((number, entries)),
            Some(Message::Failed(why)) => return Err(io::Error::other(why)),
            _ => return Err(io::Error::other("the keeper ended when it started")),
        }
    }
}
