//! The floor: the least that handing a line to N receivers can cost.
//!
//! It is what a C programmer would write in ten minutes for a friendly world: blocking sockets, the first connection
//! speaks, and what it says goes to all the others with one `send` each. No poll, no limits, no names, no queues;
//! one reader that stops would stop it. Sockets are set up as madang sets up its own, so that the kernel's share of
//! the work is the same, and the server's share is what lies above.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::str::FromStr;
use std::time::Duration;

use memchr::{memchr, memrchr};
use socket2::{SockRef, TcpKeepalive};

use crate::lab::Outcome;
use crate::lab::server::LISTENING_ON;

/// The hidden argument that makes this program the floor. A [`Piece`] and how many receivers follow it.
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
    /// As it stands on the command line.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Read => "read",
        }
    }

    /// The first piece of `read`, if it holds a whole one.
    fn length(self, read: &[u8]) -> Option<usize> {
        let newline = match self {
            Self::Line => memchr(b'\n', read),
            Self::Read => memrchr(b'\n', read),
        };
        Some(newline? + 1)
    }
}

impl FromStr for Piece {
    type Err = String;

    fn from_str(argument: &str) -> Result<Self, String> {
        let known = [Self::Line, Self::Read]
            .into_iter()
            .find(|piece| piece.argument() == argument);
        known.ok_or_else(|| format!("the floor sends no {argument:?}"))
    }
}

/// How madang sets up its sockets when nothing else is asked (`net/listener.rs` has the reasons).
const BACKLOG: i32 = 4096;
const SEND_BUFFER_BYTES: usize = 65_536;
const RECV_BUFFER_BYTES: usize = 65_536;
const SEGMENT_BYTES_MAX: u32 = 16 * 1024;
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What is read from the sender at once. A longer line would be cut; the sender sends none.
const READ_BYTES: usize = 65_536;

/// Serves one sender and its receivers until the sender leaves.
pub(crate) fn serve(piece: Piece, receivers: usize) -> Outcome<()> {
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

    let mut sender = accept(&listener)?;
    let mut audience = (0..receivers)
        .map(|_| accept(&listener))
        .collect::<io::Result<Vec<_>>>()?;
    Ok(repeat(piece, &mut sender, &mut audience)?)
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    listener.accept().map(|(stream, _)| stream)
}

/// The loop that is measured.
fn repeat(piece: Piece, sender: &mut TcpStream, audience: &mut [TcpStream]) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    // buffer[..filled] has been read and not yet sent on; 0 <= filled < READ_BYTES.
    let mut filled = 0;
    loop {
        match sender.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            bytes => filled += bytes,
        }
        let mut start = 0;
        while let Some(length) = piece.length(&buffer[start..filled]) {
            let end = start + length;
            for receiver in &mut *audience {
                receiver.write_all(&buffer[start..end])?;
            }
            start = end;
        }
        if start == 0 && filled == buffer.len() {
            return Err(ErrorKind::InvalidData.into());
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}
