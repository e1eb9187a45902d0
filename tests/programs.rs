//! The tools that people have, as real processes: each is greeted, heard, hears, and ends as it should.

mod common;

use common::{Client, Program, Scratch, Server};

/// A server, somebody in it, and a program that has just been let in there.
fn with(program: &str, options: &[&str]) -> (Server, Client, Program, String) {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let port = server.addr().port().to_string();
    let mut program = Program::start(program, &[options, &["127.0.0.1", &port]].concat());
    let name = program.greeted();
    (server, ann, program, name)
}

/// Both hear each other; then the program's input ends with an unterminated line, and it ends too.
fn assert_talks_and_ends(program: &str, options: &[&str]) {
    let (_server, mut ann, mut program, name) = with(program, options);
    program.type_line("hello there");
    ann.expect(&format!("{name}: hello there"));
    ann.say("안녕하세요");
    program.find_line("ann: 안녕하세요");
    program.type_bytes(b"and the last words");
    program.end_input();
    ann.expect(&format!("{name}: and the last words"));
    program.wait_exit();
    let seen = ann.find_announcement(|seen| seen.left > 0);
    assert_eq!((seen.left, seen.here), (1, 1));
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn openbsd_netcat_with_n_ends_after_its_input() {
    assert_talks_and_ends("nc", &["-N"]);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn openbsd_netcat_sends_crlf_with_c() {
    assert_talks_and_ends("nc", &["-C", "-N"]);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn traditional_netcat_with_q0_ends_after_its_input() {
    assert_talks_and_ends("nc.traditional", &["-q0"]);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn ncat_ends_after_its_input() {
    assert_talks_and_ends("ncat", &[]);
    assert_talks_and_ends("ncat", &["-C"]);
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn a_pipe_into_netcat_is_said_whole_and_its_replies_arrive() {
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
fn netcat_ends_when_the_server_ends_it() {
    let (_server, mut ann, mut program, name) = with("nc", &[]);
    program.type_line("/quit bye");
    ann.expect(&format!("{name}: bye"));
    program.find_line("* you left; goodbye");
    // It goes on with the other direction until its own input ends.
    program.end_input();
    program.wait_exit();
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn telnet_talks_and_is_let_go() {
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
fn telnet_that_negotiates_first_talks_too() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    // A minus before the port has telnet open with all that it would like to agree upon.
    let port = format!("-{}", server.addr().port());
    let mut program = Program::start("telnet", &["--", "127.0.0.1", &port]);
    let name = program.greeted();
    program.type_line("negotiated");
    ann.expect(&format!("{name}: negotiated"));
    ann.say("and agreed upon nothing");
    program.find_line("ann: and agreed upon nothing");
    program.type_line("/quit");
    program.find_line("* you left; goodbye");
    program.wait_exit();
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn socat_talks_over_tcp_and_over_a_path() {
    let scratch = Scratch::new();
    let place = format!("unix:{}", scratch.path("yard.sock").display());
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
