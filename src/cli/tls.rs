//! The flags of `madang serve` about certificates, and where these are. Reads no file.

use crate::net::certificates::Files;
use clap::Args;
use std::path::PathBuf;

/// Certificates.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsFlags {
    /// Certificate for --listen-tls, in PEM: the server's own first, then those that connect it with its authority
    ///
    /// May be given more than once, for several names: a client gets the one for the name that it asks for, or else the first.
    /// A reload reads the files again.
    #[arg(
        long,
        value_name = "FILE",
        env = "MADANG_TLS_CERT",
        value_delimiter = ','
    )]
    pub tls_cert: Vec<PathBuf>,

    /// Its private key, in PEM, not encrypted; given as often and in the same order. Without it each is in the file of --tls-cert
    #[arg(
        long,
        value_name = "FILE",
        env = "MADANG_TLS_KEY",
        value_delimiter = ','
    )]
    pub tls_key: Vec<PathBuf>,

    /// Certificates of authorities, in PEM: clients must have a certificate of one of them
    #[arg(long, value_name = "FILE", env = "MADANG_TLS_CLIENT_CA")]
    pub tls_client_ca: Option<PathBuf>,

    /// With --tls-client-ca: clients may also have no certificate
    #[arg(long, env = "MADANG_TLS_CLIENT_OPTIONAL")]
    pub tls_client_optional: bool,
}

impl TlsFlags {
    /// Where the certificates are.
    pub fn files(&self) -> Files {
        Files {
            certificates: self.tls_cert.clone(),
            keys: self.tls_key.clone(),
            client_ca: self.tls_client_ca.clone(),
            is_client_optional: self.tls_client_optional,
        }
    }

    /// The first of the flags, if any is given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            ("--tls-cert", !self.tls_cert.is_empty()),
            ("--tls-key", !self.tls_key.is_empty()),
            ("--tls-client-ca", self.tls_client_ca.is_some()),
            ("--tls-client-optional", self.tls_client_optional),
        ];
        given
            .into_iter()
            .find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}
