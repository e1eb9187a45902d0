//! The end of the server: every client is told so, receives its output, and is closed. One client at a time, since 18,000
//! of them at once would take 8 ms.

use super::Hub;
use super::types::{Ending, Now};
use crate::protocol::Notice;

/// How far the end of the server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// It has not begun.
    None,
    /// The clients in slots from this one on have not been told.
    Telling(u32),
    /// All have.
    Told,
}

impl Hub {
    /// The server is to end: no newcomer is admitted any more. Each [`tick`](Hub::tick) tells one client so.
    pub fn shutdown(&mut self) {
        if self.shutdown == Shutdown::None {
            self.shutdown = Shutdown::Telling(0);
        }
    }

    /// Whether [`shutdown`](Hub::shutdown) has been called.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown != Shutdown::None
    }

    /// Tells the next client that the server ends. False: there is none.
    pub(super) fn tell_next_of_shutdown(&mut self, now: Now) -> bool {
        let Shutdown::Telling(from) = self.shutdown else {
            return false;
        };
        let slots = from..self.inputs.len() as u32;
        let next = { slots }.find(|&slot| self.clients.contains(slot as usize));
        self.shutdown = next.map_or(Shutdown::Told, |slot| Shutdown::Telling(slot + 1));
        if let Some(slot) = next {
            let mut cx = self.context(now);
            let mut view = cx.room_of(slot);
            view.notify(slot, Notice::ShuttingDown {});
            view.drain(slot, Ending::Shutdown);
        }
        next.is_some()
    }

    /// When the next client is to be told: at once, if there may be one.
    pub(super) fn shutdown_deadline(&self) -> Option<Now> {
        matches!(self.shutdown, Shutdown::Telling(_)).then(Now::default)
    }
}
