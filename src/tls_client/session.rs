//! One TLS session of a client, without its socket: bytes of the network go in and text comes out, and the other way round.
//! Never reads or writes by itself.
//!
//! ```text
//! network ──▶ shake_hands / receive ──▶ text          seal ──▶ write_to ──▶ network
//!                      └──────── answers of TLS's own ────────────┘
//! ```

use super::Config;
use super::explain::{can_be_tls, explain, not_tls};
use memchr::memchr;
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
    /// A line has still to come without TLS, before which nothing is sent.
    awaits_line: bool,
    /// Nothing of TLS has come from the server.
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
            awaits_line: config.after_line,
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
        if self.awaits_line {
            let Some(end) = memchr(b'\n', bytes) else {
                return Ok(());
            };
            self.awaits_line = false;
            bytes = &bytes[end + 1..];
        }
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
        self.tls.wants_write() && !self.awaits_line
    }

    /// Writes all that waits to be written.
    ///
    /// # Errors
    /// See write(2). After `WouldBlock` the rest waits here.
    pub fn write_to(&mut self, mut network: impl Write) -> io::Result<()> {
        while self.wants_write() {
            match self.tls.write_tls(&mut network) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => drop(written?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_server::{
        VERSIONS, certificate, connected, pair, pass_to_server, say, sent,
    };
    use super::*;
    use rustls::ServerConnection;
    use rustls::version::TLS13;

    /// Passes bytes of the network to a client in these pieces. Returns the text, or why the session has failed after it.
    fn receive<'a>(
        client: &mut Session,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Result<(), String>) {
        let mut text = Vec::new();
        for piece in pieces {
            let done = client.receive(piece, |bytes| text.extend_from_slice(bytes));
            if done.is_err() {
                return (text, done);
            }
        }
        (text, Ok(()))
    }

    #[test]
    fn text_does_not_depend_on_where_the_network_cuts_records() {
        for version in VERSIONS {
            let lines: [&[u8]; 3] = [b"* one\n", b"", b"kim: two\nkim: th"];
            let length = {
                let (_, mut server) = connected(version);
                lines
                    .iter()
                    .map(|text| say(&mut server, text).len())
                    .sum::<usize>()
            };
            for cut in 0..=length {
                let (mut client, mut server) = connected(version);
                let bytes: Vec<u8> = lines
                    .iter()
                    .flat_map(|text| say(&mut server, text))
                    .collect();
                let (text, done) = receive(&mut client, [&bytes[..cut], &bytes[cut..]]);
                assert_eq!(done, Ok(()));
                assert_eq!(text, lines.concat(), "cut at {cut}");
                assert!(!client.is_ended() && !client.has_early_text());
            }
        }
    }

    #[test]
    fn a_session_in_single_bytes_is_the_same_from_the_first_to_the_last() {
        for version in VERSIONS {
            let (mut client, mut server) = pair(version);
            while client.is_handshaking() || server.is_handshaking() {
                pass_to_server(&mut client, &mut server);
                for byte in sent(&mut server).chunks(1) {
                    client.shake_hands(byte).unwrap();
                }
            }
            assert_eq!(client.seal(b"hello\n"), 6);
            assert_eq!(pass_to_server(&mut client, &mut server), b"hello\n");
            let long = [b"x".repeat(40_000), b"\n".to_vec()].concat();
            let mut bytes = say(&mut server, &long);
            server.send_close_notify();
            bytes.extend(sent(&mut server));
            bytes.extend_from_slice(b"bytes after the end are no text");
            let (text, done) = receive(&mut client, bytes.chunks(1));
            assert_eq!(done, Ok(()));
            assert!(text == long && client.is_ended());
        }
    }

    #[test]
    fn much_that_comes_at_once_is_passed_on_at_once() {
        for version in VERSIONS {
            let (mut client, mut server) = connected(version);
            let long = b"0123456789abcde\n".repeat(10_000);
            let bytes = say(&mut server, &long);
            let (text, done) = receive(&mut client, [&bytes[..]]);
            assert_eq!(done, Ok(()));
            assert!(text == long, "{} of {} bytes", text.len(), long.len());
        }
    }

    /// A server that sends text before the client has finished the handshake.
    fn hasty_server() -> (Session, ServerConnection) {
        let made = certificate(&["localhost"], |_| {});
        let mut config = made.server(&TLS13);
        config.send_half_rtt_data = true;
        let server = ServerConnection::new(Arc::new(config)).unwrap();
        (Session::new(&made.trusted()).unwrap(), server)
    }

    #[test]
    fn text_that_comes_with_the_handshake_waits_for_the_first_read() {
        let (mut client, mut server) = hasty_server();
        pass_to_server(&mut client, &mut server);
        server.writer().write_all(b"* you are early\n").unwrap();
        client.shake_hands(&sent(&mut server)).unwrap();
        assert!(client.has_early_text() && !client.is_handshaking());
        let (text, done) = receive(&mut client, [&b""[..]]);
        assert_eq!((text, done), (b"* you are early\n".to_vec(), Ok(())));
        assert!(!client.has_early_text());
    }

    #[test]
    fn a_key_update_is_answered_and_nothing_is_lost() {
        let (mut client, mut server) = connected(&TLS13);
        let mut bytes = say(&mut server, b"before ");
        server.refresh_traffic_keys().unwrap();
        bytes.extend(say(&mut server, b"after\n"));
        let (text, done) = receive(&mut client, [&bytes[..]]);
        assert_eq!((text, done), (b"before after\n".to_vec(), Ok(())));
        // The answer goes before the next text.
        assert_eq!(client.seal(b"under new keys\n"), 15);
        assert_eq!(
            pass_to_server(&mut client, &mut server),
            b"under new keys\n"
        );
    }

    #[test]
    fn one_record_at_a_time_is_sealed() {
        for version in VERSIONS {
            let (mut client, mut server) = connected(version);
            let text = b"x".repeat(3 * RECORD_BYTES_MAX);
            let (mut rest, mut arrived) = (&text[..], 0);
            while !rest.is_empty() {
                let taken = client.seal(rest);
                assert_eq!(taken, RECORD_BYTES_MAX);
                assert_eq!(
                    client.seal(&rest[taken..]),
                    0,
                    "the network has taken nothing"
                );
                rest = &rest[taken..];
                arrived += pass_to_server(&mut client, &mut server).len();
            }
            assert_eq!(arrived, text.len());
        }
    }

    #[test]
    fn after_the_clients_end_the_server_can_still_be_heard() {
        for version in VERSIONS {
            let (mut client, mut server) = connected(version);
            client.close();
            client.close();
            assert_eq!(client.seal(b"too late"), 0);
            pass_to_server(&mut client, &mut server);
            assert!(server.process_new_packets().unwrap().peer_has_closed());
            let bytes = say(&mut server, b"* goodbye\n");
            assert_eq!(receive(&mut client, [&bytes[..]]).0, b"* goodbye\n");
        }
    }

    #[test]
    fn damage_ends_the_session_after_the_text_before_it() {
        for version in VERSIONS {
            let (mut client, mut server) = connected(version);
            let whole = say(&mut server, b"whole\n");
            let mut damaged = say(&mut server, b"damaged\n");
            *damaged.last_mut().unwrap() ^= 1;
            let (text, done) = receive(&mut client, [&whole[..], &damaged[..]]);
            assert_eq!(text, b"whole\n");
            assert!(done.unwrap_err().contains("damaged"));
            assert!(client.wants_write(), "the read has created an alert");
            let (text, done) = receive(&mut client, [&whole[..]]);
            assert!(text.is_empty() && done.is_err(), "it stays so");
        }
    }

    #[test]
    fn nothing_is_sent_before_the_line_that_a_server_says_first() {
        let made = certificate(&["localhost"], |_| {});
        let mut client = Session::new(&made.trusted_after(true)).unwrap();
        let mut server = ServerConnection::new(Arc::new(made.server(&TLS13))).unwrap();
        for piece in [&b"INFO {"[..], b"}\r"] {
            client.shake_hands(piece).unwrap();
            assert!(!client.wants_write());
            let mut network = Vec::new();
            client.write_to(&mut network).unwrap();
            assert!(network.is_empty());
        }
        client.shake_hands(b"\n").unwrap();
        while client.is_handshaking() {
            pass_to_server(&mut client, &mut server);
            client.shake_hands(&sent(&mut server)).unwrap();
        }
        pass_to_server(&mut client, &mut server);
        assert_eq!(client.seal(b"hello\n"), 6);
        assert_eq!(pass_to_server(&mut client, &mut server), b"hello\n");
    }

    #[test]
    fn a_server_without_tls_is_known_by_its_first_byte() {
        let (mut client, _) = pair(&TLS13);
        let why = client.shake_hands(b"* you are guest1").unwrap_err();
        assert!(
            why.contains("speaks no TLS, it says \"* you are guest1\""),
            "{why}"
        );
    }
}
