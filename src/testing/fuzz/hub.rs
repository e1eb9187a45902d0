//! The body of the fuzz target `hub`: draws limits and a list of operations. `driver` carries the operations out;
//! `driver` and `model` check what must hold after each.

use super::bytes::Bytes;
use super::driver::{Driver, Fin};
use super::model::Expectation::{self, Exact, Harmless};
use crate::hub::limits::{HalfClose, Limits, READ_BYTES_MAX, ROOM_LOG_BYTES_MIN, SlowPolicy};
use crate::hub::{Ranges, Wire};

/// Lines that a flood sends at a time.
const FLOOD_LINES_MAX: usize = 256;

/// How many operations one input may have, and how many of these may be floods.
const OPERATIONS_MAX: usize = 256;
const FLOODS_MAX: usize = 3;

/// Bytes that a peer may have sent before the hub receives them: what a socket's buffers would hold.
const SENT_BYTES_MAX: usize = 64 * 1024;

/// Text that a line may contain, and the same as rendered.
const FILLERS: [(&str, &str); 8] = [
    ("", ""),
    (" hello", " hello"),
    ("\ttab: colon", "\ttab: colon"),
    (" 한글 🙂", " 한글 🙂"),
    ("\u{1b}[2J\r\u{7}", "␛[2J␍␇"),
    ("\u{202e}\u{85}", "\u{fffd}\u{fffd}"),
    (" guest1: not me", " guest1: not me"),
    (" * 9 lines skipped", " * 9 lines skipped"),
];

/// Input that is answered, refused or ignored, and that adds no line to a room.
const UNSAID: [&[u8]; 16] = [
    b"/help\n",
    b"/who\n",
    b"/rooms\n",
    b"\r\n\n",
    b"not \xc3( UTF-8\n",
    b"\xff\xfd\x01\xff\xfb\x18",
    b"\xff\xfa\x18\x00xterm\xff\xf0",
    b"\xff\xf6\xff\xf1",
    b"\xff\xfe\x01\xff\xfd\x06",
    b"unsaid\xff\xf8\xff\xf7",
    b"\r\n\r\r\n",
    b"/msg guest1 a word\n",
    b"/msg guest2 a\x07word\n",
    b"/msg HOST a word\n",
    b"/nick\n",
    b"/msg nobody hello\n",
];

/// Input that changes names, rooms and states.
const COMMANDS: [&[u8]; 19] = [
    b"/nick kim\n",
    b"/nick K\xc4\xb1m\n",
    b"/nick guest1\n",
    b"/join garden\n",
    b"/join pond\n",
    b"/join lobby\n",
    b"/me waves\n",
    b"/quit\n",
    b"/quit so long\n",
    b"/msg kim hello\n",
    b"//msg\n",
    b"GET / HTTP/1.1\r\n",
    b"typo\x08\x7fos\r",
    b"/ignore kim\n",
    b"/ignore guest2\n",
    b"/ignore guest1\n",
    b"/unignore kim\n",
    b"/unignore guest2\n",
    b"/whois kim\n",
];

/// What operators command that changes nothing for those who are there.
const HARMLESS: [&[u8]; 8] = [
    b"/clients\n",
    b"/clients --slow\n",
    b"/clients --from 127.0.0.1\n",
    b"/bans\n",
    b"/ban 10.0.0.0/8 1s why\n",
    b"/unban 10.0.0.0/8\n",
    b"/stats\n/reload\n",
    b"a line\n/who\n/help\n",
];

/// … and what does.
const HARMFUL: [&[u8]; 11] = [
    b"/say L0.0. not I\n",
    b"/kick guest2 why\n",
    b"/kick #3\n",
    b"/kick 127.0.0.1:1004\n",
    b"/mute guest3 1s\n",
    b"/mute guest2\n/unmute guest1\n",
    b"/ban 127.0.0.1 2s\n",
    b"/nick boss\n/register\n/login boss aaaa\n",
    b"/login boss afb4dqhb2ha4dqhb2ha4dqhb2h\n/unregister boss\n",
    b"/drain\n",
    b"/shutdown\n",
];

/// The last byte of an input with operators.
const OPERATORS: u8 = b'o';

/// Input: limits and operations, and perhaps whether there are operators.
pub fn hub(data: &[u8]) {
    let (data, has_operators) = match data.split_last() {
        Some((&OPERATORS, data)) => (data, true),
        _ => (data, false),
    };
    let mut data = Bytes(data);
    let expectation = data.pick(&[Exact, Exact, Harmless]);
    let limits = limits(&mut data, expectation);
    let mut driver = Driver::new(limits, expectation);
    let mut floods = 0;
    for _ in 0..OPERATIONS_MAX {
        if data.is_empty() {
            break;
        }
        if has_operators && data.below(3) == 0 {
            command(&mut driver, &mut data);
        } else {
            operate(&mut driver, &mut data, &mut floods);
        }
    }
    driver.run_until_quiet();
    driver.disconnect_all();
}

/// Small limits, so that the operations reach them.
fn limits(data: &mut Bytes<'_>, expectation: Expectation) -> Limits {
    let policies = [SlowPolicy::Skip, SlowPolicy::Close, SlowPolicy::Wait];
    let exact = Limits {
        clients_max: 3 + data.below(6),
        // Never reached, but connections are counted by address.
        clients_per_ip_max: 9,
        line_bytes_max: 64 + 8 * data.below(128),
        room_log_bytes_max: ROOM_LOG_BYTES_MIN + 512 * data.below(64),
        history_lines: 0,
        rooms_max: 1 + data.below(4),
        announce_members_max: 0,
        rate_lines: data.pick(&[0, 0, 0, 20, 1000]),
        burst_lines: data.pick(&[1, 5, 100]),
        slow: data.pick(&policies),
        slow_timeout_us: data.pick(&[1_000_000, 50_000, 0]),
        half_close: data.pick(&[HalfClose::Close, HalfClose::Keep]),
        partial_after_us: 0,
        idle_timeout_us: 0,
        drain_us: data.pick(&[1_000_000, 30_000_000, 0]),
        allow: Ranges::default(),
        deny: Ranges::default(),
        welcome: String::new(),
        names_keep_days: 1,
    };
    if expectation == Exact {
        return exact;
    }
    Limits {
        history_lines: data.pick(&[0, 3, 1000]),
        announce_members_max: data.pick(&[0, 2, 100]),
        partial_after_us: data.pick(&[0, 50_000]),
        idle_timeout_us: data.pick(&[0, 3_000_000]),
        welcome: data.pick(&["", "hello\nand \u{1b} welcome"]).to_owned(),
        ..exact
    }
}

/// An operator connects, commands something or reads, or the driver goes on with it.
fn command(driver: &mut Driver, data: &mut Bytes<'_>) {
    let mut operators = driver.present();
    operators.retain(|&number| driver.model.is_operator(number));
    if operators.is_empty() {
        return driver.connect(Wire::Control, false);
    }
    let number = data.pick(&operators);
    match data.below(8) {
        0..3 => send(driver, number, data.pick(&HARMLESS)),
        3 if !driver.model.is_exact() => send(driver, number, data.pick(&HARMFUL)),
        3 | 4 => driver.server_reads(number, READ_BYTES_MAX),
        5 => drop(driver.peer_reads(number, usize::from(data.byte()) * 16)),
        6 => driver.disconnect(number),
        _ => {
            let yes = data.below(2) > 0;
            _ = driver.carry_on(yes);
        }
    }
}

fn operate(driver: &mut Driver, data: &mut Bytes<'_>, floods: &mut usize) {
    let operation = data.below(16);
    // A recorder never sends, and operators say nothing.
    let mut present = driver.present();
    present.retain(|&number| !driver.peers[number].recorder && !driver.model.is_operator(number));
    if operation == 0 || present.is_empty() {
        return match data.pick(&[Some(Wire::Chat), Some(Wire::Chat), Some(Wire::Raw), None]) {
            Some(wire) => driver.connect(wire, false),
            None => driver.connect_console(),
        };
    }
    let number = data.pick(&present);
    match operation {
        1 | 2 => say(driver, number, data, 1),
        3 => {
            let count = data.below(64);
            say(driver, number, data, count);
        }
        4 => send(driver, number, data.pick(&UNSAID)),
        5 if !driver.model.is_exact() => {
            let n = data.below(32);
            let bytes = match n {
                0..19 => COMMANDS[n],
                _ => data.take(n),
            };
            send(driver, number, bytes);
        }
        5 => too_long(driver, number),
        6 | 7 => {
            let n = data.pick(&[1, 7, 100, 1000, READ_BYTES_MAX]);
            driver.server_reads(number, n);
        }
        8 => drop(driver.peer_reads(number, usize::from(data.byte()) * 4)),
        9 => drop(driver.peer_reads_all(number)),
        10 => {
            let n = data.pick(&[0, 1, 100, usize::MAX]);
            for _ in 0..1 + data.below(8) {
                driver.visit(n);
            }
        }
        11 => drop(driver.mark_readable()),
        12 => driver.advance(data.pick(&[0, 1, 1_000, 10_000, 100_000, 1_000_000, 40_000_000])),
        13 => finish(driver, number, data),
        14 => end(driver, number, data),
        _ => {
            *floods += 1;
            if *floods <= FLOODS_MAX {
                flood(driver, number, data);
            }
        }
    }
}

/// A peer sends bytes that need not add a line to its room.
fn send(driver: &mut Driver, number: usize, bytes: &[u8]) {
    let peer = &mut driver.peers[number];
    let verbatim = driver.model.is_raw(number) && !bytes.contains(&0xc3);
    let exact = driver.model.is_exact();
    let fits = peer.sent.len() + bytes.len() <= SENT_BYTES_MAX && peer.fin == Fin::No;
    if fits && !(verbatim && exact) {
        if bytes.contains(&0xff) {
            driver.model.negotiate(number);
        }
        peer.sent.extend_from_slice(bytes);
    }
}

/// A peer sends lines that the others must receive.
fn say(driver: &mut Driver, number: usize, data: &mut Bytes<'_>, count: usize) {
    let (filler, shown) = data.pick(&FILLERS);
    let repeated = data.below(4);
    let (filler, shown) = (filler.repeat(repeated), shown.repeat(repeated));
    let terminator = data.pick(&["\n", "\n", "\r\n", "\r\0"]);
    for _ in 0..count {
        let peer = &mut driver.peers[number];
        if peer.fin != Fin::No || peer.sent.len() > SENT_BYTES_MAX {
            return;
        }
        let line = driver.model.compose(number, &filler, &shown);
        // A CR within a line is text once an LF has come.
        if filler.contains('\r') {
            peer.sent.push(b'\n');
        }
        let peer = &mut driver.peers[number];
        assert!(line.len() <= driver.test.hub.limits().line_bytes_max.max(96));
        peer.sent.extend_from_slice((line + terminator).as_bytes());
    }
}

fn too_long(driver: &mut Driver, number: usize) {
    let line = vec![b'z'; driver.test.hub.limits().line_bytes_max + 1];
    send(driver, number, &[&line[..], b"\n\xc3\n"].concat());
}

/// A peer finishes, perhaps in the middle of its last line; or it is cut off there, and nobody may hear of that line.
fn finish(driver: &mut Driver, number: usize, data: &mut Bytes<'_>) {
    if driver.peers[number].fin != Fin::No {
        return;
    }
    let (line, fin) = match data.below(4) {
        0 => (String::new(), Fin::Sent),
        2 => ("cut off".into(), Fin::Cut),
        _ => (driver.model.compose(number, " and", " and"), Fin::Sent),
    };
    let peer = &mut driver.peers[number];
    peer.sent.extend_from_slice(line.as_bytes());
    peer.fin = fin;
}

fn end(driver: &mut Driver, number: usize, data: &mut Bytes<'_>) {
    match data.below(16) {
        0 => driver.shutdown(),
        1..6 => drop(driver.reap()),
        6 | 7 => driver.late_events(),
        _ => driver.disconnect(number),
    }
}

/// A peer says many lines while the others read little, and so fall behind.
fn flood(driver: &mut Driver, number: usize, data: &mut Bytes<'_>) {
    let (take, wait) = (data.pick(&[0, 0, 50, 4000]), data.pick(&[0, 1000, 10_000]));
    let fill = driver.test.hub.limits().line_bytes_max.saturating_sub(24);
    let fill = fill.min(data.pick(&[900, 400, 100]));
    let filler = "y".repeat(fill);
    // More than the largest log can hold.
    for _ in 0..24 {
        for _ in 0..(4000 / (fill + 1)).min(FLOOD_LINES_MAX) {
            let peer = &mut driver.peers[number];
            if peer.fin != Fin::No || peer.sent.len() > SENT_BYTES_MAX {
                break;
            }
            let line = driver.model.compose(number, &filler, &filler);
            peer.sent.extend_from_slice((line + "\n").as_bytes());
        }
        driver.mark_readable();
        driver.server_reads(number, READ_BYTES_MAX);
        for _ in 0..2 * driver.peers.len() {
            if !driver.visit(take) {
                break;
            }
        }
        driver.advance(wait);
    }
}
