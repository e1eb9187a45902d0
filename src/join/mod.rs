//! The terminal client. The line that is typed stays whole while lines from the server are shown above it. Where there is
//! no terminal, the client is a pipe.
//!
//! # Where to read
//! First what does no input or output. [`session`] is what the client knows from the server's lines: its name, its room,
//! the members. `request` is what must be answered before more is said, `transcript`
//! what the screen shows already when history comes. [`ui`] is the user interface: keys and lines go in, bytes for the
//! terminal and actions come out.
//!
//! Then the outside. `endpoints` is where the server is, `connection` its socket with its `send_queue`, `history_file` the file of typed lines,
//! `tokens` the files of tokens, `server_log` the server's log on its console; the terminal and the signals are [`terminal`](crate::terminal).
//! `event_loop` connects all these with the user interface. `pipe` is the other loop, for a client without line editing:
//! `printer` is what it prints, `typed_password` a password that is typed there.

mod clock;
mod connection;
mod ended;
mod endpoints;
mod event_loop;
mod history_file;
mod own_names;
mod pipe;
mod printer;
mod request;
mod role;
mod send_queue;
mod server_log;
pub mod session;
mod state_folder;
mod tokens;
mod transcript;
mod typed_password;
pub mod ui;

pub use ended::Ended;

use crate::address::Target;
use crate::password_file::Password;
pub use crate::terminal::is_interactive as has_editor;
use crate::terminal::may_color;
use crate::terminal::tty::{self, Tty};
use crate::tls_client::{self, Config, Stream};
use connection::{Connection, explain};
use endpoints::Endpoints;
use event_loop::EventLoop;
use history_file::HistoryFile;
use pipe::Pipe;
use role::Role;
use server_log::ServerLog;
use session::Session;
use std::env;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use tokens::TokenFolder;
use ui::Ui;
use ui::history::History;
use ui::paint::{Colors, Style};
use ui::screen::Screen;

/// What to join, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub server: Target,
    /// Whom to trust, if it is joined over TLS, and who the client is.
    pub tls: tls_client::Options,
    /// The name to request; `None`: the one that the server gives.
    pub nick: Option<String>,
    /// The room to join; `None`: the one where the server puts newcomers.
    pub room: Option<String>,
    /// The password, for a server that asks for one.
    pub password: Option<Password>,
    /// Whether a client on a terminal reconnects when the connection is lost.
    pub reconnect: bool,
    /// How to show lines.
    pub show: Show,
}

/// How to show lines.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    /// Whether to use colours; `None`: on a terminal, unless `NO_COLOR` is set.
    pub color: Option<bool>,
    /// Whether to show the time before each line.
    pub timestamps: bool,
    /// Whether to ring the terminal's bell for a mention or a private line.
    pub bell: bool,
}

/// Joins a server, on a terminal or as a pipe.
///
/// # Errors
/// The server cannot be reached, or the terminal cannot be used.
pub fn run(plan: &Plan) -> Result<Ended, String> {
    let server = &plan.server;
    let cannot = |why: String| format!("cannot join {server}: {why}");
    let unreachable = |error| cannot(explain(&error));
    let tls = server.tls_host().map(|host| Config::new(&plan.tls, host));
    let tls = tls.transpose().map_err(cannot)?;
    let endpoints = Endpoints::resolve(server, tls).map_err(unreachable)?;
    let stream = endpoints.connect().map_err(unreachable)?;
    let connection = Connection::new(stream, Some(endpoints));
    let session = Session::new(plan.nick.clone(), plan.room.clone(), plan.password.clone());
    let (tokens, known) = TokenFolder::of_server(&server.to_string());
    // A script without a name must not take that of the person who runs it.
    let session = session.with_tokens(known, has_editor());
    let reconnect = plan.reconnect;
    talk(
        connection,
        session,
        plan.show,
        Role::Client { reconnect, tokens },
    )
}

/// Runs the server's console over this connection, until either side closes it. `log` is the receiving side of the server's
/// log, if the console is to show it.
///
/// # Errors
/// The terminal cannot be used.
pub fn console(socket: UnixStream, log: Option<UnixStream>, show: Show) -> Result<Ended, String> {
    let log = log.map(ServerLog::new).transpose();
    let prepared = log.and_then(|log| Ok((Stream::new(socket.into(), None)?, log)));
    let (stream, log) = prepared.map_err(|error| format!("cannot use the console: {error}"))?;
    let connection = Connection::new(stream, None);
    talk(connection, Session::default(), show, Role::Console { log })
}

/// The path of the file of typed lines, if they are edited on a terminal. Creates its directory, so that the right to use
/// it can be kept when all others are given up.
pub fn create_history_folder() -> Option<PathBuf> {
    has_editor().then(HistoryFile::create_folder).flatten()
}

fn talk(connection: Connection, session: Session, show: Show, role: Role) -> Result<Ended, String> {
    if !has_editor() {
        return Ok(Pipe::new(connection, session, show.style(), role).run());
    }
    let unusable = |error| format!("cannot use the terminal: {error}");
    let tty = Tty::open(tty::LINES).map_err(unusable)?;
    let (cols, rows) = tty.size().map_err(unusable)?;
    let (file, history) = match HistoryFile::open() {
        Ok((file, history)) => (Ok(file), history),
        Err(error) => (Err(error), History::default()),
    };
    let mut ui = Ui::new(session, Screen::new(cols, rows), history, show.style());
    if let Err(error) = &file {
        ui.error(&format!("typed lines are not saved: {error}"));
    }
    let event_loop = EventLoop::new(tty, ui, connection, role, file.ok());
    Ok(event_loop.map_err(unusable)?.run())
}

impl Show {
    fn style(self) -> Style {
        let use_colors = self.color.unwrap_or_else(may_color);
        let has_256 = env::var("TERM").is_ok_and(|term| term.contains("256color"))
            || env::var_os("COLORTERM").is_some();
        Style {
            colors: match (use_colors, has_256) {
                (false, _) => Colors::None,
                (true, false) => Colors::Eight,
                (true, true) => Colors::Palette,
            },
            timestamps: self.timestamps,
            bell: self.bell,
        }
    }
}
