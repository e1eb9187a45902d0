//! What operators learn from the driver, and what they want of it: the steps of their commands, within a budget; the log of
//! what they did; the hub's requests carried out. Decides nothing about operators.

use super::budgets::OPERATORS_US;
use super::connections::Connections;
use super::reactor::{self, Reactor};
use super::scheduler::Scheduler;
use super::transport::Net;
use crate::hub::requests::{Answer, Request, Ticket};
use crate::hub::{ConnId, Deed, Details, Now, Peers};
use std::net::SocketAddr;

/// What is known of connections.
struct Known<'a, N: Net> {
    now: Now,
    net: &'a N,
    connections: &'a mut Connections<N::Socket>,
}

impl<N: Net> Peers for Known<'_, N> {
    fn address(&mut self, id: ConnId) -> Option<SocketAddr> {
        let connection = self.connections.find(id)?;
        connection
            .ipv4()
            .or_else(|| self.net.peer(&connection.socket))
    }

    fn details(&mut self, id: ConnId) -> Details {
        let Some(connection) = self.connections.find(id) else {
            return Details::default();
        };
        let listener = connection.listener();
        Details {
            listener: listener.map_or_else(String::new, |listener| self.net.listener(listener)),
            seconds: connection.seconds(self.now) as u64,
            bytes_in: connection.received.into(),
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
    }

    fn do_steps(&mut self) {
        let mut now = self.now();
        let deadline = now.after(OPERATORS_US);
        let mut is_under_way = true;
        while is_under_way && now < deadline {
            let mut known = Known {
                now,
                net: &self.net,
                connections: &mut self.connections,
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
    /// Carries out what operators want of the driver.
    pub(super) fn carry_out_requests(&mut self) {
        while let Some((ticket, request)) = self.scheduler.next_request() {
            let answer = match request {
                Request::Store(_) => Answer::NotKept,
                Request::Reload => Answer::Refused(vec!["there is nothing to reload".into()]),
                Request::Statistics => Answer::Figures(self.figures()),
                Request::Shutdown => {
                    reactor::stop(&mut self.scheduler);
                    Answer::Done
                }
            };
            self.scheduler.answer(ticket, answer);
        }
    }

    /// Names and values.
    fn figures(&self) -> Vec<(String, String)> {
        let hub = self.scheduler.hub();
        let (totals, census) = (hub.totals(), hub.census());
        let figures = [
            ("clients", census.clients as u64),
            ("rooms", census.rooms as u64),
            ("connections", totals.connections),
            ("refused_connections", totals.refused_connections),
            ("lines", totals.lines),
            ("refused_lines", totals.refused_lines),
            ("skipped_lines", totals.skipped_lines),
            ("slow_closed", totals.slow_closed),
            ("bytes_held", census.bytes as u64),
        ];
        let words = |(name, value): (&str, u64)| (name.to_owned(), value.to_string());
        figures.map(words).into()
    }
}
