//! Sockets of the load: where they connect to and from. What goes over them is never decided here.

use crate::address::{Address, Target, resolve};
use crate::tls_client::{Config, Options, Stream};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long one address of a host with several is tried.
const TRY: Duration = Duration::from_secs(3);
/// The receive buffer of a slow reader: so small that the server notices soon.
const SLOW_BUFFER_BYTES: usize = 4096;
/// Ports of one address, where the system does not tell.
const PORTS: usize = 28_000;

/// A server.
#[derive(Debug)]
struct Server {
    address: SockAddr,
    /// As the command line names it.
    name: String,
    /// `None`: without TLS.
    tls: Option<Arc<Config>>,
}

/// How to connect.
#[derive(Debug)]
pub struct Dialler {
    servers: Vec<Server>,
    /// For each connection, the place of its server among these. Connections beyond are to the first.
    nodes: Vec<u8>,
    /// How many addresses of this machine the connections come from, one after the other: 127.0.`net`.1 and so on.
    /// 0: the system chooses.
    sources: usize,
    net: u8,
}

impl Dialler {
    /// A dialler for connections to servers, each to that of its place in `nodes`. `run` distinguishes runs: the ports of the
    /// previous one are not free at once.
    ///
    /// # Errors
    /// A server's address cannot be found, or a file for TLS cannot be used.
    pub fn new(
        targets: &[Target],
        tls: &Options,
        nodes: Vec<u8>,
        run: u64,
    ) -> Result<Dialler, String> {
        let servers = targets.iter().map(|target| Server::find(target, tls));
        let servers = servers.collect::<Result<Vec<Server>, String>>()?;
        Ok(Dialler {
            servers,
            sources: sources(nodes.len(), ports()),
            nodes,
            net: (run % 255) as u8,
        })
    }

    /// The server of a connection.
    fn server(&self, number: usize) -> &Server {
        let node = self.nodes.get(number).copied().unwrap_or(0);
        &self.servers[node as usize]
    }

    /// Starts a connection; its socket is connected when it becomes writable, and then comes the handshake of TLS. `None`: the
    /// server's backlog is full.
    ///
    /// # Errors
    /// The connection cannot be made; the error says what to do.
    pub fn connect(&self, number: usize, slow: bool) -> Result<Option<Stream>, String> {
        let socket = self.try_connect(number, slow);
        let tls = self.server(number).tls.as_ref();
        match socket.and_then(|socket| Stream::new(socket, tls)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other
                .map(Some)
                .map_err(|error| self.explain(number, &error)),
        }
    }

    fn try_connect(&self, number: usize, slow: bool) -> io::Result<Socket> {
        let server = self.server(number);
        let socket = Socket::new(server.address.domain(), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if slow {
            // Before the handshake: the window's scale depends on it.
            socket.set_recv_buffer_size(SLOW_BUFFER_BYTES)?;
        }
        if server.address.domain() != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        if self.sources > 0 && server.is_here() {
            let host = 1 + (number % self.sources) as u8;
            socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, self.net, host), 0)).into())?;
        }
        match socket.connect(&server.address) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                Err(error)
            }
            _ => Ok(socket),
        }
    }

    /// Says why a connection could not be made.
    pub fn explain(&self, number: usize, error: &io::Error) -> String {
        cannot_connect(&self.server(number).name, error)
    }
}

impl Server {
    fn find(target: &Target, tls: &Options) -> Result<Server, String> {
        let name = target.to_string();
        let tls = target.tls_host().map(|host| Config::new(tls, host));
        let tls = tls.transpose()?.map(Arc::new);
        let found = match target.address() {
            Address::Unix(path) => SockAddr::unix(path),
            Address::Tcp { host, port } => resolve(&host, port)
                .and_then(|all| first_that_accepts(&all))
                .map(SockAddr::from),
        };
        let address = found.map_err(|error| cannot_connect(&name, &error))?;
        Ok(Server { address, name, tls })
    }

    /// Whether it is reached by an address of this machine's own, of which there are many (Linux).
    fn is_here(&self) -> bool {
        let address = self.address.as_socket_ipv4();
        cfg!(target_os = "linux") && address.is_some_and(|address| address.ip().is_loopback())
    }
}

fn cannot_connect(name: &str, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused; is the server running?".into(),
        io::ErrorKind::NotFound => "no such socket; is the server running?".into(),
        io::ErrorKind::AddrNotAvailable => {
            format!("{error}: this machine has no port left; ask for fewer --clients")
        }
        _ => error.to_string(),
    };
    format!("cannot connect to {name}: {hint}")
}

/// Of several addresses, the first that accepts a connection.
fn first_that_accepts(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    if let [only] = addresses {
        return Ok(*only);
    }
    let mut failure = io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, TRY) {
            Ok(_) => return Ok(*address),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// From how many addresses so many connections are made. One address suffices as long as they take only an eighth of its
/// ports: the more ports are taken, the longer the kernel searches for a free one, up to milliseconds for each.
fn sources(connections: usize, ports: usize) -> usize {
    match connections.div_ceil((ports / 8).max(1)) {
        1 => 0,
        many => many.min(254),
    }
}

/// How many ports the system chooses from.
fn ports() -> usize {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let range = range.unwrap_or_default();
    let mut ends = range.split_whitespace().map(str::parse::<usize>);
    match (ends.next(), ends.next()) {
        (Some(Ok(first)), Some(Ok(last))) if last >= first => last - first + 1,
        _ => PORTS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_come_from_several_addresses() {
        assert_eq!(sources(1, 28_232), 0);
        assert_eq!(sources(3529, 28_232), 0);
        assert_eq!(sources(3530, 28_232), 2);
        assert_eq!(sources(18_000, 28_232), 6);
        assert_eq!(sources(1_000_000, 1), 254);
    }
}
