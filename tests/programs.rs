//! Netcat, telnet and socat as real processes: each is greeted, sends and receives lines, and exits as it should.

mod common;

use common::{Client, Program, Scratch, Server};

/// A server, a client named ann, and a program that has connected and been greeted, with its name.
fn with(program: &str, options: &[&str]) -> (Server, Client, Program, String) {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let port = server.addr().port().to_string();
    let mut program = Program::start(program, &[options, &["127.0.0.1", &port]].concat());
    let name = program.greeted();
    (server, ann, program, name)
}

/// The program and ann exchange lines. Then the program's input ends with an unterminated line, and the program exits.
fn assert_talks_and_exits(program: &str, options: &[&str]) {
    let (_server, mut ann, mut program, name) = with(program, options);
    program.type_line("hello there");
    ann.expect(&format!("{name}: hello there"));
    ann.say("안녕하세요");
    program.find_line("ann: 안녕하세요");
    program.type_bytes(b"and the last words");
    program.end_input();
    ann.expect(&format!("{name}: and the last words"));
    program.wait_exit();
    ann.expect_departure(1);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn openbsd_netcat_exits_after_its_input() {
    assert_talks_and_exits("nc", &["-N"]);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn openbsd_netcat_with_crlf_exits_after_its_input() {
    assert_talks_and_exits("nc", &["-C", "-N"]);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn traditional_netcat_exits_after_its_input() {
    assert_talks_and_exits("nc.traditional", &["-q0"]);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn ncat_exits_after_its_input() {
    assert_talks_and_exits("ncat", &[]);
    assert_talks_and_exits("ncat", &["-C"]);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn all_lines_piped_into_netcat_arrive_and_so_do_replies() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let port = server.addr().port().to_string();
    for (program, options) in [
        ("nc", &["-N"][..]),
        ("ncat", &[]),
        ("nc.traditional", &["-q1"]),
    ] {
        let mut pipe = Program::start(program, &[options, &["127.0.0.1", &port]].concat());
        let input: String = (0..500)
            .map(|count| format!("{program} {count}\n"))
            .collect();
        pipe.type_bytes(input.as_bytes());
        pipe.type_bytes(b"/rooms");
        pipe.end_input();
        for count in 0..500 {
            let line = ann.line();
            assert!(line.ends_with(&format!(": {program} {count}")), "{line}");
        }
        pipe.find("the reply to its last line", |line| {
            line.starts_with("* rooms: lobby (")
        });
        pipe.wait_exit();
    }
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn netcat_prints_the_goodbye_and_exits() {
    let (_server, mut ann, mut program, name) = with("nc", &[]);
    program.type_line("/quit bye");
    ann.expect(&format!("{name}: bye"));
    program.find_line("* you left; goodbye");
    // Netcat goes on sending until its own input ends.
    program.end_input();
    program.wait_exit();
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn telnet_talks_and_exits_after_quit() {
    let (_server, mut ann, mut program, name) = with("telnet", &[]);
    program.type_line("hello from a terminal");
    ann.expect(&format!("{name}: hello from a terminal"));
    ann.say("hello terminal");
    program.find_line("ann: hello terminal");
    program.type_line("/quit");
    program.find_line("* you left; goodbye");
    program.wait_exit();
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn telnet_that_negotiates_first_talks_and_exits_after_quit() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    // A minus before the port makes telnet negotiate all of its options first.
    let port = format!("-{}", server.addr().port());
    let mut program = Program::start("telnet", &["--", "127.0.0.1", &port]);
    let name = program.greeted();
    program.type_line("negotiated");
    ann.expect(&format!("{name}: negotiated"));
    ann.say("and refused");
    program.find_line("ann: and refused");
    program.type_line("/quit");
    program.find_line("* you left; goodbye");
    program.wait_exit();
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn socat_talks_over_tcp_and_over_a_unix_socket() {
    let scratch = Scratch::new();
    let place = format!("unix:{}", scratch.path("chat.sock").display());
    let server = Server::start(&["--listen", "127.0.0.1:0", "--listen", &place]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let over_tcp = format!("TCP:127.0.0.1:{}", server.addr().port());
    let over_path = format!("UNIX-CONNECT:{}", server.unix_path().display());
    let mut programs = [over_tcp, over_path].map(|target| Program::start("socat", &["-", &target]));
    for program in &mut programs {
        let name = program.greeted();
        program.type_line("piped");
        ann.expect(&format!("{name}: piped"));
    }
    ann.say("to both");
    for program in &mut programs {
        program.find_line("ann: to both");
        program.end_input();
        program.wait_exit();
    }
}
