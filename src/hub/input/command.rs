//! A line into a request: to say something, or a command. Knows no client and checks no name.

use super::operation::{self, split_word};
use std::fmt;

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// To say something to the room.
    Say(&'a str),
    /// `/nick NAME`
    Nick(&'a str),
    /// `/join ROOM [SECRET]`
    Join(&'a str, Option<&'a str>),
    /// `/msg NAME TEXT`
    Msg(&'a str, &'a str),
    /// `/me ACTION`
    Me(&'a str),
    /// `/who [ROOM]`
    Who(Option<&'a str>),
    /// `/rooms`
    Rooms,
    /// `/help`
    Help,
    /// `/quit [TEXT]`
    Quit(Option<&'a str>),
    /// `/ignore [NAME]`
    Ignore(Option<&'a str>),
    /// `/unignore NAME`
    Unignore(&'a str),
    /// `/whois NAME`
    Whois(&'a str),
    /// `/register`
    Register,
    /// `/login NAME [TOKEN]`
    LogIn(&'a str, Option<&'a str>),
    /// `/unregister [NAME]`
    Unregister(Option<&'a str>),
    /// `/pass SECRET`; without a secret it is a wrong one.
    Pass(&'a str),
    /// `/lock [SECRET]`
    Lock(Option<&'a str>),
    /// `/unlock`
    Unlock,
    /// `/invite NAME`
    Invite(&'a str),
    /// A [command of operators](operation), which only they may give: its word and its arguments.
    Operator(&'static str, &'a str),
}

/// A line that begins like a command and is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid<'a> {
    /// There is no such command.
    Unknown(&'a str),
    /// An argument is missing; how the command is used.
    Usage(&'static str),
}

/// Every command: how it is used, and what it does.
pub const COMMANDS: [(&str, &str); 18] = [
    ("/nick NAME", "take another name"),
    ("/join ROOM [SECRET]", "go to another room"),
    ("/msg NAME TEXT", "say something to one person only"),
    ("/me ACTION", "say what you do: ** kim waves"),
    ("/who [ROOM]", "list who is here, or in another room"),
    ("/rooms", "list the rooms"),
    ("/help", "list these commands"),
    ("/quit [TEXT]", "leave, with a last word"),
    ("/ignore [NAME]", "hear no more of somebody; list whom"),
    ("/unignore NAME", "hear somebody again"),
    ("/whois NAME", "show where somebody is, and since when"),
    ("/register", "make your name your own, with a token"),
    ("/login NAME TOKEN", "take a name that is your own"),
    ("/unregister", "give up a name that is your own"),
    (
        "/pass SECRET",
        "say the server's password, where it asks for one",
    ),
    (
        "/lock [SECRET]",
        "let nobody enter your room without secret or invitation",
    ),
    ("/unlock", "let anybody enter it again"),
    ("/invite NAME", "let somebody enter your room, once"),
];

/// The line that asks for this: [`parse`] is the inverse.
impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Say(text) if text.starts_with('/') => write!(f, "/{text}"),
            Request::Say(text) => f.write_str(text),
            Request::Nick(name) => write!(f, "/nick {name}"),
            Request::Join(room, None) => write!(f, "/join {room}"),
            Request::Join(room, Some(secret)) => write!(f, "/join {room} {secret}"),
            Request::Msg(name, text) => write!(f, "/msg {name} {text}"),
            Request::Me(action) => write!(f, "/me {action}"),
            Request::Who(None) => f.write_str("/who"),
            Request::Who(Some(room)) => write!(f, "/who {room}"),
            Request::Rooms => f.write_str("/rooms"),
            Request::Help => f.write_str("/help"),
            Request::Quit(None) => f.write_str("/quit"),
            Request::Quit(Some(text)) => write!(f, "/quit {text}"),
            Request::Ignore(None) => f.write_str("/ignore"),
            Request::Ignore(Some(name)) => write!(f, "/ignore {name}"),
            Request::Unignore(name) => write!(f, "/unignore {name}"),
            Request::Whois(name) => write!(f, "/whois {name}"),
            Request::Register => f.write_str("/register"),
            Request::LogIn(name, None) => write!(f, "/login {name}"),
            Request::LogIn(name, Some(token)) => write!(f, "/login {name} {token}"),
            Request::Unregister(None) => f.write_str("/unregister"),
            Request::Unregister(Some(name)) => write!(f, "/unregister {name}"),
            Request::Pass("") => f.write_str("/pass"),
            Request::Pass(secret) => write!(f, "/pass {secret}"),
            Request::Lock(None) => f.write_str("/lock"),
            Request::Lock(Some(secret)) => write!(f, "/lock {secret}"),
            Request::Unlock => f.write_str("/unlock"),
            Request::Invite(name) => write!(f, "/invite {name}"),
            Request::Operator(word, "") => write!(f, "/{word}"),
            Request::Operator(word, arguments) => write!(f, "/{word} {arguments}"),
        }
    }
}

/// Reads a line that is not empty. A command may be written in any case.
///
/// # Errors
/// The line begins with one `/` and is not a command, or an argument is missing.
pub fn parse(line: &str) -> Result<Request<'_>, Invalid<'_>> {
    let Some(command) = line.strip_prefix('/') else {
        return Ok(Request::Say(line));
    };
    if command.starts_with('/') {
        return Ok(Request::Say(command));
    }
    let (word, argument) = split_word(command);
    let usages = COMMANDS.iter().map(|(usage, _)| *usage);
    let is_word = |usage: &&str| split_word(&usage[1..]).0.eq_ignore_ascii_case(word);
    let usage = { usages }.find(is_word).unwrap_or("/");
    let required = (!argument.is_empty())
        .then_some(argument)
        .ok_or(Invalid::Usage(usage));
    let optional = (!argument.is_empty()).then_some(argument);
    Ok(match split_word(&usage[1..]).0 {
        "nick" => Request::Nick(required?),
        "join" => match split_word(required?) {
            (room, "") => Request::Join(room, None),
            (room, secret) => Request::Join(room, Some(secret)),
        },
        "msg" => match split_word(required?) {
            (_, "") => return Err(Invalid::Usage(usage)),
            (name, text) => Request::Msg(name, text),
        },
        "me" => Request::Me(required?),
        "who" => Request::Who(optional),
        "rooms" => Request::Rooms,
        "help" => Request::Help,
        "quit" => Request::Quit(optional),
        "ignore" => Request::Ignore(optional),
        "unignore" => Request::Unignore(required?),
        "whois" => Request::Whois(required?),
        "register" if argument.is_empty() => Request::Register,
        "register" => return Err(Invalid::Usage(usage)),
        "login" => match split_word(required?) {
            (name, "") => Request::LogIn(name, None),
            (name, token) => Request::LogIn(name, Some(token)),
        },
        "unregister" => Request::Unregister(optional),
        "pass" => Request::Pass(argument),
        "lock" => Request::Lock(optional),
        "unlock" => Request::Unlock,
        "invite" => Request::Invite(required?),
        _ => match operation::word(word) {
            Some(word) => Request::Operator(word, argument),
            None => return Err(Invalid::Unknown(&line[..1 + word.len()])),
        },
    })
}

/// The line without its secret, to be shown or kept, if it is a command that has one.
pub fn without_secret(line: &str) -> Option<String> {
    let shown = match parse(line) {
        Ok(Request::Pass(secret)) if !secret.is_empty() => Request::Pass(HIDDEN),
        Ok(Request::Lock(Some(_))) => Request::Lock(Some(HIDDEN)),
        Ok(Request::Join(room, Some(_))) => Request::Join(room, Some(HIDDEN)),
        Ok(Request::LogIn(name, Some(_))) => Request::LogIn(name, Some(HIDDEN)),
        _ => return None,
    };
    Some(shown.to_string())
}

/// What is shown in the place of a secret.
const HIDDEN: &str = "***";

/// What other programs call a command, or what people try, and the command here. No entry is near a command that its user
/// did not mean: `/kick` is no misspelt `/nick`.
const ALIASES: [(&str, Option<&str>); 47] = [
    ("names", Some("/who")),
    ("users", Some("/who")),
    ("members", Some("/who")),
    ("people", Some("/who")),
    ("here", Some("/who")),
    ("list", Some("/rooms")),
    ("ls", Some("/rooms")),
    ("channels", Some("/rooms")),
    ("whisper", Some("/msg")),
    ("tell", Some("/msg")),
    ("pm", Some("/msg")),
    ("dm", Some("/msg")),
    ("query", Some("/msg")),
    ("message", Some("/msg")),
    ("privmsg", Some("/msg")),
    ("private", Some("/msg")),
    ("notice", Some("/msg")),
    ("exit", Some("/quit")),
    ("leave", Some("/quit")),
    ("part", Some("/quit")),
    ("bye", Some("/quit")),
    ("close", Some("/quit")),
    ("logout", Some("/quit")),
    ("disconnect", Some("/quit")),
    ("name", Some("/nick")),
    ("rename", Some("/nick")),
    ("nickname", Some("/nick")),
    ("enter", Some("/join")),
    ("go", Some("/join")),
    ("goto", Some("/join")),
    ("channel", Some("/join")),
    ("emote", Some("/me")),
    ("action", Some("/me")),
    ("em", Some("/me")),
    ("?", Some("/help")),
    ("commands", Some("/help")),
    ("info", Some("/help")),
    ("man", Some("/help")),
    ("block", Some("/ignore")),
    ("unblock", Some("/unignore")),
    ("finger", Some("/whois")),
    ("identify", Some("/login")),
    ("auth", Some("/login")),
    ("signin", Some("/login")),
    ("signup", Some("/register")),
    ("claim", Some("/register")),
    ("deregister", Some("/unregister")),
];
/// Longest word that may be a misspelt command, in bytes.
const MISSPELT_BYTES_MAX: usize = 8;
/// Longest command, in bytes without its slash.
const COMMAND_BYTES_MAX: usize = 10;

/// The command that somebody may have meant who wrote this word, which is none; the word as [`Invalid::Unknown`] has it.
pub fn suggest(word: &str) -> Option<&'static str> {
    let word = word.strip_prefix('/')?;
    let alias = |(alias, _): &&(&str, _)| word.eq_ignore_ascii_case(alias);
    if let Some((_, command)) = ALIASES.iter().find(alias) {
        return *command;
    }
    if !(1..=MISSPELT_BYTES_MAX).contains(&word.len()) {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let commands = COMMANDS.map(|(usage, _)| usage.split(' ').next().unwrap_or(usage));
    let short = commands
        .iter()
        .find(|command| command[1..].starts_with(&word));
    let near = || {
        let far = |command: &&str| distance(word.as_bytes(), &command.as_bytes()[1..]);
        let nearest = commands.iter().min_by_key(|command| far(command))?;
        // A long command may have two mistakes.
        (far(nearest) <= nearest.len() / 3).then_some(nearest)
    };
    short.or_else(near).copied()
}

/// How many insertions, deletions, replacements and exchanges of neighbours lead from one word to the other (optimal string
/// alignment). Both are short.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut rows = [[0; COMMAND_BYTES_MAX + 1]; MISSPELT_BYTES_MAX + 1];
    for i in 0..=from.len() {
        for j in 0..=to.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
                let exchanged = match i > 1 && j > 1 {
                    true if from[i - 2] == to[j - 1] && from[i - 1] == to[j - 2] => {
                        rows[i - 2][j - 2] + 1
                    }
                    _ => replaced,
                };
                let moved = rows[i - 1][j].min(rows[i][j - 1]) + 1;
                replaced.min(exchanged).min(moved)
            };
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_parsed_as_it_is_rendered() {
        for (line, request) in [
            ("hello", Request::Say("hello")),
            ("//who", Request::Say("/who")),
            ("///", Request::Say("//")),
            (" /who", Request::Say(" /who")),
            ("/nick kim", Request::Nick("kim")),
            ("/join garden", Request::Join("garden", None)),
            (
                "/join garden open  it",
                Request::Join("garden", Some("open  it")),
            ),
            ("/pass", Request::Pass("")),
            ("/pass two words", Request::Pass("two words")),
            ("/lock", Request::Lock(None)),
            ("/lock two words", Request::Lock(Some("two words"))),
            ("/unlock", Request::Unlock),
            ("/invite kim", Request::Invite("kim")),
            ("/msg kim hi  there", Request::Msg("kim", "hi  there")),
            ("/me waves", Request::Me("waves")),
            ("/who", Request::Who(None)),
            ("/who garden", Request::Who(Some("garden"))),
            ("/rooms", Request::Rooms),
            ("/help", Request::Help),
            ("/quit", Request::Quit(None)),
            ("/quit good night", Request::Quit(Some("good night"))),
            ("/ignore", Request::Ignore(None)),
            ("/ignore kim", Request::Ignore(Some("kim"))),
            ("/unignore kim", Request::Unignore("kim")),
            ("/whois kim", Request::Whois("kim")),
            ("/register", Request::Register),
            ("/login kim", Request::LogIn("kim", None)),
            ("/login kim abc def", Request::LogIn("kim", Some("abc def"))),
            ("/unregister", Request::Unregister(None)),
            ("/unregister kim", Request::Unregister(Some("kim"))),
            (
                "/kick kim too loud",
                Request::Operator("kick", "kim too loud"),
            ),
            ("/bans", Request::Operator("bans", "")),
        ] {
            assert_eq!(parse(line), Ok(request));
            assert_eq!(request.to_string(), line);
        }
        assert_eq!(parse("/NICK  kim "), Ok(Request::Nick("kim")));
        assert_eq!(parse("/who "), Ok(Request::Who(None)));
    }

    #[test]
    fn a_line_is_shown_without_its_secret() {
        for (line, shown) in [
            ("/pass x y", Some("/pass ***")),
            ("/PASS x", Some("/pass ***")),
            ("/lock x", Some("/lock ***")),
            ("/join pond x", Some("/join pond ***")),
            ("/join pond", None),
            ("/lock", None),
            ("/pass", None),
            ("//pass x", None),
            ("pass x", None),
        ] {
            assert_eq!(without_secret(line).as_deref(), shown, "{line}");
        }
    }

    #[test]
    fn commands_about_names_of_one_s_own_are_suggested() {
        for (word, command) in [
            ("/identify", "/login"),
            ("/auth", "/login"),
            ("/signup", "/register"),
            ("/registr", "/register"),
            ("/logn", "/login"),
        ] {
            assert_eq!(suggest(word), Some(command), "{word}");
        }
        let longest = COMMANDS.map(|(usage, _)| split_word(&usage[1..]).0.len());
        assert_eq!(longest.into_iter().max(), Some(COMMAND_BYTES_MAX));
    }

    #[test]
    fn an_unknown_command_suggests_a_near_one() {
        for (word, command) in [
            ("/w", "/who"),
            ("/names", "/who"),
            ("/NAMES", "/who"),
            ("/users", "/who"),
            ("/list", "/rooms"),
            ("/room", "/rooms"),
            ("/whisper", "/msg"),
            ("/tell", "/msg"),
            ("/pm", "/msg"),
            ("/query", "/msg"),
            ("/m", "/msg"),
            ("/exit", "/quit"),
            ("/leave", "/quit"),
            ("/part", "/quit"),
            ("/q", "/quit"),
            ("/name", "/nick"),
            ("/n", "/nick"),
            ("/j", "/join"),
            ("/?", "/help"),
            ("/h", "/help"),
            // Misspelt.
            ("/nikc", "/nick"),
            ("/nic", "/nick"),
            ("/jion", "/join"),
            ("/joinn", "/join"),
            ("/mgs", "/msg"),
            ("/whos", "/who"),
            ("/rom", "/rooms"),
            ("/hlep", "/help"),
            ("/qiut", "/quit"),
            ("/quti", "/quit"),
            ("/block", "/ignore"),
            ("/ignroe", "/ignore"),
            ("/unignor", "/unignore"),
            ("/whoi", "/whois"),
        ] {
            assert_eq!(suggest(word), Some(command), "{word}");
        }
        for word in [
            "/",
            "/usr/bin",
            "/etc/passwd",
            "/home",
            "/tmp",
            "/topic",
            "/안녕",
            "/\u{301}",
            "/oper",
            "/joinjoinjoin",
            "/xyz",
            "/1",
            "/-",
            "/who/nick",
        ] {
            assert_eq!(suggest(word), None, "{word}");
        }
        for (_, command) in ALIASES {
            assert!(
                !matches!(parse(command.unwrap_or("/help")), Err(Invalid::Unknown(_))),
                "{command:?}"
            );
        }
        for (alias, _) in ALIASES {
            let line = format!("/{alias}");
            assert_eq!(parse(&line), Err(Invalid::Unknown(&line)), "a command");
        }
    }

    #[test]
    fn invalid_commands_name_the_usage_or_the_word() {
        assert_eq!(parse("/usr/bin"), Err(Invalid::Unknown("/usr/bin")));
        assert_eq!(parse("/"), Err(Invalid::Unknown("/")));
        for (line, usage) in [
            ("/nick", "/nick NAME"),
            ("/msg kim", "/msg NAME TEXT"),
            ("/msg ", "/msg NAME TEXT"),
            ("/me  ", "/me ACTION"),
            ("/register kim", "/register"),
            ("/login", "/login NAME TOKEN"),
        ] {
            assert_eq!(parse(line), Err(Invalid::Usage(usage)));
        }
    }
}
