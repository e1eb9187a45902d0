//! The server's log where its console shows it: bytes of a socket into lines. What they say is none of its business.

use super::link::LINE_BYTES_MAX;
use crate::hub::{Frame, Line};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The end at which a log comes out.
#[derive(Debug)]
pub struct Log {
    from: UnixStream,
    frame: Frame,
}

impl Log {
    /// Reads what there is at each turn, and never waits.
    ///
    /// # Errors
    /// The socket cannot be told not to wait.
    pub fn new(from: UnixStream) -> io::Result<Log> {
        from.set_nonblocking(true)?;
        let frame = Frame::default();
        Ok(Log { from, frame })
    }

    /// Reads lines; whether there may be more at another time.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let mut bytes = [0; 4096];
        match self.from.read(&mut bytes) {
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

    /// The start of a line whose end was not read.
    pub fn take_partial(&mut self) -> Option<&[u8]> {
        self.frame.take_partial()
    }
}

impl AsFd for Log {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from.as_fd()
    }
}
