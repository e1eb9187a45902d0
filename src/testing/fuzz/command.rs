//! Commands: what is read is rendered and read back, and what is rendered is read back.

use super::bytes::Bytes;
use crate::hub::input::command::{COMMANDS, Invalid, Request, parse};

/// A line as it is; and a request made of the same bytes.
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
            // It would do with what the usage names.
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
    render_and_read(data);
}

fn render_and_read(data: &[u8]) {
    let mut data = Bytes(data);
    let kind = data.below(12);
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
        _ if argument.is_empty() => return,
        5 => Request::Nick(argument),
        6 => Request::Join(argument),
        7 => Request::Me(argument),
        8 => Request::Who(Some(argument)),
        9 => Request::Quit(Some(argument)),
        _ if rest.is_empty() => return,
        _ => Request::Msg(name, rest),
    };
    assert_eq!(parse(&request.to_string()), Ok(request));
}
