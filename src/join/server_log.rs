//! The lines of the server's own log, which `madang serve --console` shows above the typed line. Reads them from a socket;
//! does not look into them.

use super::connection::LINE_BYTES_MAX;
use crate::hub::{Frame, Line};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The receiving side of the server's log.
#[derive(Debug)]
pub struct ServerLog {
    socket: UnixStream,
    frame: Frame,
}

impl ServerLog {
    /// Makes the socket non-blocking.
    ///
    /// # Errors
    /// See fcntl(2).
    pub fn new(socket: UnixStream) -> io::Result<ServerLog> {
        socket.set_nonblocking(true)?;
        let frame = Frame::default();
        Ok(ServerLog { socket, frame })
    }

    /// Reads lines, without blocking. Returns whether more may come.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(n @ 1..) => {
                let mut input = &bytes[..n];
                while let Some(line) = self.frame.next(&mut input, LINE_BYTES_MAX) {
                    if let Line::Whole(line) = line {
                        take(line);
                    }
                }
                true
            }
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// The start of a line whose end has not come.
    pub fn take_partial(&mut self) -> Option<&[u8]> {
        self.frame.take_partial()
    }
}

impl AsFd for ServerLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
