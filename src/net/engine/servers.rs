//! Which servers there are: those of the address, resolved once, and what Sentinels and clusters name.
//!
//! Names are resolved when the driver is made, before the event loop runs: resolving blocks, and a resolver on the loop, or a
//! thread for the system's, is not worth its weight. So an engine that moves to another address under the same name is found
//! through Sentinel, or after a restart of the node. Sentinels and clusters name addresses unless they are told otherwise.

use super::connection::{Place, Server};
use super::value::Value;
use crate::address::engine::EngineAddress;
use crate::address::{Address, resolve};
use crate::tls_client::{Config, Options};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The servers of an address.
#[derive(Debug)]
pub struct Servers {
    all: Vec<Server>,
    /// The one to be tried next: `0 <= next < all.len()`.
    next: usize,
    /// Whom to trust, if there is TLS.
    tls: Option<Options>,
}

impl Servers {
    /// Resolves the names of an address. Blocks.
    ///
    /// # Errors
    /// No name has an address, or a file of TLS cannot be used.
    pub fn new(address: &EngineAddress, tls: &Options) -> io::Result<Servers> {
        let tls = address.is_tls.then(|| tls.clone());
        let (mut all, mut trouble) = (Vec::new(), None);
        for server in &address.servers {
            match found(server, tls.as_ref()) {
                Ok(found) => all.extend(found),
                Err(error) => {
                    let why = format!("the engine's server {server}: {error}");
                    if let Some(earlier) = trouble.replace(why) {
                        tracing::warn!("{earlier}");
                    }
                }
            }
        }
        match trouble {
            Some(why) if all.is_empty() => return Err(io::Error::other(why)),
            Some(why) => tracing::warn!("{why}; it is left out"),
            None => {}
        }
        Ok(Servers { all, next: 0, tls })
    }

    /// The next one to be tried; after the last comes the first.
    pub fn next(&mut self) -> Server {
        let server = self.all[self.next].clone();
        self.next = (self.next + 1) % self.all.len();
        server
    }

    /// The one before is tried once more: it was the right one.
    pub fn stay(&mut self) {
        self.next = (self.next + self.all.len() - 1) % self.all.len();
    }

    /// A server that another one has named, by an address, or by nothing for itself.
    ///
    /// # Errors
    /// It is no address.
    pub fn named(&self, by: &Server, host: &str, port: u16) -> Result<Server, String> {
        let ip = match (host, &by.place) {
            ("" | "?", Place::Tcp(address)) => address.ip(),
            _ => host.parse::<IpAddr>().map_err(|_| {
                format!(
                    "{by} names a server {host:?}, which is no IP address: tell it to announce addresses"
                )
            })?,
        };
        let place = Place::Tcp(SocketAddr::new(ip, port));
        if let Some(known) = self.all.iter().find(|known| known.place == place) {
            return Ok(known.clone());
        }
        let tls = self.tls.as_ref().map(|tls| {
            let config = Config::new(tls, &ip.to_string())?;
            Ok::<_, String>(Arc::new(config))
        });
        Ok(Server {
            name: SocketAddr::new(ip, port).to_string(),
            place,
            tls: tls.transpose()?,
        })
    }
}

fn found(server: &Address, tls: Option<&Options>) -> io::Result<Vec<Server>> {
    let (host, port) = match server {
        Address::Unix(path) => {
            return Ok(vec![Server {
                name: server.to_string(),
                place: Place::Unix(path.clone()),
                tls: None,
            }]);
        }
        Address::Tcp { host, port } => (host, *port),
    };
    let config = tls.map(|tls| Config::new(tls, host).map(Arc::new));
    let config = config.transpose().map_err(io::Error::other)?;
    let addresses = resolve(host, port)?;
    let name = |address: &SocketAddr| match host.parse::<IpAddr>() {
        Ok(_) => server.to_string(),
        Err(_) => format!("{server} ({})", address.ip()),
    };
    let servers = addresses.iter().map(|address| Server {
        name: name(address),
        place: Place::Tcp(*address),
        tls: config.clone(),
    });
    Ok(servers.collect())
}

/// A part of a cluster: slots, and which server is their primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The first slot and the last one.
    pub first: u64,
    /// See `first`.
    pub last: u64,
    /// Its primary's address, as the cluster names it.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Reads the answer to CLUSTER SLOTS: `[first, last, [host, port, …], replicas…]` for each part. `None`: it makes no sense.
pub fn shards(answer: &Value) -> Option<Vec<Shard>> {
    let shard = |value: &Value| {
        let [first, last, primary, ..] = value.elements() else {
            return None;
        };
        let [host, port, ..] = primary.elements() else {
            return None;
        };
        Some(Shard {
            first: first.number()?,
            last: last.number()?,
            host: match host {
                Value::Null => String::new(),
                host => host.text()?.to_owned(),
            },
            port: port.number()?.try_into().ok()?,
        })
    };
    answer.elements().iter().map(shard).collect()
}
