//! `madang join` where it is a pipe: what goes in is sent, what comes is printed, and the exit status tells how it ended.

mod common;

use common::{Client, DEADLINE, Program, Scratch, Server, resident_bytes, until};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_madang");

/// `madang join` on this server, with these flags.
fn join(server: &Server, flags: &[&str]) -> Program {
    join_at(&server.addr().to_string(), flags)
}

fn join_at(address: &str, flags: &[&str]) -> Program {
    Program::start(PROGRAM, &[&["join", address], flags].concat())
}

/// A server that says what the test wants it to say.
struct Stranger(TcpListener);

impl Stranger {
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
}

#[test]
fn one_line_is_said_and_all_that_is_owed_is_printed() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut echo = join(&server, &[]);
    echo.type_bytes("안녕, no newline".as_bytes());
    echo.end_input();
    ann.expect("guest2: 안녕, no newline");
    assert!(echo.wait_exit().success());
    assert_eq!(
        echo.rest(),
        ["* you are guest2 in lobby (2 here); /help lists commands"]
    );
    assert_eq!(echo.complaints(), [""; 0]);
}

#[test]
fn many_lines_pass_in_order_and_the_answer_to_the_last_arrives() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut pipe = join(&server, &["--nick", "pipe", "--room", "lobby"]);
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
fn the_name_and_the_room_are_taken_first() {
    let scratch = Scratch::new();
    let place = format!("unix:{}", scratch.path("yard").display());
    let server = Server::start(&["--listen", "127.0.0.1:0", "--listen", &place]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    ann.say("/join garden");
    ann.expect("* you are in garden (1 here)");
    let mut kim = join_at(&place, &["--nick", "kim", "--room", "garden"]);
    kim.type_line("/msg ann psst");
    kim.type_line("hello garden");
    ann.expect("kim -> you: psst");
    ann.expect("kim: hello garden");
    kim.find_line("you -> ann: psst");
    kim.type_line("/quit");
    kim.find_line("* you left; goodbye");
    assert!(kim.wait_exit().success(), "its end was asked for");
}

#[test]
fn whoever_cannot_be_reached_is_told_in_one_line() {
    let nobody = Stranger::new().address();
    for (address, why) in [
        (nobody.as_str(), "nobody listens there"),
        ("unix:/nowhere/yard", "there is no such socket"),
    ] {
        let mut join = join_at(address, &[]);
        assert_eq!(join.wait_exit().code(), Some(1));
        let complaint = format!("madang: cannot join {address}: {why}");
        assert_eq!(join.complaints(), [complaint]);
        assert_eq!(join.rest(), [""; 0]);
    }
}

#[test]
fn a_connection_that_is_lost_is_an_error() {
    let stranger = Stranger::new();
    let mut join = join_at(&stranger.address(), &[]);
    let mut socket = stranger.accept();
    socket.write_all(b"a line\nhalf a li").expect("write");
    socket.shutdown(Shutdown::Both).expect("shutdown");
    assert_eq!(join.wait_exit().code(), Some(1));
    assert_eq!(join.rest(), ["a line", "half a li"]);
    let why = "is lost: the server has ended it";
    let complaint = format!("madang: the connection to {} {why}", stranger.address());
    assert_eq!(join.complaints(), [complaint]);
}

#[test]
fn its_end_of_input_is_the_server_s_to_answer() {
    let stranger = Stranger::new();
    let mut join = join_at(&stranger.address(), &[]);
    let mut socket = stranger.accept();
    join.type_line("last words");
    join.end_input();
    let mut heard = String::new();
    socket.read_to_string(&mut heard).expect("its end");
    assert_eq!(heard, "last words\n");
    socket.write_all(b"what still comes\n").expect("write");
    join.find_line("what still comes");
    drop(socket);
    assert!(join.wait_exit().success());
}

#[test]
fn a_hostile_server_prints_no_control_character() {
    let stranger = Stranger::new();
    let mut join = join_at(&stranger.address(), &["--color", "never"]);
    let mut socket = stranger.accept();
    let attack = b"\x1b]0;owned\x07\x1b[2J\x1b[6n\x9b0c\xe2\x80\xae\rover\x08\n";
    socket.write_all(attack).expect("write");
    let endless = vec![b'x'; 3 << 20];
    socket.write_all(&endless).expect("write");
    socket.write_all(b"\nnext\n").expect("write");
    join.find_line("␛]0;owned␇␛[2J␛[6n\u{fffd}0c\u{fffd}␍over␈");
    join.find_line("-- a line of more than 1048576 bytes came and is not shown");
    join.find_line("next");
    assert!(
        resident_bytes(join.id()) < 32 << 20,
        "what is too long is not kept"
    );
}

#[test]
fn colours_and_times_are_shown_where_they_are_asked_for() {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut plain = join(&server, &[]);
    plain.greeted();
    let mut colored = join(&server, &["--color", "always", "--timestamps"]);
    let greeting = colored.find("a greeting", |line| line.contains("you are guest3"));
    assert!(greeting.starts_with("\x1b[2m"), "{greeting:?}");
    assert_eq!(&greeting[6..7], ":", "a time: {greeting:?}");
    ann.say("hello");
    plain.find_line("ann: hello");
    colored.find("a colour", |line| {
        line.contains("mann\x1b[0m: hello") && line.contains("\x1b[3")
    });
}

#[test]
fn whoever_has_read_enough_ends_it() {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut child = Command::new(PROGRAM)
        .args(["join", &server.addr().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    let mut head = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    head.read_line(&mut line).expect("a line");
    assert!(line.starts_with("* you are guest2"), "{line}");
    drop(head);
    let mut status = None;
    until("it ends", || {
        ann.say("anybody?");
        status = child.try_wait().expect("wait");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()));
}

#[test]
fn a_reader_that_stops_costs_no_memory() {
    let stranger = Stranger::new();
    let mut child = Command::new(PROGRAM)
        .args(["join", &stranger.address()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    let mut socket = stranger.accept();
    socket.set_nonblocking(true).expect("nonblocking");
    let line = [b"x".repeat(999), b"\n".to_vec()].concat().repeat(64);
    let mut sent = 0;
    // Until nothing fits anywhere any more: the pipe, the client, the sockets.
    let mut refused = 0;
    until("nothing more is taken", || {
        match socket.write(&line) {
            Ok(n) => (sent, refused) = (sent + n, 0),
            Err(_) => refused += 1,
        }
        refused > 10_000
    });
    let resident = resident_bytes(child.id());
    assert!(resident < 32 << 20, "{resident} after {sent} bytes");
    child.kill().expect("kill");
    child.wait().expect("wait");
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_printed_is_an_error_unless_nobody_wants_it() {
    let server = Server::start(&[]);
    let full = || Stdio::from(File::create("/dev/full").expect("a full device"));
    let unread = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    for (stdout, code) in [(full(), 1), (unread(), 0)] {
        let mut join = Command::new(PROGRAM)
            .args(["join", &server.addr().to_string()])
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut complaint = String::new();
        let mut stderr = join.stderr.take().expect("its standard error");
        stderr.read_to_string(&mut complaint).expect("UTF-8");
        assert_eq!(join.wait().expect("its end").code(), Some(code));
        assert_eq!(complaint.is_empty(), code == 0, "{complaint}");
    }
}
