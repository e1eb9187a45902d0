//! Behaviour over real sockets: each file starts servers of its own and speaks with them as their clients do.
//!
//! ```sh
//! cargo test --test server                      # all
//! cargo test --test server slow::               # one file's tests
//! ```

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod architecture;
#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "bench")]
mod bench_wrong;
mod chat;
mod cluster;
mod cluster_engines;
mod cluster_flags;
mod cmdline;
mod commands;
mod config;
mod console;
mod ctl;
mod faults;
mod halfclose;
mod join;
mod join_tls;
mod keeper;
mod lifecycle;
mod limits;
mod locks;
mod log;
mod names;
mod operators;
mod packaging;
mod partial;
mod password;
mod programs;
mod protocols;
mod proxy;
mod raw;
mod sandbox;
mod slow;
mod systemd;
mod text;
mod tls;
mod tutorials;
