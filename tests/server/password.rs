//! A server that asks for a password, over real sockets: what nc, telnet and probes see, its file and its reload, the
//! terminal client and the load generator.

use crate::common::{
    Client, Launch, Next, Program, SILENCE, Scratch, Server, assert_refused, sound, until,
    with_control,
};
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ASKED: &str = "* this server asks for a password: send /pass SECRET within 30 s";
const FIRST: &str = "! line not read: this server asks for a password first; send /pass SECRET";

/// A file with a password, and the directory in which it is.
fn file_with(password: &str) -> (PathBuf, Scratch) {
    let scratch = Scratch::new();
    let path = scratch.path("password");
    write(&path, password);
    (path, scratch)
}

fn write(path: &Path, password: &str) {
    fs::write(path, password).expect("a file");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("a mode");
}

fn asking(flags: &[&str]) -> (Server, PathBuf, Scratch) {
    let (path, scratch) = file_with("open sesame\n");
    let flags = [flags, &["--password-file", path.to_str().expect("UTF-8")]].concat();
    (Server::start(&flags), path, scratch)
}

/// Runs `madang` with this standard input.
fn madang(arguments: &[&str], stdin: &str, password: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    command
        .args(arguments)
        .env_remove("MADANG_PASSWORD")
        .env_remove("MADANG_PASSWORD_FILE");
    if let Some(password) = password {
        command.env("MADANG_PASSWORD", password);
    }
    let scratch = Scratch::new();
    let input = scratch.path("input");
    fs::write(&input, stdin).expect("a file");
    command.stdin(Stdio::from(fs::File::open(input).expect("a file")));
    command.output().expect("madang runs")
}

#[test]
fn nothing_is_shown_before_the_password_and_what_follows_it_counts() {
    let (server, _, _scratch) = asking(&["--history", "5"]);
    let mut kim = Client::open(server.addr());
    kim.expect(ASKED);
    kim.send(b"/pass open sesame\n/nick kim\nhello\n/who\n");
    let mut kim = kim.greeted();
    kim.expect("* you are now kim");
    kim.expect("* here in lobby: kim (1)");
    let mut stranger = Client::open(server.addr());
    stranger.expect(ASKED);
    for line in ["hello", "/who", "open sesame", "/msg kim hi"] {
        stranger.say(line);
        stranger.expect(FIRST);
    }
    kim.say("nobody else hears this");
    kim.say("/who");
    kim.expect("* here in lobby: kim (1)");
    stranger.expect_silence(SILENCE);
    stranger.say("/pass wrong");
    stranger.expect("! wrong password");
    stranger.trickle(b"/pass open sesame\r\n");
    stranger.expect("* you are guest2 in lobby (2 here); /help lists commands");
    stranger.expect("* the last 2 lines:");
    stranger.say("/quit");
    stranger.find("* you left; goodbye");
}

#[test]
fn tries_are_counted_by_address_and_the_connection_is_closed() {
    let (server, _, _scratch) = asking(&[]);
    let mut first = Client::open(server.addr());
    first.expect(ASKED);
    for _ in 0..5 {
        first.say("/pass wrong");
        first.expect("! wrong password");
    }
    let mut second = Client::open(server.addr());
    second.expect(ASKED);
    second.say("/pass open sesame");
    second.expect("! closed: too many wrong passwords from your address; try again in a minute");
    second.expect_end();
    until("the reason in the log", || {
        server.log().contains("reason=\"no password\"")
    });
    assert!(!server.log().contains("sesame"), "{}", server.log());
}

#[test]
fn a_kilobyte_before_the_password_ends_the_connection() {
    let (server, _, _scratch) = asking(&[]);
    let mut client = Client::open(server.addr());
    client.expect(ASKED);
    client.send(&[b'x'; 4000]);
    client.expect("! closed: no password within 1,024 bytes");
    client.expect_end();
}

#[test]
fn other_protocols_are_named_and_a_unix_socket_asks_too() {
    let scratch = Scratch::new();
    let path = scratch.path("chat.sock");
    let place = format!("unix:{}", path.display());
    let (server, _, _scratch) = asking(&["--listen", "127.0.0.1:0", "--listen", &place]);
    let mut browser = Client::open(server.addr());
    browser.expect(ASKED);
    browser.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    browser.expect("! this port speaks lines of text, not HTTP");
    browser.expect_end();
    let mut tls = Client::open(server.addr());
    tls.expect(ASKED);
    tls.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert!(tls.expect_start("! this port speaks").contains("TLS"));
    let mut local = Client::open_unix(&path);
    local.expect(ASKED);
    local.say("/pass open sesame");
    local.greeted();
}

#[test]
fn operators_are_not_asked() {
    let (path, _scratch) = file_with("x");
    let (_server, control, _dir) =
        with_control(&["--password-file", path.to_str().expect("UTF-8")]);
    let mut operator = Client::open_unix(&control);
    operator.expect_start("* you are guest1 in no room");
}

#[test]
fn a_file_without_a_password_is_an_error_that_says_what_to_do() {
    let (path, scratch) = file_with("");
    let file = path.to_str().expect("UTF-8");
    let failed = |flags: &[&str]| {
        let failure = Launch::new(flags).fail();
        assert_eq!(failure.code, Some(1));
        failure.stderr
    };
    for (content, why) in [
        ("", "it is empty: it must have the password, on one line"),
        ("one\ntwo\n", "it has more than one line"),
        (" x\n", "begins or ends with a space"),
    ] {
        write(&path, content);
        let said = failed(&["--password-file", file]);
        assert!(said.contains(why) && said.contains(file), "{said}");
    }
    let missing = scratch.path("missing");
    let said = failed(&["--password-file", missing.to_str().expect("UTF-8")]);
    assert!(said.contains("No such file"), "{said}");
    write(&path, "sesame\n");
    let said = failed(&[
        "--listen",
        "127.0.0.1:0",
        "--listen-raw",
        "127.0.0.1:0",
        "--password-file",
        file,
    ]);
    assert!(
        said.contains("raw clients cannot be asked for the password"),
        "{said}"
    );
    let long = "x".repeat(40);
    write(&path, &long);
    let said = failed(&["--max-line", "32", "--password-file", file]);
    assert!(
        said.contains("--max-line 32 is too short") && !said.contains(&long),
        "{said}"
    );
    let check = madang(&["check", "--password-file", "/"], "", None);
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(said.contains("--password-file /: it is no file"), "{said}");
}

#[test]
fn the_password_is_printed_nowhere_and_an_open_file_is_warned_of() {
    let (path, _scratch) = file_with("sesame street\n");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("a mode");
    let file = path.to_str().expect("UTF-8");
    let server = Server::start(&["--log-level", "trace", "--password-file", file]);
    let warning = format!("others on this machine can read the password: chmod 600 {file}");
    until("a warning", || server.log().contains(&warning));
    let mut client = Client::open(server.addr());
    client.expect(ASKED);
    client.send(b"sesame street\n/pass sesame stree\n/pass sesame street\n/lock sesame\n/join pond sesame\n");
    client.find("* you are in pond (1 here)");
    client.say("/quit");
    until("its end", || server.log().contains("disconnected"));
    let printed = madang(
        &["serve", "--print-config", "--password-file", file],
        "",
        None,
    );
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("password-file = "), "{printed}");
    for text in [printed, server.log()] {
        assert!(!text.contains("sesame"), "{text}");
    }
}

#[test]
fn a_reload_takes_a_new_password_and_keeps_the_old_one_if_the_file_is_bad() {
    let (server, path, _scratch) = asking(&[]);
    let try_password = |password: &str, answer: &str| {
        let mut client = Client::open(server.addr());
        client.expect(ASKED);
        client.say(&format!("/pass {password}"));
        client.expect_start(answer);
        client
    };
    let mut kim = try_password("open sesame", "* you are guest1");
    write(&path, "new\n");
    server.signal(Signal::HUP);
    until("the change", || {
        server
            .log()
            .contains("the password has changed: newcomers must say the new one")
    });
    let _ = try_password("open sesame", "! wrong password");
    let _lee = try_password("new", "* you are guest2");
    write(&path, "");
    server.signal(Signal::HUP);
    until("the mistake", || {
        server
            .log()
            .contains("not reloaded, everything stays as it was: --password-file")
    });
    let _eve = try_password("new", "* you are guest3");
    kim.say("/pass x");
    kim.expect("* no password is asked of you: you are in already");
}

#[test]
fn a_password_that_is_set_while_the_server_runs_is_asked_of_newcomers() {
    let (path, scratch) = file_with("sesame");
    let config = scratch.path("madang.toml");
    fs::write(&config, "listen = [\"127.0.0.1:0\"]\n").expect("a file");
    let flags = ["--no-sandbox", "--config", config.to_str().expect("UTF-8")];
    let server = Server::start(&flags);
    let mut kim = Client::connect_named(server.addr(), "kim");
    let key = format!(
        "listen = [\"127.0.0.1:0\"]\npassword-file = \"{}\"\n",
        path.display()
    );
    fs::write(&config, key).expect("a file");
    server.signal(Signal::HUP);
    until("the change", || {
        server
            .log()
            .contains("newcomers are asked for the password")
    });
    let mut stranger = Client::open(server.addr());
    stranger.expect(ASKED);
    kim.say("still here");
    assert_eq!(kim.count_members(), 1);
    stranger.say("/pass sesame");
    stranger.greeted();
}

#[test]
fn the_terminal_client_as_a_pipe_says_the_password_and_fails_with_a_wrong_one() {
    let (server, path, scratch) = asking(&["--history", "9"]);
    let addr = server.addr().to_string();
    let wrong = scratch.path("wrong");
    write(&wrong, "wrong\n");
    let joined = |flags: &[&str], stdin: &str, password: Option<&str>| {
        let output = madang(&[&["join", &addr], flags].concat(), stdin, password);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let right = [
        "--password-file",
        path.to_str().expect("UTF-8"),
        "--nick",
        "kim",
    ];
    assert_eq!(
        joined(&right, "by a file\n", None),
        (Some(0), String::new())
    );
    assert_eq!(
        joined(&[], "by a variable\n", Some("open sesame")),
        (Some(0), String::new())
    );
    assert_eq!(
        joined(&[], "/pass open sesame\nby hand\n", None),
        (Some(0), String::new())
    );
    let flags = ["--password-file", wrong.to_str().expect("UTF-8")];
    let (code, said) = joined(&flags, "not said\n", Some("open sesame"));
    assert_eq!(
        (code, &*said),
        (Some(1), "madang: wrong password; nothing was sent\n")
    );
    let (code, said) = joined(&[], "not said\n", None);
    let what = "madang: the server asks for a password: give --password-file FILE, or set MADANG_PASSWORD; nothing was sent\n";
    assert_eq!((code, &*said), (Some(1), what));
    let (code, said) = joined(&["--password-file", "/nonexistent"], "x\n", None);
    assert!(
        code == Some(1) && said.contains("--password-file /nonexistent"),
        "{said}"
    );
    let mut last = Client::open(server.addr());
    last.expect(ASKED);
    last.say("/pass open sesame");
    let lines = last.find("* now");
    for said in ["kim: by a file", "guest2: by a variable", "guest3: by hand"] {
        assert!(lines.iter().any(|line| line == said), "{lines:?}");
    }
    assert!(
        !lines.iter().any(|line| line.contains("not said")),
        "{lines:?}"
    );
}

#[test]
fn a_password_is_not_sent_to_a_server_that_does_not_ask() {
    let server = Server::start(&["--log-level", "debug"]);
    let output = madang(
        &["join", &server.addr().to_string()],
        "hello\n",
        Some("sesame"),
    );
    assert_eq!(output.status.code(), Some(0));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!shown.contains("password"), "{shown}");
}

#[cfg(feature = "bench")]
#[test]
fn the_load_generator_says_the_password() {
    let (server, path, _scratch) = asking(&[]);
    let file = path.to_str().expect("UTF-8");
    let addr = server.addr().to_string();
    sound(
        &addr,
        &format!("--clients 80 --lines 50 --password-file {file}"),
    );
    let what = "the server asks for a password: give --password-file FILE";
    assert_refused(&addr, "--lines 5", &[what]);
}

#[test]
fn strangers_are_counted_for_monitoring() {
    let (server, _, _scratch) = asking(&["--metrics", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let mut stranger = Client::open(server.addr());
    stranger.expect(ASKED);
    stranger.say("/pass no");
    stranger.expect("! wrong password");
    let mut page = Client::open(server.metrics_addr());
    page.send(b"GET /metrics HTTP/1.0\r\n\r\n");
    for figure in [
        &b"\nmadang_strangers 1\n"[..],
        b"\nmadang_wrong_secrets_total 1\n",
    ] {
        page.bytes_until(figure);
    }
    assert!(matches!(stranger.next(SILENCE), Next::Silence));
}

#[test]
#[ignore = "needs nc and telnet"]
fn nc_and_telnet_are_told_what_to_do() {
    let (server, _, _scratch) = asking(&[]);
    let addr = server.addr();
    let port = addr.port().to_string();
    for program in ["nc", "telnet"] {
        let mut client = Program::start(program, &["127.0.0.1", &port]);
        client.find_line(ASKED);
        client.type_line("hello");
        client.find_line(FIRST);
        client.type_line("/pass open sesame");
        client.find("a greeting", |line| line.starts_with("* you are guest"));
        client.type_line("/quit");
        client.find_line("* you left; goodbye");
    }
}
