//! Raw listeners: lines without names, commands or notices, exchanged among raw connections only.

use std::io::Write;
use std::thread;

use crate::common::{Client, Next, SILENCE, Server, open_descriptors, until};

/// A room log and buffers so small that a reader lags soon.
const SMALL: &str = "--room-log 65536 --max-line 2048 --send-buffer 4096";

fn start(flags: &str) -> Server {
    let flags = format!("--listen-raw 127.0.0.1:0 {flags}");
    Server::start(&flags.split_whitespace().collect::<Vec<_>>())
}

/// Raw connections that the server has accepted. They are not greeted, so the server's open descriptors show it.
fn connect<const COUNT: usize>(server: &Server) -> [Client; COUNT] {
    let before = open_descriptors(server.id());
    let clients = [(); COUNT].map(|()| Client::open(server.raw_addr()));
    until("all are accepted", || {
        open_descriptors(server.id()) >= before + COUNT
    });
    clients
}

#[test]
fn raw_lines_pass_verbatim_without_greeting_names_or_commands() {
    let server = start("");
    assert!(server.listening()[1].ends_with(" (raw)") || server.listening()[0].ends_with(" (raw)"));
    let [mut one, mut two, mut three] = connect(&server);
    for text in [
        "plain",
        "/nick kim",
        "/quit",
        "//x",
        "* not a notice",
        "! no error",
        " spaces ",
        "안녕\ttab",
    ] {
        one.say(text);
        assert_eq!(two.line_raw(), text);
        assert_eq!(three.line_raw(), text);
    }
    two.send(b"windows\r\nempty ones go\r\n\r\n\n");
    for text in ["windows", "empty ones go"] {
        assert_eq!(one.line_raw(), text);
        assert_eq!(three.line_raw(), text);
    }
    three.say("no echo");
    assert_eq!(one.line_raw(), "no echo");
    one.say("so this is next");
    assert_eq!(three.line_raw(), "so this is next");
}

#[test]
fn raw_and_chat_connections_are_separate() {
    let server = start("");
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    let [mut one, mut two] = connect(&server);
    ann.say("in the chat");
    one.say("in the raw");
    assert_eq!(two.line_raw(), "in the raw");
    bob.expect("ann: in the chat");
    // No announcement, rename or line crosses over.
    drop(Client::connect_named(server.addr(), "cho"));
    two.say("raw again");
    assert_eq!(one.line_raw(), "raw again");
    bob.say("/who");
    ann.say("/rooms");
    let who = bob.line();
    assert!(
        who.starts_with("* here in lobby: ") && !who.contains("guest4"),
        "{who}"
    );
    let rooms = ann.expect_start("* rooms: lobby (");
    assert!(rooms.len() < 20, "raw connections are in no listed room");
    assert_eq!(one.next(SILENCE), Next::Silence);
}

#[test]
fn raw_text_is_sanitized_and_refused_lines_are_dropped_silently() {
    let server = start("--max-line 100");
    let [mut one, mut two] = connect(&server);
    one.send(b"a\x1b[2Jb\x07\xc2\x9bc\n");
    assert_eq!(two.line_raw(), "a␛[2Jb␇\u{fffd}c");
    one.send("over\u{202e}ride\n".as_bytes());
    assert_eq!(two.line_raw(), "over\u{fffd}ride");
    one.send(b"not \xfe text\n");
    one.say(&"x".repeat(101));
    one.say(&"y".repeat(100));
    assert_eq!(two.line_raw(), "y".repeat(100));
    two.say("no reply either");
    assert_eq!(one.line_raw(), "no reply either");
}

#[test]
fn a_raw_stream_is_delivered_to_its_last_byte() {
    let server = start("");
    let [mut source, mut sink] = connect(&server);
    let lines: Vec<String> = (0..2000).map(|count| format!("record {count}")).collect();
    source.send(lines.join("\n").as_bytes());
    source.finish();
    for line in lines {
        assert_eq!(sink.line_raw(), line);
    }
    assert_eq!(source.rest(), [""; 0]);
}

#[test]
fn another_protocol_on_a_raw_port_is_closed_unanswered_and_unheard() {
    let server = start("");
    let [mut witness, talker] = connect(&server);
    let requests: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: chat\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nhello\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x04\xd2\x16\x2e",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\n\n",
        b"\xff\xfeh\0i\0\n\0",
    ];
    for request in requests {
        let mut client = Client::open(server.raw_addr());
        client.send(request);
        assert_eq!(client.rest(), [""; 0], "{}", request.escape_ascii());
    }
    talker.say("nothing of that was heard");
    assert_eq!(witness.line_raw(), "nothing of that was heard");
}

#[test]
fn a_slow_raw_reader_is_disconnected() {
    const LINES: u64 = 5000;
    let server = start(SMALL);
    let [talker, mut healthy] = connect(&server);
    let mut slow = Client::open_narrow(server.raw_addr());
    slow.say("I am here");
    assert_eq!(healthy.line_raw(), "I am here");
    let text = "-".repeat(90);
    for count in 0..LINES {
        let line = format!("{count} {text}");
        talker.say(&line);
        assert_eq!(healthy.line_raw(), line, "a healthy reader lost a line");
    }
    let mut received = 0;
    loop {
        match slow.next(crate::common::DEADLINE) {
            // A raw reader is sent no skip notice, so no line may be missing.
            Next::Line(line) => assert_eq!(line, format!("{received} {text}")),
            Next::End | Next::Reset => break,
            Next::Silence => panic!("the reader is not disconnected"),
        }
        received += 1;
    }
    assert!(
        received < LINES,
        "the reader kept up, so the test shows nothing"
    );
}

#[test]
fn wait_delivers_every_line_to_a_raw_reader() {
    const LINES: u64 = 10_000;
    let server = start(&format!("{SMALL} --slow wait"));
    let [talker, mut reader] = connect(&server);
    let mut writer = talker.writer();
    let text = "-".repeat(90);
    let lines = (0..LINES).map(|count| format!("{count} {text}\n"));
    let block: String = lines.collect();
    let talking = thread::spawn(move || writer.write_all(block.as_bytes()).expect("write"));
    for count in 0..LINES {
        assert_eq!(reader.line_raw(), format!("{count} {text}"));
    }
    talking.join().expect("the talker");
}
