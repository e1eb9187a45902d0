//! Connections by slot, and what the scheduler knows of each. Decides nothing.

use crate::hub::{ConnId, Now};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// No listener has this number.
const NO_LISTENER: u16 = u16::MAX;

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
    /// The listener that has accepted it; [`NO_LISTENER`] for the console.
    listener: u16,
    /// Bytes that were received from it; no more than 4 GiB are counted.
    pub received: u32,
    /// When it was made, in tenths of a second since the start, modulo 13 years.
    opened: u32,
}

impl<S> Connection<S> {
    /// The peer's address, if it has an IPv4 one.
    pub fn ipv4(&self) -> Option<SocketAddr> {
        let address = SocketAddrV4::new(self.ipv4.into(), u16::from_be_bytes(self.port));
        (!address.ip().is_unspecified()).then_some(address.into())
    }

    /// The listener that has accepted it.
    pub fn listener(&self) -> Option<usize> {
        (self.listener != NO_LISTENER).then_some(self.listener.into())
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
pub struct Connections<S>(Vec<Option<Connection<S>>>);

impl<S> Default for Connections<S> {
    fn default() -> Self {
        Connections(Vec::new())
    }
}

impl<S> Connections<S> {
    /// Puts a new connection into its slot, which this listener has accepted, if it is not the console. Nothing has arrived yet, and it takes bytes.
    pub fn insert(
        &mut self,
        now: Now,
        id: ConnId,
        socket: S,
        listener: Option<usize>,
        peer: Option<SocketAddr>,
    ) {
        let ipv4 = match peer.map(|peer| peer.ip().to_canonical()) {
            Some(IpAddr::V4(address)) => address,
            _ => Ipv4Addr::UNSPECIFIED,
        };
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
            ipv4: ipv4.octets(),
            port: peer.map_or(0, |peer| peer.port()).to_be_bytes(),
            listener: listener.map_or(NO_LISTENER, |listener| listener as u16),
            received: 0,
            opened: tenths(now),
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
        connections.insert(Now::default(), id(1), "old", None, None);
        assert!(connections.find(id(1)).is_some() && connections.find(id(2)).is_none());
        assert_eq!(
            connections
                .remove(id(1))
                .map(|connection| connection.socket),
            Some("old")
        );
        connections.insert(Now::default(), id(2), "new", None, None);
        assert!(connections.find(id(1)).is_none() && connections.remove(id(1)).is_none());
        assert_eq!(
            connections.find(id(2)).map(|connection| connection.socket),
            Some("new")
        );
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
            connections.insert(opened, id, (), Some(3), peer);
            let connection = connections.find(id).expect("it is there");
            let ipv4 = ipv4.map(|ipv4| ipv4.parse().expect("an address"));
            assert_eq!(connection.ipv4(), ipv4);
            assert_eq!(connection.listener(), Some(3));
            assert_eq!(connection.seconds(opened.after(1_250_000)), 1.2);
        }
    }
}
