//! Every flag: its help, its unit, its default, its environment variable. Nothing is done here but reading them.

#[cfg(feature = "bench")]
mod bench;
mod join;
mod serve;

#[cfg(feature = "bench")]
pub use bench::{Bench, Speaks};
use clap::{Parser, Subcommand};
pub use join::{Color, Join, Look};
pub use serve::{Half, LogFormat, LogLevel, Serve, Slow};

/// A server for lines of text: what one connection sends, the others in its room receive.
#[derive(Debug, Parser)]
#[command(name = "madang", version, max_term_width = 80)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve lines of text until SIGTERM or SIGINT
    #[command(max_term_width = 80)]
    Serve(Box<Serve>),
    /// Talk on a server: at a terminal, or as a pipe
    #[command(max_term_width = 80)]
    Join(Box<Join>),
    /// Measure a running server: connect, send, and see what arrives and when
    #[cfg(feature = "bench")]
    #[command(max_term_width = 80)]
    Bench(Box<Bench>),
}
