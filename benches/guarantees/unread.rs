//! One of twenty never reads: whether the others notice, beside the other servers that are installed.

use crate::harness::audience::TimedAudience;
use crate::harness::report::{Goal, LINES, MILLISECONDS, Report, milliseconds};
use crate::harness::servers::{KINDS, Kind};
use crate::harness::silence::{Measured, PACE, RECEIVERS};
use crate::harness::{Harness, Outcome};

/// The longest silence that is acceptable, in milliseconds.
const SILENCE_MAX_MS: f64 = 5.0;
/// The peers to compare with; in the short form the first.
const PEERS: &[&str] = &["redis", "nats", "mosquitto", "ngircd"];

/// The longest silence of a receiver that reads: madang's must be short, and shorter than each peer's.
pub(crate) fn unread(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let (madang, peers) = KINDS.split_first().ok_or("there are no servers")?;
    let ours = measure(madang, harness, report)?;
    let silence = milliseconds(ours.silence);
    let (name, goal) = (
        "longest silence of those who read",
        Goal::AtMost(SILENCE_MAX_MS),
    );
    report.row_with_note(name, silence, MILLISECONDS, goal, &ours.remark);
    report.row(
        "lines lost to them",
        ours.lost as f64,
        LINES,
        Goal::AtMost(0.0),
    );
    let names = harness.size(PEERS, &PEERS[..1]);
    for peer in peers.iter().filter(|peer| names.contains(&peer.name)) {
        if let Some(program) = peer.missing() {
            report.note(&format!("NOT INSTALLED: {program}"));
            continue;
        }
        match measure(peer, harness, report) {
            Ok(theirs) => {
                let name = format!("  the same, beside {}", peer.name);
                let theirs = milliseconds(theirs.silence);
                let note = format!("{theirs:.1} ms with {}", peer.name);
                report.row_with_note(&name, silence, MILLISECONDS, Goal::Below(theirs), &note);
            }
            Err(problem) => report.note(&format!("{}: {problem}", peer.name)),
        }
    }
    Ok(())
}

fn measure(kind: &'static Kind, harness: &Harness, report: &mut Report) -> Outcome<Measured> {
    let seconds = harness.size(6.0, 1.5);
    let lines = (f64::from(PACE) * seconds) as u32;
    let mut audience = TimedAudience::gather(harness, kind, RECEIVERS, &[])?;
    let measured = audience.measure_silence(lines)?;
    let contention = audience.server.contention()?;
    report.note_if(contention.map(|text| format!("{}: {text}", kind.name)));
    Ok(measured)
}
