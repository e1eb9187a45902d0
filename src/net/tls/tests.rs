//! A server's end of TLS against a client in memory: both are rustls, the pipe between them is as bad as a test wants it.

use super::*;
use crate::net::certificates::Files;
use crate::testing::authority::Authority;
use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{MessageEncrypter, OutboundPlainMessage};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, RootCertStore,
    SupportedProtocolVersion,
};
use std::collections::VecDeque;
use std::sync::LazyLock;

/// What both sides know.
struct World {
    server: Arc<ServerConfig>,
    roots: RootCertStore,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let authority = Authority::new("the test's");
    let identity = authority.server(&["chat.test"], 2999);
    let pid = std::process::id();
    let file = std::env::temp_dir().join(format!("madang-tls-{pid}.pem"));
    std::fs::write(&file, identity.both()).unwrap();
    let files = Files {
        certificates: vec![file.clone()],
        ..Files::default()
    };
    let server = files.load().unwrap().config;
    std::fs::remove_file(file).unwrap();
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
    roots.add(root).unwrap();
    World { server, roots }
});

/// The server's socket.
#[derive(Debug)]
struct Pipe {
    /// What the client has sent.
    inbound: VecDeque<u8>,
    /// The client has closed its socket.
    has_ended: bool,
    /// A read yields no more.
    read_max: usize,
    /// What the server has sent.
    outbound: Vec<u8>,
    /// How many bytes the socket still takes.
    room: usize,
    /// A write takes no more.
    write_max: usize,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = into.len().min(self.read_max).min(self.inbound.len());
        if n == 0 && !self.has_ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        for (to, from) in into.iter_mut().zip(self.inbound.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.room).min(self.write_max);
        if n == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.room -= n;
        self.outbound.extend(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends of a connection.
struct Pair {
    server: TlsStream<Pipe>,
    client: ClientConnection,
    lent: Vec<u8>,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion) -> Pair {
        Pair::with_provider(version, default_provider())
    }

    fn with_provider(version: &'static SupportedProtocolVersion, provider: CryptoProvider) -> Pair {
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(WORLD.roots.clone())
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        let name = ServerName::try_from("chat.test").unwrap();
        let pipe = Pipe {
            inbound: VecDeque::new(),
            has_ended: false,
            read_max: usize::MAX,
            outbound: Vec::new(),
            room: usize::MAX,
            write_max: usize::MAX,
        };
        Pair {
            server: TlsStream::new(pipe, Arc::clone(&WORLD.server)).unwrap(),
            client: ClientConnection::new(Arc::new(config), name).unwrap(),
            lent: vec![0; LENT_BYTES],
        }
    }

    /// After the handshake.
    fn open(version: &'static SupportedProtocolVersion) -> Pair {
        let mut pair = Pair::new(version);
        pair.shake_hands();
        pair
    }

    fn shake_hands(&mut self) {
        assert!((0..1000).any(|_| self.step()), "the handshake never ends");
        assert!(!self.client.is_handshaking());
    }

    fn handshake(&mut self) -> io::Result<bool> {
        match self.server.handshake(&mut self.lent) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.handshake(),
            other => other,
        }
    }

    /// One exchange; true: both have ended their handshake.
    fn step(&mut self) -> bool {
        self.send();
        let is_over = self.handshake().unwrap();
        self.receive();
        is_over && !self.client.is_handshaking() && !self.client.wants_write()
    }

    /// What the client wants to send, sent.
    fn send(&mut self) {
        let inbound = &mut self.server.socket_mut().inbound;
        while self.client.wants_write() {
            self.client.write_tls(inbound).unwrap();
        }
    }

    /// The client says something.
    fn say(&mut self, text: &[u8]) {
        self.client.writer().write_all(text).unwrap();
        self.send();
    }

    /// What the server has sent, as the client understands it.
    fn receive(&mut self) -> Vec<u8> {
        let outbound = std::mem::take(&mut self.server.socket_mut().outbound);
        let (mut rest, mut text) = (outbound.as_slice(), Vec::new());
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            self.client.process_new_packets().unwrap();
            let _ = self.client.reader().read_to_end(&mut text);
        }
        text
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.server.write(slices, &mut self.lent)
    }

    fn read_into(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.server.read(into, &mut self.lent)
    }

    /// All that the server can read now, and why it stops.
    fn read_all(&mut self, most: usize) -> (Vec<u8>, io::Result<()>) {
        let (mut text, mut into) = (Vec::new(), vec![0; most]);
        loop {
            match self.read_into(&mut into) {
                Ok(0) => return (text, Ok(())),
                Ok(n) => text.extend(&into[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (text, Err(error)),
            }
        }
    }

    #[track_caller]
    fn assert_reads(&mut self, wanted: &[u8]) {
        let (text, end) = self.read_all(4096);
        assert_eq!(
            text.escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );
        assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

const VERSIONS: [(&SupportedProtocolVersion, &str); 2] = [(&TLS12, "1.2"), (&TLS13, "1.3")];

#[test]
fn plaintext_goes_both_ways_in_both_versions() {
    for (version, shown) in VERSIONS {
        let mut pair = Pair::open(version);
        assert_eq!(pair.server.version(), Some(shown));
        pair.say(b"hello\n");
        pair.assert_reads(b"hello\n");
        let slices = [IoSlice::new(b"kim: "), IoSlice::new(b"hi\n")];
        assert_eq!(pair.write(&slices).unwrap(), 8);
        assert_eq!(pair.receive(), b"kim: hi\n");
    }
}

#[test]
fn a_handshake_succeeds_however_its_bytes_arrive_and_leave() {
    for (version, _) in VERSIONS {
        for size in [1, 2, 3, 5, 7, 64, 255] {
            let mut pair = Pair::new(version);
            pair.server.socket_mut().read_max = size;
            pair.server.socket_mut().write_max = size;
            assert!((0..5000).any(|_| pair.step()), "{size} bytes at a time");
            pair.say(b"x\n");
            pair.assert_reads(b"x\n");
        }
    }
}

#[test]
fn records_may_be_split_at_every_byte() {
    for (version, _) in VERSIONS {
        let mut split = 0;
        loop {
            let mut pair = Pair::open(version);
            pair.say(b"one\n");
            pair.say(b"two\n");
            let inbound = &mut pair.server.socket_mut().inbound;
            if split > inbound.len() {
                break;
            }
            let rest = inbound.split_off(split);
            let (mut text, end) = pair.read_all(16);
            assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
            pair.server.socket_mut().inbound = rest;
            text.extend(pair.read_all(16).0);
            assert_eq!(text, b"one\ntwo\n", "split at {split}");
            split += 1;
        }
        assert!(split > 50);
    }
}

#[test]
fn plaintext_is_the_same_however_much_a_read_takes() {
    let line = [b'x'; 60_000];
    for most in [1, 100, 4096, RECORD_BYTES_MAX] {
        for size in [1000, usize::MAX] {
            let mut pair = Pair::open(&TLS13);
            pair.server.socket_mut().read_max = size;
            pair.say(&line);
            let (text, end) = pair.read_all(most);
            assert_eq!(text.len(), line.len(), "{most} of {size}");
            assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    }
}

#[test]
fn what_came_with_the_handshake_is_read_without_anything_more() {
    let mut pair = Pair::new(&TLS13);
    pair.send();
    assert!(!pair.handshake().unwrap());
    pair.receive();
    pair.client.writer().write_all(b"early\n").unwrap();
    pair.client.send_close_notify();
    pair.send();
    assert!(pair.handshake().unwrap());
    let (text, end) = pair.read_all(3);
    assert_eq!(text, b"early\n");
    end.unwrap();
}

#[test]
fn something_that_holds_no_plaintext_is_no_reason_to_wait() {
    let mut pair = Pair::open(&TLS13);
    pair.say(b"hello\n");
    let rest = pair.server.socket_mut().inbound.split_off(10);
    let mut into = [0; 100];
    let kind = pair.read_into(&mut into).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Interrupted);
    let kind = pair.read_into(&mut into).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::WouldBlock);
    pair.server.socket_mut().inbound = rest;
    assert_eq!(pair.read_into(&mut into).unwrap(), 6);
}

#[test]
fn keys_are_updated_by_both_sides() {
    let mut pair = Pair::open(&TLS13);
    for nth in 0..100_u8 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.say(&[nth, b'\n']);
        pair.assert_reads(&[nth, b'\n']);
        // The answer to the update goes before this.
        assert_eq!(pair.write(&[IoSlice::new(b"ok\n")]).unwrap(), 3);
        assert_eq!(pair.receive(), b"ok\n");
    }
}

#[test]
fn a_peer_that_only_updates_its_keys_is_refused() {
    let mut pair = Pair::open(&TLS13);
    for _ in 0..100 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.send();
    }
    let (text, end) = pair.read_all(100);
    assert!(text.is_empty());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
    let held = &pair.server.socket_mut().outbound;
    assert!(held.len() < 4096, "{} bytes of answers", held.len());
}

#[test]
fn the_end_of_a_stream_and_a_cut_are_told_apart() {
    for (version, _) in VERSIONS {
        let mut pair = Pair::open(version);
        pair.say(b"bye\n");
        pair.client.send_close_notify();
        pair.send();
        let (text, end) = pair.read_all(100);
        assert_eq!(text, b"bye\n");
        end.unwrap();
        // We may still send, and then say so too.
        assert_eq!(pair.write(&[IoSlice::new(b"bye\n")]).unwrap(), 4);
        assert!(pair.server.finish());
        assert_eq!(pair.receive(), b"bye\n");
        let state = pair.client.process_new_packets().unwrap();
        assert!(state.peer_has_closed());

        for missing in [0, 1, 5] {
            let mut pair = Pair::open(version);
            pair.say(b"one\n");
            pair.say(b"two\n");
            let pipe = pair.server.socket_mut();
            pipe.inbound.truncate(pipe.inbound.len() - missing);
            pipe.has_ended = true;
            let (text, end) = pair.read_all(100);
            let whole: &[u8] = if missing == 0 {
                b"one\ntwo\n"
            } else {
                b"one\n"
            };
            assert_eq!(text, whole);
            assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn a_changed_byte_ends_the_connection_after_what_came_before() {
    for (version, _) in VERSIONS {
        let mut pair = Pair::open(version);
        pair.say(b"one\n");
        pair.say(b"two\n");
        *pair.server.socket_mut().inbound.back_mut().unwrap() ^= 1;
        let (text, end) = pair.read_all(100);
        assert_eq!(text, b"one\n");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
        // The peer is told why.
        let sent = pair.server.socket_mut().outbound.clone();
        assert!(!sent.is_empty());
        let (_, again) = pair.read_all(100);
        assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn a_blocked_socket_holds_one_record_and_the_rest_waits() {
    for (version, _) in VERSIONS {
        let mut pair = Pair::open(version);
        let text: Vec<u8> = (0..100_000_u32).map(|nth| nth as u8).collect();
        pair.server.socket_mut().room = 1000;
        let n = pair.write(&[IoSlice::new(&text)]).unwrap();
        assert_eq!(n, RECORD_BYTES_MAX);
        let blocked = pair.write(&[IoSlice::new(&text[n..])]);
        assert_eq!(blocked.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!pair.server.flush().unwrap());
        // Byte by byte, and with many slices.
        let (mut written, mut received) = (n, Vec::new());
        while received.len() < text.len() {
            pair.server.socket_mut().room = 700;
            let rest: Vec<_> = text[written..].chunks(3000).map(IoSlice::new).collect();
            match pair.write(&rest) {
                Ok(n) => written += n,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            received.extend(pair.receive());
        }
        assert_eq!(received, text);
        assert!(pair.server.flush().unwrap());
    }
}

#[test]
fn the_last_word_waits_for_a_blocked_socket() {
    let mut pair = Pair::open(&TLS13);
    pair.server.socket_mut().room = 10;
    assert_eq!(pair.write(&[IoSlice::new(b"bye\n")]).unwrap(), 4);
    assert!(!pair.server.finish());
    pair.server.socket_mut().room = 30;
    assert!(!pair.server.finish());
    pair.server.socket_mut().room = usize::MAX;
    assert!(pair.server.flush().unwrap() && pair.server.finish());
    assert_eq!(pair.receive(), b"bye\n");
    let state = pair.client.process_new_packets().unwrap();
    assert!(state.peer_has_closed());
}

#[test]
fn an_endless_handshake_is_refused() {
    let mut pair = Pair::new(&TLS13);
    // A first message that says it has 60,000 bytes, in records of 1,000 each.
    let mut sent = Vec::from([
        1,
        0,
        60_000_u16.to_be_bytes()[0],
        60_000_u16.to_be_bytes()[1],
    ]);
    sent.resize(1000, 0);
    for _ in 0..60 {
        let inbound = &mut pair.server.socket_mut().inbound;
        inbound.extend([22, 3, 1]);
        inbound.extend(1000_u16.to_be_bytes());
        inbound.extend(&sent);
        sent.fill(0);
    }
    let error = pair.handshake().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let left = pair.server.socket_mut().inbound.len();
    assert!(
        left + HANDSHAKE_BYTES_MAX + 2 * RECORD_BYTES_MAX > 60_000,
        "{left}"
    );
}

#[test]
fn plain_text_is_recognised_and_half_a_handshake_waits() {
    let mut pair = Pair::new(&TLS13);
    assert!(pair.server.is_plain(), "nothing has come");
    pair.server.socket_mut().inbound.extend(b"hello\n");
    let error = pair.handshake().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(pair.server.is_plain());

    let mut pair = Pair::new(&TLS13);
    pair.send();
    pair.server.socket_mut().inbound.truncate(40);
    assert!(!pair.handshake().unwrap() && !pair.server.is_plain());
    pair.server.socket_mut().has_ended = true;
    let error = pair.handshake().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn no_ticket_is_given_that_would_outlive_what_was_verified() {
    let mut pair = Pair::open(&TLS13);
    pair.receive();
    assert_eq!(pair.client.tls13_tickets_received(), 0);
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    for (version, _) in VERSIONS {
        let mut pair = Pair::open(version);
        pair.say(&[b'x'; 40_000]);
        assert_eq!(pair.read_all(4096).0.len(), 40_000);
        pair.server.socket_mut().room = 10;
        pair.write(&[IoSlice::new(b"hello\n")]).unwrap();
        pair.server.socket_mut().room = usize::MAX;
        assert!(pair.server.flush().unwrap());
        let server = &pair.server;
        for held in [&server.incoming, &server.outgoing, &server.plaintext] {
            assert_eq!(held.capacity(), 0);
        }
    }
}

#[test]
fn a_client_gets_aes_128_if_it_can_and_aes_256_if_it_has_nothing_else() {
    use rustls::CipherSuite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};
    let suite = |pair: &Pair| pair.client.negotiated_cipher_suite().unwrap().suite();
    let first = |provider: &CryptoProvider| provider.cipher_suites[0].suite();
    assert_eq!(first(&default_provider()), TLS13_AES_256_GCM_SHA384);
    assert_eq!(suite(&Pair::open(&TLS13)), TLS13_AES_128_GCM_SHA256);
    let mut provider = default_provider();
    provider.cipher_suites.truncate(1);
    let mut pair = Pair::with_provider(&TLS13, provider);
    pair.shake_hands();
    assert_eq!(suite(&pair), TLS13_AES_256_GCM_SHA384);
}

/// A client whose messages the test encrypts itself, under the keys of a finished handshake.
struct Forger {
    server: Pair,
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Forger {
    fn new() -> Forger {
        let mut pair = Pair::open(&TLS13);
        let client = mem::replace(&mut pair.client, Pair::new(&TLS13).client);
        let secrets = client.dangerous_extract_secrets().unwrap();
        let (sequence, secret) = secrets.tx;
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secret else {
            panic!("another suite");
        };
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        Forger {
            server: pair,
            encrypter: suite.aead_alg.encrypter(key, iv),
            sequence,
        }
    }

    /// Sends a record of this type.
    fn send(&mut self, typ: ContentType, payload: &[u8]) {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: payload.into(),
        };
        let record = self.encrypter.encrypt(message, self.sequence).unwrap();
        self.sequence += 1;
        let inbound = &mut self.server.server.socket_mut().inbound;
        inbound.extend(record.encode());
    }
}

#[test]
fn a_message_in_two_records_is_kept_while_something_is_written() {
    let mut forger = Forger::new();
    // A key update that asks for none in return: RFC 8446, 4.6.3.
    let update = [24, 0, 0, 1, 0];
    for at in 1..update.len() {
        let mut forger = Forger::new();
        forger.send(ContentType::Handshake, &update[..at]);
        forger.server.assert_reads(b"");
        let written = forger.server.write(&[IoSlice::new(b"hello\n")]);
        assert_eq!(written.unwrap(), 6);
        forger.send(ContentType::Handshake, &update[at..]);
        forger.server.assert_reads(b"");
        // The keys have changed.
        forger.send(ContentType::ApplicationData, b"lost\n");
        let (_, end) = forger.server.read_all(100);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
    }
    forger.send(ContentType::ApplicationData, b"hello\n");
    forger.server.assert_reads(b"hello\n");
}

#[test]
fn a_message_that_never_ends_is_refused_before_it_takes_more_than_a_record() {
    let mut forger = Forger::new();
    forger.send(ContentType::Handshake, &[24, 0, 0xff, 0xff]);
    for sent in (0..60_000).step_by(1000) {
        forger.send(ContentType::Handshake, &[0; 1000]);
        let (text, end) = forger.server.read_all(4096);
        assert!(text.is_empty());
        if end.unwrap_err().kind() == ErrorKind::InvalidData {
            assert!(sent > 10_000, "{sent}");
            return;
        }
        let held = forger.server.server.incoming.capacity();
        assert!(held <= SESSION_BYTES_MAX / 2, "{held}");
    }
    panic!("it is not refused");
}
