//! The servers that are compared: how each is started, and how its clients speak with it.
//!
//! Each is configured to be fast: no persistence, no log, no delay (Nagle) where there is a choice, and no limits in the
//! way. They do it in different ways, but all of them deliver what one connection sends to many.

use std::env;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use crate::floor::{self, Workload};
use crate::harness::load::Arrival;
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome};

/// A server to compare.
pub(crate) struct Kind {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// Its name on PATH; `None` for the floor and madang, which are built here.
    program: Option<&'static str>,
    start: fn(&Harness, Workload) -> Outcome<Server>,
    /// How its receivers arrive, and its senders.
    pub(crate) receiver: Arrival,
    pub(crate) sender: Arrival,
    /// A message with this text, as a sender sends it.
    pub(crate) say: fn(&str) -> Vec<u8>,
    /// Whether the senders receive one another's lines.
    pub(crate) senders_receive: bool,
    /// How many connections may be made at a time.
    pub(crate) backlog: usize,
    /// Whether it can take part in [`crate::crowd`].
    pub(crate) crowd: Crowd,
}

/// Most servers have a long `listen` backlog; some have one of 100 or 10. A client that finds it full tries again only
/// after a second.
const LONG_BACKLOG: usize = 512;
const MIDDLE_BACKLOG: usize = 64;
const SHORT_BACKLOG: usize = 8;

/// Whether a server can serve 18,000 receivers.
pub(crate) enum Crowd {
    /// It can.
    Serves,
    /// It accepts the connections, which arrive like this, but cannot deliver to them, for this reason.
    Holds(Arrival, &'static str),
    /// It does not accept them, for this reason.
    Refuses(&'static str),
}

impl Kind {
    /// Starts it for this workload.
    pub(crate) fn start(&self, harness: &Harness, workload: Workload) -> Outcome<Server> {
        (self.start)(harness, workload)
    }

    /// Whether it sends something to a new receiver.
    pub(crate) fn greets(&self) -> bool {
        !matches!(self.receiver, Arrival::Connected)
    }

    /// Its program, if that is not installed.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.program.filter(|program| find(program).is_none())
    }
}

/// All servers. The floor is the first: the others are compared with it.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "floor",
        program: None,
        start: start_floor,
        receiver: Arrival::Connected,
        sender: Arrival::Connected,
        // The floor adds no name, so its senders send one: every receiver gets the same bytes as from madang.
        say: |text| format!("guest1: {text}\n").into_bytes(),
        senders_receive: false,
        backlog: LONG_BACKLOG,
        crowd: Crowd::Serves,
    },
    Kind {
        name: "madang",
        program: None,
        start: |harness, _| Server::madang(harness, &[]),
        receiver: Arrival::Greeted,
        sender: Arrival::Greeted,
        say: |text| format!("{text}\n").into_bytes(),
        senders_receive: true,
        backlog: LONG_BACKLOG,
        crowd: Crowd::Serves,
    },
    Kind {
        name: "ncat",
        program: Some("ncat"),
        start: start_ncat,
        receiver: Arrival::Connected,
        sender: Arrival::Connected,
        say: |text| format!("{text}\n").into_bytes(),
        senders_receive: true,
        backlog: SHORT_BACKLOG,
        crowd: Crowd::Refuses("select(2): 1,024 descriptors at most"),
    },
    Kind {
        name: "redis",
        program: Some("redis-server"),
        start: start_redis,
        receiver: Arrival::Answered {
            hello: |_| b"SUBSCRIBE c\r\n".to_vec(),
            answer: b":1\r\n",
        },
        sender: Arrival::Answered {
            hello: |_| b"PING\r\n".to_vec(),
            answer: b"+PONG\r\n",
        },
        say: |text| {
            let bytes = text.len();
            format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n${bytes}\r\n{text}\r\n").into_bytes()
        },
        senders_receive: false,
        backlog: LONG_BACKLOG,
        crowd: Crowd::Serves,
    },
    Kind {
        name: "nats",
        program: Some("nats-server"),
        start: start_nats,
        receiver: Arrival::Answered {
            hello: |_| b"CONNECT {\"verbose\":false}\r\nSUB c 1\r\nPING\r\n".to_vec(),
            answer: b"PONG\r\n",
        },
        sender: Arrival::Answered {
            hello: |_| b"CONNECT {\"verbose\":false}\r\nPING\r\n".to_vec(),
            answer: b"PONG\r\n",
        },
        say: |text| format!("PUB c {}\r\n{text}\r\n", text.len()).into_bytes(),
        senders_receive: false,
        backlog: LONG_BACKLOG,
        crowd: Crowd::Serves,
    },
    Kind {
        name: "mosquitto",
        program: Some("mosquitto"),
        start: start_mosquitto,
        receiver: Arrival::Answered {
            hello: |id| [mqtt_connect(id), MQTT_SUBSCRIBE.to_vec()].concat(),
            answer: b"\x90\x03\x00\x01\x00",
        },
        sender: Arrival::Answered {
            hello: mqtt_connect,
            answer: b"\x20\x02\x00\x00",
        },
        say: |text| mqtt(0x30, &[b"\x00\x01c", text.as_bytes()].concat()),
        senders_receive: false,
        backlog: MIDDLE_BACKLOG,
        crowd: Crowd::Serves,
    },
    Kind {
        name: "ngircd",
        program: Some("ngircd"),
        start: start_ngircd,
        receiver: IRC_JOINED,
        sender: IRC_JOINED,
        say: |text| format!("PRIVMSG #c :{text}\r\n").into_bytes(),
        senders_receive: true,
        backlog: SHORT_BACKLOG,
        crowd: Crowd::Holds(
            Arrival::Answered {
                hello: |id| format!("NICK u{id}\r\nUSER u 0 * :u\r\n").into_bytes(),
                answer: b" 376 ",
            },
            "a notice to each member of each that joins: 324 million",
        ),
    },
];

const IRC_JOINED: Arrival = Arrival::Answered {
    hello: |id| format!("NICK u{id}\r\nUSER u 0 * :u\r\nJOIN #c\r\n").into_bytes(),
    answer: b" 366 ",
};

/// MQTT 3.1.1, section 3.8: to topic `c`, at most once.
const MQTT_SUBSCRIBE: &[u8] = b"\x82\x06\x00\x01\x00\x01c\x00";

/// MQTT 3.1.1, section 3.1: a clean session without keep-alive.
fn mqtt_connect(id: usize) -> Vec<u8> {
    let name = format!("c{id}");
    let length = (name.len() as u16).to_be_bytes();
    let head = b"\x00\x04MQTT\x04\x02\x00\x00";
    mqtt(0x10, &[head, &length[..], name.as_bytes()].concat())
}

/// A packet: its type, its length in seven bits a byte (section 2.2.3), its rest.
fn mqtt(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = rest.len();
    while length > 0x7f {
        packet.push(length as u8 & 0x7f | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend_from_slice(rest);
    packet
}

fn start_floor(harness: &Harness, workload: Workload) -> Outcome<Server> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(floor::ARGUMENT).args(workload.arguments());
    Server::start(harness, command)
}

fn start_ncat(harness: &Harness, _: Workload) -> Outcome<Server> {
    let at = free_address()?;
    let mut command = peer("ncat");
    command
        .args(["--broker", "--listen", "--max-conns", "1019"])
        .args(host_and_port(at));
    Server::start_at(harness, command, at)
}

fn start_redis(harness: &Harness, _: Workload) -> Outcome<Server> {
    let at = free_address()?;
    let [host, port] = host_and_port(at);
    let clients = (harness.descriptors() - 100).to_string();
    let mut command = peer("redis-server");
    command
        .args(["--bind", &host, "--port", &port, "--tcp-backlog", "4096"])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--maxclients", &clients, "--loglevel", "warning"])
        // Clients come from other loopback addresses than 127.0.0.1.
        .args(["--protected-mode", "no"]);
    Server::start_at(harness, command, at)
}

fn start_nats(harness: &Harness, _: Workload) -> Outcome<Server> {
    let at = free_address()?;
    let file = settings(at, "ping_interval: \"1h\"\n")?;
    let [host, port] = host_and_port(at);
    let mut command = peer("nats-server");
    command
        .args(["--addr", &host, "--port", &port])
        .arg("--config")
        .arg(file);
    Server::start_at(harness, command, at)
}

fn start_mosquitto(harness: &Harness, _: Workload) -> Outcome<Server> {
    let at = free_address()?;
    let [host, port] = host_and_port(at);
    let file = settings(
        at,
        &format!(
            "listener {port} {host}\nallow_anonymous true\nset_tcp_nodelay true\nlog_type none\n\
             persistence false\n"
        ),
    )?;
    let mut command = peer("mosquitto");
    command.arg("-c").arg(file);
    Server::start_at(harness, command, at)
}

fn start_ngircd(harness: &Harness, _: Workload) -> Outcome<Server> {
    let at = free_address()?;
    let [host, port] = host_and_port(at);
    let file = settings(
        at,
        &format!(
            "[Global]\nName = irc.bench\nInfo = bench\nListen = {host}\nPorts = {port}\n\
             [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\n\
             PingTimeout = 3600\nPongTimeout = 3600\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\nSyslog = no\n"
        ),
    )?;
    let mut command = peer("ngircd");
    command.arg("--nodaemon").arg("--config").arg(file);
    Server::start_at(harness, command, at)
}

/// An address at which no program listens now.
fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn host_and_port(at: SocketAddr) -> [String; 2] {
    [at.ip().to_string(), at.port().to_string()]
}

/// Writes the configuration of the server at this address to a file under `target/`.
fn settings(at: SocketAddr, text: &str) -> Outcome<PathBuf> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fanout-{}", at.port()));
    fs::write(&file, text)?;
    Ok(file)
}

/// The command of an installed program.
fn peer(program: &str) -> Command {
    Command::new(find(program).unwrap_or_else(|| program.into()))
}

/// Looks for a program on PATH, then in the directories of servers, which only root's PATH has on Debian.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
