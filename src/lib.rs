//! madang: a server for lines of text. Whatever line one connection sends, the others in its room receive.
//!
//! One thread, one readiness poll, no locks. The modules, in the order in which they are best read:
//!
//! 1. [`hub`] is what the program *is*: bytes and times go in, borrowed slices and connection ids come out. It is pure: no
//!    socket, no clock, no system call.
//! 2. [`net`] gives the hub its sockets and its clock: `scheduler` is the order in which things are done, on real sockets
//!    or simulated ones, `reactor` is that on mio.
//! 3. [`protocol`] is every line that the server says, written and read back.
//! 4. [`join`] is the terminal client, at the other end of a connection.
//! 5. [`ctl`] is an operator's commands and a live table, over the control socket.
//! 6. [`mod@bench`] is the load generator: the clients that measure a server.
//! 7. [`keeper`] is the process beside the server that writes what must last to a disk.
//! 8. [`cli`] is every flag, [`config`] the file that may set them, [`address`] what is in some of them, [`logging`] the log
//!    that never blocks, [`memory`] what memory the limits allow, [`sandbox`] the files that the server may open,
//!    [`terminal`] the terminal of a person, [`tls_client`] the client's side of TLS, `generate` the manual pages, [`serve`] sets a server up.
//!
//! Imports run one way: `serve → {net, join, bench, ctl} → hub → protocol`. `tests/server/architecture.rs` fails when they do not.
//!
//! ```text
//! socket ─read─▶ telnet ─▶ frame ─▶ text ─▶ command ─▶ handler ─▶ room log        rendered once, appended once
//!                                                                     │
//! socket ◀─writev────────── outbox: private bytes, then the log from the member's cursor         never copied
//! ```
//!
//! `docs/internals.md` follows one line through all of it.

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
pub mod config;
pub mod ctl;
#[cfg(feature = "generate")]
pub mod generate;
pub mod join;
pub mod keeper;
pub mod logging;
pub mod memory;
pub mod password_file;
pub mod sandbox;
pub mod serve;
pub mod terminal;
pub mod tls_client;
pub mod users;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod testing;
