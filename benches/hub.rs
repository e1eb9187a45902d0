//! Times the hub and its parts without the kernel, so that a regression can be attributed to one part.
//!
//! ```text
//! cargo bench --bench hub                    everything, some seconds
//! cargo bench --bench hub -- framing         the benches with `framing` in their name
//! cargo bench --bench hub -- --short         everything, less precisely, in a second or two
//! ```
//!
//! On a busy machine compare the column `fastest`.
//!
//! Framing takes a fifth of the time of [`Hub::receive`], too little for its regressions to be seen there, so it has
//! benches of its own. All work that involves several parts is timed through the hub's contract, as the server uses it.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use madang::hub::input::{Input, Item, Options};
use madang::hub::limits::{Limits, READ_BYTES_MAX, SLICES_MAX};
use madang::hub::{ConnId, Frame, Hub, Now, Peer, Resume, Text, Wire};
use madang::protocol::Append;
use std::fmt;
use std::io::IoSlice;

/// The limit of a line in all benches.
const LINE_BYTES_MAX: usize = 8192;

/// Samples of each bench, unless `--sample-count` is given. With `--short` divan takes its default of 100. Divan does
/// not know that flag, so it does not read the arguments then.
const SAMPLES: u32 = 2000;

fn main() {
    if std::env::args().any(|argument| argument == "--short") {
        divan::Divan::default().run_benches();
    } else {
        divan::Divan::default()
            .sample_count(SAMPLES)
            .config_with_args()
            .main();
    }
}

/// A kind of line: its name, the text that it repeats, its length in bytes with the terminator, and its terminator.
struct Kind(&'static str, &'static str, usize, &'static str);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Kind {
    /// One line without its terminator.
    fn line(&self) -> String {
        let Kind(_, unit, bytes, terminator) = self;
        unit.repeat((bytes - terminator.len()) / unit.len())
    }

    /// As many such lines as fit in one read.
    fn read(&self) -> Vec<u8> {
        let line = self.line() + self.3;
        line.repeat(READ_BYTES_MAX / line.len()).into_bytes()
    }
}

const ASCII_64: Kind = Kind("ASCII, 64 bytes", "a", 64, "\n");

/// Ordinary lines, and lines that are hard for framing.
const KINDS: [Kind; 11] = [
    Kind("ASCII, 8 bytes", "a", 8, "\n"),
    ASCII_64,
    Kind("ASCII, 64 bytes, CR LF", "a", 64, "\r\n"),
    Kind("ASCII, 4 KiB", "a", 4096, "\n"),
    Kind("Hangul, 64 bytes", "마당", 64, "\n"),
    Kind("NULs, 4 KiB", "\0", 4096, "\n"),
    Kind("NULs, 64 bytes", "\0", 64, "\n"),
    Kind("CRs, 4 KiB", "\r", 4096, "\n"),
    Kind("a NUL and an LF", "\0", 2, "\n"),
    Kind("CR NUL alone", "a", 2, "\r\0"),
    Kind("LF alone", "a", 1, "\n"),
];

/// Texts that are rendered unchanged, and texts of which characters are replaced.
const TEXTS: [Kind; 6] = [
    Kind("ASCII, 8 bytes", "a", 8, ""),
    Kind("ASCII", "a", 64, ""),
    Kind("Hangul", "마당", 64, ""),
    Kind("emoji", "🏡", 64, ""),
    Kind("colours", "\u{1b}[31mred", 64, ""),
    Kind("C1 and bidi", "\u{9b}\u{202e}", 64, ""),
];

/// Counts the lines in `input`. Borrows each `Line`: a move would wait for the stores that have just made it, which
/// takes longer than framing a short line.
fn frame(frame: &mut Frame, mut input: &[u8]) -> usize {
    let mut lines = 0;
    while let Some(line) = &frame.next(&mut input, LINE_BYTES_MAX) {
        black_box(line);
        lines += 1;
    }
    lines
}

/// Framing alone.
#[divan::bench(args = KINDS)]
fn framing(bencher: Bencher<'_, '_>, kind: &Kind) {
    let (input, mut framing) = (kind.read(), Frame::default());
    bencher
        .counter(BytesCount::of_slice(&input))
        .bench_local(|| frame(&mut framing, black_box(&input)));
}

/// Framing of input that arrives in small pieces.
#[divan::bench(args = [1, 7, 1000])]
fn framing_of_pieces(bencher: Bencher<'_, '_>, piece_bytes: usize) {
    let (input, mut framing) = (ASCII_64.read(), Frame::default());
    bencher
        .counter(BytesCount::of_slice(&input))
        .bench_local(|| {
            let pieces = black_box(&input).chunks(piece_bytes);
            pieces
                .map(|piece| frame(&mut framing, piece))
                .sum::<usize>()
        });
}

/// Framing of a line that does not end.
#[divan::bench(args = [b'a', 0, b'\r'])]
fn framing_without_end(bencher: Bencher<'_, '_>, byte: u8) {
    let (input, mut framing) = ([byte; READ_BYTES_MAX], Frame::default());
    bencher
        .counter(BytesCount::of_slice(&input))
        .bench_local(|| frame(&mut framing, black_box(&input)));
}

/// From bytes to checked text: `telnet`, `frame` and `text` together.
#[divan::bench(args = KINDS)]
fn input(bencher: Bencher<'_, '_>, kind: &Kind) {
    let (bytes, mut input) = (kind.read(), Input::default());
    let options = Options {
        raw: false,
        line_bytes_max: LINE_BYTES_MAX,
        flush: false,
    };
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench_local(|| {
            let mut items = input.items(black_box(&bytes), options);
            while let Some(item) = items.next() {
                if let Item::Line(line) = item {
                    let _ = black_box(Text::check(line));
                }
            }
        });
}

/// Checks a line and renders it.
#[divan::bench(args = TEXTS)]
fn text(bencher: Bencher<'_, '_>, kind: &Kind) {
    let (line, mut out) = (kind.line(), Vec::new());
    bencher.counter(BytesCount::of_str(&line)).bench_local(|| {
        out.clear();
        let text = Text::check(black_box(line.as_bytes()));
        text.expect("it is UTF-8").append_to(&mut out);
        black_box(&out);
    });
}

const PEER: Peer = Peer::new(None, Wire::Chat);

/// A hub with so many members in its lobby. All have read all output.
struct Room {
    hub: Hub,
    members: Vec<ConnId>,
    now: Now,
}

impl Room {
    fn new(members: usize) -> Room {
        let limits = Limits {
            clients_max: members + 1,
            ..Limits::default()
        };
        let (mut hub, now) = (Hub::new(limits), Now::default());
        let connect = |_| hub.connect(now, PEER).expect("below clients_max");
        let members = (0..members).map(connect).collect();
        let mut room = Room { hub, members, now };
        room.now = room.now.after(10_000_000);
        while room.hub.tick(room.now) {}
        room.flush();
        room
    }

    /// The first member sends `bytes`.
    fn receive(&mut self, bytes: &[u8]) {
        let speaker = self.members[0];
        assert_eq!(self.hub.resume(self.now, speaker), Resume::Read);
        self.hub.receive(self.now, speaker, bytes);
    }

    /// Visits every client in the write queue, as a turn does; each reads everything. Returns the number of visits with
    /// output.
    fn flush(&mut self) -> usize {
        let mut visits = 0;
        while let Some(id) = self.hub.next_writable(self.now) {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.hub.output(id, &mut slices);
            let bytes = slices[..filled].iter().map(|slice| slice.len()).sum();
            if bytes > 0 {
                let _ = self.hub.sent(self.now, id, bytes);
                visits += 1;
            }
        }
        while self.hub.next_readable().is_some() {}
        visits
    }
}

/// Delivers one line to so many others: append, then `next_writable`, `output` and `sent` for each.
#[divan::bench(args = [1, 1000])]
fn delivery(bencher: Bencher<'_, '_>, others: usize) {
    let (mut room, line) = (Room::new(1 + others), ASCII_64.read()[..64].to_vec());
    bencher.counter(ItemsCount::new(others)).bench_local(|| {
        room.receive(black_box(&line));
        assert_eq!(room.flush(), others);
    });
}

/// Lines in a room without other members: the cost of a line without its delivery.
#[divan::bench(args = KINDS)]
fn monologue(bencher: Bencher<'_, '_>, kind: &Kind) {
    let (mut room, input) = (Room::new(1), kind.read());
    // A first line of NULs would be another protocol's.
    room.receive(b"hello\n");
    room.flush();
    bencher
        .counter(BytesCount::of_slice(&input))
        .bench_local(|| {
            room.receive(black_box(&input));
            while {
                room.flush();
                room.hub.resume(room.now, room.members[0])
            } == Resume::Wait
            {}
        });
}

/// A client connects, reads its greeting, and disconnects.
#[divan::bench(args = [0, 10_000])]
fn connection(bencher: Bencher<'_, '_>, others: usize) {
    let mut room = Room::new(others);
    bencher.bench_local(|| {
        let id = room.hub.connect(room.now, PEER).expect("below clients_max");
        room.flush();
        room.hub.disconnect(room.now, id);
        room.flush();
    });
}
