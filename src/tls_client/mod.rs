//! The client's side of TLS, for `join` and `bench`: whom to trust, the handshake, records, the end, and what went wrong in
//! words. Knows no line and no protocol above TLS.
//!
//! [`Options`] is what the user says. [`Config`] is that with its files read, for one server. A [`Stream`] is a connection
//! with TLS or without, so that its owner need not know which. Below it, `session` is TLS without a socket, and `trust`
//! judges certificates.

mod explain;
mod files;
mod fingerprint;
mod session;
mod stream;
#[cfg(test)]
mod test_server;
mod trust;

pub use fingerprint::Fingerprint;
pub use stream::{Arrived, Stream};

use files::{read_certificates, read_key};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use trust::Verifier;

/// Whom to trust, and who the client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The only certificate that is trusted. Neither its name, nor its age, nor who has signed it matters then.
    pub fingerprint: Option<Fingerprint>,
    /// A file of trusted authorities in PEM, in place of those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// What the client shows to a server that asks for a certificate.
    pub identity: Option<Identity>,
    /// The server says a line without TLS, and only then takes the handshake.
    pub after_line: bool,
}

/// The client's own certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A file with the certificate in PEM, and perhaps those of authorities between it and one that the server knows.
    pub certificate: PathBuf,
    /// A file with its private key in PEM; the same file, if it has both.
    pub key: PathBuf,
}

/// All that connections to one server share.
#[derive(Debug)]
pub struct Config {
    tls: Arc<ClientConfig>,
    /// The server's name, which is sent to it (SNI) unless it is an address.
    name: ServerName<'static>,
    /// Whether the client has a certificate.
    has_identity: bool,
    /// Whether the server says a line before the handshake.
    after_line: bool,
}

impl Config {
    /// Reads the files that are named, and the system's authorities if they are needed.
    ///
    /// # Errors
    /// A file cannot be read or used, or the host has no name that a certificate can have: in words.
    pub fn new(options: &Options, host: &str) -> Result<Config, String> {
        let provider = Arc::new(ring::default_provider());
        let name = match (server_name(host), options.fingerprint) {
            (Ok(name), _) => name,
            // Then the name is only what is looked up.
            (Err(_), Some(_)) => ServerName::from(IpAddr::from([0, 0, 0, 0])),
            (Err(why), None) => return Err(why),
        };
        let mut tls = with_trust(options, &provider)?;
        // A resumed session would not show the server's certificate again.
        tls.resumption = Resumption::disabled();
        Ok(Config {
            tls: Arc::new(tls),
            name,
            has_identity: options.identity.is_some(),
            after_line: options.after_line,
        })
    }
}

/// The configuration of the library.
fn with_trust(options: &Options, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, String> {
    let verifier = Verifier::new(options, provider)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(identity) = &options.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = read_certificates(&identity.certificate)?;
    let key = read_key(&identity.key)?;
    let done = builder.with_client_auth_cert(chain, key);
    done.map_err(|error| {
        let certificate = identity.certificate.display();
        let key = identity.key.display();
        match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("the key in {key} is not that of the certificate in {certificate}")
            }
            error => {
                format!("cannot use the certificate in {certificate} and the key in {key}: {error}")
            }
        }
    })
}

/// The name that the certificate of a host must have. An interface is no part of it (RFC 6874, section 1).
fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    let name = host.split('%').next().unwrap_or_default();
    ServerName::try_from(name.to_owned()).map_err(|_| {
        format!("no certificate can be for {host}; --tls-fingerprint trusts one whatever it is for")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_name_that_its_certificate_must_have() {
        for (host, name) in [
            ("chat.example.org", "chat.example.org"),
            ("::1", "::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("192.0.2.1", "192.0.2.1"),
            ("under_score", "under_score"),
        ] {
            assert_eq!(
                server_name(host).map(|name| name.to_str().into_owned()),
                Ok(name.into())
            );
        }
        let fingerprint = Some(Fingerprint::of(b"a certificate"));
        for host in ["마당.example", "a..b"] {
            let error = Config::new(&Options::default(), host).unwrap_err();
            assert!(
                error.contains(host) && error.contains("--tls-fingerprint"),
                "{error}"
            );
            let options = Options {
                fingerprint,
                ..Options::default()
            };
            assert!(Config::new(&options, host).is_ok());
        }
    }
}
