//! A server's address as written on the command line. Host names are not resolved here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// An address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `HOST:PORT` or `[IPV6]:PORT`. A server listens on every address that the host name resolves to.
    Tcp(String),
    /// `unix:PATH`.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("unix: must be followed by a path".into()),
                path => Ok(Address::Unix(path.into())),
            };
        }
        let port = text
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty())
            .map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) => Ok(Address::Tcp(text.into())),
            Some(Err(_)) => Err("the port must be a number from 0 to 65535".into()),
            None => Err("expected HOST:PORT, [IPV6]:PORT or unix:PATH".into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_and_unix_addresses_are_parsed_and_anything_else_is_an_error() {
        assert_eq!(
            "127.0.0.1:0".parse(),
            Ok(Address::Tcp("127.0.0.1:0".into()))
        );
        assert_eq!("[::]:8080".parse(), Ok(Address::Tcp("[::]:8080".into())));
        assert_eq!("unix:/tmp/x".parse(), Ok(Address::Unix("/tmp/x".into())));
        for bad in [
            "",
            "8080",
            ":8080",
            "host",
            "host:http",
            "host:65536",
            "unix:",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
