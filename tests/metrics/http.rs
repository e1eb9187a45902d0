//! An HTTP client that sends what a test says, and reads answers strictly.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::common::DEADLINE;

/// A connection to the page.
pub(crate) struct Http {
    socket: TcpStream,
    arrived: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find_map(|(field, value)| (field == name).then_some(&**value))
    }
}

/// One request on a connection of its own.
#[track_caller]
pub(crate) fn get(addr: SocketAddr, path: &str, accept: &str) -> Answer {
    let mut http = Http::open(addr);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    http.send(request.as_bytes());
    let answer = http.answer(false);
    http.expect_end();
    answer
}

impl Http {
    pub(crate) fn open(addr: SocketAddr) -> Self {
        let socket = TcpStream::connect_timeout(&addr, DEADLINE).expect("connect");
        socket.set_nodelay(true).expect("nodelay");
        socket
            .set_write_timeout(Some(DEADLINE))
            .expect("a deadline");
        Self {
            socket,
            arrived: Vec::new(),
        }
    }

    /// A connection that has begun a request.
    pub(crate) fn begun(addr: SocketAddr) -> Self {
        let mut http = Self::open(addr);
        http.send(b"GET /me");
        http
    }

    /// The status of `/healthz`, if the connection lasts so long.
    pub(crate) fn try_health(addr: SocketAddr) -> Option<u16> {
        let mut http = Self::open(addr);
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        http.socket.write_all(request).ok()?;
        http.answer_within(DEADLINE).map(|answer| answer.status)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("send");
    }

    pub(crate) fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).expect("finish");
    }

    /// The next answer; `is_head`: to a HEAD request, whose answers have no body.
    #[track_caller]
    pub(crate) fn answer(&mut self, is_head: bool) -> Answer {
        let answer = self.read_answer(is_head, DEADLINE);
        answer.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&self.arrived)))
    }

    /// The next answer, if it comes in time.
    pub(crate) fn answer_within(&mut self, time: Duration) -> Option<Answer> {
        self.read_answer(false, time)
    }

    fn read_answer(&mut self, is_head: bool, time: Duration) -> Option<Answer> {
        self.socket
            .set_read_timeout(Some(time))
            .expect("a deadline");
        let end = loop {
            let end = self
                .arrived
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end,
                None => self.fill()?,
            }
        };
        let head: Vec<u8> = self.arrived.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|rest| rest.split(' ').next()?.parse().ok());
        let fields = lines.map(|line| {
            let (name, value) = line
                .split_once(": ")
                .unwrap_or_else(|| panic!("odd field {line:?}"));
            (name.to_ascii_lowercase(), value.to_owned())
        });
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("odd head {head:?}")),
            fields: fields.collect(),
            body: String::new(),
        };
        let length = answer.field("content-length").expect("a length");
        let length: usize = length.parse().expect("a number");
        if !is_head {
            while self.arrived.len() < length {
                self.fill()?;
            }
            let body = self.arrived.drain(..length).collect();
            answer.body = String::from_utf8(body).expect("a body is text");
        }
        Some(answer)
    }

    /// Reads some bytes; `None`: there are none in time.
    fn fill(&mut self) -> Option<()> {
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(0) => None,
            Ok(n) => {
                self.arrived.extend_from_slice(&bytes[..n]);
                Some(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(error) => panic!("receive: {error}"),
        }
    }

    /// Nothing more comes, and the connection is closed in order.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        self.socket
            .set_read_timeout(Some(DEADLINE))
            .expect("a deadline");
        let mut rest = Vec::new();
        let end = self.socket.read_to_end(&mut rest);
        assert!(
            end.is_ok() && rest.is_empty() && self.arrived.is_empty(),
            "{end:?} {rest:?}"
        );
    }
}
