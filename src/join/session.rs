//! What the client knows from the server's lines: its name, its room, the members, whether the server has said goodbye or
//! why it closes the connection. Also what to request on a new connection, and whether and after what pause to make the
//! next. No socket, no clock.
#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

use super::own_names::{OwnNames, Tokens};
use super::request::Answer;
use crate::hub::LOBBY;
use crate::hub::input::command::{Request as Command, parse};
use crate::password_file::Password;
use crate::protocol::{Line, Notice, Refusal, entries, is_name};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Names remembered for completion.
pub const NAMES_MAX: usize = 4096;
/// Secrets of rooms that are remembered.
const SECRETS_MAX: usize = 64;
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

/// What a line from the server means for the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The server has answered a request.
    pub answer: Option<Answer>,
    /// What to do.
    pub reaction: Option<Reaction>,
}

/// What to do because of a line from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Send this line.
    Send(&'static str),
    /// The wanted name is still in use: send [`Session::name_request`] after this pause.
    RetryName(Duration),
    /// The server is of another kind: nothing may be sent to it.
    Foreign,
    /// The server asks for a password: send [`Session::password_line`], or ask the user for one.
    Password,
}

/// Why the server closes the connection, as far as it has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The user has left.
    Goodbye,
    /// A new connection would be closed for the same reason: it waits for the user.
    Final,
    /// A new connection may last.
    Passing,
}

/// Asks for the members' names, since the server does not announce those who were there before.
const ASK_MEMBERS: Reaction = Reaction::Send("/who");

/// One conversation, over any number of connections.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The room where the client is.
    room: Option<String>,
    /// The client's name as the server knows it, or knew it on the connection before.
    name: Option<String>,
    /// The server has greeted the client on this connection.
    is_greeted: bool,
    /// The server asks for a password on this connection, and has not taken one.
    is_asked: bool,
    /// The password, if it is known and was not refused.
    password: Option<Password>,
    /// Secrets of rooms by their names in lower case, for the next connection; at most [`SECRETS_MAX`].
    secrets: BTreeMap<String, String>,
    /// The secret with which the user wants to lock the room.
    lock_secret: Option<String>,
    /// What is known of names that are the user's own.
    own: OwnNames,
    /// The name and the room that the user chose, requested again on the next connection.
    wanted_name: Option<String>,
    wanted_room: Option<String>,
    /// Names seen in the room; at most [`NAMES_MAX`].
    names: BTreeSet<String>,
    /// The server has said that it closes this connection.
    farewell: Option<Farewell>,
    /// Connections that failed or did not last, since the last one that did.
    failures: u32,
    /// How often the name may still be requested again.
    name_retries: u32,
}

impl Session {
    /// Before the first connection.
    pub fn new(name: Option<String>, room: Option<String>, password: Option<Password>) -> Session {
        Session {
            password,
            wanted_name: name,
            wanted_room: room,
            ..Session::default()
        }
    }

    /// The same, with tokens of names that are the user's own. `logs_in`: the client takes the one that was used last, if no
    /// name is wanted.
    pub fn with_tokens(mut self, tokens: Tokens, logs_in: bool) -> Session {
        if self.wanted_name.is_none() && logs_in {
            self.wanted_name = tokens.last().map(str::to_owned);
        }
        self.own = OwnNames::new(tokens);
        self
    }

    /// A name of which another token is to be kept, or that was used just now; `None` for the token: it is not the user's
    /// own any more.
    pub fn take_changed_token(&mut self) -> Option<(String, Option<&str>)> {
        self.own.take_changed()
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

    /// Whether the server asks for a password, and has not taken one yet.
    pub fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// The line that says the password, if it is known.
    pub fn password_line(&self) -> Option<String> {
        self.password.as_ref().map(Password::line)
    }

    /// The user has typed the password.
    pub fn set_password(&mut self, password: Password) {
        self.password = Some(password);
    }

    /// The user sends a line: a secret of a room in it is wanted on the next connection, too.
    pub fn sent(&mut self, line: &str) {
        self.own.sent(line);
        match parse(line) {
            Ok(Command::Join(room, secret)) => self.remember_secret(room, secret),
            Ok(Command::Lock(secret)) => self.lock_secret = secret.map(str::to_owned),
            _ => {}
        }
    }

    fn remember_secret(&mut self, room: &str, secret: Option<&str>) {
        let room = room.to_lowercase();
        match secret {
            None => _ = self.secrets.remove(&room),
            Some(secret) if self.secrets.len() < SECRETS_MAX => {
                self.secrets.insert(room, secret.to_owned());
            }
            Some(_) => {}
        }
    }

    /// Why the server closes this connection, if it has said so.
    pub fn farewell(&self) -> Option<Farewell> {
        self.farewell
    }

    /// Whether the server closes this connection because the client has left.
    pub fn is_over(&self) -> bool {
        self.farewell == Some(Farewell::Goodbye)
    }

    /// The room where the client is, unless it is about to join another.
    pub fn room(&self) -> Option<&str> {
        self.room
            .as_deref()
            .filter(|_| self.room_to_join().is_none())
    }

    /// A connection is made: returns the lines to send before all others, once the server has greeted the client.
    pub fn connected(&mut self) -> Vec<String> {
        self.farewell = None;
        let name = self.name_request();
        let room = self.room_to_join().map(|room| {
            let secret = self.secrets.get(&room.to_lowercase());
            Command::Join(room, secret.map(String::as_str)).to_string()
        });
        name.into_iter().chain(room).collect()
    }

    /// The wanted room, unless the client is there, or will be without asking.
    fn room_to_join(&self) -> Option<&str> {
        let is_elsewhere = |wanted: &&str| match &self.room {
            Some(room) => room != wanted,
            None => *wanted != LOBBY,
        };
        self.wanted_room.as_deref().filter(is_elsewhere)
    }

    /// The server has refused the room that was requested on connecting: the client stays where it is.
    pub fn give_up_room(&mut self) {
        self.wanted_room = None;
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
        self.is_asked = false;
        self.room = None;
        self.names.clear();
        self.name_retries = NAME_RETRIES_MAX;
        doubled.min(BACKOFF_LONGEST).mul_f64(0.5 + random)
    }

    /// The line that requests the wanted name, unless the client has it.
    pub fn name_request(&self) -> Option<String> {
        let name = self.wanted_name.as_ref()?;
        let has_it = self.is_greeted && self.name.as_ref() == Some(name);
        (!has_it).then(|| self.own.request(name))
    }

    /// Takes a line from the server. Before it has greeted, a madang server sends notices and refusals only.
    pub fn receive(&mut self, line: &str) -> Heard {
        match Line::parse(line) {
            Line::Notice(text) => return self.notice(&Notice::parse(text)),
            Line::Refusal(text) => return self.refusal(&Refusal::parse(text)),
            _ if !self.is_greeted => {
                return Heard {
                    answer: None,
                    reaction: Some(Reaction::Foreign),
                };
            }
            Line::Said(name, _) | Line::Action(name, _) => self.add_name(name),
            Line::Received(..) | Line::Confirmed(..) | Line::Other(_) => {}
        }
        Heard::default()
    }

    fn refusal(&mut self, refusal: &Refusal<'_>) -> Heard {
        let answer = Answer::of_refusal(refusal);
        match refusal {
            Refusal::RoomIsYours { room } if is_name(room) => {
                self.wanted_room = Some((*room).to_owned());
                self.room = self.wanted_room.clone();
            }
            Refusal::Idle { .. }
            | Refusal::WrongProtocol { .. }
            | Refusal::NoPassword { .. }
            | Refusal::TooMuchFirst { .. }
            | Refusal::TooManyPasswords {} => self.farewell = Some(Farewell::Final),
            Refusal::WrongPassword {} => self.password = None,
            Refusal::WrongToken { name } => self.own.refused(name),
            Refusal::TooSlow {}
            | Refusal::ServerFull { .. }
            | Refusal::AddressFull { .. }
            | Refusal::TooManyStrangers {}
            | Refusal::ShuttingDown {} => self.farewell = Some(Farewell::Passing),
            _ => {}
        }
        let reaction = match refusal {
            Refusal::NameInUse { name } | Refusal::NameLooksUsed { name } => self.retry_name(name),
            Refusal::WrongPassword {} if self.is_asked => Some(Reaction::Password),
            Refusal::TooManyTries {} => self.retry_login(),
            _ => None,
        };
        Heard { answer, reaction }
    }

    /// The name is in use. After a reconnection that may be because of the lost connection.
    fn retry_name(&mut self, name: &str) -> Option<Reaction> {
        if self.wanted_name.as_deref() != Some(name) {
            return None;
        }
        self.name_retries = self.name_retries.checked_sub(1)?;
        Some(Reaction::RetryName(NAME_RETRY_PAUSE))
    }

    /// Too many wrong tokens have come from this address: the right one is looked at again after a minute.
    fn retry_login(&mut self) -> Option<Reaction> {
        self.own.token(self.wanted_name.as_deref()?)?;
        self.name_retries = self.name_retries.checked_sub(1)?;
        Some(Reaction::RetryName(NAME_RETRY_PAUSE))
    }

    fn notice(&mut self, notice: &Notice<'_>) -> Heard {
        let mut reaction = None;
        match *notice {
            Notice::Greeting { name, room, .. } if is_name(name) && is_name(room) => {
                self.name = Some(name.to_owned());
                self.room = Some(room.to_owned());
                (self.is_greeted, self.is_asked) = (true, false);
                // On the way to another room, the client asks when it is there.
                reaction = self.room_to_join().is_none().then_some(ASK_MEMBERS);
            }
            Notice::GreetingInNoRoom { name } if is_name(name) => {
                self.name = Some(name.to_owned());
                self.is_greeted = true;
            }
            Notice::YouAreNow { .. }
            | Notice::NameTaken { .. }
            | Notice::Registered { .. }
            | Notice::Unregistered { .. } => self.own_name(notice),
            Notice::YouAreIn { room, .. } if is_name(room) => {
                self.room = Some(room.to_owned());
                self.wanted_room = Some(room.to_owned());
                self.names.clear();
                reaction = Some(ASK_MEMBERS);
            }
            Notice::PasswordAsked { .. } if !self.is_greeted => {
                self.is_asked = true;
                reaction = Some(Reaction::Password);
            }
            Notice::Locked { name } if self.name.as_deref() == Some(name) => {
                if let (Some(room), Some(secret)) = (self.room.clone(), self.lock_secret.take()) {
                    self.remember_secret(&room, Some(&secret));
                }
            }
            Notice::Unlocked { .. } | Notice::LockedForInvited { .. } => {
                if let Some(room) = self.room.clone() {
                    self.remember_secret(&room, None);
                }
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
            Notice::Goodbye {} => self.farewell = Some(Farewell::Goodbye),
            Notice::ShuttingDown {} => self.farewell = Some(Farewell::Passing),
            _ => {}
        }
        let answer = Answer::of_notice(notice);
        Heard { answer, reaction }
    }

    /// Takes a notice about the client's own name.
    fn own_name(&mut self, notice: &Notice<'_>) {
        match *notice {
            Notice::YouAreNow { name } if is_name(name) => {
                self.name = Some(name.to_owned());
                self.wanted_name = Some(name.to_owned());
                self.own.named(name);
            }
            Notice::NameTaken { new, .. } if is_name(new) => {
                self.name = Some(new.to_owned());
                // Otherwise two clients of one user would take it from each other for ever.
                self.wanted_name = None;
            }
            Notice::Registered { name, command } if self.name.as_deref() == Some(name) => {
                self.own.registered(name, command);
            }
            Notice::Unregistered { name } => self.own.unregistered(name),
            _ => {}
        }
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

    /// What the session does because of a line.
    fn reaction(session: &mut Session, line: &str) -> Option<Reaction> {
        session.receive(line).reaction
    }

    fn greeted() -> Session {
        let mut session = Session::new(None, None, None);
        assert_eq!(session.connected(), [""; 0]);
        let line = "* you are guest1 in lobby (1 here); /help lists commands";
        assert_eq!(reaction(&mut session, line), Some(Reaction::Send("/who")));
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
        let line = "* you are in garden (2 here)";
        assert_eq!(reaction(&mut session, line), Some(ASK_MEMBERS));
        assert_eq!(session.room(), Some("garden"));
        for _ in 0..2 {
            session.disconnected(STABLE_AFTER, 0.0);
            assert!(!session.is_greeted());
            assert_eq!(session.name(), Some("kim"), "lines typed now are kim's");
            assert_eq!(session.connected(), ["/nick kim", "/join garden"]);
            let greeting = "* you are guest3 in lobby (2 here); /help lists commands";
            let asked = reaction(&mut session, greeting);
            assert_eq!(asked, None, "/who only in the garden");
            session.receive("* you are now kim");
            assert_eq!(session.room(), None, "on the way");
        }
        session.receive("* you are in lobby (2 here)");
        session.disconnected(STABLE_AFTER, 0.0);
        assert_eq!(session.connected(), ["/nick kim"]);
    }

    fn with_token(logs_in: bool) -> Session {
        let mut tokens = Tokens::default();
        tokens.set("kim", Some("secret"));
        Session::new(Some("kim".into()), None, None).with_tokens(tokens, logs_in)
    }

    #[test]
    fn a_name_that_is_the_user_s_own_is_taken_with_its_token_again_and_again() {
        let mut session = with_token(true);
        for _ in 0..2 {
            assert_eq!(session.connected(), ["/login kim secret"]);
            session.receive("* you are guest1 in lobby (1 here); /help lists commands");
            session.receive("* you are now kim");
            let used = session.take_changed_token();
            assert_eq!(used, Some(("kim".into(), Some("secret"))));
            assert_eq!(session.take_changed_token(), None);
            session.disconnected(STABLE_AFTER, 0.0);
        }
        // Another client of the same user has taken the name.
        session.connected();
        session.receive("* you are guest2 in lobby (1 here); /help lists commands");
        session.receive("* you are now kim");
        session.receive("* you have lost kim to its owner, and are guest3 from here on");
        assert_eq!(session.name(), Some("guest3"));
        session.disconnected(STABLE_AFTER, 0.0);
        assert_eq!(session.connected(), [""; 0]);
    }

    #[test]
    fn tokens_are_learnt_when_a_name_is_registered_or_logged_in_and_forgotten_after() {
        let mut session = greeted();
        session.receive("* you are now kim");
        let line =
            "* registered: kim is yours. Keep this line, it is not shown again: /login kim abc";
        session.receive(&line.replace("kim", "lee"));
        assert_eq!(session.take_changed_token(), None, "of another name");
        session.receive(line);
        let kept = session.take_changed_token();
        assert_eq!(kept, Some(("kim".into(), Some("abc"))));
        session.sent("/login LEE def");
        session.receive("* you are now lee");
        let kept = session.take_changed_token();
        assert_eq!(kept, Some(("lee".into(), Some("def"))));
        session.receive("* unregistered: lee is nobody's own any more");
        assert_eq!(session.take_changed_token(), Some(("lee".into(), None)));
        // A refused token is not kept.
        session.sent("/login bob ghi");
        let refusal = "! name not changed: bob is not registered with that token or certificate";
        session.receive(refusal);
        session.sent("/nick bob");
        session.receive("* you are now bob");
        assert_eq!(session.take_changed_token(), None);
    }

    #[test]
    fn a_token_that_is_refused_is_not_said_again() {
        let mut session = with_token(true);
        session.connected();
        session.receive("* you are guest1 in lobby (1 here); /help lists commands");
        let refusal = "! name not changed: kim is not registered with that token or certificate";
        assert_eq!(reaction(&mut session, refusal), None);
        assert_eq!(
            session.take_changed_token(),
            None,
            "it stays where it is kept"
        );
        session.disconnected(STABLE_AFTER, 0.0);
        assert_eq!(session.connected(), ["/nick kim"]);
        // Without a look at the token it is worth another try.
        let mut session = with_token(true);
        session.disconnected(STABLE_AFTER, 0.0);
        session.connected();
        let refusal = "! name not changed: too many wrong tokens have come from your address; try again in a minute";
        let retry = Reaction::RetryName(NAME_RETRY_PAUSE);
        assert_eq!(reaction(&mut session, refusal), Some(retry));
        assert_eq!(session.name_request().as_deref(), Some("/login kim secret"));
    }

    #[test]
    fn a_name_in_use_after_a_reconnection_is_retried_a_limited_number_of_times() {
        let mut session = Session::new(Some("kim".into()), None, None);
        session.receive("* you are guest1 in lobby (2 here); /help lists commands");
        let refusal = "! name not changed: kim is in use";
        let first = reaction(&mut session, refusal);
        assert_eq!(first, None, "not on the first connection");
        session.disconnected(STABLE_AFTER, 0.0);
        session.receive("* you are guest2 in lobby (2 here); /help lists commands");
        let other = reaction(&mut session, "! name not changed: lee is in use");
        assert_eq!(other, None);
        for _ in 0..NAME_RETRIES_MAX {
            let retry = Reaction::RetryName(NAME_RETRY_PAUSE);
            assert_eq!(reaction(&mut session, refusal), Some(retry));
            assert_eq!(session.name_request().as_deref(), Some("/nick kim"));
        }
        assert_eq!(reaction(&mut session, refusal), None);
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
            assert_eq!(reaction(&mut session, line), None);
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
            assert_eq!(reaction(&mut session, &line), None, "{line}");
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
    fn a_refused_room_is_not_requested_again_and_one_spelled_otherwise_is_joined_once() {
        let greeting = "* you are guest2 in lobby (2 here); /help lists commands";
        let mut session = Session::new(None, Some("garden".into()), None);
        assert_eq!(session.connected(), ["/join garden"]);
        session.receive(greeting);
        session.receive("! room not changed: there are 3 rooms already: join one of them");
        session.give_up_room();
        assert_eq!(session.room(), Some("lobby"));
        session.disconnected(STABLE_AFTER, 0.0);
        assert_eq!(session.connected(), [""; 0]);

        let mut session = Session::new(None, Some("LOBBY".into()), None);
        assert_eq!(session.connected(), ["/join LOBBY"]);
        session.receive(greeting);
        session.receive("! room not changed: you are in lobby already");
        assert_eq!(session.room(), Some("lobby"));
        session.disconnected(STABLE_AFTER, 0.0);
        assert_eq!(session.connected(), [""; 0]);
    }

    #[test]
    fn a_password_is_said_when_it_is_asked_for_and_forgotten_when_it_is_wrong() {
        let ask = "* this server asks for a password: send /pass SECRET within 30 s";
        let greeting = "* you are guest1 in lobby (1 here); /help lists commands";
        let mut session = Session::new(None, None, Some(Password::typed("sesame")));
        for _ in 0..2 {
            session.connected();
            assert_eq!(reaction(&mut session, ask), Some(Reaction::Password));
            let line = session.password_line();
            assert_eq!(line.as_deref(), Some("/pass sesame"));
            assert!(session.is_asked() && !session.is_greeted());
            session.receive(greeting);
            assert!(!session.is_asked() && session.is_greeted());
            assert_eq!(reaction(&mut session, ask), None, "nobody can ask later");
            session.disconnected(STABLE_AFTER, 0.0);
        }
        session.connected();
        session.receive(ask);
        let wrong = reaction(&mut session, "! wrong password");
        assert_eq!(wrong, Some(Reaction::Password));
        assert_eq!(session.password_line(), None);
    }

    #[test]
    fn a_locked_room_is_entered_again_with_its_secret() {
        let mut session = greeted();
        let again = |session: &mut Session| {
            session.disconnected(STABLE_AFTER, 0.0);
            let setup = session.connected();
            session.receive("* you are guest1 in lobby (1 here); /help lists commands");
            session.receive("* you are in Pond (2 here)");
            setup
        };
        session.sent("/join pond open it");
        session.receive("* you are in Pond (2 here)");
        assert_eq!(again(&mut session), ["/join Pond open it"]);
        session.sent("/lock new");
        session.receive(
            "* locked by lee: from now on only the secret or an invitation lets others enter",
        );
        assert_eq!(
            again(&mut session),
            ["/join Pond open it"],
            "another's lock"
        );
        session.receive(
            "* locked by guest1: from now on only the secret or an invitation lets others enter",
        );
        assert_eq!(again(&mut session), ["/join Pond new"]);
        session.receive("* unlocked by lee: from now on anybody may enter");
        assert_eq!(again(&mut session), ["/join Pond"]);
    }

    #[test]
    fn before_the_greeting_only_the_server_itself_speaks() {
        for (line, is_foreign) in [
            ("* a line of --welcome", false),
            ("! server is full: 3 connections; try again later", false),
            ("SSH-2.0-OpenSSH_9.6", true),
            ("HTTP/1.1 400 Bad Request", true),
            ("220 mail ESMTP: hello", true),
            ("kim: hello", true),
            ("", true),
        ] {
            let mut session = Session::default();
            session.connected();
            let foreign = is_foreign.then_some(Reaction::Foreign);
            assert_eq!(reaction(&mut session, line), foreign, "{line}");
            session.receive("* you are guest1 in lobby (1 here); /help lists commands");
            assert_eq!(reaction(&mut session, line), None, "{line}");
        }
    }

    #[test]
    fn the_reason_for_a_closed_connection_is_known() {
        use Farewell::{Final, Goodbye, Passing};
        for (line, farewell) in [
            ("* you left; goodbye", Goodbye),
            ("! closed: nothing received for 60 s", Final),
            ("! this port speaks lines of text, not HTTP", Final),
            ("! closed: no password within 30 s", Final),
            ("! closed: no password within 1,024 bytes", Final),
            (
                "! closed: too many wrong passwords from your address; try again in a minute",
                Final,
            ),
            (
                "! closed: too many connections have not said the password; try again",
                Passing,
            ),
            ("! closed: you are reading too slowly", Passing),
            ("! server is full: 3 connections; try again later", Passing),
            (
                "! too many connections from your address: at most 3; close one first",
                Passing,
            ),
            ("! server is shutting down", Passing),
            ("* server is shutting down", Passing),
        ] {
            let mut session = Session::default();
            session.receive(line);
            assert_eq!(session.farewell(), Some(farewell), "{line}");
            session.connected();
            assert_eq!(session.farewell(), None);
        }
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
