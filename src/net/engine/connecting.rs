//! From nothing to an engine that can be used, and back: which servers are asked what, in which order. See the picture in
//! `engine.rs`.

use super::client::{Purpose, Question};
use super::command::{self, Script};
use super::connection::{Broken, Server};
use super::session::{CHECK_EVERY, PAUSE_MAX, PAUSE_MIN, Phase, STABLE, Session};
use crate::hub::link::contract::Input;

/// Connecting.
impl Session {
    /// Begins with the next server.
    pub(super) fn connect(&mut self) {
        let server = self.servers.next();
        self.phase = Phase::Greeting;
        self.cluster = None;
        let is_sentinel = self.address.sentinel_name.is_some();
        let purpose = match is_sentinel {
            true => Purpose::Sentinel,
            false => Purpose::Seed,
        };
        self.primary = Some(server.clone());
        match self.clients.open(&server, purpose, self.now) {
            Ok(place) if is_sentinel => {
                self.phase = Phase::Asking;
                self.sentinel = Some(place);
                self.ask_for_primary(place);
            }
            Ok(place) => self.greet(place),
            Err(why) => self.failed(&server, &why),
        }
    }

    pub(super) fn ask_for_primary(&mut self, place: usize) {
        let Some(name) = &self.address.sentinel_name else {
            return;
        };
        self.sentinel_at = self.now + CHECK_EVERY;
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name];
        let client = self.clients.get_mut(place);
        client.ask(Question::Primary, self.now, |out| {
            command::write_words(out, &words);
        });
    }

    /// While the engine is used, a Sentinel is asked now and then whether it still is the primary.
    pub(super) fn ask_sentinel(&mut self) {
        if let Some(place) = self.sentinel
            && self.is_open()
            && self.sentinel_at <= self.now
            && self.clients.get(place).is_idle()
        {
            self.ask_for_primary(place);
        }
    }

    /// Asks a server everything that must be known before it can be used.
    pub(super) fn greet(&mut self, place: usize) {
        let (now, login) = (self.now, self.address.login.as_ref());
        let client = self.clients.get_mut(place);
        if let Some(login) = login {
            client.ask(Question::Login, now, |out| command::write_login(out, login));
        }
        if client.purpose == Purpose::Seed {
            let words = ["CLUSTER", "SLOTS"];
            client.ask(Question::Slots, now, |out| {
                command::write_words(out, &words)
            });
        }
        client.ask(Question::Role, now, |out| {
            command::write_words(out, &["ROLE"])
        });
        if !matches!(client.purpose, Purpose::Reads(_)) {
            for (nth, script) in Script::ALL.iter().enumerate() {
                let words = ["SCRIPT", "LOAD", script.text()];
                client.ask(Question::Load(nth), now, |out| {
                    command::write_words(out, &words);
                });
            }
        }
    }

    /// The first server has answered everything: the others are connected to.
    pub(super) fn greeted(&mut self, place: usize) -> Result<(), Broken> {
        self.phase = Phase::Opening;
        let seed = self.clients.get(place).server.clone();
        let lanes: Vec<usize> = (0..self.lanes.count()).collect();
        let Some(cluster) = self.cluster.take() else {
            self.clients.get_mut(place).purpose = Purpose::Tasks;
            self.clients.set_routes(vec![place; lanes.len()]);
            let reader = self.clients.open(&seed, Purpose::Reads(lanes), self.now)?;
            self.greet(reader);
            return Ok(());
        };
        self.clients.close(place);
        let mut primaries: Vec<(Server, usize)> = Vec::new();
        let mut routes = Vec::new();
        for &lane in &lanes {
            let slot = u64::from(self.lanes.get(lane).keys.slot);
            let shard = cluster
                .iter()
                .find(|it| (it.first..=it.last).contains(&slot));
            let shard = shard.ok_or("a part of the cluster's slots is served by nobody")?;
            let server = self.servers.named(&seed, &shard.host, shard.port)?;
            let known = primaries
                .iter()
                .find(|(known, _)| known.place == server.place);
            let route = match known {
                Some((_, route)) => *route,
                None => {
                    let route = self.clients.open(&server, Purpose::Tasks, self.now)?;
                    primaries.push((server.clone(), route));
                    self.greet(route);
                    route
                }
            };
            routes.push(route);
            let reader = self
                .clients
                .open(&server, Purpose::Reads(vec![lane]), self.now)?;
            self.greet(reader);
        }
        self.clients.set_routes(routes);
        Ok(())
    }

    /// Everything is there.
    pub(super) fn opened(&mut self) {
        self.phase = Phase::Open(self.now);
        self.servers.stay();
        self.told.clear();
        let servers: Vec<&Server> = {
            let tasks = self
                .clients
                .iter()
                .filter(|it| it.purpose == Purpose::Tasks);
            tasks.map(|client| &client.server).collect()
        };
        match &*servers {
            [server] => tracing::info!(%server, "connected to the engine"),
            servers => {
                tracing::info!(
                    servers = servers.len(),
                    "connected to the engine, a Redis Cluster"
                );
            }
        }
        self.inputs.push_back(Input::Connected);
        self.read_all();
    }

    /// A client is of no more use, and with it all of them.
    pub(super) fn lose(&mut self, place: usize, why: &str) {
        let server = self.clients.get(place).server.clone();
        if self.sentinel == Some(place) && self.is_open() {
            // The engine can be used all the same.
            self.clients.close(place);
            self.sentinel = None;
            tracing::warn!(%server, "the connection to Sentinel is lost: {why}; trying the next one");
            let next = self.servers.next();
            if let Ok(place) = self.clients.open(&next, Purpose::Sentinel, self.now) {
                self.sentinel = Some(place);
                self.sentinel_at = self.now + CHECK_EVERY;
            }
            return;
        }
        self.failed(&server, why);
    }

    /// Gives all connections up, and tries again after a pause.
    pub(super) fn failed(&mut self, server: &Server, why: &str) {
        self.clients.close_all();
        self.sentinel = None;
        self.attaching = None;
        self.waiting.clear();
        self.barrier = None;
        self.is_known = false;
        let pause = self.pause;
        self.pause = (2 * self.pause).min(PAUSE_MAX);
        if let Phase::Open(since) = self.phase {
            if since + STABLE <= self.now {
                self.pause = PAUSE_MIN;
            }
            self.losses += 1;
            self.inputs.push_back(Input::Disconnected);
            tracing::warn!(%server, "the connection to the engine is lost: {why}; connecting again");
            self.told.is_news(self.now, &format!("{server}: {why}"));
        } else if self.told.is_news(self.now, &format!("{server}: {why}")) {
            tracing::error!(%server, "no connection to the engine: {why}; trying again every 2 s at least");
        }
        self.phase = Phase::Waiting(self.now + pause);
    }
}
