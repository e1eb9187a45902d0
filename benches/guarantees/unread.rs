//! One of twenty never reads: whether the others notice, beside the other servers that are installed.

use crate::harness::audience::TimedAudience;
use crate::harness::report::{Goal, LINES, MILLISECONDS, Report, Rounds, milliseconds};
use crate::harness::servers::{KINDS, Kind};
use crate::harness::silence::{Measured, PACE, RECEIVERS};
use crate::harness::{Harness, Outcome};

/// The longest silence that is acceptable, in milliseconds.
const SILENCE_MAX_MS: f64 = 5.0;
/// The peers to compare with; in the short form the first.
const PEERS: &[&str] = &["redis", "nats", "mosquitto", "ngircd"];
/// How often each server is measured, by turns: one silence may be the machine's.
const ROUNDS: usize = 5;
const ROUNDS_SHORT: usize = 3;

/// One server, and the longest silence of each round.
struct Row {
    kind: &'static Kind,
    silences: Vec<f64>,
}

/// The longest silence of a receiver that reads: madang's must be short, and shorter than each peer's.
pub(crate) fn unread(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let names = harness.size(PEERS, &PEERS[..1]);
    let (madang, peers) = KINDS.split_first().ok_or("there are no servers")?;
    let mut rows = vec![Row::of(madang)];
    for peer in peers.iter().filter(|peer| names.contains(&peer.name)) {
        match peer.missing() {
            Some(program) => report.note(&format!("NOT INSTALLED: {program}")),
            None => rows.push(Row::of(peer)),
        }
    }
    let (mut lost, mut remark) = (Vec::new(), String::new());
    for _ in 0..harness.size(ROUNDS, ROUNDS_SHORT) {
        for (nth, row) in rows.iter_mut().enumerate() {
            match measure(row.kind, harness, report) {
                Ok(measured) => {
                    row.silences.push(milliseconds(measured.silence));
                    if nth == 0 {
                        lost.push(measured.lost as f64);
                        remark = measured.remark;
                    }
                }
                Err(problem) if nth == 0 => return Err(problem),
                Err(problem) => report.note(&format!("{}: {problem}", row.kind.name)),
            }
        }
    }
    let (ours, peers) = rows.split_first().ok_or("there are no servers")?;
    let (name, goal) = (
        "longest silence of those who read",
        Goal::AtMost(SILENCE_MAX_MS),
    );
    report.row_with_note(name, ours.rounds(), MILLISECONDS, goal, &remark);
    report.row(
        "lines lost to them",
        Rounds::of(lost),
        LINES,
        Goal::AtMost(0.0),
    );
    for peer in peers.iter().filter(|peer| !peer.silences.is_empty()) {
        let name = format!("  the same, beside {}", peer.kind.name);
        let (ours, theirs) = (ours.rounds(), peer.rounds().median());
        let note = format!("{theirs:.1} ms with {}", peer.kind.name);
        report.row_with_note(&name, ours, MILLISECONDS, Goal::Below(theirs), &note);
    }
    Ok(())
}

impl Row {
    fn of(kind: &'static Kind) -> Self {
        Self {
            kind,
            silences: Vec::new(),
        }
    }

    fn rounds(&self) -> Rounds {
        Rounds::of(self.silences.iter().copied())
    }
}

fn measure(kind: &'static Kind, harness: &Harness, report: &mut Report) -> Outcome<Measured> {
    let seconds = harness.size(3.0, 1.5);
    let lines = (f64::from(PACE) * seconds) as u32;
    let mut audience = TimedAudience::gather(harness, kind, RECEIVERS, &[])?;
    let measured = audience.measure_silence(lines)?;
    let contention = audience.server.contention()?;
    report.note_if(contention.map(|text| format!("{}: {text}", kind.name)));
    Ok(measured)
}
