//! Whose terminal the client runs on. Decides nothing.

use super::server_log::ServerLog;
use super::tokens::TokenFolder;

/// Whose terminal it is.
#[derive(Debug)]
pub enum Role {
    /// A client's.
    Client {
        /// Whether to reconnect when the connection is lost.
        reconnect: bool,
        /// Where tokens are kept.
        tokens: TokenFolder,
    },
    /// The server's console. SIGTERM, SIGINT and SIGHUP are left to the server.
    Console {
        /// The server's log, if the console shows it.
        log: Option<ServerLog>,
    },
}
