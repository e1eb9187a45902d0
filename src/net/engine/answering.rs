//! What the engine answers, and what follows from it.

use super::answers::{self, NONSENSE};
use super::client::{Came, Client, Purpose, Question};
use super::command::Script;
use super::connection::Broken;
use super::servers::shards;
use super::session::{Phase, Session};
use super::trouble::{Remedy, judge};
use super::value::Value;
use crate::hub::link::contract::Input;

/// Answers.
impl Session {
    /// Handles what has come over a client, which is no entry.
    pub fn came(&mut self, place: usize, came: Came) {
        let done = match came {
            Came::Answer(question, value) => self.answered(place, question, value),
            Came::ReadEnded(ended) => {
                self.read_ended(place, ended);
                Ok(())
            }
            Came::Foreign => {
                let head = self.clients.get(place).head();
                let (lane, id) = (head.lane, head.id);
                if self.lanes.pass(lane, id, None) {
                    let log = &self.lanes.get(lane).keys.log;
                    tracing::warn!("entry {id} of {log} was written by no node: it is passed over");
                }
                Ok(())
            }
            Came::Entry => Ok(()),
        };
        if let Err(why) = done {
            self.lose(place, &why);
        }
    }

    pub(super) fn answered(
        &mut self,
        place: usize,
        question: Question,
        value: Value,
    ) -> Result<(), Broken> {
        if let Value::Error(error) = &value {
            self.refused(place, question, error)?;
        } else {
            self.accepted(place, question, &value)?;
        }
        if self.clients.has(place) && self.clients.get(place).is_idle() {
            self.next_question(place)?;
        }
        Ok(())
    }

    /// A client has been answered everything.
    pub(super) fn next_question(&mut self, place: usize) -> Result<(), Broken> {
        let purpose = &self.clients.get(place).purpose;
        let is_reader = matches!(purpose, Purpose::Reads(_));
        match self.phase {
            _ if *purpose == Purpose::Sentinel => Ok(()),
            Phase::Greeting => self.greeted(place),
            Phase::Opening if self.clients.iter().all(Client::is_idle) => {
                self.opened();
                Ok(())
            }
            Phase::Open(_) if is_reader && self.is_reading() => {
                self.read(place);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn accepted(
        &mut self,
        place: usize,
        question: Question,
        value: &Value,
    ) -> Result<(), Broken> {
        match question {
            Question::Login | Question::Read => {}
            Question::Role => {
                // A cluster says itself which servers are its primaries.
                if let Some(primary) = answers::primary_of_replica(value)
                    && self.cluster.is_none()
                {
                    return Err(format!("it is a replica, of {primary}"));
                }
            }
            Question::Slots => {
                let shards = shards(value).filter(|shards| !shards.is_empty());
                let none = "the cluster has no slots: it is not complete";
                self.cluster = Some(shards.ok_or(none)?);
            }
            Question::Load(nth) => {
                let digest = value.text().ok_or("it does not say a script's digest")?;
                self.scripts.set(Script::ALL[nth], digest);
            }
            Question::Primary => return self.primary_named(place, value),
            Question::Task => return self.task_done(place, value),
            Question::Ends(lane) => {
                let (world, last) = answers::ends(value).ok_or(NONSENSE)?;
                if self.lanes.ends(lane, world, last) {
                    let lane = self.lanes.get(lane).keys.lane;
                    tracing::warn!("the engine has lost the last entries of lane {lane}");
                    self.inputs.push_back(Input::Rewound(lane));
                }
            }
            Question::Sequence(lane) => self.barrier_answer(lane, value.number().unwrap_or(0)),
        }
        Ok(())
    }

    pub(super) fn primary_named(&mut self, place: usize, value: &Value) -> Result<(), Broken> {
        let sentinel = self.clients.get(place).server.clone();
        let [host, port] = value.elements() else {
            let name = self.address.sentinel_name.as_deref().unwrap_or_default();
            return Err(format!(
                "this Sentinel watches no primary by the name {name}"
            ));
        };
        let port = port.number().and_then(|port| u16::try_from(port).ok());
        let (host, port) = host.text().zip(port).ok_or(NONSENSE)?;
        let named = self.servers.named(&sentinel, host, port)?;
        if self.is_open() {
            if let Some(primary) = self.primary.clone()
                && primary.place != named.place
            {
                self.failed(&primary, &format!("Sentinel has made {named} the primary"));
            }
            return Ok(());
        }
        self.phase = Phase::Greeting;
        self.primary = Some(named.clone());
        let seed = self.clients.open(&named, Purpose::Seed, self.now);
        match seed {
            Ok(seed) => self.greet(seed),
            Err(why) => self.failed(&named, &why),
        }
        Ok(())
    }

    /// The engine has refused something.
    pub(super) fn refused(
        &mut self,
        place: usize,
        question: Question,
        error: &str,
    ) -> Result<(), Broken> {
        let (remedy, why) = judge(error);
        match (question, remedy) {
            // A single engine, or one whose user may not ask that.
            (Question::Slots, _) if !error.starts_with("NOAUTH") => Ok(()),
            (Question::Role, Remedy::GiveUp) if error.starts_with("NOPERM") => Ok(()),
            (Question::Task, _) => self.task_refused(place, error, remedy, why),
            (Question::Ends(lane), Remedy::SendScript) => {
                let (client, keys) = (self.clients.get_mut(place), &self.lanes.get(lane).keys);
                let scripts = &self.scripts;
                client.ask(question, self.now, |out| {
                    scripts.write_ends(out, true, keys)
                });
                Ok(())
            }
            // The reader is idle now, and looks again later.
            (Question::Ends(_) | Question::Read, Remedy::TryAgain) => {
                self.tell_trouble(place, &why);
                Ok(())
            }
            _ => Err(why),
        }
    }

    pub(super) fn tell_trouble(&mut self, place: usize, why: &str) {
        if self.told_tasks.is_news(self.now, why) {
            let server = &self.clients.get(place).server;
            tracing::warn!(%server, "the engine cannot do what it is asked: {why}; trying again");
        }
    }
}
