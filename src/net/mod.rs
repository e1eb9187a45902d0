//! The only sockets and the only clock.
//!
//! `turn` is the order in which a turn of the event loop does its work; it does not know whether the `world` around
//! it is real. `reactor` is the loop on mio; `listener` and `conn` are its sockets, `signal` its signals; `table` is what is
//! known of each connection, `linger` how one is closed without harm.

pub mod conn;
pub mod linger;
pub mod listener;
pub mod reactor;
mod signal;
mod table;
pub mod turn;
pub mod world;
