//! Netcat, telnet and socat as real processes: each is greeted, sends and receives lines, and exits as it should.

use crate::common::{Client, Program, Scratch, Server};

/// A server and a client named ann.
fn server_with_ann() -> (Server, Client) {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    (server, ann)
}

/// Starts a command, in which PORT stands for the server's port.
fn start(command: &str, server: &Server) -> Program {
    let command = command.replace("PORT", &server.addr().port().to_string());
    let words: Vec<&str> = command.split(' ').collect();
    Program::start(words[0], &words[1..])
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn netcat_talks_and_exits_after_its_input() {
    for command in [
        "nc -N 127.0.0.1 PORT",
        "nc -C -N 127.0.0.1 PORT",
        "nc.traditional -q0 127.0.0.1 PORT",
        "ncat 127.0.0.1 PORT",
        "ncat -C 127.0.0.1 PORT",
    ] {
        println!("{command}");
        let (server, mut ann) = server_with_ann();
        let mut program = start(command, &server);
        let name = program.greeted();
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
}

#[test]
#[ignore = "needs netcat-openbsd, netcat-traditional, ncat, telnet, socat"]
fn all_lines_piped_into_netcat_arrive_and_so_do_replies() {
    let (server, mut ann) = server_with_ann();
    for command in [
        "nc -N 127.0.0.1 PORT",
        "ncat 127.0.0.1 PORT",
        "nc.traditional -q1 127.0.0.1 PORT",
    ] {
        let mut pipe = start(command, &server);
        let lines: String = (0..500)
            .map(|count| format!("{command} {count}\n"))
            .collect();
        pipe.type_bytes(lines.as_bytes());
        pipe.type_bytes(b"/rooms");
        pipe.end_input();
        for text in lines.lines() {
            let line = ann.line();
            assert!(line.ends_with(&format!(": {text}")), "{line}");
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
    let (server, mut ann) = server_with_ann();
    let mut program = start("nc 127.0.0.1 PORT", &server);
    let name = program.greeted();
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
    // A minus before the port makes telnet negotiate all of its options first.
    for command in ["telnet 127.0.0.1 PORT", "telnet -- 127.0.0.1 -PORT"] {
        println!("{command}");
        let (server, mut ann) = server_with_ann();
        let mut program = start(command, &server);
        let name = program.greeted();
        program.type_line("hello from a terminal");
        ann.expect(&format!("{name}: hello from a terminal"));
        ann.say("hello terminal");
        program.find_line("ann: hello terminal");
        program.type_line("/quit");
        program.find_line("* you left; goodbye");
        program.wait_exit();
    }
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

/// Telnet on a terminal of its own: socat passes on what is typed and shown.
fn telnet_at_a_terminal(server: &Server) -> Program {
    let telnet = format!("telnet 127.0.0.1 {}", server.addr().port());
    let terminal = format!("EXEC:{telnet},pty,setsid,ctty,stderr");
    Program::start("socat", &["-", &terminal])
}

#[test]
#[ignore = "needs telnet, socat"]
fn telnet_shows_what_follows_each_interrupt() {
    let (server, mut ann) = server_with_ann();
    let mut telnet = telnet_at_a_terminal(&server);
    let name = telnet.greeted();
    for round in 0..3 {
        // Telnet shows nothing until the server answers the timing mark that it sends at an interrupt.
        telnet.type_bytes(b"\x03");
        telnet.type_bytes(format!("round {round}\r").as_bytes());
        ann.expect(&format!("{name}: round {round}"));
        ann.say(&format!("answer {round}"));
        telnet.find_line(&format!("ann: answer {round}"));
    }
}

#[test]
#[ignore = "needs telnet, socat"]
fn telnet_is_told_why_it_cannot_send_every_character() {
    let (server, mut ann) = server_with_ann();
    let mut telnet = telnet_at_a_terminal(&server);
    let name = telnet.greeted();
    for text in ["서울", "녕"] {
        telnet.type_bytes(format!("{text}\r").as_bytes());
        telnet.find("a way out", |line| {
            line.contains("! line not sent: not UTF-8 at byte 1")
                && line.ends_with("use nc or madang join")
        });
    }
    telnet.type_bytes(b"ascii\r");
    ann.expect(&format!("{name}: ascii"));
}

#[test]
#[ignore = "needs nc"]
fn a_byte_order_mark_piped_into_netcat_hides_no_command() {
    let (server, mut ann) = server_with_ann();
    let mut netcat = start("nc -N 127.0.0.1 PORT", &server);
    let name = netcat.greeted();
    netcat.type_bytes("\u{feff}/msg ann the password\r\n".as_bytes());
    netcat.end_input();
    ann.expect(&format!("{name} -> you: the password"));
    netcat.find_line("you -> ann: the password");
    netcat.wait_exit();
}
