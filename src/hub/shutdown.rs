//! The end of the server: every client is told so, receives its output, and is closed. One client at a time, since 18,000
//! of them at once would take 8 ms.

use super::context::Context;
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

impl Shutdown {
    /// The server is to end.
    pub fn begin(&mut self) {
        if *self == Shutdown::None {
            *self = Shutdown::Telling(0);
        }
    }

    /// Whether the server is to end.
    pub fn has_begun(self) -> bool {
        self != Shutdown::None
    }

    /// When the next client is to be told: at once, if there may be one.
    pub fn deadline(self) -> Option<Now> {
        matches!(self, Shutdown::Telling(_)).then(Now::default)
    }

    /// Tells the next client that the server ends. False: there is none.
    pub fn tell_next(&mut self, cx: &mut Context<'_>) -> bool {
        let Shutdown::Telling(from) = *self else {
            return false;
        };
        let slots = from..cx.clients.capacity() as u32;
        let next = { slots }.find(|&slot| cx.clients.contains(slot as usize));
        *self = next.map_or(Shutdown::Told, |slot| Shutdown::Telling(slot + 1));
        if let Some(slot) = next {
            let mut view = cx.room_of(slot);
            view.notify(slot, Notice::ShuttingDown {});
            view.drain(slot, Ending::Shutdown);
        }
        next.is_some()
    }
}
