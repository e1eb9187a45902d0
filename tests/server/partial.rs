//! `--partial-after`: an unfinished line is delivered after a silence of its sender. This serves clients that send no
//! line ends, as the simplest socket programs do.

use crate::common::{Client, Program, SILENCE, Server, ann_and_bob};

#[test]
fn an_unfinished_line_is_delivered_after_a_silence() {
    let (_server, mut ann, mut bob) = ann_and_bob(&["--partial-after", "50"]);
    ann.send("여보세요".as_bytes());
    bob.expect("ann: 여보세요");
    bob.send(b"hello");
    ann.expect("bob: hello");
    // What follows a delivered unfinished line is a line of its own.
    ann.send(b"one");
    bob.expect("ann: one");
    ann.send(b"two\nthree");
    bob.expect("ann: two");
    bob.expect("ann: three");
}

#[test]
fn a_late_line_end_makes_no_empty_line() {
    let (_server, ann, mut bob) = ann_and_bob(&["--partial-after", "50"]);
    ann.send(b"late");
    bob.expect("ann: late");
    ann.send(b"\n\r\nnext\n");
    bob.expect("ann: next");
}

#[test]
fn only_the_senders_own_silence_counts() {
    let (_server, mut ann, mut bob) = ann_and_bob(&["--partial-after", "50"]);
    ann.send(b"unfinished");
    let mut received = false;
    crate::common::until("the unfinished line is delivered while others send", || {
        bob.say("chatter");
        ann.expect("bob: chatter");
        bob.say("/me listens");
        ann.expect("** bob listens");
        bob.say("/nope");
        received |= bob.line() == "ann: unfinished";
        received
    });
}

#[test]
fn without_the_flag_an_unfinished_line_waits_for_its_end() {
    let (_server, ann, mut bob) = ann_and_bob(&[]);
    ann.send(b"one ");
    bob.expect_silence(SILENCE);
    ann.send(b"line\n");
    bob.expect("ann: one line");
}

#[test]
#[ignore = "needs python3"]
fn threaded_python_clients_talk_to_each_other_and_to_others() {
    let server = Server::start(&["--partial-after", "50"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut one = Program::python("partial_threads.py", server.addr());
    let first = one.find("a greeting", |line| line.contains("* you are guest"));
    assert!(first.contains("guest2"), "{first}");
    let mut other = Program::python("partial_queue.py", server.addr());
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
fn a_python_client_that_alternates_reading_and_writing_is_understood() {
    let server = Server::start(&["--partial-after", "50", "--announce-limit", "0"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    // The client reads once and writes once, in turn. It reads the greeting first.
    let mut turns = Program::python("partial_turns.py", server.addr());
    turns.find("a greeting", |line| line.contains("* you are guest2"));
    for round in 0..5 {
        turns.type_line(&format!("my turn {round}"));
        ann.expect(&format!("guest2: my turn {round}"));
        ann.say(&format!("your turn {round}"));
        let turn = format!("ann: your turn {round}");
        turns.find("its turn", |line| line.ends_with(&turn));
    }
}
