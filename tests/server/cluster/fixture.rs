//! A cluster on this machine: an engine with its files in a temporary folder, nodes, and before each node a proxy that can cut
//! it off from the engine. Everything ends with the test.

use crate::common::{Client, Program, Scratch, Server, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// An engine on a port of its own, which it keeps over restarts.
pub(super) struct Engine {
    port: u16,
    folder: Scratch,
    program: Option<Program>,
}

impl Engine {
    pub(super) fn start() -> Engine {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let mut engine = Engine {
            port: free.expect("a port").port(),
            folder: Scratch::new(),
            program: None,
        };
        engine.restart();
        engine
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Starts it with the files that it has left, and waits until it answers.
    pub(super) fn restart(&mut self) {
        let (port, folder) = (self.port.to_string(), self.folder.path(""));
        let flags = ["--bind", "127.0.0.1", "--port", &port, "--save", ""];
        let files = [
            "--appendonly",
            "yes",
            "--dir",
            folder.to_str().expect("UTF-8"),
        ];
        self.program = Some(Program::start(
            "redis-server",
            &[&flags[..], &files].concat(),
        ));
        until("the engine answers", || {
            self.ask("PING").is_some_and(|it| it == "+PONG")
        });
    }

    /// Ends it as `kill -9` does.
    pub(super) fn kill(&mut self) {
        self.program = None;
    }

    /// The first line of its answer to a command; `None` if it is not there.
    pub(super) fn ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    }
}

/// What a proxy does with what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Passes it on.
    Open,
    /// Keeps it, as a network does in which packets are lost for a while.
    Stalled,
    /// Passes on what the node sends, and drops what the engine answers.
    Deaf,
    /// Has closed all connections, and closes new ones.
    Cut,
}

#[derive(Default)]
struct Proxied {
    /// Connections to be closed by a cut, both sides of each.
    streams: Mutex<Vec<TcpStream>>,
    changed: Condvar,
    way: Mutex<Option<Way>>,
}

impl Proxied {
    fn way(&self) -> Way {
        self.way.lock().expect("a way").unwrap_or(Way::Open)
    }

    /// Copies bytes from one side to the other until one of them ends.
    fn copy(&self, mut from: TcpStream, mut to: TcpStream, is_answer: bool) {
        let mut chunk = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            let way = self.way.lock().expect("a way");
            let stalled = |way: &mut Option<Way>| *way == Some(Way::Stalled);
            let way = *self.changed.wait_while(way, stalled).expect("a way");
            let drops = is_answer && way == Some(Way::Deaf);
            if !drops && to.write_all(&chunk[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// A proxy between a node and its engine.
pub(super) struct Proxy {
    address: SocketAddr,
    proxied: Arc<Proxied>,
}

impl Proxy {
    fn before(engine: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let proxied = Arc::<Proxied>::default();
        let shared = Arc::clone(&proxied);
        thread::spawn(move || {
            for node in listener.incoming().map_while(Result::ok) {
                let engine = TcpStream::connect(engine);
                let (Ok(engine), true) = (engine, shared.way() != Way::Cut) else {
                    continue;
                };
                let twin = |stream: &TcpStream| stream.try_clone().expect("a handle");
                let mut streams = shared.streams.lock().expect("streams");
                streams.extend([twin(&node), twin(&engine)]);
                for (from, to, is_answer) in
                    [(twin(&node), twin(&engine), false), (engine, node, true)]
                {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.copy(from, to, is_answer));
                }
            }
        });
        Proxy { address, proxied }
    }

    pub(super) fn set(&self, way: Way) {
        *self.proxied.way.lock().expect("a way") = Some(way);
        self.proxied.changed.notify_all();
        if way == Way::Cut {
            for stream in self.proxied.streams.lock().expect("streams").drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// A node with its proxy.
pub(super) struct Node {
    pub(super) server: Server,
    pub(super) proxy: Proxy,
    /// Where it finds its engine: behind the proxy.
    pub(super) url: String,
}

impl Node {
    pub(super) fn start(engine: &Engine, name: &str, flags: &[&str]) -> Node {
        let proxy = Proxy::before(engine.address());
        let url = format!("redis://{}/yard", proxy.address);
        let own = [
            "--cluster",
            &url,
            "--cluster-name",
            name,
            "--cluster-lanes",
            "4",
        ];
        let server = Server::start(&[&own, flags].concat());
        Node { server, proxy, url }
    }

    pub(super) fn connect(&self, name: &str) -> Client {
        Client::connect_named(self.server.addr(), name)
    }
}

/// An engine and so many nodes: `a`, `b`, `c` …
pub(super) fn cluster<const N: usize>(flags: &[&str]) -> (Engine, [Node; N]) {
    let engine = Engine::start();
    let names = ["a", "b", "c", "d"];
    let nodes = std::array::from_fn(|nth| Node::start(&engine, names[nth], flags));
    (engine, nodes)
}
