//! Certificates: PEM files into what a TLS listener presents and accepts, each by the server's name that a client asks for.
//! Reads files, so it is for the start and for a reload. No connection lives here.

mod clients;

use clients::{CHAIN_BYTES_MAX, OfClients};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::HashAlgorithm;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, Error, RootCertStore, ServerConfig, SupportedCipherSuite};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Certificates that a server may have: a handshake looks at each.
const CERTIFICATES_MAX: usize = 64;
/// Bytes of a file of certificates or of a key.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The operator is warned if a certificate expires within so many seconds. Certbot renews 30 days before.
const EXPIRES_SOON_SECONDS: u64 = 14 * 24 * 3600;

/// Where a server's certificates are, as the flags say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Chains, the server's own certificate first.
    pub certificates: Vec<PathBuf>,
    /// The key of each; none at all: each is in the file of its certificate.
    pub keys: Vec<PathBuf>,
    /// Authorities whose certificates clients may present.
    pub client_ca: Option<PathBuf>,
    /// Clients may also present none.
    pub is_client_optional: bool,
}

/// What TLS listeners present and accept.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For new connections.
    pub config: Arc<ServerConfig>,
    /// Each certificate, in the order of the flags.
    pub certificates: Vec<Shown>,
    /// Bytes that a connection keeps of its client's certificates.
    pub client_bytes_max: usize,
}

/// What people may know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its file.
    pub file: PathBuf,
    /// The SHA-256 of it.
    pub fingerprint: [u8; 32],
    /// The second of UNIX time until which it is valid.
    pub valid_until: u64,
}

/// The SHA-256 of a certificate, by which it can be recognised.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// A fingerprint as people write it.
pub fn hex(fingerprint: &[u8; 32]) -> String {
    fingerprint
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Files {
    /// Every file.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let certificates = self.certificates.iter().chain(&self.keys);
        certificates.chain(&self.client_ca)
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// What is wrong, one line for each file.
    pub fn load(&self) -> Result<Tls, Vec<String>> {
        self.check_number()?;
        let provider = Arc::new(provider());
        let mut wrong = Vec::new();
        let mut certified = Vec::new();
        for (nth, file) in self.certificates.iter().enumerate() {
            match certified_key(file, self.keys.get(nth), &provider) {
                Ok(key) => certified.push(Arc::new(key)),
                Err(why) => wrong.push(why),
            }
        }
        let verifier = self.client_verifier(&provider);
        let verifier = verifier.inspect_err(|why| wrong.push(why.clone()));
        let (Ok(verifier), true) = (verifier, wrong.is_empty()) else {
            return Err(wrong);
        };
        let shown = self.certificates.iter().zip(&certified);
        let certificates = shown.map(|(file, key)| Shown::of(file, key)).collect();
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| vec![error.to_string()])?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByName(certified)));
        config.ignore_client_order = true;
        // A resumed session costs a server almost as much as a new one, and would outlive what was verified for it: the
        // client's certificate may have expired, and its authority may be trusted no more.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Tls {
            config: Arc::new(config),
            certificates,
            client_bytes_max: self.client_ca.as_ref().map_or(0, |_| CHAIN_BYTES_MAX),
        })
    }

    fn check_number(&self) -> Result<(), Vec<String>> {
        let (certificates, keys) = (self.certificates.len(), self.keys.len());
        let why = if certificates == 0 {
            "--listen-tls needs a certificate: --tls-cert FILE --tls-key FILE".into()
        } else if keys != 0 && keys != certificates {
            format!(
                "--tls-cert is given {certificates} times and --tls-key {keys} times: give one key for each certificate, in \
                 the same order, or no key at all if each is in the file of its certificate"
            )
        } else if certificates > CERTIFICATES_MAX {
            format!("--tls-cert is given {certificates} times; {CERTIFICATES_MAX} is the most")
        } else {
            return Ok(());
        };
        Err(vec![why])
    }

    /// What verifies the certificates of clients, if they are asked for one.
    fn client_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
        let Some(file) = &self.client_ca else {
            return Ok(None);
        };
        let wrong = |why: String| format!("--tls-client-ca {}: {why}", file.display());
        let mut roots = RootCertStore::empty();
        for certificate in chain(file).map_err(wrong)? {
            let added = roots.add(certificate);
            added.map_err(|error| wrong(explained(&error)))?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = match self.is_client_optional {
            true => builder.allow_unauthenticated(),
            false => builder,
        };
        let verifier = builder.build();
        match verifier {
            Ok(verifier) => Ok(Some(Arc::new(OfClients(verifier)))),
            Err(error) => Err(wrong(error.to_string())),
        }
    }
}

impl Tls {
    /// What the operator should do about certificates that have expired or will soon, one line each, at this second of UNIX
    /// time.
    pub fn warnings(&self, now: u64) -> Vec<String> {
        let soon = now + EXPIRES_SOON_SECONDS;
        let expiring = self.certificates.iter().filter(|it| it.valid_until < soon);
        expiring
            .map(|it| match it.valid_until < now {
                true => format!("{it}: it has expired, and clients will refuse it; renew it"),
                false => format!("{it}: it expires soon; renew it, and reload"),
            })
            .collect()
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let second = i64::try_from(self.valid_until).unwrap_or(i64::MAX);
        let (file, fingerprint) = (self.file.display(), hex(&self.fingerprint));
        write!(f, "certificate {file}, SHA-256 {fingerprint}, valid until ")?;
        match jiff::Timestamp::from_second(second) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => f.write_str("a time after the year 9999"),
        }
    }
}

impl Shown {
    fn of(file: &Path, key: &CertifiedKey) -> Shown {
        let own = &key.cert[0];
        Shown {
            file: file.into(),
            fingerprint: fingerprint(own),
            valid_until: valid_until(own),
        }
    }
}

/// The cryptography of the library, with the suites of AES-256 last. It would add no strength, since the keys that are agreed
/// upon (X25519, P-256) are no stronger than AES-128, and its hash is the only one for which most processors have no
/// instructions: it makes a handshake an eighth dearer. A client that has nothing else still gets it.
fn provider() -> CryptoProvider {
    let mut provider = default_provider();
    let is_dear = |suite: &SupportedCipherSuite| {
        let hash = match suite {
            SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
            SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        };
        hash.algorithm() == HashAlgorithm::SHA384
    };
    provider.cipher_suites.sort_by_key(is_dear);
    provider
}

/// The second of UNIX time until which a certificate is valid. Asked of the verifier, which looks at the time first.
fn valid_until(certificate: &CertificateDer<'_>) -> u64 {
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let algorithms = default_provider().signature_verification_algorithms.all;
    let parsed = ParsedCertificate::try_from(certificate);
    let verified = parsed.and_then(|parsed| {
        let nobody = RootCertStore::empty();
        verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], end_of_time, algorithms)
    });
    match verified {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            not_after.as_secs()
        }
        _ => u64::MAX,
    }
}

/// A chain and its key, which belong together.
fn certified_key(
    file: &Path,
    key_file: Option<&PathBuf>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    let in_file = |why| format!("--tls-cert {}: {why}", file.display());
    let chain = chain(file).map_err(in_file)?;
    let in_key_file = |why: String| match key_file {
        Some(key_file) => format!("--tls-key {}: {why}", key_file.display()),
        None => format!("--tls-cert {}, without --tls-key: {why}", file.display()),
    };
    let key = key(key_file.map_or(file, PathBuf::as_path)).map_err(in_key_file)?;
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(key) => Ok(key),
        Err(Error::InconsistentKeys(_)) => Err(in_key_file(format!(
            "it is not the key of --tls-cert {}, whose first certificate must be the server's own",
            file.display()
        ))),
        Err(Error::InvalidCertificate(error)) => Err(in_file(error.to_string())),
        Err(error) => Err(in_key_file(error.to_string())),
    }
}

/// All certificates of a file; at least one.
fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("it has no \"BEGIN CERTIFICATE\"".into()),
        Ok(chain) => match chain
            .iter()
            .find_map(|it| ParsedCertificate::try_from(it).err())
        {
            Some(error) => Err(explained(&error)),
            None => Ok(chain),
        },
        Err(error) => Err(not_pem(&error)),
    }
}

/// The first key of a file.
fn key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if text.windows(9).any(|it| it == b"ENCRYPTED") => {
            "its key is encrypted; write it without a passphrase: openssl pkey -in FILE -out NEW"
                .into()
        }
        pem::Error::NoItemsFound => "it has no \"BEGIN PRIVATE KEY\"".into(),
        error => not_pem(&error),
    })
}

fn not_pem(error: &pem::Error) -> String {
    format!("it is not PEM, or is cut off ({error})")
}

/// What is wrong with a certificate, without the names of the library's types.
fn explained(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => format!("it has a certificate that is wrong: {error}"),
        error => error.to_string(),
    }
}

/// The text of a file, which must be one: a pipe might never end.
fn read(file: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".into());
    }
    if metadata.size() > FILE_BYTES_MAX {
        return Err(format!("it has more than {} MiB", FILE_BYTES_MAX >> 20));
    }
    let mut text = Vec::new();
    let file = File::open(file).map_err(|error| error.to_string())?;
    let read = file.take(FILE_BYTES_MAX).read_to_end(&mut text);
    read.map_err(|error| error.to_string())?;
    Ok(text)
}

/// Chooses a certificate by the name that the client asks for, and of several for one name the first that the client can
/// verify. A client that asks for no name, or for one that no certificate has, gets one as if all had its name: it may know
/// the server otherwise.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let can_verify = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let name = hello.server_name();
        let name = name.filter(|_| self.0.len() > 1);
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let has_name = |key: &&Arc<CertifiedKey>| {
            let parsed = key.end_entity_cert().and_then(ParsedCertificate::try_from);
            let matching = parsed.ok().zip(name.as_ref());
            matching.is_some_and(|(own, name)| verify_server_name(&own, name).is_ok())
        };
        let named = self.0.iter().filter(has_name).find(can_verify);
        let any = || self.0.iter().find(can_verify);
        named.or_else(any).or(self.0.first()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::authority::Authority;

    #[test]
    fn a_certificate_is_shown_with_its_end_and_the_operator_is_warned_before() {
        let authority = Authority::new("the test's");
        let pid = std::process::id();
        let file = std::env::temp_dir().join(format!("madang-certificates-{pid}.pem"));
        let load = |year| {
            let identity = authority.server(&["chat.test"], year);
            std::fs::write(&file, identity.both()).unwrap();
            let files = Files {
                certificates: vec![file.clone()],
                ..Files::default()
            };
            files.load().unwrap()
        };
        let tls = load(2040);
        let shown = format!(
            "certificate {}, SHA-256 {}, valid until 2040-12-31T00:00:00Z",
            file.display(),
            hex(&tls.certificates[0].fingerprint)
        );
        assert_eq!(tls.certificates[0].to_string(), shown);
        let end = tls.certificates[0].valid_until;
        let day = 24 * 3600;
        assert!(tls.warnings(end - 15 * day).is_empty());
        assert!(tls.warnings(end - 13 * day)[0].ends_with("it expires soon; renew it, and reload"));
        assert!(tls.warnings(end + 1)[0].contains("it has expired"));
        let fingerprint = hex(&tls.certificates[0].fingerprint);
        assert_eq!(fingerprint.len(), 64);
        assert_ne!(fingerprint, hex(&load(2041).certificates[0].fingerprint));
        std::fs::remove_file(file).unwrap();
    }
}
