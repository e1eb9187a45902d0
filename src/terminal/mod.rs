//! The terminal of a person and the signals of a process, for `join` and `ctl`: what the terminal can do, its modes,
//! waiting for both. Shows nothing.

pub mod poll;
pub mod signals;
pub mod tty;

use std::env;
use std::io::{self, IsTerminal};

/// Whether standard input and output are a terminal that understands control sequences.
pub fn is_interactive() -> bool {
    has_controls() && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Whether standard output may be coloured: it is a terminal, and the user does not object (<https://no-color.org>).
pub fn may_color() -> bool {
    // Set to anything but an empty string.
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && io::stdout().is_terminal() && has_controls()
}

/// Whether the terminal understands control sequences.
fn has_controls() -> bool {
    env::var("TERM").is_ok_and(|term| !matches!(&*term, "" | "dumb"))
}
