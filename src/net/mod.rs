//! The only sockets and the only clock of the server: the hub's surroundings.
//!
//! `scheduler` is the order of a turn, generic over `transport` and told the time; `reactor` is that on mio. `handshakes` are
//! newcomers that the hub does not know yet, `proxy` is the header that a proxy sends.
//! `listener`, `stream`, `linger` and `signal` are one kind of socket each, `connections` what is known of every one,
//! `connection_log` what the log tells of them, `requests` what operators learn of them and want of the server. `bind`
//! opens the listeners, `listeners` has them by number, `socket_file` is the file of one that has a path; `activation`
//! takes listeners that a service manager hands over, `systemd` is what it is told. `keeper` is the process that keeps
//! what must last, as the server sees it. `engine` is the driver of a cluster's engine, Redis or Valkey. `reload` changes settings while the server runs. `metrics` is a page for
//! monitoring, over `http` and `http_connection`: `figures` is what stands in it, `families` what that is called,
//! `process` what the system knows of the process, `exposition` how it is written. `service_time` is real time less
//! pauses of the process, `turn_lengths` a histogram.

mod acceptor;
pub mod activation;
pub mod bind;
pub mod budgets;
pub mod certificates;
mod closing;
mod connection_log;
mod connections;
pub mod engine;
mod exposition;
pub mod families;
pub mod figures;
pub mod handshakes;
mod http;
mod http_connection;
pub mod keeper;
mod keeper_process;
mod linger;
pub mod listener;
mod listeners;
pub mod metrics;
mod process;
pub mod proxy;
pub mod reactor;
pub mod reload;
mod requests;
pub mod scheduler;
mod service_time;
mod signal;
mod socket_file;
mod sockets;
pub mod stream;
pub mod systemd;
pub mod tls;
pub mod transport;
mod turn_lengths;
