//! The only sockets and the only clock of the server: the hub's surroundings.
//!
//! `scheduler` is the order of a turn, generic over `transport` and told the time; `reactor` is that on mio. `listener`,
//! `stream`, `linger` and `signal` are one kind of socket each, `connections` what is known of every one,
//! `connection_log` what the log tells of them, `requests` what operators
//! learn of them and want of the server. `bind` opens the listeners, `socket_file` is the file of one that has a
//! path. `service_time` is real time less pauses of the process, `turn_lengths` a histogram.

mod acceptor;
pub mod bind;
pub mod budgets;
mod connection_log;
mod connections;
mod linger;
pub mod listener;
pub mod reactor;
mod requests;
pub mod scheduler;
mod service_time;
mod signal;
mod socket_file;
pub mod stream;
pub mod transport;
mod turn_lengths;
