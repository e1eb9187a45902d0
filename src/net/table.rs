//! Connections by slot, and what the turn knows of each. Decides nothing.

use crate::hub::ConnId;
use std::collections::VecDeque;

/// One socket and what is known of it.
#[derive(Debug)]
pub struct Conn<S> {
    /// Tells it from others that have had its slot.
    serial: u32,
    pub socket: S,
    /// It has not said `WouldBlock` to a read since it was last reported readable.
    pub readable: bool,
    /// It has not said `WouldBlock` to a write since it was last reported writable.
    pub writable: bool,
    /// It is in the ready queue.
    pub queued: bool,
    /// It may not be read, and need not be asked again before the hub says so.
    pub waiting: bool,
    pub end: End,
}

/// Which side of a connection has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    None,
    /// The peer has finished sending.
    Read,
    /// Nothing can be written any more: the peer has gone. What it had sent before is still read.
    Write,
    /// The same, but the peer has reset the connection, so that its last line may be cut off.
    Reset,
}

impl End {
    /// Whether nothing can be written any more.
    pub fn is_gone(self) -> bool {
        matches!(self, End::Write | End::Reset)
    }
}

/// All connections, by slot.
#[derive(Debug)]
pub struct Table<S>(Vec<Option<Conn<S>>>);

impl<S> Default for Table<S> {
    fn default() -> Self {
        Table(Vec::new())
    }
}

impl<S> Table<S> {
    /// Puts a new connection into its slot: nothing to read yet, but it takes bytes.
    pub fn insert(&mut self, id: ConnId, socket: S) {
        let slot = id.slot() as usize;
        if slot >= self.0.len() {
            self.0.resize_with(slot + 1, || None);
        }
        let conn = Conn {
            serial: id.serial(),
            socket,
            readable: false,
            writable: true,
            queued: false,
            waiting: false,
            end: End::None,
        };
        self.0[slot] = Some(conn);
    }

    /// The connection, if it is still there and not another in its slot.
    pub fn find(&mut self, id: ConnId) -> Option<&mut Conn<S>> {
        let conn = self.0.get_mut(id.slot() as usize)?.as_mut();
        conn.filter(|conn| conn.serial == id.serial())
    }

    /// Takes the connection out, if it is still there.
    pub fn remove(&mut self, id: ConnId) -> Option<Conn<S>> {
        self.find(id)?;
        self.0[id.slot() as usize].take()
    }
}

impl<S> Conn<S> {
    /// Lines the connection up, unless it is in the queue.
    pub fn enqueue(&mut self, id: ConnId, ready: &mut VecDeque<ConnId>) {
        if !self.queued {
            self.queued = true;
            ready.push_back(id);
        }
    }

    /// Lines the connection up before all others, unless it is in the queue.
    pub fn enqueue_first(&mut self, id: ConnId, ready: &mut VecDeque<ConnId>) {
        if !self.queued {
            self.queued = true;
            ready.push_front(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_had_a_slot_before_does_not_find_who_has_it_now() {
        let id =
            |serial: usize| ConnId::from_token(serial << 32 | 3).expect("a connection's token");
        let mut table = Table::default();
        table.insert(id(1), "old");
        assert!(table.find(id(1)).is_some() && table.find(id(2)).is_none());
        assert_eq!(table.remove(id(1)).map(|conn| conn.socket), Some("old"));
        table.insert(id(2), "new");
        assert!(table.find(id(1)).is_none() && table.remove(id(1)).is_none());
        assert_eq!(table.find(id(2)).map(|conn| conn.socket), Some("new"));
    }
}
