//! A storm of newcomers that are refused, and send as much as they can all the same.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, MILLISECONDS, Report, Rounds, milliseconds};
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome};
use crate::pair::{Limit, Pair, report_longest_turn};

/// Connections that the storm has open or in the making at a time.
const STORM: usize = 200;
/// Bytes that each of them sends, if it is not closed before.
const SENT_BYTES: usize = 300 * 1024;
/// How many of them are served in one step.
const VISITS_A_STEP: usize = 8;
/// A connection of the storm that has not come to its end after this time is dropped.
const PATIENCE: Duration = Duration::from_secs(1);
/// Newcomers to the second listener come one after the other, with this pause.
const NEWCOMER_EVERY: Duration = Duration::from_millis(20);
/// The addresses of these newcomers.
const NEWCOMER_NET: u8 = 201;

/// The storm comes from one address, which may have a few connections. Then, at the first of two listeners, how long does
/// a newcomer from another address wait at the second?
pub(crate) fn refused(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let flags = ["--listen", "127.0.0.1:0", "--max-per-ip", "8"];
    let mut server = Server::madang_with_log(harness, &flags)?;
    let second = server.next_address()?;
    let mut pair = Pair::gather(server.address, Arrival::Greeted, 1)?;
    let mut storm = Storm::at(server.address)?;
    let mut newcomers = Newcomers::at(second)?;
    let time = Duration::from_secs(harness.size(6, 2));
    let latency = pair.talk(time, || {
        storm.step()?;
        newcomers.step()
    })?;
    let refused = storm.ended as f64 / time.as_secs_f64();
    report.note(&format!("  {refused:.0} refused a second"));
    latency.report(Limit::Longest(25.0), report);
    let greeted = Rounds::of(newcomers.waited_ms());
    let name = "  a newcomer at the second listener: greeted in";
    let (longest, median) = (greeted.quantile(1.0), greeted.median());
    let note = format!("median {median:.2} ms, {} of them", newcomers.greeted.len());
    report.row_with_note(name, longest, MILLISECONDS, Goal::AtMost(50.0), &note);
    drop((pair, storm, newcomers));
    report_longest_turn(server, report)
}

/// Connections that are refused, each of which starts anew when it has ended.
struct Storm {
    load: Load<Count>,
    /// When each connection was started, and what it has sent.
    connections: Vec<(Instant, usize)>,
    bytes: Vec<u8>,
    next: usize,
    /// How many have ended.
    ended: usize,
}

impl Storm {
    fn at(server: SocketAddr) -> Outcome<Self> {
        let mut load = Load::from_one_address(server, Arrival::Connected)?;
        load.allow_closing();
        load.set_reads_max(VISITS_A_STEP);
        for _ in 0..STORM {
            load.connect()?;
        }
        Ok(Self {
            load,
            connections: vec![(Instant::now(), 0); STORM],
            bytes: "what a refused newcomer sends\n".repeat(512).into_bytes(),
            next: 0,
            ended: 0,
        })
    }

    fn step(&mut self) -> Outcome<()> {
        for _ in 0..VISITS_A_STEP {
            let id = self.next;
            self.next = (id + 1) % STORM;
            let (start, sent) = &mut self.connections[id];
            if self.load.is_closed(id) || start.elapsed() > PATIENCE {
                self.ended += 1;
                self.load.reconnect(id)?;
                (*start, *sent) = (Instant::now(), 0);
            } else if *sent < SENT_BYTES {
                *sent += self.load.offer(id, &self.bytes);
            }
        }
        self.load.poll(Duration::ZERO)
    }
}

/// Clients that come one after the other: each leaves when it has been greeted.
struct Newcomers {
    load: Load<Count>,
    came: Instant,
    /// How long each waited.
    greeted: Vec<Duration>,
    /// Whether the last one has been greeted.
    is_greeted: bool,
}

impl Newcomers {
    fn at(server: SocketAddr) -> Outcome<Self> {
        let mut load = Load::from_net(server, Arrival::Greeted, NEWCOMER_NET)?;
        load.connect()?;
        Ok(Self {
            load,
            came: Instant::now(),
            greeted: Vec::new(),
            is_greeted: false,
        })
    }

    fn step(&mut self) -> Outcome<()> {
        if !self.is_greeted && self.load.has_arrived(0) {
            self.is_greeted = true;
            self.greeted.push(self.came.elapsed());
        }
        if self.is_greeted && self.came.elapsed() > NEWCOMER_EVERY {
            self.load.reconnect(0)?;
            (self.is_greeted, self.came) = (false, Instant::now());
        }
        self.load.poll(Duration::ZERO)
    }

    /// How long each has waited, in milliseconds; the last one perhaps in vain.
    fn waited_ms(&self) -> Vec<f64> {
        let waits = (!self.is_greeted).then(|| self.came.elapsed());
        let greeted = self.greeted.iter().copied();
        greeted.chain(waits).map(milliseconds).collect()
    }
}
