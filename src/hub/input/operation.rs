//! The commands of operators: a word and its arguments into an operation. Knows no client and checks no name.

use crate::hub::operators::range::Range;
use crate::protocol::span;
use std::fmt;
use std::net::SocketAddr;

/// Every command of operators: how it is used, and what it does.
pub const OPERATOR_COMMANDS: [(&str, &str); 12] = [
    (
        "/clients [--slow | --from RANGE|NAME]",
        "list connections: all, slow ones, those from there",
    ),
    (
        "/kick NAME|ADDRESS:PORT|#NUMBER [WHY]",
        "close a connection",
    ),
    (
        "/ban RANGE|ADDRESS|NAME [FOR] [WHY]",
        "refuse connections from there: for 30s, 10m, 2h, 7d",
    ),
    ("/unban RANGE|ADDRESS", "accept them again"),
    ("/bans", "list bans"),
    (
        "/mute NAME|ADDRESS:PORT|#NUMBER [FOR]",
        "refuse what a client says",
    ),
    ("/unmute NAME|ADDRESS:PORT|#NUMBER", "let it speak again"),
    ("/say TEXT", "tell all rooms something"),
    ("/stats", "list figures of the server"),
    ("/reload", "read the configuration again"),
    ("/drain", "refuse newcomers, and end when all have left"),
    ("/shutdown", "end the server"),
];

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// `/clients`
    Clients(Filter<'a>),
    /// `/kick`, and why.
    Kick(Target<'a>, &'a str),
    /// `/ban`, for how many seconds, and why.
    Ban(Place<'a>, Option<u64>, &'a str),
    /// `/unban`
    Unban(Range),
    /// `/bans`
    Bans,
    /// `/mute`, for how many seconds.
    Mute(Target<'a>, Option<u64>),
    /// `/unmute`
    Unmute(Target<'a>),
    /// `/say`
    Say(&'a str),
    /// `/stats`
    Stats,
    /// `/reload`
    Reload,
    /// `/drain`
    Drain,
    /// `/shutdown`
    Shutdown,
}

/// Which clients are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter<'a> {
    /// All.
    All,
    /// Those that are late in their rooms, or do not read what they have asked for.
    Slow,
    /// Those from a range of addresses, or from where this client comes from.
    From(Place<'a>),
}

/// One client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// By its name.
    Name(&'a str),
    /// By its address and port.
    Address(SocketAddr),
    /// By the number of its connection, as the log and `/clients` tell it.
    Number(u32),
}

/// Addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Those of a range.
    Range(Range),
    /// That of the client of this name.
    Of(&'a str),
}

/// Why an operation is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid<'a> {
    /// An argument is missing or too many; how the command is used.
    Usage(&'static str),
    /// No range of addresses.
    Range(&'a str),
    /// No span of time.
    Span(&'a str),
}

/// For people: as it was written.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Name(name) => f.write_str(name),
            Target::Address(address) => write!(f, "{address}"),
            Target::Number(number) => write!(f, "#{number}"),
        }
    }
}

impl<'a> Target<'a> {
    /// Reads one word. No name contains a `:` or a `#`.
    fn parse(word: &'a str) -> Target<'a> {
        let number = word
            .strip_prefix('#')
            .and_then(|number| number.parse().ok());
        match (number, word.parse()) {
            (Some(number), _) => Target::Number(number),
            (None, Ok(address)) => Target::Address(address),
            (None, Err(_)) => Target::Name(word),
        }
    }
}

impl<'a> Place<'a> {
    /// Reads one word: what looks like addresses is no name.
    fn parse(word: &'a str) -> Result<Place<'a>, Invalid<'a>> {
        if let Ok(address) = word.parse::<SocketAddr>() {
            // As `/clients` shows it.
            return Ok(Place::Range(Range::of(address.ip())));
        }
        match Range::parse(word) {
            Some(range) => Ok(Place::Range(range)),
            None if word.contains(['/', ':', '.']) => Err(Invalid::Range(word)),
            None => Ok(Place::Of(word)),
        }
    }
}

/// The command of operators that has this word, in any case; the word as it is written properly.
pub fn word(word: &str) -> Option<&'static str> {
    let mut words = OPERATOR_COMMANDS
        .iter()
        .map(|(usage, _)| split_word(&usage[1..]).0);
    words.find(|known| known.eq_ignore_ascii_case(word))
}

/// Reads the arguments of a command of operators.
///
/// # Errors
/// What is wrong with them.
pub fn parse<'a>(word: &str, arguments: &'a str) -> Result<Operation<'a>, Invalid<'a>> {
    let is_word = |(usage, _): &&(&str, _)| split_word(&usage[1..]).0 == word;
    let usage = OPERATOR_COMMANDS
        .iter()
        .find(is_word)
        .map_or("", |(usage, _)| usage);
    let usage = Invalid::Usage(usage);
    let (first, rest) = split_word(arguments);
    let operation = match word {
        "clients" | "bans" | "stats" | "reload" | "drain" | "shutdown" => {
            return without_target(word, first, rest, usage);
        }
        _ if first.is_empty() => return Err(usage),
        "kick" => Operation::Kick(Target::parse(first), rest),
        "ban" => {
            let (span_text, why) = split_word(rest);
            let seconds = span::parse(span_text);
            let why = if seconds.is_some() { why } else { rest };
            Operation::Ban(Place::parse(first)?, seconds, why)
        }
        "say" => Operation::Say(arguments),
        "mute" => {
            let seconds = span::parse(rest);
            if seconds.is_none() && !rest.is_empty() {
                return Err(Invalid::Span(rest));
            }
            Operation::Mute(Target::parse(first), seconds)
        }
        _ if !rest.is_empty() => return Err(usage),
        "unban" => match Place::parse(first)? {
            Place::Range(range) => Operation::Unban(range),
            Place::Of(name) => return Err(Invalid::Range(name)),
        },
        "unmute" => Operation::Unmute(Target::parse(first)),
        _ => return Err(usage),
    };
    Ok(operation)
}

/// The same, of a command that concerns nobody in particular.
fn without_target<'a>(
    word: &str,
    first: &'a str,
    rest: &'a str,
    usage: Invalid<'a>,
) -> Result<Operation<'a>, Invalid<'a>> {
    Ok(match (word, first, rest) {
        ("clients", "", _) => Operation::Clients(Filter::All),
        ("clients", "--slow", "") => Operation::Clients(Filter::Slow),
        ("clients", "--from", place) if !place.is_empty() && !place.contains(' ') => {
            Operation::Clients(Filter::From(Place::parse(place)?))
        }
        ("bans", "", _) => Operation::Bans,
        ("stats", "", _) => Operation::Stats,
        ("reload", "", _) => Operation::Reload,
        ("drain", "", _) => Operation::Drain,
        ("shutdown", "", _) => Operation::Shutdown,
        _ => return Err(usage),
    })
}

/// The first word, and what follows it without the spaces around.
pub fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        Range::parse(text).unwrap()
    }

    #[test]
    fn operations_are_read_from_their_arguments() {
        let (kim, ten) = (Target::Name("kim"), Place::Range(range("10.0.0.0/8")));
        let address = "127.0.0.1:80".parse().unwrap();
        for (line, operation) in [
            ("clients", Operation::Clients(Filter::All)),
            ("clients --slow", Operation::Clients(Filter::Slow)),
            (
                "clients --from kim",
                Operation::Clients(Filter::From(Place::Of("kim"))),
            ),
            (
                "clients --from 10.0.0.0/8",
                Operation::Clients(Filter::From(ten)),
            ),
            ("kick kim", Operation::Kick(kim, "")),
            (
                "kick 127.0.0.1:80 too loud",
                Operation::Kick(Target::Address(address), "too loud"),
            ),
            ("kick #12", Operation::Kick(Target::Number(12), "")),
            ("kick #kim", Operation::Kick(Target::Name("#kim"), "")),
            ("ban 10.0.0.0/8", Operation::Ban(ten, None, "")),
            ("ban 10.0.0.0/8 2h", Operation::Ban(ten, Some(7200), "")),
            (
                "ban 10.0.0.0/8 2h  of it",
                Operation::Ban(ten, Some(7200), "of it"),
            ),
            ("ban 10.0.0.0/8 2hours", Operation::Ban(ten, None, "2hours")),
            (
                "ban kim no reason",
                Operation::Ban(Place::Of("kim"), None, "no reason"),
            ),
            (
                "ban 127.0.0.1:80",
                Operation::Ban(Place::Range(range("127.0.0.1")), None, ""),
            ),
            ("unban 10.0.0.0/8", Operation::Unban(range("10.0.0.0/8"))),
            ("bans", Operation::Bans),
            ("mute kim", Operation::Mute(kim, None)),
            ("mute kim 1h30m", Operation::Mute(kim, Some(5400))),
            ("unmute kim", Operation::Unmute(kim)),
            ("say good night  all", Operation::Say("good night  all")),
            ("stats", Operation::Stats),
            ("reload", Operation::Reload),
            ("drain", Operation::Drain),
            ("shutdown", Operation::Shutdown),
        ] {
            let (word, arguments) = split_word(line);
            assert_eq!(parse(word, arguments), Ok(operation), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, invalid) in [
            ("mute kim long", Invalid::Span("long")),
            ("ban 10.0.0.0/99", Invalid::Range("10.0.0.0/99")),
            ("ban 10.0.0", Invalid::Range("10.0.0")),
            ("unban kim", Invalid::Range("kim")),
            ("clients --from 1.2.3", Invalid::Range("1.2.3")),
        ] {
            let (word, arguments) = split_word(line);
            assert_eq!(parse(word, arguments), Err(invalid));
        }
        for line in [
            "kick",
            "ban",
            "unban",
            "mute",
            "unmute",
            "say",
            "unmute kim now",
            "unban 10.0.0.0/8 now",
            "clients --fast",
            "clients --from",
            "clients --from a b",
            "clients --slow now",
            "bans all",
            "stats now",
            "shutdown now",
        ] {
            let (word, arguments) = split_word(line);
            let Err(Invalid::Usage(usage)) = parse(word, arguments) else {
                panic!("{line}");
            };
            assert_eq!(split_word(&usage[1..]).0, word);
        }
        assert_eq!((word("KICK"), word("nick")), (Some("kick"), None));
    }
}
