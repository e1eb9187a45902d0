//! Other protocols, recognised by the first bytes that a client sends. Keeps no state.

use std::fmt;

/// How every TLS connection begins: a handshake record, major version 3 (RFC 8446, section 5.1).
const TLS_HANDSHAKE: [u8; 2] = [0x16, 3];

/// A protocol whose client has connected to the wrong port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A web browser's.
    Http,
    /// Anything that begins with a TLS handshake.
    Tls,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Http => "HTTP",
            Protocol::Tls => "TLS",
        })
    }
}

/// The protocol of a first line, of which `seen` came before and `bytes` now; `end` is where its LF is in `bytes`.
pub fn protocol(seen: &[u8], bytes: &[u8], end: Option<usize>) -> Option<Protocol> {
    if seen.iter().chain(bytes).take(2).eq(&TLS_HANDSHAKE) {
        return Some(Protocol::Tls);
    }
    let is_http = end.is_some_and(|end| is_http_request(&[seen, &bytes[..end]].concat()));
    is_http.then_some(Protocol::Http)
}

/// A request line of HTTP/1 (RFC 9112, section 3), or the preface of HTTP/2.
fn is_http_request(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    method.is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_uppercase))
        && target.is_some()
        && version.is_some_and(|word| word.starts_with(b"HTTP/"))
        && words.next().is_none()
}
