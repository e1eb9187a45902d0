//! What the client knows of names that are the user's own: their tokens, which of them is used, which is to be kept. Where
//! tokens are kept is in `tokens`. No socket, no file.
#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

use crate::hub::input::command::{Request as Command, parse};
use std::collections::BTreeMap;
use std::fmt;

/// The user's tokens at one server, by name. They are shown nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    by_name: BTreeMap<String, String>,
    /// The name that was used last.
    last: Option<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Tokens {
    /// The token of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(String::as_str)
    }

    /// The name that was used last.
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// This name was used last.
    pub fn set_last(&mut self, name: &str) {
        self.last = Some(name.into());
    }

    /// The token of a name is this one now, or there is none any more.
    pub fn set(&mut self, name: &str, token: Option<&str>) {
        match token {
            Some(token) => _ = self.by_name.insert(name.into(), token.into()),
            None => _ = self.by_name.remove(name),
        }
    }
}

/// Names that are the user's own, in one conversation.
#[derive(Clone, Debug, Default)]
pub struct OwnNames {
    tokens: Tokens,
    /// With what the user wants to log in.
    login: Option<Login>,
    /// A name of which another token is to be kept, or none any more.
    changed: Option<String>,
}

/// A name, and what the user says is its token.
#[derive(Clone)]
struct Login(String, String);

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Login").field(&self.0).finish()
    }
}

impl OwnNames {
    /// With these tokens.
    pub fn new(tokens: Tokens) -> OwnNames {
        OwnNames {
            tokens,
            ..OwnNames::default()
        }
    }

    /// The token of this name.
    pub fn token(&self, name: &str) -> Option<&str> {
        self.tokens.get(name)
    }

    /// The line that requests a name.
    pub fn request(&self, name: &str) -> String {
        match self.token(name) {
            Some(token) => format!("/login {name} {token}"),
            None => format!("/nick {name}"),
        }
    }

    /// A name of which another token is to be kept, or that was used just now; `None` for the token: it is not the user's
    /// own any more.
    pub fn take_changed(&mut self) -> Option<(String, Option<&str>)> {
        let name = self.changed.take()?;
        let token = self.tokens.get(&name);
        Some((name, token))
    }

    /// The user sends a line.
    pub fn sent(&mut self, line: &str) {
        match parse(line) {
            Ok(Command::LogIn(name, Some(token))) => {
                self.login = Some(Login(name.to_owned(), token.to_owned()));
            }
            Ok(Command::Nick(_) | Command::LogIn(_, None)) => self.login = None,
            _ => {}
        }
    }

    /// The client has this name now.
    pub fn named(&mut self, name: &str) {
        if let Some(Login(wanted, token)) = self.login.take()
            && wanted.to_lowercase() == name.to_lowercase()
        {
            self.tokens.set(name, Some(&token));
        }
        // One that is used is the one that was used last.
        if self.tokens.get(name).is_some() {
            self.changed = Some(name.to_owned());
        }
    }

    /// A token is wrong: it is not said again, though it stays where it is kept, and the name may be free.
    pub fn refused(&mut self, name: &str) {
        if self.login.take().is_none() {
            self.tokens.set(name, None);
        }
    }

    /// The client has registered its name; `command` takes it from elsewhere.
    pub fn registered(&mut self, name: &str, command: &str) {
        if let Ok(Command::LogIn(of, Some(token))) = parse(command)
            && of == name
        {
            self.tokens.set(name, Some(token));
            self.changed = Some(name.to_owned());
        }
    }

    /// A name is nobody's own any more.
    pub fn unregistered(&mut self, name: &str) {
        if self.tokens.get(name).is_some() {
            self.tokens.set(name, None);
            self.changed = Some(name.to_owned());
        }
    }
}
