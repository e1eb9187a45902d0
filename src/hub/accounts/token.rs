//! Tokens: 128 random bits by which somebody shows that a name is theirs, how they are written, and what is kept of them.
//! None of it appears in a `Debug` output.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// The letters and digits of a written token: none looks like another in any usual font. Five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Characters of a written token: 128 bits, and two that are 0.
const TOKEN_CHARS: usize = 26;

/// A token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 16]);

/// What is kept of a token: its SHA-256. A slow hash would gain nothing, since nobody can try 2^128 tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

impl Token {
    /// The token of these random bytes.
    pub fn new(bytes: [u8; 16]) -> Token {
        Token(bytes)
    }

    /// As its owner is told it.
    pub fn written(self) -> String {
        let mut left = u128::from_be_bytes(self.0);
        let mut text = [0; TOKEN_CHARS];
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(left & 31) as usize];
            left >>= 5;
        }
        text.iter().map(|&byte| char::from(byte)).collect()
    }

    /// Reads a written token, in any case, and with hyphens where somebody has put some.
    pub fn parse(text: &str) -> Option<Token> {
        let mut bits: u128 = 0;
        let mut chars = 0;
        for byte in text.bytes().filter(|&byte| byte != b'-') {
            let byte = byte.to_ascii_lowercase();
            let value = ALPHABET.iter().position(|&known| known == byte)?;
            if bits >> 123 != 0 {
                return None;
            }
            bits = bits << 5 | value as u128;
            chars += 1;
        }
        (chars == TOKEN_CHARS).then_some(Token(bits.to_be_bytes()))
    }

    /// What is kept of it.
    pub fn hash(self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }
}

impl TokenHash {
    /// Whether a written token is this one, in a time that does not tell how much of it is. Without a hash, or with a text that
    /// is no token, it takes as long to say no.
    pub fn is_of(hash: Option<&TokenHash>, written: &str) -> bool {
        let token = Token::parse(written);
        let are_there = Choice::from(u8::from(token.is_some() & hash.is_some()));
        let given = token.unwrap_or(Token([0; 16])).hash();
        let kept = hash.unwrap_or(&TokenHash([0; 32]));
        (kept.0.ct_eq(&given.0) & are_there).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let mut rng = fastrand::Rng::with_seed(7);
        let random = (0..1000).map(|_| rng.u128(..).to_be_bytes());
        for bytes in random.chain([[0; 16], [255; 16]]) {
            let written = Token::new(bytes).written();
            assert_eq!(written.len(), TOKEN_CHARS);
            assert!(!written.contains(['0', 'o', '1', 'l']), "{written}");
            assert_eq!(Token::parse(&written), Some(Token::new(bytes)));
            let (start, end) = written.split_at(9);
            let typed = format!("{start}-{end}").to_uppercase();
            assert_eq!(Token::parse(&typed), Some(Token::new(bytes)));
        }
    }

    #[test]
    fn what_no_token_is_written_as_is_none() {
        let written = Token::new([7; 16]).written();
        let longer = format!("{written}a");
        // Bits that no token has.
        let larger = "9".repeat(TOKEN_CHARS);
        for text in [
            "",
            &written[1..],
            &longer,
            &larger,
            "0aaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_token_itself_has_its_hash() {
        let (one, other) = (Token::new([1; 16]), Token::new([2; 16]));
        let hash = one.hash();
        assert!(TokenHash::is_of(Some(&hash), &one.written()));
        assert!(!TokenHash::is_of(Some(&hash), &other.written()));
        assert!(!TokenHash::is_of(Some(&hash), ""));
        assert!(!TokenHash::is_of(None, &one.written()));
        // The hash that stands for none is that of no token that is accepted in its place.
        assert!(!TokenHash::is_of(Some(&TokenHash([0; 32])), "x"));
        assert!(!TokenHash::is_of(Some(&Token::new([0; 16]).hash()), "x"));
        assert!(TokenHash::is_of(
            Some(&Token::new([0; 16]).hash()),
            &"a".repeat(26)
        ));
        // sha256sum of 16 bytes 01.
        assert_eq!(hash.0[..4], [0xcc, 0x8c, 0xd4, 0x1c]);
        assert_eq!(format!("{one:?} {hash:?}"), "Token(…) TokenHash(…)");
    }
}
