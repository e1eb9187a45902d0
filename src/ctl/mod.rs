//! `madang ctl`: an operator's commands for a running server, over its control socket, and a live table of what it does.
//!
//! # Where to read
//! First what does no input or output: `answer` is the answer to a command, as text and as JSON; [`snapshot`] is what a
//! server tells of itself at one moment, and [`rates`] how it changes from one to the next; [`table`] is how a person sees
//! that. Then the outside: `client` is the connection, `command` asks once, `watch` goes on asking, and
//! `top` draws.

mod answer;
mod client;
mod command;
pub mod rates;
pub mod snapshot;
pub mod table;
mod top;
mod watch;

use crate::terminal;
use client::Client;
use std::io::Write;
use std::path::PathBuf;

/// What to ask, and whom.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the control socket may be: the first that accepts a connection is used.
    pub places: Vec<PathBuf>,
    /// What to do there.
    pub task: Task,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Send this command, and print the answer; as JSON if the flag is set.
    Command(String, bool),
    /// Show a live table.
    Top,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it was wanted.
    Done,
    /// The server has refused something. Standard error has the reason already.
    Refused,
    /// A signal, by its number.
    Signal(i32),
}

/// Connects to a server and does what is wanted. Answers go to `out`, reasons of refusals to `err`.
///
/// # Errors
/// The server cannot be reached, goes away or does not answer, or the answer cannot be written: one line for the operator.
pub fn run(plan: &Plan, out: &mut dyn Write, err: &mut dyn Write) -> Result<Ended, String> {
    let client = Client::connect(&plan.places)?;
    match &plan.task {
        Task::Command(line, as_json) => command::run(client, line, *as_json, out, err),
        Task::Top if terminal::is_interactive() => top::run(client),
        Task::Top => top::print(client, out),
    }
}
