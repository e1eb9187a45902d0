//! The whole hub, driven by a list of operations. What they mean is here; what must hold after each is in `play` and
//! `model`.

use super::bytes::Bytes;
use super::model::Schooling;
use super::play::{Fin, Play};
use crate::hub::Wire;
use crate::hub::limits::{
    HalfClose, Limits, READ_BYTES_MAX, ROOM_LOG_BYTES_MIN, SlowPolicy, VISIT_LINES_MAX,
};

/// How many operations are taken of one input, and how many of these are floods.
const OPERATIONS_MAX: usize = 256;
const FLOODS_MAX: usize = 3;

/// How much of what a peer sent may wait to be received: what a socket's buffers would hold.
const SENT_BYTES_MAX: usize = 64 * 1024;

/// What else a line may hold, and how that is shown.
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

/// What is answered, refused or ignored, and said to nobody.
const NUISANCES: [&[u8]; 13] = [
    b"/help\n",
    b"/who\n",
    b"/rooms\n",
    b"\r\n\n",
    b"not \xc3( UTF-8\n",
    b"\xff\xfd\x01\xff\xfb\x18",
    b"\xff\xfa\x18\x00xterm\xff\xf0",
    b"\xff\xf6\xff\xf1",
    b"/msg guest1 a word\n",
    b"/msg guest2 a\x07word\n",
    b"/msg HOST a word\n",
    b"/nick\n",
    b"/msg nobody hello\n",
];

/// What changes names, rooms and phases.
const COMMANDS: [&[u8]; 12] = [
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
];

/// Limits, and operations.
pub fn hub(data: &[u8]) {
    let mut data = Bytes(data);
    let schooling = data.pick(&[Schooling::Exact, Schooling::Exact, Schooling::Harmless]);
    let limits = limits(&mut data, schooling);
    let mut play = Play::new(limits, schooling);
    let mut floods = 0;
    for _ in 0..OPERATIONS_MAX {
        if data.is_empty() {
            break;
        }
        operate(&mut play, schooling, &mut data, &mut floods);
    }
    play.rest();
    play.leave();
}

/// Small ones, so that they are reached.
fn limits(data: &mut Bytes<'_>, schooling: Schooling) -> Limits {
    let policies = [SlowPolicy::Skip, SlowPolicy::Close, SlowPolicy::Wait];
    let exact = Limits {
        clients_max: 3 + data.below(6),
        // Nobody meets it, but all are counted.
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
        welcome: String::new(),
    };
    if schooling == Schooling::Exact {
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

fn operate(play: &mut Play, schooling: Schooling, data: &mut Bytes<'_>, floods: &mut usize) {
    let operation = data.below(16);
    // A witness only listens.
    let mut present = play.present();
    present.retain(|&number| !play.peers[number].witness);
    if operation == 0 || present.is_empty() {
        return match data.pick(&[Some(Wire::Chat), Some(Wire::Chat), Some(Wire::Raw), None]) {
            Some(wire) => play.connect(wire, false),
            None => play.connect_console(),
        };
    }
    let number = data.pick(&present);
    match operation {
        1 | 2 => say(play, number, data, 1),
        3 => {
            let count = data.below(64);
            say(play, number, data, count);
        }
        4 => send(play, number, data.pick(&NUISANCES)),
        5 if schooling == Schooling::Harmless => {
            let n = data.below(32);
            let bytes = match n {
                0..12 => COMMANDS[n],
                _ => data.take(n),
            };
            send(play, number, bytes);
        }
        5 => too_long(play, number),
        6 | 7 => {
            let n = data.pick(&[1, 7, 100, 1000, READ_BYTES_MAX]);
            play.offer(number, n);
        }
        8 => drop(play.read(number, usize::from(data.byte()) * 4)),
        9 => drop(play.read_all(number)),
        10 => {
            let n = data.pick(&[0, 1, 100, usize::MAX]);
            for _ in 0..1 + data.below(8) {
                play.visit(n);
            }
        }
        11 => drop(play.wake()),
        12 => play.pass(data.pick(&[0, 1, 1_000, 10_000, 100_000, 1_000_000, 40_000_000])),
        13 => finish(play, number, data),
        14 => end(play, number, data),
        _ => {
            *floods += 1;
            if *floods <= FLOODS_MAX {
                flood(play, number, data);
            }
        }
    }
}

/// A peer sends something that nobody is to hear, or of which nothing exact is expected.
fn send(play: &mut Play, number: usize, bytes: &[u8]) {
    let peer = &mut play.peers[number];
    let verbatim = play.model.is_raw(number) && !bytes.contains(&0xc3);
    let exact = play.model.is_exact();
    let fits = peer.sent.len() + bytes.len() <= SENT_BYTES_MAX && peer.fin == Fin::No;
    if fits && !(verbatim && exact) {
        peer.sent.extend_from_slice(bytes);
    }
}

/// A peer sends lines that the others are to hear.
fn say(play: &mut Play, number: usize, data: &mut Bytes<'_>, count: usize) {
    let (filler, shown) = data.pick(&FILLERS);
    let repeated = data.below(4);
    let terminator = data.pick(&["\n", "\n", "\r\n", "\r\0"]);
    for _ in 0..count {
        let peer = &mut play.peers[number];
        if peer.fin != Fin::No || peer.sent.len() > SENT_BYTES_MAX {
            return;
        }
        let line = play
            .model
            .compose(number, &filler.repeat(repeated), &shown.repeat(repeated));
        assert!(line.len() <= play.test.hub.limits().line_bytes_max.max(96));
        peer.sent.extend_from_slice((line + terminator).as_bytes());
    }
}

fn too_long(play: &mut Play, number: usize) {
    let line = vec![b'z'; play.test.hub.limits().line_bytes_max + 1];
    send(play, number, &[&line[..], b"\n\xc3\n"].concat());
}

/// A peer finishes, perhaps in the middle of its last line.
fn finish(play: &mut Play, number: usize, data: &mut Bytes<'_>) {
    if play.peers[number].fin != Fin::No {
        return;
    }
    if data.below(2) > 0 {
        let line = play.model.compose(number, " and", " and");
        play.peers[number].sent.extend_from_slice(line.as_bytes());
    }
    play.peers[number].fin = Fin::Sent;
}

fn end(play: &mut Play, number: usize, data: &mut Bytes<'_>) {
    match data.below(16) {
        0 => play.shutdown(),
        1..6 => drop(play.reap()),
        6 | 7 => play.late_events(),
        _ => play.disconnect(number),
    }
}

/// A peer says much while hardly anybody reads: others fall behind.
fn flood(play: &mut Play, number: usize, data: &mut Bytes<'_>) {
    let (take, wait) = (data.pick(&[0, 0, 50, 4000]), data.pick(&[0, 1000, 10_000]));
    let fill = play.test.hub.limits().line_bytes_max.saturating_sub(24);
    let fill = fill.min(data.pick(&[900, 400, 100]));
    let filler = "y".repeat(fill);
    // More than the largest log remembers.
    for _ in 0..24 {
        for _ in 0..(4000 / (fill + 1)).min(VISIT_LINES_MAX as usize) {
            let peer = &mut play.peers[number];
            if peer.fin != Fin::No || peer.sent.len() > SENT_BYTES_MAX {
                break;
            }
            let line = play.model.compose(number, &filler, &filler);
            peer.sent.extend_from_slice((line + "\n").as_bytes());
        }
        play.wake();
        play.offer(number, READ_BYTES_MAX);
        for _ in 0..2 * play.peers.len() {
            if !play.visit(take) {
                break;
            }
        }
        play.pass(wait);
    }
}
