//! `--partial-after`: clients that never send the end of a line, as the simplest socket programs do, are
//! understood all the same, by handing on what they sent once they fall silent.

mod common;

use common::{Client, Program, SILENCE, Server};

#[test]
fn a_piece_without_an_end_is_handed_on_after_a_silence() {
    let server = Server::start(&["--partial-after", "50"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.send("여보세요".as_bytes());
    bob.expect("ann: 여보세요");
    bob.send(b"hello");
    ann.expect("bob: hello");
    // A piece that was handed on is over: what follows is a line of its own.
    ann.send(b"one");
    bob.expect("ann: one");
    ann.send(b"two\nthree");
    bob.expect("ann: two");
    bob.expect("ann: three");
}

#[test]
fn an_end_that_comes_late_makes_no_empty_line() {
    let server = Server::start(&["--partial-after", "50"]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.send(b"late");
    bob.expect("ann: late");
    ann.send(b"\n\r\nnext\n");
    bob.expect("ann: next");
}

#[test]
fn a_silence_need_only_be_kept_by_the_one_who_speaks() {
    let server = Server::start(&["--partial-after", "50"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.send(b"a piece");
    let mut heard = false;
    common::until("the piece is handed on while others talk", || {
        bob.say("chatter");
        ann.expect("bob: chatter");
        bob.say("/me listens");
        ann.expect("* bob listens");
        bob.say("/nope");
        heard |= bob.line() == "ann: a piece";
        heard
    });
}

#[test]
fn without_the_flag_a_piece_waits_for_its_end() {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.send(b"one ");
    bob.expect_silence(SILENCE);
    ann.send(b"line\n");
    bob.expect("ann: one line");
}

fn python(script: &str, server: &Server) -> Program {
    let path = format!("{}/tests/{script}", env!("CARGO_MANIFEST_DIR"));
    Program::start(
        "python3",
        &["-u", &path, "127.0.0.1", &server.addr().port().to_string()],
    )
}

#[test]
#[ignore = "needs python3"]
fn the_threaded_python_clients_talk_with_each_other_and_with_everybody() {
    let server = Server::start(&["--partial-after", "50"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut one = python("partial_threads.py", &server);
    let first = one.find("a greeting", |line| line.contains("* you are guest"));
    assert!(first.contains("guest2"), "{first}");
    let mut other = python("partial_queue.py", &server);
    other.find("a greeting", |line| line.contains("* you are guest3"));

    one.type_line("안녕하세요");
    ann.expect("guest2: 안녕하세요");
    other.find_line("guest2: 안녕하세요");
    other.type_line("반갑습니다");
    ann.expect("guest3: 반갑습니다");
    one.find("an answer", |line| line.ends_with("guest3: 반갑습니다"));
    ann.say("you two need no newline");
    one.find("a line", |line| {
        line.ends_with("ann: you two need no newline")
    });
    other.find_line("ann: you two need no newline");
}

#[test]
#[ignore = "needs python3"]
fn the_python_client_that_takes_turns_is_heard_at_each_turn() {
    let server = Server::start(&["--partial-after", "50", "--announce-limit", "0"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    // It reads once, then speaks once, and so on; the greeting is what it reads first.
    let mut turns = python("partial_turns.py", &server);
    turns.find("a greeting", |line| line.contains("* you are guest2"));
    for round in 0..5 {
        turns.type_line(&format!("my turn {round}"));
        ann.expect(&format!("guest2: my turn {round}"));
        ann.say(&format!("your turn {round}"));
        turns.find("its turn", |line| {
            line.ends_with(&format!("ann: your turn {round}"))
        });
    }
}
