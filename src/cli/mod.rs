//! The command line: every flag with its help, unit, default and environment variable. Flags are only read here; what
//! they do is elsewhere.

#[cfg(feature = "bench")]
mod bench;
pub mod control;
mod ctl;
mod join;
mod serve;
mod value;

#[cfg(feature = "bench")]
pub use bench::{Bench, Speaks};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
pub use ctl::Ctl;
pub use join::{Color, Join, Look};
pub use serve::{BehaviourFlags, Control, LimitFlags, ListenFlags, LogFlags, Serve};

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
    /// Send a command of operators to a running server, or watch it
    Ctl(Box<Ctl>),
    /// Load a running server and measure throughput, latency and loss
    #[cfg(feature = "bench")]
    Bench(Box<Bench>),
}

/// Ends the process because of a wrong use of this subcommand.
pub fn exit_wrong_use(subcommand: &str, why: &str) -> ! {
    let mut command = Cli::command();
    command.build();
    match command.find_subcommand_mut(subcommand) {
        Some(command) => command.error(ErrorKind::InvalidValue, why).exit(),
        None => command.error(ErrorKind::InvalidValue, why).exit(),
    }
}

impl Cli {
    /// Parses the arguments and the environment variables of this process. Ends the process after `--help` and `--version`,
    /// and if something is wrong.
    pub fn from_process() -> Cli {
        let matches = value::unify(Cli::command()).get_matches();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}
