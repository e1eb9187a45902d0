//! What the tests over real sockets share: a running server, its clients, other programs beside it.
//! Nothing here uses the program's own code, and nothing sleeps: each wait is for a line, for an end or for a
//! condition, and fails at `DEADLINE`.

// Every test file is a crate of its own and uses part of this.
#![allow(dead_code, unused_imports)]

mod authority;
mod client;
pub(crate) mod front;
mod lines;
mod measure;
mod process;
mod server;
mod tls;

pub(crate) use authority::{Authority, Identity};
pub(crate) use client::{Client, Next};
pub(crate) use lines::{
    Announcement, announcement, assert_safe, is_presence_notice, number, skipped,
};
pub(crate) use measure::{assert_refused, bench, count, figure, measure, sound};
pub(crate) use process::{
    Program, Scratch, cpu_ticks, has_ipv6, next_descriptor, open_descriptors, resident_bytes,
};
pub(crate) use server::{Failure, Launch, Server, with_control};
pub(crate) use tls::{TlsClient, TlsTrust, is_alert, write_identity};

use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Longest wait for something that must happen. Long, because only a failing test waits so long, and the
/// machine may be busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Time without a line that counts as silence. Short, because every passing run waits for it.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);

/// `madang serve` with these flags, and two clients named ann and bob in its lobby.
pub(crate) fn ann_and_bob(flags: &[&str]) -> (Server, Client, Client) {
    let server = Server::start(flags);
    let ann = Client::connect_named(server.addr(), "ann");
    let bob = Client::connect_named(server.addr(), "bob");
    (server, ann, bob)
}

/// Checks again and again until `fact` holds, yielding the processor in between.
#[track_caller]
pub(crate) fn until(what: &str, mut fact: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !fact() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::yield_now();
    }
}

/// A port that is free on every address of this machine.
pub(crate) fn free_port() -> u16 {
    let any = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0"));
    any.and_then(|any| any.local_addr()).expect("a port").port()
}
