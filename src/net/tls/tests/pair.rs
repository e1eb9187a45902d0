//! Both ends of a connection, in memory.

use super::super::*;
use crate::net::certificates::Files;
use crate::testing::authority::Authority;
pub use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{MessageEncrypter, OutboundPlainMessage};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
pub use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
pub use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, ConnectionTrafficSecrets, RootCertStore};
pub use rustls::{ContentType, SupportedProtocolVersion};
use std::collections::VecDeque;
use std::sync::LazyLock;

/// What both sides know.
pub struct World {
    pub server: Arc<ServerConfig>,
    pub roots: RootCertStore,
}

pub static WORLD: LazyLock<World> = LazyLock::new(|| {
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
pub struct Pipe {
    /// What the client has sent.
    pub inbound: VecDeque<u8>,
    /// The client has closed its socket.
    pub has_ended: bool,
    /// A read yields no more.
    pub read_max: usize,
    /// What the server has sent.
    pub outbound: Vec<u8>,
    /// How many bytes the socket still takes.
    pub room: usize,
    /// A write takes no more.
    pub write_max: usize,
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
pub struct Pair {
    pub server: TlsStream<Pipe>,
    pub client: ClientConnection,
    pub lent: Vec<u8>,
}

impl Pair {
    pub fn new(version: &'static SupportedProtocolVersion) -> Pair {
        Pair::with_provider(version, default_provider())
    }

    pub fn with_provider(
        version: &'static SupportedProtocolVersion,
        provider: CryptoProvider,
    ) -> Pair {
        Pair::with_server(version, provider, &WORLD.server)
    }

    /// A client with this cryptography, and this server.
    pub fn with_server(
        version: &'static SupportedProtocolVersion,
        provider: CryptoProvider,
        server: &Arc<ServerConfig>,
    ) -> Pair {
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
            server: TlsStream::new(pipe, Arc::clone(server)).unwrap(),
            client: ClientConnection::new(Arc::new(config), name).unwrap(),
            lent: vec![0; LENT_BYTES],
        }
    }

    /// After the handshake.
    pub fn open(version: &'static SupportedProtocolVersion) -> Pair {
        let mut pair = Pair::new(version);
        pair.shake_hands();
        pair
    }

    pub fn shake_hands(&mut self) {
        assert!((0..1000).any(|_| self.step()), "the handshake never ends");
        assert!(!self.client.is_handshaking());
    }

    pub fn handshake(&mut self) -> io::Result<bool> {
        match self.server.handshake(&mut self.lent) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.handshake(),
            other => other,
        }
    }

    /// One exchange; true: both have ended their handshake.
    pub fn step(&mut self) -> bool {
        self.send();
        let is_over = self.handshake().unwrap();
        self.receive();
        is_over && !self.client.is_handshaking() && !self.client.wants_write()
    }

    /// Bytes that the server holds for this connection, beside its session.
    pub fn held(&self) -> usize {
        let server = &self.server;
        let held = [&server.incoming, &server.outgoing, &server.plaintext];
        held.into_iter().map(Vec::capacity).sum()
    }

    /// What the client wants to send, sent.
    pub fn send(&mut self) {
        let inbound = &mut self.server.socket_mut().inbound;
        while self.client.wants_write() {
            self.client.write_tls(inbound).unwrap();
        }
    }

    /// The client says something.
    pub fn say(&mut self, text: &[u8]) {
        self.client.writer().write_all(text).unwrap();
        self.send();
    }

    /// What the server has sent, as the client understands it.
    pub fn receive(&mut self) -> Vec<u8> {
        let outbound = std::mem::take(&mut self.server.socket_mut().outbound);
        let (mut rest, mut text) = (outbound.as_slice(), Vec::new());
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            self.client.process_new_packets().unwrap();
            let _ = self.client.reader().read_to_end(&mut text);
        }
        text
    }

    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.server.write(slices, &mut self.lent)
    }

    pub fn read_into(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.server.read(into, &mut self.lent)
    }

    /// All that the server can read now, and why it stops.
    pub fn read_all(&mut self, most: usize) -> (Vec<u8>, io::Result<()>) {
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
    pub fn assert_reads(&mut self, wanted: &[u8]) {
        let (text, end) = self.read_all(4096);
        assert_eq!(
            text.escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );
        assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

pub const VERSIONS: [(&SupportedProtocolVersion, &str); 2] = [(&TLS12, "1.2"), (&TLS13, "1.3")];

/// A client whose messages the test encrypts itself, under the keys of a finished handshake.
pub struct Forger {
    pub server: Pair,
    pub encrypter: Box<dyn MessageEncrypter>,
    pub sequence: u64,
}

impl Forger {
    pub fn new() -> Forger {
        let mut pair = Pair::open(&TLS13);
        let client = std::mem::replace(&mut pair.client, Pair::new(&TLS13).client);
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
    pub fn send(&mut self, typ: ContentType, payload: &[u8]) {
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
