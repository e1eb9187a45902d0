//! HTTP/1.0 and HTTP/1.1 (RFC 9112) as far as pages for programs need it: reads the head of a request, writes the head of
//! an answer. No body of a request is ever read. Knows no socket and no page.

use httparse::{EMPTY_HEADER, Error, Header};

/// Bytes of the head of a request, at most.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Fields in it, at most.
const FIELDS_MAX: usize = 64;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A page.
    Get,
    /// Its head alone.
    Head,
    /// Something that no page here can do.
    Other,
}

/// A request without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it asks for.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The `Accept` field; empty if there is none.
    pub accept: String,
    /// Whether the connection goes on after the answer.
    pub keeps_alive: bool,
    /// HTTP/1.0: a connection goes on only if the answer says so.
    pub is_http_1_0: bool,
    /// Bytes of the head.
    pub bytes: usize,
}

/// The status of an answer (RFC 9110, section 15; 431: RFC 6585).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The page follows.
    Ok,
    /// The request is not HTTP, or not valid.
    BadRequest,
    /// There is no such page.
    NotFound,
    /// Pages can only be read.
    MethodNotAllowed,
    /// The request took too long to arrive.
    RequestTimeout,
    /// The first line of the request is too long.
    UriTooLong,
    /// The head of the request is too large.
    FieldsTooLarge,
    /// The server ends, or has too many connections.
    Unavailable,
    /// Another version of HTTP.
    VersionNotSupported,
}

impl Status {
    /// The status line's number and words.
    pub fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::RequestTimeout => "408 Request Timeout",
            Status::UriTooLong => "414 URI Too Long",
            Status::FieldsTooLarge => "431 Request Header Fields Too Large",
            Status::Unavailable => "503 Service Unavailable",
            Status::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// Reads the head of a request at the start of `bytes`; `None`: more bytes are needed.
///
/// # Errors
/// What the client is to be told. What follows cannot be read.
pub fn request(bytes: &[u8]) -> Option<Result<Request, Status>> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let parsed = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => {
            read(&head, length).ok_or(Status::BadRequest)
        }
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return None,
        Ok(_) if bytes.contains(&b'\n') => Err(Status::FieldsTooLarge),
        Ok(_) => Err(Status::UriTooLong),
        Err(Error::TooManyHeaders) => Err(Status::FieldsTooLarge),
        Err(Error::Version) if names_http(bytes) => Err(Status::VersionNotSupported),
        Err(_) => Err(Status::BadRequest),
    };
    Some(parsed)
}

/// Whether the first line ends with a version of HTTP.
fn names_http(bytes: &[u8]) -> bool {
    let line = bytes
        .split(|&byte| byte == b'\n')
        .find(|line| line.len() > 1);
    let version = line.and_then(|line| line.rsplit(|&byte| byte == b' ').next());
    version.is_some_and(|version| version.starts_with(b"HTTP/"))
}

/// A request whose head is complete; `None`: it is not valid.
fn read(head: &httparse::Request<'_, '_>, bytes: usize) -> Option<Request> {
    let is_http_1_0 = head.version == Some(0);
    let hosts = values(head.headers, "host").count();
    // RFC 9112, section 3.2.
    if hosts > 1 || (hosts == 0 && !is_http_1_0) {
        return None;
    }
    let mut lengths = values(head.headers, "content-length");
    let length = lengths.next().map(|length| length.trim().parse::<u64>());
    let length = length.transpose().ok()?.unwrap_or(0);
    // The body is not read, so what follows it cannot be found.
    let has_body = length > 0
        || lengths.next().is_some()
        || values(head.headers, "transfer-encoding").next().is_some();
    let connection = |option: &str| {
        let options = values(head.headers, "connection").flat_map(|value| value.split(','));
        options
            .map(str::trim)
            .any(|it| it.eq_ignore_ascii_case(option))
    };
    let goes_on = !connection("close") && (!is_http_1_0 || connection("keep-alive"));
    let accept: Vec<_> = values(head.headers, "accept").collect();
    Some(Request {
        method: match head.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        path: path(head.path?).to_owned(),
        accept: accept.join(","),
        keeps_alive: goes_on && !has_body,
        is_http_1_0,
        bytes,
    })
}

/// The values of a field that are text.
fn values<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| str::from_utf8(field.value).unwrap_or_default())
}

/// The path of a request's target, which may be a whole URI (RFC 9112, section 3.2.2).
fn path(target: &str) -> &str {
    let after_scheme = target
        .split_once("://")
        .filter(|_| !target.starts_with('/'));
    let path = match after_scheme {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    path.split(['?', '#']).next().unwrap_or_default()
}

/// What is answered to a request: a status, and a body that is left out if only the head is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: Status,
    /// What the body is.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A line of text.
    pub fn text(status: Status, line: &str) -> Answer {
        Answer {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{line}\n").into_bytes(),
        }
    }

    /// Writes the answer to `request`; `None`: to what is no request, after which the connection is closed.
    pub fn write(&self, request: Option<&Request>, out: &mut Vec<u8>) {
        let connection = match request {
            Some(request) if !request.keeps_alive => "Connection: close\r\n",
            Some(request) if request.is_http_1_0 => "Connection: keep-alive\r\n",
            Some(_) => "",
            None => "Connection: close\r\n",
        };
        let allow = match self.status {
            Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        let (line, kind, length) = (self.status.line(), self.content_type, self.body.len());
        let head = format!(
            "HTTP/1.1 {line}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n{allow}{connection}\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        if request.is_none_or(|request| request.method != Method::Head) {
            out.extend_from_slice(&self.body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Result<Request, Status>> {
        request(text.as_bytes())
    }

    fn good(text: &str) -> Request {
        read(text).expect("a whole head").expect("a valid request")
    }

    #[test]
    fn a_request_is_read_once_its_head_is_complete() {
        let text = "GET /metrics?name=x HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\naccept: */*;q=0.1\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), None, "{:?}", &text[..end]);
        }
        let request = good(&format!("{text}GET /next"));
        assert_eq!((request.method, &*request.path), (Method::Get, "/metrics"));
        assert_eq!(request.accept, "text/plain,*/*;q=0.1");
        assert_eq!(request.bytes, text.len());
        assert!(request.keeps_alive && !request.is_http_1_0);
    }

    #[test]
    fn line_ends_may_be_bare_and_targets_whole_uris() {
        let request = good("\r\nHEAD http://a:9/healthz HTTP/1.1\nhost:a\n\n");
        assert_eq!((request.method, &*request.path), (Method::Head, "/healthz"));
        assert_eq!(path("http://a"), "/");
        assert_eq!(path("/x?y=http://z/"), "/x");
        assert_eq!(path("*"), "*");
    }

    #[test]
    fn a_connection_goes_on_as_its_version_and_fields_say() {
        for (text, keeps_alive) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n",
                false,
            ),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(good(text).keeps_alive, keeps_alive, "{text}");
        }
    }

    #[test]
    fn what_is_no_request_has_a_status() {
        let long = "x".repeat(HEAD_BYTES_MAX);
        let fields = "a: b\r\n".repeat(FIELDS_MAX + 1);
        for (text, status) in [
            ("\x16\x03\x01\x02\0", Status::BadRequest),
            ("hello there\r\n\r\n", Status::BadRequest),
            ("GET /\r\n\r\n", Status::BadRequest),
            ("GET / FTP/1.1\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.1\r\n\r\n", Status::BadRequest),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                Status::BadRequest,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
                Status::BadRequest,
            ),
            (
                "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
                Status::VersionNotSupported,
            ),
            (
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                Status::VersionNotSupported,
            ),
            (&format!("GET /{long}"), Status::UriTooLong),
            (
                &format!("GET / HTTP/1.1\r\nHost: a\r\nx: {long}"),
                Status::FieldsTooLarge,
            ),
            (
                &format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"),
                Status::FieldsTooLarge,
            ),
        ] {
            assert_eq!(read(text), Some(Err(status)), "{text:.60}");
        }
        assert_eq!(read(&long[1..]), None, "a method may be long");
    }

    #[test]
    fn answers_say_what_becomes_of_the_connection() {
        let written = |answer: &Answer, request: Option<&Request>| {
            let mut out = Vec::new();
            answer.write(request, &mut out);
            String::from_utf8(out).unwrap()
        };
        let ok = Answer::text(Status::Ok, "ok");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\nCache-Control: no-store\r\n";
        let get = good("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(written(&ok, Some(&get)), format!("{head}\r\nok\n"));
        let head_only = good("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(written(&ok, Some(&head_only)), format!("{head}\r\n"));
        let old = good("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let kept = format!("{head}Connection: keep-alive\r\n\r\nok\n");
        assert_eq!(written(&ok, Some(&old)), kept);
        let refused = written(&Answer::text(Status::MethodNotAllowed, "no"), None);
        assert!(refused.contains("\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\nno\n"));
    }
}
