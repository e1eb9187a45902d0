//! Other protocols, recognised by the first line that a client sends. Keeps no state.

use std::fmt;

/// Bytes at the start of a line by which a protocol is recognised that is not text.
pub const HEAD_BYTES: usize = 4;

/// A protocol whose client has connected to the wrong port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A web browser's.
    Http,
    /// Anything that begins with a TLS handshake.
    Tls,
    /// A secure shell's.
    Ssh,
    /// A load balancer's header, version 1 or 2.
    Proxy,
    /// A media player's.
    Rtsp,
    /// A telephone's.
    Sip,
    /// A virus scanner's.
    Icap,
    /// Requests of the same form.
    LikeHttp,
    /// A proxy's, version 4 or 5.
    Socks,
    /// A remote desktop's.
    Rdp,
    /// A sensor's.
    Mqtt,
    /// A message queue's.
    Amqp,
    /// Java's remote method invocation.
    JavaRmi,
    /// A database's.
    Redis,
    /// A distributed compiler's.
    Distcc,
    /// A printer's.
    Pjl,
    /// Another chat's.
    Xmpp,
    /// Another chat's.
    Irc,
    /// Lines in the wrong encoding.
    Utf16,
    /// Control characters that nobody types.
    Binary,
}

use Protocol::{
    Amqp, Binary, Distcc, Http, Icap, Irc, JavaRmi, LikeHttp, Mqtt, Pjl, Proxy, Rdp, Redis, Rtsp,
    Sip, Socks, Ssh, Tls, Utf16, Xmpp,
};

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Http => "HTTP",
            Tls => "TLS",
            Ssh => "SSH",
            Proxy => "PROXY",
            Rtsp => "RTSP",
            Sip => "SIP",
            Icap => "ICAP",
            LikeHttp => "requests like those of HTTP",
            Socks => "SOCKS",
            Rdp => "RDP",
            Mqtt => "MQTT",
            Amqp => "AMQP",
            JavaRmi => "Java RMI",
            Redis => "the protocol of Redis",
            Distcc => "the protocol of distcc",
            Pjl => "PJL",
            Xmpp => "XMPP",
            Irc => "IRC",
            Utf16 => "UTF-16",
            Binary => "binary data",
        })
    }
}

/// Whether a byte is a control character that no line of text begins with. Typed are BEL, BS, TAB, VT, FF, CR, LF, ESC (an
/// arrow key sends it), DEL, Ctrl-U and Ctrl-W, which erase, and Ctrl-Z, which ends a text file of DOS.
pub fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=6 | 0x0e..=0x14 | 0x16 | 0x18 | 0x19 | 0x1c..=0x1f)
}

/// The protocol of a first line that has a [binary](is_binary) byte. `head` is its first bytes, at most [`HEAD_BYTES`];
/// `is_whole`: the line has no more, or more of it will not come. `after_lf`: empty lines came before. `None`: the next
/// byte decides.
pub fn binary(head: &[u8], is_whole: bool, after_lf: bool) -> Option<Protocol> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    Some(match head {
        // RFC 8446, section 5.1: a handshake record, major version 3.
        [0x16, 3, ..] => Tls,
        // RFC 1928; TPKT of RFC 2126.
        [4, 1 | 2, ..] | [5, 1..=8, ..] => Socks,
        [3, 0, ..] => Rdp,
        // A packet CONNECT and its length, which has at least the protocol's name, a level, flags, a time, an id.
        [0x10, 12..=127, ..] => Mqtt,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Utf16,
        [0, a, 0, b] | [a, 0, b, 0] if is_text(a) && is_text(b) => Utf16,
        [0, a, 0] | [a, 0] if is_text(a) && is_whole => Utf16,
        // The signature of version 2 is CR LF CR LF NUL CR LF `QUIT` LF.
        [0] if is_whole && after_lf => Proxy,
        b"JRMI" => JavaRmi,
        b"AMQP" => Amqp,
        [0 | 3 | 4 | 5 | 0x10 | 0x16] if !is_whole => return None,
        [0, a] | [a, 0] | [0, a, 0] if is_text(a) && !is_whole => return None,
        [a, 0, b] if is_text(a) && is_text(b) && !is_whole => return None,
        _ => Binary,
    })
}

/// The protocol of a first line that is text, without its terminator; `by_cr`: that began with a CR.
pub fn text(line: &[u8], by_cr: bool) -> Option<Protocol> {
    let proxy: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];
    match line {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(Utf16),
        // RFC 4253, section 4.2.
        [b'S', b'S', b'H', b'-', b'1' | b'2', b'.', ..] => Some(Ssh),
        _ if proxy.iter().any(|start| line.starts_with(start)) => Some(Proxy),
        // The length of an array, which no person sends with a CR but by telnet.
        [b'*', digits @ ..] if by_cr && is_number(digits) => Some(Redis),
        [b'D', b'I', b'S', b'T', digits @ ..]
            if digits.len() >= 8 && digits[..8].iter().all(u8::is_ascii_hexdigit) =>
        {
            Some(Distcc)
        }
        _ if line.starts_with(b"\x1b%-12345X") => Some(Pjl),
        [b'<', ..] if memchr::memmem::find(line, b"<stream:stream ").is_some() => Some(Xmpp),
        b"CAP LS" | b"CAP LS 302" => Some(Irc),
        _ => request(line),
    }
}

/// A request line of HTTP/1 (RFC 9112, section 3), the preface of HTTP/2, or a request of a protocol that was modelled on
/// HTTP: a method, a target, and a name with a version.
fn request(line: &[u8]) -> Option<Protocol> {
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    let slash = memchr::memchr(b'/', version)?;
    let (name, number) = (&version[..slash], &version[slash + 1..]);
    let is_request = words.next().is_none()
        && !target.is_empty()
        && !method.is_empty()
        && method.iter().all(is_method)
        && !name.is_empty()
        && name.iter().all(u8::is_ascii_uppercase)
        && number.split(|&byte| byte == b'.').take(2).all(is_number)
        && number.split(|&byte| byte == b'.').count() <= 2;
    is_request.then_some(match name {
        b"HTTP" => Http,
        b"RTSP" => Rtsp,
        b"SIP" => Sip,
        b"ICAP" => Icap,
        _ => LikeHttp,
    })
}

fn is_number(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_of_other_protocols_are_recognised() {
        for (line, want) in [
            (&b"GET / HTTP/1.1"[..], Some(Http)),
            (b"POST /x?y HTTP/1.0", Some(Http)),
            (b"M-SEARCH * HTTP/1.1", Some(Http)),
            (b"PRI * HTTP/2.0", Some(Http)),
            (b"OPTIONS / RTSP/1.0", Some(Rtsp)),
            (b"GET_PARAMETER rtsp://a/b RTSP/1.0", Some(Rtsp)),
            (b"OPTIONS sip:nm SIP/2.0", Some(Sip)),
            (b"REQMOD icap://a/b ICAP/1.0", Some(Icap)),
            (b"PLAY x WRMS/7.1", Some(LikeHttp)),
            (b"SSH-2.0-OpenSSH_9.6", Some(Ssh)),
            (b"SSH-1.99-x", Some(Ssh)),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443", Some(Proxy)),
            (b"PROXY UNKNOWN", Some(Proxy)),
            (b"DIST00000001ARGC00000005", Some(Distcc)),
            (b"\x1b%-12345X@PJL INFO ID", Some(Pjl)),
            (b"<?xml version='1.0'?><stream:stream to='x'>", Some(Xmpp)),
            (b"CAP LS 302", Some(Irc)),
            (b"\xff\xfeH\xc5", Some(Utf16)),
            (b"\xfe\xff\xc5H", Some(Utf16)),
            // What people type.
            (b"GET a life", None),
            (b"get / HTTP/1.1", None),
            (b" / HTTP/1.1", None),
            (b"GET / HTTP/1.1 please", None),
            (b"I said GET / HTTP/1.1", None),
            (b"GET / HTTP/one", None),
            (b"READ this AND/OR", None),
            (b"A B C/1.2.3", None),
            (b"A  C/1", None),
            (b"SSH- is a protocol", None),
            (b"PROXY wars", None),
            (b"DISTANT", None),
            (b"HELP", None),
            (b"*1", None),
            (b"*** hello", None),
            (b"\x1b[A", None),
            (b"", None),
        ] {
            assert_eq!(text(line, false), want, "{}", line.escape_ascii());
        }
        assert_eq!(text(b"*1", true), Some(Redis));
        assert_eq!(text(b"*", true), None);
    }

    #[test]
    fn binary_heads_are_named_as_soon_as_they_can_be() {
        let waits = None;
        for (head, is_whole, want) in [
            (&[0x16][..], false, waits),
            (&[0x16], true, Some(Binary)),
            (&[0x16, 3], false, Some(Tls)),
            (&[5, 1], false, Some(Socks)),
            (&[5, 0], false, Some(Binary)),
            (&[4, 1, 0, 80], false, Some(Socks)),
            (&[3, 0, 0, 42], false, Some(Rdp)),
            (&[0x10, 14, 0, 4], false, Some(Mqtt)),
            (&[0x10, 0], false, Some(Binary)),
            (b"JRMI", false, Some(JavaRmi)),
            (b"AMQP", false, Some(Amqp)),
            (b"h\0", false, waits),
            (b"h\0i", false, waits),
            (b"h\0i\0", false, Some(Utf16)),
            (b"h\0", true, Some(Utf16)),
            (b"\0", false, waits),
            (b"\0h\0", false, waits),
            (b"\0h\0i", false, Some(Utf16)),
            (b"\0h\0", true, Some(Utf16)),
            (b"\xfe\xff\0h", false, Some(Utf16)),
            (b"l\0\x0b\0", false, Some(Binary)),
            (b"\0\x06\x01\0", false, Some(Binary)),
            (b"\0\x06", false, Some(Binary)),
            (b"\0", true, Some(Binary)),
            (b"ab\x01", false, Some(Binary)),
        ] {
            let got = binary(head, is_whole, false);
            assert_eq!(got, want, "{} {is_whole}", head.escape_ascii());
        }
        assert_eq!(binary(b"\0", true, true), Some(Proxy));
    }
}
