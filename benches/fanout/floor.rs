//! The floor: the least that handing a line to N receivers can cost.
//!
//! It is what a C programmer would write in ten minutes for a friendly world: blocking sockets, the first connections
//! speak, and what they say goes to all the others with one `send` each. No limits, no names, no queues; one reader
//! that stops stops it, and it polls only when there is more than one to be read. Sockets are set up as madang sets up
//! its own, so that the kernel's share of the work is the same, and the server's share is what lies above.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::str::FromStr;
use std::time::Duration;

use memchr::{memchr, memrchr};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{SockRef, TcpKeepalive};

use crate::lab::Outcome;
use crate::lab::server::LISTENING_ON;

/// The hidden argument that makes this program the floor. What a [`Stage`] is follows it.
pub(crate) const ARGUMENT: &str = "floor";

/// What goes out with one `send`.
#[derive(Clone, Copy)]
pub(crate) enum Piece {
    /// A line, however many were read together.
    Line,
    /// All whole lines that were read together: while several are in flight, a harder floor to reach.
    Read,
}

impl Piece {
    /// The first piece of `read`, if it holds a whole one.
    fn length(self, read: &[u8]) -> Option<usize> {
        let newline = match self {
            Self::Line => memchr(b'\n', read),
            Self::Read => memrchr(b'\n', read),
        };
        Some(newline? + 1)
    }
}

/// Who is there, and what they get at once.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    pub(crate) piece: Piece,
    /// The first to connect. They speak and are sent nothing.
    pub(crate) speakers: usize,
    pub(crate) receivers: usize,
}

impl Stage {
    /// As it stands on the command line.
    pub(crate) fn arguments(self) -> [String; 3] {
        let piece = match self.piece {
            Piece::Line => "line",
            Piece::Read => "read",
        };
        [
            piece.to_owned(),
            self.speakers.to_string(),
            self.receivers.to_string(),
        ]
    }

    /// From the command line, if that is what stands there.
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        let [word, piece, speakers, receivers] = arguments else {
            return None;
        };
        Some(Self {
            piece: match piece.as_str() {
                "line" => Piece::Line,
                "read" => Piece::Read,
                _ => return None,
            },
            speakers: usize::from_str(speakers).ok()?,
            receivers: usize::from_str(receivers).ok()?,
        })
        .filter(|_| word == ARGUMENT)
    }
}

/// How madang sets up its sockets when nothing else is asked (`net/listener.rs` has the reasons).
const BACKLOG: i32 = 4096;
const SEND_BUFFER_BYTES: usize = 65_536;
const RECV_BUFFER_BYTES: usize = 65_536;
const SEGMENT_BYTES_MAX: u32 = 16 * 1024;
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What is read from a speaker at once. A longer line would be cut; nobody sends one.
const READ_BYTES: usize = 65_536;

/// Serves the speakers and their receivers until a speaker leaves.
pub(crate) fn serve(stage: Stage) -> Outcome<()> {
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

    let mut speakers = Vec::new();
    for _ in 0..stage.speakers {
        speakers.push(Speaker::new(listener.accept()?.0));
    }
    let mut audience = Vec::new();
    for _ in 0..stage.receivers {
        audience.push(listener.accept()?.0);
    }
    match repeat(stage.piece, &mut speakers, &mut audience) {
        // A speaker has left: the clients have seen enough.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        other => Ok(other?),
    }
}

/// The loop that is measured.
fn repeat(piece: Piece, speakers: &mut [Speaker], audience: &mut [TcpStream]) -> io::Result<()> {
    loop {
        if let [only] = speakers {
            only.pass_on(piece, audience)?;
            continue;
        }
        let mut ready: Vec<PollFd<'_>> = speakers
            .iter()
            .map(|speaker| PollFd::new(&speaker.stream, PollFlags::IN))
            .collect();
        poll(&mut ready, None)?;
        let ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (speaker, ready) in speakers.iter_mut().zip(ready) {
            if ready {
                speaker.pass_on(piece, audience)?;
            }
        }
    }
}

/// One who speaks.
struct Speaker {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// `buffer[..filled]` has been read and not yet sent on; 0 <= filled < READ_BYTES.
    filled: usize,
}

impl Speaker {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            filled: 0,
        }
    }

    /// Reads once, waiting if there is nothing, and sends on what is whole.
    fn pass_on(&mut self, piece: Piece, audience: &mut [TcpStream]) -> io::Result<()> {
        match self.stream.read(&mut self.buffer[self.filled..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            bytes => self.filled += bytes,
        }
        let mut start = 0;
        while let Some(length) = piece.length(&self.buffer[start..self.filled]) {
            let end = start + length;
            for receiver in &mut *audience {
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
