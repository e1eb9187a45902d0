//! What the hub costs without the kernel, part by part, so that a regression has a name.
//!
//! ```text
//! cargo bench --bench hub                    everything, some seconds
//! cargo bench --bench hub -- framing         benches with this in their name
//! cargo bench --bench hub -- --short         everything, roughly, in a second or two
//! ```
//!
//! On a machine that runs other programs, compare the column `fastest`.
//!
//! Framing takes a fifth of the time that the whole hub takes for a line: a regression of the framing would hardly show
//! in a measurement of [`Hub::receive`]. Its module is private, but imports nothing of the hub except the limits. So it is
//! compiled here once more, from the same file with the same flags, and the library need not make it public. Everything
//! larger is measured through the hub's contract, as the server uses it.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use leaves::frame::Frame;
use leaves::session::{Input, Intake, Verdict};
use leaves::text::Text;
use madang::hub::limits::{Limits, READ_BYTES_MAX, SLICES_MAX};
use madang::hub::{ConnId, Hub, Now, Peer, Resume, Wire};
use std::fmt;
use std::io::IoSlice;

#[allow(dead_code)]
#[path = "../src/hub"]
mod leaves {
    pub use madang::hub::{Now, limits};
    pub mod frame;
    pub mod name;
    pub mod session;
    pub mod telnet;
    pub mod text;
}

/// The longest line, in all that is measured here.
const LINE_BYTES_MAX: usize = 8192;

/// Samples of each figure, unless the command line sets another number (`--sample-count`). With `--short` divan takes its
/// default of 100; it does not know that flag, and therefore does not get the arguments.
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

/// A kind of line: its name, the text that it repeats, its length with its terminator, and the terminator.
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

    /// As many such lines as one read has.
    fn read(&self) -> Vec<u8> {
        let line = self.line() + self.3;
        line.repeat(READ_BYTES_MAX / line.len()).into_bytes()
    }
}

const ASCII_64: Kind = Kind("ASCII, 64 bytes", "a", 64, "\n");

/// What people, programs and attackers send.
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

/// Texts of 64 bytes: safe ones, and ones in which characters must be replaced.
const TEXTS: [Kind; 6] = [
    Kind("ASCII, 8 bytes", "a", 8, ""),
    Kind("ASCII", "a", 64, ""),
    Kind("Hangul", "마당", 64, ""),
    Kind("emoji", "🏡", 64, ""),
    Kind("colours", "\u{1b}[31mred", 64, ""),
    Kind("C1 and bidi", "\u{9b}\u{202e}", 64, ""),
];

/// Counts the lines in `input`. Each is used by reference: moving a line that was just written would take longer than
/// framing a short one.
fn frame(frame: &mut Frame, mut input: &[u8]) -> usize {
    let mut lines = 0;
    while let Some(line) = &frame.next(&mut input, LINE_BYTES_MAX) {
        black_box(line);
        lines += 1;
    }
    lines
}

/// `frame` alone.
#[divan::bench(args = KINDS)]
fn framing(bencher: Bencher<'_, '_>, kind: &Kind) {
    let (input, mut framing) = (kind.read(), Frame::default());
    bencher
        .counter(BytesCount::of_slice(&input))
        .bench_local(|| frame(&mut framing, black_box(&input)));
}

/// The same with input that arrives in small pieces.
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

/// A line that does not end.
#[divan::bench(args = [b'a', 0, b'\r'])]
fn framing_without_end(bencher: Bencher<'_, '_>, byte: u8) {
    let (input, mut framing) = ([byte; READ_BYTES_MAX], Frame::default());
    bencher
        .counter(BytesCount::of_slice(&input))
        .bench_local(|| frame(&mut framing, black_box(&input)));
}

/// From bytes to text that is safe to show: `telnet`, `frame` and `text` together.
#[divan::bench(args = KINDS)]
fn intake(bencher: Bencher<'_, '_>, kind: &Kind) {
    let (input, mut intake) = (kind.read(), Intake::default());
    let check = |input: Input<'_>| {
        if let Input::Line(line) = input {
            let _ = black_box(Text::check(line));
        }
        Verdict::Next
    };
    bencher
        .counter(BytesCount::of_slice(&input))
        .bench_local(|| {
            intake.feed(false, black_box(&input), LINE_BYTES_MAX, check);
            // So many lines a visit: the rest was held.
            while intake.has_held() {
                let held = intake.take_held();
                intake.feed(false, &held, LINE_BYTES_MAX, check);
            }
        });
}

/// Checking a line, and rendering it.
#[divan::bench(args = TEXTS)]
fn text(bencher: Bencher<'_, '_>, kind: &Kind) {
    let (line, mut out) = (kind.line(), Vec::new());
    bencher.counter(BytesCount::of_str(&line)).bench_local(|| {
        out.clear();
        let text = Text::check(black_box(line.as_bytes()));
        text.expect("it is UTF-8").push_to(&mut out);
        black_box(&out);
    });
}

/// A hub with so many members in its lobby, all of which have received everything.
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
        let peer = Peer {
            address: None,
            wire: Wire::Chat,
        };
        let connect = |_| hub.connect(now, peer).expect("the hub is not full");
        let members = (0..members).map(connect).collect();
        let mut room = Room { hub, members, now };
        room.now = room.now.after(10_000_000);
        room.hub.tick(room.now);
        room.flush();
        room
    }

    /// The first member sends `bytes`.
    fn receive(&mut self, bytes: &[u8]) {
        let speaker = self.members[0];
        assert_eq!(self.hub.resume(self.now, speaker), Resume::Read);
        self.hub.receive(self.now, speaker, bytes);
    }

    /// Writes to every client that has output pending, as a turn does; each takes all of it. Returns how many writes there
    /// were.
    fn flush(&mut self) -> usize {
        let mut visits = 0;
        while let Some(id) = self.hub.next_owed(self.now) {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.hub.output(id, &mut slices);
            let bytes = slices[..filled].iter().map(|slice| slice.len()).sum();
            if bytes > 0 {
                self.hub.sent(self.now, id, bytes);
                visits += 1;
            }
        }
        while self.hub.next_runnable().is_some() {}
        visits
    }
}

/// One line to each of so many others: append, then `next_owed`, `output` and `sent` for each.
#[divan::bench(args = [1, 1000])]
fn delivery(bencher: Bencher<'_, '_>, others: usize) {
    let (mut room, line) = (Room::new(1 + others), ASCII_64.read()[..64].to_vec());
    bencher.counter(ItemsCount::new(others)).bench_local(|| {
        room.receive(black_box(&line));
        assert_eq!(room.flush(), others);
    });
}

/// Lines in a room of one: all that a line costs before it is written to others.
#[divan::bench(args = KINDS)]
fn monologue(bencher: Bencher<'_, '_>, kind: &Kind) {
    let (mut room, input) = (Room::new(1), kind.read());
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

/// A client connects, is greeted, and leaves.
#[divan::bench(args = [0, 10_000])]
fn connection(bencher: Bencher<'_, '_>, others: usize) {
    let mut room = Room::new(others);
    let peer = Peer {
        address: None,
        wire: Wire::Chat,
    };
    bencher.bench_local(|| {
        let id = room
            .hub
            .connect(room.now, peer)
            .expect("the hub is not full");
        room.flush();
        room.hub.disconnect(room.now, id);
        room.flush();
    });
}
