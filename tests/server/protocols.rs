//! Peers that send more than plain lines: telnet with negotiations, erasing and urgent data, and clients of other
//! protocols.

use crate::common::{Client, ann_and_bob, resident_bytes};

/// What the others hear of a peer must not depend on how its input is split.
const SPLITS: [fn(&Client, &[u8]); 2] = [Client::send, Client::trickle];

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const NOP: u8 = 241;
const DM: u8 = 242;
const BRK: u8 = 243;
const IP: u8 = 244;
const AYT: u8 = 246;
const EC: u8 = 247;
const EL: u8 = 248;
const TIMING_MARK: u8 = 6;

/// The telnet negotiations in `bytes`, as (verb, option).
fn negotiations(bytes: &[u8]) -> Vec<(u8, u8)> {
    let found = bytes
        .windows(3)
        .filter(|window| window[0] == IAC && (WILL..=DONT).contains(&window[1]));
    found.map(|window| (window[1], window[2])).collect()
}

/// What the server answers to `input`: all bytes up to the reply to a command sent after `input`.
fn answer(client: &mut Client, input: &[u8]) -> Vec<u8> {
    client.send(input);
    client.say("/endofanswer");
    client.bytes_until(b"//endofanswer says it as text\r\n")
}

#[test]
fn each_telnet_option_is_answered_once() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    let asked: Vec<u8> = (0..=254)
        .flat_map(|option| [IAC, DO, option, IAC, WILL, option])
        .collect();
    let mut answers = negotiations(&answer(&mut ann, &asked));
    answers.sort_unstable_by_key(|&(verb, option)| (option, verb));
    assert_eq!(answers.len(), 2 * 255, "one answer to each request");
    for (option, pair) in (0..=254).zip(answers.chunks(2)) {
        // WILL or WONT answers the DO, DO or DONT the WILL. They are sorted in this order.
        assert!(
            matches!(pair, [(WILL | WONT, one), (DO | DONT, other)] if *one == option && *other == option)
        );
    }
    let refused = [IAC, DONT, 1, IAC, WONT, 1, IAC, DO, 1];
    let again = [&asked[..], &asked, &refused].concat();
    // A timing mark is no option: each is answered (RFC 860).
    let marks = [(WILL, TIMING_MARK); 2];
    assert_eq!(negotiations(&answer(&mut ann, &again)), marks);
    ann.say("and still a line");
    bob.expect("ann: and still a line");
}

#[test]
fn telnet_commands_are_removed_from_the_text() {
    let (_server, ann, mut bob) = ann_and_bob(&[]);
    let inputs: [(&[u8], &str); 7] = [
        (&[b'h', IAC, NOP, b'i'], "hi"),
        (&[IAC, AYT, b'h', IAC, IP, IAC, BRK, b'i', IAC, DM], "hi"),
        (&[0xec, IAC, NOP, 0x95, 0x88], "안"),
        (&[b'h', IAC, SB, 24, 0, b'x', b't', IAC, SE, b'i'], "hi"),
        (
            &[b'h', IAC, SB, 31, 0, b'\n', IAC, IAC, b'\r', IAC, SE, b'i'],
            "hi",
        ),
        (&[b'h', IAC, DONT, 3, IAC, WONT, 3, b'i'], "hi"),
        (&[b'h', b'i', b'\r', IAC, NOP], "hi"),
    ];
    for (input, received) in inputs {
        println!("{}", input.escape_ascii());
        ann.send(&[input, b"\n"].concat());
        bob.expect(&format!("ann: {received}"));
        ann.trickle(&[input, b"\n"].concat());
        bob.expect(&format!("ann: {received}"));
    }
}

#[test]
fn each_timing_mark_is_answered() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    for round in 0..3 {
        // What telnet sends at Ctrl-C. It shows nothing more until the answer comes.
        ann.send(&[b'x', IAC, IP, IAC, DO, TIMING_MARK]);
        ann.bytes_until(&[IAC, WILL, TIMING_MARK]);
        ann.send(format!("y {round}\r\n").as_bytes());
        bob.expect(&format!("ann: xy {round}"));
    }
}

#[test]
fn are_you_there_is_answered() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    for _ in 0..2 {
        ann.send(&[b'a', IAC, AYT]);
        ann.expect("* yes");
        ann.say("b");
        bob.expect("ann: ab");
    }
}

#[test]
fn typed_characters_can_be_erased() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    // Commands erase always, BS and DEL after a negotiation: in a file they are text.
    for send in SPLITS {
        send(&ann, &[&b"helo"[..], &[IAC, EC], b"lo\r\n"].concat());
        bob.expect("ann: hello");
        send(&ann, &[&b"gone"[..], &[IAC, EL], b"said\r\n"].concat());
        bob.expect("ann: said");
        send(&ann, b"a\x08b\x7fc\n");
        bob.expect("ann: a\u{2408}b\u{2421}c");
    }
    ann.negotiate();
    for send in SPLITS {
        for (typed, said) in [
            ("helo\x08lo", "hello"),
            ("helo\x7flo", "hello"),
            ("\x7f\x7fnothing before", "nothing before"),
            ("안녕한\x7f", "안녕"),
            ("ze\u{301}\x08\x08a", "a"),
            ("/quit\x7f\x7f\x7f\x7f\x7fno command", "no command"),
        ] {
            send(&ann, format!("{typed}\r\0").as_bytes());
            bob.expect(&format!("ann: {said}"));
        }
        send(&ann, b"all gone\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\r\0");
        send(&ann, b"next\r\0");
        bob.expect("ann: next");
    }
}

#[test]
fn lines_to_a_telnet_client_end_with_cr_lf() {
    let (server, mut ann, mut bob) = ann_and_bob(&["--room-log", "1048576"]);
    let mut cho = Client::connect_named(server.addr(), "cho");
    ann.negotiate();
    // Client::negotiate has the rest checked: lines of the room, answers and private lines.
    bob.say("hello");
    ann.expect("bob: hello");
    bob.say("/msg ann psst");
    ann.expect("bob -> you: psst");
    ann.say("/me waves");
    bob.expect("you -> ann: psst");
    bob.expect("** ann waves");
    // More than one write takes, while the client also says lines of its own.
    let text = "z".repeat(1000);
    for count in 0..200 {
        bob.say(&format!("{count} {text}"));
        if count % 10 == 0 {
            ann.say("mine");
            ann.send(&[IAC, DO, TIMING_MARK]);
        }
    }
    let mut bytes = ann.bytes_until(format!("bob: 199 {text}\r\n").as_bytes());
    // The last timing marks may come later.
    while let Some(at) = bytes
        .windows(3)
        .position(|it| it == [IAC, WILL, TIMING_MARK])
    {
        bytes.drain(at..at + 3);
    }
    let lines = String::from_utf8(bytes).expect("lines of text");
    let lines: Vec<&str> = lines.split_terminator("\r\n").collect();
    let want: Vec<String> = (0..200)
        .map(|count| format!("bob: {count} {text}"))
        .collect();
    assert_eq!(lines, want);
    // Nobody else is concerned.
    cho.find(&format!("bob: 199 {text}"));
}

#[test]
fn a_line_that_telnet_has_damaged_is_refused_with_a_way_out() {
    let why = "telnet loses bytes of some characters; use nc or madang join";
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    // What telnet of GNU inetutils sends for `서울`: the byte 9C is BREAK to it.
    let mut damaged = vec![0xec, 0x84, IAC, BRK, IAC, DO, TIMING_MARK];
    damaged.extend([0xec, 0x9a, 0xb8, b'\r', b'\n']);
    ann.send(&damaged);
    ann.bytes_until(&[IAC, WILL, TIMING_MARK]);
    let refusal = format!("! line not sent: not UTF-8 at byte 1: {why}");
    ann.bytes_until(format!("{refusal}\r\n").as_bytes());
    ann.say("more");
    bob.expect("ann: more");
    // It drops the byte 85 of `녕` without a word.
    let mut cho = Client::connect(server.addr());
    cho.send(b"\xeb\x95\r\n");
    cho.expect(&refusal);
    cho.send(b"\x80\r\n");
    cho.expect("! line not sent: not UTF-8 at byte 1");
}

#[test]
fn a_doubled_iac_is_byte_255_which_is_not_utf8() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.send(&[b'a', b'b', IAC, IAC, b'c', b'\n']);
    ann.expect("! line not sent: not UTF-8 at byte 3");
    ann.trickle(&[IAC, IAC, b'\n']);
    ann.expect("! line not sent: not UTF-8 at byte 1");
    ann.say("text");
    bob.expect("ann: text");
}

#[test]
fn an_endless_subnegotiation_is_cut_off() {
    let (server, ann, mut bob) = ann_and_bob(&[]);
    let before = resident_bytes(server.id());
    let filler = "within a subnegotiation\n".repeat(50_000);
    ann.send(&[&[IAC, SB, 24][..], filler.as_bytes(), b"\nreceived again\n"].concat());
    bob.find("ann: received again");
    // The limit includes the room's log, which may fill with lines after the subnegotiation is cut off.
    let grown = resident_bytes(server.id()).saturating_sub(before);
    let most = (4 << 20) + (1 << 20);
    assert!(grown < most, "{grown} bytes for a subnegotiation");
}

#[test]
fn urgent_data_is_read_in_line() {
    let (_server, ann, mut bob) = ann_and_bob(&[]);
    ann.send(b"he");
    ann.socket().send_out_of_band(b"l").expect("urgent data");
    ann.send(b"lo\n");
    bob.expect("ann: hello");
    // A read stops at the urgent mark. The server must not take that for the end of the input.
    for count in 0..100 {
        let line = format!("{count} {}", "y".repeat(1000));
        let (first, last) = line.split_at(count * 10);
        ann.send(first.as_bytes());
        ann.socket().send_out_of_band(b"!").expect("urgent data");
        ann.send(format!("{last}\n").as_bytes());
        bob.expect(&format!("ann: {first}!{last}"));
    }
}

#[test]
fn the_telnet_synch_is_removed() {
    let (_server, ann, mut bob) = ann_and_bob(&[]);
    ann.send(&[b'o', IAC, IP, IAC]);
    ann.socket().send_out_of_band(&[DM]).expect("urgent data");
    ann.send(b"k\n");
    bob.expect("ann: ok");
}

#[test]
fn an_http_request_is_refused_and_closed_without_a_reset() {
    let (server, _ann, mut bob) = ann_and_bob(&[]);
    let requests = [
        "GET / HTTP/1.1\r\nHost: chat\r\nUser-Agent: some/1.0\r\n\r\n",
        "GET /a?b=c HTTP/1.0\n\n",
        "POST /form HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        "HEAD / HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "CONNECT chat:443 HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for request in requests {
        let mut browser = Client::connect(server.addr());
        browser.send(request.as_bytes());
        browser.expect("! this port speaks lines of text, not HTTP");
        browser.expect_end();
    }
    let cho = Client::connect_named(server.addr(), "cho");
    cho.say("nothing of that was said");
    bob.expect("cho: nothing of that was said");
}

#[test]
fn http_is_recognized_only_by_a_request_on_the_first_line() {
    let (server, ann, mut bob) = ann_and_bob(&[]);
    ann.say("have a look at");
    ann.say("GET / HTTP/1.1");
    bob.expect("ann: have a look at");
    bob.expect("ann: GET / HTTP/1.1");
    for text in [
        "GET well soon",
        "POST no bills",
        "GET",
        "HTTP/1.1 is old",
        "get / http/1.1 they say",
    ] {
        let guest = Client::connect(server.addr());
        guest.say(text);
        bob.expect(&format!("{}: {text}", guest.name()));
    }
}

#[test]
fn a_tls_client_hello_is_refused_and_closed_without_a_reset() {
    let (server, _ann, mut bob) = ann_and_bob(&[]);
    // A record of 512 bytes with a ClientHello of 508, legacy version 3.3.
    let header = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let hello = |byte: fn(u16) -> u8| -> Vec<u8> {
        let rest = (0..506).map(byte);
        header.into_iter().chain(rest).collect()
    };
    let without_newline = hello(|n| (n % 199 + 40) as u8);
    let with_newline = hello(|n| (n * 7 % 251) as u8);
    assert!(!without_newline.contains(&b'\n') && with_newline.contains(&b'\n'));
    for hello in [without_newline, with_newline] {
        let mut client = Client::connect(server.addr());
        client.send(&hello);
        client.expect("! this port speaks lines of text, not TLS");
        client.expect_end();
    }
    let cho = Client::connect_named(server.addr(), "cho");
    cho.say("nothing of that was said");
    bob.expect("cho: nothing of that was said");
}

/// What a connection gets that sends `bytes`: the lines after its greeting.
fn refused(server: &crate::common::Server, bytes: &[u8], send: fn(&Client, &[u8])) -> Vec<String> {
    let mut client = Client::connect(server.addr());
    // The server may close before everything is written.
    if bytes.len() > 64 {
        client.send(bytes);
    } else {
        send(&client, bytes);
    }
    let mut lines = client.rest();
    lines.retain(|line| !crate::common::is_presence_notice(line));
    lines
}

#[test]
fn other_protocols_are_named_and_nothing_of_them_is_said() {
    let (server, _ann, mut bob) = ann_and_bob(&[]);
    let cases: [(&[u8], &str); 20] = [
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nhello\r\n",
            "PROXY",
        ),
        (b"PROXY UNKNOWN\r\n", "PROXY"),
        (b"\r\n\r\n\0\r\nQUIT\n", "PROXY"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        (b"OPTIONS / RTSP/1.0\r\n\r\n", "RTSP"),
        (
            b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n",
            "SIP",
        ),
        (b"REQMOD icap://a/b ICAP/1.0\r\n", "ICAP"),
        (b"*1\r\n$4\r\nPING\r\n", "the protocol of Redis"),
        (b"\x05\x01\x00", "SOCKS"),
        (b"\x03\0\0*%\xe0\0\0\0\0\0Cookie: mstshash=nmap\r\n", "RDP"),
        (b"JRMI\0\x02K", "Java RMI"),
        (b"\x10\x0e\0\x04MQTT\x04\x02\0<\0\x02ab", "MQTT"),
        (b"\0\x1e\0\x06\x01\0\0\x01\0\0", "binary data"),
        (b"\x80\0\0(r\xfe\x1d\x13\0\0\0\0", "binary data"),
        (b"l\0\x0b\0\0\0\0\0\0\0\0\0", "binary data"),
        (b"abc\x01\n", "binary data"),
        (b"\xff\xfeh\0i\0\r\0\n\0", "UTF-16"),
        (b"\xfe\xff\0h\0i\0\r\0\n", "UTF-16"),
        (b"h\0i\0\r\0\n\0", "UTF-16"),
        (b"\0h\0i\0\r\0\n", "UTF-16"),
    ];
    for (bytes, protocol) in cases {
        let shown = bytes.escape_ascii();
        let want = format!("! this port speaks lines of text, not {protocol}");
        assert_eq!(refused(&server, bytes, Client::send), [&*want], "{shown}");
        if !bytes.ends_with(b"\n") {
            continue;
        }
        // All but what comes after the server has decided.
        assert_eq!(
            refused(&server, bytes, |client, bytes| {
                let (front, back) = bytes.split_at(bytes.len() / 2);
                client.trickle(front);
                client.send(back);
            }),
            [&*want],
            "{shown} split"
        );
    }
    let cho = Client::connect_named(server.addr(), "cho");
    cho.say("nothing of that was said");
    bob.expect("cho: nothing of that was said");
}

#[test]
fn what_people_begin_with_is_said() {
    let (server, _ann, mut bob) = ann_and_bob(&[]);
    for (typed, said) in [
        ("\r\n\r\nHELP\r\n", "HELP"),
        ("*1\n", "*1"),
        ("SSH- what?\n", "SSH- what?"),
        ("PROXY wars\n", "PROXY wars"),
        ("\x1b[A\x1b[Dhello\x07\n", "␛[A␛[Dhello␇"),
        ("\ttabbed\r\n", "\ttabbed"),
        ("a\x08b\x7f\n", "a␈b␡"),
    ] {
        let guest = Client::connect(server.addr());
        guest.send(typed.as_bytes());
        bob.expect(&format!("{}: {said}", guest.name()));
    }
}
