//! The listeners of a server by their numbers, which their poll tokens contain. A number is used again only after its
//! listener is closed. Binds nothing and decides nothing about newcomers.

use super::listener::{Listener, Options};
use super::stream::Stream;
use super::transport::Newcomer;
use crate::hub::ConnId;
use mio::{Registry, Token};
use rustls::ServerConfig;
use std::io;
use std::sync::Arc;

/// Listeners have the tokens from this one on, above every connection's.
pub const LISTENERS: usize = ConnId::SLOT_MAX as usize + 1;

/// Listeners at a time: tokens from here on are for others.
pub const LISTENERS_MAX: usize = 0x4000;

/// The listeners.
#[derive(Debug)]
pub struct Listeners {
    registry: Registry,
    /// By number.
    listeners: Vec<Option<Listener>>,
    /// How each is named, also once it is closed: connections that came from there stay.
    names: Vec<String>,
    /// What those under TLS present and accept.
    tls: Option<Arc<ServerConfig>>,
}

impl Listeners {
    /// No listener yet; those that are added are polled by `registry`.
    pub fn new(registry: Registry) -> Listeners {
        Listeners {
            registry,
            listeners: Vec::new(),
            names: Vec::new(),
            tls: None,
        }
    }

    /// What listeners under TLS present to new connections, and accept from them.
    pub fn set_tls(&mut self, tls: Option<Arc<ServerConfig>>) {
        self.tls = tls;
    }

    /// Adds all of these, or none of them. Returns their numbers.
    ///
    /// # Errors
    /// There are too many, or the system is out of memory.
    pub fn add_all(&mut self, added: Vec<Listener>) -> io::Result<Vec<usize>> {
        let mut numbers = Vec::new();
        for listener in added {
            match self.add(listener) {
                Ok(number) => numbers.push(number),
                Err(error) => {
                    numbers.into_iter().for_each(|number| self.close(number));
                    return Err(error);
                }
            }
        }
        Ok(numbers)
    }

    fn add(&mut self, mut listener: Listener) -> io::Result<usize> {
        let free = self.listeners.iter().position(Option::is_none);
        let number = free.unwrap_or(self.listeners.len());
        if number >= LISTENERS_MAX {
            let why = format!("more than {LISTENERS_MAX} addresses to listen on");
            return Err(io::Error::other(why));
        }
        listener.register(&self.registry, Token(LISTENERS + number))?;
        if free.is_none() {
            self.listeners.push(None);
            self.names.push(String::new());
        }
        self.names[number] = listener.to_string();
        self.listeners[number] = Some(listener);
        Ok(number)
    }

    /// Stops listening; the connections that came from there stay.
    pub fn close(&mut self, number: usize) {
        self.listeners[number] = None;
    }

    /// Stops listening everywhere.
    pub fn close_all(&mut self) {
        self.listeners.fill_with(|| None);
    }

    /// Every listener with its number.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Listener)> {
        let all = self.listeners.iter().enumerate();
        all.filter_map(|(number, listener)| Some((number, listener.as_ref()?)))
    }

    /// How a listener is named, also once it is closed.
    pub fn name(&self, number: usize) -> String {
        self.names.get(number).cloned().unwrap_or_default()
    }

    /// Accepts the next connection of a listener. One that is closed has none: the poll may have reported it before.
    ///
    /// # Errors
    /// See accept(2).
    pub fn accept(&mut self, number: usize) -> io::Result<Newcomer<Stream>> {
        let Some(listener) = self.listeners.get_mut(number).and_then(Option::as_mut) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let (stream, peer, address) = listener.accept()?;
        let stream = match &self.tls {
            _ if !listener.is_tls() => stream,
            Some(config) => stream.under_tls(Arc::clone(config))?,
            None => return Err(io::Error::other("a TLS listener without a certificate")),
        };
        Ok((stream, peer, address))
    }

    /// Changes the options of every listener, for connections that it accepts from now on.
    ///
    /// # Errors
    /// The system refuses one of them.
    pub fn set_options(&mut self, options: Options) -> io::Result<()> {
        let mut listeners = self.listeners.iter_mut().flatten();
        listeners.try_for_each(|listener| listener.set_options(options))
    }
}
