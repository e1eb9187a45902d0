//! The driver of a cluster's engine, Redis or Valkey: carries out what the hub wants of it, and passes on what comes. It is on
//! the event loop's poll, and never waits. What ops mean is decided by scripts in the engine, `engine/*.lua`, and by the
//! hub.
//!
//! A turn of the loop:
//!
//! ```text
//! poll until deadline(), or not at all if has_input()
//! event(..)                    for each event of its tokens
//! tick(now)                    timers: reconnecting, answers that are late, tries that are due
//! while budget { next_input() }    what has come; a socket is read only when nothing is left in memory
//! submit(op) …; flush()        what the hub wants; one write for all of it
//! ```
//!
//! What is not taken by `next_input` stays in the engine: so a node that cannot follow holds it back by not asking for more.
//!
//! ```text
//!            ┌────────────── lost: pause of 50 ms, doubling up to 2 s ──────────────┐
//!            ▼                                                                      │
//! Waiting ─▶ Asking (Sentinel) ─▶ Greeting ─────────────▶ Opening ─────────────▶ Open
//!                  login, role, cluster?, scripts    other connections      reads, tasks
//! ```
//!
//! A single engine has two connections: one carries out tasks, the other waits for entries of all lanes. A Redis Cluster has
//! one for tasks to each server, and one for entries a lane, since a command's keys must be in one slot there. If one
//! is lost, all are made anew.

mod answering;
mod answers;
mod attaching;
mod barrier;
mod carrying;
mod client;
mod clients;
mod command;
mod connecting;
mod connection;
mod entries;
mod keys;
mod lanes;
mod options;
pub mod resp;
mod servers;
mod session;
mod tasks;
mod trouble;
mod value;

use crate::address::engine::EngineAddress;
use crate::hub::link::contract::{Entry, Input, Op};
use client::Came;
use mio::Registry;
pub use options::{Figures, Options};
use session::Session;
use std::io;
use std::ops::Range;
use std::time::Instant;

/// The driver.
#[derive(Debug)]
pub struct Engine {
    session: Session,
    /// The client whose entry is being lent.
    lent: usize,
}

impl Engine {
    /// A driver whose sockets are reported by `registry` under `tokens`, and which connects at the first
    /// [`tick`](Engine::tick). Resolves names and reads files: call it before the loop.
    ///
    /// # Errors
    /// No name of a server has an address, a file of TLS cannot be used, or the system gives no random bytes.
    pub fn new(
        address: EngineAddress,
        options: Options,
        registry: Registry,
        tokens: Range<usize>,
    ) -> io::Result<Engine> {
        Ok(Engine {
            session: Session::new(address, options, registry, tokens)?,
            lent: 0,
        })
    }

    /// The poll has reported one of its tokens.
    pub fn event(&mut self, event: &mio::event::Event) {
        self.session.event(event);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        self.session.tick(now);
    }

    /// When [`tick`](Engine::tick) is to be called next, at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    /// Takes something to be carried out. It is forgotten if the hub has not taken [`Input::Connected`] of the connection that
    /// there is now: then [`Input::Disconnected`] has come or is about to.
    pub fn submit(&mut self, op: Op) {
        self.session.submit(op);
    }

    /// Sends what has been submitted.
    pub fn flush(&mut self) {
        self.session.flush();
    }

    /// Whether [`next_input`](Engine::next_input) may have something at once: then the poll must not wait.
    pub fn has_input(&self) -> bool {
        self.session.has_work()
    }

    /// What has come from the engine. An entry is lent from where it was received.
    pub fn next_input(&mut self) -> Option<Input<'_>> {
        loop {
            if let Some(input) = self.session.take_input() {
                return Some(input);
            }
            match self.session.step() {
                // A connection may have been lost.
                None => return self.session.take_input(),
                Some((client, Came::Entry)) => {
                    self.lent = client;
                    break;
                }
                Some((client, came)) => self.session.came(client, came),
            }
        }
        let client = self.session.client(self.lent);
        let head = client.head();
        Some(Input::Entry(Entry {
            lane: self.session.lane(head.lane),
            sequence: head.sequence,
            incarnation: head.incarnation,
            number: head.number,
            first_numbers: client.first_numbers(),
            payload: client.payload(),
        }))
    }

    /// Why this node can never be a part of this cluster, in words for the operator: it has other lanes, or another format.
    pub fn refusal(&self) -> Option<&str> {
        self.session.refusal()
    }

    /// What operators want to see.
    pub fn figures(&self) -> Figures {
        self.session.figures()
    }
}
