//! Judges the certificate that a server presents: by the authorities that are trusted, or by its fingerprint. What it
//! refuses it describes in words, since only here it is known what was presented. Shows nothing that could act on a
//! terminal, whatever a certificate contains.

use super::files::{read_certificates, system_authorities};
use super::{Fingerprint, Options};
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Names of a certificate that are shown.
const NAMES_MAX: usize = 5;
/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = 80;

/// Why a certificate is not trusted, in words. It is the inside of the error that the handshake ends with.
#[derive(Debug)]
pub struct Distrust(String);

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Distrust {}

impl Distrust {
    /// The words, if this is why the handshake has ended.
    pub fn in_error(error: &Error) -> Option<&Distrust> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
                inner.downcast_ref()
            }
            _ => None,
        }
    }
}

/// What makes a certificate a trusted one.
#[derive(Debug)]
enum Trust {
    /// It is this one.
    Fingerprint(Fingerprint),
    /// An authority has signed it.
    Authorities {
        webpki: Arc<WebPkiServerVerifier>,
        /// The certificates of the user's file: a server may also present one of these itself.
        own: Vec<CertificateDer<'static>>,
        /// "that this machine trusts", "in FILE"
        which: String,
    },
}

/// Judges certificates.
#[derive(Debug)]
pub struct Verifier {
    trust: Trust,
    /// Those of the signatures in a handshake, which prove that the server has the certificate's key.
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// A verifier that trusts what the user says, or else what the system trusts.
    ///
    /// # Errors
    /// A file cannot be used, or the system trusts nothing.
    pub fn new(options: &Options, provider: &Arc<CryptoProvider>) -> Result<Verifier, String> {
        let algorithms = provider.signature_verification_algorithms;
        let trust = match (options.fingerprint, &options.authorities) {
            (Some(fingerprint), _) => Trust::Fingerprint(fingerprint),
            (None, Some(path)) => {
                let own = read_certificates(path)?;
                let mut roots = RootCertStore::empty();
                for certificate in &own {
                    let added = roots.add(certificate.clone());
                    added.map_err(|error| {
                        let file = path.display();
                        format!("{file} has a certificate that cannot be used: {error}")
                    })?;
                }
                authorities(roots, own, format!("in {}", path.display()), provider)
            }
            (None, None) => {
                let roots = system_authorities()?;
                authorities(
                    roots,
                    Vec::new(),
                    "that this machine trusts".into(),
                    provider,
                )
            }
        };
        Ok(Verifier { trust, algorithms })
    }
}

fn authorities(
    roots: RootCertStore,
    own: Vec<CertificateDer<'static>>,
    which: String,
    provider: &Arc<CryptoProvider>,
) -> Trust {
    let builder =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Trust::Authorities {
        webpki: builder
            .build()
            .expect("there are authorities, and no revocation lists"),
        own,
        which,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let why = match &self.trust {
            Trust::Fingerprint(trusted) if Fingerprint::of(presented) == *trusted => {
                return Ok(ServerCertVerified::assertion());
            }
            Trust::Fingerprint(_) => another_fingerprint(presented),
            Trust::Authorities { webpki, own, which } => {
                let judged =
                    webpki.verify_server_cert(presented, intermediates, name, ocsp_response, now);
                match judged {
                    Ok(verified) => return Ok(verified),
                    // A certificate that has signed itself, as `openssl req -x509` makes it, may call itself an authority.
                    // Its time is checked before that.
                    Err(error)
                        if is_authority(&error) && own.iter().any(|own| own == presented) =>
                    {
                        match verify_server_name(&ParsedCertificate::try_from(presented)?, name) {
                            Ok(()) => return Ok(ServerCertVerified::assertion()),
                            Err(error) => describe(&error, presented, name, which),
                        }
                    }
                    Err(error) => describe(&error, presented, name, which),
                }
            }
        };
        let inner = OtherError(Arc::new(Distrust(why)));
        Err(Error::InvalidCertificate(CertificateError::Other(inner)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether a server's certificate is refused because it is one of an authority.
fn is_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(other))
        if other.to_string() == "CaUsedAsEndEntity")
}

fn another_fingerprint(presented: &CertificateDer<'_>) -> String {
    let (names, fingerprint) = (names_of(presented), Fingerprint::of(presented));
    format!(
        "its certificate is not the one of --tls-fingerprint: it is for {names}, and its SHA-256 is {fingerprint}. \
         Either its operator has replaced it, or this is not that server"
    )
}

/// Says what is wrong with a certificate, and which flag would trust it.
fn describe(
    error: &Error,
    presented: &CertificateDer<'_>,
    name: &ServerName<'_>,
    which: &str,
) -> String {
    let fingerprint = Fingerprint::of(presented);
    let Error::InvalidCertificate(wrong) = error else {
        return format!("its certificate cannot be used: {error}");
    };
    let trust = format!("--tls-fingerprint {fingerprint} trusts it all the same");
    match wrong {
        // A bad signature: an authority has the same name as the one that has signed it, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            unknown(presented, which, fingerprint)
        }
        _ if is_authority(error) => unknown(presented, which, fingerprint),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "its certificate has expired on {} (today is {} here). Its operator must renew it; {trust}",
            day(*not_after),
            day(*time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate is valid from {} on, and today is {} here. Is the clock right? {trust}",
            day(*not_before),
            day(*time)
        ),
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "its certificate is for {}, not for {}. Join it by a name that its certificate has; {trust}",
            list(presented),
            name.to_str()
        ),
        wrong => format!("its certificate cannot be used: {wrong}. {trust}"),
    }
}

fn unknown(presented: &CertificateDer<'_>, which: &str, fingerprint: Fingerprint) -> String {
    let names = names_of(presented);
    format!(
        "no authority {which} has signed its certificate, which is for {names}. --tls-ca FILE trusts the authority that has; \
         if the server's operator confirms the fingerprint, --tls-fingerprint {fingerprint} trusts this certificate"
    )
}

/// The day of a time, in UTC.
fn day(time: UnixTime) -> String {
    let time = i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(
        || "a day beyond the calendar".into(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

/// What a certificate is for, as text.
fn names_of(certificate: &CertificateDer<'_>) -> String {
    // The library names them when it is asked for one that no certificate has.
    let nobody = ServerName::from(IpAddr::from([0, 0, 0, 0]));
    let refused = ParsedCertificate::try_from(certificate)
        .and_then(|parsed| verify_server_name(&parsed, &nobody));
    match refused {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        })) => list(&presented),
        Err(_) => "something that cannot be read".into(),
        Ok(()) => nobody.to_str().into_owned(),
    }
}

/// A list of names as the library writes them: `DnsName("localhost")`, `IpAddress(127.0.0.1)`.
fn list(presented: &[String]) -> String {
    let name = |text: &String| {
        let inner = text
            .split_once('(')
            .and_then(|(_, inner)| inner.strip_suffix(')'));
        let name = inner.unwrap_or(text).trim_matches('"');
        if let Ok(address) = name.parse::<IpAddr>() {
            return address.to_string();
        }
        // A certificate that is not trusted may contain anything.
        let safe = |c: char| {
            if c.is_ascii_graphic() {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            }
        };
        name.chars()
            .take(NAME_CHARS_MAX)
            .map(safe)
            .collect::<String>()
    };
    let shown: Vec<String> = presented.iter().take(NAMES_MAX).map(name).collect();
    match (shown.is_empty(), presented.len().saturating_sub(NAMES_MAX)) {
        (true, _) => "no host (a common name does not count)".into(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_server::{Made, authority, certificate, signed};
    use super::*;
    use rcgen::{BasicConstraints, IsCa, date_time_ymd};
    use rustls::crypto::ring;
    use std::time::Duration;

    fn verifier(trust: Trust) -> Verifier {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Verifier { trust, algorithms }
    }

    /// Trusts these certificates, as `--tls-ca` does.
    fn trusting(own: &[CertificateDer<'static>]) -> Verifier {
        let mut roots = RootCertStore::empty();
        own.iter().for_each(|own| roots.add(own.clone()).unwrap());
        let provider = Arc::new(ring::default_provider());
        verifier(authorities(
            roots,
            own.to_vec(),
            "in ca.pem".into(),
            &provider,
        ))
    }

    /// Judges a certificate: why it is refused, or an empty text.
    fn judge(verifier: &Verifier, presented: &Made, name: &str) -> String {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        // 2026-11-27
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_795_737_600));
        match verifier.verify_server_cert(&presented.certificate, &[], &name, &[], now) {
            Ok(_) => String::new(),
            Err(error) => Distrust::in_error(&error).expect("words").to_string(),
        }
    }

    #[test]
    fn a_certificate_is_trusted_for_its_names_if_an_authority_has_signed_it() {
        let authority = authority();
        let made = signed(&["chat.example.org", "127.0.0.1", "::1"], &authority);
        let trusting = trusting(&[authority.der().clone()]);
        for name in ["chat.example.org", "127.0.0.1", "::1"] {
            assert_eq!(judge(&trusting, &made, name), "");
        }
        let why = judge(&trusting, &made, "other.example.org");
        let words = "is for chat.example.org, 127.0.0.1, ::1, not for other.example.org";
        assert!(why.contains(words), "{why}");
    }

    #[test]
    fn a_certificate_that_has_signed_itself_is_trusted_if_it_is_in_the_file() {
        for is_ca in [
            IsCa::NoCa,
            IsCa::ExplicitNoCa,
            IsCa::Ca(BasicConstraints::Unconstrained),
        ] {
            let made = certificate(&["localhost"], |params| params.is_ca = is_ca);
            let trusting = trusting(std::slice::from_ref(&made.certificate));
            assert_eq!(judge(&trusting, &made, "localhost"), "", "{is_ca:?}");
            let why = judge(&trusting, &made, "example.org");
            assert!(
                why.contains("is for localhost, not for example.org"),
                "{is_ca:?}: {why}"
            );
            let other = certificate(&["localhost"], |params| params.is_ca = is_ca);
            let why = judge(&trusting, &other, "localhost");
            let fingerprint = Fingerprint::of(&other.certificate);
            for words in [
                "no authority in ca.pem has signed",
                "is for localhost",
                "--tls-ca FILE",
                &format!("--tls-fingerprint {fingerprint} "),
            ] {
                assert!(why.contains(words), "{is_ca:?}: {why}");
            }
        }
    }

    #[test]
    fn a_certificate_has_its_time() {
        for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
            for (from, to, words) in [
                (
                    2020,
                    2021,
                    "has expired on 2021-01-01 (today is 2026-11-27 here)",
                ),
                (
                    2030,
                    2031,
                    "valid from 2030-01-01 on, and today is 2026-11-27",
                ),
            ] {
                let made = certificate(&["localhost"], |params| {
                    params.is_ca = is_ca;
                    params.not_before = date_time_ymd(from, 1, 1);
                    params.not_after = date_time_ymd(to, 1, 1);
                });
                let why = judge(
                    &trusting(std::slice::from_ref(&made.certificate)),
                    &made,
                    "localhost",
                );
                assert!(
                    why.contains(words) && why.contains("--tls-fingerprint "),
                    "{why}"
                );
                let pinned = verifier(Trust::Fingerprint(Fingerprint::of(&made.certificate)));
                assert_eq!(judge(&pinned, &made, "localhost"), "");
            }
        }
    }

    #[test]
    fn a_fingerprint_trusts_one_certificate_whatever_it_is_for() {
        let made = certificate(&["a.example.org"], |_| {});
        let pinned = verifier(Trust::Fingerprint(Fingerprint::of(&made.certificate)));
        assert_eq!(judge(&pinned, &made, "b.example.org"), "");
        let other = certificate(&["a.example.org"], |_| {});
        let why = judge(&pinned, &other, "a.example.org");
        let of_other = Fingerprint::of(&other.certificate).to_string();
        for words in [
            "not the one of --tls-fingerprint",
            "for a.example.org",
            &of_other,
        ] {
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn names_of_a_certificate_cannot_act_on_a_terminal_and_are_few() {
        let names = ["DnsName(\"a\u{1b}[2J\n\u{202e}b\")".to_owned()];
        assert_eq!(list(&names), "a\u{fffd}[2J\u{fffd}\u{fffd}b");
        let names: Vec<String> = (0..9)
            .map(|n| format!("DnsName(\"{n}.example\")"))
            .collect();
        let shown = list(&names);
        assert!(shown.ends_with("4.example and 4 more"), "{shown}");
        assert!(list(&[]).contains("no host"));
        assert!(list(&["x".repeat(9999)]).len() <= NAME_CHARS_MAX);
    }
}
