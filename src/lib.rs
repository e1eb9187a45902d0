//! madang: a server for lines of text. Whatever line one connection sends, the others in its room receive.
//!
//! One thread, one readiness poll, no locks. This page is the map of the house; the modules are listed in the
//! order in which they are best read.
//!
//! 1. [`hub`] is what the program *is*: bytes and times go in, borrowed slices and wishes come out. It is pure:
//!    no socket, no clock, no system call. Its own modules follow the data: `telnet → frame → text → command →
//!    session → log → room → outbox`, and `Hub` composes them.
//! 2. [`net`] gives the hub its sockets and its clock: `turn` decides the order in which things are done without
//!    knowing whether its sockets are real, `reactor` is that on mio.
//! 3. [`join`] is the terminal client, at the other end of a connection: bytes of keys and lines of the server go in, bytes
//!    for a terminal come out.
//! 4. [`mod@bench`] is a program of its own on the other side: the clients that measure a server.
//! 5. [`cli`] is every flag, [`address`] what stands in some of them, [`journal`] the log that never blocks, `main`
//!    ties them together.
//!
//! Imports run one way: `main → {net, join, bench} → hub` (and to [`address`], of which the hub knows nothing).
//! `tests/architecture.rs` fails when they do not.
//!
//! ```text
//! socket ─read─▶ scratch ─▶ telnet ─▶ frame ─▶ text ─▶ session ─▶ room log      rendered once, appended once
//!                                                                   │
//! socket ◀─writev───────────── outbox: private bytes, then the log from the member's cursor      never copied
//! ```

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "a connection's id (slot and generation) is one 64-bit poll token: madang needs a 64-bit target"
);

pub mod hub;
pub mod net;
pub mod protocol;

pub mod address;
#[cfg(feature = "bench")]
pub mod bench;
pub mod cli;
pub mod join;
pub mod journal;

#[cfg(test)]
mod seeds;
