//! Connections by slot, and what the scheduler knows of each. Decides nothing.

use super::handshakes::Relayed;
use super::proxy::Header;
use crate::hub::{ConnId, Now};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

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
    /// Its IPv4 address and port: the system does not know them any more once the peer has reset the connection. Zeroes:
    /// it has another address, or none.
    ipv4: [u8; 4],
    port: [u8; 2],
    /// Bytes that were received from it; no more than 4 GiB are counted.
    pub received: u32,
    /// When it was made, in tenths of a second since the start, modulo 13 years.
    opened: u32,
    /// The number of its listener, or [`CONSOLE`].
    listener: u16,
}

/// In place of a listener's number: the connection is the console's.
pub const CONSOLE: u16 = u16::MAX;

impl<S> Connection<S> {
    /// The address of the socket's other end, if it is an IPv4 one.
    pub fn ipv4(&self) -> Option<SocketAddr> {
        let address = SocketAddrV4::new(self.ipv4.into(), u16::from_be_bytes(self.port));
        (!address.ip().is_unspecified()).then_some(address.into())
    }

    /// The listener that has accepted it.
    pub fn listener(&self) -> Option<usize> {
        (self.listener != CONSOLE).then_some(self.listener.into())
    }

    /// For how many seconds it has lasted.
    pub fn seconds(&self, now: Now) -> f64 {
        f64::from(tenths(now).wrapping_sub(self.opened)) / 10.0
    }
}

fn tenths(now: Now) -> u32 {
    (now.as_micros() / 100_000) as u32
}

/// Which side of a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Neither.
    None,
    /// The peer has finished sending.
    Read,
    /// The same, without the last word that TLS asks for: what came last may be missing.
    Cut,
    /// Nothing can be written any more: the peer has closed. What it had sent before is still read.
    Write,
    /// The same, but reading or writing has failed, so that the peer's last line may be cut off.
    Failed(io::ErrorKind),
}

impl End {
    /// Takes note of an error of reading or writing. Returns what was known before.
    pub fn replace(&mut self, error: &io::Error) -> End {
        let end = match error.kind() {
            io::ErrorKind::BrokenPipe => End::Write,
            kind => End::Failed(kind),
        };
        std::mem::replace(self, end)
    }

    /// Whether nothing can be written any more.
    pub fn is_gone(self) -> bool {
        matches!(self, End::Write | End::Failed(_))
    }
}

/// All connections, by slot.
#[derive(Debug)]
pub struct Connections<S> {
    slots: Vec<Option<Connection<S>>>,
    /// How many connections of each listener there are.
    open: Vec<u32>,
    /// Connections there are, whatever made them.
    all: usize,
    /// What a proxy has said, of those that have come through one, by slot.
    relayed: BTreeMap<u32, Relayed>,
}

impl<S> Default for Connections<S> {
    fn default() -> Self {
        Connections {
            slots: Vec::new(),
            open: Vec::new(),
            all: 0,
            relayed: BTreeMap::new(),
        }
    }
}

impl<S> Connections<S> {
    /// Puts a new connection into its slot. Nothing has arrived yet, and it takes bytes.
    pub fn insert(
        &mut self,
        now: Now,
        id: ConnId,
        socket: S,
        peer: Option<SocketAddr>,
        listener: u16,
    ) {
        let ipv4 = match peer.map(|peer| peer.ip().to_canonical()) {
            Some(IpAddr::V4(address)) => address,
            _ => Ipv4Addr::UNSPECIFIED,
        };
        let slot = id.slot() as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        self.all += 1;
        if listener != CONSOLE {
            let number = usize::from(listener);
            self.open.resize((number + 1).max(self.open.len()), 0);
            self.open[number] += 1;
        }
        self.slots[slot] = Some(Connection {
            serial: id.serial(),
            socket,
            readable: false,
            writable: true,
            end: End::None,
            ipv4: ipv4.octets(),
            port: peer.map_or(0, |peer| peer.port()).to_be_bytes(),
            received: 0,
            opened: tenths(now),
            listener,
        });
    }

    /// A connection has come through a proxy.
    pub fn relay(&mut self, id: ConnId, relayed: Relayed) {
        self.relayed.insert(id.slot(), relayed);
    }

    /// What a proxy has said of a connection that is there, if it has come through one.
    pub fn relayed(&self, id: ConnId) -> Option<Relayed> {
        self.relayed.get(&id.slot()).copied()
    }

    /// Whether a proxy has made a connection itself.
    pub fn is_proxy_itself(&self, id: ConnId) -> bool {
        let relayed = self.relayed(id);
        relayed.is_some_and(|relayed| relayed.header == Header::Local)
    }

    /// The address and port of a connection's peer, as far as it is known here: of its client, if it has come through a proxy;
    /// otherwise of an IPv4 one.
    pub fn address(&self, id: ConnId, connection: &Connection<S>) -> Option<SocketAddr> {
        let relayed = self.relayed(id).map(Relayed::address);
        relayed.or_else(|| connection.ipv4())
    }

    /// The connection, if it is still there and not another one in its slot.
    pub fn find(&mut self, id: ConnId) -> Option<&mut Connection<S>> {
        let connection = self.slots.get_mut(id.slot() as usize)?.as_mut();
        connection.filter(|connection| connection.serial == id.serial())
    }

    /// The same, to be looked at.
    pub fn get(&self, id: ConnId) -> Option<&Connection<S>> {
        let connection = self.slots.get(id.slot() as usize)?.as_ref();
        connection.filter(|connection| connection.serial == id.serial())
    }

    /// The connection in a slot, with its id.
    pub fn at(&self, slot: usize) -> Option<(ConnId, &Connection<S>)> {
        let connection = self.slots.get(slot)?.as_ref()?;
        let id = ConnId::from_token((connection.serial as usize) << 32 | slot)?;
        Some((id, connection))
    }

    /// Connections are in slots below this one.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Takes the connection out, if it is still there.
    pub fn remove(&mut self, id: ConnId) -> Option<Connection<S>> {
        let listener = usize::from(self.find(id)?.listener);
        self.all -= 1;
        if let Some(open) = self.open.get_mut(listener) {
            *open -= 1;
        }
        self.relayed.remove(&id.slot());
        self.slots[id.slot() as usize].take()
    }

    /// How many connections the listener of this number has.
    pub fn open(&self, listener: usize) -> u32 {
        self.open.get(listener).copied().unwrap_or_default()
    }

    /// How many connections there are that no listener has accepted: 1 with a console.
    pub fn consoles(&self) -> usize {
        self.all - self.open.iter().sum::<u32>() as usize
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
        connections.insert(Now::default(), id(1), "old", None, 1);
        assert!(connections.find(id(1)).is_some() && connections.find(id(2)).is_none());
        assert_eq!(
            connections
                .remove(id(1))
                .map(|connection| connection.socket),
            Some("old")
        );
        connections.insert(Now::default(), id(2), "new", None, 0);
        assert!(connections.find(id(1)).is_none() && connections.remove(id(1)).is_none());
        assert_eq!(
            connections.find(id(2)).map(|connection| connection.socket),
            Some("new")
        );
    }

    #[test]
    fn connections_are_counted_by_listener() {
        let id = |slot: usize| ConnId::from_token(1 << 32 | slot).expect("a connection's token");
        let mut connections = Connections::default();
        for (slot, listener) in [(0, 0), (1, 2), (2, 2), (3, CONSOLE)] {
            connections.insert(Now::default(), id(slot), (), None, listener);
        }
        let counted = |connections: &Connections<()>| {
            let open = [0, 1, 2, 9].map(|listener| connections.open(listener));
            (open, connections.consoles())
        };
        assert_eq!(counted(&connections), ([1, 0, 2, 0], 1));
        for slot in [1, 1, 3] {
            connections.remove(id(slot));
        }
        assert_eq!(counted(&connections), ([1, 0, 1, 0], 0));
    }

    #[test]
    fn a_record_is_small_and_knows_its_peer_and_its_age() {
        // A socket takes 8 bytes in a release build.
        assert!(size_of::<Option<Connection<[u32; 2]>>>() <= 32);
        let id = ConnId::from_token(1 << 32 | 1).expect("a connection's token");
        let mut connections = Connections::default();
        for (peer, ipv4) in [
            ("127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("[::ffff:127.0.0.1]:8080", Some("127.0.0.1:8080")),
            ("[::1]:8080", None),
        ] {
            let opened = Now::from_micros(5_000_000);
            let peer = Some(peer.parse().expect("an address"));
            connections.insert(opened, id, (), peer, 3);
            let connection = connections.find(id).expect("it is there");
            let ipv4 = ipv4.map(|ipv4| ipv4.parse().expect("an address"));
            assert_eq!(connection.ipv4(), ipv4);
            assert_eq!(connection.listener(), Some(3));
            assert_eq!(connection.seconds(opened.after(1_250_000)), 1.2);
        }
    }
}
