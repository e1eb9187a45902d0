//! `madang ctl`: commands of operators from a shell, their answers as text and JSON, exit statuses, and servers that are
//! not there, not right, or do not answer. The live table on a terminal is in `tests/terminal/top.rs`.

use crate::common::{Client, Scratch, Server, until, with_control};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_madang");

/// `madang ctl` without the settings of the session in which the tests run.
fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("ctl").stdin(Stdio::null());
    for name in ["MADANG_CONTROL", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command
}

/// What it wrote, and its exit status.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

fn ctl(path: &Path, arguments: &[&str]) -> Ran {
    let place = format!("unix:{}", path.display());
    let output = program()
        .args(["--control", &place])
        .args(arguments)
        .output();
    output.expect("run madang").into()
}

/// Its standard output, if all was done.
#[track_caller]
fn done(path: &Path, arguments: &[&str]) -> String {
    let ran = ctl(path, arguments);
    assert_eq!(
        (ran.code, &*ran.stderr),
        (Some(0), ""),
        "{arguments:?}: {ran:?}"
    );
    ran.stdout
}

#[track_caller]
fn json_of(path: &Path, arguments: &[&str]) -> Value {
    let text = done(path, &[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn each_command_is_carried_out_and_answered() {
    let (server, path, _scratch) = with_control(&[]);
    let mut kim = Client::connect_named(server.addr(), "kim");
    let list = done(&path, &["clients"]);
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].starts_with("client 1: name kim, room "), "{list}");
    assert_eq!(
        lines[2], "clients: 2 listed of 2 connected",
        "kim and this operator"
    );
    assert_eq!(
        done(&path, &["/CLIENTS", "--slow"]),
        "clients: 0 listed of 2 connected\n"
    );
    assert_eq!(
        done(&path, &["say", "hello", "all"]),
        "announced; rooms: 1\n"
    );
    kim.expect("* announcement: hello all");
    assert_eq!(done(&path, &["mute kim 10m"]), "muted kim: ends in 10m\n");
    kim.expect_start("* an operator has muted you");
    assert_eq!(done(&path, &["unmute", "kim"]), "kim may speak again\n");
    kim.expect("* you may speak again");
    let banned = done(&path, &["ban", "10.0.0.0/8", "2h", "a, b"]);
    assert!(
        banned.starts_with("banned 10.0.0.0/8: ends in 2h"),
        "{banned}"
    );
    let bans = done(&path, &["bans"]);
    assert!(
        bans.starts_with("ban 10.0.0.0/8: ends in ") && bans.ends_with("why a, b\nbans: 1\n"),
        "{bans}"
    );
    assert_eq!(
        done(&path, &["unban", "10.0.0.0/8"]),
        "10.0.0.0/8 is not banned any more\n"
    );
    let figures = done(&path, &["stats"]);
    assert!(
        !figures.is_empty() && figures.lines().all(|line| line.starts_with("figure ")),
        "{figures}"
    );
    assert!(done(&path, &["help"]).contains("\n/kick NAME"));
    assert_eq!(done(&path, &["msg", "kim", "psst"]), "you -> kim: psst\n");
    assert!(kim.line().ends_with(" -> you: psst"));
    assert_eq!(
        done(&path, &["kick", "kim", "too loud"]),
        "closed the connection of kim\n"
    );
    kim.expect("! an operator has closed your connection: too loud");
    kim.expect_end();
}

#[test]
fn a_refusal_is_told_on_standard_error_and_by_the_exit_status() {
    let (_server, path, _scratch) = with_control(&[]);
    for (arguments, why) in [
        (
            &["kick", "nobody"][..],
            "not done: there is no client nobody; /clients lists them",
        ),
        (
            &["clients", "--quick"],
            "usage: /clients [--slow | --from RANGE|NAME]",
        ),
        (
            &["ban", "10.0.0.0/99"],
            "not done: 10.0.0.0/99 is no range of addresses; write for example 10.1.0.0/16 or 2001:db8::/32",
        ),
        (&["clint"], "unknown command /clint: "),
        (
            &["//hello"],
            "line not sent: you are in no room; /join ROOM enters one",
        ),
    ] {
        let ran = ctl(&path, arguments);
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.starts_with(&format!("madang: {why}")), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
    let ran = ctl(&path, &["--json", "kick", "nobody"]);
    assert_eq!(ran.code, Some(1));
    let why = "not done: there is no client nobody; /clients lists them";
    let json: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(json, json!({"ok": false, "lines": [], "refused": [why]}));
}

#[test]
fn answers_are_json_for_programs() {
    let (server, path, _scratch) = with_control(&[]);
    let kim = Client::connect_named(server.addr(), "kim");
    kim.say("hello");
    until("the line", || {
        json_of(&path, &["stats"])["madang_lines_total"] == json!(1)
    });
    let clients = json_of(&path, &["clients"]);
    let own = kim
        .socket()
        .local_addr()
        .expect("an address")
        .as_socket()
        .expect("TCP");
    let client = &clients[0];
    assert_eq!(client["name"], "kim");
    assert_eq!(client["address"], json!(own.to_string()));
    assert_eq!(
        (&client["number"], &client["lines_in"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&client["muted"], &client["blocked"]),
        (&json!(false), &json!(null))
    );
    assert_eq!(client["listener"], json!(server.addr().to_string()));
    // This operator: in no room, and without an address.
    assert_eq!(
        (&clients[1]["room"], &clients[1]["address"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(clients.as_array().map(Vec::len), Some(2));
    done(&path, &["mute", "kim", "1h"]);
    let muted = &json_of(&path, &["clients"])[0];
    assert!(muted["muted"] == true && muted["muted_ends"].as_u64().is_some_and(|left| left > 3500));
    done(&path, &["ban", "10.0.0.0/8", "1h", "a \"quoted\" why"]);
    done(&path, &["ban", "2001:db8::/32"]);
    // The flag may stand last where no text can.
    let bans: Value = serde_json::from_str(&done(&path, &["bans", "--json"])).expect("JSON");
    assert_eq!(bans[0]["why"], "a \"quoted\" why");
    assert!(
        bans[0]["ends"].as_u64().is_some_and(|left| left > 3500),
        "{bans}"
    );
    assert_eq!(
        (&bans[1]["ends"], &bans[1]["why"]),
        (&json!(null), &json!(null))
    );
    let said = json_of(&path, &["say", "hi"]);
    assert_eq!(said, json!({"ok": true, "lines": ["announced; rooms: 1"]}));
}

#[test]
fn a_wrong_use_is_refused_before_anything_is_sent() {
    let (server, path, _scratch) = with_control(&[]);
    let before = json_of(&path, &["clients"])[0]["number"].as_u64();
    for (arguments, why) in [
        (&[][..], "COMMAND"),
        (&["say", "hello\n/shutdown"], "a command is one line"),
        (&["say", "hello\r/shutdown"], "a command is one line"),
        (&["", "x"], "the command is empty"),
        (&["--jsno", "clients"], "there is no flag --jsno"),
        (
            &["say", "hello", "--json"],
            "--json comes before the command",
        ),
        (&["top", "5"], "top takes no argument"),
    ] {
        let ran = ctl(&path, arguments);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
    let after = json_of(&path, &["clients"])[0]["number"].as_u64();
    assert_eq!(
        after,
        before.map(|number| number + 1),
        "nothing else has connected"
    );
    assert!(!server.log().contains("shuts the server down"));
    let tcp = program()
        .args(["--control", "127.0.0.1:8080", "stats"])
        .output();
    let tcp = Ran::from(tcp.expect("run madang"));
    assert!(
        tcp.code == Some(2) && tcp.stderr.contains("write unix:PATH"),
        "{tcp:?}"
    );
}

#[test]
fn what_is_no_control_socket_is_one_clear_line() {
    let scratch = Scratch::new();
    let (chat, dead, other) = (
        scratch.path("chat"),
        scratch.path("dead"),
        scratch.path("other"),
    );
    let _server = Server::start(&["--listen", &format!("unix:{}", chat.display())]);
    drop(UnixListener::bind(&dead).expect("bind"));
    let listener = UnixListener::bind(&other).expect("bind");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let _ = stream.write_all(b"SSH-2.0-\x1b[31mOpenSSH\r\n");
    });
    for (path, why) in [
        (scratch.path("missing"), "no such socket"),
        (dead, "connection refused"),
        (
            chat,
            "is a server's socket for chat, not its control socket",
        ),
        (
            other,
            "it says \"SSH-2.0-\u{fffd}[31mOpenSSH\" instead of a greeting",
        ),
        (scratch.path(&"x".repeat(200)), "unix:"),
    ] {
        let ran = ctl(&path, &["stats"]);
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{ran:?}");
        assert!(
            ran.stderr.starts_with("madang: ") && ran.stderr.lines().count() == 1,
            "{ran:?}"
        );
        assert!(ran.stderr.contains(why), "{ran:?}");
        assert!(
            ran.stderr.contains(&format!("unix:{}", path.display())),
            "{ran:?}"
        );
    }
    thread.join().expect("the other server");
}

#[test]
fn without_the_flag_it_looks_where_the_server_listens() {
    let scratch = Scratch::new();
    let session = scratch.path("");
    fs::create_dir(session.join("madang")).expect("a directory");
    let place = format!("unix:{}", session.join("madang/control.sock").display());
    let run = |name: &str, value: &Path| -> Ran {
        let output = program().env(name, value).arg("bans").output();
        output.expect("run madang").into()
    };
    // The default place of a service comes last.
    let nowhere = run("XDG_RUNTIME_DIR", &session);
    assert_eq!(nowhere.code, Some(1));
    let tried = [&*place, "unix:/run/madang/control.sock", "--control"];
    assert!(
        tried.iter().all(|place| nowhere.stderr.contains(place)),
        "{nowhere:?}"
    );
    let _server = Server::start(&["--control", &place]);
    assert_eq!(run("XDG_RUNTIME_DIR", &session).stdout, "bans: 0\n");
    assert_eq!(
        run("RUNTIME_DIRECTORY", &session.join("madang")).stdout,
        "bans: 0\n"
    );
    let by_variable = program().env("MADANG_CONTROL", &place).arg("bans").output();
    assert_eq!(
        Ran::from(by_variable.expect("run madang")).stdout,
        "bans: 0\n"
    );
}

#[test]
fn a_stopped_server_is_waited_for_and_no_longer_than_ten_seconds() {
    let (server, path, _scratch) = with_control(&[]);
    server.signal(Signal::STOP);
    let begun = Instant::now();
    let ran = ctl(&path, &["stats"]);
    server.signal(Signal::CONT);
    assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{ran:?}");
    assert!(
        ran.stderr
            .contains("does not answer: nothing came for 10 s"),
        "{ran:?}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(10));
    done(&path, &["stats"]);
}

/// A server that greets, reads up to `/quit`, sends this, and closes. Returns what it was sent.
fn fake(path: &Path, answer: &'static str) -> thread::JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(path).expect("bind");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let greeting = "* you are op in no room; /join ROOM enters one, /help lists commands\n";
        stream.write_all(greeting.as_bytes()).expect("greet");
        let lines = BufReader::new(stream.try_clone().expect("clone")).lines();
        let mut seen = Vec::new();
        for line in lines {
            seen.push(line.expect("a line"));
            if seen.last().is_some_and(|line| line == "/quit") {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).expect("answer");
        seen
    })
}

#[test]
fn an_answer_that_is_not_complete_is_an_error() {
    for (answer, stdout, why) in [
        ("* bans: 0\n* you left; goodbye\n", "bans: 0\n", ""),
        (
            "* ban 10.0.0.0/8: en",
            "",
            "closed by the server; the answer is not complete",
        ),
        (
            "* half\n",
            "half\n",
            "closed by the server; the answer is not complete",
        ),
        (
            "* half\n* server is shutting down\n",
            "half\nserver is shutting down\n",
            "the server ends; the answer is not complete",
        ),
    ] {
        let scratch = Scratch::new();
        let path = scratch.path("fake");
        let server = fake(&path, answer);
        let ran = ctl(&path, &["bans"]);
        assert_eq!(server.join().expect("the fake server"), ["/bans", "/quit"]);
        assert_eq!(
            (ran.code, &*ran.stdout),
            (Some(i32::from(!why.is_empty())), stdout),
            "{ran:?}"
        );
        assert!(
            ran.stderr.contains(why) && ran.stderr.is_empty() == why.is_empty(),
            "{ran:?}"
        );
    }
}

#[test]
fn hundreds_of_clients_are_listed() {
    let (server, path, _scratch) = with_control(&[]);
    let clients: Vec<Client> = (0..400).map(|_| Client::open(server.addr())).collect();
    until("all are connected", || {
        done(&path, &["clients", "--slow"]) == "clients: 0 listed of 401 connected\n"
    });
    let list = done(&path, &["clients"]);
    assert_eq!(list.lines().count(), 402);
    assert!(list.ends_with("clients: 401 listed of 401 connected\n"));
    let json = json_of(&path, &["clients"]);
    let mut numbers: Vec<_> = json
        .as_array()
        .expect("an array")
        .iter()
        .map(|it| it["number"].as_u64())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 401);
    // A reader that has seen enough is no error.
    let place = format!("unix:{}", path.display());
    let script = r#"("$0" ctl --control "$1" clients; echo "exit $?" >&2) | true"#;
    let cut = Command::new("sh")
        .args(["-c", script, PROGRAM, &place])
        .output();
    assert_eq!(Ran::from(cut.expect("run sh")).stderr, "exit 0\n");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("open");
    let full = program()
        .args(["--control", &place, "bans"])
        .stdout(full)
        .output();
    let full = Ran::from(full.expect("run madang"));
    assert_eq!(full.code, Some(1));
    assert!(
        full.stderr
            .starts_with("madang: cannot write to standard output: "),
        "{full:?}"
    );
    drop(clients);
}

#[test]
fn a_server_is_shut_down_and_drained() {
    for command in ["shutdown", "drain"] {
        let (mut server, path, _scratch) = with_control(&[]);
        let ran = ctl(&path, &[command]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
        assert_eq!(server.wait_exit().code(), Some(0));
    }
    let (mut server, path, _scratch) = with_control(&[]);
    let kim = Client::connect_named(server.addr(), "kim");
    let told = done(&path, &["drain"]);
    assert_eq!(
        told,
        "no newcomers any more; the server ends when all have left; clients: 1\n"
    );
    assert!(done(&path, &["clients"]).contains("name kim"));
    kim.say("/quit");
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn top_writes_one_table_where_there_is_no_terminal() {
    let (server, path, _scratch) = with_control(&[]);
    let kim = Client::connect_named(server.addr(), "kim");
    let flood = thread::spawn({
        let writer = kim.writer();
        move || {
            let mut writer = writer;
            while writer.write_all(b"hello\n").is_ok() {
                thread::yield_now();
            }
        }
    });
    let table = done(&path, &["top"]);
    let place = format!("unix:{}", path.display());
    assert!(
        table.starts_with(&format!("{place}   connections 2")),
        "{table}"
    );
    assert!(
        !table.contains('\x1b') && !table.contains("q: leave"),
        "{table}"
    );
    for head in ["FURTHEST BEHIND", "BUSIEST CLIENTS", "BUSIEST ROOMS"] {
        assert_eq!(table.matches(head).count(), 1, "{table}");
    }
    let row = table.lines().find(|line| line.starts_with("kim "));
    assert!(row.is_some_and(|row| row.contains("B/s")), "{table}");
    assert!(ctl(&path, &["kick", "kim"]).code == Some(0));
    flood.join().expect("the flood");
    drop(server);
    assert_eq!(ctl(&path, &["top"]).code, Some(1));
}
