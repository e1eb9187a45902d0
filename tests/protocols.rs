//! Peers that send more than plain lines: telnet with negotiations and urgent data, HTTP, TLS.

mod common;

use common::{Client, ann_and_bob, resident_bytes};

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
    client.bytes_until(b"//endofanswer says it as text\n")
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
    assert_eq!(negotiations(&answer(&mut ann, &again)), []);
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
