//! The command line: every flag with its help, unit, default and environment variable. Flags are only read here; what
//! they do is elsewhere.

#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "generate")]
mod generate;
mod join;
mod serve;
mod value;

#[cfg(feature = "bench")]
pub use bench::{Bench, Speaks};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
#[cfg(feature = "generate")]
pub use generate::Generate;
pub use join::{Color, Join, Look};
pub use serve::{BehaviourFlags, LimitFlags, ListenFlags, LogFlags, Serve};

/// A server for lines of text: what one connection sends, the others in its room receive.
#[derive(Debug, Parser)]
#[command(name = "madang", version, max_term_width = 80)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a server until SIGTERM or SIGINT
    Serve(Box<Serve>),
    /// Join a server, from a terminal or a pipe
    Join(Box<Join>),
    /// Load a running server and measure throughput, latency and loss
    #[cfg(feature = "bench")]
    Bench(Box<Bench>),
    /// Write manual pages and completions for shells: for those who make packages
    #[cfg(feature = "generate")]
    #[command(hide = true)]
    Generate(Generate),
}

impl Cli {
    /// Parses the arguments and the environment variables of this process. Ends the process after `--help` and `--version`,
    /// and if something is wrong.
    pub fn from_process() -> Cli {
        let matches = Cli::whole().get_matches();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The whole command line.
    pub fn whole() -> clap::Command {
        value::unify(Cli::command())
    }
}
