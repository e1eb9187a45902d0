//! The clients of one connection to the engine: a Sentinel's, those that carry out tasks, those that read. Opens them, and
//! says which carries out tasks for which lane. Decides nothing.

use super::client::{Client, Purpose};
use super::connection::{Broken, Connection, Server};
use mio::{Registry, Token};
use std::ops::Range;
use std::time::Instant;

/// The clients, by place: the token of a client is the first one and its place.
#[derive(Debug)]
pub struct Clients {
    registry: Registry,
    tokens: Range<usize>,
    all: Vec<Option<Client>>,
    /// For each lane, the place of the client that carries out its tasks.
    routes: Vec<usize>,
    /// Where the search for something that has come goes on, so that all get their turn.
    next: usize,
    /// Bytes of clients that are gone.
    traffic: (u64, u64),
}

impl Clients {
    /// None yet.
    pub fn new(registry: Registry, tokens: Range<usize>) -> Clients {
        Clients {
            registry,
            tokens,
            all: Vec::new(),
            routes: Vec::new(),
            next: 0,
            traffic: (0, 0),
        }
    }

    /// Opens a client; returns its place.
    ///
    /// # Errors
    /// No connection can even be begun.
    pub fn open(
        &mut self,
        server: &Server,
        purpose: Purpose,
        now: Instant,
    ) -> Result<usize, Broken> {
        let free = self.all.iter().position(Option::is_none);
        let place = free.unwrap_or(self.all.len());
        let token = self.tokens.start + place;
        if !self.tokens.contains(&token) {
            return Err("it has more servers than this node can have connections to".into());
        }
        let connection = Connection::open(server, &self.registry, Token(token))?;
        let client = Client::new(server.clone(), purpose, connection, now);
        match self.all.get_mut(place) {
            Some(free) => *free = Some(client),
            None => self.all.push(Some(client)),
        }
        Ok(place)
    }

    /// Closes a client.
    pub fn close(&mut self, place: usize) {
        if let Some(client) = self.all.get_mut(place).and_then(Option::take) {
            let (bytes_in, bytes_out) = client.connection.traffic();
            self.traffic.0 += bytes_in;
            self.traffic.1 += bytes_out;
        }
    }

    /// Closes all.
    pub fn close_all(&mut self) {
        (0..self.all.len()).for_each(|place| self.close(place));
        self.routes.clear();
    }

    /// The place of a token.
    pub fn of_token(&self, token: Token) -> Option<usize> {
        let place = token.0.checked_sub(self.tokens.start)?;
        self.all.get(place)?.as_ref().map(|_| place)
    }

    /// Whether a place has a client.
    pub fn has(&self, place: usize) -> bool {
        self.all.get(place).is_some_and(Option::is_some)
    }

    /// A client that is there.
    pub fn get(&self, place: usize) -> &Client {
        self.all[place].as_ref().expect("a client's place")
    }

    /// The same.
    pub fn get_mut(&mut self, place: usize) -> &mut Client {
        self.all[place].as_mut().expect("a client's place")
    }

    /// All places that have one.
    pub fn places(&self) -> Vec<usize> {
        let places = 0..self.all.len();
        places.filter(|&place| self.all[place].is_some()).collect()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.all.iter().flatten()
    }

    /// Which client carries out each lane's tasks, by the lanes' places.
    pub fn set_routes(&mut self, routes: Vec<usize>) {
        self.routes = routes;
    }

    /// The place of the client that carries out a lane's tasks.
    pub fn route(&self, lane: usize) -> usize {
        self.routes[lane]
    }

    /// The next client that may have something, each in its turn.
    pub fn next_with_work(&mut self, is_held: impl Fn(&Client) -> bool) -> Option<usize> {
        let count = self.all.len();
        let mut places = (self.next..count).chain(0..self.next.min(count));
        let has_work = |client: &Client| client.connection.has_work() && !is_held(client);
        let found = places.find(|&place| self.all[place].as_ref().is_some_and(has_work))?;
        // It is asked until it has nothing more: what is in its memory is complete first.
        self.next = found;
        Some(found)
    }

    /// This one has nothing more.
    pub fn pass_on(&mut self) {
        self.next += 1;
        if self.next >= self.all.len() {
            self.next = 0;
        }
    }

    /// Bytes in and out since the start.
    pub fn traffic(&self) -> (u64, u64) {
        self.iter().fold(self.traffic, |sum, client| {
            let (bytes_in, bytes_out) = client.connection.traffic();
            (sum.0 + bytes_in, sum.1 + bytes_out)
        })
    }
}
