//! Members that read too slowly, under each `--slow` policy. Lines are numbered, so that a test knows exactly which
//! lines a reader received, and can check the number that the skip notices report.

use std::ops::Range;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::common::{Client, DEADLINE, Server, resident_bytes, skipped};

/// The smallest allowed room log, and buffers so small that a reader lags soon.
const SMALL: &str =
    "--room-log 65536 --max-line 2048 --send-buffer 4096 --recv-buffer 65536 --announce-limit 0";

/// A server with these flags and [`SMALL`], a client named talker, one that reads at once, and one that does not.
fn start(flags: &str) -> (Server, Client, Client, Client) {
    let server = Server::start(&SMALL.split(' ').chain(flags.split(' ')).collect::<Vec<_>>());
    let talker = Client::connect_named(server.addr(), "talker");
    let healthy = Client::connect(server.addr());
    let slow = Client::open_narrow(server.addr()).greeted();
    (server, talker, healthy, slow)
}

/// Sends numbered lines in one write.
fn say_numbered(talker: &Client, lines: Range<u64>) {
    let text = "-".repeat(90);
    let lines: String = lines.map(|count| format!("{count} {text}\n")).collect();
    talker.send(lines.as_bytes());
}

/// The number of a line from `talker`.
fn number_of(line: &str) -> u64 {
    let said = line.strip_prefix("talker: ");
    let count = said.and_then(|said| crate::common::number(said.split(' ').next()?));
    count.unwrap_or_else(|| panic!("not a line from talker: {line:?}"))
}

/// Reads the line of this number.
#[track_caller]
fn expect_number(reader: &mut Client, number: u64) {
    assert_eq!(
        number_of(&reader.line()),
        number,
        "{} lost lines",
        reader.name()
    );
}

/// Sends lines in batches, each when `healthy` has read the batch before, so that it never lags.
fn talk_in_step(talker: &Client, healthy: &mut Client, lines: Range<u64>) {
    for start in lines.step_by(100) {
        say_numbered(talker, start..start + 100);
        for count in start..start + 100 {
            expect_number(healthy, count);
        }
    }
}

/// Sends so many lines from a thread.
fn talk(talker: Client, lines: u64) -> JoinHandle<Client> {
    thread::spawn(move || {
        for start in (0..lines).step_by(100) {
            say_numbered(&talker, start..start + 100);
        }
        talker
    })
}

/// Reads until all `lines` are received or reported as skipped, and returns how many were skipped. Each notice must
/// report exactly the gap where it stands.
fn account(reader: &mut Client, lines: u64) -> u64 {
    let (mut next, mut lost) = (0, 0);
    while next < lines {
        let line = reader.line();
        if let Some(count) = skipped(&line) {
            assert!(count > 0, "{line}");
            (next, lost) = (next + count, lost + count);
        } else {
            assert_eq!(number_of(&line), next, "after {lost} reported as skipped");
            next += 1;
        }
    }
    assert_eq!(next, lines);
    lost
}

#[test]
fn skip_reports_the_exact_loss_and_healthy_readers_lose_nothing() {
    const LINES: u64 = 30_000;
    let (server, talker, mut healthy, mut slow) = start("--slow skip");
    talk_in_step(&talker, &mut healthy, 0..1000);
    let before = resident_bytes(server.id());
    talk_in_step(&talker, &mut healthy, 1000..LINES);
    let grown = resident_bytes(server.id()).saturating_sub(before);
    assert!(
        grown < 1 << 20,
        "{grown} bytes for a slow reader, which should cost only a cursor"
    );

    let lost = account(&mut slow, LINES);
    assert!(
        lost > LINES / 2,
        "only {lost} lines were skipped, so the test shows nothing"
    );
    // The reader is now a member like any other.
    slow.say("sorry");
    healthy.expect(&format!("{}: sorry", slow.name()));
    talker.say("never mind");
    slow.expect("talker: never mind");
}

#[test]
fn skip_at_full_speed_accounts_for_every_line_to_every_reader() {
    const LINES: u64 = 100_000;
    let (_server, talker, healthy, slow) = start("--slow skip");
    let reading =
        [healthy, slow].map(|mut reader| thread::spawn(move || account(&mut reader, LINES)));
    for start in (0..LINES).step_by(1000) {
        say_numbered(&talker, start..start + 1000);
    }
    for reader in reading {
        reader.join().expect("a reader");
    }
}

#[test]
fn skip_does_not_count_a_laggards_own_lines() {
    let (_server, talker, mut healthy, slow) = start("--slow skip");
    let mut laggard = slow.named("laggard");
    for round in 0..200 {
        say_numbered(&talker, round * 50..(round + 1) * 50);
        laggard.send(&b"I send but do not read, and my own lines are not skipped\n".repeat(20));
        let mut own = 0;
        for _ in 0..70 {
            own += u64::from(healthy.line().starts_with("laggard: "));
        }
        assert_eq!(own, 20, "a healthy reader lost lines");
    }
    let lost = account(&mut laggard, 200 * 50);
    assert!(
        lost > 1000,
        "only {lost} lines were skipped, so the test shows nothing"
    );
    talker.say("and on it goes");
    laggard.expect("talker: and on it goes");
}

#[test]
fn close_reports_the_loss_and_disconnects() {
    const LINES: u64 = 5000;
    let (_server, talker, mut healthy, mut slow) = start("--slow close");
    talk_in_step(&talker, &mut healthy, 0..LINES);
    let mut next = 0;
    let lost = loop {
        let line = slow.line();
        if let Some(count) = skipped(&line) {
            break count;
        }
        assert_eq!(number_of(&line), next);
        next += 1;
    };
    assert!(
        lost > 0 && next + lost <= LINES,
        "{next} received, {lost} skipped"
    );
    slow.expect("! closed: you are reading too slowly");
    slow.expect_end();
    assert_eq!(healthy.count_members(), 2);
}

#[test]
fn wait_loses_no_line_while_everyone_reads() {
    const LINES: u64 = 20_000;
    let (_server, talker, mut healthy, mut slow) = start("--slow wait");
    let talking = talk(talker, LINES);
    let (progress, healthy_has_read) = channel();
    let reading = thread::spawn(move || {
        for count in 0..LINES {
            expect_number(&mut healthy, count);
            let _ = progress.send(count + 1);
        }
    });
    let mut ahead = 0;
    for count in 0..LINES {
        // The slow reader stays so far behind that the log is full again and again, and the talker is paused.
        while ahead < LINES.min(count + 100) {
            let read = healthy_has_read.recv_timeout(DEADLINE);
            ahead = read.expect("the healthy reader's progress");
        }
        expect_number(&mut slow, count);
    }
    reading.join().expect("the healthy reader");
    talking.join().expect("the talker");
}

#[test]
fn wait_disconnects_a_reader_without_progress_after_the_timeout() {
    const LINES: u64 = 20_000;
    let (_server, talker, mut healthy, _stuck) = start("--slow wait --slow-timeout 1");
    let started = Instant::now();
    let talking = talk(talker, LINES);
    for count in 0..LINES {
        expect_number(&mut healthy, count);
    }
    let took = started.elapsed();
    let _talker = talking.join().expect("the talker");
    assert!(
        took >= Duration::from_millis(900) && took < DEADLINE / 2,
        "it took {took:?}"
    );
    assert_eq!(healthy.count_members(), 2);
}
