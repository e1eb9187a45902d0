//! Opens the listeners of a server: names are resolved, duplicates go, `[::]` makes room for an IPv4 wildcard. Says why an
//! address cannot be listened on. Sets no socket option and accepts nothing.

use super::activation::{Handed, HandedSocket, Purpose};
use super::listener::{Listener, Options};
use crate::address::{Address, resolve};
use crate::hub::Wire;
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Where to listen, as the command line says.
#[derive(Clone, Debug)]
pub struct Place {
    /// The flag that names the address.
    pub flag: &'static str,
    /// The address.
    pub address: Address,
    /// What is spoken there, if it is a place for clients of the hub.
    pub wire: Wire,
    /// Under TLS.
    pub is_tls: bool,
}

impl Place {
    /// Whether another place means the same.
    pub fn is_same(&self, other: &Place) -> bool {
        (&self.address, self.wire, self.is_tls) == (&other.address, other.wire, other.is_tls)
    }

    /// Whether this cannot be listened on beside another place, as far as can be known without looking a name up. `[::]`
    /// makes room for `0.0.0.0`, and what is given twice is listened on once.
    pub fn clashes_with(&self, other: &Place) -> bool {
        let (Some((_, one)), Some((_, two))) = (known_endpoint(self), known_endpoint(other)) else {
            return false;
        };
        let wildcards = [&one, &two].map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => address.ip().is_unspecified(),
            Endpoint::Unix(_) => false,
        });
        let is_repeated = self.is_same(other) || wildcards == [true; 2] && one != two;
        overlap(&one, &two) && !is_repeated && !is_any_port(&one)
    }

    /// Whether a listener was asked for by this.
    pub fn is_origin_of(&self, listener: &Listener) -> bool {
        let origin = listener.origin().as_ref();
        let is_same = |(address, wire): &(Address, Wire)| {
            (address, *wire, listener.is_tls()) == (&self.address, self.wire, self.is_tls)
        };
        origin.is_some_and(is_same)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.flag, self.address)
    }
}

/// One address of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => write!(f, "{address}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Listens on every address of these places.
///
/// # Errors
/// The system refuses one of them. The error names it and what the operator can do.
pub fn bind_all(places: &[Place], options: Options) -> io::Result<Vec<Listener>> {
    bind_beside(places, &[], options)
}

/// The same, and accepts at sockets that the service manager has handed over. An address that is among them is not bound
/// again.
///
/// # Errors
/// As [`bind_all`].
pub fn bind_handed(
    places: &[Place],
    handed: Vec<Handed>,
    options: Options,
) -> io::Result<Vec<Listener>> {
    let mut resolved = resolve_all(places)?;
    let mut listeners = adopt(places, &mut resolved, handed, options)?;
    listeners.extend(bind_resolved(places, &resolved, &[], options)?);
    Ok(listeners)
}

/// The same, beside listeners that there are at `others`.
///
/// # Errors
/// As [`bind_all`].
pub fn bind_beside(
    places: &[Place],
    others: &[Place],
    options: Options,
) -> io::Result<Vec<Listener>> {
    bind_resolved(places, &resolve_all(places)?, others, options)
}

/// The addresses of each place.
fn resolve_all(places: &[Place]) -> io::Result<Vec<Vec<Endpoint>>> {
    let resolved = places.iter().map(|place| {
        let endpoints = match &place.address {
            Address::Tcp { host, port } => resolve(host, *port).map(|all| tcp(&all)),
            Address::Unix(path) => Ok(vec![Endpoint::Unix(path.clone())]),
        };
        endpoints.map_err(|error| cannot_listen(place, &error, None))
    });
    resolved.collect()
}

/// Accepts at sockets that were handed over, and takes their addresses from those that are to be bound for the same.
fn adopt(
    places: &[Place],
    resolved: &mut [Vec<Endpoint>],
    handed: Vec<Handed>,
    options: Options,
) -> io::Result<Vec<Listener>> {
    let adopted = handed.into_iter().map(|Handed { purpose, socket }| {
        let is_tls = purpose == Purpose::Tls;
        let wire = purpose.wire().ok_or_else(|| {
            let why = format!("the service manager has handed over a socket for {purpose}");
            io::Error::other(format!("{why}, and this server has no such listener"))
        })?;
        let bound = endpoint(&socket)?;
        let same = places.iter().zip(&mut *resolved);
        let is_same = |place: &Place| (place.wire, place.is_tls) == (wire, is_tls);
        for (_, endpoints) in same.filter(|(place, _)| is_same(place)) {
            endpoints.retain(|endpoint| Some(endpoint) != bound.as_ref());
        }
        Ok(Listener::handed(socket, wire, options)?.with_tls(is_tls))
    });
    adopted.collect()
}

/// Where a socket listens; `None` for a Unix-domain socket without a path.
fn endpoint(socket: &HandedSocket) -> io::Result<Option<Endpoint>> {
    Ok(match socket {
        HandedSocket::Tcp(socket) => Some(Endpoint::Tcp(socket.local_addr()?)),
        HandedSocket::Unix(socket) => {
            let address = socket.local_addr()?;
            address
                .as_pathname()
                .map(|path| Endpoint::Unix(path.into()))
        }
    })
}

fn tcp(addresses: &[SocketAddr]) -> Vec<Endpoint> {
    addresses.iter().copied().map(Endpoint::Tcp).collect()
}

/// Listens on these endpoints of each place; `others` may be in the way.
fn bind_resolved(
    places: &[Place],
    resolved: &[Vec<Endpoint>],
    others: &[Place],
    options: Options,
) -> io::Result<Vec<Listener>> {
    let known: Vec<(&Place, Endpoint)> = others.iter().filter_map(known_endpoint).collect();
    let mut bound: Vec<(&Place, &Endpoint)> =
        known.iter().map(|(place, at)| (*place, at)).collect();
    let mut listeners = Vec::new();
    for (place, endpoints) in places.iter().zip(resolved) {
        let mut missing = Vec::new();
        for endpoint in endpoints {
            let is_bound = |(other, bound): &(&Place, &Endpoint)| {
                *bound == endpoint && other.flag == place.flag && !is_any_port(endpoint)
            };
            if bound.iter().any(is_bound) {
                continue;
            }
            let listener = match endpoint {
                Endpoint::Tcp(address) => {
                    let others = known.iter().map(|(_, other)| other);
                    let all = resolved.iter().flatten().chain(others);
                    let only_v6 = is_beside_ipv4_wildcard(*address, all);
                    Listener::tcp(*address, only_v6, place.wire, options)
                }
                Endpoint::Unix(path) => Listener::unix(path, place.wire, options),
            };
            match listener {
                Ok(listener) => {
                    let listener = listener.with_tls(place.is_tls);
                    listeners.push(listener.with_origin(place.address.clone()));
                    bound.push((place, endpoint));
                }
                Err(error) if is_missing(&error) && endpoints.len() > 1 => {
                    missing.push((endpoint, error));
                }
                Err(error) => {
                    let other = bound.iter().find(|(_, bound)| overlap(bound, endpoint));
                    return Err(cannot_listen(place, &error, other.map(|(other, _)| *other)));
                }
            }
        }
        match missing.first() {
            Some((_, error)) if missing.len() == endpoints.len() => {
                return Err(cannot_listen(place, error, None));
            }
            _ => missing.iter().for_each(|(endpoint, error)| {
                tracing::warn!(%place, address = %endpoint, %error, "skipped: this machine has no such address");
            }),
        }
    }
    Ok(listeners)
}

/// The endpoint of a place that needs no look-up.
fn known_endpoint(place: &Place) -> Option<(&Place, Endpoint)> {
    let endpoint = match &place.address {
        Address::Tcp { host, port } => Endpoint::Tcp((host.parse::<IpAddr>().ok()?, *port).into()),
        Address::Unix(path) => Endpoint::Unix(path.clone()),
    };
    Some((place, endpoint))
}

/// Whether the system chooses the port.
fn is_any_port(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Tcp(address) if address.port() == 0)
}

/// Whether this is `[::]`, and another listener has the IPv4 addresses of its port.
fn is_beside_ipv4_wildcard<'a>(
    address: SocketAddr,
    mut all: impl Iterator<Item = &'a Endpoint>,
) -> bool {
    let wildcard = Endpoint::Tcp((Ipv4Addr::UNSPECIFIED, address.port()).into());
    address.ip() == Ipv6Addr::UNSPECIFIED
        && address.port() != 0
        && all.any(|other| *other == wildcard)
}

/// Whether this machine lacks the address, or the whole protocol.
fn is_missing(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT))
}

/// Whether one socket may keep the other from being bound.
fn overlap(one: &Endpoint, other: &Endpoint) -> bool {
    let (one, other) = match (one, other) {
        (Endpoint::Tcp(one), Endpoint::Tcp(other)) => (one, other),
        (Endpoint::Unix(one), Endpoint::Unix(other)) => {
            let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
            return one == other || (real(one).is_some() && real(one) == real(other));
        }
        _ => return false,
    };
    // `[::]` is every address, of both families.
    let covers = |one: IpAddr, other: IpAddr| {
        one == other
            || one == Ipv6Addr::UNSPECIFIED
            || (one == Ipv4Addr::UNSPECIFIED && other.is_ipv4())
    };
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (covers(ip, other_ip) || covers(other_ip, ip))
}

/// Why there is no listener at a place, and what the operator can do. `other` is a listener of this server that may have
/// the address.
fn cannot_listen(place: &Place, error: &io::Error, other: Option<&Place>) -> io::Error {
    let why = match other {
        Some(other) if error.kind() == io::ErrorKind::AddrInUse => {
            format!("{other} includes it or is part of it; remove one of the two flags")
        }
        _ => explain(error, &place.address),
    };
    io::Error::new(
        error.kind(),
        format!("cannot listen on {}: {why}", place.address),
    )
}

/// Says why an address cannot be listened on, and what the operator can do.
fn explain(error: &io::Error, address: &Address) -> String {
    let unix = matches!(address, Address::Unix(_));
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let advice = match error.kind() {
        _ if errno == Some(Errno::AFNOSUPPORT) => {
            "this machine has no IPv6; 0.0.0.0 is all its IPv4 addresses"
        }
        io::ErrorKind::AddrInUse if !unix => "stop the other program or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied if unix => "this user may not write there",
        io::ErrorKind::PermissionDenied => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
        io::ErrorKind::NotFound if unix => "the directory must exist",
        _ => return error.to_string(),
    };
    format!("{error}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const OPTIONS: Options = Options {
        trusts_uid: false,
        backlog: 1,
        send_buffer_bytes: 65_536,
        recv_buffer_bytes: 65_536,
        keepalive: Duration::ZERO,
    };

    fn place(flag: &'static str, address: &str, wire: Wire) -> Place {
        let address = Address::to_listen_on(address).unwrap();
        Place {
            flag,
            address,
            wire,
            is_tls: false,
        }
    }

    /// Binds a name that resolves to these addresses.
    fn bind(addresses: &[&str]) -> Result<Vec<String>, String> {
        let places = [place("--listen", "chat.example.org:8080", Wire::Chat)];
        let all: Vec<_> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        match bind_resolved(&places, &[tcp(&all)], &[], OPTIONS) {
            Ok(listeners) => Ok(listeners.iter().map(ToString::to_string).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A port that is free on all addresses.
    fn free_port() -> u16 {
        let any = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        any.local_addr().unwrap().port()
    }

    #[test]
    fn of_a_name_the_addresses_of_other_machines_are_skipped() {
        // 192.0.2.0/24 and 2001:db8::/32 are for documentation (RFC 5737, RFC 3849); no machine has them.
        let bound = bind(&["192.0.2.1:0", "127.0.0.1:0", "[2001:db8::1]:0"]).unwrap();
        assert_eq!(bound.len(), 1, "{bound:?}");
        assert!(bound[0].starts_with("127.0.0.1:"));
        for none in [&["192.0.2.1:0"][..], &["192.0.2.1:0", "[2001:db8::1]:0"]] {
            let error = bind(none).unwrap_err();
            assert!(error.starts_with("cannot listen on chat.example.org:8080: "));
            assert!(
                error.contains("this machine has no such address"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_address_given_twice_is_bound_once() {
        let address = format!("127.0.0.1:{}", free_port());
        let two = [(); 2].map(|()| place("--listen", &address, Wire::Chat));
        assert_eq!(bind_all(&two, OPTIONS).unwrap().len(), 1);
        let any = [(); 2].map(|()| place("--listen", "127.0.0.1:0", Wire::Chat));
        assert_eq!(bind_all(&any, OPTIONS).unwrap().len(), 2, "two ports");
    }

    #[test]
    fn flags_that_overlap_are_both_named() {
        let port = free_port();
        for (first, second, second_flag, wire) in [
            ("0.0.0.0", "127.0.0.1", "--listen", Wire::Chat),
            ("127.0.0.1", "0.0.0.0", "--listen", Wire::Chat),
            ("127.0.0.1", "127.0.0.1", "--listen-raw", Wire::Raw),
        ] {
            let (first, second) = (format!("{first}:{port}"), format!("{second}:{port}"));
            let places = [
                place("--listen", &first, Wire::Chat),
                place(second_flag, &second, wire),
            ];
            let error = bind_all(&places, OPTIONS).unwrap_err().to_string();
            assert!(error.contains(&format!("--listen {first}")), "{error}");
            assert!(
                error.contains(&format!("cannot listen on {second}")),
                "{error}"
            );
            assert!(!error.contains("other program"), "{error}");
        }
    }

    #[test]
    fn a_listener_beside_others_names_the_one_in_its_way() {
        let all = format!("0.0.0.0:{}", free_port());
        let one = all.replace("0.0.0.0", "127.0.0.1");
        let others = [place("--listen", &all, Wire::Chat)];
        let _bound = bind_all(&others, OPTIONS).unwrap();
        let metrics = [place("--metrics", &one, Wire::Chat)];
        let error = bind_beside(&metrics, &others, OPTIONS).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(&format!("--listen {all} includes it")),
            "{error}"
        );
        assert!(
            error.contains(&format!("cannot listen on {one}")),
            "{error}"
        );
        let free = [place("--metrics", "127.0.0.1:0", Wire::Chat)];
        assert_eq!(bind_beside(&free, &others, OPTIONS).unwrap().len(), 1);
    }

    #[test]
    fn endpoints_overlap_if_one_includes_the_other() {
        let tcp = |text: &str| Endpoint::Tcp(text.parse().unwrap());
        for (one, other, expected) in [
            ("[::]:7", "127.0.0.1:7", true),
            ("[::]:7", "[::1]:7", true),
            ("0.0.0.0:7", "127.0.0.1:7", true),
            ("[::ffff:127.0.0.1]:7", "127.0.0.1:7", true),
            ("0.0.0.0:7", "[::1]:7", false),
            ("127.0.0.1:7", "127.0.0.2:7", false),
            ("[::]:7", "127.0.0.1:8", false),
        ] {
            assert_eq!(overlap(&tcp(one), &tcp(other)), expected, "{one} {other}");
            assert_eq!(overlap(&tcp(other), &tcp(one)), expected, "{other} {one}");
        }
        assert!(overlap(
            &Endpoint::Unix("x".into()),
            &Endpoint::Unix("x".into())
        ));
        assert!(overlap(
            &Endpoint::Unix("src".into()),
            &Endpoint::Unix("./src".into())
        ));
        assert!(!overlap(&Endpoint::Unix("x".into()), &tcp("[::]:7")));
    }
}
