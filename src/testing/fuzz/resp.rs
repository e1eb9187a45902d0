//! Fuzz target: replies of an engine in pieces of any size, against a reference that has all bytes at once.

use crate::net::engine::resp::{
    ARRAY_ELEMENTS_MAX, BULK_BYTES_MAX, LINE_BYTES_MAX, NESTING_MAX, Parser, Token,
};

/// A token with its text.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Text(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Null,
    Array(usize),
}

/// What all of the bytes say, and whether they go wrong after that.
type All = (Vec<Said>, bool);

/// The first byte says into which pieces the others are cut.
pub fn resp(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    assert_eq!(
        in_pieces(bytes, usize::from(cut % 16) + 1),
        at_once(bytes),
        "{}",
        bytes.escape_ascii()
    );
}

/// The parser is given as many bytes more each time, and all that are not consumed again.
fn in_pieces(bytes: &[u8], piece: usize) -> All {
    let (mut parser, mut start, mut all) = (Parser::default(), 0, Vec::new());
    let ends = (piece..bytes.len()).step_by(piece).chain([bytes.len()]);
    for end in ends {
        loop {
            let rest = &bytes[start..end];
            match parser.next(rest) {
                Ok(None) => {
                    assert!(parser.bytes_needed() > rest.len());
                    break;
                }
                Ok(Some((token, taken))) => {
                    all.push(said(&token, rest));
                    start += taken;
                    assert!(taken > 0 && start <= end && parser.depth() <= NESTING_MAX);
                }
                Err(_) => return (all, true),
            }
        }
    }
    (all, false)
}

fn said(token: &Token, bytes: &[u8]) -> Said {
    match token {
        Token::Text(range) => Said::Text(bytes[range.clone()].to_vec()),
        Token::Error(range) => Said::Error(bytes[range.clone()].to_vec()),
        Token::Integer(number) => Said::Integer(*number),
        Token::Null => Said::Null,
        Token::Array(elements) => Said::Array(*elements),
    }
}

fn at_once(mut bytes: &[u8]) -> All {
    let (mut all, mut open) = (Vec::new(), Vec::<usize>::new());
    while !bytes.is_empty() {
        match first(bytes) {
            First::Cut => return (all, false),
            First::Wrong => return (all, true),
            First::Said(token, rest) => {
                if let Some(left) = open.last_mut() {
                    *left -= 1;
                }
                if let Said::Array(elements @ 1..) = token {
                    open.push(elements);
                }
                if open.len() > NESTING_MAX {
                    return (all, true);
                }
                while open.last() == Some(&0) {
                    open.pop();
                }
                all.push(token);
                bytes = rest;
            }
        }
    }
    (all, false)
}

enum First<'a> {
    /// The bytes end too early.
    Cut,
    Wrong,
    Said(Said, &'a [u8]),
}

fn first(bytes: &[u8]) -> First<'_> {
    if !b"+-:$*".contains(&bytes[0]) {
        return First::Wrong;
    }
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        let is_long = bytes.len() > LINE_BYTES_MAX;
        return if is_long { First::Wrong } else { First::Cut };
    };
    let (line, rest) = bytes.split_at(end + 1);
    let Some(text) = line[1..].strip_suffix(b"\r\n") else {
        return First::Wrong;
    };
    if end > LINE_BYTES_MAX || text.contains(&b'\r') {
        return First::Wrong;
    }
    let number = str::from_utf8(text).ok().and_then(|text| {
        let number: i64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    });
    match (bytes[0], number) {
        (b'+', _) => First::Said(Said::Text(text.to_vec()), rest),
        (b'-', _) => First::Said(Said::Error(text.to_vec()), rest),
        (_, None) => First::Wrong,
        (b':', Some(number)) => First::Said(Said::Integer(number), rest),
        (_, Some(-1)) => First::Said(Said::Null, rest),
        (_, Some(..-1)) => First::Wrong,
        (b'*', Some(number)) => match number as usize {
            elements @ 0..=ARRAY_ELEMENTS_MAX => First::Said(Said::Array(elements), rest),
            _ => First::Wrong,
        },
        (_, Some(number)) => match number as usize {
            length @ 0..=BULK_BYTES_MAX => match rest.get(..length + 2) {
                None => First::Cut,
                Some(bulk) => match bulk.strip_suffix(b"\r\n") {
                    Some(text) => First::Said(Said::Text(text.to_vec()), &rest[length + 2..]),
                    None => First::Wrong,
                },
            },
            _ => First::Wrong,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_the_same_in_pieces_of_any_size() {
        let deep = [b"*1\r\n".repeat(NESTING_MAX + 1), b"+x\r\n".to_vec()].concat();
        for bytes in [
            &b"*2\r\n$3\r\na\r\n\r\n:-7\r\n+OK\r\n-ERR no\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n"[..],
            b"*1\r\n*2\r\n*1\r\n+a\r\n+b\r\n:1\r\n",
            b"$3\r\nabcd\r\n",
            b"$99999999\r\n",
            b"*-2\r\n",
            b":01\r\n",
            b"+a\rb\r\n",
            b"+a\n",
            b"hello\r\n",
            &deep,
        ] {
            for cut in 0..16 {
                resp(&[&[cut], bytes].concat());
            }
        }
    }
}
