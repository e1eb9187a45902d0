//! `madang join` as a pipe: standard input is sent, received lines are printed, and the exit status tells how it ended.

use crate::common::{Client, DEADLINE, Program, SILENCE, Scratch, Server, resident_bytes, until};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// `madang join` with pipes as standard input and standard error, and with this standard output.
fn join_into(stdout: Stdio, address: impl ToString) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    command.args(["join", &address.to_string()]).stdout(stdout);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("spawn")
}

const GREETING: &str = "* you are guest1 in lobby (1 here); /help lists commands";

/// A server of another kind: it sends only what the test wants.
struct ForeignServer(TcpListener);

impl ForeignServer {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("bind"))
    }

    fn address(&self) -> String {
        self.0.local_addr().expect("an address").to_string()
    }

    fn accept(&self) -> TcpStream {
        let (socket, _) = self.0.accept().expect("accept");
        socket.set_read_timeout(Some(DEADLINE)).expect("timeout");
        socket
    }

    /// Accepts, and greets as madang does.
    fn greet(&self) -> TcpStream {
        let mut socket = self.accept();
        socket.write_all(GREETING.as_bytes()).expect("write");
        socket.write_all(b"\n").expect("write");
        socket
    }
}

#[test]
fn one_line_without_a_newline_is_sent() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut echo = Program::join(server.addr(), &[]);
    echo.type_bytes("안녕, no newline".as_bytes());
    echo.end_input();
    ann.expect("guest2: 안녕, no newline");
    assert!(echo.wait_exit().success());
    let greeting = "* you are guest2 in lobby (2 here); /help lists commands";
    assert_eq!(echo.rest(), [greeting]);
    assert_eq!(echo.complaints(), [""; 0]);
}

#[test]
fn many_lines_are_sent_in_order_and_lines_come_back() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut pipe = Program::join(server.addr(), &["--nick", "pipe", "--room", "lobby"]);
    let lines: String = (0..5000).map(|n| format!("line {n}\r\n")).collect();
    pipe.type_bytes(lines.as_bytes());
    pipe.type_bytes(b"/rooms\n");
    for n in 0..5000 {
        ann.expect(&format!("pipe: line {n}"));
    }
    ann.say("and back");
    pipe.find_line("ann: and back");
    pipe.end_input();
    assert!(pipe.wait_exit().success());
}

#[test]
fn name_and_room_are_requested_before_lines_are_sent() {
    let scratch = Scratch::new();
    let address = format!("unix:{}", scratch.path("socket").display());
    let server = Server::start(&["--listen", "127.0.0.1:0", "--listen", &address]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    ann.join("garden", 1);
    let mut kim = Program::join(&address, &["--nick", "kim", "--room", "garden"]);
    kim.type_line("/msg ann psst");
    kim.type_line("hello garden");
    ann.expect("kim -> you: psst");
    ann.expect("kim: hello garden");
    kim.find_line("you -> ann: psst");
    kim.type_line("/quit");
    kim.find_line("* you left; goodbye");
    assert!(kim.wait_exit().success(), "/quit is a success");
}

#[test]
fn a_server_that_cannot_be_reached_is_reported_in_one_line() {
    // Closed at once: nothing listens there any more.
    let closed = ForeignServer::new().address();
    for (address, why) in [
        (closed.as_str(), "connection refused"),
        ("unix:/nowhere/socket", "no such socket"),
    ] {
        let mut join = Program::join(address, &[]);
        assert_eq!(join.wait_exit().code(), Some(1));
        let complaint = format!("madang: cannot join {address}: {why}; is the server running?");
        assert_eq!(join.complaints(), [complaint]);
        assert_eq!(join.rest(), [""; 0]);
    }
}

#[test]
fn a_connection_that_is_lost_is_an_error() {
    let foreign = ForeignServer::new();
    let mut join = Program::join(foreign.address(), &[]);
    let mut socket = foreign.greet();
    socket.write_all(b"a line\nhalf a li").expect("write");
    socket.shutdown(Shutdown::Both).expect("shutdown");
    assert_eq!(join.wait_exit().code(), Some(1));
    assert_eq!(join.rest(), [GREETING, "a line", "half a li"]);
    let why = "is lost: closed by the server";
    let complaint = format!("madang: the connection to {} {why}", foreign.address());
    assert_eq!(join.complaints(), [complaint]);
}

#[test]
fn after_the_end_of_input_received_lines_are_still_printed() {
    let foreign = ForeignServer::new();
    let mut join = Program::join(foreign.address(), &[]);
    let mut socket = foreign.greet();
    join.type_line("last words");
    join.end_input();
    let mut received = String::new();
    socket.read_to_string(&mut received).expect("a FIN");
    assert_eq!(received, "last words\n");
    socket.write_all(b"what still comes\n").expect("write");
    join.find_line("what still comes");
    drop(socket);
    assert!(join.wait_exit().success());
}

#[test]
fn control_characters_from_the_server_are_not_printed() {
    let foreign = ForeignServer::new();
    let mut join = Program::join(foreign.address(), &["--color", "never"]);
    let mut socket = foreign.greet();
    let attack = b"\x1b]0;owned\x07\x1b[2J\x1b[6n\x9b0c\xe2\x80\xae\rover\x08\n";
    socket.write_all(attack).expect("write");
    let endless = vec![b'x'; 3 << 20];
    socket.write_all(&endless).expect("write");
    socket.write_all(b"\nnext\n").expect("write");
    join.find_line("␛]0;owned␇␛[2J␛[6n\u{fffd}0c\u{fffd}␍over␈");
    join.find_line("-- line not shown: longer than 1,048,576 bytes");
    join.find_line("next");
    let resident = resident_bytes(join.id());
    assert!(resident < 32 << 20, "{resident} bytes");
}

#[test]
fn colours_and_timestamps_are_shown_with_their_flags() {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut plain = Program::join(server.addr(), &[]);
    plain.greeted();
    let mut colored = Program::join(server.addr(), &["--color", "always", "--timestamps"]);
    let greeting = colored.find("a greeting", |line| line.contains("you are guest3"));
    assert!(greeting.starts_with("\x1b[2m"), "{greeting:?}");
    assert_eq!(&greeting[6..7], ":", "a time: {greeting:?}");
    ann.say("hello");
    plain.find_line("ann: hello");
    let is_coloured = |line: &str| line.contains("mann\x1b[0m: hello") && line.contains("\x1b[3");
    colored.find("a colour", is_coloured);
}

#[test]
fn a_closed_reader_of_standard_output_ends_the_program() {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut child = join_into(Stdio::piped(), server.addr());
    let mut head = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    head.read_line(&mut line).expect("a line");
    assert!(line.starts_with("* you are guest2"), "{line}");
    drop(head);
    let mut status = None;
    until("the program's exit", || {
        ann.say("anybody?");
        status = child.try_wait().expect("wait");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()));
}

#[test]
fn a_stalled_reader_of_standard_output_costs_bounded_memory() {
    let foreign = ForeignServer::new();
    let mut child = join_into(Stdio::piped(), foreign.address());
    let mut socket = foreign.greet();
    socket.set_nonblocking(true).expect("nonblocking");
    let line = [b"x".repeat(999), b"\n".to_vec()].concat().repeat(64);
    let mut sent = 0;
    // Fill all buffers: the pipe's, the client's, the sockets'.
    let mut last_taken = Instant::now();
    until("nothing more is taken", || {
        if let Ok(n) = socket.write(&line) {
            (sent, last_taken) = (sent + n, Instant::now());
        }
        last_taken.elapsed() > SILENCE
    });
    let resident = resident_bytes(child.id());
    assert!(resident < 32 << 20, "{resident} after {sent} bytes");
    child.kill().expect("kill");
    child.wait().expect("wait");
}

#[test]
#[cfg(target_os = "linux")]
fn a_write_error_on_standard_output_is_reported_unless_its_reader_is_gone() {
    let server = Server::start(&[]);
    let full = || Stdio::from(File::create("/dev/full").expect("a full device"));
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    for (stdout, code) in [(full(), 1), (closed(), 0)] {
        let mut join = join_into(stdout, server.addr());
        let mut complaint = String::new();
        let mut stderr = join.stderr.take().expect("standard error");
        stderr.read_to_string(&mut complaint).expect("UTF-8");
        assert_eq!(join.wait().expect("exit").code(), Some(code));
        assert_eq!(complaint.is_empty(), code == 0, "{complaint}");
    }
}

/// Runs `madang join` with this input. Returns its status, its output, and its complaints.
fn run(
    address: impl ToString,
    flags: &[&str],
    input: &[u8],
) -> (Option<i32>, Vec<String>, Vec<String>) {
    let mut join = Program::join(address, flags);
    join.offer_bytes(input);
    join.end_input();
    let status = join.wait_exit().code();
    (status, join.rest(), join.complaints())
}

/// The next line that a person says.
fn said_to(client: &mut Client) -> String {
    loop {
        let line = client.line();
        if !line.starts_with("* ") {
            return line;
        }
    }
}

#[test]
fn nothing_is_said_if_the_name_or_the_room_is_refused() {
    let server = Server::start(&["--max-rooms", "1"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    for (flags, why) in [
        (["--nick", "ann"], "name not changed: ann is in use"),
        (
            ["--nick", "system"],
            "name not changed: that name is the server's own",
        ),
        (
            ["--room", "pond"],
            "room not changed: there are 1 rooms already: join one of them",
        ),
        (
            ["--room", "?"],
            "room not changed: a name has letters, digits, '-', '_' and '.', not U+003F ('?')",
        ),
    ] {
        let (status, output, complaints) =
            run(server.addr(), &flags, b"the code is 4711\nand more");
        assert_eq!(status, Some(1));
        assert_eq!(output[1..], [format!("! {why}")]);
        assert_eq!(complaints, [format!("madang: {why}; nothing was sent")]);
    }
    // Each spelling of a room is that room.
    let (status, _, complaints) = run(server.addr(), &["--room", "LOBBY"], b"the end");
    assert_eq!((status, complaints), (Some(0), vec![]));
    let line = said_to(&mut ann);
    assert!(line.ends_with(": the end"), "{line}");
}

#[test]
fn nothing_is_said_after_a_refused_request_among_the_lines() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    for request in [
        &b"/join ?"[..],
        b"/JOIN",
        b"/nick ann",
        b"/nick\r",
        b"/join \xff",
    ] {
        let input = [b"before\n", request, b"\nthe code is 4711\n"].concat();
        let request = String::from_utf8_lossy(request);
        let (status, _, complaints) = run(server.addr(), &[], &input);
        assert_eq!(status, Some(1), "{request}");
        let [complaint] = &complaints[..] else {
            panic!("{request}: {complaints:?}")
        };
        assert!(
            complaint.ends_with("; nothing after that was sent"),
            "{complaint}"
        );
        let line = said_to(&mut ann);
        assert!(line.ends_with(": before"), "{line}");
    }
    let (status, ..) = run(
        server.addr(),
        &[],
        b"/nick kim\nthe name is mine\n/join pond\nnot here",
    );
    assert_eq!(status, Some(0));
    let line = said_to(&mut ann);
    assert_eq!(line, "kim: the name is mine");
}

#[test]
fn a_refused_line_is_reported_and_the_others_are_sent() {
    let server = Server::start(&["--max-line", "512"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let long = "x".repeat(513);
    for (line, why) in [
        (
            &b"/msg nobody psst"[..],
            "line not sent: nobody is called nobody",
        ),
        (b"\xff", "line not sent: not UTF-8 at byte 1"),
        (long.as_bytes(), "line not sent: longer than 512 bytes"),
        (
            b"/foo",
            "unknown command /foo: /help lists commands, //foo says it as text",
        ),
        (b"/me", "usage: /me ACTION"),
    ] {
        let input = [line, b"\nthe other line\n"].concat();
        let (status, output, complaints) = run(server.addr(), &[], &input);
        assert_eq!(status, Some(1), "{why}");
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        let (word, _) = why.split_once(':').expect("a colon");
        assert!(
            complaints[0].starts_with(&format!("madang: {word}")),
            "{complaints:?}"
        );
        assert!(
            output.iter().any(|line| line.starts_with("! ")),
            "as received"
        );
        let line = said_to(&mut ann);
        assert!(line.ends_with(": the other line"), "{line}");
    }
}

#[test]
fn a_byte_order_mark_hides_no_command() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let input = "\u{feff}/msg ann the password\n".as_bytes();
    let (status, ..) = run(server.addr(), &["--nick", "kim"], input);
    assert_eq!(status, Some(0));
    let line = said_to(&mut ann);
    assert_eq!(line, "kim -> you: the password");
}

#[test]
fn a_server_of_another_kind_is_reported_and_is_sent_nothing() {
    for (greeting, why) in [
        (
            &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
            "it says \"SSH-2.0-OpenSSH_9.6\" instead of a greeting",
        ),
        (
            b"220 mail ESMTP",
            "it says \"220 mail ESMTP\" instead of a greeting",
        ),
        (b"\x1b[2J\n", "it says \"␛[2J\" instead of a greeting"),
        (
            b"* OK IMAP4rev1\n",
            "it has closed the connection without a greeting; if it speaks TLS, write tls: before its address",
        ),
        (
            b"",
            "it has closed the connection without a greeting; if it speaks TLS, write tls: before its address",
        ),
        (
            b"\x15\x03\x03\x00\x02\x02\x50",
            "it speaks TLS; write tls: before its address",
        ),
    ] {
        let foreign = ForeignServer::new();
        let mut join = Program::join(foreign.address(), &["--nick", "kim"]);
        join.type_line("the code is 4711");
        let mut socket = foreign.accept();
        socket.write_all(greeting).expect("write");
        socket.shutdown(Shutdown::Write).expect("shutdown");
        let mut received = Vec::new();
        let _ = socket.read_to_end(&mut received);
        assert_eq!(received, b"");
        assert_eq!(join.wait_exit().code(), Some(1));
        let complaint = format!(
            "madang: {} is not a madang server: {why}",
            foreign.address()
        );
        assert_eq!(join.complaints(), [complaint]);
    }
}

#[test]
fn a_server_that_says_nothing_is_reported() {
    let foreign = ForeignServer::new();
    let (status, _, complaints) = run(foreign.address(), &[], b"the code is 4711\n");
    assert_eq!(status, Some(1));
    let why = "is not a madang server: it has not greeted within 10 s; \
               if it speaks TLS, write tls: before its address";
    assert_eq!(complaints, [format!("madang: {} {why}", foreign.address())]);
}

#[test]
fn a_server_that_closes_the_connection_says_why() {
    let foreign = ForeignServer::new();
    for line in [
        "server is full: 3 connections; try again later",
        "closed: nothing received for 60 s",
    ] {
        let mut join = Program::join(foreign.address(), &[]);
        let mut socket = foreign.greet();
        writeln!(socket, "! {line}").expect("write");
        drop(socket);
        assert_eq!(join.wait_exit().code(), Some(1));
        assert_eq!(join.complaints(), [format!("madang: {line}")]);
    }
    let mut join = Program::join(foreign.address(), &[]);
    let mut socket = foreign.greet();
    join.type_line("perhaps");
    join.end_input();
    let mut received = String::new();
    socket.read_to_string(&mut received).expect("a FIN");
    socket
        .write_all(b"* server is shutting down\n")
        .expect("write");
    drop(socket);
    assert_eq!(
        join.wait_exit().code(),
        Some(1),
        "nobody knows whether it was said"
    );
}

#[test]
fn a_closed_reader_ends_the_program_in_silence_and_what_was_read_is_sent() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut child = join_into(Stdio::piped(), server.addr());
    let mut head = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    head.read_line(&mut line).expect("a line");
    let stdin = child.stdin.as_mut().expect("a pipe");
    stdin.write_all(b"the last line\n").expect("write");
    let said = said_to(&mut ann);
    assert!(said.ends_with(": the last line"), "{said}");
    // Its input stays open, and the server says nothing more.
    drop(head);
    let mut status = None;
    until("the program's exit", || {
        status = child.try_wait().expect("wait");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()));
}

#[test]
fn history_has_no_times() {
    let foreign = ForeignServer::new();
    let mut join = Program::join(foreign.address(), &["--timestamps"]);
    let mut socket = foreign.greet();
    socket
        .write_all(b"* the last line:\nann: before\n* now\nann: after\n")
        .expect("write");
    join.find("a greeting", |line| line.ends_with("/help lists commands"));
    join.find("a time", |line| {
        line.ends_with(" * the last line:") && &line[2..3] == ":"
    });
    join.find_line("      ann: before");
    join.find("a time", |line| {
        line.ends_with(" * now") && &line[2..3] == ":"
    });
    join.find("a time", |line| {
        line.ends_with(" ann: after") && &line[2..3] == ":"
    });
    drop(socket);
}
