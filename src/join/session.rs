//! What the client knows of the conversation: its name, its room, who is there, whether it has taken its leave; what to
//! ask for when a connection stands, and how long to wait for the next. Knows no socket and no clock.

use super::tag::{Tag, is_name};
use crate::hub::LOBBY;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// So many names are remembered for completion.
pub const NAMES_MAX: usize = 4096;
/// The first pause before a lost connection is tried again, and the longest; each is twice the one before, until a
/// connection has stood for so long: a server that lets one in only to end it is not called without end.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);
const STEADY: Duration = Duration::from_secs(30);
/// After a lost connection the server may not know yet that the name's former bearer is gone: so often, and with such a
/// pause, the name is asked for again.
const NAME_TRIES_MAX: u32 = 12;
const NAME_PAUSE: Duration = Duration::from_secs(10);

/// What a line of the server's asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// This line is to be sent.
    Send(&'static str),
    /// The name that is to be taken again is still in use: [`Session::name_request`] is to be sent after this pause.
    NameLater(Duration),
    /// The room that was to be taken again is refused: lines that wait were not meant for another.
    RoomRefused,
}

/// What was asked for and is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Name,
    Room,
}

/// Who is there is asked for, since those who are silent are never heard of.
const WHO: Reply = Reply::Send("/who");

/// One conversation, over as many connections as it takes.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// What the server calls this client, or called it on the connection before.
    name: Option<String>,
    /// The server has greeted, on this connection.
    is_greeted: bool,
    /// A name that was chosen, and a room: taken again on the next connection.
    chosen: Option<String>,
    room: Option<String>,
    /// Who has been heard of in the room; at most [`NAMES_MAX`].
    names: BTreeSet<String>,
    /// The server has said goodbye: its end is no loss.
    is_over: bool,
    /// What was asked for when this connection was made, in order; at most one of each.
    asked: VecDeque<Asked>,
    /// Connections that were lost, or did not come about, since the last one that was steady.
    losses: u32,
    /// How often a name may still be asked for again.
    name_tries: u32,
}

impl Session {
    /// Before the first connection.
    pub fn new(name: Option<String>, room: Option<String>) -> Session {
        Session {
            chosen: name,
            room,
            ..Session::default()
        }
    }

    /// What the server calls this client, as far as is known.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Who is in the room, as far as anything was heard of them, but for the client itself.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.name();
        let names = self.names.iter().map(String::as_str);
        names.filter(move |name| Some(*name) != own)
    }

    /// Whether the server has greeted: it speaks this protocol, then.
    pub fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// Whether the server's end is what was asked for.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// A connection stands: lines to be sent before all others.
    pub fn connected(&mut self) -> Vec<String> {
        let name = self.name_request();
        let room = self.room_to_join().map(|room| format!("/join {room}"));
        self.asked.clear();
        self.asked.extend(name.as_ref().map(|_| Asked::Name));
        self.asked.extend(room.as_ref().map(|_| Asked::Room));
        name.into_iter().chain(room).collect()
    }

    /// Whether all other lines are to wait until it is known who says them, and where. Only a server that has greeted
    /// before will tell.
    pub fn is_unsettled(&self) -> bool {
        self.name.is_some() && !self.asked.is_empty()
    }

    /// The room that is not where the server puts newcomers anyway.
    fn room_to_join(&self) -> Option<&str> {
        self.room.as_deref().filter(|room| *room != LOBBY)
    }

    /// The connection is lost after so long, or did not come about: how long to wait before the next is tried. `random` in
    /// `0.0..1.0` spreads those who lost it at the same time.
    pub fn lost(&mut self, stood: Duration, random: f64) -> Duration {
        if stood >= STEADY {
            self.losses = 0;
        }
        let doubled = PAUSE_FIRST * 2_u32.pow(self.losses.min(16));
        self.losses += 1;
        self.is_greeted = false;
        self.asked.clear();
        self.names.clear();
        self.name_tries = NAME_TRIES_MAX;
        doubled.min(PAUSE_LONGEST).mul_f64(0.5 + random)
    }

    /// The line that asks for the chosen name.
    pub fn name_request(&self) -> Option<String> {
        let name = self.chosen.as_ref()?;
        let has_it = self.is_greeted && self.name.as_ref() == Some(name);
        (!has_it).then(|| format!("/nick {name}"))
    }

    /// Takes note of a line of the server's.
    pub fn hear(&mut self, line: &str) -> Option<Reply> {
        match Tag::of(line) {
            Tag::Notice(text) => return self.notice(text),
            Tag::Refusal(text) => return self.refused(text),
            Tag::Said(name, _) => self.note(name),
            Tag::Received(..) | Tag::Confirmed(..) | Tag::None(_) => {}
        }
        None
    }

    /// Takes note of an answer; whether it is one to what was asked for when this connection was made.
    fn answered(&mut self, asked: Asked) -> bool {
        self.asked.pop_front_if(|first| *first == asked).is_some()
    }

    fn refused(&mut self, text: &str) -> Option<Reply> {
        if text.starts_with("room not changed: ") {
            return self.answered(Asked::Room).then(|| {
                self.room = None;
                Reply::RoomRefused
            });
        }
        let name = text.strip_prefix("name not changed: ")?;
        self.answered(Asked::Name);
        let name = name
            .strip_suffix(" is in use")
            .or_else(|| name.strip_suffix(" looks like a name in use"))?;
        if self.chosen.as_deref() != Some(name) {
            return None;
        }
        self.name_tries = self.name_tries.checked_sub(1)?;
        Some(Reply::NameLater(NAME_PAUSE))
    }

    fn notice(&mut self, text: &str) -> Option<Reply> {
        if let Some(rest) = text.strip_prefix("you are now ") {
            if is_name(rest) {
                self.answered(Asked::Name);
                self.name = Some(rest.to_string());
                self.chosen = Some(rest.to_string());
            }
        } else if let Some(rest) = text.strip_prefix("you are in ") {
            let room = rest.split(' ').next().filter(|room| is_name(room))?;
            self.answered(Asked::Room);
            self.room = Some(room.to_string());
            self.names.clear();
            return Some(WHO);
        } else if let Some(rest) = text.strip_prefix("you are ") {
            let (name, _) = rest.split_once(" in ").filter(|(name, _)| is_name(name))?;
            self.name = Some(name.to_string());
            self.is_greeted = true;
            // On its way to another room it asks when it is there.
            return self.room_to_join().is_none().then_some(WHO);
        } else if text.starts_with("you left; ") {
            self.is_over = true;
        } else if let Some(rest) = text.strip_prefix("joined: ") {
            self.note(rest.split(' ').next()?);
        } else if let Some(rest) = text.strip_prefix("left: ") {
            self.names.remove(rest.split(' ').next()?);
        } else if let Some((old, new)) = text
            .strip_prefix("renamed: ")
            .and_then(|rest| rest.split_once(" -> "))
        {
            self.names.remove(old);
            self.note(new);
        } else if let Some((_, list)) = text
            .strip_prefix("here in ")
            .and_then(|rest| rest.split_once(": "))
        {
            let list = list.rsplit_once(" (").map_or(list, |(list, _)| list);
            list.split(", ").for_each(|name| self.note(name));
        }
        None
    }

    fn note(&mut self, name: &str) {
        if self.names.len() < NAMES_MAX && is_name(name) {
            self.names.insert(name.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeted() -> Session {
        let mut session = Session::new(None, None);
        assert_eq!(session.connected(), [""; 0]);
        let reply = session.hear("* you are guest1 in lobby (1 here); /help lists commands");
        assert_eq!(reply, Some(Reply::Send("/who")));
        assert!(session.is_greeted());
        session
    }

    #[test]
    fn the_name_and_the_room_are_taken_again() {
        let mut session = greeted();
        assert_eq!(session.name(), Some("guest1"));
        session.lost(STEADY, 0.0);
        assert_eq!(session.connected(), [""; 0], "a guest's name is nobody's");
        session.hear("* you are guest2 in lobby (1 here); /help lists commands");
        session.hear("* you are now kim");
        assert_eq!(session.hear("* you are in garden (2 here)"), Some(WHO));
        for _ in 0..2 {
            session.lost(STEADY, 0.0);
            assert!(!session.is_greeted());
            assert_eq!(
                session.name(),
                Some("kim"),
                "what is typed meanwhile is kim's"
            );
            assert_eq!(session.connected(), ["/nick kim", "/join garden"]);
            let greeting = "* you are guest3 in lobby (2 here); /help lists commands";
            assert_eq!(session.hear(greeting), None, "who is in the garden counts");
            session.hear("* you are now kim");
        }
        session.hear("* you are in lobby (2 here)");
        session.lost(STEADY, 0.0);
        assert_eq!(session.connected(), ["/nick kim"]);
    }

    #[test]
    fn a_name_that_is_still_in_use_is_asked_for_again_but_not_for_ever() {
        let mut session = Session::new(Some("kim".into()), None);
        session.hear("* you are guest1 in lobby (2 here); /help lists commands");
        let refusal = "! name not changed: kim is in use";
        assert_eq!(
            session.hear(refusal),
            None,
            "it is somebody else's, who came before"
        );
        session.lost(STEADY, 0.0);
        session.hear("* you are guest2 in lobby (2 here); /help lists commands");
        assert_eq!(session.hear("! name not changed: lee is in use"), None);
        for _ in 0..NAME_TRIES_MAX {
            assert_eq!(session.hear(refusal), Some(Reply::NameLater(NAME_PAUSE)));
            assert_eq!(session.name_request().as_deref(), Some("/nick kim"));
        }
        assert_eq!(session.hear(refusal), None);
        session.hear("* you are now kim");
        assert_eq!(session.name_request(), None);
    }

    #[test]
    fn who_is_there_is_learnt_from_all_that_is_said() {
        let mut session = greeted();
        for line in [
            "* here in lobby: guest1, kim, lee (3 here)",
            "* joined: choi (4 here)",
            "* left: lee (3 here)",
            "* renamed: choi -> 최",
            "park: hello",
            "* 37 joined, 5 left (1,204 here)",
        ] {
            assert_eq!(session.hear(line), None);
        }
        assert_eq!(session.names().collect::<Vec<_>>(), ["kim", "park", "최"]);
        session.hear("* here in lobby: a, b, and 7 more (9 here)");
        assert_eq!(session.names().count(), 5);
        session.hear("* you are in garden (1 here)");
        assert_eq!(session.names().count(), 0);
        for number in 0..NAMES_MAX + 9 {
            session.hear(&format!("name{number}: x"));
        }
        assert_eq!(session.names.len(), NAMES_MAX);
    }

    #[test]
    fn what_nobody_can_be_called_is_no_name() {
        let mut session = greeted();
        let long = "x".repeat(1000);
        for line in [
            format!("* you are {long} in lobby (1 here); /help lists commands"),
            format!("* you are now {long}"),
            "* you are now two words".into(),
            "* you are now ".into(),
            format!("* joined: {long} (2 here)"),
            format!("* renamed: {long} -> {long}"),
            format!("* here in lobby: {long}, guest1 (2)"),
            format!("* you are in {long} (1 here)"),
            "* you are in ".into(),
        ] {
            assert_eq!(session.hear(&line), None, "{line}");
        }
        assert_eq!(session.name(), Some("guest1"));
        assert_eq!(session.names().count(), 0);
        session.lost(STEADY, 0.0);
        assert_eq!(session.connected(), [""; 0]);
    }

    #[test]
    fn pauses_grow_and_differ_until_a_connection_is_steady() {
        let mut session = greeted();
        let mut lost = |seconds, random| {
            session.hear("* you are guest1 in lobby (1 here); /help lists commands");
            let pause = session.lost(Duration::from_secs(seconds), random);
            pause.as_secs_f64()
        };
        let pauses: Vec<f64> = (0..9).map(|_| lost(0, 0.5)).collect();
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(lost(29, 0.0), 15.0);
        assert_eq!(lost(30, 0.0), 0.25);
    }

    #[test]
    fn lines_wait_until_the_name_and_the_room_are_answered() {
        let greeting = "* you are guest2 in lobby (2 here); /help lists commands";
        let mut session = Session::new(Some("kim".into()), Some("garden".into()));
        session.connected();
        assert!(!session.is_unsettled(), "it may be no server of this kind");
        session.hear(greeting);
        assert!(session.is_unsettled());
        session.hear("* you are in garden (1 here)");
        assert!(session.is_unsettled(), "the name comes first");
        session.hear("* you are now kim");
        session.hear("* you are in garden (1 here)");
        assert!(!session.is_unsettled());

        session.lost(STEADY, 0.0);
        assert!(!session.is_unsettled(), "nothing is asked for yet");
        session.connected();
        session.hear(greeting);
        let name = session.hear("! name not changed: kim is in use");
        assert_eq!(name, Some(Reply::NameLater(NAME_PAUSE)));
        assert!(session.is_unsettled());
        let room = session.hear("! room not changed: there are 3 rooms already");
        assert_eq!(room, Some(Reply::RoomRefused));
        assert!(!session.is_unsettled());
        let again = session.hear("! room not changed: you are in lobby already");
        assert_eq!(again, None, "that was the person's own wish");
        assert_eq!(session.connected(), ["/nick kim"]);
    }

    #[test]
    fn a_goodbye_is_no_loss() {
        let mut session = greeted();
        assert!(!session.is_over());
        session.hear("you: you left; goodbye");
        session.hear("* kim you left; goodbye");
        assert!(!session.is_over());
        session.hear("* you left; goodbye");
        assert!(session.is_over());
    }
}
