//! `madang bench` as its users run it: against madang and against other servers that work correctly.

use std::net::{TcpListener, TcpStream};
use std::process::Command;

use crate::common::{Program, Scratch, Server, assert_refused, bench, count, figure, sound};

/// A log and buffers so small that a client that does not read soon loses lines.
const SMALL: &str = "--room-log 65536 --max-line 1024 --send-buffer 4096";

/// A server with these flags.
fn start(flags: &str) -> Server {
    Server::start(&flags.split(' ').collect::<Vec<_>>())
}

#[test]
fn a_small_run_adds_up_and_its_figures_are_plausible() {
    let server = Server::start(&[]);
    let target = server.addr().to_string();
    let flags = format!("--clients 20 --lines 50 --size 100 --pid {}", server.id());
    let value = sound(&target, &flags);
    assert_eq!(count(&value, "/connect/connections"), 21);
    assert_eq!(count(&value, "/sent/lines"), 50);
    assert_eq!(count(&value, "/delivered/lines"), 50 * 20);
    assert_eq!(count(&value, "/account/owed"), 50 * 20);
    assert_eq!(count(&value, "/account/received"), 50 * 20);
    for place in [
        "/connect/per_second",
        "/delivered/per_second",
        "/server/cpu_us_per_delivery",
    ] {
        assert!(figure(&value, place) > 0.0, "{place}: {value:#}");
    }
    // What the program touches of its own code with the first connections counts too: more of it where it is not optimised.
    assert!(figure(&value, "/server/memory_bytes_per_connection") < 131_072.0);
    let quantiles = ["p50", "p90", "p99", "p99.9", "max"];
    let quantiles = quantiles.map(|name| figure(&value["latency_us"], &format!("/{name}")));
    assert!(quantiles.is_sorted() && quantiles[0] > 0.0, "{quantiles:?}");
}

#[test]
fn the_result_for_people_names_every_figure() {
    let server = Server::start(&[]);
    let output = bench(&server.addr().to_string(), "--clients 5 --lines 30");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{text}"
    );
    for words in [
        "5 receivers, 1 sender, 1 room at 127.0.0.1:",
        "connected   6 in ",
        "sent        30 lines in ",
        "delivered   150 in ",
        "latency     p50 ",
        "account     150 owed = 150 received + 0 reported as skipped + 0 lost",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
}

#[test]
fn senders_receive_one_another_and_only_their_own_room() {
    let server = Server::start(&[]);
    let flags = "--clients 30 --senders 6 --rooms 3 --lines 600 --window 20";
    let value = sound(&server.addr().to_string(), flags);
    // Each line reaches the ten receivers of its room and the other sender there.
    assert_eq!(count(&value, "/account/received"), 600 * 11);
    assert_eq!(count(&value, "/account/strange_lines"), 0);
}

#[test]
fn a_run_sends_nothing_to_the_lobby() {
    let server = start("--announce-limit 0");
    let mut kim = crate::common::Client::connect_named(server.addr(), "kim");
    sound(&server.addr().to_string(), "--clients 3 --lines 10");
    kim.expect_silence(crate::common::SILENCE);
}

#[test]
fn lines_reported_as_skipped_to_slow_readers_add_up() {
    let server = start(SMALL);
    let flags = "--clients 8 --senders 2 --slow-readers 2 --lines 20000 --window 100 --size 100";
    let value = sound(&server.addr().to_string(), flags);
    let owed = 20_000 * 9;
    let skipped = count(&value, "/account/told_skipped");
    assert_eq!(count(&value, "/account/received") + skipped, owed);
    assert!(
        skipped > 20_000,
        "only {skipped} lines were skipped, too few for this test"
    );
    assert_eq!(count(&value, "/delivered/lines"), 20_000 * 7);
}

#[test]
fn a_reader_that_the_server_closes_has_lost_lines() {
    let server = start(&format!("{SMALL} --slow close"));
    let flags = "--clients 4 --slow-readers 1 --lines 10000 --window 100 --size 100";
    let output = bench(&server.addr().to_string(), flags);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for words in [
        "DOES NOT ADD UP: connection 0 was owed 10000",
        "1 connections were closed by the server",
        "closed: you are reading too slowly",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
}

#[test]
fn raw_listeners_and_unix_sockets_are_measured() {
    let scratch = Scratch::new();
    let place = format!("unix:{}", scratch.path("bench.sock").display());
    let server = start(&format!("--listen-raw 127.0.0.1:0 --listen {place}"));
    let raw = server.raw_addr().to_string();
    let flags = "--clients 10 --senders 2 --lines 400 --window 10";
    let value = sound(&raw, &format!("{flags} --protocol raw"));
    assert_eq!(count(&value, "/account/received"), 400 * 11);
    let value = sound(&place, flags);
    assert_eq!(count(&value, "/account/received"), 400 * 11);
}

#[test]
#[ignore = "needs ncat"]
fn the_broker_of_ncat_is_measured() {
    // ncat cannot choose a free port, and does not report when it listens.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a port").port().to_string();
    let _broker = Program::start("ncat", &["--broker", "-l", "127.0.0.1", &port]);
    let target = format!("127.0.0.1:{port}");
    crate::common::until("it listens", || TcpStream::connect(&target).is_ok());
    let value = sound(&target, "--protocol raw --clients 10 --lines 100");
    assert_eq!(count(&value, "/account/received"), 100 * 10);
}

#[test]
fn an_impossible_run_is_explained_in_one_line() {
    let unused = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let unused = unused.expect("an address").to_string();
    let missing = "unix:/no/such";
    assert_refused(&unused, "", &[&unused, "connection refused"]);
    assert_refused(missing, "", &[missing, "is the server running"]);
    for (flags, words) in [
        (
            "--protocol raw --rooms 2 --senders 2",
            &["--rooms 2", "raw"][..],
        ),
        ("--rooms 2", &["--senders 2 or more"]),
        ("--clients 1 --slow-readers 2", &["--slow-readers 2"]),
        ("--pid 4194999", &["--pid 4194999"]),
    ] {
        assert_refused(&unused, flags, words);
    }
}

#[test]
fn the_descriptor_limit_is_raised_to_the_hard_limit_and_explained_beyond_it() {
    let server = Server::start(&[]);
    let run = |limits: &str, clients: &str| {
        let program = env!("CARGO_BIN_EXE_madang");
        let command = format!(r#"{limits} exec "$0" bench "$1" --lines 1 --clients "$2""#);
        let address = server.addr().to_string();
        let arguments = ["-c", &command, program, &address, clients];
        let output = Command::new("sh").args(arguments).output();
        output.expect("it runs")
    };
    let output = run("ulimit -S -n 40;", "100");
    assert!(output.status.success(), "{output:?}");
    let output = run("ulimit -n 100;", "100");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let words = "--clients 100 and --senders 1 need 117 descriptors, but the limit is 100; raise it with ulimit -n";
    assert!(stderr.contains(words), "{stderr}");
}

#[test]
fn a_refusal_of_the_server_is_shown() {
    let full = start("--max-clients 5");
    // How many connections were greeted before is chance: a refusal is sent at once, a greeting later.
    let words = [" of 11 connections were greeted", "server is full"];
    assert_refused(&full.addr().to_string(), "--clients 10", &words);
    let short = start("--max-line 50");
    let words = ["refused what a sender sent", "longer than 50 bytes"];
    let flags = "--clients 2 --lines 5 --size 64";
    assert_refused(&short.addr().to_string(), flags, &words);
    let raw = start("--listen-raw 127.0.0.1:0");
    let words = ["0 of 3 connections were greeted", "--protocol"];
    assert_refused(
        &raw.raw_addr().to_string(),
        "--clients 2 --patience 1",
        &words,
    );
}

#[test]
fn bad_values_are_refused_by_name() {
    for (flags, named) in [
        ("--size 3", "--size"),
        ("--clients 0", "--clients"),
        ("--senders 300000", "--senders"),
        ("--window 0", "--window"),
        ("--rate 10 --window 2", "--window"),
        ("--duration 0", "--duration"),
        ("--protocol irc", "--protocol"),
    ] {
        let output = bench("127.0.0.1:1", flags);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags}: {stderr}");
        assert!(stderr.contains(named), "{flags}: {stderr}");
    }
}
