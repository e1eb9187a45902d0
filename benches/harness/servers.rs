//! The servers that are compared, madang and its peers: how each is started, and how its clients speak with it.
//!
//! Each is configured to be fast: no persistence, no log, no delay (Nagle) where there is a choice, and no limits in the
//! way. They do it in different ways, but all of them deliver what one connection sends to many.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use madang::tls_client::Options;

use super::certificate::Certificate;
use super::load::Arrival;
use super::server::Server;
use super::{Harness, Outcome, find};

/// A server to compare.
pub(crate) struct Kind {
    /// Its name in the report.
    pub(crate) name: &'static str,
    pub(crate) start: Start,
    /// How its receivers arrive, and its senders.
    pub(crate) receiver: Arrival,
    pub(crate) sender: Arrival,
    /// A message with this text, as a sender sends it.
    pub(crate) say: fn(&str) -> Vec<u8>,
    /// Whether the senders receive one another's lines.
    pub(crate) senders_receive: bool,
    /// How many connections may be made at a time.
    pub(crate) backlog: usize,
    /// Whether it can serve thousands.
    pub(crate) crowd: Crowd,
    /// How it is compared over TLS, if it can be.
    pub(crate) over_tls: Option<OverTls>,
}

/// How a server is compared over TLS.
pub(crate) struct OverTls {
    /// Its settings, in which CA_FILE, CERT_FILE and KEY_FILE stand for files. Those of a server that is built here are flags.
    settings: &'static str,
    /// Whether it says a line before the handshake.
    after_line: bool,
}

impl OverTls {
    /// Its settings with these files, and what its clients do.
    pub(crate) fn of(&self, certificate: &Certificate) -> (String, Options) {
        let options = Options {
            after_line: self.after_line,
            ..certificate.trusted()
        };
        (certificate.fill(self.settings), options)
    }
}

/// How a server is started.
pub(crate) enum Start {
    /// It is built here; it may need to know its workload, as arguments of a command line.
    Built(fn(&Harness, &[String]) -> Outcome<Server>),
    /// By this command, if it is installed. PORT in it stands for a free port of 127.0.0.1, and FILE for a file with the
    /// settings. In these, CLIENTS stands for the most clients that a process here can have.
    Installed {
        command: &'static str,
        settings: &'static str,
    },
}

/// Most servers have a long `listen` backlog; some have one of 100 or 10. A client that finds it full tries again only
/// after a second.
pub(crate) const LONG_BACKLOG: usize = 512;
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
    pub(crate) fn start(&self, harness: &Harness, workload: &[String]) -> Outcome<Server> {
        match self.start {
            Start::Built(start) => start(harness, workload),
            Start::Installed { command, settings } => start_peer(harness, command, settings),
        }
    }

    /// Starts it with these settings, for clients over TLS.
    pub(crate) fn start_over_tls(&self, harness: &Harness, settings: &str) -> Outcome<Server> {
        match self.start {
            Start::Built(_) => madang_over_tls(harness, settings),
            Start::Installed { command, .. } => start_peer(harness, command, settings),
        }
    }

    /// Whether it sends something to a new receiver.
    pub(crate) fn greets(&self) -> bool {
        !matches!(self.receiver, Arrival::Connected)
    }

    /// Its program, if that is not installed.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        let Start::Installed { command, .. } = self.start else {
            return None;
        };
        let program = command.split(' ').next();
        program.filter(|program| find(program).is_none())
    }
}

/// All servers; madang is the first.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "madang",
        start: Start::Built(|harness, _| Server::madang(harness, &[])),
        receiver: Arrival::Greeted,
        sender: Arrival::Greeted,
        say: |text| format!("{text}\n").into_bytes(),
        senders_receive: true,
        backlog: LONG_BACKLOG,
        crowd: Crowd::Serves,
        over_tls: Some(OverTls {
            settings: "--listen-tls 127.0.0.1:0 --tls-cert CERT_FILE --tls-key KEY_FILE",
            after_line: false,
        }),
    },
    Kind {
        name: "ncat",
        start: Start::Installed {
            command: "ncat --broker --listen --max-conns 1019 127.0.0.1 PORT",
            settings: "",
        },
        receiver: Arrival::Connected,
        sender: Arrival::Connected,
        say: |text| format!("{text}\n").into_bytes(),
        senders_receive: true,
        backlog: SHORT_BACKLOG,
        crowd: Crowd::Refuses("select(2): 1,024 descriptors at most"),
        over_tls: None,
    },
    Kind {
        name: "redis",
        start: Start::Installed {
            command: "redis-server FILE",
            // Protected mode: clients come from other loopback addresses than 127.0.0.1.
            settings: "bind 127.0.0.1\nport PORT\ntcp-backlog 4096\nsave \"\"\nappendonly no\n\
                       maxclients CLIENTS\nloglevel warning\nprotected-mode no\n",
        },
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
        over_tls: Some(OverTls {
            settings: "bind 127.0.0.1\nport 0\ntls-port PORT\ntls-cert-file CERT_FILE\n\
                       tls-key-file KEY_FILE\ntls-ca-cert-file CA_FILE\ntls-auth-clients no\n\
                       tcp-backlog 4096\nsave \"\"\nappendonly no\nmaxclients CLIENTS\n\
                       loglevel warning\nprotected-mode no\n",
            after_line: false,
        }),
    },
    Kind {
        name: "nats",
        start: Start::Installed {
            command: "nats-server --addr 127.0.0.1 --port PORT --config FILE",
            settings: "ping_interval: \"1h\"\n",
        },
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
        over_tls: Some(OverTls {
            settings: "ping_interval: \"1h\"\n\
                       tls { cert_file: \"CERT_FILE\", key_file: \"KEY_FILE\" }\n",
            after_line: true,
        }),
    },
    Kind {
        name: "mosquitto",
        start: Start::Installed {
            command: "mosquitto -c FILE",
            settings: "listener PORT 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n\
                       log_type none\npersistence false\n",
        },
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
        over_tls: Some(OverTls {
            settings: "listener PORT 127.0.0.1\ncertfile CERT_FILE\nkeyfile KEY_FILE\n\
                       allow_anonymous true\nset_tcp_nodelay true\nlog_type none\n\
                       persistence false\n",
            after_line: false,
        }),
    },
    Kind {
        name: "ngircd",
        start: Start::Installed {
            command: "ngircd --nodaemon --config FILE",
            settings: "[Global]\nName = irc.bench\nInfo = bench\nListen = 127.0.0.1\nPorts = PORT\n\
                       [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\n\
                       MaxPenaltyTime = 0\nPingTimeout = 3600\nPongTimeout = 3600\n\
                       [Options]\nDNS = no\nIdent = no\nPAM = no\nSyslog = no\n",
        },
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
        over_tls: None,
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

/// Starts madang with these flags; its address is that of its listener for TLS.
fn madang_over_tls(harness: &Harness, flags: &str) -> Outcome<Server> {
    let flags: Vec<&str> = flags.split(' ').collect();
    let mut server = Server::madang(harness, &flags)?;
    server.address = server.next_address_but(" (tls)")?;
    Ok(server)
}

/// Starts an installed program at an address at which no program listens now.
fn start_peer(harness: &Harness, command: &str, settings: &str) -> Outcome<Server> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let port = address.port().to_string();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peer-{port}"));
    let clients = (harness.descriptors() - 100).to_string();
    let fill = |text: &str| text.replace("PORT", &port).replace("CLIENTS", &clients);
    fs::write(&file, fill(settings))?;
    let mut words = command.split(' ');
    let program = words.next().expect("a program");
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    for word in words {
        match word {
            "FILE" => command.arg(&file),
            word => command.arg(fill(word)),
        };
    }
    Server::start_at(harness, command, address)
}
