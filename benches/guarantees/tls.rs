//! Connections over TLS: what an idle one takes, and what those cost the others that come and go.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::background::beside;
use crate::harness::certificate::Certificate;
use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{BYTES, Goal, MICROSECONDS, PER_SECOND, Report};
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome, UNANNOUNCED};
use crate::pair::{IN_ROOM, Limit, Pair, report_longest_turn};

const FLAGS: &str = "--listen-tls 127.0.0.1:0 --tls-cert CERT_FILE --tls-key KEY_FILE";
/// Connections that are being made at a time.
const PENDING_MAX: usize = 64;
/// What an idle connection may take, in bytes.
const IDLE_MAX_BYTES: f64 = 7_000.0;
/// What a handshake may cost the server, so that it can do 5,000 a second.
const HANDSHAKE_MAX_US: f64 = 200.0;

/// A server with its log, and the address of its listener for TLS.
fn start(harness: &Harness, certificate: &Certificate) -> Outcome<(Server, SocketAddr)> {
    let flags = certificate.fill(FLAGS);
    let flags: Vec<&str> = flags
        .split(' ')
        .chain(UNANNOUNCED.iter().copied())
        .collect();
    let mut server = Server::madang_with_log(harness, &flags)?;
    let address = server.next_address_but(" (tls)")?;
    Ok((server, address))
}

/// Memory of idle connections over TLS.
pub(crate) fn idle(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let (few, many) = harness.size((1_000, 9_000), (500, 2_000));
    harness.require_connections(many)?;
    let certificate = Certificate::new()?;
    let (server, address) = start(harness, &certificate)?;
    let mut load = Load::<Count>::over_tls(address, Arrival::Greeted, &certificate.trusted())?;
    load.admit(few, PENDING_MAX)?;
    load.poll_for(ANNOUNCED_AFTER)?;
    let before = server.resident_bytes()?;
    load.admit(many - few, PENDING_MAX)?;
    load.poll_for(ANNOUNCED_AFTER)?;
    let each = (server.resident_bytes()? - before) as f64 / (many - few) as f64;
    let goal = Goal::AtMost(IDLE_MAX_BYTES);
    report.row("memory of one over TLS", each, BYTES, goal);
    Ok(())
}

/// How many handshakes there are in a second, what one costs, and how late the lines of a pair without TLS are meanwhile.
pub(crate) fn handshakes(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let certificate = Certificate::new()?;
    let (server, address) = start(harness, &certificate)?;
    let mut pair = Pair::gather(server.address, IN_ROOM, 1)?;
    pair.set_sleeping();
    pair.talk(ANNOUNCED_AFTER, || Ok(()))?;
    let mut load = Load::<Count>::over_tls(address, Arrival::Greeted, &certificate.trusted())?;
    load.admit(PENDING_MAX, PENDING_MAX)?;
    let time = Duration::from_secs(harness.size(6, 2));
    let (began, cpu, mut done) = (Instant::now(), server.cpu_ns()?, 0_u64);
    let step = || {
        load.poll(Duration::from_millis(1))?;
        for id in 0..PENDING_MAX {
            if load.has_arrived(id) {
                done += 1;
                load.reconnect(id)?;
            }
        }
        Ok(())
    };
    let latency = beside(step, || pair.talk(time, || Ok(())))?;
    let seconds = began.elapsed().as_secs_f64();
    drop(load);
    let cost_us = server.cpu_ns_since(cpu)? as f64 / 1e3 / done as f64;
    report.show(
        "handshakes, as many as one core of clients can",
        done as f64 / seconds,
        PER_SECOND,
    );
    let goal = Goal::AtMost(HANDSHAKE_MAX_US);
    report.row(
        "  CPU of the server for one, and its connection",
        cost_us,
        MICROSECONDS,
        goal,
    );
    latency.report(Limit::P99(10.0), report);
    drop(pair);
    report_longest_turn(server, report)
}
