//! Half-close: a peer that shuts down its sending side, as `nc -N` does at the end of its input. The server processes
//! all of the input, flushes all pending output, and then closes.

use crate::common::{Client, Server, ann_and_bob};

#[test]
fn an_unterminated_last_line_is_delivered() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.send(b"one\ntwo\nand a last one");
    ann.finish();
    for text in ["one", "two", "and a last one"] {
        bob.expect(&format!("ann: {text}"));
    }
    ann.expect_end();
    bob.expect_departure(1);
}

#[test]
fn a_terminated_last_line_is_delivered_once() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.send(b"terminated\n");
    ann.finish();
    ann.expect_end();
    bob.expect("ann: terminated");
    let cho = Client::connect_named(server.addr(), "cho");
    cho.say("hello");
    bob.expect("cho: hello");
}

#[test]
fn every_reply_is_sent_before_the_close() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    ann.send(b"/rooms\n\xfe\n/nope\n/who\nsaid to no one else\n/nick anna");
    ann.finish();
    ann.expect("* rooms: lobby (1)");
    ann.expect("! line not sent: not UTF-8 at byte 1");
    ann.expect("! unknown command /nope: /help lists commands, //nope says it as text");
    ann.expect("* here in lobby: ann (1)");
    ann.expect("* you are now anna");
    ann.expect_end();
}

#[test]
fn an_invalid_last_line_is_refused_before_the_close() {
    let server = Server::start(&[]);
    let cases: [(&[u8], &str); 2] = [
        (b"cut short \xe2\x82", "not UTF-8 at byte 11"),
        (&[b'x'; 9000], "longer than 8,192 bytes"),
    ];
    for (input, reason) in cases {
        let mut ann = Client::connect(server.addr());
        ann.send(input);
        ann.finish();
        ann.expect(&format!("! line not sent: {reason}"));
        ann.expect_end();
    }
}

#[test]
fn a_slow_reader_receives_its_backlog_before_the_close() {
    const LINES: usize = 5000;
    let (server, ann, mut bob) = ann_and_bob(&["--announce-limit", "0"]);
    let mut cho = Client::open_narrow(server.addr()).greeted().named("cho");
    let text = "z".repeat(200);
    for count in 0..LINES {
        ann.say(&format!("{count} {text}"));
    }
    for _ in 0..LINES {
        bob.line();
    }
    // The room now holds a megabyte that cho has not read, and almost none of it fits into cho's small buffers.
    cho.finish();
    for count in 0..LINES {
        cho.expect(&format!("ann: {count} {text}"));
    }
    cho.expect_end();
}

#[test]
fn all_lines_of_a_peer_that_finishes_before_it_reads_are_delivered() {
    let server = Server::start(&[]);
    let mut bob = Client::connect_named(server.addr(), "bob");
    let mut pipe = Client::open(server.addr());
    let input: String = (0..1000).map(|count| format!("{count}\n")).collect();
    pipe.send(input.as_bytes());
    pipe.finish();
    for count in 0..1000 {
        bob.expect(&format!("guest2: {count}"));
    }
    let mut rest = pipe.rest();
    rest.retain(|line| !crate::common::is_presence_notice(line));
    let greeting = "* you are guest2 in lobby (2 here); /help lists commands";
    assert_eq!(rest, [greeting]);
}

#[test]
fn half_close_keep_goes_on_delivering() {
    let (_server, mut ann, mut bob) = ann_and_bob(&["--half-close", "keep"]);
    ann.send(b"my last words");
    ann.finish();
    bob.expect("ann: my last words");
    for count in 0..100 {
        bob.say(&format!("line {count}"));
        ann.expect(&format!("bob: line {count}"));
    }
    assert_eq!(bob.count_members(), 2);
}

#[test]
fn half_close_keep_notices_a_closed_peer() {
    let (_server, ann, mut bob) = ann_and_bob(&["--half-close", "keep"]);
    ann.finish();
    drop(ann);
    // The server learns that the peer is closed only by writing to it.
    crate::common::until("ann has left", || {
        bob.say("still there?");
        bob.count_members() == 1
    });
}
