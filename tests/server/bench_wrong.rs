//! `madang bench` against faulty servers: they lose, repeat or damage lines, stall, or end.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{assert_refused, bench, count, figure, measure, sound};

/// A server of raw lines in a thread. It accepts so many connections; then it calls `serve` for each line of the sender,
/// with the connections of the receivers and the number of counted lines so far.
fn raw_server(
    connections: usize,
    serve: impl Fn(&mut [TcpStream], u32, &[u8]) + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let accept = |_| listener.accept().expect("accept").0;
        let mut all: Vec<TcpStream> = (0..connections).map(accept).collect();
        // The first connection that sends is the sender's.
        let sender = loop {
            let sends = |stream: &TcpStream| {
                stream.set_nonblocking(true).expect("nonblocking");
                let peeked = stream.peek(&mut [0]);
                stream.set_nonblocking(false).expect("blocking");
                peeked.is_ok_and(|bytes| bytes > 0)
            };
            if let Some(at) = all.iter().position(sends) {
                break all.remove(at);
            }
            thread::yield_now();
        };
        let (mut lines, mut line) = (BufReader::new(sender), Vec::new());
        let mut counted = 0;
        while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
            counted += u32::from(is_counted(&line));
            serve(&mut all, counted, &line);
            line.clear();
        }
    });
    address
}

/// Sends a line to all connections that are still open.
fn pass_on(all: &mut [TcpStream], line: &[u8]) {
    for stream in all {
        let _ = stream.write_all(line);
    }
}

/// Whether a line is counted: probes are not.
fn is_counted(line: &[u8]) -> bool {
    // The number of a line is its ninth to fourteenth byte; a probe has the largest number.
    &line[8..14] != b"3_____"
}

#[test]
fn a_line_lost_within_the_run_is_noticed() {
    let address = raw_server(4, |all, counted, line| {
        // The second receiver does not get line 40.
        match all {
            [one, _, rest @ ..] if counted == 40 => {
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
    let account = "300 owed = 299 received + 0 reported as skipped + 1 lost";
    assert!(text.contains(account), "{text}");
    assert!(text.contains("DOES NOT ADD UP: connection "), "{text}");
}

#[test]
fn a_run_stops_after_the_timeout_when_a_line_reaches_nobody() {
    let address = raw_server(3, |all, counted, line| {
        if counted != 7 {
            pass_on(all, line);
        }
    });
    let flags = "--protocol raw --clients 2 --lines 100 --timeout 1";
    let (value, adds_up) = measure(&address.to_string(), flags);
    assert!(!adds_up);
    assert_eq!(value["account"]["gave_up"], true, "{value:#}");
    assert_eq!(count(&value, "/sent/lines"), 7);
    assert_eq!(count(&value, "/account/lost"), 2);
}

#[test]
fn repeated_and_damaged_lines_are_not_deliveries() {
    let address = raw_server(2, |all, counted, line| match counted {
        20 => pass_on(all, &line.repeat(2)),
        30 => pass_on(all, &line.to_ascii_uppercase()),
        _ => pass_on(all, line),
    });
    let flags = "--protocol raw --clients 1 --lines 50 --window 50 --patience 1";
    let (value, adds_up) = measure(&address.to_string(), flags);
    assert!(!adds_up);
    assert_eq!(count(&value, "/account/wrong"), 1, "{value:#}");
    assert_eq!(count(&value, "/account/lost"), 1, "{value:#}");
    assert_eq!(count(&value, "/account/strange_lines"), 1, "{value:#}");
}

#[test]
fn a_stall_counts_for_every_line_that_was_due_during_it() {
    const STALL: Duration = Duration::from_millis(200);
    let address = raw_server(3, |all, counted, line| {
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
    // A fifth of all lines were due during the stall, half of them in its first half.
    assert!(latency("p99") >= 150_000.0, "{value:#}");
    assert!(latency("p90") >= 80_000.0, "{value:#}");
}

#[test]
fn a_server_that_ends_within_the_run_is_noticed_before_the_timeout() {
    let address = raw_server(2, |all, counted, line| {
        pass_on(all, line);
        if counted == 10 {
            panic!("as planned");
        }
    });
    let begun = Instant::now();
    let flags = "--protocol raw --clients 1 --lines 1000";
    assert_refused(
        &address.to_string(),
        flags,
        &["closed a sender's connection"],
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}
