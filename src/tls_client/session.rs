//! One TLS session of a client, without its socket: bytes of the network go in and text comes out, and the other way round.
//! Never reads or writes by itself.
//!
//! ```text
//! network ──▶ shake_hands / receive ──▶ text          seal ──▶ write_to ──▶ network
//!                      └──────── answers of TLS's own ────────────┘
//! ```

use super::Config;
use super::explain::{can_be_tls, explain, not_tls};
use rustls::ClientConnection;
use std::io::{self, BufRead, ErrorKind, Write};
use std::sync::Arc;

/// Text in one record (RFC 8446, section 5.1): more is not sealed before the network has taken that.
pub const RECORD_BYTES_MAX: usize = 16 * 1024;

/// A TLS session.
#[derive(Debug)]
pub struct Session {
    tls: ClientConnection,
    config: Arc<Config>,
    /// Nothing has come from the server.
    is_fresh: bool,
    /// Text has come with the end of the handshake, and is not taken.
    has_early_text: bool,
    /// The server has ended its stream (close_notify).
    is_ended: bool,
    /// The client has.
    is_closed: bool,
}

impl Session {
    /// A session that has not begun.
    ///
    /// # Errors
    /// The system gives no random bytes: in words.
    pub fn new(config: &Arc<Config>) -> Result<Session, String> {
        let tls = ClientConnection::new(Arc::clone(&config.tls), config.name.clone());
        Ok(Session {
            tls: tls.map_err(|error| explain(&error, config.has_identity))?,
            config: Arc::clone(config),
            is_fresh: true,
            has_early_text: false,
            is_ended: false,
            is_closed: false,
        })
    }

    /// Whether the handshake is not complete. No text may be sealed before that.
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether the server has ended its stream in order. Nothing that comes after that is text.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether text is here that no further byte of the network will announce.
    pub fn has_early_text(&self) -> bool {
        self.has_early_text
    }

    /// Takes bytes of the network during the handshake. Text that comes with them stays here until
    /// [`receive`](Session::receive).
    ///
    /// # Errors
    /// The handshake has failed: in words.
    pub fn shake_hands(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        if let Some(&first) = bytes.first().filter(|_| std::mem::take(&mut self.is_fresh))
            && !can_be_tls(first)
        {
            return Err(not_tls(bytes));
        }
        while self.feed(&mut bytes)? {}
        Ok(())
    }

    /// Takes bytes of the network, and passes on the text in them: all of it, so that none waits here.
    ///
    /// # Errors
    /// The session cannot go on: in words. Text that came before is passed on.
    pub fn receive(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), String> {
        self.drain(&mut take);
        loop {
            let fed = self.feed(&mut bytes);
            self.drain(&mut take);
            if !fed? {
                return Ok(());
            }
        }
    }

    /// Takes some of the bytes; false if there are none, or the stream has ended.
    fn feed(&mut self, bytes: &mut &[u8]) -> Result<bool, String> {
        if bytes.is_empty() || self.is_ended {
            return Ok(false);
        }
        let words = |error: io::Error| format!("TLS has failed: {error}");
        self.tls.read_tls(bytes).map_err(words)?;
        let state = self.tls.process_new_packets();
        let state = state.map_err(|error| explain(&error, self.config.has_identity))?;
        self.has_early_text = state.plaintext_bytes_to_read() > 0;
        self.is_ended = state.peer_has_closed();
        Ok(true)
    }

    fn drain(&mut self, take: &mut impl FnMut(&[u8])) {
        let mut reader = self.tls.reader();
        while let Ok(text) = reader.fill_buf()
            && !text.is_empty()
        {
            take(text);
            let bytes = text.len();
            reader.consume(bytes);
        }
        self.has_early_text = false;
    }

    /// Seals some text, at most a record, for [`write_to`](Session::write_to). Returns how many bytes that was: none while
    /// something waits to be written.
    pub fn seal(&mut self, text: &[u8]) -> usize {
        if self.tls.wants_write() || self.tls.is_handshaking() || self.is_closed {
            return 0;
        }
        let most = text.len().min(RECORD_BYTES_MAX);
        // Its buffer, which is empty, holds several records.
        self.tls.writer().write(&text[..most]).unwrap_or(0)
    }

    /// Ends the client's stream (close_notify). What the server sends can still be received.
    pub fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) && !self.tls.is_handshaking() {
            self.tls.send_close_notify();
        }
    }

    /// Whether something waits to be written: sealed text, or an answer of TLS's own.
    pub fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    /// Writes all that waits to be written.
    ///
    /// # Errors
    /// See write(2). After `WouldBlock` the rest waits here.
    pub fn write_to(&mut self, mut network: impl Write) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut network) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => drop(written?),
            }
        }
        Ok(())
    }
}
