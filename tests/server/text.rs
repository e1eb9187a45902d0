//! The text of a line: UTF-8 or refused, bounded in length, and free of terminal control. `Client` checks every line
//! that it reads for the last of these.

use crate::common::{Client, Launch, ann_and_bob, resident_bytes};

/// Sends `input` in one write and then byte by byte. Each time `bob` must receive exactly `lines`.
#[track_caller]
fn assert_received(ann: &mut Client, bob: &mut Client, input: &[u8], lines: &[&str]) {
    for trickled in [false, true] {
        if trickled {
            ann.trickle(input);
        } else {
            ann.send(input);
        }
        for line in lines {
            bob.expect(&format!("ann: {line}"));
        }
        ann.say("the end");
        bob.expect("ann: the end");
    }
    // A refusal would have reached ann before this line.
    bob.say("received");
    ann.expect("bob: received");
}

#[test]
fn text_of_every_script_passes_unchanged() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    let texts = [
        "plain",
        "안녕하세요, 여러분",
        "שלום",
        "日本語",
        "e\u{301}",
        "👩\u{200d}👩\u{200d}👧",
        "\ttab\tstops\t",
        " spaces  around ",
        "1: 2",
        "* not a notice",
        "! not an error",
        "kim -> you: no",
        "\u{fffd}",
        "\u{10ffff}",
    ];
    for text in texts {
        assert_received(&mut ann, &mut bob, format!("{text}\n").as_bytes(), &[text]);
    }
}

#[test]
fn carriage_returns_around_a_line_are_removed() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    let inputs: [(&[u8], &[&str]); 8] = [
        (b"windows\r\n", &["windows"]),
        (b"telnet\r\0more\n", &["telnet", "more"]),
        (b"two\r\r\n", &["two"]),
        (
            b"the other way round\n\r/me waves\n\r",
            &["the other way round"],
        ),
        (b"after\r\r\r\n\r\rlines\r\r\0", &["after", "lines"]),
        (b"a bare\rone\n", &["a bare\u{240d}one"]),
        (b"\r\n\r\nafter empty ones\r\n", &["after empty ones"]),
        (b"one\r\ntwo\r\0three\n", &["one", "two", "three"]),
    ];
    for (input, lines) in inputs {
        if lines == ["the other way round"] {
            ann.send(input);
            bob.expect("ann: the other way round");
            bob.expect("** ann waves");
            continue;
        }
        assert_received(&mut ann, &mut bob, input, lines);
    }
}

#[test]
fn a_peer_that_sends_no_line_feed_is_heard_at_each_carriage_return() {
    let (server, _ann, mut bob) = ann_and_bob(&[]);
    for trickled in [false, true] {
        let cho = Client::connect(server.addr());
        let name = cho.name().to_owned();
        for line in ["one", "two", "three"] {
            let input = format!("{line}\r");
            if trickled {
                cho.trickle(input.as_bytes());
            } else {
                cho.send(input.as_bytes());
            }
            bob.expect(&format!("{name}: {line}"));
        }
        // From its first LF on, a lone CR is text.
        cho.send(b"four\r\nfi\rve\r\n");
        bob.expect(&format!("{name}: four"));
        bob.expect(&format!("{name}: fi\u{240d}ve"));
    }
}

#[test]
fn a_byte_order_mark_hides_no_command() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    for trickled in [false, true] {
        let mut cho = Client::connect(server.addr());
        let name = cho.name().to_owned();
        let input = "\u{feff}/msg ann the password\r\n".as_bytes();
        if trickled {
            cho.trickle(input);
        } else {
            cho.send(input);
        }
        cho.expect("you -> ann: the password");
        ann.expect(&format!("{name} -> you: the password"));
        cho.say("aloud");
        bob.expect(&format!("{name}: aloud"));
        ann.expect(&format!("{name}: aloud"));
    }
}

#[test]
fn invalid_utf8_is_refused_with_its_position_and_the_connection_goes_on() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    let inputs: [(&[u8], usize); 9] = [
        (b"abcd\xfeefg", 5),
        (b"\x80", 1),
        (b"ab\xc0\x80", 3),
        (b"ab\xed\xa0\x80", 3),
        (b"\xf5\x80\x80\x80", 1),
        (b"cut short \xe2\x82", 11),
        // `안녕🦀` without its last byte.
        (b"\xec\x95\x88\xeb\x85\x95\xf0\x9f\xa6", 7),
        (b"\xe2\x82 goes on", 1),
        (b"\xc3\xa9\xc3", 3),
    ];
    for (input, place) in inputs {
        let refusal = format!("! line not sent: not UTF-8 at byte {place}");
        ann.send(&[input, b"\n"].concat());
        ann.expect(&refusal);
        ann.trickle(&[input, b"\r\n"].concat());
        ann.expect(&refusal);
    }
    ann.say("valid");
    bob.expect("ann: valid");
}

#[test]
fn control_characters_are_replaced_by_visible_ones() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    let c0 = (0..0x20).filter(|code| ![0x09, 0x0a].contains(code));
    let c0 = c0.map(|code| (code, 0x2400 + code));
    let delete = [(0x7f, 0x2421)];
    let c1 = (0x80..0xa0).map(|code| (code, 0xfffd));
    let bidi = [0x061c, 0x200e, 0x200f].into_iter();
    let bidi = bidi.chain(0x202a..=0x202e).chain(0x2066..=0x2069);
    let others = bidi.chain([0x2028, 0x2029]).map(|code| (code, 0xfffd));
    for (code, shown) in c0.chain(delete).chain(c1).chain(others) {
        let [character, stand_in] =
            [code, shown].map(|code| char::from_u32(code).expect("a character"));
        ann.send(format!("a{character}b\n").as_bytes());
        assert_eq!(bob.line(), format!("ann: a{stand_in}b"), "U+{code:04X}");
    }
    let title = b"\x1b[2J\x1b]0;title\x07\n";
    assert_received(&mut ann, &mut bob, title, &["␛[2J␛]0;title␇"]);
}

#[test]
fn control_characters_in_commands_are_replaced_too() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.say("/me \u{1b}[31mblushes\u{202e}");
    bob.expect("** ann ␛[31mblushes\u{fffd}");
    ann.say("/msg bob \u{7}ding");
    bob.expect("ann -> you: ␇ding");
    ann.expect("you -> bob: ␇ding");
    ann.say("//\u{9b}2J");
    bob.expect("ann: /\u{fffd}2J");
    // The replies quote the command; the client checks that they are safe.
    for asked in [
        "/\u{1b}[2J",
        "/msg \u{1b}c hello",
        "/nick \u{1b}c",
        "/join \u{9b}2J",
        "/who \u{202e}",
    ] {
        ann.say(asked);
        ann.line();
    }
    ann.say("/quit \u{1b}c");
    bob.expect("ann: ␛c");
}

#[test]
fn a_line_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    for unit in ["x", "é", "\u{1b}"] {
        let text = unit.repeat(8192 / unit.len());
        let shown = text.replace('\u{1b}', "␛");
        for end in ["\n", "\r\n", "\r\0"] {
            ann.send(format!("{text}{end}").as_bytes());
            bob.expect(&format!("ann: {shown}"));
            ann.send(format!("{text}y{end}").as_bytes());
            ann.expect("! line not sent: longer than 8,192 bytes");
        }
    }
    ann.say("short again");
    bob.expect("ann: short again");
}

#[test]
fn a_line_of_exactly_the_limit_passes_however_it_is_split() {
    let (_server, mut ann, mut bob) = ann_and_bob(&["--max-line", "100"]);
    let text = "z".repeat(100);
    for cut in [1, 99, 100, 101, 102] {
        let input = format!("{text}\r\nnext\n").into_bytes();
        let (first, last) = input.split_at(cut);
        ann.send(first);
        // After this round trip the server has most likely read the first part by itself.
        bob.say("go on");
        ann.expect("bob: go on");
        ann.send(last);
        bob.expect(&format!("ann: {text}"));
        bob.expect("ann: next");
    }
    ann.send(&[text.as_bytes(), b"\r"].concat());
    bob.say("go on");
    ann.expect("bob: go on");
    ann.send(b"!\n");
    ann.expect("! line not sent: longer than 100 bytes");
}

#[test]
fn an_endless_line_is_refused_once_and_uses_no_memory() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    let mut cho = Client::connect_named(server.addr(), "cho");
    let block = vec![b'x'; 1 << 20];
    ann.send(&block);
    ann.expect("! line not sent: longer than 8,192 bytes");
    let before = resident_bytes(server.id());
    for _ in 0..32 {
        ann.send(&block);
        cho.say("not delayed");
        bob.expect("cho: not delayed");
        ann.expect("cho: not delayed");
    }
    let grown = resident_bytes(server.id()).saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes for a discarded line");
    ann.send(b"\nshort again\n");
    bob.expect("ann: short again");
    cho.expect("ann: short again");
    bob.say("received");
    ann.expect("bob: received");
}

#[test]
fn max_line_can_be_set_by_the_environment() {
    let server = Launch::new(&[]).env("MADANG_MAX_LINE", "64").start();
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.say(&"x".repeat(65));
    ann.expect("! line not sent: longer than 64 bytes");
    ann.say(&"x".repeat(64));
    bob.expect(&format!("ann: {}", "x".repeat(64)));
}
