//! A connection as a client of the engine: what it has asked, in order, and the answers. Decides nothing.

use super::connection::{Broken, Connection, Server};
use super::entries::{Ended, Head, Reading, Step};
use super::resp::Token;
use super::tasks::{Task, Tasks};
use super::value::{Builder, Value};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long an answer may take before the connection counts as lost. A read that waits has its own time besides.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What an answer is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// AUTH
    Login,
    /// ROLE
    Role,
    /// CLUSTER SLOTS
    Slots,
    /// SCRIPT LOAD of the script of this place
    Load(usize),
    /// SENTINEL GET-MASTER-ADDR-BY-NAME
    Primary,
    /// The oldest task that has been sent
    Task,
    /// Where the lane of this place ends
    Ends(usize),
    /// The sequence number of the last entry of the lane of this place
    Sequence(usize),
    /// XREAD
    Read,
}

/// What a client brings.
#[derive(Debug)]
pub enum Came {
    /// An answer.
    Answer(Question, Value),
    /// An entry: [`Client::head`], [`Client::first_numbers`], [`Client::payload`].
    Entry,
    /// An entry that no node has written: [`Client::head`] has its lane and id.
    Foreign,
    /// The answer to a read has ended.
    ReadEnded(Ended),
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To ask a Sentinel for the primary.
    Sentinel,
    /// To ask what kind of engine this is, and where the lanes are.
    Seed,
    /// To carry out [`Client::tasks`].
    Tasks,
    /// To read the lanes of these places.
    Reads(Vec<usize>),
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// With whom.
    pub server: Server,
    /// For what.
    pub purpose: Purpose,
    /// The bytes.
    pub connection: Connection,
    /// What it has to carry out.
    pub tasks: Tasks,
    /// What has been asked and not answered, each with when, and for how long the engine may wait on purpose.
    questions: VecDeque<(Question, Instant, Duration)>,
    builder: Builder,
    reading: Reading,
    /// When something was last heard, or asked while nothing was expected.
    heard_at: Instant,
    /// How long the last answer took that did not wait on purpose.
    round_trip: Option<Duration>,
}

impl Client {
    /// A client over a connection that has just been begun.
    pub fn new(server: Server, purpose: Purpose, connection: Connection, now: Instant) -> Client {
        Client {
            server,
            purpose,
            connection,
            tasks: Tasks::default(),
            questions: VecDeque::new(),
            builder: Builder::default(),
            reading: Reading::default(),
            heard_at: now,
            round_trip: None,
        }
    }

    /// Asks something that `write` writes.
    pub fn ask(&mut self, question: Question, now: Instant, write: impl FnOnce(&mut Vec<u8>)) {
        self.ask_and_wait(question, now, Duration::ZERO, write);
    }

    /// The same; the engine may take so much longer on purpose.
    pub fn ask_and_wait(
        &mut self,
        question: Question,
        now: Instant,
        wait: Duration,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.questions.is_empty() {
            self.heard_at = now;
        }
        self.questions.push_back((question, now, wait));
        write(self.connection.output());
    }

    /// Sends tasks that can be sent now. `write` writes one, with its script's text or without.
    pub fn send_tasks(&mut self, now: Instant, write: impl Fn(&mut Vec<u8>, &Task, bool)) {
        while let Some((task, by_text)) = self.tasks.next_to_send(now) {
            if self.questions.is_empty() {
                self.heard_at = now;
            }
            self.questions
                .push_back((Question::Task, now, Duration::ZERO));
            write(self.connection.output(), task, by_text);
        }
    }

    /// Whether all has been answered.
    pub fn is_idle(&self) -> bool {
        self.questions.is_empty()
    }

    /// How long the last answer took.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The head of the entry that came last.
    pub fn head(&self) -> &Head {
        self.reading.head()
    }

    /// The first numbers of its rooms.
    pub fn first_numbers(&self) -> &[u64] {
        self.reading.first_numbers()
    }

    /// Its payload.
    pub fn payload(&self) -> &[u8] {
        &self.connection.bytes()[self.reading.head().payload.clone()]
    }

    /// When the answer that is waited for is late, if one is.
    pub fn deadline(&self) -> Option<Instant> {
        let &(_, _, wait) = self.questions.front()?;
        Some(self.heard_at + ANSWER_TIMEOUT + wait)
    }

    /// Whether an answer is late. What has come and has not been read counts as an answer.
    pub fn is_late(&mut self, now: Instant) -> bool {
        if self.connection.take_heard() {
            self.heard_at = now;
        }
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// What has come next; `None`: nothing more. `lane` finds the place of a log's key.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub fn next(&mut self, lane: impl Fn(&[u8]) -> Option<usize>) -> Result<Option<Came>, Broken> {
        loop {
            if let Some(ended) = self.reading.take_ended() {
                self.questions.pop_front();
                return Ok(Some(Came::ReadEnded(ended)));
            }
            let Some(token) = self.connection.next()? else {
                return Ok(None);
            };
            let bytes = self.connection.bytes();
            let Some(&(question, asked, wait)) = self.questions.front() else {
                return Err("it answers unasked".into());
            };
            if question == Question::Read && !matches!(token, Token::Error(_)) {
                match self.reading.take(&token, bytes, &lane) {
                    Step::More => continue,
                    Step::Entry => return Ok(Some(Came::Entry)),
                    Step::Foreign => return Ok(Some(Came::Foreign)),
                    Step::Nonsense => return Err("its answer to XREAD makes no sense".into()),
                }
            }
            let built = self.builder.take(token, bytes);
            let built = built.map_err(|_| "an answer of it is too long".to_owned())?;
            if let Some(value) = built {
                self.questions.pop_front();
                if wait.is_zero() {
                    self.round_trip = Some(asked.elapsed());
                }
                return Ok(Some(Came::Answer(question, value)));
            }
        }
    }
}
