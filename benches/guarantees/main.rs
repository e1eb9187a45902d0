//! What madang guarantees in figures, measured on the real program and the real kernel.
//!
//! ```text
//! cargo bench --bench guarantees                   every scenario at full size, some minutes
//! cargo bench --bench guarantees -- storm idle     only these
//! cargo bench --bench guarantees -- --short        every scenario at a reduced size, two to three minutes
//! ```
//!
//! Each scenario starts its own server as a child process on one core, and runs all its clients in one thread on
//! another: loopback only, bounded in number and time, and every wait has a deadline. It prints a row for each figure:
//! what was measured, the goal, and whether it was met. A missed goal is a result; the exit status is 1 only if something
//! could not be measured, or if lines were lost without being reported as skipped.
//!
//! Read the harness first (`load.rs`: the clients; `server.rs`: the child process), then `pair.rs` and `flooders.rs` (healthy
//! clients and those that flood), then a scenario.
//! `cargo bench --bench fanout` measures what a line costs beside other servers.

mod background;
mod calls;
mod churn;
mod commands;
mod crowd;
mod flood;
mod flooders;
mod giveup;
mod growth;
#[path = "../harness/mod.rs"]
mod harness;
mod laggards;
mod pair;
mod pause;
mod private;
mod rate;
mod refused;
mod room;
mod scrape;
mod slow;
mod slowcrowd;
mod strace;
mod tls;
mod unread;
mod wait;

use std::process::ExitCode;

use harness::report::Report;
use harness::{Harness, Outcome, Request, Scenario};

type Run = fn(&Harness, &mut Report) -> Outcome<()>;

/// In the order in which they are measured.
const SCENARIOS: &[Scenario<Run>] = &[
    Scenario {
        name: "syscalls",
        headline: "system calls of the server for a line",
        run: calls::syscalls,
    },
    Scenario {
        name: "idle",
        headline: "memory of idle connections",
        run: crowd::idle,
    },
    Scenario {
        name: "storm",
        headline: "thousands connect at once",
        run: crowd::storm,
    },
    Scenario {
        name: "joins",
        headline: "announcements to one member while thousands join",
        run: crowd::joins,
    },
    Scenario {
        name: "slow",
        headline: "one member never reads while another sends at 30 MB/s",
        run: slow::slow,
    },
    Scenario {
        name: "unread",
        headline: "one of twenty never reads: the longest silence of the others, beside other servers",
        run: unread::unread,
    },
    Scenario {
        name: "laggards",
        headline: "readers stop and catch up by turns: what they cost their room",
        run: laggards::laggards,
    },
    Scenario {
        name: "wait",
        headline: "--slow wait: one reads 12 KB a second",
        run: wait::wait,
    },
    Scenario {
        name: "fullspeed",
        headline: "a sender at full speed: no line unaccounted for",
        run: slow::full_speed,
    },
    Scenario {
        name: "flood",
        headline: "members flood: how late another member's lines are",
        run: flood::flood,
    },
    Scenario {
        name: "growing",
        headline: "the same with lines that grow most when they are rendered",
        run: flood::growing,
    },
    Scenario {
        name: "quiet",
        headline: "300 rooms flood: how late lines are in a quiet room",
        run: flood::quiet,
    },
    Scenario {
        name: "commands",
        headline: "60 clients, each in its own room, repeat a command: how late a line of others is",
        run: commands::commands,
    },
    Scenario {
        name: "private",
        headline: "private lines flood a slow reader: whether the lines of a friend arrive",
        run: private::private,
    },
    Scenario {
        name: "rate",
        headline: "--rate: one address connects again and again",
        run: rate::rate,
    },
    Scenario {
        name: "refused",
        headline: "a storm of refused newcomers that send",
        run: refused::refused,
    },
    Scenario {
        name: "giveup",
        headline: "members that do not read leave at once and are given up",
        run: giveup::give_up,
    },
    Scenario {
        name: "pause",
        headline: "the process is stopped for longer than --idle-timeout",
        run: pause::pause,
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
        headline: "what a delivery costs when one to a thousand members send",
        run: growth::speakers,
    },
    Scenario {
        name: "slowcrowd",
        headline: "none, a hundredth, half of the members do not read",
        run: slowcrowd::slow_crowd,
    },
    Scenario {
        name: "scrape",
        headline: "what a scrape of the metrics page takes of the event loop",
        run: scrape::scrape,
    },
    Scenario {
        name: "churn",
        headline: "connections come and go: what stays behind",
        run: churn::churn,
    },
    Scenario {
        name: "idletls",
        headline: "memory of idle connections over TLS",
        run: tls::idle,
    },
    Scenario {
        name: "handshakes",
        headline: "clients over TLS come and go: what a handshake costs, and how late lines of a pair without TLS are",
        run: tls::handshakes,
    },
];

fn main() -> ExitCode {
    harness::run("guarantees", SCENARIOS, measure)
}

/// Runs the scenarios one after the other; true when all could be measured and no line was unaccounted for.
fn measure(request: Request<Run>) -> Outcome<bool> {
    if let Some(argument) = request.rest.first() {
        return Err(harness::unknown(argument, SCENARIOS, &["--short"]));
    }
    let harness = Harness::new(request.short)?;
    let mut report = Report::begin(&harness.describe());
    for scenario in request.scenarios {
        report.scenario(scenario.name, scenario.headline);
        if let Err(problem) = (scenario.run)(&harness, &mut report) {
            report.failure(&problem.to_string());
        }
    }
    Ok(report.end())
}
