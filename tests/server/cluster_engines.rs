//! Nodes over a Redis Cluster, over Sentinels, and over an engine with TLS and a password: real ones, whose primary is killed.

use crate::cluster::{meet, talks_again};
use crate::common::{Authority, Client, Launch, Program, Scratch, Server, until, write_identity};
use std::fs;
use std::net::TcpListener;
use std::process::Command;

/// A server of Redis, with its files in a folder of its own.
struct Redis {
    port: u16,
    program: Program,
    _folder: Scratch,
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    free.expect("a port").port()
}

impl Redis {
    fn start(port: u16, flags: &[&str]) -> Redis {
        let (folder, text) = (Scratch::new(), port.to_string());
        let path = folder.path("");
        let path = path.to_str().expect("UTF-8");
        let own = [
            "--bind",
            "127.0.0.1",
            "--port",
            &text,
            "--save",
            "",
            "--dir",
            path,
        ];
        let program = Program::start("redis-server", &[&own, flags].concat());
        let redis = Redis {
            port,
            program,
            _folder: folder,
        };
        until("redis-server answers", || redis.ask(&["PING"]) == "PONG");
        redis
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it answers, as redis-cli shows it.
    fn ask(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let mut command = Command::new("redis-cli");
        let output = command.args(["-p", &port]).args(words).output();
        let text = output.expect("redis-cli runs").stdout;
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }

    /// Ends it as `kill -9` does.
    fn kill(self) {
        drop(self.program);
    }
}

fn node(url: &str, name: &str, flags: &[&str]) -> Server {
    Server::start(&[&["--cluster", url, "--cluster-name", name], flags].concat())
}

/// People on both nodes talk in the lobby and in so many rooms.
fn all_talk(ann: &mut Client, bob: &mut Client, rooms: usize) {
    for nth in 0..rooms {
        for client in [&mut *ann, &mut *bob] {
            until("it is in the room", || {
                client.say(&format!("/join room{nth}"));
                let line = client.line_raw();
                line.starts_with(&format!("* you are in room{nth} "))
                    || line == format!("! you are in room{nth} already")
            });
        }
        talks_again(ann, bob);
        talks_again(bob, ann);
    }
    for client in [&mut *ann, &mut *bob] {
        client.say("/join lobby");
    }
    meet(&mut [ann, bob]);
}

#[test]
#[ignore = "needs redis-server"]
fn rooms_are_spread_over_a_redis_cluster_and_a_failover_is_followed() {
    let mut servers: Vec<Redis> = (0..6)
        .map(|_| {
            let bus = free_port().to_string();
            let flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            Redis::start(
                free_port(),
                &[&flags[..], &["--cluster-port", &bus]].concat(),
            )
        })
        .collect();
    let bus = |redis: &Redis| {
        let nodes = redis.ask(&["CLUSTER", "NODES"]);
        let (_, rest) = nodes.split_once('@').expect("a port of the bus");
        rest.split([' ', ',']).next().expect("a number").to_owned()
    };
    for (nth, slots) in [["0", "5460"], ["5461", "10922"], ["10923", "16383"]]
        .iter()
        .enumerate()
    {
        let [first, last] = slots;
        assert_eq!(
            servers[nth].ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]),
            "OK"
        );
    }
    for other in &servers[1..] {
        let (port, bus) = (other.port.to_string(), bus(other));
        assert_eq!(
            servers[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]),
            "OK"
        );
    }
    let all_know = |fact: &str| {
        let knows = |redis: &Redis| redis.ask(&["CLUSTER", "INFO"]).contains(fact);
        until(fact, || servers.iter().all(knows));
    };
    all_know("cluster_known_nodes:6");
    for nth in 0..3 {
        let primary = servers[nth].ask(&["CLUSTER", "MYID"]);
        until("it is a replica", || {
            servers[nth + 3].ask(&["CLUSTER", "REPLICATE", &primary]) == "OK"
        });
    }
    all_know("cluster_state:ok");
    let replicas = |redis: &Redis| redis.ask(&["ROLE"]).starts_with("master");
    until("three are replicas", || {
        servers.iter().filter(|it| replicas(it)).count() == 3
    });

    let url = format!(
        "redis://{},{}/yard",
        servers[1].address(),
        servers[2].address()
    );
    let (a, b) = (node(&url, "a", &[]), node(&url, "b", &[]));
    let mut ann = Client::connect_named(a.addr(), "ann");
    let mut bob = Client::connect_named(b.addr(), "bob");
    meet(&mut [&mut ann, &mut bob]);
    all_talk(&mut ann, &mut bob, 6);
    ann.say("/msg bob psst");
    bob.find("ann -> you: psst");
    let held = |redis: &Redis| redis.ask(&["DBSIZE"]) != "0";
    until("each has lanes", || servers.iter().all(held));
    servers.remove(0).kill();
    all_talk(&mut ann, &mut bob, 6);
}

#[test]
#[ignore = "needs redis-server"]
fn sentinels_say_who_is_the_primary_also_after_a_failover() {
    let primary = Redis::start(free_port(), &[]);
    let port = primary.port.to_string();
    let replica = Redis::start(free_port(), &["--replicaof", "127.0.0.1", &port]);
    until("the replica follows", || {
        replica.ask(&["ROLE"]).contains("connected")
    });
    let folder = Scratch::new();
    let sentinels: Vec<(u16, Program)> = (0..3)
        .map(|nth| {
            let (file, own) = (folder.path(&format!("{nth}.conf")), free_port());
            let text = format!(
                "port {own}\nsentinel monitor yard 127.0.0.1 {port} 2\n\
                 sentinel down-after-milliseconds yard 500\nsentinel failover-timeout yard 3000\n"
            );
            fs::write(&file, text).expect("a file");
            let file = file.to_str().expect("UTF-8");
            (own, Program::start("redis-server", &[file, "--sentinel"]))
        })
        .collect();
    let addresses: Vec<String> = sentinels
        .iter()
        .map(|(port, _)| format!("127.0.0.1:{port}"))
        .collect();
    let url = format!("redis+sentinel://{}/yard/chat", addresses.join(","));
    let (a, b) = (node(&url, "a", &[]), node(&url, "b", &[]));
    let mut ann = Client::connect_named(a.addr(), "ann");
    let mut bob = Client::connect_named(b.addr(), "bob");
    meet(&mut [&mut ann, &mut bob]);
    // They know each other, and the replica, before the primary is killed.
    until("Sentinels know all", || {
        sentinels.iter().all(|(port, _)| {
            let port = port.to_string();
            let mut command = Command::new("redis-cli");
            let output = command
                .args(["-p", &port, "SENTINEL", "CKQUORUM", "yard"])
                .output();
            let text = output.expect("redis-cli runs").stdout;
            String::from_utf8_lossy(&text).contains("3 usable Sentinels")
        })
    });
    primary.kill();
    talks_again(&ann, &mut bob);
    talks_again(&bob, &mut ann);
    meet(&mut [&mut ann, &mut bob]);
    assert!(replica.ask(&["ROLE"]).starts_with("master"));
}

#[test]
#[ignore = "needs redis-server"]
fn an_engine_may_want_tls_and_a_password() {
    let (authority, scratch) = (Authority::new("the test's"), Scratch::new());
    let identity = authority.server(&["localhost"], 2999);
    let file = write_identity(scratch.path("server.pem"), &identity);
    let (ca, password) = (scratch.path("ca.pem"), scratch.path("password"));
    fs::write(&ca, &authority.pem).expect("a file");
    fs::write(&password, "sesame\n").expect("a file");
    let (ca, password) = (
        ca.to_str().expect("UTF-8"),
        password.to_str().expect("UTF-8"),
    );
    let tls = free_port().to_string();
    let redis = Redis::start(
        free_port(),
        &[
            "--tls-port",
            &tls,
            "--tls-cert-file",
            &file,
            "--tls-key-file",
            &file,
            "--tls-ca-cert-file",
            ca,
            "--tls-auth-clients",
            "no",
        ],
    );
    assert_eq!(redis.ask(&["CONFIG", "SET", "requirepass", "sesame"]), "OK");
    let url = format!("rediss://localhost:{tls}/yard");
    let flags = ["--cluster-ca", ca, "--cluster-password-file", password];
    let (a, b) = (node(&url, "a", &flags), node(&url, "b", &flags));
    let mut ann = Client::connect_named(a.addr(), "ann");
    let mut bob = Client::connect_named(b.addr(), "bob");
    meet(&mut [&mut ann, &mut bob]);
    talks_again(&ann, &mut bob);
    // What is wrong is said; the node tries again until an operator has mended it.
    for (flags, said) in [
        (&flags[..2], "it asks for a password, and none is given"),
        (
            &flags[2..],
            "--cluster-ca FILE trusts the authority that has",
        ),
    ] {
        let own = ["--cluster", &url, "--cluster-name", "c"];
        let wrong = Launch::new(&[&own[..], flags].concat()).start();
        until(said, || wrong.log().contains(said));
        assert!(!wrong.log().contains("sesame"));
    }
}
