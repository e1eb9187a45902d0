//! A connection to a server with TLS or without. What it does is the same for both: a read passes text on, a write takes
//! text, each end of the stream has its own. Its socket never blocks; waiting is its owner's part.

use super::Config;
use super::session::{RECORD_BYTES_MAX, Session};
use rustix::buffer::spare_capacity;
use socket2::Socket;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// So many bytes of the network. The text in them is passed on already; there may be none.
    Bytes(usize),
    /// The server has ended its stream, in order.
    End,
}

/// A connection.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    tls: Option<Box<Session>>,
}

impl Stream {
    /// A connection over a socket that is connected, with TLS if there is a configuration for it: then
    /// [`shake_hands`](Stream::shake_hands) comes first.
    ///
    /// # Errors
    /// See fcntl(2).
    pub fn new(socket: Socket, config: Option<&Arc<Config>>) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        let tls = config.map(|config| Session::new(config).map(Box::new));
        let tls = tls.transpose().map_err(failed)?;
        Ok(Stream { socket, tls })
    }

    /// Does what is possible of the handshake. True: it is complete, as it always is without TLS. False: call this again
    /// when the socket is ready. `buffer` is for bytes of the network.
    ///
    /// # Errors
    /// There is no secure connection: why, in words.
    pub fn shake_hands(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        // As much as the session holds of text that comes with the end.
        let most = buffer.len().min(RECORD_BYTES_MAX);
        let buffer = &mut buffer[..most];
        loop {
            match tls.write_to(&self.socket) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(broken(&error)),
                _ if !tls.is_handshaking() => return Ok(true),
                _ => {}
            }
            match (&self.socket).read(buffer) {
                Ok(0) => {
                    return Err(io::Error::other(
                        "the server has closed the connection during the TLS handshake; does it speak TLS?",
                    ));
                }
                Ok(bytes) => {
                    let done = tls.shake_hands(&buffer[..bytes]);
                    done.map_err(|why| {
                        // Tells the server as well. What it does about that changes nothing.
                        let _ = tls.write_to(&self.socket);
                        failed(why)
                    })?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Whether text is here that the socket will not announce: [`read`](Stream::read) passes it on.
    pub fn has_early_text(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_early_text())
    }

    /// Reads the socket once and passes all text on that has come, in any number of pieces. `buffer` is for bytes of the
    /// network. If they do not fill it, the socket is empty.
    ///
    /// # Errors
    /// See read(2). With TLS also: `ConnectionAborted`, the connection was cut before the server had ended its stream;
    /// `InvalidData`, the session has failed.
    pub fn read(&mut self, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> io::Result<Arrived> {
        let Some(tls) = &mut self.tls else {
            return Ok(match (&self.socket).read(buffer)? {
                0 => Arrived::End,
                bytes => {
                    take(&buffer[..bytes]);
                    Arrived::Bytes(bytes)
                }
            });
        };
        let bytes = match (&self.socket).read(buffer) {
            Ok(0) => None,
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock && tls.has_early_text() => Some(0),
            Err(error) => return Err(error),
        };
        let received = tls.receive(&buffer[..bytes.unwrap_or(0)], take);
        // What was read may have to be answered. If the socket does not take that now, `wants_write` says so.
        let _ = tls.write_to(&self.socket);
        received.map_err(failed)?;
        match bytes {
            _ if tls.is_ended() => Ok(Arrived::End),
            Some(bytes) => Ok(Arrived::Bytes(bytes)),
            None => Err(io::Error::new(
                ErrorKind::ConnectionAborted,
                "cut off before its end (no close_notify of TLS): lines may be missing",
            )),
        }
    }

    /// Reads the socket once and appends all text to `text` that has come. Takes about `most` bytes of the network: without
    /// TLS they are not copied.
    ///
    /// # Errors
    /// As [`read`](Stream::read).
    pub fn read_to(&mut self, text: &mut Vec<u8>, most: usize) -> io::Result<Arrived> {
        if self.tls.is_some() {
            let mut buffer = [0; RECORD_BYTES_MAX];
            return self.read(&mut buffer, |bytes| text.extend_from_slice(bytes));
        }
        text.reserve(most);
        match rustix::io::read(&self.socket, spare_capacity(text))? {
            0 => Ok(Arrived::End),
            bytes => Ok(Arrived::Bytes(bytes)),
        }
    }

    /// Whether [`flush`](Write::flush) has something to write.
    pub fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Ends the client's stream: close_notify if there is TLS, and a FIN. What the server sends can still be read.
    ///
    /// # Errors
    /// `WouldBlock`: to be called again when the socket is writable. Else see shutdown(2).
    pub fn close_write(&mut self) -> io::Result<()> {
        self.say_goodbye()?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// Sends close_notify if there is TLS, as far as the socket takes it at once: for a connection that is dropped next.
    ///
    /// # Errors
    /// See write(2).
    pub fn say_goodbye(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
        self.flush()
    }

    /// The error of the socket that waits to be reported: see `SO_ERROR` in socket(7).
    ///
    /// # Errors
    /// See getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// The socket, whatever state its TLS is in.
    pub fn into_socket(self) -> Socket {
        self.socket
    }
}

/// Text that a write has taken is with the kernel only after a flush: a record is sent whole or not at all.
impl Write for Stream {
    /// Takes some text, with TLS at most a record.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let Some(tls) = &mut self.tls else {
            return (&self.socket).write(text);
        };
        match tls.seal(text) {
            0 if !text.is_empty() => Err(ErrorKind::WouldBlock.into()),
            taken => match tls.write_to(&self.socket) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
                _ => Ok(taken),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.write_to(&self.socket),
            None => Ok(()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// The session has failed.
fn failed(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// The connection has broken during the handshake.
fn broken(error: &io::Error) -> io::Error {
    let why = match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "connection reset during the TLS handshake; does it speak TLS?".into()
        }
        _ => format!("{error} during the TLS handshake"),
    };
    io::Error::other(why)
}

#[cfg(test)]
mod tests {
    use super::super::test_server::{VERSIONS, certificate, pass_to_server, say, sent};
    use super::*;
    use rustls::ServerConnection;
    use std::os::unix::net::UnixStream;

    /// A connection with TLS, the socket of its server and the server's session, when the handshake is complete.
    fn connected(version: usize) -> (Stream, UnixStream, ServerConnection) {
        let made = certificate(&["localhost"], |_| {});
        let config = Arc::new(made.server(VERSIONS[version]));
        let mut server = ServerConnection::new(config).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut stream = Stream::new(ours.into(), Some(&made.trusted())).unwrap();
        while !stream.shake_hands(&mut [0; 4096]).unwrap() || server.is_handshaking() {
            turn(&mut server, &theirs);
        }
        turn(&mut server, &theirs);
        (stream, theirs, server)
    }

    /// The server reads what there is, and writes what it has.
    fn turn(server: &mut ServerConnection, mut socket: &UnixStream) {
        while server.read_tls(&mut socket).is_ok_and(|bytes| bytes > 0) {
            server.process_new_packets().unwrap();
        }
        socket.write_all(&sent(server)).unwrap();
    }

    fn read(stream: &mut Stream) -> (Vec<u8>, Result<Arrived, ErrorKind>) {
        let mut text = Vec::new();
        let arrived = stream.read(&mut [0; 4096], |bytes| text.extend_from_slice(bytes));
        (text, arrived.map_err(|error| error.kind()))
    }

    #[test]
    fn an_end_is_told_from_a_cut() {
        for version in 0..2 {
            for ends in [true, false] {
                let (mut stream, mut socket, mut server) = connected(version);
                socket
                    .write_all(&say(&mut server, b"the last line\n"))
                    .unwrap();
                if ends {
                    server.send_close_notify();
                    socket.write_all(&sent(&mut server)).unwrap();
                }
                drop(socket);
                let mut all = Vec::new();
                let end = loop {
                    let (text, arrived) = read(&mut stream);
                    all.extend(text);
                    match arrived {
                        Ok(Arrived::Bytes(_)) => {}
                        end => break end,
                    }
                };
                assert_eq!(all, b"the last line\n");
                let expected = if ends {
                    Ok(Arrived::End)
                } else {
                    Err(ErrorKind::ConnectionAborted)
                };
                assert_eq!(end, expected);
            }
        }
    }

    #[test]
    fn the_servers_end_counts_before_its_socket_is_closed() {
        let (mut stream, mut socket, mut server) = connected(1);
        while read(&mut stream).1 != Err(ErrorKind::WouldBlock) {}
        server.send_close_notify();
        socket.write_all(&sent(&mut server)).unwrap();
        assert_eq!(read(&mut stream).1, Ok(Arrived::End));
    }

    #[test]
    fn a_record_that_the_socket_does_not_take_is_kept_and_nothing_more_is_taken() {
        for version in 0..2 {
            let (mut stream, socket, mut server) = connected(version);
            let text = b"0123456789abcde\n".repeat(4096);
            let mut taken = Vec::new();
            // The kernel's buffers are full at some time.
            while let Ok(bytes) = stream.write(&text) {
                taken.extend_from_slice(&text[..bytes]);
            }
            assert!(stream.wants_write());
            assert_eq!(stream.flush().unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(
                stream.close_write().unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
            let mut arrived = Vec::new();
            let mut closed = false;
            while !closed {
                let mut bytes = [0; 16 * 1024];
                if let Ok(n) = (&socket).read(&mut bytes) {
                    let mut bytes = &bytes[..n];
                    while !bytes.is_empty() {
                        server.read_tls(&mut bytes).unwrap();
                        closed |= server.process_new_packets().unwrap().peer_has_closed();
                        let _ = server.reader().read_to_end(&mut arrived);
                    }
                }
                let _ = stream.close_write();
            }
            assert!(
                arrived == taken,
                "{} of {} bytes",
                arrived.len(),
                taken.len()
            );
            assert_eq!(
                (&socket).read(&mut [0; 9]).unwrap(),
                0,
                "a FIN after close_notify"
            );
        }
    }

    #[test]
    fn without_tls_it_is_the_socket() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(ours.into(), None).unwrap();
        assert!(stream.shake_hands(&mut []).unwrap() && !stream.wants_write());
        assert_eq!(read(&mut stream).1, Err(ErrorKind::WouldBlock));
        theirs.write_all(b"text").unwrap();
        assert_eq!(read(&mut stream), (b"text".to_vec(), Ok(Arrived::Bytes(4))));
        assert_eq!(stream.write(b"answer").unwrap(), 6);
        stream.close_write().unwrap();
        let mut received = String::new();
        theirs.read_to_string(&mut received).unwrap();
        assert_eq!(received, "answer");
        drop(theirs);
        assert_eq!(read(&mut stream).1, Ok(Arrived::End));
    }

    #[test]
    fn a_goodbye_is_no_cut_for_the_server() {
        let (mut stream, socket, mut server) = connected(1);
        stream.say_goodbye().unwrap();
        drop(stream);
        turn(&mut server, &socket);
        assert!(server.process_new_packets().unwrap().peer_has_closed());
        // Sessions without a socket pass it on as well.
        let (mut client, mut server) = super::super::test_server::connected(VERSIONS[0]);
        client.close();
        pass_to_server(&mut client, &mut server);
        assert!(server.process_new_packets().unwrap().peer_has_closed());
    }
}
