//! The terminal client: what is typed stays whole while lines come in above it. Where there is no terminal, a pipe.
//!
//! # Where to read
//! What needs no terminal to be understood comes first, each without input and output. `keys` makes keys of a keyboard's
//! bytes; `edit` is the line that is typed, `history` those typed before, `complete` what Tab does. `tag` tells who a line
//! of the server's is from, `session` keeps what is known of the conversation, `paint` says how a line looks. `cells` says
//! how wide text is, and `screen` what to write so that the typed line stays below all others. `talk` composes them:
//! what the client does with a key and with a line.
//!
//! Then what touches the world: `tty` is the terminal, `link` the connection with its `outgoing` lines, `store` the file of
//! lines typed before, `log` the server's log where its console shows it, `signals` what they say. `drive` is the loop over
//! them, which waits in `poll`; `pipe` is another, for when nobody edits.

pub mod cells;
pub mod complete;
mod drive;
pub mod edit;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod history;
pub mod keys;
mod link;
mod log;
mod outgoing;
pub mod paint;
mod pipe;
mod poll;
pub mod screen;
pub mod session;
mod signals;
mod store;
pub mod tag;
pub mod talk;
pub mod tty;

use crate::address::Address;
use drive::{Drive, Role};
use history::History;
use link::{Link, Places};
use log::Log;
use paint::Colors;
use pipe::Pipe;
use screen::Screen;
use session::Session;
use std::env;
use std::io::{self, IsTerminal};
use std::os::unix::net::UnixStream;
use store::Store;
use talk::{Look, Talk};
use tty::Tty;

/// What is to be joined, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub address: Address,
    /// The name to take; `None`: what the server gives.
    pub nick: Option<String>,
    /// The room to go to; `None`: where the server puts newcomers.
    pub room: Option<String>,
    /// A connection that is lost on a terminal is made again.
    pub reconnect: bool,
    /// How lines are shown.
    pub show: Show,
}

/// How lines are shown.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    /// Whether there are colours; `None`: on a terminal, unless `NO_COLOR` is set.
    pub color: Option<bool>,
    /// The time stands before each line.
    pub timestamps: bool,
    /// The terminal's bell rings for what is meant for this client.
    pub bell: bool,
}

/// How the client came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it was meant to.
    Left,
    /// As it was meant to, but so many lines could not be sent.
    Unsent(usize),
    /// The connection was lost, and why.
    Lost(String),
    /// What came could not be printed, and why.
    Unprinted(String),
    /// By this signal.
    Signal(i32),
}

/// Joins a server: at a terminal, or as a pipe.
///
/// # Errors
/// It cannot be reached, or the terminal cannot be used.
pub fn run(plan: &Plan) -> Result<Ended, String> {
    let unreachable = |error| format!("cannot join {}: {}", plan.address, link::why(&error));
    let places = Places::of(&plan.address).map_err(unreachable)?;
    let socket = places.connect().map_err(unreachable)?;
    let link = Link::new(socket, Some(places)).map_err(unreachable)?;
    let session = Session::new(plan.nick.clone(), plan.room.clone());
    let reconnect = plan.reconnect;
    talk(link, session, plan.show, Role::Client { reconnect })
}

/// Talks over a connection that was given, for the one who runs the server, until either side ends it. `log`: the other
/// end of the server's log, if it is to be shown here.
///
/// # Errors
/// The terminal cannot be used.
pub fn console(socket: UnixStream, log: Option<UnixStream>, show: Show) -> Result<Ended, String> {
    let log = log.map(Log::new).transpose();
    let prepared = log.and_then(|log| Ok((Link::new(socket.into(), None)?, log)));
    let (link, log) = prepared.map_err(|error| format!("the console cannot be used: {error}"))?;
    talk(link, Session::default(), show, Role::Console { log })
}

/// Whether there is a terminal on which lines can be edited.
pub fn has_editor() -> bool {
    let understands = env::var("TERM").is_ok_and(|term| !matches!(&*term, "" | "dumb"));
    understands && io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn talk(link: Link, session: Session, show: Show, role: Role) -> Result<Ended, String> {
    if !has_editor() {
        return Ok(Pipe::new(link, session, show.look()).run());
    }
    edit(link, session, show, role).map_err(|error| format!("the terminal cannot be used: {error}"))
}

fn edit(link: Link, session: Session, show: Show, role: Role) -> io::Result<Ended> {
    let tty = Tty::open()?;
    let (cols, rows) = tty.size()?;
    let (store, history) = match Store::open() {
        Ok((store, history)) => (Ok(store), history),
        Err(error) => (Err(error), History::default()),
    };
    let mut talk = Talk::new(session, Screen::new(cols, rows), history, show.look());
    if let Err(error) = &store {
        talk.refuse(&format!("what you type is not kept: {error}"));
    }
    Ok(Drive::new(tty, talk, link, role, store.ok())?.run())
}

impl Show {
    fn look(self) -> Look {
        let term = env::var("TERM").unwrap_or_default();
        let wanted = self.color.unwrap_or_else(|| {
            // https://no-color.org: any value but an empty one.
            let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !unwanted && io::stdout().is_terminal() && !matches!(&*term, "" | "dumb")
        });
        let many = term.contains("256color") || env::var_os("COLORTERM").is_some();
        Look {
            colors: match (wanted, many) {
                (false, _) => Colors::None,
                (true, false) => Colors::Eight,
                (true, true) => Colors::Palette,
            },
            timestamps: self.timestamps,
            bell: self.bell,
        }
    }
}

/// The time of day where the user is.
fn time() -> String {
    jiff::Zoned::now().strftime("%H:%M").to_string()
}
