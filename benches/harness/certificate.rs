//! A certificate for servers on 127.0.0.1, and the authority that clients trust for it: made anew for each run.

use std::fs;
use std::path::{Path, PathBuf};

use super::Outcome;
use super::authority::Authority;

/// Files in PEM.
pub(crate) struct Certificate {
    /// The authority's certificate.
    pub(crate) authority: PathBuf,
    /// The server's certificate, and its key.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
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

    /// A text in which CA_FILE, CERT_FILE and KEY_FILE stand for the files.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("CA_FILE", &self.authority.display().to_string())
            .replace("CERT_FILE", &self.certificate.display().to_string())
            .replace("KEY_FILE", &self.key.display().to_string())
    }
}
