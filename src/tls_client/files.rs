//! Files with certificates and keys, in PEM. Trusts nothing, and shows nothing of what is in them.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::path::Path;

/// The certificates in a file: at least one.
///
/// # Errors
/// The file cannot be read, or has no certificate.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = path.display();
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match all {
        Ok(all) if all.is_empty() => Err(format!(
            "{file} has no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
        )),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("{file} is no file of certificates in PEM: {error}")),
    }
}

/// The first private key in a file.
///
/// # Errors
/// The file cannot be read, or has no key that can be used.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let file = path.display();
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let text = String::from_utf8_lossy(&bytes);
        match text.contains("ENCRYPTED") {
            true => format!(
                "the key in {file} is encrypted; openssl pkey -in {file} -out FILE writes it without a passphrase"
            ),
            false => format!("{file} has no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----"),
        }
    })
}

/// The authorities that this machine trusts: those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else the system's.
///
/// # Errors
/// There are none: why, and what to do.
pub fn system_authorities() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems have authorities that this library cannot use; the others count.
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let why = found.errors.first().map_or_else(
        || "install the package ca-certificates".into(),
        |error| error.to_string(),
    );
    Err(format!(
        "this machine has no list of authorities to trust ({why}); --tls-ca FILE and --tls-fingerprint SHA256 need none"
    ))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
