//! `madang bench` against servers that do wrong: they lose lines, repeat or damage them, stall, end.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::{assert_refused, bench, count, figure, measure, sound};

/// A server of raw lines in a thread: `serve` is given the connections once there are so many, and each line that the
/// last of them sends.
fn raw_server(
    connections: usize,
    mut serve: impl FnMut(&mut [TcpStream], &[u8]) + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let accept = |_| listener.accept().expect("accept").0;
        let mut all: Vec<TcpStream> = (0..connections).map(accept).collect();
        // Which of them is the sender shows in who speaks first.
        let speaker = loop {
            let speaks = |stream: &TcpStream| {
                stream.set_nonblocking(true).expect("nonblocking");
                let peeked = stream.peek(&mut [0]);
                stream.set_nonblocking(false).expect("blocking");
                peeked.is_ok_and(|bytes| bytes > 0)
            };
            if let Some(at) = all.iter().position(speaks) {
                break all.remove(at);
            }
            thread::yield_now();
        };
        let mut lines = BufReader::new(speaker);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|bytes| bytes > 0)
        {
            serve(&mut all, &line);
            line.clear();
        }
    });
    address
}

/// Sends a line to all; that one of them is gone is no matter.
fn pass_on(all: &mut [TcpStream], line: &[u8]) {
    for stream in all {
        let _ = stream.write_all(line);
    }
}

/// Leaves out the lines that only ask who is there: all but those that the account is about.
fn is_counted(line: &[u8]) -> bool {
    // The number of a line is its ninth to fourteenth byte; that of a question is the largest there is.
    &line[8..14] != b"3_____"
}

#[test]
fn a_line_that_is_lost_within_the_run_is_missed() {
    let mut counted = 0;
    let address = raw_server(4, move |all, line| {
        counted += u32::from(is_counted(line));
        // The second receiver is not given the 40th.
        match all {
            [one, _, rest @ ..] if counted == 40 && is_counted(line) => {
                pass_on(std::slice::from_mut(one), line);
                pass_on(rest, line);
            }
            all => pass_on(all, line),
        }
    });
    let flags = "--protocol raw --clients 3 --lines 100 --window 10 --patience 1";
    let output = bench(&address.to_string(), flags);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("300 owed = 299 received + 0 told as skipped + 1 lost"),
        "{text}"
    );
    assert!(text.contains("DOES NOT ADD UP: connection "), "{text}");
}

#[test]
fn a_line_that_everybody_waits_for_in_vain_ends_the_run() {
    let mut counted = 0;
    let address = raw_server(3, move |all, line| {
        counted += u32::from(is_counted(line));
        if counted != 7 {
            pass_on(all, line);
        }
    });
    let flags = "--protocol raw --clients 2 --lines 100 --patience 1";
    let (value, adds_up) = measure(&address.to_string(), flags);
    assert!(!adds_up);
    assert_eq!(value["account"]["gave_up"], true, "{value:#}");
    assert_eq!(count(&value, "/sent/lines"), 7);
    assert_eq!(count(&value, "/account/lost"), 2);
}

#[test]
fn lines_that_come_twice_or_damaged_are_no_deliveries() {
    let mut counted = 0;
    let address = raw_server(2, move |all, line| {
        counted += u32::from(is_counted(line));
        match counted {
            20 => pass_on(all, &line.repeat(2)),
            30 => pass_on(all, &line.to_ascii_uppercase()),
            _ => pass_on(all, line),
        }
    });
    let flags = "--protocol raw --clients 1 --lines 50 --window 50 --patience 1";
    let (value, adds_up) = measure(&address.to_string(), flags);
    assert!(!adds_up);
    assert_eq!(count(&value, "/account/wrong"), 1, "{value:#}");
    assert_eq!(count(&value, "/account/lost"), 1, "{value:#}");
    assert_eq!(count(&value, "/account/strange_lines"), 1, "{value:#}");
}

#[test]
fn a_stall_is_counted_for_every_line_that_should_have_been_sent_meanwhile() {
    const STALL: Duration = Duration::from_millis(200);
    let mut counted = 0;
    let address = raw_server(3, move |all, line| {
        counted += u32::from(is_counted(line));
        if counted == 100 {
            thread::sleep(STALL);
        }
        pass_on(all, line);
    });
    let flags = "--protocol raw --clients 2 --rate 500 --duration 1";
    let value = sound(&address.to_string(), flags);
    assert_eq!(count(&value, "/sent/lines"), 500);
    let latency = |name: &str| figure(&value["latency_us"], &format!("/{name}"));
    assert!(latency("max") >= 199_000.0, "{value:#}");
    // A fifth of all lines were due in the stall, half of them in its first half.
    assert!(latency("p99") >= 150_000.0, "{value:#}");
    assert!(latency("p90") >= 80_000.0, "{value:#}");
}

#[test]
fn a_server_that_ends_within_the_run_is_no_silence() {
    let mut counted = 0;
    let address = raw_server(2, move |all, line| {
        counted += u32::from(is_counted(line));
        pass_on(all, line);
        if counted == 10 {
            panic!("as planned");
        }
    });
    let begun = Instant::now();
    assert_refused(
        &address.to_string(),
        "--protocol raw --clients 1 --lines 1000",
        &["ended a sender's connection"],
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}
