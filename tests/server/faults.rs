//! Faults of the machine and of peers: accept(2) fails, connections are reset. A fault ends at most the connection
//! that has it.

use std::fs;

use crate::common::{
    Client, Launch, Scratch, Server, ann_and_bob, cpu_ticks, open_descriptors, resident_bytes,
    until,
};

/// Makes the first `times` calls of accept(2) fail with `error`, by strace. All clients must be served all the same.
fn assert_survives_accept_failing(error: &str, times: u32) {
    let scratch = Scratch::new();
    let log = scratch.path("strace");
    let inject =
        format!("-e trace=accept4,accept -e inject=accept4,accept:error={error}:when=1..{times}");
    // With -D strace is a grandchild, and the server stays the child of the test, which can kill it.
    let options = format!("-D -f -q -o {} {inject}", log.display());
    let options: Vec<&str> = options.split(' ').collect();
    let server = Launch::under("strace", &options, &["--announce-limit", "0"]).start();

    let waiting: Vec<Client> = (0..5).map(|_| Client::open(server.addr())).collect();
    let mut all: Vec<Client> = waiting.into_iter().map(Client::greeted).collect();
    let first = all.remove(0);
    first.say("all here");
    for other in &mut all {
        other.expect(&format!("{}: all here", first.name()));
    }
    let log = fs::read_to_string(&log).expect("strace's log");
    let injected = log.matches("(INJECTED)").count();
    assert_eq!(injected, times as usize, "{error} was not injected");
}

#[test]
#[ignore = "needs strace"]
fn accept_resumes_after_running_out_of_resources() {
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        assert_survives_accept_failing(error, 3);
    }
}

#[test]
#[ignore = "needs strace"]
fn accept_resumes_after_a_failed_connection() {
    for error in ["ECONNABORTED", "EPROTO", "EPERM", "EINTR"] {
        assert_survives_accept_failing(error, 3);
    }
}

#[test]
fn a_reset_ends_only_its_own_connection() {
    let (server, mut ann, mut bob) = ann_and_bob(&["--announce-limit", "0"]);
    for round in 0..50 {
        let one = Client::connect(server.addr());
        let other = Client::open(server.addr());
        ann.say(&format!("round {round}"));
        one.reset();
        other.reset();
        bob.say(&format!("and {round}"));
        ann.expect(&format!("bob: and {round}"));
        bob.expect(&format!("ann: round {round}"));
    }
    until("only two are left", || ann.count_members() == 2);
}

#[test]
fn a_line_cut_off_by_a_reset_is_not_delivered() {
    let (server, mut ann, mut bob) = ann_and_bob(&["--announce-limit", "0"]);
    for round in 0..50 {
        let cut_off = Client::connect(server.addr());
        cut_off.send(b"whole\nhalf a li");
        bob.expect(&format!("{}: whole", cut_off.name()));
        ann.expect(&format!("{}: whole", cut_off.name()));
        // The result must be the same whether the server first reads or first writes after the reset.
        if round % 2 == 0 {
            ann.say("a line");
            cut_off.reset();
        } else {
            cut_off.reset();
            ann.say("a line");
        }
        bob.expect("ann: a line");
    }
    until("only two are left", || bob.count_members() == 2);
    bob.say("over");
    ann.expect("bob: over");
}

#[test]
fn resets_with_unread_output_leak_nothing() {
    let (server, mut ann, mut bob) = ann_and_bob(&["--announce-limit", "0"]);
    let descriptors = open_descriptors(server.id());
    let text = "-".repeat(1000);
    let mut resident_after_warm_up = 0;
    for round in 0..20 {
        let lagging = [(); 10].map(|()| Client::open_narrow(server.addr()).greeted());
        for _ in 0..50 {
            ann.say(&text);
            bob.expect(&format!("ann: {text}"));
        }
        lagging.into_iter().for_each(Client::reset);
        until("the descriptors are closed", || {
            open_descriptors(server.id()) == descriptors
        });
        if round == 9 {
            resident_after_warm_up = resident_bytes(server.id());
        }
    }
    let grown = resident_bytes(server.id()).saturating_sub(resident_after_warm_up);
    assert!(grown < 1 << 20, "{grown} more bytes after a hundred resets");
    bob.say("/who");
    bob.expect_start("* here in lobby: ");
    ann.say("/rooms");
    ann.expect("* rooms: lobby (2)");
}

#[test]
fn connections_closed_before_accept_do_no_harm() {
    let server = Server::start(&[]);
    for round in 0..200 {
        let client = Client::open(server.addr());
        if round % 2 == 0 {
            client.reset();
        }
    }
    let mut ann = Client::connect_named(server.addr(), "ann");
    until("only ann is left", || {
        ann.say("/rooms");
        ann.line() == "* rooms: lobby (1)"
    });
}

#[test]
fn an_idle_server_uses_no_cpu_time() {
    let server = Server::start(&[]);
    let mut all: Vec<Client> = (0..20).map(|_| Client::connect(server.addr())).collect();
    all.drain(..10).for_each(Client::reset);
    let last = all.last_mut().expect("ten are left");
    last.expect_silence(std::time::Duration::from_millis(1200));
    let before = cpu_ticks(server.id());
    last.expect_silence(std::time::Duration::from_millis(500));
    let ticks = cpu_ticks(server.id()) - before;
    assert!(ticks <= 5, "{ticks} ticks of 10 ms while idle");
}
