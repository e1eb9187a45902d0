//! One registered name: whose it is, and how that is stored. Knows no client.
//!
//! It is stored by the name as `TOKEN FINGERPRINT ORIGIN DAY`: two SHA-256 in hexadecimal digits, from where it was
//! registered, and the day of its last use, counted from 1970-01-01. `-` stands for none.

use super::token::TokenHash;
use crate::hub::name::Nickname;
use crate::hub::tries::Origin;
use crate::protocol::NONE;
use std::fmt::Write;
use subtle::{Choice, ConstantTimeEq};

/// What registered names are called where they are stored.
pub const NAME: &str = "name";

/// One registered name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// As it was registered, with its likeness.
    pub name: Nickname,
    /// The SHA-256 of its token.
    pub token: TokenHash,
    /// The SHA-256 of the certificate that stands for the token.
    pub fingerprint: Option<Box<[u8; 32]>>,
    /// From where it was registered.
    pub origin: Origin,
    /// The day of its last use, since 1970-01-01.
    pub used: u32,
    /// It is being removed from what is stored: nothing else may be stored of it.
    pub is_leaving: bool,
}

impl Account {
    /// Whether this is its certificate, in a time that does not tell how much of it is.
    pub fn has_fingerprint(&self, fingerprint: Option<&[u8; 32]>) -> bool {
        let are_there = Choice::from(u8::from(self.fingerprint.is_some() & fingerprint.is_some()));
        let kept = self.fingerprint.as_deref().unwrap_or(&[0; 32]);
        let given = fingerprint.unwrap_or(&[0; 32]);
        (kept.ct_eq(given) & are_there).into()
    }

    /// As it is stored.
    pub fn stored(&self) -> String {
        let fingerprint = self.fingerprint.as_deref();
        let fingerprint = fingerprint.map_or(NONE.into(), hex);
        let Account { origin, used, .. } = self;
        format!("{} {fingerprint} {origin} {used}", hex(&self.token.0))
    }

    /// Reads what [`stored`](Account::stored) has written.
    pub fn restored(name: Nickname, text: &str) -> Option<Account> {
        let fields: Vec<&str> = text.split(' ').collect();
        let &[token, fingerprint, origin, used] = &*fields else {
            return None;
        };
        Some(Account {
            name,
            token: TokenHash(from_hex(token)?),
            fingerprint: match fingerprint {
                NONE => None,
                text => Some(Box::new(from_hex(text)?)),
            },
            origin: Origin::parse(origin)?,
            used: used.parse().ok()?,
            is_leaving: false,
        })
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 64 || !text.bytes().all(is_hex) {
        return None;
    }
    let mut bytes = [0; 32];
    for (nth, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * nth..2 * nth + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::accounts::token::Token;
    use crate::hub::limits::STORED_BYTES_MAX;
    use crate::hub::name::nickname;

    #[test]
    fn an_account_is_restored_as_it_was_stored() {
        let address = |text: &str| Origin::of(Some(text.parse().unwrap()), None);
        let long = "2001:1111:2222:3333:4444:5555:6666:7777";
        for origin in [
            address("192.0.2.1"),
            address(long),
            Origin::of(None, Some(1000)),
            Origin::of(None, None),
        ] {
            for fingerprint in [None, Some(Box::new([0xab; 32]))] {
                let account = Account {
                    name: nickname("kim").unwrap(),
                    token: Token::new([7; 16]).hash(),
                    fingerprint,
                    origin,
                    used: 20_785,
                    is_leaving: false,
                };
                let stored = account.stored();
                assert!(stored.len() <= STORED_BYTES_MAX);
                let restored = Account::restored(nickname("kim").unwrap(), &stored);
                assert_eq!(restored, Some(account));
            }
        }
    }

    #[test]
    fn what_no_account_is_stored_as_is_none() {
        let token = "0a".repeat(32);
        assert!(restored(&format!("{token} - - 7")).is_some());
        for text in [
            "",
            &*format!("{token} - -"),
            &format!("{token} - - 7 8"),
            &format!("{token} - - -7"),
            &format!("{token} - somewhere 7"),
            &format!("{token} - uid-1 7"),
            &format!("{} - - 7", "0A".repeat(32)),
            &format!("{token} {} - 7", &token[1..]),
            &format!("é{} - - 7", &token[2..]),
        ] {
            assert_eq!(restored(text), None, "{text}");
        }
    }

    fn restored(text: &str) -> Option<Account> {
        Account::restored(nickname("kim").unwrap(), text)
    }

    #[test]
    fn a_certificate_is_compared_as_a_whole() {
        let mut account = restored(&format!("{} - - 7", "00".repeat(32))).unwrap();
        assert!(!account.has_fingerprint(None) && !account.has_fingerprint(Some(&[0; 32])));
        account.fingerprint = Some(Box::new([7; 32]));
        let mut other = [7; 32];
        assert!(account.has_fingerprint(Some(&other)) && !account.has_fingerprint(None));
        other[31] = 6;
        assert!(!account.has_fingerprint(Some(&other)));
    }
}
