//! The operator of a run: what it commands, the driver's answers to the requests that come of it, and what it must have been
//! told in the end. What its commands do to others is judged with them.

use super::Sim;
use super::behavior::Behavior;
use super::client::Client;
use super::world::{STORM_ADDRESS, Theme};
use madang::hub::Wire;
use madang::hub::requests::{Answer, Random, Request, Ticket};
use madang::protocol::{Line, Notice, Plain, Refusal};
use std::collections::BTreeSet;

/// An operator, and the answers of the driver that are under way: in so many turns.
pub struct Operator {
    pub client: Client,
    answers: Vec<(u32, Ticket, Answer)>,
    /// Commands so far.
    commands: usize,
    /// The guest numbers and the serial numbers below belong to observers, which stay.
    first: usize,
}

impl Operator {
    /// Whether an answer is under way, or something is to be sent.
    pub fn is_busy(&self) -> bool {
        !self.answers.is_empty() || self.client.has_pending()
    }
}

impl Sim {
    /// Connects an operator, after the observers.
    pub fn connect_operator(&mut self) {
        let capacity = self.drawn_capacity();
        let pipe = self.connected(0, Wire::Control, capacity, STORM_ADDRESS);
        let client = Client::new(usize::MAX - 99, pipe, Behavior::observer());
        self.operator = Some(Operator {
            client: client.connected(self.scheduler.net()),
            answers: Vec::new(),
            commands: 0,
            first: self.observers.len() + 2,
        });
        self.run_until_quiet();
    }

    /// The operator commands something, perhaps, and reads or not.
    pub fn operate(&mut self) {
        let Some(operator) = &mut self.operator else {
            return;
        };
        if self.rng.u8(0..6) == 0 {
            operator.commands += 1;
            let who = operator.first + self.rng.usize(0..12);
            let number = operator.commands;
            // Where all clients have the same address, a ban ends them all.
            let address = match self.world.theme {
                Theme::Storms => STORM_ADDRESS.to_string(),
                _ => "127.0.0.1".into(),
            };
            let line = match self.rng.u8(0..26) {
                0..=4 => "/clients".into(),
                5 => "/clients --slow".into(),
                6 => format!("/clients --from {address}"),
                7 => format!("/clients --from guest{who}"),
                8 => "/bans".into(),
                9 => format!("/kick guest{who} because {number}"),
                10 => format!("/kick #{who}"),
                11 => "/kick 127.0.0.1:9".into(),
                12..=13 => format!("/mute guest{who} 2s"),
                14 => format!("/mute #{who}"),
                15 => format!("/unmute guest{who}"),
                16..=17 => format!("/say S{number}"),
                18 => "/help".into(),
                19 => "/stats\n/reload".into(),
                20 => format!("/ban 10.{}.0.0/16 3s range {number}", number % 7),
                21 => format!("/unban 10.{}.0.0/16", number % 7),
                24 => format!("/nick boss{}x\n/register\n/login boss1x wrong", number % 3),
                25 => format!("/unregister boss{}x\n/unregister", number % 3),
                22 if self.rng.u8(0..6) == 0 => format!("/ban {address} 3s"),
                _ => "a line\n/mute\n/ban 0.0.0.0/0\n/frob".into(),
            };
            operator.client.enqueue(&line);
        }
        let network = self.scheduler.net();
        operator.client.send_all(network);
        if self.rng.bool() {
            operator.client.send_and_read_all(network);
        }
    }

    /// The driver's part: answers requests, some of them later, some with a no.
    pub fn answer_requests(&mut self) {
        while let Some((ticket, request)) = self.scheduler.next_request() {
            let no = || Answer::Refused(vec!["no".into(), "not now".into()]);
            let answer = match request {
                Request::Store(_) if self.rng.u8(0..4) == 0 => no(),
                Request::Store(_) if self.rng.bool() => Answer::NotKept,
                Request::Store(_) => Answer::Done,
                Request::Random => Answer::Bytes(Random(self.rng.u128(..).to_be_bytes())),
                Request::Reload if self.rng.bool() => no(),
                Request::Reload => Answer::Lines(vec!["line".into(); 300]),
                Request::Statistics => Answer::Figures(vec![("lines".into(), "3".into()); 99]),
                Request::Shutdown => {
                    self.scheduler.stop();
                    Answer::Done
                }
            };
            let turns = self.rng.u32(0..6);
            if let Some(operator) = &mut self.operator {
                operator.answers.push((turns, ticket, answer));
            }
        }
        let Some(operator) = &mut self.operator else {
            return;
        };
        let mut due = Vec::new();
        operator.answers.retain_mut(|(turns, ticket, answer)| {
            *turns = turns.saturating_sub(1);
            if *turns == 0 {
                due.push((*ticket, answer.clone()));
            }
            *turns > 0
        });
        for (ticket, answer) in due {
            // What brings it wakes the poll.
            self.wakes_at = 0;
            self.scheduler.answer(ticket, answer);
        }
    }

    /// The operator has been told something that is read back as it was meant, each client was in a list once, and each
    /// list has its end.
    pub fn judge_operator(&self) {
        let Some(operator) = &self.operator else {
            return;
        };
        let received = str::from_utf8(&operator.client.received).expect("UTF-8");
        assert!(received.ends_with('\n') && !operator.client.pipe.borrow().server_closed);
        let (mut clients, mut bans) = (BTreeSet::new(), 0);
        for line in received.lines() {
            match Line::parse(line) {
                Line::Notice(text) => match Notice::parse(text) {
                    Notice::Client {
                        number: Plain(number),
                        ..
                    } => {
                        assert!(clients.insert(number), "{number} is listed twice");
                    }
                    Notice::Clients { listed, .. } => {
                        assert_eq!(std::mem::take(&mut clients).len(), listed);
                    }
                    Notice::Ban { .. } => bans += 1,
                    Notice::Bans { bans: listed } => {
                        assert_eq!(std::mem::take(&mut bans), listed);
                    }
                    // Of `/help`, and of `/reload`.
                    Notice::Other(text) => {
                        assert!(text.starts_with('/') || text == "line", "{text}")
                    }
                    _ => {}
                },
                Line::Refusal(text) => {
                    assert!(!matches!(Refusal::parse(text), Refusal::Other(_)), "{text}");
                }
                Line::Received(..) => {}
                _ => panic!("the operator is in no room: {line}"),
            }
            let is_listing = line.starts_with("* client") || line.contains(" -> you: ");
            assert!(clients.is_empty() || is_listing, "in a list: {line}");
        }
        assert!(clients.is_empty() && bans == 0, "a list without an end");
    }
}
