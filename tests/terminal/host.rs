//! A server that says what a test wants it to: it greets, tells who is here when asked, and keeps what it hears. It never
//! waits: whoever owns it gives it its turns.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags};

/// What the host calls whoever comes.
pub(crate) const NAME: &str = "guest1";
/// What is said to whoever comes, and to whoever asks who is here, which the program does at once.
pub(crate) const OPENING: [&str; 2] = [
    "* you are guest1 in lobby (3 here); /help lists commands",
    "* here in lobby: guest1, kim, lee (3)",
];

/// One listener, one connection at a time.
pub(crate) struct Host {
    addr: SocketAddr,
    /// `None` while it is away.
    listener: Option<TcpListener>,
    stream: Option<TcpStream>,
    /// What has still to be sent.
    saying: Vec<u8>,
    /// What came after the last whole line.
    begun: Vec<u8>,
    /// The lines that came, but for the questions who is here.
    heard: Vec<String>,
}

/// A free port of an address that no other test binds or calls from, so that it stays free while nobody listens.
pub(crate) fn place() -> String {
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

impl Host {
    pub(crate) fn new() -> Host {
        let listener = listen(&place());
        Host {
            addr: listener.local_addr().expect("an address"),
            listener: Some(listener),
            stream: None,
            saying: Vec::new(),
            begun: Vec::new(),
            heard: Vec::new(),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends the connection, and takes no other.
    pub(crate) fn go_away(&mut self) {
        (self.stream, self.listener) = (None, None);
        self.saying.clear();
    }

    /// Is there again, where it was before.
    pub(crate) fn come_back(&mut self) {
        self.listener = Some(listen(&self.addr.to_string()));
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.saying.extend_from_slice(bytes);
    }

    /// All that was to be said is on its way.
    pub(crate) fn has_said_all(&self) -> bool {
        self.saying.is_empty()
    }

    pub(crate) fn heard(&self) -> &[String] {
        &self.heard
    }

    /// What it heard of a line whose end has not come.
    pub(crate) fn heard_begun(&self) -> &[u8] {
        &self.begun
    }

    /// Somebody is connected.
    pub(crate) fn has_guest(&self) -> bool {
        self.stream.is_some()
    }

    /// What it waits for.
    pub(crate) fn wishes(&self) -> Option<PollFd<'_>> {
        let both = PollFlags::IN | PollFlags::OUT;
        match (&self.stream, &self.listener) {
            (Some(stream), _) if self.saying.is_empty() => Some(PollFd::new(stream, PollFlags::IN)),
            (Some(stream), _) => Some(PollFd::new(stream, both)),
            (None, Some(listener)) => Some(PollFd::new(listener, PollFlags::IN)),
            (None, None) => None,
        }
    }

    /// Does what can be done at once.
    pub(crate) fn turn(&mut self) {
        if self.stream.is_none()
            && let Some(listener) = &self.listener
            && let Ok((stream, _)) = listener.accept()
        {
            stream.set_nonblocking(true).expect("non-blocking");
            stream.set_nodelay(true).expect("nodelay");
            self.stream = Some(stream);
            self.say(format!("{}\n", OPENING[0]).as_bytes());
        }
        self.hear();
        if let Some(stream) = &mut self.stream
            && let Ok(count) = stream.write(&self.saying)
        {
            self.saying.drain(..count);
        }
    }

    fn hear(&mut self) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => self.stream = None,
            Ok(count) => self.begun.extend_from_slice(&bytes[..count]),
        }
        while let Some(end) = self.begun.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            let line = String::from_utf8(line[..end].to_vec()).expect("UTF-8");
            if line == "/who" {
                self.say(format!("{}\n", OPENING[1]).as_bytes());
            } else {
                self.heard.push(line);
            }
        }
    }
}
