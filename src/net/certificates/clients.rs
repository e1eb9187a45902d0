//! Which certificates of clients are verified at all. How one is verified is the library's affair.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use std::fmt;
use std::sync::Arc;

/// Certificates that a client may present. Each may be tried as the issuer of each other, up to a hundred signatures: with 60 a
/// stranger could make one handshake last for 15 ms.
const CHAIN_MAX: usize = 6;
/// Bytes of all of them. They are kept as long as the connection.
pub const CHAIN_BYTES_MAX: usize = 16 << 10;

/// Verifies what clients present, unless that is too much.
#[derive(Debug)]
pub struct OfClients(pub Arc<dyn ClientCertVerifier>);

/// Why certificates are not verified.
struct TooMuch {
    certificates: usize,
    bytes: usize,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooMuch {
            certificates,
            bytes,
        } = self;
        write!(
            f,
            "{certificates} certificates of {bytes} bytes; {CHAIN_MAX} of {CHAIN_BYTES_MAX} are the most"
        )
    }
}

/// The library shows it like this.
impl fmt::Debug for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for TooMuch {}

impl ClientCertVerifier for OfClients {
    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let certificates = 1 + others.len();
        let bytes = own.len() + others.iter().map(|it| it.len()).sum::<usize>();
        if certificates > CHAIN_MAX || bytes > CHAIN_BYTES_MAX {
            let why = OtherError(Arc::new(TooMuch {
                certificates,
                bytes,
            }));
            return Err(CertificateError::Other(why).into());
        }
        self.0.verify_client_cert(own, others, now)
    }

    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
