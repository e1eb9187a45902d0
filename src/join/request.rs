//! Requests for a name or a room, and the password, as they stand among the lines for the server, and the server's answers to them.

use crate::protocol::{Notice, Refusal};

/// What a line asks for, if nothing may be said before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `/nick`, `/login`
    Name,
    /// `/join`
    Room,
    /// `/pass`
    Password,
}

/// A server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The client has what it asked for.
    Granted(Request),
    /// It has not.
    Refused(Request),
    /// A line that is not UTF-8 is refused, whatever it asks for.
    NotUtf8,
    /// So is a line of more bytes than this.
    TooLong(usize),
}

impl Request {
    /// The words of its commands.
    fn words(self) -> &'static [&'static str] {
        match self {
            Request::Name => &["/nick", "/login"],
            Request::Room => &["/join"],
            Request::Password => &["/pass"],
        }
    }

    /// What a line asks for, given with its end or without.
    pub fn of(line: &[u8]) -> Option<Request> {
        let end = line.iter().position(|byte| b" \r\n".contains(byte));
        let word = &line[..end.unwrap_or(line.len())];
        let is_one = |known: &&str| word.eq_ignore_ascii_case(known.as_bytes());
        let is_word = |request: &Request| request.words().iter().any(is_one);
        let all = [Request::Name, Request::Room, Request::Password];
        all.into_iter().find(is_word)
    }

    /// Whether a line that begins so can become a request.
    pub fn may_begin(line: &[u8]) -> bool {
        line.first() == Some(&b'/') && line.get(1) != Some(&b'/')
    }
}

impl Answer {
    /// What a notice answers.
    pub fn of_notice(notice: &Notice<'_>) -> Option<Answer> {
        match notice {
            Notice::YouAreNow { .. } => Some(Answer::Granted(Request::Name)),
            Notice::YouAreIn { .. } => Some(Answer::Granted(Request::Room)),
            Notice::Greeting { .. } | Notice::NoPasswordAsked {} => {
                Some(Answer::Granted(Request::Password))
            }
            _ => None,
        }
    }

    /// What a refusal answers. A client that has what it asks for already has what it asked for.
    pub fn of_refusal(refusal: &Refusal<'_>) -> Option<Answer> {
        Some(match *refusal {
            Refusal::NameIsYours { .. } => Answer::Granted(Request::Name),
            Refusal::RoomIsYours { .. } => Answer::Granted(Request::Room),
            Refusal::NameInUse { .. }
            | Refusal::NameLooksUsed { .. }
            | Refusal::NameOfConsole { .. }
            | Refusal::NameRegistered { .. }
            | Refusal::NameLooksRegistered { .. }
            | Refusal::NameOfUser { .. }
            | Refusal::NameOfOperator { .. }
            | Refusal::NameMuted { .. }
            | Refusal::WrongToken { .. }
            | Refusal::TooManyTries {}
            | Refusal::NameNotNow {}
            | Refusal::NameInvalid { .. } => Answer::Refused(Request::Name),
            Refusal::RoomsFull { .. }
            | Refusal::RoomInvalid { .. }
            | Refusal::RoomLocked { .. }
            | Refusal::RoomNotLocked { .. }
            | Refusal::RoomNotNow {}
            | Refusal::TooManySecrets {} => Answer::Refused(Request::Room),
            Refusal::WrongPassword {} | Refusal::TooManyPasswords {} => {
                Answer::Refused(Request::Password)
            }
            // A server that knows no password.
            Refusal::UnknownCommand { word, .. } | Refusal::NearCommand { word, .. }
                if Request::of(word.as_bytes()).is_some() =>
            {
                Answer::Refused(Request::Password)
            }
            Refusal::NotInCluster { command } => Answer::Refused(Request::of(command.as_bytes())?),
            Refusal::Usage { usage } => Answer::Refused(Request::of(usage.as_bytes())?),
            Refusal::NotUtf8 { .. } => Answer::NotUtf8,
            Refusal::TooLong { bytes_max } => Answer::TooLong(bytes_max),
            _ => return None,
        })
    }

    /// Whether the client has not got what it asked for.
    pub fn is_refusal(self) -> bool {
        !matches!(self, Answer::Granted(_))
    }

    /// Whether this answers the request in a line, given with its end.
    pub fn is_to(self, request: Request, line: &[u8]) -> bool {
        match self {
            Answer::Granted(to) | Answer::Refused(to) => to == request,
            Answer::NotUtf8 => str::from_utf8(line).is_err(),
            Answer::TooLong(bytes_max) => line.len() > bytes_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_recognised_as_the_server_does() {
        for (line, request) in [
            ("/nick kim", Some(Request::Name)),
            ("/NICK kim\r\n", Some(Request::Name)),
            ("/nick\n", Some(Request::Name)),
            ("/login kim token\n", Some(Request::Name)),
            ("/Join #ops\n", Some(Request::Room)),
            ("/pass sesame\n", Some(Request::Password)),
            ("/join\r\n", Some(Request::Room)),
            ("//join pond\n", None),
            ("/joint pond\n", None),
            (" /join pond\n", None),
            ("/msg kim /join pond\n", None),
            ("", None),
        ] {
            assert_eq!(Request::of(line.as_bytes()), request, "{line:?}");
        }
    }

    /// What a line of the server's answers.
    fn answer(line: &str) -> Option<Answer> {
        match line.split_at(2) {
            ("* ", text) => Answer::of_notice(&Notice::parse(text)),
            (_, text) => Answer::of_refusal(&Refusal::parse(text)),
        }
    }

    #[test]
    fn answers_to_the_password_are_recognised() {
        let granted = Answer::Granted(Request::Password);
        let refused = Answer::Refused(Request::Password);
        for (line, want) in [
            ("! wrong password", refused),
            (
                "! closed: too many wrong passwords from your address; try again in a minute",
                refused,
            ),
            (
                "! unknown command /pass: /help lists commands, //pass says it as text",
                refused,
            ),
            ("* no password is asked of you: you are in already", granted),
            (
                "* you are guest1 in lobby (1 here); /help lists commands",
                granted,
            ),
        ] {
            assert_eq!(answer(line), Some(want), "{line}");
        }
    }

    #[test]
    fn every_answer_is_recognised() {
        use Answer::{Granted, Refused};
        for (line, want) in [
            ("* you are now kim", Granted(Request::Name)),
            ("* you are in pond (1 here)", Granted(Request::Room)),
            ("! name not changed: kim is in use", Refused(Request::Name)),
            (
                "! name not changed: kim looks like a name in use",
                Refused(Request::Name),
            ),
            (
                "! name not changed: you are kim already",
                Granted(Request::Name),
            ),
            (
                "! name not changed: the host stays host",
                Refused(Request::Name),
            ),
            (
                "! name not changed: a name has at least one letter",
                Refused(Request::Name),
            ),
            (
                "! room not changed: there are 3 rooms already: join one of them",
                Refused(Request::Room),
            ),
            (
                "! room not changed: you are in pond already",
                Granted(Request::Room),
            ),
            (
                "! room not changed: a name has 1 to 24 characters",
                Refused(Request::Room),
            ),
            ("! usage: /nick NAME", Refused(Request::Name)),
            ("! usage: /join ROOM [SECRET]", Refused(Request::Room)),
            (
                "! room not changed: too many wrong secrets; try again in a minute",
                Refused(Request::Room),
            ),
            ("! line not sent: not UTF-8 at byte 7", Answer::NotUtf8),
            (
                "! line not sent: longer than 512 bytes",
                Answer::TooLong(512),
            ),
        ] {
            assert_eq!(answer(line), Some(want), "{line}");
        }
        for line in [
            "! usage: /msg NAME TEXT",
            "! line not sent: nobody is called kim",
            "* renamed: kim -> lee",
        ] {
            assert_eq!(answer(line), None, "{line}");
        }
    }

    #[test]
    fn answers_about_names_of_one_s_own_are_recognised() {
        let refusals = [
            "name not changed: kim is registered; /login kim TOKEN takes it if it is yours",
            "name not changed: kim is not registered with that token or certificate",
            "name not changed: too many wrong tokens have come from your address; try again in a minute",
            "name not changed: an operator has muted you; it ends in 10m",
            "usage: /login NAME TOKEN",
        ];
        for text in refusals {
            let answer = Answer::of_refusal(&Refusal::parse(text));
            assert_eq!(answer, Some(Answer::Refused(Request::Name)), "{text}");
        }
    }

    #[test]
    fn answers_of_a_server_of_a_cluster_are_recognised() {
        for (text, want) in [
            (
                "name not changed: this server is cut off from the others",
                Some(Request::Name),
            ),
            (
                "room not changed: this server is cut off from the others",
                Some(Request::Room),
            ),
            (
                "/login cannot be used on a server of a cluster",
                Some(Request::Name),
            ),
            ("/lock cannot be used on a server of a cluster", None),
            (
                "line not sent: this server is cut off from the others",
                None,
            ),
            ("not now: this server is cut off from the others", None),
        ] {
            let answer = Answer::of_refusal(&Refusal::parse(text));
            assert_eq!(answer, want.map(Answer::Refused), "{text}");
        }
    }

    #[test]
    fn a_refused_line_answers_only_a_request_that_it_is_about() {
        for (line, answer, is_answered) in [
            (&b"/join \xff"[..], Answer::NotUtf8, true),
            (b"/join pond", Answer::NotUtf8, false),
            (b"/join pond", Answer::TooLong(9), true),
            (b"/join pond", Answer::TooLong(10), false),
            (b"/join pond", Answer::Refused(Request::Name), false),
            (b"/join pond", Answer::Granted(Request::Room), true),
        ] {
            assert_eq!(answer.is_to(Request::Room, line), is_answered, "{answer:?}");
        }
    }
}
