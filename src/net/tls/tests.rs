//! A server's end of TLS against a client in memory: both are rustls, the pipe between them is as bad as a test wants it.

mod ending;
mod forged;
mod handshakes;
mod keys;
mod pair;
mod reading;
mod writing;
