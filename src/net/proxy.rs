//! The header of the PROXY protocol, versions 1 and 2, with which a proxy begins a connection: bytes in, the client's
//! address out. Pure, and takes its bytes in pieces of any size; never a byte beyond the header's last. Which peers may
//! send one is decided elsewhere.
//!
//! Source: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Bytes of the longest header of version 1, its CR LF included (section 2.1).
pub const V1_BYTES_MAX: usize = 107;
/// What a header of version 1 begins with.
const V1_START: &[u8] = b"PROXY ";
const V1_UNKNOWN: &[u8] = b"PROXY UNKNOWN";
/// What a header of version 2 begins with (section 2.2).
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header of version 2 before its addresses: the signature, version and command, family, length.
const V2_FIXED_BYTES: usize = 16;
/// Bytes of the addresses and ports of two ends, of IPv4, of IPv6, and of Unix-domain sockets.
const V4_BYTES: usize = 12;
const V6_BYTES: usize = 36;
const UNIX_BYTES: usize = 216;

/// What a header says of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The proxy relays it from a client with this address and port.
    From(SocketAddr),
    /// The proxy relays it, and does not say from where by TCP. The connection has the proxy's address.
    Unknown,
    /// The proxy has made it itself, to see whether the server answers.
    Local,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They do not begin as a header does.
    Absent,
    /// They begin as a header does, and go on as none may.
    Malformed,
}

/// A header of which some bytes have come.
#[derive(Clone, Debug)]
pub struct Parser {
    /// The first bytes of the header. Those after the addresses of version 2 are of no use, and are only counted.
    head: [u8; V1_BYTES_MAX],
    /// Bytes of the header that have come. A header of version 2 has up to 65,551.
    bytes: usize,
}

impl Default for Parser {
    fn default() -> Self {
        Parser {
            head: [0; V1_BYTES_MAX],
            bytes: 0,
        }
    }
}

impl Parser {
    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Takes the bytes that have come next, as far as they belong to the header. Returns how many do, and what the header says
    /// once it is whole; no byte may be taken after that.
    ///
    /// # Errors
    /// They are no header.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Header>), Fault> {
        for (before, &byte) in bytes.iter().enumerate() {
            if let Some(place) = self.head.get_mut(self.bytes) {
                *place = byte;
            }
            self.bytes += 1;
            if let Some(header) = self.header()? {
                return Ok((before + 1, Some(header)));
            }
        }
        Ok((bytes.len(), None))
    }

    /// What the header says, if its last byte has just come.
    fn header(&self) -> Result<Option<Header>, Fault> {
        let head = &self.head[..self.bytes.min(V1_BYTES_MAX)];
        let start = match head[0] {
            b'P' => V1_START,
            _ => V2_SIGNATURE,
        };
        match head.len() {
            len if head[..len.min(start.len())] != start[..len.min(start.len())] => {
                Err(Fault::Absent)
            }
            len if len <= start.len() => Ok(None),
            _ if head[0] == b'P' => version_1(head),
            len if len < V2_FIXED_BYTES => Ok(None),
            _ => version_2(head, self.bytes),
        }
    }
}

/// Version 1: a line of text that ends with CR LF. Neither character stands before, but in what `UNKNOWN` may be followed by.
fn version_1(head: &[u8]) -> Result<Option<Header>, Fault> {
    let (&last, before) = head.split_last().ok_or(Fault::Absent)?;
    match (before, last) {
        ([line @ .., b'\r'], b'\n') => line_1(line).ok_or(Fault::Malformed).map(Some),
        ([.., b'\r'], _) | (_, b'\n') if !head.starts_with(V1_UNKNOWN) => Err(Fault::Malformed),
        _ if head.len() == V1_BYTES_MAX => Err(Fault::Malformed),
        _ => Ok(None),
    }
}

/// A line of version 1, without its CR LF: `PROXY TCP4 192.0.2.1 198.51.100.7 56324 443`.
fn line_1(line: &[u8]) -> Option<Header> {
    let mut words = line[V1_START.len()..].split(|&byte| byte == b' ');
    let address = match words.next()? {
        // Whatever follows is to be ignored.
        b"UNKNOWN" => return Some(Header::Unknown),
        b"TCP4" => addresses::<Ipv4Addr>(&mut words)?,
        b"TCP6" => addresses::<Ipv6Addr>(&mut words)?,
        _ => return None,
    };
    let port = port(words.next()?)?;
    self::port(words.next()?)?;
    let is_whole = words.next().is_none();
    is_whole.then_some(Header::From(SocketAddr::new(address, port)))
}

/// The first of two addresses, which are of one kind.
fn addresses<'a, A: FromStr + Into<IpAddr>>(
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Option<IpAddr> {
    let [from, _to] = [words.next()?, words.next()?].map(|word| {
        let address: A = std::str::from_utf8(word).ok()?.parse().ok()?;
        Some(address.into())
    });
    _to.and(from)
}

/// A port: decimal, and without zeroes before it.
fn port(word: &[u8]) -> Option<u16> {
    let is_decimal =
        word.iter().all(u8::is_ascii_digit) && (word[..] == *b"0" || !word.starts_with(b"0"));
    let word = std::str::from_utf8(word).ok()?;
    word.parse().ok().filter(|_| is_decimal)
}

/// Version 2: binary, and its length is in it. `head` has at least its fixed part, and `bytes` of it have come.
fn version_2(head: &[u8], bytes: usize) -> Result<Option<Header>, Fault> {
    let [command, family, high, low] = [12, 13, 14, 15].map(|at| head[at]);
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Fault::Malformed),
    };
    let needed = match (is_local, family >> 4, family & 0xf) {
        // Its addresses are of no meaning.
        (true, ..) | (_, 0, 0..=2) => 0,
        (_, 1, 0..=2) => V4_BYTES,
        (_, 2, 0..=2) => V6_BYTES,
        (_, 3, 0..=2) => UNIX_BYTES,
        _ => return Err(Fault::Malformed),
    };
    if length < needed {
        return Err(Fault::Malformed);
    }
    if bytes < V2_FIXED_BYTES + length {
        return Ok(None);
    }
    let body = &head[V2_FIXED_BYTES..];
    Ok(Some(match family {
        _ if is_local => Header::Local,
        0x11 => Header::From(source::<4>(body, 8)),
        0x21 => Header::From(source::<16>(body, 32)),
        // Not by TCP.
        _ => Header::Unknown,
    }))
}

/// The first address of `N` bytes, and the port at `port_at`.
fn source<const N: usize>(body: &[u8], port_at: usize) -> SocketAddr
where
    IpAddr: From<[u8; N]>,
{
    let mut address = [0; N];
    address.copy_from_slice(&body[..N]);
    let port = u16::from_be_bytes([body[port_at], body[port_at + 1]]);
    SocketAddr::new(address.into(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = V2_SIGNATURE;
    const V4: &[u8] = b"\x0a\0\0\x01\x0a\0\0\x02\x01\x02\0\x50";
    const V6: &[u8] = b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\x02\0\x50";

    fn from(address: &str) -> Header {
        Header::From(address.parse().unwrap())
    }

    /// A header of version 2.
    fn binary(command: u8, family: u8, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let length = (body.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family], &length, &body].concat()
    }

    /// What is made of these bytes: how many were taken, and what they say.
    fn parse(bytes: &[u8]) -> Result<(usize, Option<Header>), Fault> {
        Parser::default().take(bytes)
    }

    #[test]
    fn a_header_is_read_to_its_last_byte_however_it_is_split() {
        let tlvs: &[u8] = &[&[4, 0, 200][..], &[b'\n'; 200]].concat();
        let longest = vec![0; usize::from(u16::MAX)];
        for (header, said) in [
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".to_vec(),
                from("192.0.2.1:56324"),
            ),
            (
                b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n".to_vec(),
                from("0.0.0.0:0"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 65535 1\r\n".to_vec(),
                from("[2001:db8::1]:65535"),
            ),
            (
                b"PROXY TCP6 ::ffff:192.0.2.1 ::1 7 1\r\n".to_vec(),
                from("[::ffff:192.0.2.1]:7"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Header::Unknown),
            (b"PROXY UNKNOWN \xff \r x\n y\r\n".to_vec(), Header::Unknown),
            (binary(0x21, 0x11, &[V4]), from("10.0.0.1:258")),
            (binary(0x21, 0x11, &[V4, tlvs]), from("10.0.0.1:258")),
            (binary(0x21, 0x21, &[V6, tlvs]), from("[2001:db8::1]:258")),
            (
                binary(0x21, 0x11, &[V4, &longest[12..]]),
                from("10.0.0.1:258"),
            ),
            (binary(0x21, 0x12, &[V4]), Header::Unknown),
            (binary(0x21, 0x31, &[&longest[..216]]), Header::Unknown),
            (binary(0x21, 0x00, &[]), Header::Unknown),
            (binary(0x21, 0x00, &[tlvs]), Header::Unknown),
            (binary(0x20, 0x00, &[]), Header::Local),
            (binary(0x20, 0x11, &[V4]), Header::Local),
            // What a LOCAL header has besides its length is of no meaning.
            (binary(0x20, 0xff, &[b"x"]), Header::Local),
        ] {
            let shown = header[..header.len().min(80)].escape_ascii();
            for rest in [&b""[..], b"\x16\x03\x01 TLS", b"hello\n", b"\r\n"] {
                let all = [&header, rest].concat();
                assert_eq!(parse(&all), Ok((header.len(), Some(said))), "{shown}");
            }
            for at in 0..header.len().min(400) {
                let mut parser = Parser::default();
                assert_eq!(
                    parser.take(&header[..at]),
                    Ok((at, None)),
                    "{shown} at {at}"
                );
                assert_eq!(parser.is_empty(), at == 0);
                let rest = [&header[at..], b"hello"].concat();
                let taken = (header.len() - at, Some(said));
                assert_eq!(parser.take(&rest), Ok(taken), "{shown} at {at}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_known_as_soon_as_it_can_be() {
        let v4 = |end: &str| format!("PROXY TCP4 192.0.2.1 192.0.2.2 {end}").into_bytes();
        let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
        for (bytes, fault) in [
            (b"hello\n".to_vec(), Fault::Absent),
            (b"PROXz".to_vec(), Fault::Absent),
            (b"PROXY\r".to_vec(), Fault::Absent),
            (b"proxy TCP4".to_vec(), Fault::Absent),
            (b"\r\n\r\n\r".to_vec(), Fault::Absent),
            (b"\x16\x03\x01".to_vec(), Fault::Absent),
            (b"GET / HTTP/1.1\r\n".to_vec(), Fault::Absent),
            (b"PROXY \r\n".to_vec(), Fault::Malformed),
            (
                b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n".to_vec(),
                Fault::Malformed,
            ),
            (b"PROXY UNKNOWNS\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP4 ::1 ::1 1 1\r\n".to_vec(), Fault::Malformed),
            (
                b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n".to_vec(),
                Fault::Malformed,
            ),
            (
                b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n".to_vec(),
                Fault::Malformed,
            ),
            (
                b"PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n".to_vec(),
                Fault::Malformed,
            ),
            (b"PROXY TCP4 1.1.1.1 x 1 1\r\n".to_vec(), Fault::Malformed),
            (v4("1 2\n"), Fault::Malformed),
            (v4("1 2\r3"), Fault::Malformed),
            (v4("1\r\n"), Fault::Malformed),
            (v4("1 2 \r\n"), Fault::Malformed),
            (v4("1 2 3\r\n"), Fault::Malformed),
            (v4("1 65536\r\n"), Fault::Malformed),
            (v4("01 2\r\n"), Fault::Malformed),
            (v4("+1 2\r\n"), Fault::Malformed),
            (v4("1 -2\r\n"), Fault::Malformed),
            (v4(" 2\r\n"), Fault::Malformed),
            (long[..V1_BYTES_MAX].to_vec(), Fault::Malformed),
            (binary(0x11, 0x11, &[V4]), Fault::Malformed),
            (binary(0x22, 0x11, &[V4]), Fault::Malformed),
            (binary(0x21, 0x13, &[V4]), Fault::Malformed),
            (binary(0x21, 0x41, &[V4]), Fault::Malformed),
            (binary(0x21, 0x11, &[&V4[1..]]), Fault::Malformed),
            (binary(0x21, 0x21, &[&V6[1..]]), Fault::Malformed),
            (binary(0x21, 0x31, &[V6]), Fault::Malformed),
        ] {
            let shown = bytes.escape_ascii();
            assert_eq!(parse(&bytes), Err(fault), "{shown}");
            // Not before its last byte, or before the length of version 2.
            let known_at = bytes.len().min(V2_FIXED_BYTES);
            let known_at = if bytes[0] == b'\r' {
                known_at
            } else {
                bytes.len()
            };
            let known_at = if fault == Fault::Absent { 1 } else { known_at };
            for at in 0..known_at {
                assert_eq!(parse(&bytes[..at]), Ok((at, None)), "{shown} at {at}");
            }
        }
        // The longest line of version 1 is taken.
        let longest = [&long[..V1_BYTES_MAX - 2], b"\r\n"].concat();
        assert_eq!(parse(&longest), Ok((V1_BYTES_MAX, Some(Header::Unknown))));
    }
}
