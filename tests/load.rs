//! Floods and large rooms: a flooding client is slowed down and loses nothing, the replies kept for it are bounded, and
//! many joins or leaves are announced in few lines.

mod common;

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Announcement, Client, Next, SILENCE, Server, ann_and_bob, announcement, resident_bytes,
};

#[test]
fn rate_delays_lines_and_loses_none() {
    let (_server, ann, mut bob) = ann_and_bob(&["--rate", "50", "--burst", "10"]);
    let started = Instant::now();
    let lines: String = (0..70).map(|count| format!("{count}\n")).collect();
    ann.send(lines.as_bytes());
    for count in 0..70 {
        bob.expect(&format!("ann: {count}"));
    }
    // Ten lines pass at once, sixty at fifty a second. `/nick` may have used one of the ten.
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(900), "70 lines in {took:?}");
    assert!(took < Duration::from_secs(6), "70 lines in {took:?}");
}

#[test]
fn rate_is_counted_by_address_and_survives_a_reconnection() {
    let server = Server::start(&["--rate", "20", "--burst", "30"]);
    let from = |address: [u8; 4], name| {
        let client = Client::open_from(address.into(), server.addr());
        client.greeted().named(name)
    };
    let (ann, bob) = (from([127, 0, 0, 1], "ann"), from([127, 0, 0, 2], "bob"));
    let mut cho = from([127, 0, 0, 3], "cho");
    ann.send(&b"flood\n".repeat(60));
    let started = Instant::now();
    for count in 0..10 {
        bob.say(&format!("calm {count}"));
        cho.find(&format!("bob: calm {count}"));
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "bob was delayed: {took:?}");
    // Ann has used up the rate of her address: a new connection from there has to wait, too.
    drop(ann);
    let again = Client::open_from([127, 0, 0, 1].into(), server.addr());
    again.send(b"again\n");
    cho.find("guest4: again");
    let took = started.elapsed();
    assert!(took > Duration::from_millis(900), "only after {took:?}");
}

#[test]
fn rate_delivers_every_line_of_a_client_that_has_finished() {
    let (_server, mut ann, mut bob) = ann_and_bob(&["--rate", "50", "--burst", "10"]);
    let lines: String = (0..40).map(|count| format!("{count}\n")).collect();
    ann.send(lines.as_bytes());
    ann.send(b"unterminated");
    ann.finish();
    for count in 0..40 {
        bob.expect(&format!("ann: {count}"));
    }
    bob.expect("ann: unterminated");
    ann.expect_start("* you send too fast: 50 lines a second are read");
    ann.expect_end();
}

/// Writes `block` again and again until the server reads no more; returns the number of bytes written.
fn flood(client: &Client, block: &[u8]) -> usize {
    let mut socket = client.writer();
    let bounded = socket.set_write_timeout(Some(SILENCE));
    bounded.expect("write timeout");
    let mut sent = 0;
    loop {
        match socket.write(&block[sent % block.len()..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return sent;
            }
            Err(error) => panic!("after {sent} bytes: {error}"),
        }
        assert!(sent < 256 << 20, "the server never stops reading");
    }
}

#[test]
fn unread_replies_pause_input_and_none_is_lost() {
    let server = Server::start(&[]);
    let mut asker = Client::open_narrow(server.addr()).greeted();
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    let before = resident_bytes(server.id());
    let question = b"/nope\n";
    let sent = flood(&asker, &question.repeat(1000));
    let grown = resident_bytes(server.id()).saturating_sub(before);
    assert!(grown < 2 << 20, "{grown} bytes of unread replies");
    ann.say("the others go on");
    bob.expect("ann: the others go on");

    let mut writer = asker.writer();
    let finishing = thread::spawn(move || {
        let bounded = writer.set_write_timeout(Some(common::DEADLINE));
        bounded.expect("write timeout");
        let rest = &question[sent % question.len()..];
        writer
            .write_all(&[rest, b"/last\n"].concat())
            .expect("write");
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
    // One more than the whole questions written: the rest completed a partial question, or was one of its own.
    assert_eq!(replies, sent / question.len() + 1);
}

/// Adds up the announcements that `watcher` reads until `done` holds for the sum; returns the sum and their number.
fn count_until(watcher: &mut Client, done: impl Fn(&Announcement) -> bool) -> (Announcement, u64) {
    let (mut sum, mut lines) = (Announcement::default(), 0);
    while !done(&sum) {
        let line = watcher.line_raw();
        if let Some(seen) = announcement(&line) {
            sum.joined += seen.joined;
            sum.left += seen.left;
            sum.here = seen.here;
            lines += 1;
        }
    }
    (sum, lines)
}

#[test]
fn many_joins_and_leaves_are_announced_in_few_lines_that_add_up() {
    const JOINING: u64 = 200;
    let server = Server::start(&[]);
    let mut watcher = Client::connect(server.addr());
    let started = Instant::now();
    let clients = [(); JOINING as usize].map(|()| Client::connect(server.addr()));
    let (sum, lines) = count_until(&mut watcher, |sum| sum.joined == JOINING);
    assert_eq!((sum.left, sum.here), (0, JOINING + 1));
    let most = started.elapsed().as_secs() + 2;
    assert!(
        lines <= most,
        "{lines} announcements of joins within {most} s"
    );

    let started = Instant::now();
    drop(clients);
    let (sum, lines) = count_until(&mut watcher, |sum| sum.left == JOINING);
    assert_eq!((sum.joined, sum.here), (0, 1));
    let most = started.elapsed().as_secs() + 2;
    assert!(
        lines <= most,
        "{lines} announcements of leaves within {most} s"
    );
}

#[test]
fn above_the_announce_limit_nobody_is_announced() {
    let server = Server::start(&["--announce-limit", "3"]);
    let mut watcher = Client::connect(server.addr());
    let clients: Vec<Client> = (0..10).map(|_| Client::connect(server.addr())).collect();
    // Announcements are sent within a second, so by then every one has arrived.
    let end = Instant::now() + Duration::from_millis(1300);
    loop {
        match watcher.next(end.saturating_duration_since(Instant::now())) {
            Next::Silence => break,
            Next::Line(line) => {
                let seen = announcement(&line).unwrap_or_else(|| panic!("odd line {line:?}"));
                assert!(seen.here <= 3, "{line}");
            }
            other => panic!("{other:?}"),
        }
    }
    clients[0].say("lines still arrive");
    watcher.expect(&format!("{}: lines still arrive", clients[0].name()));
}

#[test]
fn a_flood_in_one_room_does_not_delay_another() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.join("garden", 1);
    bob.join("garden", 2);
    let flooders = [(); 4].map(|()| Client::connect(server.addr()));
    let threads = flooders.each_ref().map(|flooder| {
        let mut socket = flooder.writer();
        thread::spawn(move || while socket.write_all(&b"x\n".repeat(1000)).is_ok() {})
    });
    let mut slowest = Duration::ZERO;
    for count in 0..100 {
        let asked = Instant::now();
        ann.say(&format!("calm {count}"));
        bob.expect(&format!("ann: calm {count}"));
        slowest = slowest.max(asked.elapsed());
    }
    // Generous, because the flood's own threads compete for the processors.
    let most = Duration::from_secs(1);
    assert!(slowest < most, "the slowest line took {slowest:?}");
    drop(server);
    drop(flooders);
    for thread in threads {
        thread.join().expect("the flooding thread");
    }
}
