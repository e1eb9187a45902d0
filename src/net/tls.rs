//! One TLS connection over a socket that does not block: its handshake, plaintext in and out, and its end. Knows no files, no
//! hub and no poll; which certificate is presented is in `certificates`.
//!
//! Reads and writes of plaintext do not match those of the socket:
//!
//! - What has arrived may hold no plaintext yet; then a read is [`Interrupted`](ErrorKind::Interrupted), not blocked.
//! - Plaintext may be there although nothing arrives any more. A read is blocked only if both are empty.
//! - A write takes plaintext for one record at most, and only if the socket has taken the last one. What it does not take
//!   of the record stays here, up to [`RECORD_BYTES_MAX`] and a little more, until [`flush`](TlsStream::flush).
//! - A read may leave something to be written too: an alert, the answer to a key update.
//!
//! Records are decrypted where they were received, and encrypted into a buffer that the caller lends, so a connection holds
//! bytes only while one of its records is not whole. That is why rustls' unbuffered interface is used: the other one keeps 4 KiB
//! for each connection, and an encrypted record in a list.

mod receive;
mod records;

use records::gather;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::ConnectionState;
use rustls::{Error, ProtocolVersion, ServerConfig};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

/// Plaintext bytes of a record: RFC 8446, 5.1.
pub const RECORD_BYTES_MAX: usize = 1 << 14;
/// Bytes that a record has more on the wire: RFC 5246, 6.2.3.
const RECORD_OVERHEAD_BYTES_MAX: usize = (2 << 10) + 5;
/// Bytes of the buffer that a caller lends to a connection for one call: plaintext of a record, and what it is encrypted to.
pub const LENT_BYTES: usize = 2 * RECORD_BYTES_MAX + RECORD_OVERHEAD_BYTES_MAX;
/// Bytes that a peer may send before its handshake is over. A chain of certificates of a client takes a few thousand.
pub const HANDSHAKE_BYTES_MAX: usize = 32 << 10;
/// Bytes that a connection makes this side hold at most: its session, a record that the socket has not taken, one that has
/// arrived in part, and what is left of another that was not read at once.
pub const SESSION_BYTES_MAX: usize = (4 << 10) + 3 * (RECORD_BYTES_MAX + (3 << 10));
/// Bytes of the message that ends what we send, and of what is sent before it.
const LAST_BYTES_MAX: usize = 256;
/// Reads of one call of [`handshake`](TlsStream::handshake). More is read in the next.
const HANDSHAKE_READS_MAX: usize = 4;
/// Bytes of one read of the socket, unless a record has more. Each 27 of them may be a change of keys, which takes 2 µs.
const READ_BYTES_MAX: usize = 4 << 10;

/// The first byte of every handshake: RFC 8446, 5.1.
const HANDSHAKE: u8 = 22;

/// A server's end of a TLS connection.
pub struct TlsStream<S> {
    socket: S,
    phase: Phase,
    /// Ciphertext that the socket has not taken: nothing more is encrypted before it has.
    outgoing: Vec<u8>,
    /// The beginning of a record, or of a message in several: nothing in it could be decrypted and passed on.
    incoming: Vec<u8>,
    /// Plaintext that a read had no place for: less than a record.
    plaintext: Vec<u8>,
    /// Bytes that the last read took from the socket beyond those that it returned: `0 <= overhead <= RECORD_BYTES_MAX`.
    overhead: u32,
    /// Why nothing can be received any more.
    failure: Option<Box<Error>>,
    session: UnbufferedServerConnection,
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("TlsStream");
        fields.field("socket", &self.socket);
        fields.field("phase", &self.phase).finish_non_exhaustive()
    }
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
        Ok(TlsStream {
            socket,
            phase: Phase::Handshake(0, None),
            outgoing: Vec::new(),
            incoming: Vec::new(),
            plaintext: Vec::new(),
            overhead: 0,
            failure: None,
            session: UnbufferedServerConnection::new(config).map_err(io::Error::other)?,
        })
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// The socket, to be registered or shut down.
    pub fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Goes on with the handshake, as far as `lent` lets it read and the socket has something. True: it is over, and
    /// all that it has to send has been sent. After an error the peer has been sent an alert, if the socket takes it.
    ///
    /// # Errors
    /// The peer does not speak TLS, or is refused. `ConnectionAborted`: it has left without a word. `Interrupted`: this is to be
    /// called again at once.
    pub fn handshake(&mut self, lent: &mut [u8]) -> io::Result<bool> {
        for _ in 0..HANDSHAKE_READS_MAX {
            let is_flushed = self.flush()?;
            let Phase::Handshake(received, first) = self.phase else {
                return Ok(is_flushed);
            };
            // A peer that does not read makes us keep no more than one flight.
            if !is_flushed {
                return Ok(false);
            }
            let n = match self.socket.read(&mut lent[..READ_BYTES_MAX]) {
                Ok(0) if received == 0 => return Err(ErrorKind::ConnectionAborted.into()),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            self.phase = Phase::Handshake(received + n, first.or(Some(lent[0])));
            if self.is_plain() {
                let why = "what came is not TLS";
                return Err(io::Error::new(ErrorKind::InvalidData, why));
            }
            self.feed(&mut lent[..n], &mut []);
            if let Some(refused) = self.refused() {
                let _ = self.flush();
                return Err(refused);
            }
            // Unless the peer's last word has come as well.
            let is_in_handshake = self.is_in_handshake();
            if is_in_handshake && !self.session.is_handshaking() {
                self.phase = Phase::Open;
            } else if is_in_handshake && received + n > HANDSHAKE_BYTES_MAX {
                let why = format!("more than {HANDSHAKE_BYTES_MAX} bytes before its end");
                return Err(io::Error::new(ErrorKind::InvalidData, why));
            }
        }
        Err(ErrorKind::Interrupted.into())
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

    /// Writes plaintext, of at most one record. What the socket does not take of the record is kept. To a peer that
    /// [does not speak TLS](TlsStream::is_plain) it is written as it is.
    ///
    /// # Errors
    /// `WouldBlock`: the socket has not taken the last record yet. Any other error of the socket.
    pub fn write(&mut self, slices: &[IoSlice<'_>], lent: &mut [u8]) -> io::Result<usize> {
        match self.phase {
            Phase::Handshake(..) if self.is_plain() => return self.socket.write_vectored(slices),
            Phase::Handshake(..) => return Err(ErrorKind::NotConnected.into()),
            _ => {}
        }
        if !self.flush()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        if let Some(refused) = self.refused() {
            return Err(refused);
        }
        let (gathered, record) = lent.split_at_mut(RECORD_BYTES_MAX);
        let plaintext = match slices {
            [slice] => &slice[..slice.len().min(RECORD_BYTES_MAX)],
            slices => gather(slices, gathered),
        };
        // All that has arrived is processed already, so there is nothing else to be done first.
        let mut traffic = match self.session.process_tls_records(&mut self.incoming).state {
            Ok(ConnectionState::WriteTraffic(traffic)) => traffic,
            _ => return Err(ErrorKind::NotConnected.into()),
        };
        let n = traffic.encrypt(plaintext, record);
        let record = &record[..n.map_err(io::Error::other)?];
        let sent = match self.socket.write(record) {
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                0
            }
            sent => sent?,
        };
        self.outgoing.extend_from_slice(&record[sent..]);
        Ok(plaintext.len())
    }

    /// Writes what earlier calls have left. False: the socket has not taken all of it.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn flush(&mut self) -> io::Result<bool> {
        while !self.outgoing.is_empty() {
            match self.socket.write(&self.outgoing) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) if n == self.outgoing.len() => self.outgoing = Vec::new(),
                Ok(n) => drop(self.outgoing.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Says that nothing more will be written. False: that is still to be [flushed](TlsStream::flush). After the first call
    /// what arrives is discarded.
    pub fn finish(&mut self) -> bool {
        // A peer whose handshake is not over takes no such word.
        let mut last = [0; LAST_BYTES_MAX];
        if !matches!(self.phase, Phase::Finished | Phase::Handshake(..))
            && self.failure.is_none()
            && let Ok(ConnectionState::WriteTraffic(mut traffic)) =
                self.session.process_tls_records(&mut self.incoming).state
            && let Ok(n) = traffic.queue_close_notify(&mut last)
        {
            self.outgoing.extend_from_slice(&last[..n]);
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

#[cfg(test)]
mod tests;
