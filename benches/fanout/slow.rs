//! One who does not read: whether the others notice, and what becomes of it.

use std::time::{Duration, Instant};

use crate::Course;
use crate::floor::Piece;
use crate::hall::{let_in, solo};
use crate::lab::ear::{STAMP, StampEar};
use crate::lab::load::Load;
use crate::lab::report::{Goal, MEBIBYTE, MEBIBYTES, MILLISECONDS, milliseconds};
use crate::lab::{ANNOUNCED_AFTER, Lab, Outcome};
use crate::servers::Kind;
use crate::table::{Row, known};

const RECEIVERS: usize = 20;
const SPEAKER: usize = 0;
const SLOW: usize = 1;
/// A line's text; within what every protocol here takes as one.
const TEXT_BYTES: usize = 400;
/// Lines a second: 3.2 MB/s to each.
const PACE: u32 = 8000;
/// When the healthy ones have heard nothing for so long, they are waiting for the slow one.
const STUCK: Duration = Duration::from_secs(2);

/// What one server did.
struct Seen {
    gap: Duration,
    growth_bytes: f64,
    fate: String,
}

/// The longest time for which a healthy receiver hears nothing, and how much memory the server takes meanwhile.
pub(crate) fn slow(course: &mut Course<'_>) -> Outcome<()> {
    let servers = course.kinds.len();
    let row = |name, unit| Row::new(name, unit, false, servers);
    let mut rows = [
        row("one never reads: longest silence for another", MILLISECONDS),
        row("one never reads: the server's memory grows by", MEBIBYTES),
    ];
    for (server, kind) in course.kinds.iter().enumerate() {
        let seen = look(course.lab, kind);
        if let Some(seen) = known(seen, &mut rows, server) {
            rows[0].cells[server].add(Ok(milliseconds(seen.gap)));
            rows[1].cells[server].add(Ok(seen.growth_bytes / MEBIBYTE));
            let fate = format!("{}: the slow one {}", kind.name, seen.fate);
            course.report.note(&fate);
        }
    }
    for (row, goal) in rows.into_iter().zip([Goal::Below(50.0), Goal::AtMost(5.0)]) {
        course.table.add(row, goal, course.report);
    }
    Ok(())
}

fn look(lab: &Lab, kind: &'static Kind) -> Outcome<Seen> {
    let server = kind.start(lab, solo(Piece::Line, RECEIVERS))?;
    let mut load = Load::<StampEar>::new(server.address, kind.speaker)?;
    load.admit(1, 1)?;
    load.let_arrive(kind.listener);
    let_in(&mut load, kind, RECEIVERS)?;
    load.listen_for(ANNOUNCED_AFTER)?;
    let before = server.resident_bytes()? as f64;
    load.stop_reading(SLOW);

    let lines = PACE * lab.size(10, 3);
    let said = speak(kind, &mut load, lines)?;
    let growth_bytes = server.resident_bytes()? as f64 - before;
    let gap = longest_silence(&load, lines);

    let fate = fate(&mut load, said)?;
    Ok(Seen {
        gap,
        growth_bytes,
        fate,
    })
}

/// Says lines at the pace until all are said, or nobody hears any more; how many were.
fn speak(kind: &Kind, load: &mut Load<StampEar>, lines: u32) -> Outcome<u64> {
    let every = Duration::from_secs(1) / PACE;
    let start = Instant::now();
    let (mut heard, mut progress) = (load.heard(), start);
    let mut said: u32 = 0;
    let mut pending: Vec<u8> = Vec::new();
    while (said < lines || load.heard() < u64::from(lines) * (RECEIVERS as u64 - 1))
        && progress.elapsed() < STUCK
    {
        while said < lines && pending.is_empty() && start.elapsed() >= every * said {
            pending = (kind.say)(&text());
            said += 1;
        }
        let taken = load.offer(SPEAKER, &pending)?;
        pending.drain(..taken);
        load.turn(Duration::ZERO)?;
        if load.heard() != heard {
            (heard, progress) = (load.heard(), Instant::now());
        }
    }
    Ok(u64::from(said))
}

/// The longest time between two lines that came to a healthy receiver; until now if it still waits for some.
fn longest_silence(load: &Load<StampEar>, lines: u32) -> Duration {
    let mut longest = Duration::ZERO;
    for (id, ear) in load.ears().enumerate() {
        if id == SPEAKER || id == SLOW {
            continue;
        }
        let mut times: Vec<Instant> = ear.heard.iter().map(|&(_, heard)| heard).collect();
        if times.len() < lines as usize {
            times.push(Instant::now());
        }
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        longest = longest.max(gaps.max().unwrap_or_default());
    }
    longest
}

/// What the slow one finds when it reads again.
fn fate(load: &mut Load<StampEar>, said: u64) -> Outcome<String> {
    let outcome = load.resume_reading(SLOW);
    let heard = |load: &Load<StampEar>| load.ear(SLOW).heard.len();
    let read = outcome.and_then(|()| load.listen_for(STUCK));
    Ok(match read {
        Err(_) => format!("was closed after {} of {said} lines", heard(load)),
        Ok(()) => format!("was given {} of {said} lines", heard(load)),
    })
}

fn text() -> String {
    format!("{}0{}", STAMP as char, "m".repeat(TEXT_BYTES - 2))
}
