//! Both ends of a transport under which reads and writes do not match those of the socket, as under TLS: a handshake, then
//! records, of which some carry no bytes for anybody. Encrypts nothing, and knows neither hub nor scheduler.
//!
//! - What has arrived may hold a part of a record; then a read is `Interrupted`.
//! - Bytes may be there to be read although nothing arrives any more.
//! - A write takes bytes for one record, and only if the socket has taken the last one. The rest is kept until a flush.
//! - A read may leave something to be written: the answer to an [update](Kind::Update).
//! - An end that finishes says so in a [last word](Kind::LastWord); without it the connection was cut.

use super::network::Network;
use super::pipe::{Pipe, Shared, Socket};
use madang::hub::Peer;
use madang::net::transport::Handshake;
use std::collections::VecDeque;
use std::io::{self, Read};

/// The most that a record holds.
pub const RECORD_BYTES: usize = 16_384;
/// A record's kind and its length come before what it holds.
pub const HEADER_BYTES: usize = 3;
/// Bytes of the server's answer to a [hello](Kind::Hello): more than some sockets take at once.
const FLIGHT_BYTES: usize = 1_500;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The client's first one, and the server's answer. As in TLS, it begins with a byte that no line begins with.
    Hello = 0x16,
    /// The client has received the answer: its handshake is over.
    Shaken = 0x17,
    /// Bytes of lines.
    Data = 0x18,
    /// Asks the other end for one of these.
    Update = 0x19,
    /// The answer to it.
    Updated = 0x1a,
    /// Nothing follows.
    LastWord = 0x1b,
}

const KINDS: [Kind; 6] = [
    Kind::Hello,
    Kind::Shaken,
    Kind::Data,
    Kind::Update,
    Kind::Updated,
    Kind::LastWord,
];

/// A record as it is sent.
pub fn record(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let [high, low] = (bytes.len() as u16).to_be_bytes();
    [&[kind as u8, high, low], bytes].concat()
}

/// Bytes that have arrived, to be taken as records.
#[derive(Clone, Debug, Default)]
struct Records(Vec<u8>);

impl Records {
    /// The next record that is whole.
    fn next(&mut self) -> Option<(Kind, Vec<u8>)> {
        let &[first, high, low] = self.0.first_chunk()?;
        let end = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
        let bytes = self.0.get(HEADER_BYTES..end)?.to_vec();
        self.0.drain(..end);
        let kind = KINDS.into_iter().find(|kind| *kind as u8 == first);
        Some((kind.expect("a kind of record"), bytes))
    }
}

/// How far the server's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first byte that has arrived.
    Handshake(Option<u8>),
    Open,
    /// The client has said its last word, and whether a read has returned that.
    PeerFinished(bool),
    /// The server has said its last word: what arrives is not looked at.
    Finished,
}

/// Both ends.
#[derive(Debug)]
pub struct Veil {
    phase: Phase,
    arrived: Records,
    /// Bytes that the server has not read yet, and that are no longer in the socket.
    unread: VecDeque<u8>,
    /// Bytes that the server has written and its socket has not taken.
    kept: VecDeque<u8>,
    /// Those that it still kept when it closed the connection.
    lost: Vec<u8>,
    pub client: ClientEnd,
}

/// What the client knows.
#[derive(Clone, Debug, Default)]
pub struct ClientEnd {
    arrived: Records,
    pub is_open: bool,
    /// Updates that it has asked for, and the answers.
    pub updates: usize,
    pub updated: usize,
    /// The server has said its last word.
    pub is_finished: bool,
    /// The server has answered in plain text.
    is_refused: bool,
}

impl ClientEnd {
    /// What arrives, as lines, and whether the handshake is over with it.
    fn receive(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let was_open = self.is_open;
        self.arrived.0.extend_from_slice(bytes);
        let first = self.arrived.0.first();
        self.is_refused |= first.is_some_and(|&first| KINDS.iter().all(|it| *it as u8 != first));
        if self.is_refused {
            return (std::mem::take(&mut self.arrived.0), false);
        }
        let mut text = Vec::new();
        while let Some((kind, bytes)) = self.arrived.next() {
            assert!(!self.is_finished, "{kind:?} after the server's last word");
            match kind {
                Kind::Hello => self.is_open = true,
                Kind::Data => text.extend(bytes),
                Kind::Updated => self.updated += 1,
                Kind::LastWord => self.is_finished = true,
                Kind::Shaken | Kind::Update => panic!("the server sends {kind:?}"),
            }
        }
        (text, self.is_open && !was_open)
    }
}

impl Default for Veil {
    fn default() -> Veil {
        Veil {
            phase: Phase::Handshake(None),
            arrived: Records::default(),
            unread: VecDeque::new(),
            kept: VecDeque::new(),
            lost: Vec::new(),
            client: ClientEnd::default(),
        }
    }
}

impl Veil {
    pub fn is_in_handshake(&self) -> bool {
        matches!(self.phase, Phase::Handshake(_))
    }

    /// Whether the client, in its handshake, has sent nothing, or nothing that is a handshake's.
    pub fn is_plain(&self) -> bool {
        let hello = Some(Kind::Hello as u8);
        matches!(self.phase, Phase::Handshake(first) if first != hello)
    }

    /// Whether the socket has not taken all that was written.
    pub fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Whether the server has closed the connection before its socket had taken all.
    pub fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// The server closes the connection: what it keeps is lost.
    pub fn close(&mut self) {
        self.lost.extend(self.kept.drain(..));
    }

    /// Takes what has arrived at the server's end.
    fn take(&mut self, bytes: &[u8]) {
        self.arrived.0.extend_from_slice(bytes);
        while let Some((kind, bytes)) = self.arrived.next() {
            match kind {
                Kind::Hello => self.kept.extend(record(Kind::Hello, &[0; FLIGHT_BYTES])),
                Kind::Shaken => self.phase = Phase::Open,
                Kind::Data => self.unread.extend(bytes),
                Kind::Update => self.kept.extend(record(Kind::Updated, &[])),
                Kind::LastWord => self.phase = Phase::PeerFinished(false),
                Kind::Updated => panic!("the client sends {kind:?}"),
            }
        }
    }

    fn take_unread(&mut self, into: &mut [u8]) -> usize {
        self.unread.read(into).expect("a queue can be read")
    }

    /// Whether a read is to return that the client has finished.
    fn end(&mut self) -> bool {
        let has_ended = matches!(self.phase, Phase::PeerFinished(_));
        if has_ended {
            self.phase = Phase::PeerFinished(true);
        }
        has_ended
    }
}

impl Pipe {
    fn server_end(&mut self) -> &mut Veil {
        self.veil.as_mut().expect("a veiled pipe")
    }

    /// What the server has written and the client has not read, as lines.
    pub fn unread_text(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.outbound.iter().copied().collect();
        let Some(veil) = &self.veil else { return bytes };
        bytes.extend(veil.kept.iter().chain(&veil.lost));
        veil.client.clone().receive(&bytes).0
    }

    /// Whether the client has something to read, or will have it as soon as it reads.
    pub fn is_unread(&self) -> bool {
        !self.outbound.is_empty() || self.veil.as_ref().is_some_and(|veil| veil.keeps())
    }

    /// Whether the client's handshake is not over.
    pub fn shakes_hands(&self) -> bool {
        let veil = self.veil.as_ref();
        veil.is_some_and(|veil| !veil.client.is_open && !veil.client.is_refused)
    }
}

/// The client's end.
impl Network {
    /// A client sends bytes of lines.
    pub fn send(&mut self, pipe: &Shared, bytes: &[u8]) {
        let mut it = pipe.borrow_mut();
        match it.veil {
            Some(_) => {
                for bytes in bytes.chunks(RECORD_BYTES) {
                    it.inbound.extend(record(Kind::Data, bytes));
                }
            }
            None => it.inbound.extend(bytes),
        }
        drop(it);
        self.arrived(pipe);
    }

    /// A client reads so many bytes of its socket at most: those of lines.
    pub fn receive(&mut self, pipe: &Shared, most: usize) -> Vec<u8> {
        let mut it = pipe.borrow_mut();
        let n = most.min(it.outbound.len());
        let mut bytes = vec![0; n];
        it.outbound
            .read_exact(&mut bytes)
            .expect("there are so many");
        let (text, is_shaken) = match &mut it.veil {
            Some(veil) => veil.client.receive(&bytes),
            None => (bytes, false),
        };
        let answers = is_shaken && !it.fin && !it.reset;
        if answers {
            it.inbound.extend(record(Kind::Shaken, &[]));
        }
        drop(it);
        if n > 0 {
            self.drained(pipe);
        }
        if answers {
            self.arrived(pipe);
        }
        text
    }

    /// A client asks for an update.
    pub fn ask_update(&mut self, pipe: &Shared) {
        let mut it = pipe.borrow_mut();
        it.server_end().client.updates += 1;
        it.inbound.extend(record(Kind::Update, &[]));
        drop(it);
        self.arrived(pipe);
    }

    /// A client finishes sending, with a last word or without.
    pub fn finish_sending(&mut self, pipe: &Shared, with_last_word: bool) {
        let mut it = pipe.borrow_mut();
        if with_last_word && it.veil.is_some() && !it.shakes_hands() {
            it.inbound.extend(record(Kind::LastWord, &[]));
        }
        it.fin = true;
        drop(it);
        self.arrived(pipe);
    }
}

/// The server's end.
impl Network {
    /// Reads, and decides like `TlsStream::read`.
    pub fn read_veiled(&mut self, socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
        let mut pipe = socket.0.borrow_mut();
        let veil = pipe.server_end();
        if matches!(veil.phase, Phase::Handshake(_) | Phase::Finished) {
            drop(pipe);
            return self.read_socket(socket, into);
        }
        let n = veil.take_unread(into);
        if n > 0 {
            return Ok(n);
        }
        let is_over = veil.phase == Phase::PeerFinished(true);
        if !is_over && veil.end() {
            return Ok(0);
        }
        drop(pipe);
        let mut arrived = vec![0; into.len().min(RECORD_BYTES)];
        let n = self.read_socket(socket, &mut arrived)?;
        match (n, is_over) {
            (0, true) => return Ok(0),
            (0, false) => return Err(io::ErrorKind::UnexpectedEof.into()),
            (_, true) => return Err(io::ErrorKind::Interrupted.into()),
            (n, false) => socket.0.borrow_mut().server_end().take(&arrived[..n]),
        }
        let _ = self.flush_veiled(socket);
        let mut pipe = socket.0.borrow_mut();
        let veil = pipe.server_end();
        match veil.take_unread(into) {
            0 if veil.end() => Ok(0),
            0 => Err(io::ErrorKind::Interrupted.into()),
            n => Ok(n),
        }
    }

    /// Writes bytes of one record.
    pub fn write_veiled(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        let (is_plain, phase) = {
            let mut pipe = socket.0.borrow_mut();
            (pipe.server_end().is_plain(), pipe.server_end().phase)
        };
        match phase {
            Phase::Handshake(_) if is_plain => return self.write_socket(socket, bytes),
            Phase::Handshake(_) => return Err(io::ErrorKind::NotConnected.into()),
            _ => {}
        }
        if !self.flush_veiled(socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = bytes.len().min(RECORD_BYTES);
        let record = record(Kind::Data, &bytes[..n]);
        socket.0.borrow_mut().server_end().kept.extend(record);
        self.flush_veiled(socket)?;
        Ok(n)
    }

    /// Writes what is kept, as far as the socket takes it. True: all of it.
    pub fn flush_veiled(&mut self, socket: &Socket) -> io::Result<bool> {
        let mut pipe = socket.0.borrow_mut();
        let kept = pipe.server_end().kept.make_contiguous().to_vec();
        drop(pipe);
        if kept.is_empty() {
            return Ok(true);
        }
        match self.write_socket(socket, &kept) {
            Ok(n) => {
                let mut pipe = socket.0.borrow_mut();
                pipe.server_end().kept.drain(..n);
                let is_all = n == kept.len();
                let is_full = pipe.room() == 0;
                pipe.wants_write |= !is_all && is_full;
                let id = pipe.id;
                drop(pipe);
                // A socket that takes a part is full; a fault is made up for by an event.
                if !is_all && !is_full {
                    self.would_block(id, false);
                }
                Ok(is_all)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Goes on with a handshake.
    pub fn shake_hands(&mut self, socket: &Socket, peer: Peer) -> io::Result<Handshake> {
        let is_flushed = self.flush_veiled(socket)?;
        let mut pipe = socket.0.borrow_mut();
        let Phase::Handshake(first) = pipe.server_end().phase else {
            let is_secure = true;
            return Ok(match is_flushed {
                true => Handshake::Done(Peer { is_secure, ..peer }),
                false => Handshake::Wait,
            });
        };
        drop(pipe);
        if !is_flushed {
            return Ok(Handshake::Wait);
        }
        let mut arrived = [0; 100];
        let n = match self.read_socket(socket, &mut arrived) {
            Ok(0) if first.is_none() => return Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Handshake::Wait),
            other => other?,
        };
        let mut pipe = socket.0.borrow_mut();
        let veil = pipe.server_end();
        veil.phase = Phase::Handshake(first.or(Some(arrived[0])));
        if veil.is_plain() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        veil.take(&arrived[..n]);
        Ok(Handshake::Again)
    }

    /// Says the last word. True: the socket has taken all.
    pub fn finish_veiled(&mut self, socket: &Socket) -> bool {
        let mut pipe = socket.0.borrow_mut();
        let veil = pipe.server_end();
        if veil.phase != Phase::Finished && !veil.is_plain() {
            veil.kept.extend(record(Kind::LastWord, &[]));
        }
        veil.phase = Phase::Finished;
        drop(pipe);
        self.flush_veiled(socket).unwrap_or(true)
    }
}
