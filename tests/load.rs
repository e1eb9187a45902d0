//! Floods and crowds: a flooder is slowed and loses nothing, replies to it are bounded, and a crowd that
//! comes or goes is told of in few lines.

mod common;

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{Announcement, Client, Next, SILENCE, Server, announcement, resident_bytes};

#[test]
fn over_its_rate_a_client_is_heard_later_but_wholly() {
    let server = Server::start(&["--rate", "50", "--burst", "10"]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    let started = Instant::now();
    let lines: String = (0..70).map(|count| format!("{count}\n")).collect();
    ann.send(lines.as_bytes());
    for count in 0..70 {
        bob.expect(&format!("ann: {count}"));
    }
    // Ten go at once and sixty at fifty a second; the lines of the greeting may have used some of the ten.
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(900), "70 lines in {took:?}");
    assert!(took < Duration::from_secs(6), "70 lines in {took:?}");
}

#[test]
fn the_rate_of_one_is_not_the_rate_of_another() {
    let server = Server::start(&["--rate", "20", "--burst", "30"]);
    let ann = Client::connect_named(server.addr(), "ann");
    let bob = Client::connect_named(server.addr(), "bob");
    let mut cho = Client::connect_named(server.addr(), "cho");
    ann.send(&b"flood\n".repeat(60));
    let started = Instant::now();
    for count in 0..10 {
        bob.say(&format!("calm {count}"));
        cho.find(&format!("bob: calm {count}"));
    }
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "bob was held up: {:?}",
        started.elapsed()
    );
    for _ in 0..20 {
        cho.line();
    }
}

#[test]
fn a_slowed_client_that_finishes_is_still_heard_wholly() {
    let server = Server::start(&["--rate", "50", "--burst", "10"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    let lines: String = (0..40).map(|count| format!("{count}\n")).collect();
    ann.send(lines.as_bytes());
    ann.send(b"unterminated");
    ann.finish();
    for count in 0..40 {
        bob.expect(&format!("ann: {count}"));
    }
    bob.expect("ann: unterminated");
    ann.expect_end();
}

/// Writes `block` again and again until the other side takes no more; the bytes that went.
fn flood(client: &Client, block: &[u8]) -> usize {
    let mut socket = client.writer();
    socket
        .set_write_timeout(Some(SILENCE))
        .expect("write timeout");
    let mut sent = 0;
    loop {
        match socket.write(&block[sent % block.len()..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return sent;
            }
            Err(error) => panic!("after {sent} bytes: {error}"),
        }
        assert!(sent < 256 << 20, "it takes all that it is given");
    }
}

#[test]
fn who_asks_without_reading_is_no_longer_read_and_loses_no_reply() {
    let server = Server::start(&[]);
    let mut asker = Client::raw_narrow(server.addr()).greeted();
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    let before = resident_bytes(server.id());
    let question = b"/nope\n";
    let sent = flood(&asker, &question.repeat(1000));
    let grown = resident_bytes(server.id()).saturating_sub(before);
    assert!(
        grown < 2 << 20,
        "{grown} bytes of replies that nobody reads"
    );
    ann.say("and the others talk");
    bob.expect("ann: and the others talk");

    let mut rest = asker.writer();
    let finishing = thread::spawn(move || {
        rest.set_write_timeout(Some(common::DEADLINE))
            .expect("write timeout");
        rest.write_all(&question[sent % question.len()..])
            .expect("write");
        rest.write_all(b"/last\n").expect("write");
    });
    let mut replies = 0;
    loop {
        let line = asker.line();
        if line.starts_with("! unknown command /last") {
            break;
        }
        replies += usize::from(line.starts_with("! unknown command /nope"));
    }
    finishing.join().expect("the writer");
    // Whatever was cut off where the flood stopped has been completed, or one more was asked.
    assert_eq!(replies, sent / question.len() + 1);
}

/// Adds up what `watcher` is told until somebody has counted everyone; with how many lines it took.
fn count_until(watcher: &mut Client, done: impl Fn(&Announcement) -> bool) -> (Announcement, u64) {
    let (mut sum, mut lines) = (Announcement::default(), 0);
    while !done(&sum) {
        let line = watcher.line_raw();
        if let Some(told) = announcement(&line) {
            sum.joined += told.joined;
            sum.left += told.left;
            sum.here = told.here;
            lines += 1;
        }
    }
    (sum, lines)
}

#[test]
fn a_crowd_that_comes_and_goes_is_told_of_in_few_lines_that_add_up() {
    const CROWD: u64 = 200;
    let server = Server::start(&[]);
    let mut watcher = Client::connect(server.addr());
    let started = Instant::now();
    let crowd: Vec<Client> = (0..CROWD).map(|_| Client::connect(server.addr())).collect();
    let (sum, lines) = count_until(&mut watcher, |sum| sum.joined == CROWD);
    assert_eq!((sum.left, sum.here), (0, CROWD + 1));
    let most = started.elapsed().as_secs() + 2;
    assert!(
        lines <= most,
        "{lines} lines about arrivals within {most} s"
    );

    let started = Instant::now();
    drop(crowd);
    let (sum, lines) = count_until(&mut watcher, |sum| sum.left == CROWD);
    assert_eq!((sum.joined, sum.here), (0, 1));
    let most = started.elapsed().as_secs() + 2;
    assert!(
        lines <= most,
        "{lines} lines about departures within {most} s"
    );
}

#[test]
fn above_the_limit_nobody_is_announced() {
    let server = Server::start(&["--announce-limit", "3"]);
    let mut watcher = Client::connect(server.addr());
    let crowd: Vec<Client> = (0..10).map(|_| Client::connect(server.addr())).collect();
    // What is gathered is told after a second at the latest, so this is long enough to hear of everyone.
    let end = Instant::now() + Duration::from_millis(1300);
    loop {
        match watcher.next(end.saturating_duration_since(Instant::now())) {
            Next::Silence => break,
            Next::Line(line) => {
                let told = announcement(&line).unwrap_or_else(|| panic!("odd line {line:?}"));
                assert!(told.here <= 3, "{line}");
            }
            other => panic!("{other:?}"),
        }
    }
    crowd[0].say("but talk is heard");
    watcher.expect(&format!("{}: but talk is heard", crowd[0].name()));
}

#[test]
fn a_flood_in_one_room_keeps_no_one_waiting_in_another() {
    let server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    for calm in [&mut ann, &mut bob] {
        calm.say("/join garden");
        calm.expect_start("* you are in garden (");
    }
    let flooders: Vec<Client> = (0..4).map(|_| Client::connect(server.addr())).collect();
    let flooding: Vec<_> = flooders.iter().map(Client::writer).collect();
    let threads: Vec<_> = flooding
        .into_iter()
        .map(|mut socket| {
            thread::spawn(move || while socket.write_all(&b"x\n".repeat(1000)).is_ok() {})
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for count in 0..100 {
        let asked = Instant::now();
        ann.say(&format!("calm {count}"));
        bob.expect(&format!("ann: calm {count}"));
        slowest = slowest.max(asked.elapsed());
    }
    // Generous, for the flood's own threads compete for the processors.
    assert!(
        slowest < Duration::from_secs(1),
        "the slowest line took {slowest:?}"
    );
    drop(server);
    drop(flooders);
    for thread in threads {
        thread.join().expect("a flooder ends with its connection");
    }
}
