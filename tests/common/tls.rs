//! One client under TLS, over a real socket that blocks. What it trusts and presents is said by each test.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::{DEADLINE, Identity};

/// Writes a certificate and its key into one file.
pub(crate) fn write_identity(path: PathBuf, identity: &Identity) -> String {
    fs::write(&path, identity.both()).expect("a file");
    path.to_str().expect("UTF-8").into()
}

/// What a client trusts, presents and speaks.
pub(crate) struct TlsTrust<'a> {
    /// The certificate of the authority, in PEM.
    pub(crate) authority: &'a str,
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
    /// The name that it asks for.
    pub(crate) name: &'static str,
}

impl<'a> TlsTrust<'a> {
    /// Every version, no certificate, the name `chat.test`.
    pub(crate) fn new(authority: &'a str) -> Self {
        Self {
            authority,
            identity: None,
            versions: rustls::ALL_VERSIONS,
            name: "chat.test",
        }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.authority.as_bytes());
        roots.add(root.expect("PEM")).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let Some(identity) = self.identity else {
            return builder.with_no_client_auth();
        };
        let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
        let chain: Result<Vec<_>, _> = chain.collect();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
        let with = builder.with_client_auth_cert(chain.expect("PEM"), key.expect("PEM"));
        with.expect("an identity")
    }

    /// Connects. The handshake is done with the first line.
    pub(crate) fn connect(&self, addr: SocketAddr) -> TlsClient {
        let socket = TcpStream::connect(addr).expect("connect");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let name = ServerName::try_from(self.name).expect("a name");
        let session = ClientConnection::new(Arc::new(self.config()), name).expect("a client");
        TlsClient {
            stream: StreamOwned::new(session, socket),
            arrived: Vec::new(),
        }
    }

    /// Connects, and waits for the greeting.
    pub(crate) fn greeted(&self, addr: SocketAddr) -> TlsClient {
        let mut client = self.connect(addr);
        client.find("* you are ");
        client
    }
}

/// A connection with its own line buffer.
pub(crate) struct TlsClient {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    arrived: Vec<u8>,
}

impl TlsClient {
    pub(crate) fn say(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("written");
        self.stream.flush().expect("written");
    }

    /// The next line, or why there is none: the end is `UnexpectedEof` if the connection was cut, and `Ok(None)` if the server
    /// has said that it ends.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.arrived.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.arrived.drain(..=end).collect();
                let line = String::from_utf8(line).expect("UTF-8");
                return Ok(Some(line.trim_end_matches('\n').into()));
            }
            let mut chunk = [0; 16_384];
            match self.stream.read(&mut chunk)? {
                0 => return Ok(None),
                n => self.arrived.extend(&chunk[..n]),
            }
        }
    }

    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.next_line().expect("no error").expect("a line")
    }

    /// Reads until a line with this start, and returns it.
    #[track_caller]
    pub(crate) fn find(&mut self, start: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.line();
            if line.starts_with(start) {
                return line;
            }
            assert!(Instant::now() < deadline, "never came: {start}");
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        self.stream.conn.send_close_notify();
        self.stream.flush().expect("written");
    }

    /// Reads to the end, which must be said in order.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.next_line().expect("an end in order") {
            lines.push(line);
        }
        lines
    }

    /// The server's certificate.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let certificates = self.stream.conn.peer_certificates().expect("a handshake");
        certificates[0].to_vec()
    }

    /// Waits at most so long for each further read.
    pub(crate) fn patience(&mut self, patience: Duration) {
        let set = self.stream.sock.set_read_timeout(Some(patience));
        set.expect("a timeout");
    }
}

/// Whether an error of a handshake or of reading means that the server has refused the client by an alert.
pub(crate) fn is_alert(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|it| it.downcast_ref());
    error.kind() == ErrorKind::InvalidData && matches!(inner, Some(rustls::Error::AlertReceived(_)))
}

/// A file's path as a flag has it.
pub(crate) fn shown(path: &Path) -> String {
    path.to_str().expect("UTF-8").into()
}
