//! The only sockets and the only clock.
//!
//! `turn` is the order in which a turn of the event loop does its work; it does not know whether its sockets are
//! real. `reactor` is the loop on mio; `listener` and `conn` are its sockets, `signal` its signals.

pub mod conn;
pub mod listener;
pub mod reactor;
mod signal;
pub mod turn;
