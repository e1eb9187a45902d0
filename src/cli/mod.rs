//! The command line: every flag with its help, unit, default and environment variable. Flags are only read here; what
//! they do is elsewhere.

mod access;
#[cfg(feature = "bench")]
mod bench;
mod cluster;
mod config_file;
pub mod control;
mod ctl;
#[cfg(feature = "generate")]
mod generate;
mod join;
mod keeper;
mod names;
mod serve;
mod settings;
mod tls;
mod tls_client;
mod value;

use crate::address::Target;
use crate::config;
#[cfg(feature = "bench")]
pub use bench::{Bench, Speaks};
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
pub use cluster::{ClusterFlags, EngineUrl, LANES};
pub use control::Control;
pub use ctl::Ctl;
#[cfg(feature = "generate")]
pub use generate::Generate;
pub use join::{Color, Join, Look};
pub use keeper::Keeper;
pub use names::NameFlags;
pub use serve::{BehaviourFlags, LimitFlags, ListenFlags, LogFlags, Serve};
pub use settings::{Setting, Source, in_force};
use std::ffi::OsString;
use std::path::PathBuf;
pub use tls_client::TlsFlags;

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
    /// Check the flags, variables and the configuration file of a server, without starting it
    Check(Box<Serve>),
    /// Join a server, from a terminal or a pipe
    Join(Box<Join>),
    /// Send a command of operators to a running server, or watch it
    Ctl(Box<Ctl>),
    /// Load a running server and measure throughput, latency and loss
    #[cfg(feature = "bench")]
    Bench(Box<Bench>),
    /// Keep what must last, for a server; or repair a damaged state
    #[command(hide = true)]
    Keeper(Keeper),
    /// Write manual pages and completions for shells: for those who make packages
    #[cfg(feature = "generate")]
    #[command(hide = true)]
    Generate(Generate),
}

/// Why there is no [`Cli`].
#[derive(Debug)]
pub enum Wrong {
    /// The command line or a variable is wrong, or help is asked for.
    Usage(clap::Error),
    /// The configuration file is: one line for each mistake.
    File(Vec<String>),
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
    /// Parses the arguments and the environment variables of this process, and the configuration file that they name. Ends the
    /// process after `--help` and `--version`, and if the command line is wrong.
    ///
    /// # Errors
    /// What is wrong in the file, one line each.
    pub fn from_process() -> Result<Cli, Vec<String>> {
        parse(std::env::args_os()).map_err(|wrong| match wrong {
            Wrong::Usage(error) => error.exit(),
            Wrong::File(lines) => lines,
        })
    }

    /// The flags with which this process serves, by what its configuration file says now.
    ///
    /// # Errors
    /// What is wrong in the file, one line each.
    pub fn serve_again() -> Result<Box<Serve>, Vec<String>> {
        let cli = parse(std::env::args_os()).map_err(|wrong| match wrong {
            Wrong::Usage(error) => vec![error.to_string()],
            Wrong::File(lines) => lines,
        })?;
        match cli.command {
            Command::Serve(serve) => Ok(serve),
            _ => Err(vec!["this process does not serve".into()]),
        }
    }

    /// The whole command line.
    pub fn whole() -> clap::Command {
        value::unify(Cli::command())
    }
}

/// Parses twice if there is a configuration file: the first time finds it, and the second has its values as defaults. So a
/// flag takes precedence over its variable, and that over the file.
fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Cli, Wrong> {
    let arguments: Vec<OsString> = arguments.collect();
    let command = value::unify(Cli::command());
    let mut matches = get_matches(&command, &arguments)?;
    let mut file = None;
    if let Some((name @ ("serve" | "check"), of)) = matches.subcommand()
        && let Some(path) = of.get_one::<PathBuf>("config")
    {
        let name = name.to_owned();
        let mut read = config::read(path).map_err(|line| Wrong::File(vec![line]))?;
        let mut mistakes = Vec::new();
        let laid = command.clone().mut_subcommand(name, |of| {
            config_file::lay_under(of.clone(), &mut read).unwrap_or_else(|lines| {
                mistakes = lines;
                of
            })
        });
        if !mistakes.is_empty() {
            return Err(Wrong::File(mistakes));
        }
        matches = get_matches(&laid, &arguments)?;
        file = Some(read);
    }
    let mut cli = Cli::from_arg_matches(&matches).map_err(Wrong::Usage)?;
    check_tls(&cli, &matches)?;
    if let Command::Serve(serve) | Command::Check(serve) = &mut cli.command
        && let Some((name, of)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        serve.settings = settings::settings(command, of, file.as_ref());
    }
    Ok(cli)
}

/// Flags of clients for TLS need a server over TLS.
fn check_tls(cli: &Cli, matches: &ArgMatches) -> Result<(), Wrong> {
    let servers: Vec<&Target> = match &cli.command {
        Command::Join(join) => vec![&join.address],
        #[cfg(feature = "bench")]
        Command::Bench(bench) => bench.targets().collect(),
        _ => return Ok(()),
    };
    let Some((name, of)) = matches.subcommand() else {
        return Ok(());
    };
    let mut servers = servers.into_iter();
    servers
        .try_for_each(|server| tls_client::check(of, server))
        .map_err(|why| {
            let mut command = Cli::command();
            command.build();
            let kind = ErrorKind::ArgumentConflict;
            Wrong::Usage(match command.find_subcommand_mut(name) {
                Some(command) => command.error(kind, why),
                None => command.error(kind, why),
            })
        })
}

/// The subcommand `serve` as it is parsed. For tests.
#[cfg(any(test, fuzzing))]
fn serve_command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
        .find_subcommand("serve")
        .expect("it is there")
        .clone()
}

/// The settings of a server whose file, `f`, has these bytes, and that has no other flag. For tests.
#[cfg(any(test, fuzzing))]
pub(crate) fn settings_of(bytes: &[u8]) -> Result<Vec<Setting>, Vec<String>> {
    let serve = serve_command();
    let mut file = config::parse("f".as_ref(), bytes).map_err(|line| vec![line])?;
    let laid = config_file::lay_under(serve.clone(), &mut file)?;
    let matches = laid.try_get_matches_from(["serve"]);
    let matches = matches.map_err(|error| vec![error.to_string()])?;
    Ok(settings::settings(&serve, &matches, Some(&file)))
}

fn get_matches(command: &clap::Command, arguments: &[OsString]) -> Result<ArgMatches, Wrong> {
    let matches = command.clone().try_get_matches_from(arguments);
    matches.map_err(Wrong::Usage)
}
