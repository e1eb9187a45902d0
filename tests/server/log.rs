//! What the server's log tells an operator of connections, in both formats.

use crate::common::{Client, Launch, Scratch, Server, until};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;

/// A server whose log goes to a file.
struct Logged {
    server: Server,
    path: PathBuf,
    _scratch: Scratch,
}

impl Logged {
    fn start(flags: &[&str]) -> Self {
        let scratch = Scratch::new();
        let path = scratch.path("log");
        let log = File::create(&path).expect("a file");
        let server = Launch::new(flags).stderr(Stdio::from(log)).start();
        Self {
            server,
            path,
            _scratch: scratch,
        }
    }

    fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.path).expect("a log")
    }

    /// Waits for a line that has all these words.
    #[track_caller]
    fn find(&self, words: &[&str]) -> String {
        let mut found = None;
        let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
        until(&format!("{words:?} in {}", self.log()), || {
            found = self.log().lines().find(has_all).map(str::to_owned);
            found.is_some()
        });
        found.expect("it was found")
    }
}

#[test]
fn each_connection_is_told_of_when_it_comes_and_when_it_goes() {
    let logged = Logged::start(&["--idle-timeout", "1"]);
    let listener = format!("listener=\"{}\"", logged.addr());
    let mut kim = Client::connect(logged.addr());
    let line = logged.find(&[
        "INFO connected connection=1 ",
        "peer=\"127.0.0.1:",
        &listener,
    ]);
    let peer = line
        .split(' ')
        .find(|word| word.starts_with("peer="))
        .expect("a peer");
    kim.say("/nick kim");
    kim.expect("* you are now kim");
    kim.say("hello");
    kim.say("/me waves");
    kim.say("/quit");
    let words = [
        "INFO disconnected connection=1 ",
        peer,
        "name=\"kim\"",
        "seconds=0.",
    ];
    let line = logged.find(&words);
    assert!(
        line.contains("lines_in=2 bytes_out=") && line.ends_with("reason=\"quit\""),
        "{line}"
    );

    let _idle = Client::connect(logged.addr());
    logged.find(&["disconnected", "reason=\"idle\""]);
    let reset = Client::connect(logged.addr());
    reset.reset();
    logged.find(&["disconnected", "peer=\"127.0.0.1:", "reason=\"reset\""]);
    let end = Client::connect(logged.addr());
    end.finish();
    logged.find(&["disconnected", "reason=\"end of input\""]);
    let browser = Client::connect(logged.addr());
    browser.send(b"GET / HTTP/1.1\r\n\r\n");
    logged.find(&["disconnected", "reason=\"speaks HTTP\""]);
    let log = logged.log();
    assert!(!log.contains("renamed") && !log.contains("hello"), "{log}");
}

#[test]
fn a_refused_connection_is_told_of() {
    let logged = Logged::start(&["--max-clients", "1"]);
    let _kim = Client::connect(logged.addr());
    let _other = TcpStream::connect(logged.addr()).expect("connect");
    let why = "reason=\"server is full: 1 connections; try again later\"";
    logged.find(&[
        "INFO connection refused",
        "peer=\"127.0.0.1:",
        "listener=",
        why,
    ]);
}

#[test]
fn renames_refusals_and_throttling_are_told_of_in_detail_as_json_values() {
    let flags = [
        "--log-level",
        "debug",
        "--log-format",
        "json",
        "--rate",
        "10",
        "--burst",
        "4",
    ];
    let logged = Logged::start(&flags);
    let mut kim = Client::connect(logged.addr());
    kim.say("/nick kim");
    kim.say("/msg nobody psst");
    for _ in 0..6 {
        kim.say("fast");
    }
    let slow = "* you send too fast: 10 lines a second are read; the others wait, none is lost";
    kim.find(slow);
    kim.say("/who");
    let before = kim.find("* here in lobby: kim (1)");
    assert!(!before.iter().any(|line| line == slow), "it is told once");
    logged.find(&[
        "\"level\":\"DEBUG\"",
        "\"message\":\"renamed\"",
        "\"old\":\"guest1\",\"new\":\"kim\"",
    ]);
    logged.find(&[
        "\"message\":\"refused\"",
        "\"reason\":\"line not sent: nobody is called nobody\"",
    ]);
    logged.find(&["\"message\":\"throttled\",\"connection\":1"]);
    drop(kim);
    let gone = logged.find(&["\"message\":\"disconnected\""]);
    assert!(
        gone.contains("\"name\":\"kim\",\"seconds\":") && gone.contains("\"lines_in\":6,"),
        "{gone}"
    );
    let mut logged = logged;
    logged.server.shut_down();
    logged.find(&["\"message\":\"ended\",\"connections\":1,\"refused_connections\":0,\"lines\":6"]);
    let log = logged.log();
    for rust in ["Some(", "None", "Totals", "{ "] {
        assert!(!log.contains(rust), "{rust} in {log}");
    }
}

#[test]
fn nothing_that_a_client_sends_reads_as_another_entry() {
    let logged = Logged::start(&["--log-level", "debug"]);
    let forged = "2026-01-01T00:00:00.000000Z ERROR forged";
    let mut kim = Client::connect(logged.addr());
    for line in [
        format!("/msg x\" {forged}"),
        format!("/x\" connection=7 reason=\"{forged}"),
        format!("/join \u{1b}[2K\r{forged}"),
        format!("/nick kim\u{2028}{forged}"),
        format!("/msg \u{85}{forged} hi"),
    ] {
        kim.say(&line);
        kim.expect_start("! ");
    }
    logged.find(&[
        "DEBUG refused connection=1 ",
        "nobody is called \u{fffd}2026",
    ]);
    let log = logged.log();
    for line in log.lines() {
        let level = line
            .split(' ')
            .find(|word| !word.is_empty() && !word.contains(':'));
        assert!(matches!(level, Some("INFO" | "DEBUG" | "WARN")), "{line:?}");
        let has_control = line
            .chars()
            .any(|c| c.is_control() || "\u{2028}\u{2029}".contains(c));
        assert!(!has_control, "{line:?}");
    }
    // A quote in it is escaped, so it cannot end the value in which it stands.
    assert!(!log.contains("x\" "), "{log}");
}

#[test]
fn a_storm_of_connections_is_summed() {
    let logged = Logged::start(&[]);
    for _ in 0..500 {
        drop(TcpStream::connect(logged.addr()).expect("connect"));
    }
    logged.find(&["INFO more connections opened="]);
    let mut logged = logged;
    logged.server.shut_down();
    let log = logged.log();
    let count = |word: &str| log.lines().filter(|line| line.contains(word)).count() as u64;
    let sum = |field: &str| -> u64 {
        let lines = log.lines().filter(|line| line.contains("more connections"));
        let fields = lines.filter_map(|line| line.split_once(field)?.1.split(' ').next());
        fields
            .map(|number| number.parse::<u64>().expect("a number"))
            .sum()
    };
    assert_eq!(count("INFO connected ") + sum("opened="), 500, "{log}");
    assert_eq!(count("INFO disconnected ") + sum("closed="), 500, "{log}");
    let (lines, sums) = (log.lines().count() as u64, count("more connections"));
    assert!(lines <= 20 * (sums + 2) + sums + 6, "{lines} lines");
}
