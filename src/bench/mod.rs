//! `madang bench`: receivers and senders for a running server, what they measure, and whether it adds up.
//!
//! One thread, one poll. `plan` is what is asked for; `load` is all connections, made by `socket`; `arrive` lets them
//! in; `run` sends; `witness` hears, keeps the account in `ledger` and measures; `line` is what a line carries;
//! `process` asks the system what the server uses; `report` and `progress` tell. Nothing of the server is used here, so
//! that what is measured is judged by somebody else.

mod arrive;
mod ledger;
pub mod line;
mod load;
pub mod plan;
mod process;
mod progress;
mod report;
mod run;
mod socket;
mod witness;

use line::Form;
use load::Load;
use plan::{Plan, Protocol};
use process::Process;
use progress::Progress;
use report::Findings;
use run::Run;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use witness::Witness;

/// How many different numbers runs have.
const RUNS: u64 = 1 << 24;

/// Measures a server and writes the result; whether lines received and lines told as skipped are all lines sent.
///
/// # Errors
/// It could not be measured: the error says why, and what to do.
pub fn run(plan: &Plan, descriptors: u64, out: &mut impl Write) -> Result<bool, String> {
    plan.check(descriptors)?;
    let process = plan.pid.map(Process::new).transpose()?;
    let number = run_number();
    let mut progress = Progress::new();
    let mut witness = Witness::new(plan, Form::new(plan.protocol, plan.line_bytes, number));
    let mut load = Load::new(plan, number)?;

    let memory = || process.as_ref().map(Process::memory_bytes).transpose();
    let memory_before = memory()?;
    let connecting_ns = arrive::connect(&mut load, plan, &mut progress)?;
    match plan.protocol {
        Protocol::Madang => arrive::join(&mut load, plan, number, &mut progress)?,
        Protocol::Raw => arrive::probe(&mut load, plan, &witness.form, &mut progress)?,
    }
    let memory_after = memory()?;
    let run = Run::new(plan, &mut load, &mut witness);
    let course = run.go(process.as_ref(), &mut progress)?;
    progress.end();

    let account = witness.ledger.account();
    let findings = Findings {
        plan,
        connecting_ns,
        memory_bytes: memory_before
            .zip(memory_after)
            .map(|(before, after)| (after as f64 - before as f64) / plan.connections() as f64),
        course,
        witness: &witness,
        account,
    };
    let written = if plan.json {
        writeln!(out, "{:#}", findings.json())
    } else {
        out.write_all(findings.text().as_bytes())
    };
    written
        .and_then(|()| out.flush())
        .map_err(|error: io::Error| format!("cannot write the result: {error}"))?;
    Ok(account.adds_up())
}

/// A number that no other run has that is going on: rooms and lines are told apart by it.
fn run_number() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.map_or(0, |since| since.as_nanos() as u64);
    (nanos >> 10 ^ u64::from(std::process::id()) << 12) % RUNS
}
