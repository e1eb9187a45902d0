//! What madang promises in figures, measured against the real program on the real kernel.
//!
//! ```text
//! cargo bench --bench promises                     every scenario at full size, some minutes
//! cargo bench --bench promises -- storm idle       only these
//! cargo bench --bench promises -- --short          every scenario at a reduced size, about a minute
//! ```
//!
//! Each scenario starts its own server as a child process on one core and plays all its clients from one thread on
//! another: loopback only, bounded in number and time, and every wait has a deadline. It prints a row a figure:
//! what was measured, what was aimed at, and whether it was met. A missed goal is a result; the exit status is 1
//! only if something could not be measured, or if lines were lost and not accounted for.
//!
//! To read it, begin with the lab (`load.rs`: the clients; `server.rs`: the child and what it costs), then a scenario.
//! What a line costs beside other servers is measured by `cargo bench --bench fanout`.

mod calls;
mod churn;
mod crowd;
mod flood;
mod growth;
#[path = "../lab/mod.rs"]
mod lab;
mod numbered;
mod room;
mod slow;
mod slowcrowd;
mod strace;

use std::env;
use std::process::ExitCode;

use lab::report::Report;
use lab::{Lab, Outcome};

/// A thing to measure: its name on the command line, its headline, and the code that does it.
struct Scenario {
    name: &'static str,
    headline: &'static str,
    run: fn(&Lab, &mut Report) -> Outcome<()>,
}

/// All that can be measured, in the order in which it is.
const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "syscalls",
        headline: "what the server asks of the kernel for a line",
        run: calls::syscalls,
    },
    Scenario {
        name: "idle",
        headline: "memory of connections that do nothing",
        run: crowd::idle,
    },
    Scenario {
        name: "storm",
        headline: "everybody connects at once",
        run: crowd::storm,
    },
    Scenario {
        name: "joins",
        headline: "announcements that one member hears while thousands join",
        run: crowd::joins,
    },
    Scenario {
        name: "slow",
        headline: "one member never reads while another sends at 30 MB/s",
        run: slow::slow,
    },
    Scenario {
        name: "fullspeed",
        headline: "a sender at full speed: no line unaccounted for",
        run: slow::full_speed,
    },
    Scenario {
        name: "flood",
        headline: "one member floods; do the others notice?",
        run: flood::flood,
    },
    Scenario {
        name: "members",
        headline: "what a delivery costs in rooms of ten to thousands",
        run: growth::members,
    },
    Scenario {
        name: "rooms",
        headline: "what a delivery costs in one to a thousand rooms",
        run: growth::rooms,
    },
    Scenario {
        name: "speakers",
        headline: "what a delivery costs when one to a thousand members speak",
        run: growth::speakers,
    },
    Scenario {
        name: "slowcrowd",
        headline: "none, a hundredth, half of a crowd do not read",
        run: slowcrowd::slow_crowd,
    },
    Scenario {
        name: "churn",
        headline: "connections come and go: does anything stay behind?",
        run: churn::churn,
    },
];

/// What the command line asked for.
enum Wish {
    /// Measure these.
    Measure {
        chosen: Vec<&'static Scenario>,
        short: bool,
    },
    /// `cargo test --all-targets` starts benches as well, without `--bench`: nothing to do.
    Nothing,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let finished = match understand(&arguments) {
        Ok(Wish::Measure { chosen, short }) => measure(&chosen, short),
        Ok(Wish::Nothing) => {
            println!("nothing measured: run `cargo bench --bench promises`");
            Ok(true)
        }
        Err(problem) => Err(problem),
    };
    match finished {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("promises: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn understand(arguments: &[String]) -> Outcome<Wish> {
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(Wish::Nothing);
    }
    let mut chosen = Vec::new();
    let mut short = false;
    for argument in arguments {
        match argument.as_str() {
            "--bench" => {}
            "--short" => short = true,
            name => chosen.push(scenario(name)?),
        }
    }
    if chosen.is_empty() {
        chosen.extend(SCENARIOS);
    }
    Ok(Wish::Measure { chosen, short })
}

fn scenario(name: &str) -> Outcome<&'static Scenario> {
    SCENARIOS
        .iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            format!(
                "no scenario is called {name:?}; there are: {}, and the option --short",
                known.join(", ")
            )
            .into()
        })
}

/// Runs the scenarios one after the other; true when all could be measured and all lines were accounted for.
fn measure(chosen: &[&Scenario], short: bool) -> Outcome<bool> {
    let lab = Lab::open(short)?;
    let mut report = Report::open(&lab.describe());
    for scenario in chosen {
        report.scenario(scenario.name, scenario.headline);
        if let Err(problem) = (scenario.run)(&lab, &mut report) {
            report.failure(&problem.to_string());
        }
    }
    Ok(report.close())
}
