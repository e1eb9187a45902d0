//! What the tests over real sockets share: a running server, its clients, other programs beside it.
//! Nothing here knows the program from within, and nothing here sleeps: each wait is for a line, for an
//! end or for a fact, and ends at `DEADLINE`.

// Every test file is a crate of its own and uses its own part of this.
#![allow(dead_code, unused_imports)]

mod client;
mod lines;
mod measure;
mod process;
mod server;

pub(crate) use client::{Client, Next, until};
pub(crate) use lines::{
    Announcement, announcement, assert_safe, is_coming_or_going, number, skipped,
};
pub(crate) use measure::{assert_refused, bench, count, figure, measure, sound};
pub(crate) use process::{
    Program, Scratch, cpu_ticks, has_ipv6, next_descriptor, open_descriptors, resident_bytes,
};
pub(crate) use server::{Failure, Launch, Server};

use std::time::Duration;

/// How long something that must happen may take before the test fails. Long, because only a failing test
/// waits for it and the machine may be busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How long a test listens where silence is what it expects. Short, because every good run waits for it.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);
