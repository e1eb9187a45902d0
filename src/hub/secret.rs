//! A secret as the server keeps it: only its SHA-256. So its length does not show in the time of a comparison, and there is
//! nothing to be printed.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// What tells a secret from others, and cannot be turned back into it.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Of this text.
    pub fn of(text: &str) -> Secret {
        Secret(Sha256::digest(text).into())
    }

    /// What no text is known to have: in the place of a secret where there is none, so that comparing takes the same time.
    pub const fn of_nobody() -> Secret {
        Secret([0; 32])
    }

    /// Whether both are of the same text. Takes the same time whatever they are.
    pub fn is(&self, other: &Secret) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Not even the digest: that of a short secret is soon found.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_equal_to_itself_alone_and_is_not_shown() {
        let secret = Secret::of("open sesame");
        assert!(secret.is(&Secret::of("open sesame")));
        for other in ["", "open", "open sesame ", "Open sesame"] {
            assert!(!secret.is(&Secret::of(other)), "{other:?}");
            assert!(!Secret::of_nobody().is(&Secret::of(other)));
        }
        assert_eq!(format!("{:?}", Some(secret)), "Some(Secret)");
    }
}
