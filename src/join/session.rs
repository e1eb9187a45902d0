//! What the client knows from the server's lines: its name, its room, the members, whether the server has said goodbye.
//! Also what to request on a new connection and how long to wait before the next. No socket, no clock.
#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

use crate::hub::LOBBY;
use crate::protocol::{Line, Notice, Refusal, entries, is_name};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Names remembered for completion.
pub const NAMES_MAX: usize = 4096;
/// The first pause before reconnecting. Each is twice the one before, up to the longest.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_LONGEST: Duration = Duration::from_secs(30);
/// How long a connection must last for the pauses to start again from the first: otherwise a server that accepts and
/// closes at once would be tried twice a second for ever.
const STABLE_AFTER: Duration = Duration::from_secs(30);
/// After a reconnection, the server may still hold the client's name for the lost connection: how often the client requests
/// the name again, and after which pause.
const NAME_RETRIES_MAX: u32 = 12;
const NAME_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// What to do because of a line from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Send this line.
    Send(&'static str),
    /// The wanted name is still in use: send [`Session::name_request`] after this pause.
    RetryName(Duration),
    /// The server refused the room that the client requested on connecting. Lines not sent yet were typed for that room.
    RoomRefused,
}

/// A request that the server has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Name,
    Room,
}

/// Asks for the members' names, since the server does not announce those who were there before.
const ASK_MEMBERS: Reaction = Reaction::Send("/who");

/// One conversation, over any number of connections.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The client's name as the server knows it, or knew it on the connection before.
    name: Option<String>,
    /// The server has greeted the client on this connection.
    is_greeted: bool,
    /// The name and the room that the user chose, requested again on the next connection.
    wanted_name: Option<String>,
    wanted_room: Option<String>,
    /// Names seen in the room; at most [`NAMES_MAX`].
    names: BTreeSet<String>,
    /// The server has said goodbye: it closes the connection because the client left.
    is_over: bool,
    /// Requests made on connecting that are not answered yet, in order; at most one of each.
    unanswered: VecDeque<Request>,
    /// Connections that failed or did not last, since the last one that did.
    failures: u32,
    /// How often the name may still be requested again.
    name_retries: u32,
}

impl Session {
    /// Before the first connection.
    pub fn new(name: Option<String>, room: Option<String>) -> Session {
        Session {
            wanted_name: name,
            wanted_room: room,
            ..Session::default()
        }
    }

    /// The client's name, once the server has sent it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The other members of the room whose names the client has seen.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.name();
        let names = self.names.iter().map(String::as_str);
        names.filter(move |name| Some(*name) != own)
    }

    /// Whether the server has greeted the client, which shows that it is a madang server.
    pub fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// Whether the server has said goodbye.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// A connection is made: returns the lines to send before all others.
    pub fn connected(&mut self) -> Vec<String> {
        let name = self.name_request();
        let room = self.room_to_join().map(|room| format!("/join {room}"));
        self.unanswered.clear();
        self.unanswered.extend(name.as_ref().map(|_| Request::Name));
        self.unanswered.extend(room.as_ref().map(|_| Request::Room));
        name.into_iter().chain(room).collect()
    }

    /// Whether other lines must wait until the server has answered the requests for the name and the room, so that
    /// nothing is said under another name or in another room. Before the first greeting lines do not wait: the server
    /// may be of another kind and never answer.
    pub fn must_wait(&self) -> bool {
        self.name.is_some() && !self.unanswered.is_empty()
    }

    /// The wanted room, unless the server puts newcomers there anyway.
    fn room_to_join(&self) -> Option<&str> {
        self.wanted_room.as_deref().filter(|room| *room != LOBBY)
    }

    /// The connection has failed after it lasted so long (zero: it was not made). Returns the pause before the next
    /// attempt. `random` in `0.0..1.0` spreads the attempts of clients that lost their connections together.
    pub fn disconnected(&mut self, lasted: Duration, random: f64) -> Duration {
        if lasted >= STABLE_AFTER {
            self.failures = 0;
        }
        let doubled = BACKOFF_FIRST * 2_u32.pow(self.failures.min(16));
        self.failures += 1;
        self.is_greeted = false;
        self.unanswered.clear();
        self.names.clear();
        self.name_retries = NAME_RETRIES_MAX;
        doubled.min(BACKOFF_LONGEST).mul_f64(0.5 + random)
    }

    /// The line that requests the wanted name, unless the client has it.
    pub fn name_request(&self) -> Option<String> {
        let name = self.wanted_name.as_ref()?;
        let has_it = self.is_greeted && self.name.as_ref() == Some(name);
        (!has_it).then(|| format!("/nick {name}"))
    }

    /// Takes a line from the server.
    pub fn receive(&mut self, line: &str) -> Option<Reaction> {
        match Line::parse(line) {
            Line::Notice(text) => return self.notice(text),
            Line::Refusal(text) => return self.refusal(text),
            Line::Said(name, _) | Line::Action(name, _) => self.add_name(name),
            Line::Received(..) | Line::Confirmed(..) | Line::Other(_) => {}
        }
        None
    }

    /// The server has answered a request of this kind. Returns whether it was made on connecting.
    fn answered(&mut self, request: Request) -> bool {
        let first = self.unanswered.pop_front_if(|first| *first == request);
        first.is_some()
    }

    fn refusal(&mut self, text: &str) -> Option<Reaction> {
        match Refusal::parse(text) {
            Refusal::RoomsFull { .. }
            | Refusal::RoomIsYours { .. }
            | Refusal::RoomInvalid { .. }
                if self.answered(Request::Room) =>
            {
                self.wanted_room = None;
                return Some(Reaction::RoomRefused);
            }
            Refusal::NameInUse { name } | Refusal::NameLooksUsed { name } => {
                self.answered(Request::Name);
                if self.wanted_name.as_deref() == Some(name) {
                    self.name_retries = self.name_retries.checked_sub(1)?;
                    return Some(Reaction::RetryName(NAME_RETRY_PAUSE));
                }
            }
            Refusal::NameIsYours { .. }
            | Refusal::NameOfConsole { .. }
            | Refusal::NameInvalid { .. } => _ = self.answered(Request::Name),
            _ => {}
        }
        None
    }

    fn notice(&mut self, text: &str) -> Option<Reaction> {
        match Notice::parse(text) {
            Notice::Greeting { name, room, .. } if is_name(name) && is_name(room) => {
                self.name = Some(name.to_owned());
                self.is_greeted = true;
                // On the way to another room, the client asks when it is there.
                return self.room_to_join().is_none().then_some(ASK_MEMBERS);
            }
            Notice::YouAreNow { name } if is_name(name) => {
                self.answered(Request::Name);
                self.name = Some(name.to_owned());
                self.wanted_name = Some(name.to_owned());
            }
            Notice::YouAreIn { room, .. } if is_name(room) => {
                self.answered(Request::Room);
                self.wanted_room = Some(room.to_owned());
                self.names.clear();
                return Some(ASK_MEMBERS);
            }
            Notice::Joined { names, .. } => self.add_names(names),
            Notice::Left { names, .. } => self.remove_names(names),
            Notice::JoinedAndLeft { joined, left, .. } => {
                self.remove_names(left);
                self.add_names(joined);
            }
            Notice::Renamed { old, new } => {
                self.names.remove(old);
                self.add_name(new);
            }
            Notice::Members { list, .. } => self.add_names(list),
            Notice::Goodbye {} => self.is_over = true,
            _ => {}
        }
        None
    }

    fn add_names(&mut self, list: &str) {
        entries(list).for_each(|name| self.add_name(name));
    }

    fn remove_names(&mut self, list: &str) {
        entries(list).for_each(|name| _ = self.names.remove(name));
    }

    fn add_name(&mut self, name: &str) {
        if self.names.len() < NAMES_MAX && is_name(name) {
            self.names.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeted() -> Session {
        let mut session = Session::new(None, None);
        assert_eq!(session.connected(), [""; 0]);
        let reaction = session.receive("* you are guest1 in lobby (1 here); /help lists commands");
        assert_eq!(reaction, Some(Reaction::Send("/who")));
        assert!(session.is_greeted());
        session
    }

    #[test]
    fn name_and_room_are_requested_again_after_a_reconnection() {
        let mut session = greeted();
        assert_eq!(session.name(), Some("guest1"));
        session.disconnected(STABLE_AFTER, 0.0);
        let requests = session.connected();
        assert_eq!(requests, [""; 0], "guest names are not requested");
        session.receive("* you are guest2 in lobby (1 here); /help lists commands");
        session.receive("* you are now kim");
        let reaction = session.receive("* you are in garden (2 here)");
        assert_eq!(reaction, Some(ASK_MEMBERS));
        for _ in 0..2 {
            session.disconnected(STABLE_AFTER, 0.0);
            assert!(!session.is_greeted());
            assert_eq!(session.name(), Some("kim"), "lines typed now are kim's");
            assert_eq!(session.connected(), ["/nick kim", "/join garden"]);
            let greeting = "* you are guest3 in lobby (2 here); /help lists commands";
            assert_eq!(session.receive(greeting), None, "/who only in the garden");
            session.receive("* you are now kim");
        }
        session.receive("* you are in lobby (2 here)");
        session.disconnected(STABLE_AFTER, 0.0);
        assert_eq!(session.connected(), ["/nick kim"]);
    }

    #[test]
    fn a_name_in_use_after_a_reconnection_is_retried_a_limited_number_of_times() {
        let mut session = Session::new(Some("kim".into()), None);
        session.receive("* you are guest1 in lobby (2 here); /help lists commands");
        let refusal = "! name not changed: kim is in use";
        let first = session.receive(refusal);
        assert_eq!(first, None, "not on the first connection");
        session.disconnected(STABLE_AFTER, 0.0);
        session.receive("* you are guest2 in lobby (2 here); /help lists commands");
        assert_eq!(session.receive("! name not changed: lee is in use"), None);
        for _ in 0..NAME_RETRIES_MAX {
            let retry = Reaction::RetryName(NAME_RETRY_PAUSE);
            assert_eq!(session.receive(refusal), Some(retry));
            assert_eq!(session.name_request().as_deref(), Some("/nick kim"));
        }
        assert_eq!(session.receive(refusal), None);
        session.receive("* you are now kim");
        assert_eq!(session.name_request(), None);
    }

    #[test]
    fn names_are_learnt_from_notices_and_speakers() {
        let mut session = greeted();
        for line in [
            "* here in lobby: guest1, kim, lee (3)",
            "* joined: choi (4 here)",
            "* left: lee (3 here)",
            "* renamed: choi -> 최",
            "park: hello",
            "* 37 joined, 5 left (1,204 here)",
            "* here in two words: x (1)x",
        ] {
            assert_eq!(session.receive(line), None);
        }
        assert_eq!(session.names().collect::<Vec<_>>(), ["kim", "park", "최"]);
        session.receive("* here in lobby: a, b, and 7 more (9)");
        assert_eq!(session.names().count(), 5);
        session.receive("* you are in garden (1 here)");
        assert_eq!(session.names().count(), 0);
        for number in 0..NAMES_MAX + 9 {
            session.receive(&format!("name{number}: x"));
        }
        assert_eq!(session.names.len(), NAMES_MAX);
    }

    #[test]
    fn invalid_names_and_rooms_from_the_server_are_ignored() {
        let mut session = greeted();
        let long = "x".repeat(1000);
        for line in [
            format!("* you are {long} in lobby (1 here); /help lists commands"),
            format!("* you are kim in {long} (1 here); /help lists commands"),
            format!("* you are now {long}"),
            "* you are now two words".into(),
            "* you are now ".into(),
            format!("* joined: {long} (2 here)"),
            format!("* renamed: {long} -> {long}"),
            format!("* here in lobby: {long}, guest1 (2)"),
            format!("* you are in {long} (1 here)"),
            "* you are in ".into(),
        ] {
            assert_eq!(session.receive(&line), None, "{line}");
        }
        assert_eq!(session.name(), Some("guest1"));
        assert_eq!(session.names().count(), 0);
        session.disconnected(STABLE_AFTER, 0.0);
        assert_eq!(session.connected(), [""; 0]);
    }

    #[test]
    fn reconnection_pauses_double_until_a_connection_lasts() {
        let mut session = greeted();
        let mut disconnected = |seconds, random| {
            session.receive("* you are guest1 in lobby (1 here); /help lists commands");
            let pause = session.disconnected(Duration::from_secs(seconds), random);
            pause.as_secs_f64()
        };
        let pauses: Vec<f64> = (0..9).map(|_| disconnected(0, 0.5)).collect();
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(disconnected(29, 0.0), 15.0);
        assert_eq!(disconnected(30, 0.0), 0.25);
    }

    #[test]
    fn lines_wait_until_name_and_room_are_answered() {
        let greeting = "* you are guest2 in lobby (2 here); /help lists commands";
        let mut session = Session::new(Some("kim".into()), Some("garden".into()));
        session.connected();
        assert!(!session.must_wait(), "the server may be of another kind");
        session.receive(greeting);
        assert!(session.must_wait());
        session.receive("* you are in garden (1 here)");
        assert!(session.must_wait(), "the name was requested first");
        session.receive("* you are now kim");
        session.receive("* you are in garden (1 here)");
        assert!(!session.must_wait());

        session.disconnected(STABLE_AFTER, 0.0);
        assert!(!session.must_wait(), "nothing is requested yet");
        session.connected();
        session.receive(greeting);
        let name = session.receive("! name not changed: kim is in use");
        assert_eq!(name, Some(Reaction::RetryName(NAME_RETRY_PAUSE)));
        assert!(session.must_wait());
        let room = session.receive("! room not changed: there are 3 rooms already");
        assert_eq!(room, Some(Reaction::RoomRefused));
        assert!(!session.must_wait());
        let again = session.receive("! room not changed: you are in lobby already");
        assert_eq!(again, None, "the user asked for it");
        assert_eq!(session.connected(), ["/nick kim"]);
    }

    #[test]
    fn only_the_server_s_own_goodbye_ends_the_session() {
        let mut session = greeted();
        assert!(!session.is_over());
        session.receive("you: you left; goodbye");
        session.receive("** kim you left; goodbye");
        assert!(!session.is_over());
        session.receive("* you left; goodbye");
        assert!(session.is_over());
    }
}
