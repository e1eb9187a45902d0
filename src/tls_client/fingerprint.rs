//! Fingerprints of certificates: how they are computed, written and read. Trusts nothing.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// Bytes of a SHA-256.
const BYTES: usize = 32;

/// The SHA-256 of a certificate in DER, which is what `openssl x509 -fingerprint -sha256` prints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; BYTES]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// Parses 64 hexadecimal digits, with colons or without them. What openssl prints before them may stand there.
    fn from_str(text: &str) -> Result<Fingerprint, String> {
        let text = text.rsplit('=').next().unwrap_or_default().trim();
        let text = match text.get(..7) {
            Some(label) if label.eq_ignore_ascii_case("sha256:") => &text[7..],
            _ => text,
        };
        let digits = text.chars().filter(|&c| c != ':' && c != ' ');
        let digits: Option<Vec<u8>> = digits
            .map(|c| c.to_digit(16).map(|digit| digit as u8))
            .collect();
        match digits {
            Some(digits) if digits.len() == 2 * BYTES => {
                let mut bytes = [0; BYTES];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
                    *byte = pair[0] << 4 | pair[1];
                }
                Ok(Fingerprint(bytes))
            }
            Some(digits) => Err(format!(
                "a SHA-256 has {} hexadecimal digits, not {}",
                2 * BYTES,
                digits.len()
            )),
            None => Err(format!(
                "expected a SHA-256: {} hexadecimal digits, with colons or without; \
                 openssl x509 -noout -fingerprint -sha256 -in FILE prints it",
                2 * BYTES
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_and_others_write_it() {
        // The SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        let plain = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let colons = "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:\
                      B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
        let of_abc = Fingerprint::of(b"abc");
        assert_eq!(of_abc.to_string(), colons);
        for text in [
            plain,
            colons,
            &format!("sha256 Fingerprint={colons}"),
            &format!("SHA256:{plain}"),
            &format!(" {} ", colons.to_lowercase()),
        ] {
            assert_eq!(text.parse(), Ok(of_abc), "{text}");
        }
    }

    #[test]
    fn a_wrong_fingerprint_is_answered_with_what_it_must_be() {
        for (text, why) in [
            ("", "64 hexadecimal digits, not 0"),
            ("AB:CD", "64 hexadecimal digits, not 4"),
            (&"ab".repeat(33), "not 66"),
            (&"é".repeat(32), "64 hexadecimal digits"),
            (
                "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
                "openssl x509",
            ),
        ] {
            let error = text.parse::<Fingerprint>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
