//! A server that is watched: asks it for one snapshot after the other, and keeps the last two. Draws nothing.

use super::client::{ANSWER_TIMEOUT, Client};
use super::snapshot::Snapshot;
use super::table::View;
use std::time::{Duration, Instant};

/// The server rests for so many times as long as its answer took: it has clients to serve.
const REST: u32 = 4;
/// Up to so many clients are all listed, and compared. Above, only slow ones are.
const CLIENTS_MAX: usize = 2_000;
/// How long the rest of an answer may take when a part of it was refused.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(1);
/// From one question to the next.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What is known of the server.
#[derive(Debug)]
pub struct Watch {
    /// The connection.
    pub client: Client,
    /// Times are told from here.
    started: Instant,
    /// The answer that comes, and when it was asked for.
    coming: Option<(Instant, Snapshot)>,
    /// The last two whole answers, the newer one last.
    before: Option<Snapshot>,
    now: Option<Snapshot>,
    /// When something came last.
    heard: Instant,
    /// How long the last answer took.
    took: Duration,
}

impl Watch {
    /// Of a server that was not asked yet.
    pub fn new(client: Client) -> Watch {
        let started = Instant::now();
        Watch {
            client,
            started,
            coming: None,
            before: None,
            now: None,
            heard: started,
            took: Duration::ZERO,
        }
    }

    /// Asks for a snapshot: of all clients, if they are known to be few.
    ///
    /// # Errors
    /// The connection is lost: in words.
    pub fn ask(&mut self) -> Result<(), String> {
        let has_all = self
            .now
            .as_ref()
            .is_some_and(|now| now.connected <= CLIENTS_MAX);
        let sent = self.client.send(match has_all {
            true => "/stats\n/clients\n",
            false => "/stats\n/clients --slow\n",
        });
        sent.map_err(|why| {
            if self.is_shutting_down() {
                self.ended()
            } else {
                why
            }
        })?;
        let snapshot = Snapshot {
            has_all,
            ..Snapshot::default()
        };
        self.heard = Instant::now();
        self.coming = Some((self.heard, snapshot));
        Ok(())
    }

    /// Takes a line. Returns whether the answer is complete.
    pub fn take(&mut self, line: &str) -> bool {
        self.heard = Instant::now();
        match &mut self.coming {
            Some((_, snapshot)) => snapshot.take(line) && self.complete(),
            // Nothing was asked: perhaps that the server ends.
            None => {
                if let Some(now) = &mut self.now {
                    now.take(line);
                }
                false
            }
        }
    }

    fn complete(&mut self) -> bool {
        if let Some((asked, mut snapshot)) = self.coming.take() {
            self.took = asked.elapsed();
            snapshot.at_us = self.started.elapsed().as_micros() as u64;
            // What this table itself costs is not to be seen in it.
            let own = self.client.name();
            snapshot.clients.retain(|_, client| client.name != own);
            self.before = self.now.replace(snapshot);
        }
        true
    }

    /// Ends an answer that will not be complete: a part of it was refused. The former figures stay.
    pub fn give_up(&mut self) {
        if let Some((_, snapshot)) = self.coming.take() {
            let mut shown = self.now.take().unwrap_or_default();
            shown.refused = snapshot.refused;
            self.now = Some(shown);
        }
    }

    /// Whether only few clients are connected and have not been listed yet: then the next question is due at once.
    fn is_incomplete(&self) -> bool {
        let now = self.now.as_ref();
        now.is_some_and(|now| !now.has_all && now.connected <= CLIENTS_MAX && now.refused.is_none())
    }

    /// How long to wait before the next question.
    pub fn rest(&self) -> Duration {
        match self.is_incomplete() {
            true => Duration::ZERO,
            false => (INTERVAL - self.took.min(INTERVAL)).max(REST * self.took),
        }
    }

    /// Why a part of the answer that comes was refused.
    pub fn refused(&self) -> Option<&str> {
        let (_, snapshot) = self.coming.as_ref()?;
        snapshot.refused.as_deref()
    }

    /// When an answer that does not come any more is given up, and whether a part of it was refused.
    pub fn deadline(&self) -> Option<(Instant, bool)> {
        let (_, snapshot) = self.coming.as_ref()?;
        Some(match snapshot.refused {
            Some(_) => (self.heard + REFUSED_TIMEOUT, true),
            None => (self.heard + ANSWER_TIMEOUT, false),
        })
    }

    /// The connection has ended, in words.
    pub fn ended(&self) -> String {
        self.client.lost(match self.is_shutting_down() {
            true => "the server ends",
            false => "closed by the server",
        })
    }

    /// Whether the server has said that it ends.
    fn is_shutting_down(&self) -> bool {
        let coming = self.coming.as_ref().map(|(_, snapshot)| snapshot);
        let mut known = self.now.iter().chain(coming);
        known.any(|snapshot| snapshot.is_shutting_down)
    }

    /// What is shown now; `None` before the first answer.
    pub fn view(&self, keys: Option<&'static str>) -> Option<View<'_>> {
        Some(View {
            place: self.client.place(),
            before: self.before.as_ref(),
            now: self.now.as_ref()?,
            clients_max: CLIENTS_MAX,
            keys,
        })
    }
}
