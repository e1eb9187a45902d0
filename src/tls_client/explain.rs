//! What went wrong with a TLS connection, in words for the person who wants to connect. Decides nothing.

use super::trust::Distrust;
use rustls::{AlertDescription, Error};

/// Characters of an answer without TLS that are quoted.
const QUOTED_CHARS_MAX: usize = 60;

/// Says why the TLS connection cannot go on. `has_identity`: the client has shown a certificate, or would have.
pub fn explain(error: &Error, has_identity: bool) -> String {
    if let Some(distrust) = Distrust::in_error(error) {
        return distrust.to_string();
    }
    match error {
        Error::AlertReceived(alert) => refused(*alert, has_identity),
        Error::PeerIncompatible(why) => {
            format!("the server speaks no TLS that this program can (1.2 or 1.3): {why:?}")
        }
        Error::FailedToGetCurrentTime => "this machine does not know the time".into(),
        Error::DecryptError => "what the server has sent was damaged or changed on its way".into(),
        error => format!("TLS has failed: {error}"),
    }
}

/// Says why the server has ended the TLS connection (RFC 8446, section 6.2).
fn refused(alert: AlertDescription, has_identity: bool) -> String {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, DecryptError, HandshakeFailure, InsufficientSecurity, NoCertificate,
        ProtocolVersion, UnknownCA, UnrecognisedName, UnsupportedCertificate,
    };
    let naming = "--tls-cert FILE and --tls-key FILE name it";
    match alert {
        CertificateRequired | NoCertificate => {
            format!("the server asks for a certificate of yours; {naming}")
        }
        // Up to TLS 1.2 there is no alert of its own for that.
        BadCertificate | HandshakeFailure if !has_identity => format!(
            "the server refuses the connection ({}); if it asks for a certificate of yours, {naming}",
            name(alert)
        ),
        CertificateExpired if has_identity => {
            "the server refuses your certificate, which has expired".into()
        }
        CertificateRevoked if has_identity => {
            "the server refuses your certificate, which is revoked".into()
        }
        UnknownCA if has_identity => {
            "the server refuses your certificate, which no authority that it trusts has signed"
                .into()
        }
        BadCertificate
        | UnsupportedCertificate
        | CertificateUnknown
        | AccessDenied
        | DecryptError
            if has_identity =>
        {
            format!("the server refuses your certificate ({})", name(alert))
        }
        ProtocolVersion => "the server speaks neither TLS 1.2 nor 1.3".into(),
        HandshakeFailure | InsufficientSecurity => {
            format!(
                "the server has no way of encryption in common with this program ({})",
                name(alert)
            )
        }
        UnrecognisedName => {
            "the server has no certificate for the name by which you join it".into()
        }
        alert => format!("the server has ended the TLS connection ({})", name(alert)),
    }
}

/// An alert's name as RFC 8446 writes it: `unknown_ca`.
fn name(alert: AlertDescription) -> String {
    let mut name = String::new();
    let mut was_lower = false;
    for c in format!("{alert:?}").chars() {
        if c.is_ascii_uppercase() && was_lower {
            name.push('_');
        }
        was_lower = c.is_ascii_lowercase();
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// Whether the first bytes of a server can be TLS: a record begins with its type (RFC 8446, section 5.1).
pub fn can_be_tls(first: u8) -> bool {
    (20..=24).contains(&first)
}

/// Says that a server speaks no TLS, with what it says instead.
pub fn not_tls(bytes: &[u8]) -> String {
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let quoted: String = text
        .trim_end_matches('\r')
        .chars()
        .take(QUOTED_CHARS_MAX)
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect();
    let without = "without tls: in the address the connection is not encrypted";
    match quoted.trim().is_empty() {
        true => format!("it speaks no TLS; {without}"),
        false => format!("it speaks no TLS, it says \"{quoted}\"; {without}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_explained_by_what_the_user_can_do() {
        use AlertDescription as Alert;
        for (alert, has_identity, words) in [
            (
                Alert::CertificateRequired,
                false,
                "asks for a certificate of yours; --tls-cert FILE",
            ),
            (
                Alert::HandshakeFailure,
                false,
                "handshake_failure); if it asks for a certificate",
            ),
            (
                Alert::BadCertificate,
                true,
                "refuses your certificate (bad_certificate)",
            ),
            (Alert::UnknownCA, true, "no authority that it trusts"),
            (Alert::CertificateExpired, true, "has expired"),
            (Alert::ProtocolVersion, false, "neither TLS 1.2 nor 1.3"),
            (
                Alert::UnrecognisedName,
                false,
                "no certificate for the name",
            ),
            (
                Alert::InternalError,
                true,
                "ended the TLS connection (internal_error)",
            ),
        ] {
            let why = explain(&Error::AlertReceived(alert), has_identity);
            assert!(why.contains(words), "{alert:?}: {why}");
        }
    }

    #[test]
    fn what_a_server_without_tls_says_is_quoted_and_cannot_act_on_a_terminal() {
        let why = not_tls(b"SSH-2.0-OpenSSH_9.2\r\nmore");
        assert!(why.contains("it says \"SSH-2.0-OpenSSH_9.2\";"), "{why}");
        let why = not_tls(b"\x1b[2J\x9b\xff\n");
        assert!(why.contains("\"\u{fffd}[2J\u{fffd}\u{fffd}\";"), "{why}");
        for silent in [&b"\r\n"[..], b" \n"] {
            assert!(!not_tls(silent).contains("says"));
        }
    }
}
