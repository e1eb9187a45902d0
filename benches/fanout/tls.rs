//! What TLS costs: CPU a delivery over TLS and without, of madang and of the peers that speak TLS.

use std::time::Duration;

use crate::Context;
use crate::audience::{Audience, one_sender};
use crate::floor::Piece;
use crate::harness::Outcome;
use crate::harness::certificate::Certificate;
use crate::harness::report::{Goal, NANOSECONDS, Rounds, TIMES};
use crate::table::MADANG;

const RECEIVERS: usize = 1000;
const ROUND: Duration = Duration::from_millis(20);
/// What a delivery of madang may cost more over TLS, in nanoseconds: a record of 64 bytes, and its system call is longer.
const MORE_MAX_NS: f64 = 400.0;

/// Each server with its own clients over TLS, and madang with clients without it too, by turns.
pub(crate) fn tls(context: &mut Context<'_>) -> Outcome<()> {
    let certificate = Certificate::new()?;
    let workload = one_sender(Piece::Line, RECEIVERS);
    let (harness, report) = (context.harness, &mut *context.report);
    let madang = context.kinds[MADANG];
    let mut plain = Audience::gather(harness, madang, workload, 1)?;
    let mut secured = Vec::new();
    for kind in context.kinds {
        match Audience::gather_over_tls(harness, kind, workload, &certificate) {
            Some(Ok(audience)) => secured.push((audience, Vec::new())),
            Some(Err(problem)) => report.failure(&format!("{}: {problem}", kind.name)),
            None => {}
        }
    }
    let mut without = Vec::new();
    for _ in 0..harness.size(15, 3) {
        without.push(plain.round(ROUND)?);
        for (audience, costs) in &mut secured {
            costs.push(audience.round(ROUND)?);
        }
    }
    let without = Rounds::of(without);
    let plain_ns = without.median();
    report.show("  madang without TLS", without, NANOSECONDS);
    let mut least = f64::INFINITY;
    let mut own = f64::NAN;
    for (audience, costs) in secured {
        let costs = Rounds::of(costs);
        let median = costs.median();
        match audience.kind.name == madang.name {
            true => own = median,
            false => least = least.min(median),
        }
        report.show(
            &format!("  {} over TLS", audience.kind.name),
            costs,
            NANOSECONDS,
        );
    }
    let more = Goal::AtMost(MORE_MAX_NS);
    report.row(
        "  what TLS adds to madang",
        own - plain_ns,
        NANOSECONDS,
        more,
    );
    if least.is_finite() {
        report.row(
            "  beside the cheapest peer",
            own / least,
            TIMES,
            Goal::AtMost(1.0),
        );
    }
    Ok(())
}
