//! The steps by which tutorials of socket programming build a chat, each as the README shows it: a one-shot exchange,
//! taking turns, talking at the same time, a group; and the clients that such tutorials end with.

use crate::common::{Client, Program, Server};
use std::net::SocketAddr;

/// A server with a console, and the address that it listens on.
fn console(flags: &[&str]) -> (Program, SocketAddr) {
    let serve = ["serve", "--console", "--listen", "127.0.0.1:0"];
    let mut console = Program::start(env!("CARGO_BIN_EXE_madang"), &[&serve, flags].concat());
    let line = console.find("an address", |line| line.starts_with("listening on "));
    let addr = line["listening on ".len()..].parse().expect("an address");
    console.find_line("* you are host in lobby (1 here); /help lists commands");
    (console, addr)
}

/// Stops the server by the end of its console's input.
fn stop(mut console: Program) {
    console.end_input();
    assert!(console.wait_exit().success());
}

#[test]
fn a_one_shot_exchange() {
    let (mut console, addr) = console(&[]);
    let mut client = Program::join(addr, &[]);
    client.type_line("I am a client");
    console.find_line("guest1: I am a client");
    console.type_line("I am the server");
    client.find_line("host: I am the server");
    client.end_input();
    assert!(client.wait_exit().success());
    console.find_line("* left: guest1 (1 here)");

    let mut echo = Program::join(addr, &[]);
    echo.type_line("I am a client, too");
    echo.end_input();
    console.find_line("guest2: I am a client, too");
    assert!(echo.wait_exit().success());
    let greeting = "* you are guest2 in lobby (2 here); /help lists commands";
    assert_eq!(echo.rest(), [greeting]);
    stop(console);
}

#[test]
fn taking_turns() {
    let (mut console, addr) = console(&[]);
    let mut client = Program::join(addr, &["--nick", "kim"]);
    console.find_line("* joined: kim (2 here)");
    for round in 0..5 {
        console.type_line(&format!("your turn {round}"));
        client.find_line(&format!("host: your turn {round}"));
        client.type_line(&format!("my turn {round}"));
        console.find_line(&format!("kim: my turn {round}"));
    }
    stop(console);
    client.find_line("* server is shutting down");
}

#[test]
fn two_who_talk_at_the_same_time() {
    let (mut console, addr) = console(&[]);
    let mut client = Program::join(addr, &["--nick", "kim"]);
    console.find_line("* joined: kim (2 here)");
    let lines = |who: &str| -> Vec<String> { (0..200).map(|n| format!("{who} {n}")).collect() };
    for (hers, his) in lines("from kim").iter().zip(&lines("from the host")) {
        client.type_line(hers);
        console.type_line(his);
    }
    for (hers, his) in lines("kim: from kim")
        .iter()
        .zip(&lines("host: from the host"))
    {
        console.find_line(hers);
        client.find_line(his);
    }
    client.type_line("/quit");
    client.find_line("* you left; goodbye");
    assert!(client.wait_exit().success());
    stop(console);
}

#[test]
fn a_group() {
    let server = Server::start(&[]);
    let names = ["kim", "lee", "민수"];
    let mut group = names.map(|name| {
        let mut program = Program::join(server.addr(), &["--nick", name]);
        program.find_line(&format!("* you are now {name}"));
        program
    });
    for (speaker, name) in names.iter().enumerate() {
        group[speaker].type_line("여러분 안녕하세요");
        for (listener, program) in group.iter_mut().enumerate() {
            if listener != speaker {
                program.find_line(&format!("{name}: 여러분 안녕하세요"));
            }
        }
    }
}

#[test]
fn the_console_alone_is_host_and_its_end_stops_the_server() {
    let (mut console, addr) = console(&[]);
    let mut ann = Client::connect_named(addr, "ann");
    ann.say("/nick host");
    ann.expect("! name not changed: that name is the server's own");
    ann.say("/msg host psst");
    console.find_line("ann -> you: psst");
    console.type_line("/nick ann2");
    console.find("a refusal", |line| line.starts_with("! name not changed: "));
    console.type_line("bye");
    console.end_input();
    ann.expect("you -> host: psst");
    ann.expect("host: bye");
    ann.expect("* server is shutting down");
    ann.expect_end();
    assert!(console.wait_exit().success());
}

#[test]
#[ignore = "needs python3"]
fn the_clients_of_the_tutorials() {
    let (mut console, addr) = console(&["--partial-after", "50"]);
    let mut once = Program::python("partial_once.py", addr);
    console.find_line("guest1: I am a client");
    once.find("the greeting", |line| {
        line.starts_with("received : * you are guest1 in lobby")
    });
    assert!(once.wait_exit().success());
    console.find_line("* left: guest1 (1 here)");

    let mut turns = Program::python("partial_turns.py", addr);
    turns.find("its turn", |line| line.contains("* you are guest2"));
    turns.type_line("내 차례");
    console.find_line("guest2: 내 차례");
    console.type_line("네 차례");
    turns.find("its turn", |line| line.ends_with("host: 네 차례"));

    let mut threads = Program::python("partial_threads.py", addr);
    threads.find("the greeting", |line| line.contains("* you are guest3"));
    let mut queue = Program::python("partial_queue.py", addr);
    queue.find("the greeting", |line| line.contains("* you are guest4"));
    threads.type_line("안녕하세요");
    console.find_line("guest3: 안녕하세요");
    queue.find_line("guest3: 안녕하세요");
    queue.type_line("반갑습니다");
    console.find_line("guest4: 반갑습니다");
    threads.find("an answer", |line| line.ends_with("guest4: 반갑습니다"));
    stop(console);
}
