//! The PROXY header: independent of how it is split, and the same as the crate `ppp` reads it.

use super::bytes::{Bytes, cut};
use crate::net::proxy::{Fault, Header, Parser};
use ppp::{HeaderResult, v1, v2};
use std::net::SocketAddr;

/// What is made of an input: the bytes that belong to a header, and what it says.
type Read = Result<(usize, Option<Header>), Fault>;

/// Reads a header that comes in these pieces.
fn read(pieces: &[(&[u8], u8)]) -> Read {
    let (mut parser, mut taken) = (Parser::default(), 0);
    for (piece, _) in pieces {
        let (n, header) = parser.take(piece)?;
        assert!(n == piece.len() || header.is_some() && n < piece.len());
        taken += n;
        if header.is_some() {
            return Ok((taken, header));
        }
    }
    Ok((taken, None))
}

/// What `ppp` makes of it, once it is whole.
fn reference(input: &[u8]) -> Option<(usize, Header)> {
    let from = |address: SocketAddr| Header::From(address);
    match HeaderResult::parse(input) {
        HeaderResult::V1(Ok(header)) => {
            let said = match header.addresses {
                v1::Addresses::Unknown => Header::Unknown,
                v1::Addresses::Tcp4(ends) => from((ends.source_address, ends.source_port).into()),
                v1::Addresses::Tcp6(ends) => from((ends.source_address, ends.source_port).into()),
            };
            Some((header.header.len(), said))
        }
        HeaderResult::V2(Ok(header)) => {
            let is_stream = header.protocol == v2::Protocol::Stream;
            let said = match header.addresses {
                _ if header.command == v2::Command::Local => Header::Local,
                v2::Addresses::IPv4(ends) if is_stream => {
                    from((ends.source_address, ends.source_port).into())
                }
                v2::Addresses::IPv6(ends) if is_stream => {
                    from((ends.source_address, ends.source_port).into())
                }
                _ => Header::Unknown,
            };
            Some((header.header.len(), said))
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => None,
    }
}

/// The target.
pub fn proxy(data: &[u8]) {
    let mut data = Bytes(data);
    let sizes = data.sizes();
    let input = data.0;
    let whole = read(&[(input, 0)]);
    assert_eq!(whole, read(&cut(input, sizes)), "{}", input.escape_ascii());
    // `ppp` takes any byte for the LF after a CR.
    let is_ended = |end: usize| input.starts_with(b"\r") || input[..end].ends_with(b"\r\n");
    let expected = reference(input).filter(|&(end, _)| is_ended(end));
    let shown = input.escape_ascii();
    match (whole, expected) {
        (Ok((taken, Some(header))), Some(expected)) => {
            assert_eq!((taken, header), expected, "{shown}");
        }
        // `ppp` takes `+80` for a port, and reads what may be anything in headers that say no address.
        (Err(Fault::Malformed), Some(_)) => assert!(input.contains(&b'+'), "{shown}"),
        (Ok((_, Some(Header::Unknown | Header::Local))), None) => {}
        (Ok((_, Some(Header::From(_)))), None) => panic!("only here: {shown}"),
        (Ok((_, None)) | Err(Fault::Absent), Some(_)) => panic!("only there: {shown}"),
        (Ok((_, None)) | Err(_), None) => {}
    }
    // Nothing after the header is ever looked at.
    if let Ok((taken, Some(header))) = whole {
        let longer = [&input[..taken], &[0xff; 40]].concat();
        assert_eq!(read(&[(&longer, 0)]), Ok((taken, Some(header))), "{shown}");
    }
}
