//! The floor: the least that it can cost to deliver a line to N receivers.
//!
//! It is what a C programmer would write in ten minutes, trusting every client: blocking sockets; the first connections
//! send, and each line goes to all other connections with one `send` each. No limits, no names, no queues; one receiver
//! that stops reading stops the floor, and it polls only when there are several senders. The sockets have madang's
//! options, so that the kernel does the same work, and the difference is the server's own.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use memchr::{memchr, memrchr};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{SockRef, TcpKeepalive};

use crate::harness::load::Arrival;
use crate::harness::server::{LISTENING_ON, Server};
use crate::harness::servers::{Crowd, Kind, LONG_BACKLOG, Start};
use crate::harness::{Harness, Outcome};

/// The hidden argument that makes this program the floor. The fields of a [`Workload`] follow it.
pub(crate) const ARGUMENT: &str = "floor";

/// The floor as one of the servers.
pub(crate) const FLOOR: Kind = Kind {
    name: "floor",
    start: Start::Built(start),
    receiver: Arrival::Connected,
    sender: Arrival::Connected,
    // The floor adds no name, so its senders send one: every receiver gets the same bytes as from madang.
    say: |text| format!("guest1: {text}\n").into_bytes(),
    senders_receive: false,
    backlog: LONG_BACKLOG,
    crowd: Crowd::Serves,
    over_tls: None,
};

fn start(harness: &Harness, workload: &[String]) -> Outcome<Server> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(ARGUMENT).args(workload);
    Server::start(harness, command)
}

/// What the floor passes to one `send`.
#[derive(Clone, Copy)]
pub(crate) enum Piece {
    /// One line.
    Line,
    /// All whole lines of one read: with several lines in flight, this is cheaper.
    Read,
}

impl Piece {
    /// The length of the first piece of `read`, if that has a whole one.
    fn length(self, read: &[u8]) -> Option<usize> {
        let newline = match self {
            Self::Line => memchr(b'\n', read),
            Self::Read => memrchr(b'\n', read),
        };
        Some(newline? + 1)
    }
}

/// How many clients there are, and how the floor sends to them.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) piece: Piece,
    /// The first to connect. The floor sends nothing to them.
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
}

impl Workload {
    /// The workload as arguments of the command line.
    pub(crate) fn arguments(self) -> [String; 3] {
        let piece = match self.piece {
            Piece::Line => "line",
            Piece::Read => "read",
        };
        [
            piece.to_owned(),
            self.senders.to_string(),
            self.receivers.to_string(),
        ]
    }

    /// The workload of a command line that makes this program the floor.
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        let [word, piece, senders, receivers] = arguments else {
            return None;
        };
        Some(Self {
            piece: match piece.as_str() {
                "line" => Piece::Line,
                "read" => Piece::Read,
                _ => return None,
            },
            senders: usize::from_str(senders).ok()?,
            receivers: usize::from_str(receivers).ok()?,
        })
        .filter(|_| word == ARGUMENT)
    }
}

/// The options of madang's sockets by default (`net/listener.rs` has the reasons).
const BACKLOG: i32 = 4096;
const SEND_BUFFER_BYTES: usize = 65_536;
const RECV_BUFFER_BYTES: usize = 65_536;
const SEGMENT_BYTES_MAX: u32 = 16 * 1024;
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Bytes that are read from a sender at once. No line is longer.
const READ_BYTES: usize = 65_536;

/// Serves until a sender leaves.
pub(crate) fn serve(workload: Workload) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // Accepted sockets inherit all of it.
    let socket = SockRef::from(&listener);
    socket.listen(BACKLOG)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_recv_buffer_size(RECV_BUFFER_BYTES)?;
    socket.set_tcp_mss(SEGMENT_BYTES_MAX)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    println!("{LISTENING_ON}{}", listener.local_addr()?);

    let mut senders = Vec::new();
    for _ in 0..workload.senders {
        senders.push(Sender::new(listener.accept()?.0));
    }
    let mut receivers = Vec::new();
    for _ in 0..workload.receivers {
        receivers.push(listener.accept()?.0);
    }
    match serve_all(workload.piece, &mut senders, &mut receivers) {
        // A sender has left: the measurement is over.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        other => Ok(other?),
    }
}

/// The loop that is measured.
fn serve_all(piece: Piece, senders: &mut [Sender], receivers: &mut [TcpStream]) -> io::Result<()> {
    loop {
        if let [only] = senders {
            only.pass_on(piece, receivers)?;
            continue;
        }
        let mut ready: Vec<PollFd<'_>> = senders
            .iter()
            .map(|sender| PollFd::new(&sender.stream, PollFlags::IN))
            .collect();
        poll(&mut ready, None)?;
        let ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (sender, ready) in senders.iter_mut().zip(ready) {
            if ready {
                sender.pass_on(piece, receivers)?;
            }
        }
    }
}

struct Sender {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// `buffer[..filled]` has been read and not yet sent; 0 <= filled < READ_BYTES.
    filled: usize,
}

impl Sender {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            filled: 0,
        }
    }

    /// Reads once, waiting if there is nothing, and sends the whole lines to the receivers.
    fn pass_on(&mut self, piece: Piece, receivers: &mut [TcpStream]) -> io::Result<()> {
        match self.stream.read(&mut self.buffer[self.filled..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            bytes => self.filled += bytes,
        }
        let mut start = 0;
        while let Some(length) = piece.length(&self.buffer[start..self.filled]) {
            let end = start + length;
            for receiver in &mut *receivers {
                receiver.write_all(&self.buffer[start..end])?;
            }
            start = end;
        }
        if start == 0 && self.filled == self.buffer.len() {
            return Err(ErrorKind::InvalidData.into());
        }
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(())
    }
}
