//! Connections by slot, and what the scheduler knows of each. Decides nothing.

use crate::hub::ConnId;

/// One socket and what is known of it.
#[derive(Debug)]
pub struct Connection<S> {
    /// Tells it from others that have had its slot.
    serial: u32,
    pub socket: S,
    /// No read has returned `WouldBlock` since it was last reported readable.
    pub readable: bool,
    /// No write has returned `WouldBlock` since it was last reported writable.
    pub writable: bool,
    pub end: End,
}

/// Which side of a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Neither.
    None,
    /// The peer has finished sending.
    Read,
    /// Nothing can be written any more: the peer has closed. What it had sent before is still read.
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
pub struct Connections<S>(Vec<Option<Connection<S>>>);

impl<S> Default for Connections<S> {
    fn default() -> Self {
        Connections(Vec::new())
    }
}

impl<S> Connections<S> {
    /// Puts a new connection into its slot. Nothing has arrived yet, and it takes bytes.
    pub fn insert(&mut self, id: ConnId, socket: S) {
        let slot = id.slot() as usize;
        if slot >= self.0.len() {
            self.0.resize_with(slot + 1, || None);
        }
        self.0[slot] = Some(Connection {
            serial: id.serial(),
            socket,
            readable: false,
            writable: true,
            end: End::None,
        });
    }

    /// The connection, if it is still there and not another one in its slot.
    pub fn find(&mut self, id: ConnId) -> Option<&mut Connection<S>> {
        let connection = self.0.get_mut(id.slot() as usize)?.as_mut();
        connection.filter(|connection| connection.serial == id.serial())
    }

    /// Takes the connection out, if it is still there.
    pub fn remove(&mut self, id: ConnId) -> Option<Connection<S>> {
        self.find(id)?;
        self.0[id.slot() as usize].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_id_does_not_find_a_new_connection_in_its_slot() {
        let id =
            |serial: usize| ConnId::from_token(serial << 32 | 3).expect("a connection's token");
        let mut connections = Connections::default();
        connections.insert(id(1), "old");
        assert!(connections.find(id(1)).is_some() && connections.find(id(2)).is_none());
        assert_eq!(
            connections
                .remove(id(1))
                .map(|connection| connection.socket),
            Some("old")
        );
        connections.insert(id(2), "new");
        assert!(connections.find(id(1)).is_none() && connections.remove(id(1)).is_none());
        assert_eq!(
            connections.find(id(2)).map(|connection| connection.socket),
            Some("new")
        );
    }
}
