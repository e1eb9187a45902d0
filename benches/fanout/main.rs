//! What it costs to deliver a line to many: madang beside the floor, and beside the peers that are installed.
//!
//! ```text
//! cargo bench --bench fanout                      every scenario at full size, eleven minutes
//! cargo bench --bench fanout -- unbatched paced   only these scenarios
//! cargo bench --bench fanout -- redis nats        only these peers
//! cargo bench --bench fanout -- --short           every scenario at a reduced size, two to three minutes
//! cargo bench --bench fanout -- --chart FILE.svg  draws what was measured as well
//! ```
//!
//! All servers do the same work for the same clients, and take turns round by round, on one core; the clients run in one
//! thread on another. What counts are the ratios to the floor within a round, shown as least / median / most. Peers that
//! are not installed are named. A missed goal is a result; the exit status is 1 only if the floor or madang could not be
//! measured.
//!
//! Read `floor.rs` (with which all are compared) and the harness' `servers.rs` (the servers) first, then a scenario. The
//! harness has the clients and the child processes too; `guarantees` shares it.

mod audience;
mod chart;
mod crowd;
mod floor;
#[path = "../harness/mod.rs"]
mod harness;
mod paced;
mod rounds;
mod slow;
mod table;
mod tls;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use floor::{FLOOR, Workload};
use harness::report::Report;
use harness::server::Server;
use harness::servers::{KINDS, Kind};
use harness::{Harness, Outcome, Request, Scenario};
use table::{MADANG, Table};

/// What a scenario measures with.
pub(crate) struct Context<'a> {
    pub(crate) harness: &'a Harness,
    /// The servers to compare; the first is the floor.
    pub(crate) kinds: &'a [&'static Kind],
    pub(crate) report: &'a mut Report,
    pub(crate) table: &'a mut Table,
}

impl Context<'_> {
    /// Adds a remark to the report if other programs used this server's core.
    pub(crate) fn note_contention(&mut self, kind: &Kind, server: &Server) -> Outcome<()> {
        let contention = server.contention()?;
        self.report
            .note_if(contention.map(|text| format!("{}: {text}", kind.name)));
        Ok(())
    }
}

type Run = fn(&mut Context<'_>) -> Outcome<()>;

/// In the order in which they are measured.
const SCENARIOS: &[Scenario<Run>] = &[
    Scenario {
        name: "unbatched",
        headline: "one sender, 1,000 receivers, each line awaited by all: CPU a delivery",
        run: rounds::unbatched,
    },
    Scenario {
        name: "inflight",
        headline: "the same with 256 lines in flight (the floor sends on whole reads): CPU a delivery",
        run: rounds::inflight,
    },
    Scenario {
        name: "senders",
        headline: "64 senders at once, 936 receivers (the floor sends line by line): CPU a delivery",
        run: rounds::senders,
    },
    Scenario {
        name: "crowd",
        headline: "18,000 receivers (4,000 in a short run): time to connect, memory of an idle connection, CPU a delivery",
        run: crowd::crowd,
    },
    Scenario {
        name: "slow",
        headline: "one of twenty receivers never reads: how long the others wait for a line",
        run: slow::slow,
    },
    Scenario {
        name: "paced",
        headline: "lines at half the pace that the floor can keep, 1,000 receivers: how late they arrive",
        run: paced::paced,
    },
    Scenario {
        name: "tls",
        headline: "one sender, 1,000 receivers over TLS, each line awaited by all: CPU a delivery",
        run: tls::tls,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(workload) = Workload::parse(&arguments) else {
        return harness::run("fanout", SCENARIOS, measure);
    };
    // This process is the floor, until its clients leave.
    match floor::serve(workload) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("floor: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios one after the other; true when the floor and madang could be measured in all of them.
fn measure(request: Request<Run>) -> Outcome<bool> {
    let (peers, chart) = peers_and_chart(&request.rest)?;
    let harness = Harness::new(request.short)?;
    let mut report = Report::begin(&harness.describe());
    let mut kinds = Vec::new();
    for (nth, kind) in all_kinds().enumerate() {
        // The floor and madang always take part: all are compared with the floor, and the goals are madang's.
        if !peers.is_empty() && nth > MADANG && !peers.contains(&kind.name) {
            continue;
        }
        match kind.missing() {
            None => kinds.push(kind),
            Some(program) => report.note(&format!("NOT INSTALLED: {program}")),
        }
    }
    let mut table = Table::of(&kinds);
    for scenario in request.scenarios {
        report.scenario(scenario.name, scenario.headline);
        let mut context = Context {
            harness: &harness,
            kinds: &kinds,
            report: &mut report,
            table: &mut table,
        };
        if let Err(problem) = (scenario.run)(&mut context) {
            report.failure(&problem.to_string());
        }
    }
    println!("\n{}", table.markdown());
    if let Some(file) = chart {
        chart::draw(&table, &file)?;
    }
    Ok(report.end())
}

/// All servers. The floor is the first: the others are compared with it.
fn all_kinds() -> impl Iterator<Item = &'static Kind> {
    std::iter::once(&FLOOR).chain(KINDS)
}

/// The peers that the command line names, and the file for the chart.
fn peers_and_chart(arguments: &[String]) -> Outcome<(Vec<&str>, Option<PathBuf>)> {
    let (mut peers, mut chart) = (Vec::new(), None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--chart" {
            let file = arguments.next().ok_or("--chart needs the name of a file")?;
            chart = Some(PathBuf::from(file));
        } else if all_kinds().any(|kind| kind.name == argument) {
            peers.push(argument.as_str());
        } else {
            let servers = all_kinds().map(|kind| kind.name);
            let others: Vec<&str> = servers.chain(["--short", "--chart"]).collect();
            return Err(harness::unknown(argument, SCENARIOS, &others));
        }
    }
    Ok((peers, chart))
}
