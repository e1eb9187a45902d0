//! What a TLS connection receives: ciphertext in any pieces, decrypted where it is. Writes nothing but answers that TLS itself
//! asks for, and knows no phase of a turn.

use super::records::encode;
use super::{Phase, READ_BYTES_MAX, RECORD_BYTES_MAX, RECORD_OVERHEAD_BYTES_MAX, TlsStream};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{Error, InvalidMessage};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;

/// Bytes before a record, the last two of which are its length: RFC 8446, 5.1.
const HEADER_BYTES: usize = 5;

impl<S: Read + Write> TlsStream<S> {
    /// Reads plaintext; 0: the peer has said that it sends nothing more. Before the handshake has begun, and after our own last
    /// word, what the socket has: a PROXY header, or what is discarded.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is there. `Interrupted`: something has arrived that holds no plaintext yet. `UnexpectedEof`: the
    /// connection was cut, so that its last bytes may be missing. `InvalidData`: what has arrived is not what the peer sent.
    pub fn read(&mut self, into: &mut [u8], lent: &mut [u8]) -> io::Result<usize> {
        self.overhead = 0;
        if matches!(self.phase, Phase::Handshake(..) | Phase::Finished) {
            return self.socket.read(into);
        }
        if !self.plaintext.is_empty() {
            return Ok(self.take_plaintext(into));
        }
        if self.phase == Phase::PeerFinished(true) {
            // Nothing counts that comes now, but whether the connection still lasts.
            return match self.socket.read(lent)? {
                0 => Ok(0),
                _ => Err(ErrorKind::Interrupted.into()),
            };
        }
        // What was received before may have ended in an error, or with the peer's last word.
        if let Some(refused) = self.refused() {
            return Err(refused);
        }
        if self.end() {
            return Ok(0);
        }
        // No more than `into` holds, so that at most one record of plaintext is left over here.
        let most = READ_BYTES_MAX.max(self.missing()).min(into.len());
        let arrived = match self.socket.read(&mut lent[..most])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => n,
        };
        let n = self.feed(&mut lent[..arrived], into);
        self.overhead = arrived.saturating_sub(n) as u32;
        // An answer that the socket does not take now is kept: see `flush`.
        let _ = self.flush();
        match (n, self.refused()) {
            (0, Some(refused)) => Err(refused),
            (0, None) if self.end() => Ok(0),
            (0, None) => Err(ErrorKind::Interrupted.into()),
            (n, _) => Ok(n),
        }
    }

    /// Bytes that the last read took from the socket beyond those that it returned: what they held is for TLS itself, or a record
    /// is not whole.
    pub fn overhead(&self) -> u64 {
        self.overhead.into()
    }

    /// How many bytes a record that has arrived in part still needs, as its header says: at most [`RECORD_BYTES_MAX`].
    fn missing(&self) -> usize {
        let Some([.., high, low]) = self.incoming.first_chunk::<HEADER_BYTES>() else {
            return 0;
        };
        let record = HEADER_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
        record
            .saturating_sub(self.incoming.len())
            .min(RECORD_BYTES_MAX)
    }

    fn take_plaintext(&mut self, into: &mut [u8]) -> usize {
        let n = into.len().min(self.plaintext.len());
        into[..n].copy_from_slice(&self.plaintext[..n]);
        match n == self.plaintext.len() {
            true => self.plaintext = Vec::new(),
            false => drop(self.plaintext.drain(..n)),
        }
        n
    }

    /// Whether a read is to return now that the peer sends nothing more.
    fn end(&mut self) -> bool {
        let has_ended = matches!(self.phase, Phase::PeerFinished(_));
        if has_ended {
            self.phase = Phase::PeerFinished(true);
        }
        has_ended
    }

    /// The failure as an error of reading, if nothing can be received any more.
    pub(super) fn refused(&self) -> Option<io::Error> {
        let failure = self.failure.as_deref()?;
        let kind = match failure {
            Error::AlertReceived(_) => ErrorKind::ConnectionRefused,
            _ => ErrorKind::InvalidData,
        };
        Some(io::Error::new(kind, failure.clone()))
    }

    /// Decrypts what has arrived, and takes as much plaintext as `into` holds; the rest of it, and a record that is not whole,
    /// are kept.
    pub(super) fn feed(&mut self, arrived: &mut [u8], into: &mut [u8]) -> usize {
        if self.incoming.is_empty() {
            let (done, n) = self.process(arrived, into);
            self.incoming = arrived[done..].to_vec();
            return n;
        }
        let mut incoming = mem::take(&mut self.incoming);
        incoming.reserve_exact(arrived.len());
        incoming.extend_from_slice(arrived);
        let (done, n) = self.process(&mut incoming, into);
        self.incoming = match done {
            0 => incoming,
            done => incoming[done..].to_vec(),
        };
        // A handshake is limited as a whole.
        let most = RECORD_BYTES_MAX + RECORD_OVERHEAD_BYTES_MAX;
        if self.incoming.len() > most && !self.is_in_handshake() {
            self.fail(InvalidMessage::HandshakePayloadTooLarge.into());
        }
        n
    }

    /// Decrypts the whole records of `incoming`. Returns how many of its bytes are done with, and how many bytes are in
    /// `into`; plaintext that it does not hold is kept.
    fn process(&mut self, incoming: &mut [u8], into: &mut [u8]) -> (usize, usize) {
        let (mut done, mut n) = (0, 0);
        loop {
            let status = self.session.process_tls_records(&mut incoming[done..]);
            let UnbufferedStatus { discard, state } = status;
            done += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        let taken = record.payload.len().min(into.len() - n);
                        let (here, later) = record.payload.split_at(taken);
                        into[n..][..taken].copy_from_slice(here);
                        n += taken;
                        self.plaintext.reserve_exact(later.len());
                        self.plaintext.extend_from_slice(later);
                        done += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(message)) => encode(message, &mut self.outgoing),
                Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
                Ok(ConnectionState::PeerClosed) => {
                    self.phase = Phase::PeerFinished(false);
                    // Nothing counts after the peer's last word.
                    done = incoming.len();
                }
                Ok(_) => return (done, n),
                Err(error) => {
                    self.fail(error);
                    return (incoming.len(), n);
                }
            }
        }
    }

    /// From now on nothing is received. The alert that says why is still to be flushed.
    fn fail(&mut self, error: Error) {
        while self.session.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(alert)) =
                self.session.process_tls_records(&mut []).state
        {
            encode(alert, &mut self.outgoing);
        }
        self.incoming = Vec::new();
        self.failure = Some(Box::new(error));
    }
}
