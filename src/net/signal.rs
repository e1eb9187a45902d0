//! SIGTERM and SIGINT as events of the poll. What they do is decided in `reactor`.

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals as Inner;
use std::io;

/// The signals that stop the server.
pub(super) struct Signals(Inner);

impl Signals {
    pub(super) fn new() -> io::Result<Signals> {
        Inner::new([SIGTERM, SIGINT]).map(Signals)
    }

    /// Makes the poll report signals under `token`.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.0, token, Interest::READABLE)
    }

    /// Signals received since the last call.
    pub(super) fn pending(&mut self) -> impl Iterator<Item = i32> + use<'_> {
        self.0.pending()
    }
}
