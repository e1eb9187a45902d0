//! One TLS connection over a socket that does not block: its handshake, plaintext in and out, and its end. Knows no files, no
//! hub and no poll; which certificate is presented is in `certificates`.
//!
//! Reads and writes of plaintext do not match those of the socket:
//!
//! - What has arrived may hold no plaintext yet; then a read is [`Interrupted`](io::ErrorKind::Interrupted), not blocked.
//! - Plaintext may be there although nothing arrives any more. A read is blocked only if both are empty.
//! - A write takes plaintext for one record at most, and only if the socket has taken the last one. What it does not take
//!   of the record stays here, up to [`RECORD_BYTES_MAX`] and a little more, until [`flush`](TlsStream::flush).
//! - A read may leave something to be written too: an alert, the answer to a key update.

use rustls::pki_types::CertificateDer;
use rustls::{Error, ProtocolVersion, ServerConfig, ServerConnection};
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// Plaintext bytes of a record: RFC 8446, 5.1.
pub const RECORD_BYTES_MAX: usize = 1 << 14;
/// Bytes that a peer may send before its handshake is over. A chain of certificates of a client takes a few thousand.
pub const HANDSHAKE_BYTES_MAX: usize = 32 << 10;
/// Bytes that a connection makes this side hold at most: its session, a record that the socket has not taken, one that has
/// arrived in part, and what is left of another that was not read at once.
pub const SESSION_BYTES_MAX: usize = (7 << 10) + 3 * (RECORD_BYTES_MAX + (3 << 10));
/// Reads of one call of [`handshake`](TlsStream::handshake). More is read in the next.
const HANDSHAKE_READS_MAX: usize = 4;

/// The first byte of every handshake: RFC 8446, 5.1.
const HANDSHAKE: u8 = 22;

/// A server's end of a TLS connection.
#[derive(Debug)]
pub struct TlsStream<S> {
    socket: S,
    session: ServerConnection,
    phase: Phase,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Neither side may send anything else. So many bytes have been received, and the first of them.
    Handshake(usize, Option<u8>),
    /// Both sides may send.
    Open,
    /// The peer has said that it sends nothing more, and whether a read has returned that.
    PeerFinished(bool),
    /// We have said so: what arrives is discarded.
    Finished,
}

impl<S: Read + Write> TlsStream<S> {
    /// A connection that has just been accepted.
    ///
    /// # Errors
    /// The configuration is wrong.
    pub fn new(socket: S, config: Arc<ServerConfig>) -> io::Result<TlsStream<S>> {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = TlsStream {
            socket,
            session,
            phase: Phase::Handshake(0, None),
        };
        stream.session.set_buffer_limit(Some(RECORD_BYTES_MAX));
        Ok(stream)
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// The socket, to be registered or shut down.
    pub fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Goes on with the handshake, as far as `ciphertext` lets it read and the socket has something. True: it is over, and
    /// all that it has to send has been sent. After an error the peer has been sent an alert, if the socket takes it.
    ///
    /// # Errors
    /// The peer does not speak TLS, or is refused. `ConnectionAborted`: it has left without a word. `Interrupted`: this is to be
    /// called again at once.
    pub fn handshake(&mut self, ciphertext: &mut [u8]) -> io::Result<bool> {
        for _ in 0..HANDSHAKE_READS_MAX {
            let is_flushed = self.flush()?;
            let Phase::Handshake(received, first) = self.phase else {
                return Ok(is_flushed);
            };
            // A peer that does not read makes us keep no more than one flight.
            if !is_flushed {
                return Ok(false);
            }
            let n = match self.socket.read(ciphertext) {
                Ok(0) if received == 0 => return Err(io::ErrorKind::ConnectionAborted.into()),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            self.phase = Phase::Handshake(received + n, first.or(Some(ciphertext[0])));
            if self.is_plain() {
                let why = "what came is not TLS";
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            self.feed(&ciphertext[..n], &mut [])?;
            if !self.session.is_handshaking() {
                self.phase = Phase::Open;
            } else if received + n > HANDSHAKE_BYTES_MAX {
                let why = format!("more than {HANDSHAKE_BYTES_MAX} bytes before its end");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// Whether the handshake is not over.
    pub fn is_in_handshake(&self) -> bool {
        matches!(self.phase, Phase::Handshake(..))
    }

    /// Whether the peer, in its handshake, has sent nothing so far, or nothing that could be TLS: it is then sent in plain text
    /// what is wrong.
    pub fn is_plain(&self) -> bool {
        matches!(self.phase, Phase::Handshake(_, first) if first != Some(HANDSHAKE))
    }

    /// Reads plaintext; 0: the peer has said that it sends nothing more. Before the handshake has begun, and after our own last
    /// word, what the socket has: a PROXY header, or what is discarded.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is there. `Interrupted`: something has arrived that holds no plaintext yet. `UnexpectedEof`: the
    /// connection was cut, so that its last bytes may be missing. `InvalidData`: what has arrived is not what the peer sent.
    pub fn read(&mut self, into: &mut [u8], ciphertext: &mut [u8]) -> io::Result<usize> {
        if matches!(self.phase, Phase::Handshake(..) | Phase::Finished) {
            return self.socket.read(into);
        }
        let n = self.take_plaintext(into)?;
        if n > 0 {
            return Ok(n);
        }
        if self.phase == Phase::PeerFinished(true) {
            // Nothing counts that comes now, but whether the connection still lasts.
            return match self.socket.read(ciphertext)? {
                0 => Ok(0),
                _ => Err(io::ErrorKind::Interrupted.into()),
            };
        }
        // What was received before may have ended in an error, or with the peer's last word.
        self.process()?;
        if self.end() {
            return Ok(0);
        }
        // No more than `into` holds, so that at most one record of plaintext is left over here.
        let most = ciphertext.len().min(into.len());
        let arrived = match self.socket.read(&mut ciphertext[..most])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => n,
        };
        let n = self.feed(&ciphertext[..arrived], into);
        // An answer that the socket does not take now is kept: see `flush`.
        let _ = self.flush();
        match n {
            Ok(0) if self.end() => Ok(0),
            Ok(0) => Err(io::ErrorKind::Interrupted.into()),
            n => n,
        }
    }

    /// Whether a read is to return now that the peer sends nothing more.
    fn end(&mut self) -> bool {
        let has_ended = matches!(self.phase, Phase::PeerFinished(_));
        if has_ended {
            self.phase = Phase::PeerFinished(true);
        }
        has_ended
    }

    /// Decrypts what has arrived, and takes as much plaintext as `into` holds. An error after some plaintext comes up in the
    /// next call.
    fn feed(&mut self, mut arrived: &[u8], into: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        // Nothing counts after the peer's last word, and nothing is read.
        while !arrived.is_empty() && self.session.read_tls(&mut arrived)? > 0 {
            let processed = self.process();
            n += self.take_plaintext(&mut into[n..])?;
            if let Err(error) = processed {
                return if n > 0 { Ok(n) } else { Err(error) };
            }
        }
        Ok(n)
    }

    fn process(&mut self) -> io::Result<()> {
        match self.session.process_new_packets() {
            Ok(state) => {
                if state.peer_has_closed() && self.phase == Phase::Open {
                    self.phase = Phase::PeerFinished(false);
                }
                Ok(())
            }
            Err(error) => {
                let _ = self.flush();
                Err(refusal(error))
            }
        }
    }

    fn take_plaintext(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.session.reader().read(into) {
            Ok(n) => Ok(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Writes plaintext, of at most one record. What the socket does not take of the record is kept. To a peer that
    /// [does not speak TLS](TlsStream::is_plain) it is written as it is.
    ///
    /// # Errors
    /// `WouldBlock`: the socket has not taken the last record yet. Any other error of the socket.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.phase {
            Phase::Handshake(..) if self.is_plain() => return self.socket.write_vectored(slices),
            Phase::Handshake(..) => return Err(io::ErrorKind::NotConnected.into()),
            _ => {}
        }
        if !self.flush()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.session.writer().write_vectored(slices)?;
        self.flush()?;
        Ok(n)
    }

    /// Writes what earlier calls have left. False: the socket has not taken all of it.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Unvectored(&mut self.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Says that nothing more will be written. False: that is still to be [flushed](TlsStream::flush). After the first call
    /// what arrives is discarded.
    pub fn finish(&mut self) -> bool {
        if self.phase != Phase::Finished && !self.is_plain() {
            self.session.send_close_notify();
        }
        self.phase = Phase::Finished;
        // Nobody is there any more after an error.
        self.flush().unwrap_or(true)
    }

    /// The version of the protocol that both speak, once that is known.
    pub fn version(&self) -> Option<&'static str> {
        match self.session.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("1.2"),
            ProtocolVersion::TLSv1_3 => Some("1.3"),
            _ => None,
        }
    }

    /// The certificate with which the peer has shown who it is.
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.session.peer_certificates()?.first()
    }
}

/// An error of the protocol as one of reading.
fn refusal(error: Error) -> io::Error {
    let kind = match error {
        Error::AlertReceived(_) => io::ErrorKind::ConnectionRefused,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}

/// Writes a single slice with send(2), which costs the kernel less than writev(2).
struct Unvectored<'a, S>(&'a mut S);

impl<S: Write> Write for Unvectored<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [slice] => self.0.write(slice),
            slices => self.0.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
