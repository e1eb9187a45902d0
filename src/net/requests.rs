//! What operators learn from the driver, and what they want of it: the steps of their commands, within a budget; the log of
//! what they did; the hub's requests carried out. Decides nothing about operators.

use super::budgets::OPERATORS_US;
use super::connections::Connections;
use super::exposition::Format;
use super::figures::Figures;
use super::keeper::Keeper;
use super::reactor::Reactor;
use super::scheduler::Scheduler;
use super::transport::Net;
use crate::hub::requests::{Answer, Random, Request, Ticket};
use crate::hub::{self, ConnId, Deed, Details, NameEvent, Now, Peers};
use crate::keeper;
use std::net::SocketAddr;

/// What is known of connections.
struct Known<'a, N: Net> {
    now: Now,
    net: &'a N,
    connections: &'a Connections<N::Socket>,
}

impl<N: Net> Peers for Known<'_, N> {
    fn address(&mut self, id: ConnId) -> Option<SocketAddr> {
        let connection = self.connections.get(id)?;
        let known = self.connections.address(id, connection);
        known.or_else(|| self.net.peer(&connection.socket))
    }

    fn uid(&mut self, id: ConnId) -> Option<u32> {
        let connection = self.connections.get(id)?;
        let (uid, _) = self.net.credentials(&connection.socket)?;
        Some(uid)
    }

    fn details(&mut self, id: ConnId) -> Details {
        let Some(connection) = self.connections.get(id) else {
            return Details::default();
        };
        let listener = connection.listener();
        Details {
            listener: listener.map_or_else(String::new, |listener| self.net.listener(listener)),
            seconds: connection.seconds(self.now) as u64,
            bytes_in: connection.received.into(),
            proxy: self.connections.relayed(id).map(|relayed| relayed.proxy),
        }
    }
}

impl<N: Net> Scheduler<N> {
    /// Does steps of operators' commands, within the budget, and logs what operators have done.
    pub(super) fn carry_on(&mut self) {
        if self.hub.has_jobs() {
            self.do_steps();
        }
        while let Some(deed) = self.hub.next_deed() {
            self.log_deed(deed);
        }
        while let Some(NameEvent { by, name, what }) = self.hub.next_name_event() {
            let connection = by.map(ConnId::serial);
            tracing::info!(connection, name, what, "a name that is somebody's own");
        }
    }

    fn do_steps(&mut self) {
        let mut now = self.now();
        let deadline = now.after(OPERATORS_US);
        let mut is_under_way = true;
        while is_under_way && now < deadline {
            let mut known = Known {
                now,
                net: &self.net,
                connections: &self.connections,
            };
            is_under_way = self.hub.carry_on(now, &mut known);
            now = self.now();
        }
    }

    fn log_deed(&mut self, Deed { by, name, what }: Deed) {
        let connection = self.connections.find(by);
        let peer = connection.and_then(|connection| self.net.credentials(&connection.socket));
        let (uid, pid) = peer.unzip();
        let connection = by.serial();
        tracing::info!(connection, operator = name, uid, pid, what, "an operator");
    }

    /// The next thing that an operator wants of the driver. Each is to be [answered](Scheduler::answer), now or later.
    #[must_use = "an operator waits for the answer"]
    pub fn next_request(&mut self) -> Option<(Ticket, Request)> {
        self.hub.next_request()
    }

    /// Answers a request.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer) {
        let now = self.now();
        self.hub.answer(now, ticket, answer);
    }
}

impl Reactor {
    /// Carries out what operators and others want of the driver, and hands over what the keeper has answered.
    pub(super) fn carry_out_requests(&mut self) {
        while let Some((ticket, request)) = self.scheduler.next_request() {
            if let Some(answer) = self.carry_out(ticket, request) {
                self.scheduler.answer(ticket, answer);
            }
        }
        while let Some((number, result)) = self.keeper.as_mut().and_then(Keeper::next_answer) {
            let answer = match result {
                Ok(()) => Answer::Done,
                Err(why) => Answer::Refused(vec![why]),
            };
            self.scheduler.answer(Ticket::from_number(number), answer);
        }
    }

    /// Carries out one request. No answer yet: the keeper will give it.
    fn carry_out(&mut self, ticket: Ticket, request: Request) -> Option<Answer> {
        Some(match request {
            Request::Store(change) => {
                let Some(keeper) = &mut self.keeper else {
                    return Some(Answer::NotKept);
                };
                keeper.store(ticket.number(), &to_be_kept(change));
                return None;
            }
            Request::Reload => match self.reload() {
                Ok(lines) => Answer::Lines(lines),
                Err(mistakes) => Answer::Refused(mistakes),
            },
            Request::Random => random(),
            Request::Statistics => Answer::Figures(named(&self.figures())),
            Request::Shutdown => {
                self.stop();
                Answer::Done
            }
        })
    }
}

/// Bytes from the system, which has some at any time once it has been started.
fn random() -> Answer {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Answer::Bytes(Random(bytes)),
        Err(error) => Answer::Refused(vec![format!("the system has no random bytes: {error}")]),
    }
}

/// A change as the keeper knows it.
fn to_be_kept(change: hub::requests::Change) -> keeper::Change {
    match change {
        hub::requests::Change::Put { kind, key, value } => keeper::Change::Put {
            kind: kind.into(),
            key,
            value,
        },
        hub::requests::Change::Remove { kind, key } => keeper::Change::Remove {
            kind: kind.into(),
            key,
        },
    }
}

/// Every figure as the metrics page has it.
fn named(figures: &Figures) -> Vec<(String, String)> {
    let page = Format::Text.page(&figures.families());
    let page = String::from_utf8_lossy(&page);
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let named = lines.filter_map(|line| line.rsplit_once(' '));
    // A name is one word.
    let named = named.map(|(name, value)| (name.replace(char::is_whitespace, "_"), value.into()));
    named.collect()
}
