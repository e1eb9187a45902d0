//! Signals as events of the poll. Decides nothing.

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals as Inner;
use std::io;

/// The signals that ask the server to end.
pub(super) struct Signals(Inner);

impl Signals {
    pub(super) fn new() -> io::Result<Signals> {
        Inner::new([SIGTERM, SIGINT]).map(Signals)
    }

    /// From now on signals are reported.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.0, token, Interest::READABLE)
    }

    /// Signals that have come since the last call.
    pub(super) fn pending(&mut self) -> impl Iterator<Item = i32> + use<'_> {
        self.0.pending()
    }
}
