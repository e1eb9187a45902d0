//! A server that sends what a test wants: it greets, answers `/who`, and keeps the lines that it receives. It never
//! blocks and has no thread: its owner calls `step`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags};

/// The name that the server gives to its client.
pub(crate) const NAME: &str = "guest1";
/// The greeting, and the answer to `/who`, which the program asks at once.
pub(crate) const OPENING: [&str; 2] = [
    "* you are guest1 in lobby (3 here); /help lists commands",
    "* here in lobby: guest1, kim, lee (3)",
];

/// One listener, one connection at a time.
pub(crate) struct FakeServer {
    addr: SocketAddr,
    /// `None` while the server is stopped.
    listener: Option<TcpListener>,
    stream: Option<TcpStream>,
    /// Bytes still to be sent.
    unsent: Vec<u8>,
    /// Bytes received after the last whole line.
    partial: Vec<u8>,
    /// The lines received, except `/who`.
    received: Vec<String>,
}

/// An address with port 0 that no other test uses: a port that it was bound to stays free while a server is stopped.
pub(crate) fn unique_address() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (id, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let [_, _, high, low] = id.to_be_bytes();
    format!("127.{high}.{low}.{}:0", 2 + count % 250)
}

fn listen(addr: &str) -> TcpListener {
    let listener = TcpListener::bind(addr).expect("a free port");
    listener.set_nonblocking(true).expect("non-blocking");
    listener
}

impl FakeServer {
    pub(crate) fn new() -> FakeServer {
        let listener = listen(&unique_address());
        FakeServer {
            addr: listener.local_addr().expect("an address"),
            listener: Some(listener),
            stream: None,
            unsent: Vec::new(),
            partial: Vec::new(),
            received: Vec::new(),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes the connection and the listener.
    pub(crate) fn stop(&mut self) {
        (self.stream, self.listener) = (None, None);
        self.unsent.clear();
    }

    /// Listens again at the same address.
    pub(crate) fn restart(&mut self) {
        self.listener = Some(listen(&self.addr.to_string()));
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    pub(crate) fn has_sent_all(&self) -> bool {
        self.unsent.is_empty()
    }

    pub(crate) fn received(&self) -> &[String] {
        &self.received
    }

    /// What was received of a line whose end has not come.
    pub(crate) fn received_partial(&self) -> &[u8] {
        &self.partial
    }

    pub(crate) fn has_client(&self) -> bool {
        self.stream.is_some()
    }

    /// What to poll for before `step`.
    pub(crate) fn interest(&self) -> Option<PollFd<'_>> {
        let both = PollFlags::IN | PollFlags::OUT;
        match (&self.stream, &self.listener) {
            (Some(stream), _) if self.unsent.is_empty() => Some(PollFd::new(stream, PollFlags::IN)),
            (Some(stream), _) => Some(PollFd::new(stream, both)),
            (None, Some(listener)) => Some(PollFd::new(listener, PollFlags::IN)),
            (None, None) => None,
        }
    }

    /// Accepts, reads and writes what is possible without blocking.
    pub(crate) fn step(&mut self) {
        if self.stream.is_none()
            && let Some(listener) = &self.listener
            && let Ok((stream, _)) = listener.accept()
        {
            stream.set_nonblocking(true).expect("non-blocking");
            stream.set_nodelay(true).expect("nodelay");
            self.stream = Some(stream);
            self.send(format!("{}\n", OPENING[0]).as_bytes());
        }
        self.receive();
        if let Some(stream) = &mut self.stream
            && let Ok(count) = stream.write(&self.unsent)
        {
            self.unsent.drain(..count);
        }
    }

    fn receive(&mut self) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => self.stream = None,
            Ok(count) => self.partial.extend_from_slice(&bytes[..count]),
        }
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = String::from_utf8(line[..end].to_vec()).expect("UTF-8");
            if line == "/who" {
                self.send(format!("{}\n", OPENING[1]).as_bytes());
            } else {
                self.received.push(line);
            }
        }
    }
}
