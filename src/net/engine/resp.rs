//! RESP2, the protocol of Redis and Valkey, as a stream: bytes in any pieces become tokens, one after the other, and nothing
//! of a reply is kept. Knows no command and opens no socket.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>: a simple string `+OK`, an error `-ERR why`, an integer
//! `:7`, a bulk string `$5` with five bytes after it, an array `*2` with two replies after it; `$-1` and `*-1` are nothing.
//! Each line ends with CR LF.

use std::fmt;
use std::ops::Range;

/// Bytes of a line, which is what every token begins with.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a bulk string.
pub const BULK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Elements of an array.
pub const ARRAY_ELEMENTS_MAX: usize = 1024 * 1024;
/// Arrays within arrays. The deepest answer, that of XREAD, has four.
pub const NESTING_MAX: usize = 8;

/// One step of a reply. Texts are ranges of the bytes that were searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A simple string, or a bulk string.
    Text(Range<usize>),
    /// An error.
    Error(Range<usize>),
    /// An integer.
    Integer(i64),
    /// Nothing.
    Null,
    /// An array: so many replies follow, which are its elements.
    Array(usize),
}

/// Why bytes are no RESP2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A reply cannot begin with this byte.
    Type(u8),
    /// A line is too long, or has a CR without an LF.
    Line,
    /// A number is none, or out of its range.
    Number,
    /// A bulk string is longer than [`BULK_BYTES_MAX`].
    LongBulk,
    /// No CR LF is after a bulk string.
    BulkEnd,
    /// An array has more than [`ARRAY_ELEMENTS_MAX`] elements.
    LongArray,
    /// Arrays are nested more deeply than [`NESTING_MAX`].
    Nesting,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Type(byte) => write!(f, "a reply begins with byte {byte:#04x}"),
            Malformed::Line => write!(
                f,
                "a line is longer than {LINE_BYTES_MAX} bytes or ends wrongly"
            ),
            Malformed::Number => f.write_str("a number is malformed"),
            Malformed::LongBulk => write!(f, "a text is longer than {BULK_BYTES_MAX} bytes"),
            Malformed::BulkEnd => f.write_str("a text does not end where its length says"),
            Malformed::LongArray => write!(f, "a list is longer than {ARRAY_ELEMENTS_MAX}"),
            Malformed::Nesting => write!(f, "lists are nested more than {NESTING_MAX} deep"),
        }
    }
}

/// Where a stream of replies is. It is given all bytes that are not consumed, each time from the same one on, and remembers
/// how far it has searched them: so a reply costs the same in whatever pieces it comes.
#[derive(Debug, Default)]
pub struct Parser {
    /// Of each array that has not ended, the outermost first, how many elements are to come. None is 0.
    open: Vec<usize>,
    /// Bytes that have no LF among them. `0 <= searched <= ` bytes that were given last.
    searched: usize,
    /// The bulk string whose line has been read: where it begins, and how long it is.
    bulk: Option<(usize, usize)>,
}

impl Parser {
    /// The next token, and how many bytes it takes, which the caller does not give again; `None`: more bytes are needed.
    ///
    /// # Errors
    /// The bytes are no RESP2. Nothing can be found after that.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<(Token, usize)>, Malformed> {
        let (token, taken) = match self.bulk {
            Some((start, length)) => match bulk(bytes, start, length)? {
                Some(found) => found,
                None => return Ok(None),
            },
            None => match self.line(bytes)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        self.searched = 0;
        self.bulk = None;
        self.count(&token)?;
        Ok(Some((token, taken)))
    }

    /// Whether no reply has begun that has not ended: the next token is the first of a reply.
    pub fn is_between(&self) -> bool {
        self.open.is_empty()
    }

    /// Arrays that have begun and not ended.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// How many bytes must be there at least, before there can be another token.
    pub fn bytes_needed(&self) -> usize {
        self.bulk
            .map_or(self.searched + 1, |(start, length)| start + length + 2)
    }

    /// Reads a token's line; of a bulk string what comes after it, too.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<(Token, usize)>, Malformed> {
        let Some(&kind) = bytes.first() else {
            return Ok(None);
        };
        if !matches!(kind, b'+' | b'-' | b':' | b'$' | b'*') {
            return Err(Malformed::Type(kind));
        }
        let end = memchr::memchr(b'\n', &bytes[self.searched..]).map(|at| self.searched + at);
        let Some(end) = end.filter(|&end| end <= LINE_BYTES_MAX) else {
            self.searched = bytes.len();
            return match bytes.len() > LINE_BYTES_MAX {
                true => Err(Malformed::Line),
                false => Ok(None),
            };
        };
        if end < 2 || bytes[end - 1] != b'\r' || bytes[1..end - 1].contains(&b'\r') {
            return Err(Malformed::Line);
        }
        let text = 1..end - 1;
        let taken = end + 1;
        let token = match kind {
            b'+' => Token::Text(text),
            b'-' => Token::Error(text),
            b':' => Token::Integer(number(&bytes[text])?),
            b'*' => match length(&bytes[text])? {
                None => Token::Null,
                Some(elements) if elements <= ARRAY_ELEMENTS_MAX => Token::Array(elements),
                Some(_) => return Err(Malformed::LongArray),
            },
            _ => match length(&bytes[text])? {
                None => Token::Null,
                Some(length) if length <= BULK_BYTES_MAX => {
                    self.bulk = Some((taken, length));
                    return bulk(bytes, taken, length);
                }
                Some(_) => return Err(Malformed::LongBulk),
            },
        };
        Ok(Some((token, taken)))
    }

    /// Counts a token as an element of the arrays that are open.
    fn count(&mut self, token: &Token) -> Result<(), Malformed> {
        if let Some(left) = self.open.last_mut() {
            *left -= 1;
        }
        if let &Token::Array(elements) = token
            && elements > 0
        {
            if self.open.len() == NESTING_MAX {
                return Err(Malformed::Nesting);
            }
            self.open.push(elements);
        }
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
        Ok(())
    }
}

/// A bulk string of this length from `start` on, if all of it is there.
fn bulk(bytes: &[u8], start: usize, length: usize) -> Result<Option<(Token, usize)>, Malformed> {
    let end = start + length;
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => Ok(Some((Token::Text(start..end), end + 2))),
        Some(_) => Err(Malformed::BulkEnd),
        None => Ok(None),
    }
}

/// A decimal number as an engine writes it: without a plus, and without zeros before it.
fn number(text: &[u8]) -> Result<i64, Malformed> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let text = str::from_utf8(text).ok().filter(|_| is_plain);
    text.and_then(|text| text.parse().ok())
        .ok_or(Malformed::Number)
}

/// The length of something; `None` for -1, which is nothing.
fn length(text: &[u8]) -> Result<Option<usize>, Malformed> {
    match number(text)? {
        -1 => Ok(None),
        length => usize::try_from(length)
            .map(Some)
            .map_err(|_| Malformed::Number),
    }
}

/// Begins a command of so many parts, which [`write_part`] appends.
pub fn write_command(out: &mut Vec<u8>, parts: usize) {
    write_header(out, b'*', parts);
}

/// Appends a part of a command.
pub fn write_part(out: &mut Vec<u8>, part: &[u8]) {
    write_header(out, b'$', part.len());
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number as a part of a command.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    write_part(out, decimal(number, &mut digits));
}

fn write_header(out: &mut Vec<u8>, kind: u8, count: usize) {
    let mut digits = [0; 20];
    out.push(kind);
    out.extend_from_slice(decimal(count as u64, &mut digits));
    out.extend_from_slice(b"\r\n");
}

/// A number's digits.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}
