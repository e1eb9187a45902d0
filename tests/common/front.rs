//! TLS in front of a server without it, as stunnel or haproxy are: a rustls server on threads of this test, and certificates
//! that are made when they are needed.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::event::{PollFd, PollFlags, poll};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use sha2::{Digest as _, Sha256};

use super::Scratch;

/// A certificate with its key.
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

/// A certificate for these names, signed by itself. `change` is what else it has.
pub(crate) fn certificate(
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Certificate {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Certificate {
        der: certificate.der().clone(),
        pem: certificate.pem(),
        key,
    }
}

/// An authority, which signs others.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// A certificate for these names.
    pub(crate) fn sign(&self, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Certificate {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// Its certificate in a file.
    pub(crate) fn file(&self, folder: &Scratch) -> String {
        write(folder, "ca.pem", &self.0.pem())
    }
}

impl Certificate {
    /// Its SHA-256, as openssl writes it.
    pub(crate) fn fingerprint(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(&self.der).into();
        let bytes = digest.iter().map(|byte| format!("{byte:02X}"));
        bytes.collect::<Vec<_>>().join(":")
    }

    /// The certificate in a file.
    pub(crate) fn file(&self, folder: &Scratch) -> String {
        write(folder, "certificate.pem", &self.pem)
    }

    /// Its key in a file.
    pub(crate) fn key_file(&self, folder: &Scratch) -> String {
        write(folder, "key.pem", &self.key.serialize_pem())
    }

    /// Both in one file.
    pub(crate) fn file_of_both(&self, folder: &Scratch) -> String {
        let both = self.pem.clone() + &self.key.serialize_pem();
        write(folder, "both.pem", &both)
    }

    /// What a server with this certificate does.
    pub(crate) fn server(&self) -> ServerConfig {
        self.config(None)
    }

    /// The same, asking for client certificates that this authority has signed.
    pub(crate) fn server_for(&self, authority: &Authority) -> ServerConfig {
        self.config(Some(authority))
    }

    fn config(&self, clients: Option<&Authority>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(Authority(issuer)) => {
                let mut roots = RootCertStore::empty();
                roots.add(issuer.der().clone()).expect("an authority");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let done = builder.with_single_cert(vec![self.der.clone()], key);
        done.expect("a configuration")
    }
}

fn write(folder: &Scratch, name: &str, text: &str) -> String {
    let path: PathBuf = folder.path(name);
    fs::write(&path, text).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

/// How a front ends the TLS of a connection that its server has closed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With close_notify.
    InOrder,
    /// By closing the socket.
    Cut,
}

/// TLS in front of a server.
pub(crate) struct Front {
    addr: SocketAddr,
    counts: Arc<Counts>,
}

/// How connections ended that clients have closed.
#[derive(Default)]
struct Counts {
    ended: AtomicUsize,
    cut: AtomicUsize,
}

impl Front {
    /// Listens on 127.0.0.1 for clients of the server at this address.
    pub(crate) fn start(config: ServerConfig, server: SocketAddr, ending: Ending) -> Self {
        Self::start_at("127.0.0.1:0", config, server, ending)
    }

    /// Listens at an address.
    pub(crate) fn start_at(
        listen: &str,
        config: ServerConfig,
        server: SocketAddr,
        ending: Ending,
    ) -> Self {
        let listener = TcpListener::bind(listen).expect("bind");
        let addr = listener.local_addr().expect("an address");
        let (config, counts) = (Arc::new(config), Arc::new(Counts::default()));
        let of_thread = Arc::clone(&counts);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let (config, counts) = (Arc::clone(&config), Arc::clone(&of_thread));
                thread::spawn(move || serve(client, config, server, ending, &counts));
            }
        });
        Self { addr, counts }
    }

    /// Where clients join: `tls:HOST:PORT`.
    pub(crate) fn address(&self, host: &str) -> String {
        format!("tls:{host}:{}", self.addr.port())
    }

    /// How many clients have ended their stream with close_notify.
    pub(crate) fn ended(&self) -> usize {
        self.counts.ended.load(Ordering::SeqCst)
    }

    /// How many clients have closed their socket without it.
    pub(crate) fn cut(&self) -> usize {
        self.counts.cut.load(Ordering::SeqCst)
    }
}

/// One client of a front.
fn serve(
    client: TcpStream,
    config: Arc<ServerConfig>,
    server: SocketAddr,
    ending: Ending,
    counts: &Counts,
) {
    let tls = ServerConnection::new(config).expect("a session");
    client.set_nonblocking(true).expect("non-blocking");
    client.set_nodelay(true).expect("nodelay");
    let mut link = Link {
        client,
        tls,
        server: None,
        to_server: Vec::new(),
        to_client: Vec::new(),
        client_ended: false,
        server_ended: false,
    };
    // An error ends this connection only, as in a real front.
    let end = link.run(server, ending);
    let count = match end {
        _ if link.client_ended => &counts.ended,
        _ => &counts.cut,
    };
    count.fetch_add(1, Ordering::SeqCst);
}

struct Link {
    client: TcpStream,
    tls: ServerConnection,
    /// Connected when the handshake is complete.
    server: Option<TcpStream>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// The client has sent close_notify.
    client_ended: bool,
    /// The server has closed its side.
    server_ended: bool,
}

impl Link {
    fn run(&mut self, server: SocketAddr, ending: Ending) -> std::io::Result<()> {
        loop {
            if !self.tls.wants_write() && !self.to_client.is_empty() {
                let n = self.tls.writer().write(&self.to_client)?;
                self.to_client.drain(..n);
            }
            while self.tls.wants_write() {
                match self.tls.write_tls(&mut self.client) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    written => drop(written?),
                }
            }
            if self.server.is_none() && !self.tls.is_handshaking() {
                let server = TcpStream::connect(server)?;
                server.set_nonblocking(true)?;
                self.server = Some(server);
            }
            if self.server_ended && self.to_client.is_empty() && !self.tls.wants_write() {
                return self.end(ending);
            }
            // What is left of it goes when the network takes more.
            if self.to_client.is_empty() || self.tls.wants_write() {
                self.wait()?;
            }
            self.read_client()?;
            self.exchange_with_server()?;
        }
    }

    fn wait(&self) -> std::io::Result<()> {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.tls.wants_write());
        let mut fds = vec![PollFd::new(&self.client, flags)];
        if let Some(server) = &self.server {
            let mut flags = PollFlags::empty();
            flags.set(
                PollFlags::IN,
                self.to_client.is_empty() && !self.server_ended,
            );
            flags.set(PollFlags::OUT, !self.to_server.is_empty());
            fds.push(PollFd::new(server, flags));
        }
        poll(&mut fds, None)?;
        Ok(())
    }

    fn read_client(&mut self) -> std::io::Result<()> {
        loop {
            match self.tls.read_tls(&mut self.client) {
                Ok(0) if self.client_ended => break,
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            let processed = self.tls.process_new_packets();
            let state = processed.map_err(|error| {
                let _ = self.tls.write_tls(&mut self.client);
                std::io::Error::other(error)
            })?;
            let mut bytes = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut bytes)?;
            self.to_server.extend(bytes);
            if state.peer_has_closed() && !self.client_ended {
                self.client_ended = true;
            }
        }
        Ok(())
    }

    fn exchange_with_server(&mut self) -> std::io::Result<()> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        if !self.to_server.is_empty() {
            match server.write(&self.to_server) {
                Ok(n) => drop(self.to_server.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if self.client_ended && self.to_server.is_empty() {
            let _ = server.shutdown(Shutdown::Write);
        }
        if self.to_client.is_empty() && !self.server_ended {
            let mut bytes = [0; 16 * 1024];
            match server.read(&mut bytes) {
                Ok(0) => self.server_ended = true,
                Ok(n) => self.to_client.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.server_ended = true,
            }
        }
        Ok(())
    }

    /// The server has ended: ends the client's connection as well, and waits until the client has.
    fn end(&mut self, ending: Ending) -> std::io::Result<()> {
        if ending == Ending::InOrder {
            self.tls.send_close_notify();
            while self.tls.wants_write() {
                self.tls.write_tls(&mut self.client)?;
            }
        }
        self.client.shutdown(Shutdown::Write)?;
        self.client.set_nonblocking(false)?;
        while self.tls.read_tls(&mut self.client)? > 0 {
            let state = self
                .tls
                .process_new_packets()
                .map_err(std::io::Error::other)?;
            self.client_ended |= state.peer_has_closed();
            let mut rest = Vec::new();
            let _ = self.tls.reader().read_to_end(&mut rest);
        }
        Ok(())
    }
}
