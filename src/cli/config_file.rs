//! A configuration file and the flags of a command: which keys it may have, of which type, and how its values become
//! defaults. The bounds of each value are those of its flag: clap checks them.

use crate::config::{ConfigFile, Entry, Mistakes, Position, Value};
use clap::builder::{Resettable, ValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, value_parser};
use std::error::Error as _;

/// Flags that say where the file is, or what is to be done, and cannot stand in it.
const NOT_IN_FILE: [&str; 2] = ["config", "print-config"];

/// How alike two names are at least, from 0 to 1, if one is suggested for the other: as clap does.
const ALIKE_MIN: f64 = 0.7;

/// Of which type a value is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`
    Switch,
    /// An integer.
    Number,
    /// A string.
    Text,
    /// A list of strings; a single one may stand alone.
    List,
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Kind::Switch => "expected true or false",
            Kind::Number => "expected an integer",
            Kind::Text => "expected a string in quotes",
            Kind::List => "expected a list of strings, [\"…\", \"…\"]",
        }
    }
}

/// The flags of a command that may stand in a file.
pub fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let name = arg.get_long().unwrap_or_default();
        let takes_part = !matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        !name.is_empty() && takes_part && !NOT_IN_FILE.contains(&name)
    })
}

/// A flag's name in a file.
pub fn name(arg: &Arg) -> String {
    arg.get_long().unwrap_or_default().into()
}

/// Of which type a flag's value is.
pub fn kind(arg: &Arg) -> Kind {
    let numbers: [ValueParser; 6] = [
        value_parser!(u8).into(),
        value_parser!(u16).into(),
        value_parser!(u32).into(),
        value_parser!(u64).into(),
        value_parser!(i32).into(),
        ValueParser::from(value_parser!(usize)),
    ];
    let parser = arg.get_value_parser().type_id();
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => Kind::Switch,
        ArgAction::Append => Kind::List,
        _ if numbers.iter().any(|number| number.type_id() == parser) => Kind::Number,
        _ => Kind::Text,
    }
}

/// The command with the values of a file as its defaults.
///
/// # Errors
/// What is wrong in the file, one line each.
pub fn lay_under(command: Command, file: &mut ConfigFile) -> Result<Command, Vec<String>> {
    let mut mistakes = std::mem::take(&mut file.mistakes);
    let mut defaults = Vec::new();
    for entry in &file.entries {
        let arg = flags(&command).find(|arg| name(arg) == entry.key);
        match arg {
            Some(arg) => {
                let values = values(arg, entry, &mut mistakes);
                defaults.push((arg.get_id().clone(), values));
            }
            None => mistakes.add(entry.at, unknown(&command, entry)),
        }
    }
    mistakes.into_result(&file.path)?;
    let set = |command: Command, (id, values): (clap::Id, Vec<String>)| {
        command.mut_arg(id, |arg| arg.default_values(values))
    };
    Ok(defaults.into_iter().fold(command, set))
}

/// The values of an entry, as they would be written on the command line.
fn values(arg: &Arg, entry: &Entry, mistakes: &mut Mistakes) -> Vec<String> {
    let kind = kind(arg);
    let mut values = Vec::new();
    let mut take = |value: &Value, at: Position, mistakes: &mut Mistakes| {
        let text = match (kind, value) {
            (Kind::Switch, Value::Switch(is_on)) => is_on.to_string(),
            (Kind::Number, Value::Integer(number)) => number.clone(),
            (Kind::Text | Kind::List, Value::Text(text)) => text.clone(),
            _ => {
                let (key, expected) = (&entry.key, kind.expected());
                return mistakes.add(at, format!("{key} = {value}: {expected}"));
            }
        };
        if let Err(why) = check(arg, kind, &text) {
            return mistakes.add(at, format!("{} = {value}: {why}", entry.key));
        }
        values.push(text);
    };
    match &entry.value {
        Value::Table => {
            let key = &entry.key;
            let what = format!("{key} is a key and no table; write {key} = …");
            mistakes.add(entry.at, what);
        }
        Value::List(all) if kind == Kind::List => {
            all.iter()
                .for_each(|(value, at)| take(value, *at, mistakes));
        }
        value => take(value, entry.value_at, mistakes),
    }
    values
}

/// Whether a flag takes this value: by clap itself, in a command that has nothing else.
fn check(arg: &Arg, kind: Kind, text: &str) -> Result<(), String> {
    if kind == Kind::Switch {
        return Ok(());
    }
    let flag = format!("--{}={text}", name(arg));
    let arg = arg.clone().env(Resettable::Reset);
    let command = Command::new("value").disable_help_flag(true).arg(arg);
    let Err(error) = command.try_get_matches_from(["value", &flag]) else {
        return Ok(());
    };
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue) {
        let near = nearest(text, valid.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        return Err(format!("expected one of {}{near}", valid.join(", ")));
    }
    let why = error.source().map(ToString::to_string);
    Err(why.unwrap_or_else(|| "the flag does not take this value".into()))
}

/// Why a key is none.
fn unknown(command: &Command, entry: &Entry) -> String {
    let key = &entry.key;
    if NOT_IN_FILE.contains(&&**key) {
        return format!("{key} cannot stand in a file: it is for the command line");
    }
    let names: Vec<String> = flags(command).map(name).collect();
    let near = nearest(key, names.iter().map(String::as_str));
    match (&entry.value, near) {
        (Value::Table, None) => {
            format!("{key}: there are no tables; keys stand alone, as in max-line = 8192")
        }
        (_, Some(near)) => format!("unknown key {key}; did you mean {near}?"),
        (_, None) => format!("unknown key {key}; madang serve --help has all flags"),
    }
}

/// The name that is most like `text`, if one is.
fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.replace('_', "-").to_lowercase();
    let rated = names.map(|name| (strsim::jaro_winkler(&text, name), name));
    let best = rated.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= ALIKE_MIN).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::super::serve_command;
    use super::*;
    use crate::config::parse;
    use std::path::Path;

    fn lay(text: &str) -> Result<Command, Vec<String>> {
        let mut file = parse(Path::new("f"), text.as_bytes()).unwrap();
        lay_under(serve_command(), &mut file)
    }

    #[test]
    fn every_flag_can_stand_in_the_file() {
        let serve = serve_command();
        for arg in serve.get_arguments() {
            let id = arg.get_id().as_str();
            if arg.get_long().is_none() || ["help", "config", "print_config"].contains(&id) {
                continue;
            }
            let (name, kind) = (name(arg), kind(arg));
            let values: &[&str] = match kind {
                Kind::Switch => &["true"],
                Kind::Number => &["32", "65536"],
                Kind::List => &[
                    "[\"127.0.0.1:0\", \"unix:/tmp/x\"]",
                    "\"127.0.0.1:0\"",
                    "[\"10.0.0.0/8\", \"::1\"]",
                    "[]",
                ],
                Kind::Text => &[
                    "\"skip\"",
                    "\"close\"",
                    "\"info\"",
                    "\"text\"",
                    "\"auto\"",
                    "\"/tmp/x\"",
                    "\"127.0.0.1:0\"",
                    "\"unix:/tmp/x\"",
                ],
            };
            let laid = values
                .iter()
                .find_map(|value| lay(&format!("{name} = {value}\n")).ok());
            let laid = laid.unwrap_or_else(|| panic!("{name}: none of {values:?}"));
            let matches = laid.try_get_matches_from(["serve"]);
            let matches = matches.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(matches.try_contains_id(id).is_ok(), "{name}");
            for wrong in ["1.5", "1979-05-27", "[1]", "{ a = 1 }"] {
                let told = lay(&format!("# x\n{name} = {wrong}\n")).unwrap_err();
                assert!(told.len() == 1 && told[0].starts_with("f:2:"), "{told:?}");
            }
        }
    }

    #[test]
    fn mistakes_say_what_is_allowed_and_what_may_have_been_meant() {
        for (line, expected) in [
            (
                "max_line = 100",
                "f:1:1: unknown key max_line; did you mean max-line?",
            ),
            ("Drain = 1", "f:1:1: unknown key Drain; did you mean drain?"),
            (
                "max-lin = 100",
                "f:1:1: unknown key max-lin; did you mean max-line?",
            ),
            (
                "xyzzy = 1",
                "f:1:1: unknown key xyzzy; madang serve --help has all flags",
            ),
            (
                "config = \"x\"",
                "f:1:1: config cannot stand in a file: it is for the command line",
            ),
            (
                "[server]\nrate = 1",
                "f:1:2: server: there are no tables; keys stand alone, as in max-line = 8192",
            ),
            (
                "[rate]\nx = 1",
                "f:1:2: rate is a key and no table; write rate = …",
            ),
            (
                "rate.x = 1",
                "f:1:1: rate is a key and no table; write rate = …",
            ),
            ("drain = \"5\"", "f:1:9: drain = \"5\": expected an integer"),
            (
                "max-line = 5",
                "f:1:12: max-line = 5: expected a number from 32 to 67108864",
            ),
            (
                "max-line = -1",
                "f:1:12: max-line = -1: expected a number from 32 to 67108864",
            ),
            ("console = 1", "f:1:11: console = 1: expected true or false"),
            (
                "slow = \"skp\"",
                "f:1:8: slow = \"skp\": expected one of skip, close, wait; did you mean skip?",
            ),
            (
                "welcome = 5",
                "f:1:11: welcome = 5: expected a string in quotes",
            ),
            (
                "listen = [\"127.0.0.1:1\", 5]",
                "f:1:26: listen = 5: expected a list of strings, [\"…\", \"…\"]",
            ),
            (
                "listen = [\"127.0.0.1\"]",
                "f:1:11: listen = \"127.0.0.1\": the port is missing; write 127.0.0.1:8080",
            ),
        ] {
            assert_eq!(lay(line).unwrap_err(), [expected], "{line}");
        }
        let told = lay("rate = 1\nrate = 2\nslow = \"x\"\nmax-rum = 1\n").unwrap_err();
        assert_eq!(told.len(), 3, "{told:?}");
    }
}
