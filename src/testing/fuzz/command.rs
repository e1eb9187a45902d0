//! The body of the fuzz target `command`: a parsed line, rendered and parsed again, is the same request; and so is any
//! request.

use super::bytes::Bytes;
use crate::hub::input::command::{COMMANDS, Invalid, Request, parse};

/// Parses `data` as a line; then makes a request of the same bytes.
pub fn command(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    let got = parse(&line);
    match &got {
        Ok(request) => assert_eq!(parse(&request.to_string()), got),
        Err(Invalid::Unknown(word)) => {
            assert!(line.starts_with(word) && word.starts_with('/') && !word.contains(' '));
            assert!(!COMMANDS.iter().any(|(usage, _)| usage == word));
        }
        Err(Invalid::Usage(usage)) => {
            assert!(COMMANDS.iter().any(|(known, _)| known == usage));
            // With the arguments that the usage names, the command is valid.
            assert!(parse(usage).is_ok());
        }
    }
    match line.strip_prefix('/') {
        None => assert_eq!(got, Ok(Request::Say(&line))),
        Some(rest) if rest.starts_with('/') => assert_eq!(got, Ok(Request::Say(rest))),
        Some(_) => assert!(!matches!(got, Ok(Request::Say(_)))),
    }
    if line.starts_with('/') {
        assert_eq!(parse(&format!("/{line}")), Ok(Request::Say(&line)));
    }
    let (word, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
    if word.starts_with('/') && !word.starts_with("//") && got.is_ok() {
        assert_eq!(parse(&(word.to_ascii_uppercase() + rest)), got);
    }
    round_trip(data);
}

fn round_trip(data: &[u8]) {
    let mut data = Bytes(data);
    let kind = data.below(22);
    let text = String::from_utf8_lossy(data.0);
    let argument = text.trim_matches(' ');
    let (name, rest) = argument.split_once(' ').unwrap_or((argument, ""));
    let rest = rest.trim_matches(' ');
    let request = match kind {
        0 => Request::Say(&text),
        1 => Request::Rooms,
        2 => Request::Help,
        3 => Request::Who(None),
        4 => Request::Quit(None),
        12 => Request::Ignore(None),
        17 => Request::Unlock,
        18 => Request::Lock(None),
        19 => Request::Pass(argument),
        _ if argument.is_empty() => return,
        5 => Request::Nick(argument),
        6 => Request::Join(name, (!rest.is_empty()).then_some(rest)),
        7 => Request::Me(argument),
        8 => Request::Who(Some(argument)),
        9 => Request::Quit(Some(argument)),
        13 => Request::Ignore(Some(argument)),
        14 => Request::Unignore(argument),
        20 => Request::Lock(Some(argument)),
        21 => Request::Invite(argument),
        15 => Request::Whois(argument),
        16 => Request::Operator("kick", argument),
        _ if rest.is_empty() => return,
        _ => Request::Msg(name, rest),
    };
    assert_eq!(parse(&request.to_string()), Ok(request));
}
