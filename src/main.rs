//! The `madang` program: parses the command line, runs the subcommand, and turns its result into an exit status.

#[cfg(feature = "bench")]
use madang::bench;
#[cfg(feature = "bench")]
use madang::cli::Bench;
use madang::cli::{Cli, Command, Ctl, Join, Keeper, Serve, exit_wrong_use};
#[cfg(feature = "generate")]
use madang::generate;
use madang::net::reactor;
use madang::{ctl, join, keeper, serve};
use std::error::Error;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

type Outcome = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    let cli = match Cli::from_process() {
        Ok(cli) => cli,
        Err(mistakes) => return fail(&mistakes),
    };
    let outcome = match cli.command {
        Command::Serve(flags) | Command::Check(flags) if flags.print_config => print_config(&flags),
        Command::Serve(flags) => run_serve(&flags),
        Command::Check(flags) => run_check(&flags),
        Command::Join(flags) => run_join(&flags),
        Command::Ctl(flags) => run_ctl(&flags),
        #[cfg(feature = "bench")]
        Command::Bench(flags) => run_bench(&flags),
        Command::Keeper(flags) => run_keeper(&flags),
        #[cfg(feature = "generate")]
        Command::Generate(flags) => generate::run(&flags)
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
    };
    outcome.unwrap_or_else(|error| fail(&[error.to_string()]))
}

/// Tells what is wrong, one line each.
fn fail(lines: &[String]) -> ExitCode {
    for line in lines {
        // Not `eprintln`, which panics if standard error is closed.
        let _ = writeln!(std::io::stderr(), "madang: {line}");
    }
    ExitCode::FAILURE
}

fn print_config(flags: &Serve) -> Outcome {
    serve::print_config(flags)?;
    Ok(ExitCode::SUCCESS)
}

fn run_check(flags: &Serve) -> Outcome {
    let wrong = serve::check(flags);
    if !wrong.is_empty() {
        return Ok(fail(&wrong));
    }
    writeln!(std::io::stdout(), "ok")?;
    Ok(ExitCode::SUCCESS)
}

fn run_serve(flags: &Serve) -> Outcome {
    Ok(match serve::run(flags)? {
        reactor::Ended::Drained => ExitCode::SUCCESS,
        reactor::Ended::Forced(signal) => killed_by(signal),
    })
}

fn run_join(flags: &Join) -> Outcome {
    match join::run(&flags.plan()?)? {
        join::Ended::Left => Ok(ExitCode::SUCCESS),
        join::Ended::Unsent(lines) => Err(format!("lines that could not be sent: {lines}").into()),
        join::Ended::Lost(why) => {
            Err(format!("the connection to {} is lost: {why}", flags.address).into())
        }
        join::Ended::Foreign(why) => {
            Err(format!("{} is not a madang server: {why}", flags.address).into())
        }
        join::Ended::Refused => Ok(ExitCode::FAILURE),
        join::Ended::Unprinted(why) => {
            Err(format!("cannot write to standard output: {why}").into())
        }
        join::Ended::Signal(signal) => Ok(killed_by(signal)),
    }
}

fn run_ctl(flags: &Ctl) -> Outcome {
    let plan = flags
        .plan()
        .unwrap_or_else(|why| exit_wrong_use("ctl", &why));
    let mut out = BufWriter::new(std::io::stdout().lock());
    Ok(match ctl::run(&plan, &mut out, &mut std::io::stderr())? {
        ctl::Ended::Done => ExitCode::SUCCESS,
        ctl::Ended::Refused => ExitCode::FAILURE,
        ctl::Ended::Signal(signal) => killed_by(signal),
    })
}

#[cfg(feature = "bench")]
fn run_bench(flags: &Bench) -> Outcome {
    let descriptors = serve::raise_descriptor_limit();
    let adds_up = bench::run(&flags.plan()?, descriptors, &mut std::io::stdout().lock())?;
    Ok(if adds_up {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run_keeper(flags: &Keeper) -> Outcome {
    if flags.repair {
        let done = keeper::repair(&flags.folder)?;
        writeln!(std::io::stdout(), "{done}")?;
    } else {
        keeper::run(&flags.folder, flags.acknowledged)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit status that a shell shows for a process that a signal has ended.
fn killed_by(signal: i32) -> ExitCode {
    ExitCode::from(128 + signal as u8)
}
