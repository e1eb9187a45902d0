//! How the driver of the engine is used, and what operators see of it.

use crate::tls_client;
use std::path::PathBuf;
use std::time::Duration;

/// How the engine is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lanes for rooms: as many as the cluster was begun with.
    pub lanes: u8,
    /// The format of payloads.
    pub format: u32,
    /// Entries that a lane keeps, about.
    pub entries_max: u32,
    /// The file with the authorities that are trusted, if the address says TLS; otherwise those of this machine are.
    pub authorities: Option<PathBuf>,
}

impl Options {
    /// Whom to trust.
    pub fn tls(&self) -> tls_client::Options {
        tls_client::Options {
            authorities: self.authorities.clone(),
            ..tls_client::Options::default()
        }
    }
}

/// What operators want to see of the driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Ops can be carried out.
    pub is_connected: bool,
    /// The server that carries out tasks; of a cluster, the first one. Empty without a connection.
    pub server: String,
    /// How long the last answer took that did not wait for an entry.
    pub round_trip: Option<Duration>,
    /// Bytes that have come and gone since the start.
    pub bytes_in: u64,
    /// See `bytes_in`.
    pub bytes_out: u64,
    /// Connections lost since the start, after they could be used.
    pub losses: u64,
}
