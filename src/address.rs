//! A server's address: how it is written on the command line, and which socket addresses it means. Opens no socket.

pub mod engine;

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

/// The port of a server whose address names none.
pub const DEFAULT_PORT: u16 = 8080;
/// The same for a connection over TLS.
pub const DEFAULT_TLS_PORT: u16 = 8443;
/// What an address for TLS begins with.
const TLS: &str = "tls:";

/// An address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host and a port.
    Tcp {
        /// A name, an IPv4 address, or an IPv6 address without brackets, perhaps with a zone: `fe80::1%eth0`.
        host: String,
        /// 0 only to listen: the system chooses a port.
        port: u16,
    },
    /// `unix:PATH`.
    Unix(PathBuf),
}

impl Address {
    /// Parses an address to listen on. A port alone means all IPv4 interfaces.
    ///
    /// # Errors
    /// What is wrong, and how it is written right.
    pub fn to_listen_on(text: &str) -> Result<Address, String> {
        match parse(text.trim())? {
            Written::Address(address) => Ok(address),
            Written::Port(port) => Ok(tcp("0.0.0.0", port)),
            Written::Host(host) => Err(format!(
                "the port is missing; write {}",
                tcp(host, DEFAULT_PORT)
            )),
        }
    }

    /// Parses an address to connect to. A port alone means this machine, a host alone [`DEFAULT_PORT`].
    ///
    /// # Errors
    /// What is wrong, and how it is written right.
    pub fn to_connect_to(text: &str) -> Result<Address, String> {
        Address::with_default_port(text, DEFAULT_PORT)
    }

    /// The same for a server of another program: a host alone means this port.
    ///
    /// # Errors
    /// What is wrong, and how it is written right.
    pub fn with_default_port(text: &str, port: u16) -> Result<Address, String> {
        let default_port = port;
        let address = match parse(text.trim())? {
            Written::Address(address) => address,
            Written::Port(port) => tcp("127.0.0.1", port),
            Written::Host(host) => tcp(host, default_port),
        };
        match address {
            Address::Tcp { host, port: 0 } => Err(format!(
                "no server has port 0; write for example {}",
                tcp(&host, default_port)
            )),
            address => Ok(address),
        }
    }
}

/// A server as a client names it: where it is, and whether what passes is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Without TLS.
    Plain(Address),
    /// `tls:HOST:PORT`
    Tls {
        /// As in [`Address::Tcp`]. The server's certificate must be for it.
        host: String,
        /// Never 0.
        port: u16,
    },
}

impl Target {
    /// Parses a server to connect to: what [`Address::to_connect_to`] takes, or `tls:` before a host and a port. There, a
    /// port alone means this machine too, and a host alone [`DEFAULT_TLS_PORT`].
    ///
    /// # Errors
    /// What is wrong, and how it is written right.
    pub fn parse(text: &str) -> Result<Target, String> {
        let text = text.trim();
        let Some(rest) = text.strip_prefix(TLS) else {
            return Address::to_connect_to(text).map(Target::Plain);
        };
        if rest.is_empty() {
            return Err("the host is missing; write for example tls:localhost:8443".into());
        }
        // `tls://HOST:PORT`, as other programs write it.
        if let Some(host) = rest.strip_prefix("//") {
            return Err(format!("write {TLS}{}", host.trim_end_matches('/')));
        }
        let address = match parse(rest).map_err(|why| format!("{why} (after {TLS})"))? {
            Written::Address(address) => address,
            Written::Port(port) => tcp("127.0.0.1", port),
            Written::Host(host) => tcp(host, DEFAULT_TLS_PORT),
        };
        match address {
            Address::Unix(path) => Err(format!(
                "a Unix socket needs no TLS; write unix:{}",
                path.display()
            )),
            Address::Tcp { host, port: 0 } => Err(format!(
                "no server has port 0; write for example {TLS}{}",
                tcp(&host, DEFAULT_TLS_PORT)
            )),
            Address::Tcp { host, port } => Ok(Target::Tls { host, port }),
        }
    }

    /// Where the server is.
    pub fn address(&self) -> Address {
        match self {
            Target::Plain(address) => address.clone(),
            Target::Tls { host, port } => tcp(host, *port),
        }
    }

    /// The host that the server's certificate must be for, if there is TLS.
    pub fn tls_host(&self) -> Option<&str> {
        match self {
            Target::Plain(_) => None,
            Target::Tls { host, .. } => Some(host),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Plain(address) => address.fmt(f),
            Target::Tls { .. } => write!(f, "{TLS}{}", self.address()),
        }
    }
}

impl From<Address> for Target {
    fn from(address: Address) -> Target {
        Target::Plain(address)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        tcp(&address.ip().to_string(), address.port())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The addresses of a host, each once, in the order in which they are to be tried. Blocks.
///
/// # Errors
/// The host has no address.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = (host, port).to_socket_addrs().map_err(|error| {
        let Some((_, zone)) = host.split_once('%') else {
            return error;
        };
        let why = format!("{error}; is there a network interface {zone}?");
        io::Error::new(error.kind(), why)
    })?;
    let all = each_once(found);
    let usable: Vec<SocketAddr> = all.iter().copied().filter(|a| !lacks_zone(*a)).collect();
    match (usable.is_empty(), all.is_empty()) {
        (false, _) => Ok(usable),
        (true, true) => Err(io::Error::other("the host has no address")),
        (true, false) => Err(io::Error::other(format!(
            "a link-local address needs its network interface; write for example [fe80::1%eth0]:{port}"
        ))),
    }
}

/// Whether this is a link-local address without its zone, which belongs to no interface (RFC 4007, section 6).
fn lacks_zone(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}

/// The first of each address. Resolvers give an address twice that is twice in /etc/hosts.
fn each_once(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut all = Vec::new();
    for address in found {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

/// What a text is. Whether something may be missing depends on what the address is for.
enum Written<'a> {
    Address(Address),
    /// A port without a host.
    Port(u16),
    /// A host without a port.
    Host(&'a str),
}

fn tcp(host: &str, port: u16) -> Address {
    let host = host.to_owned();
    Address::Tcp { host, port }
}

fn parse(text: &str) -> Result<Written<'_>, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err("the path is missing; write for example unix:/tmp/madang.sock".into()),
            path => Ok(Written::Address(Address::Unix(path.into()))),
        };
    }
    if let Some(rest) = text.strip_prefix(TLS) {
        return Err(format!(
            "{TLS} stands before a server to join, not here; write {rest}"
        ));
    }
    check_shape(text)?;
    if let Some(rest) = text.strip_prefix('[') {
        return parse_brackets(rest);
    }
    if is_number(text) {
        return Ok(Written::Port(parse_port(text, "127.0.0.1")?));
    }
    // The zone of an IPv6 address is the name of an interface.
    let (ip, zone) = text.split_once('%').unwrap_or((text, ""));
    if ip.parse::<Ipv6Addr>().is_ok() && !zone.contains(':') {
        return match (text.rsplit_once(':'), zone) {
            // `::1:7001` is an address, and reads as one with a port.
            (Some((host, port)), "") if port.len() == 4 && is_number(port) && is_ipv6(host) => {
                Err(format!(
                    "an IPv6 address with a port needs brackets; write [{host}]:{port} or [{text}]:8080"
                ))
            }
            _ => Ok(Written::Host(text)),
        };
    }
    match text.rsplit_once(':') {
        None => Ok(Written::Host(text)),
        Some(("", port)) => Ok(Written::Port(parse_port(port, "127.0.0.1")?)),
        Some((host, _)) if host.contains(':') && !is_ipv6(host) => {
            Err(format!("{host} is no IPv6 address; {FORMS}"))
        }
        Some((host, port)) => {
            let brackets = host.contains(':').then(|| format!("[{host}]"));
            let port = parse_port(port, brackets.as_deref().unwrap_or(host))?;
            Ok(Written::Address(tcp(host, port)))
        }
    }
}

/// Every form, for texts that resemble none.
const FORMS: &str = "write HOST:PORT, [IPV6]:PORT or unix:PATH";

/// Refuses what people write for other programs.
fn check_shape(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("the address is missing; write for example 127.0.0.1:8080".into());
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let host = if host.is_empty() { "HOST:PORT" } else { host };
        return Err(format!("write {host} without {scheme}://"));
    }
    if text.contains('/') {
        return Err(format!("write unix:{text} if this is a path"));
    }
    if text.contains(char::is_whitespace) {
        let words: Vec<&str> = text.split_whitespace().collect();
        return Err(format!("write {} as one word", words.join(":")));
    }
    match text.strip_prefix('*') {
        Some(port) => Err(format!("write 0.0.0.0{port} or [::]{port}")),
        None => Ok(()),
    }
}

/// Parses what follows a `[`.
fn parse_brackets(rest: &str) -> Result<Written<'_>, String> {
    let Some((host, after)) = rest.split_once(']') else {
        return Err("the ] is missing; write for example [::1]:8080".into());
    };
    if !is_ipv6(host) {
        let is_address = host.is_empty() || host.contains(':');
        let right = if is_address { "[::1]" } else { host };
        return Err(format!(
            "brackets hold an IPv6 address; write for example {right}:8080"
        ));
    }
    match after.strip_prefix(':') {
        Some(port) => Ok(Written::Address(tcp(
            host,
            parse_port(port, &format!("[{host}]"))?,
        ))),
        None if after.is_empty() => Ok(Written::Host(host)),
        None => Err(format!("a : is missing; write [{host}]:8080")),
    }
}

fn is_ipv6(host: &str) -> bool {
    let (ip, zone) = host.split_once('%').unwrap_or((host, "-"));
    ip.parse::<Ipv6Addr>().is_ok() && !zone.is_empty()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_port(port: &str, host: &str) -> Result<u16, String> {
    if port.is_empty() {
        return Err(format!("the port is missing; write {host}:8080"));
    }
    let number = is_number(port).then(|| port.parse().ok()).flatten();
    number.ok_or_else(|| {
        format!("a port is a number up to 65535, not {port}; write for example {host}:8080")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address_is_parsed() {
        let any = "0.0.0.0";
        for (text, listen, connect) in [
            ("127.0.0.1:7", "127.0.0.1:7", "127.0.0.1:7"),
            (" 127.0.0.1:7 ", "127.0.0.1:7", "127.0.0.1:7"),
            (
                "chat.example.org:7",
                "chat.example.org:7",
                "chat.example.org:7",
            ),
            ("[::]:7", "[::]:7", "[::]:7"),
            ("[fe80::1%lo]:7", "[fe80::1%lo]:7", "[fe80::1%lo]:7"),
            (
                "[::ffff:1.2.3.4]:7",
                "[::ffff:1.2.3.4]:7",
                "[::ffff:1.2.3.4]:7",
            ),
            // Without brackets, where only one reading is possible.
            ("fe80::1%lo:7", "[fe80::1%lo]:7", "[fe80::1%lo]:7"),
            (":::8080", "[::]:8080", "[::]:8080"),
            ("::1:12345", "[::1]:12345", "[::1]:12345"),
            ("8081", &format!("{any}:8081"), "127.0.0.1:8081"),
            (":8081", &format!("{any}:8081"), "127.0.0.1:8081"),
            ("unix:/tmp/x", "unix:/tmp/x", "unix:/tmp/x"),
            ("unix:x:1", "unix:x:1", "unix:x:1"),
        ] {
            let shown = |address: Result<Address, String>| address.map(|a| a.to_string());
            assert_eq!(
                shown(Address::to_listen_on(text)).as_deref(),
                Ok(listen),
                "{text}"
            );
            assert_eq!(
                shown(Address::to_connect_to(text)).as_deref(),
                Ok(connect),
                "{text}"
            );
        }
        assert_eq!(
            Address::to_listen_on("127.0.0.1:0"),
            Ok(tcp("127.0.0.1", 0))
        );
    }

    #[test]
    fn a_client_may_leave_out_the_port_and_a_server_may_not() {
        for (text, whole) in [
            ("localhost", "localhost:8080"),
            ("127.0.0.1", "127.0.0.1:8080"),
            ("::1", "[::1]:8080"),
            ("[::1]", "[::1]:8080"),
            ("fe80::1%lo", "[fe80::1%lo]:8080"),
            ("2001:db8::1:2", "[2001:db8::1:2]:8080"),
        ] {
            let address = Address::to_connect_to(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), Ok(whole));
            let error = Address::to_listen_on(text).unwrap_err();
            assert_eq!(error, format!("the port is missing; write {whole}"));
        }
    }

    #[test]
    fn a_wrong_form_is_answered_with_a_right_one() {
        for (text, right) in [
            ("", "127.0.0.1:8080"),
            (" ", "127.0.0.1:8080"),
            (":", "127.0.0.1:8080"),
            ("localhost:", "localhost:8080"),
            ("localhost:http", "localhost:8080"),
            ("localhost:65536", "localhost:8080"),
            ("localhost:+80", "localhost:8080"),
            ("70000", "127.0.0.1:8080"),
            ("localhost 8080", "localhost:8080"),
            ("http://localhost:8080/", "localhost:8080"),
            ("tcp://[::1]:8080", "[::1]:8080"),
            ("/tmp/x.sock", "unix:/tmp/x.sock"),
            ("./x.sock", "unix:./x.sock"),
            ("unix:", "unix:/tmp/madang.sock"),
            ("*:8080", "0.0.0.0:8080 or [::]:8080"),
            ("[::1", "[::1]:8080"),
            ("[::1]8080", "[::1]:8080"),
            ("[::1]:", "[::1]:8080"),
            ("[::1%]:80", "[::1]:8080"),
            ("[localhost]:8080", "localhost:8080"),
            ("[]:8080", "[::1]:8080"),
            ("::1:7001", "[::1]:7001 or [::1:7001]:8080"),
            (":::", "[::]:8080"),
            ("1:2:3", "[IPV6]:PORT"),
        ] {
            for error in [Address::to_listen_on(text), Address::to_connect_to(text)] {
                let error = error.expect_err(text);
                assert!(error.contains(right), "{text}: {error}");
            }
        }
        let error = Address::to_connect_to("localhost:0").unwrap_err();
        assert!(error.contains("localhost:8080"), "{error}");
    }

    #[test]
    fn a_server_over_tls_has_a_host_and_a_port() {
        for (text, whole, host) in [
            (
                "tls:chat.example.org:7",
                "tls:chat.example.org:7",
                "chat.example.org",
            ),
            (
                " tls:chat.example.org ",
                "tls:chat.example.org:8443",
                "chat.example.org",
            ),
            ("tls:[::1]:7", "tls:[::1]:7", "::1"),
            ("tls:::1", "tls:[::1]:8443", "::1"),
            ("tls:[fe80::1%lo]", "tls:[fe80::1%lo]:8443", "fe80::1%lo"),
            ("tls:7", "tls:127.0.0.1:7", "127.0.0.1"),
        ] {
            let target = Target::parse(text).expect(text);
            assert_eq!(target.to_string(), whole);
            assert_eq!(target.tls_host(), Some(host));
            assert_eq!(Target::parse(whole), Ok(target));
        }
        let plain = Target::parse("localhost").expect("an address");
        assert_eq!(
            (plain.to_string().as_str(), plain.tls_host()),
            ("localhost:8080", None)
        );
    }

    #[test]
    fn a_wrong_server_over_tls_is_answered_with_a_right_one() {
        for (text, right) in [
            ("tls:", "tls:localhost:8443"),
            ("tls://chat.example.org:7/", "write tls:chat.example.org:7"),
            ("tls:unix:/tmp/x", "write unix:/tmp/x"),
            ("tls:localhost:0", "tls:localhost:8443"),
            ("tls:localhost:https", "localhost:8080 (after tls:)"),
            ("tls:::1:7001", "[::1]:7001"),
            ("https://localhost:1/", "localhost:1 without https://"),
        ] {
            let error = Target::parse(text).expect_err(text);
            assert!(error.contains(right), "{text}: {error}");
        }
        // Where TLS has a flag of its own, or is not possible.
        for error in [
            Address::to_listen_on("tls:8443"),
            Address::to_connect_to("tls:8443"),
        ] {
            assert_eq!(
                error,
                Err("tls: stands before a server to join, not here; write 8443".into())
            );
        }
    }

    #[test]
    fn an_address_that_a_resolver_gives_twice_is_kept_once() {
        let all = ["127.0.0.1:7", "[::1]:7", "127.0.0.1:7", "[::1]:7"];
        let once = each_once(all.map(|address| address.parse().unwrap()).into_iter());
        assert_eq!(once, ["127.0.0.1:7", "[::1]:7"].map(|a| a.parse().unwrap()));
        let all = resolve("127.0.0.1", 7).unwrap();
        assert_eq!(all, ["127.0.0.1:7".parse().unwrap()]);
    }

    #[test]
    fn an_unknown_or_missing_interface_is_named() {
        let error = resolve("fe80::1%nosuch0", 7).unwrap_err().to_string();
        assert!(error.contains("interface nosuch0"), "{error}");
        let error = resolve("fe80::1", 7).unwrap_err().to_string();
        assert!(error.contains("[fe80::1%eth0]:7"), "{error}");
        assert!(resolve("fe80::1%1", 7).is_ok());
    }
}
