//! A certificate for servers on 127.0.0.1, and the authority that clients trust for it: made anew for each run.

use std::fs;
use std::path::{Path, PathBuf};

use madang::tls_client::Options;

use super::Outcome;
use super::authority::Authority;

/// Files in PEM.
pub(crate) struct Certificate {
    /// The authority's certificate.
    authority: PathBuf,
    /// The server's certificate, and its key.
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// Makes them: a key on the curve P-256, as most servers have.
    pub(crate) fn new() -> Outcome<Self> {
        let authority = Authority::new("bench");
        let server = authority.server(&["127.0.0.1"], 2099);
        let write = |name: &str, text: &str| {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            fs::write(&path, text).map(|()| path)
        };
        Ok(Self {
            authority: write("bench-authority.pem", &authority.pem)?,
            certificate: write("bench-certificate.pem", &server.certificate)?,
            key: write("bench-key.pem", &server.key)?,
        })
    }

    /// What clients do that trust the authority.
    pub(crate) fn trusted(&self) -> Options {
        Options {
            authorities: Some(self.authority.clone()),
            ..Options::default()
        }
    }

    /// A text in which CA_FILE, CERT_FILE and KEY_FILE stand for the files.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("CA_FILE", &self.authority.display().to_string())
            .replace("CERT_FILE", &self.certificate.display().to_string())
            .replace("KEY_FILE", &self.key.display().to_string())
    }
}
