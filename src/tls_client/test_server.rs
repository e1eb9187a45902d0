//! What the tests of this module share: certificates that are made when they are needed, and the server's side of a session,
//! without a socket.

use super::session::Session;
use super::{Config, Fingerprint, Options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{BufRead, Write};
use std::sync::Arc;

/// Both versions.
pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A certificate with its key.
pub struct Made {
    pub certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// A certificate for these names, signed by itself. `change` is what else it has.
pub fn certificate(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Made {
    let (params, key) = begin(names, change);
    let certificate = params.self_signed(&key).unwrap();
    made(certificate.der().clone(), &key)
}

/// An authority, which signs others.
pub fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let (params, key) = begin(&[], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    CertifiedIssuer::self_signed(params, key).unwrap()
}

/// A certificate for these names that an authority has signed.
pub fn signed(names: &[&str], authority: &CertifiedIssuer<'static, KeyPair>) -> Made {
    let (params, key) = begin(names, |_| {});
    let certificate = params.signed_by(&key, authority).unwrap();
    made(certificate.der().clone(), &key)
}

fn begin(
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    (params, KeyPair::generate().unwrap())
}

fn made(certificate: CertificateDer<'static>, key: &KeyPair) -> Made {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Made { certificate, key }
}

impl Made {
    /// What a server with this certificate does.
    pub fn server(&self, version: &'static SupportedProtocolVersion) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let chain = vec![self.certificate.clone()];
        let key = self.key.clone_key();
        builder
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    /// What a client does that trusts this certificate.
    pub fn trusted(&self) -> Arc<Config> {
        self.trusted_after(false)
    }

    /// The same if the server says a line first.
    pub fn trusted_after(&self, after_line: bool) -> Arc<Config> {
        let options = Options {
            fingerprint: Some(Fingerprint::of(&self.certificate)),
            after_line,
            ..Options::default()
        };
        Arc::new(Config::new(&options, "localhost").unwrap())
    }
}

/// A client and a server that have not begun.
pub fn pair(version: &'static SupportedProtocolVersion) -> (Session, ServerConnection) {
    let made = certificate(&["localhost"], |_| {});
    let server = ServerConnection::new(Arc::new(made.server(version))).unwrap();
    (Session::new(&made.trusted()).unwrap(), server)
}

/// The same when their handshake is complete.
pub fn connected(version: &'static SupportedProtocolVersion) -> (Session, ServerConnection) {
    let (mut client, mut server) = pair(version);
    while client.is_handshaking() || server.is_handshaking() {
        pass_to_server(&mut client, &mut server);
        client.shake_hands(&sent(&mut server)).unwrap();
    }
    pass_to_server(&mut client, &mut server);
    (client, server)
}

/// All bytes that a server has for the network.
pub fn sent(server: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Passes on all that a client has for the network, and returns the text in it.
pub fn pass_to_server(client: &mut Session, server: &mut ServerConnection) -> Vec<u8> {
    let (mut bytes, mut text) = (Vec::new(), Vec::new());
    client.write_to(&mut bytes).unwrap();
    let mut bytes = &bytes[..];
    while !bytes.is_empty() && server.read_tls(&mut bytes).unwrap() > 0 {
        server.process_new_packets().unwrap();
        let mut reader = server.reader();
        while let Ok(chunk) = reader.fill_buf()
            && !chunk.is_empty()
        {
            text.extend_from_slice(chunk);
            let taken = chunk.len();
            reader.consume(taken);
        }
    }
    text
}

/// The server says something.
pub fn say(server: &mut ServerConnection, text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in text.chunks(16 * 1024) {
        server.writer().write_all(piece).unwrap();
        bytes.extend(sent(server));
    }
    bytes
}
