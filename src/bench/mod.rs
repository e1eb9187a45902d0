//! `madang bench`, the load generator: it connects receivers and senders to a running server, measures what they receive
//! and when, and checks that no line is missing.
//!
//! One thread, one poll. `plan` is what to measure; `engine` has all connections, made by `socket`; `setup` makes them and
//! sends them to their rooms; `run` sends; `recorder` receives, counts in `accounting` and takes times; `line` is how lines
//! are written and read; `nodes` is what passes between nodes of a cluster;
//! `process` is what the server costs, `figure` what is computed, `report` and `progress` what is
//! shown. Nothing here uses the server's code but `protocol`; TLS is the same
//! as in `join`. The benches use the same parts, which are therefore public.

#[doc(hidden)]
pub mod accounting;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod figure;
pub mod line;
mod nodes;
pub mod plan;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod progress;
#[doc(hidden)]
pub mod recorder;
mod report;
mod run;
#[doc(hidden)]
pub mod setup;
#[doc(hidden)]
pub mod socket;

use engine::Engine;
use figure::difference;
use line::Format;
use plan::{Plan, Protocol};
use process::Process;
use progress::Progress;
use recorder::Recorder;
use report::Findings;
use run::Run;
use socket::Dialler;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many different numbers runs have.
const RUNS: u64 = 1 << 24;

/// Measures a server and writes the result. Returns whether the lines received and the lines reported as skipped are all
/// lines sent. `descriptors` is how many this process may have.
///
/// # Errors
/// The server could not be measured: the error says why, and what to do.
pub fn run(plan: &Plan, descriptors: u64, out: &mut impl Write) -> Result<bool, String> {
    plan.check(descriptors)?;
    let process = plan.pid.map(process).transpose()?;
    let number = run_number();
    let mut progress = Progress::new(true);
    let format = Format::new(plan.protocol, plan.line_bytes, number);
    let mut recorder = Recorder::new(plan, format);
    let dialler = Dialler::new(&plan.targets, &plan.tls, plan.nodes(), number)?;
    let mut engine = Engine::new(dialler)?;

    let memory = || process.as_ref().map(Process::memory_bytes).transpose();
    let memory_before = memory()?;
    let connecting_ns = setup::connect(&mut engine, plan, &mut progress)?;
    match plan.protocol {
        Protocol::Madang => setup::join(&mut engine, plan, number, &mut progress)?,
        Protocol::Raw => setup::probe(&mut engine, plan, &recorder.format, &mut progress)?,
    }
    let memory_after = memory()?;
    let run = Run::new(plan, &mut engine, &mut recorder);
    let timing = run.go(process.as_ref(), &mut progress)?;
    progress.end();
    engine.close();

    let totals = recorder.accounting.totals();
    let findings = Findings {
        plan,
        connecting_ns,
        memory_bytes: memory_after
            .zip(memory_before)
            .map(|(after, before)| difference("memory of the server", after, before)),
        timing,
        recorder: &recorder,
        totals,
    };
    let written = if plan.json {
        writeln!(out, "{:#}", findings.json())
    } else {
        out.write_all(findings.text().as_bytes())
    };
    written
        .and_then(|()| out.flush())
        .map_err(|error: io::Error| format!("cannot write the result: {error}"))?;
    Ok(totals.adds_up())
}

/// The server's process, if the system reports what it uses.
fn process(pid: u32) -> Result<Process, String> {
    let process = Process::new(pid);
    let known = process.memory_bytes().and(process.cpu_ns());
    known
        .map(|_| process)
        .map_err(|error| format!("--pid {pid}: {error}"))
}

/// A number that distinguishes this run, its rooms and its lines, from others that are going on.
fn run_number() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.map_or(0, |since| since.as_nanos() as u64);
    (nanos >> 10 ^ u64::from(std::process::id()) << 12) % RUNS
}
