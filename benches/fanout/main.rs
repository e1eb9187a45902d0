//! What handing a line to many costs: madang beside the floor and beside whatever peers this machine has.
//!
//! ```text
//! cargo bench --bench fanout                      every scenario at full size, eleven minutes
//! cargo bench --bench fanout -- unbatched paced   only these scenarios
//! cargo bench --bench fanout -- redis nats        only these peers
//! cargo bench --bench fanout -- --short           every scenario at a reduced size, two to three minutes
//! cargo bench --bench fanout -- --chart FILE.svg  draws what was measured as well
//! ```
//!
//! Each server does the same work for the same clients, round by round by turns, on one core; the clients are played
//! from one thread on another. What counts are the ratios to the floor within a round, shown as least / median / most.
//! Peers that are not installed are named. A missed goal is a result; the exit status is 1 only if the floor or madang
//! could not be measured.
//!
//! To read it, begin with `floor.rs` (what everything is held against) and `servers.rs` (who takes part), then a
//! scenario. The clients and the child processes are those of the lab, which the other benches share.

mod chart;
mod crowd;
mod floor;
mod hall;
#[path = "../lab/mod.rs"]
mod lab;
mod paced;
mod rounds;
mod servers;
mod slow;
mod table;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use floor::Stage;
use lab::report::Report;
use lab::server::Server;
use lab::{Lab, Outcome};
use servers::{KINDS, Kind};
use table::{MADANG, Table};

/// What a scenario needs.
pub(crate) struct Course<'a> {
    pub(crate) lab: &'a Lab,
    /// The servers that there are; the first is the floor.
    pub(crate) kinds: &'a [&'static Kind],
    pub(crate) report: &'a mut Report,
    pub(crate) table: &'a mut Table,
}

impl Course<'_> {
    /// Says so when this server did not have its core to itself.
    pub(crate) fn note_company(&mut self, kind: &Kind, server: &Server) -> Outcome<()> {
        let company = server.company()?;
        self.report
            .note_if(company.map(|text| format!("{}: {text}", kind.name)));
        Ok(())
    }
}

/// A thing to measure: its name on the command line, its headline, and the code that does it.
struct Scenario {
    name: &'static str,
    headline: &'static str,
    run: fn(&mut Course<'_>) -> Outcome<()>,
}

/// All that can be measured, in the order in which it is.
const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "unbatched",
        headline: "one speaks, 1,000 listen, each line awaited by all: CPU a delivery",
        run: rounds::unbatched,
    },
    Scenario {
        name: "inflight",
        headline: "the same with 256 lines in flight (the floor sends on whole reads): CPU a delivery",
        run: rounds::inflight,
    },
    Scenario {
        name: "senders",
        headline: "64 speak at once, 936 listen (the floor sends line by line): CPU a delivery",
        run: rounds::senders,
    },
    Scenario {
        name: "crowd",
        headline: "18,000 listen (4,000 in a short run): time to connect, memory of an idle connection, CPU a delivery",
        run: crowd::crowd,
    },
    Scenario {
        name: "slow",
        headline: "one of twenty who listen never reads: how long the others wait for a line",
        run: slow::slow,
    },
    Scenario {
        name: "paced",
        headline: "lines at half the pace that the floor can keep, 1,000 listen: how late they come",
        run: paced::paced,
    },
];

/// What the command line asked for.
enum Wish {
    /// Be the bare loop that all are compared with.
    Floor(Stage),
    /// Measure these.
    Measure {
        chosen: Vec<&'static Scenario>,
        kinds: Vec<&'static Kind>,
        short: bool,
        chart: Option<PathBuf>,
    },
    /// `cargo test --all-targets` starts benches as well, without `--bench`: nothing to do.
    Nothing,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let finished = match understand(&arguments) {
        // It ends when its clients do.
        Ok(Wish::Floor(stage)) => floor::serve(stage).map(|()| true),
        Ok(Wish::Measure {
            chosen,
            kinds,
            short,
            chart,
        }) => measure(&chosen, &kinds, short, chart),
        Ok(Wish::Nothing) => {
            println!("nothing measured: run `cargo bench --bench fanout`");
            Ok(true)
        }
        Err(problem) => Err(problem),
    };
    match finished {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("fanout: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn understand(arguments: &[String]) -> Outcome<Wish> {
    if let Some(stage) = Stage::parse(arguments) {
        return Ok(Wish::Floor(stage));
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(Wish::Nothing);
    }
    let mut chosen: Vec<&Scenario> = Vec::new();
    let mut peers: Vec<&str> = Vec::new();
    let mut short = false;
    let mut chart = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--short" => short = true,
            "--chart" => {
                let file = arguments.next().ok_or("--chart needs the name of a file")?;
                chart = Some(PathBuf::from(file));
            }
            name if KINDS.iter().any(|kind| kind.name == name) => peers.push(name),
            name => chosen.push(scenario(name)?),
        }
    }
    if chosen.is_empty() {
        chosen.extend(SCENARIOS);
    }
    // The floor and madang are always there: all is held against the one, and all goals are the other's.
    let is_there = |(nth, kind): &(usize, &Kind)| {
        peers.is_empty() || *nth <= MADANG || peers.contains(&kind.name)
    };
    let kinds = KINDS.iter().enumerate().filter(is_there);
    Ok(Wish::Measure {
        chosen,
        kinds: kinds.map(|(_, kind)| kind).collect(),
        short,
        chart,
    })
}

fn scenario(name: &str) -> Outcome<&'static Scenario> {
    SCENARIOS
        .iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| {
            let scenarios: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            let servers: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            format!(
                "neither a scenario nor a server is called {name:?}; there are: {}; {}; and the options --short and --chart",
                scenarios.join(", "),
                servers.join(", ")
            )
            .into()
        })
}

/// Runs the scenarios one after the other; true when the floor and madang could be measured in all of them.
fn measure(
    chosen: &[&Scenario],
    kinds: &[&'static Kind],
    short: bool,
    chart: Option<PathBuf>,
) -> Outcome<bool> {
    let lab = Lab::open(short)?;
    let mut report = Report::open(&lab.describe());
    let mut kinds = kinds.to_vec();
    kinds.retain(|kind| {
        let missing = kind.missing();
        report.note_if(missing.map(|program| format!("NOT THERE: {program} is not installed")));
        missing.is_none()
    });
    let mut table = Table::of(&kinds);
    for scenario in chosen {
        report.scenario(scenario.name, scenario.headline);
        let mut course = Course {
            lab: &lab,
            kinds: &kinds,
            report: &mut report,
            table: &mut table,
        };
        if let Err(problem) = (scenario.run)(&mut course) {
            report.failure(&problem.to_string());
        }
    }
    println!("\n{}", table.markdown());
    if let Some(file) = chart {
        chart::draw(&table, &file)?;
    }
    Ok(report.close())
}
