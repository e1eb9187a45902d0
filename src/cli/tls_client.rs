//! The flags of clients that connect over TLS: `madang join` and `madang bench`. Reads no file.

use crate::address::Target;
use crate::tls_client::{Fingerprint, Identity, Options};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use std::path::PathBuf;

/// Whom to trust, and who the client is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS, for tls:HOST:PORT")]
pub struct TlsFlags {
    /// Trust the authorities in this file (PEM), instead of those of this machine
    #[arg(long, value_name = "FILE", env = "MADANG_TLS_CA")]
    tls_ca: Option<PathBuf>,

    /// Trust the certificate that has this SHA-256, for any name and with any signature
    ///
    /// With or without colons, as openssl x509 -noout -fingerprint -sha256 -in FILE prints it. --tls-ca is not asked then.
    #[arg(long, value_name = "SHA256", env = "MADANG_TLS_FINGERPRINT")]
    tls_fingerprint: Option<Fingerprint>,

    /// Show this certificate (PEM) to a server that asks for one
    #[arg(long, value_name = "FILE", env = "MADANG_TLS_CLIENT_CERT")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM) [default: in the same file]
    #[arg(
        long,
        value_name = "FILE",
        env = "MADANG_TLS_CLIENT_KEY",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
}

impl TlsFlags {
    /// What the flags say.
    pub fn options(&self) -> Options {
        let certificate = self.tls_cert.clone();
        Options {
            fingerprint: self.tls_fingerprint,
            authorities: self.tls_ca.clone(),
            identity: certificate.map(|certificate| Identity {
                key: self.tls_key.clone().unwrap_or_else(|| certificate.clone()),
                certificate,
            }),
            after_line: false,
        }
    }
}

/// Refuses a flag for TLS beside an address without it: what the user believes to be encrypted would not be. A variable may
/// stand there for other servers.
pub fn check(matches: &ArgMatches, server: &Target) -> Result<(), String> {
    if server.tls_host().is_some() {
        return Ok(());
    }
    for (id, flag) in [
        ("tls_ca", "--tls-ca"),
        ("tls_fingerprint", "--tls-fingerprint"),
        ("tls_cert", "--tls-cert"),
        ("tls_key", "--tls-key"),
    ] {
        if matches.value_source(id) == Some(ValueSource::CommandLine) {
            return Err(format!(
                "{flag} is for TLS, and {server} is joined without it; write tls:HOST:PORT"
            ));
        }
    }
    Ok(())
}
