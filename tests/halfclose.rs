//! A peer that ends its sending, as `nc -N` and every pipe do: what it sent is processed to the last byte,
//! what it is owed is written, and only then the connection ends.

mod common;

use common::{Client, Server};

#[test]
fn an_unterminated_last_line_is_a_line() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.send(b"one\ntwo\nand a last one");
    ann.finish();
    for text in ["one", "two", "and a last one"] {
        bob.expect(&format!("ann: {text}"));
    }
    ann.expect_end();
    let seen = bob.find_announcement(|seen| seen.left > 0);
    assert_eq!((seen.left, seen.here), (1, 1));
}

#[test]
fn nothing_unterminated_is_said_twice_or_out_of_nothing() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.send(b"terminated\n");
    ann.finish();
    ann.expect_end();
    bob.expect("ann: terminated");
    let cho = Client::connect_named(server.addr(), "cho");
    cho.say("hello");
    bob.expect("cho: hello");
}

#[test]
fn every_reply_that_is_owed_comes_before_the_end() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    ann.send(b"/rooms\n\xfe\n/nope\n/who\nsaid to nobody\n/nick anna");
    ann.finish();
    ann.expect("* rooms: lobby (1)");
    ann.expect("! line not sent: not UTF-8 at byte 1");
    ann.expect("! unknown command /nope: /help lists commands, //nope says it as text");
    ann.expect("* here in lobby: ann (1)");
    ann.expect("* you are now anna");
    ann.expect_end();
}

#[test]
fn a_broken_last_line_is_refused_before_the_end() {
    let server = Server::start(&[]);
    let cases: [(Vec<u8>, &str); 2] = [
        (
            b"cut short \xe2\x82".to_vec(),
            "! line not sent: not UTF-8 at byte 11",
        ),
        (vec![b'x'; 9000], "! line not sent: longer than 8192 bytes"),
    ];
    for (input, refusal) in cases {
        let mut ann = Client::connect(server.addr());
        ann.send(&input);
        ann.finish();
        ann.expect(refusal);
        ann.expect_end();
    }
}

#[test]
fn everything_said_before_the_end_is_still_read() {
    const LINES: usize = 5000;
    let server = Server::start(&["--announce-limit", "0"]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    let mut cho = Client::raw_narrow(server.addr()).greeted().named("cho");
    let text = "z".repeat(200);
    for count in 0..LINES {
        ann.say(&format!("{count} {text}"));
    }
    for _ in 0..LINES {
        bob.line();
    }
    // By now all of it is in the room, a megabyte, and nearly nothing of it fits into cho's small buffers.
    cho.finish();
    for count in 0..LINES {
        cho.expect(&format!("ann: {count} {text}"));
    }
    cho.expect_end();
}

#[test]
fn a_pipe_that_ends_before_it_reads_anything_is_served_whole() {
    let server = Server::start(&[]);
    let mut bob = Client::connect_named(server.addr(), "bob");
    let mut pipe = Client::raw(server.addr());
    let input: String = (0..1000).map(|count| format!("{count}\n")).collect();
    pipe.send(input.as_bytes());
    pipe.finish();
    for count in 0..1000 {
        bob.expect(&format!("guest2: {count}"));
    }
    let mut rest = pipe.rest();
    rest.retain(|line| !common::is_coming_or_going(line));
    assert_eq!(
        rest,
        ["* you are guest2 in lobby (2 here); /help lists commands"]
    );
}

#[test]
fn who_keeps_half_open_goes_on_reading() {
    let server = Server::start(&["--half-close", "keep"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.send(b"my last words");
    ann.finish();
    bob.expect("ann: my last words");
    for count in 0..100 {
        bob.say(&format!("line {count}"));
        ann.expect(&format!("bob: line {count}"));
    }
    bob.say("/who");
    let line = bob.expect_start("* here in lobby: ");
    assert!(line.ends_with("(2)"), "{line}");
}

#[test]
fn a_kept_half_open_reader_that_goes_away_is_noticed() {
    let server = Server::start(&["--half-close", "keep"]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.finish();
    drop(ann);
    // Nothing arrives from a closed peer until something is written to it.
    common::until("ann has left", || {
        bob.say("still there?");
        bob.say("/who");
        bob.expect_start("* here in lobby: ").ends_with("(1)")
    });
}
