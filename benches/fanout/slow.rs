//! One who does not read: whether the others notice, what the server keeps for it, and what becomes of it.

use std::time::{Duration, Instant};

use crate::Course;
use crate::hall::Stand;
use crate::lab::Outcome;
use crate::lab::ear::MARK;
use crate::lab::report::{Goal, LINES, MEBIBYTE, MEBIBYTES, MILLISECONDS, milliseconds};
use crate::table::{Row, known};

const RECEIVERS: usize = 20;
const SPEAKER: usize = 0;
const SLOW: usize = 1;
/// A line's text; within what every protocol here takes as one.
const TEXT_BYTES: usize = 400;
/// Lines a second: 3.2 MB/s to each.
const PACE: u32 = 8000;
/// When those who read have heard nothing for so long, they are waiting for the one who does not.
const STUCK: Duration = Duration::from_secs(2);
/// How often the server's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long those who read hear nothing, how many lines they lose, and how much memory the server takes meanwhile.
pub(crate) fn slow(course: &mut Course<'_>) -> Outcome<()> {
    let servers = course.kinds.len();
    let row = |name, unit| Row::new(name, unit, false, servers);
    let mut rows = [
        row("one never reads: longest silence for another", MILLISECONDS),
        row("one never reads: lines lost to the others", LINES),
        row("one never reads: the server's memory grows by", MEBIBYTES),
    ];
    for (server, kind) in course.kinds.iter().enumerate() {
        let mut stand = match known(
            Stand::gather(course.lab, kind, RECEIVERS),
            &mut rows,
            server,
        ) {
            Some(stand) => stand,
            None => continue,
        };
        let seen = stand.play(PACE * course.lab.size(6, 3));
        if let Some(seen) = known(seen, &mut rows, server) {
            rows[0].cells[server].add(Ok(milliseconds(seen.silence)));
            rows[1].cells[server].add(Ok(seen.lost as f64));
            rows[2].cells[server].add(Ok(seen.growth_bytes / MEBIBYTE));
            let name = kind.name;
            course.report.note(&format!("{name}: {}", seen.remark));
            course.note_company(kind, &stand.server)?;
        }
    }
    let goals = [Goal::Below(50.0), Goal::AtMost(0.0), Goal::AtMost(5.0)];
    for (row, goal) in rows.into_iter().zip(goals) {
        course.table.add(row, goal, course.report);
    }
    Ok(())
}

/// What one server did.
struct Seen {
    /// The longest time between two lines that came to somebody who reads, or for which it waited in the end.
    silence: Duration,
    /// Lines that those who read never heard, though others came after.
    lost: u64,
    growth_bytes: f64,
    remark: String,
}

impl Stand {
    /// Says so many lines at the pace, or until nobody hears any more; then the slow one reads again.
    fn play(&mut self, lines: u32) -> Outcome<Seen> {
        self.load.stop_reading(SLOW);
        let every = Duration::from_secs(1) / PACE;
        let owed = u64::from(lines) * (RECEIVERS as u64 - 1);
        let before = self.server.resident_bytes()?;
        let start = Instant::now();
        let (mut peak, mut looked) = (before, start);
        let (mut heard, mut progress) = (0, start);
        let (mut said, mut pending) = (0, Vec::new());
        while heard < owed && progress.elapsed() < STUCK {
            if said < lines && pending.is_empty() && start.elapsed() >= every * said {
                pending = (self.kind.say)(&text());
                said += 1;
            }
            let taken = self.load.offer(SPEAKER, &pending)?;
            pending.drain(..taken);
            self.load.turn(Duration::ZERO)?;
            if self.load.heard() != heard {
                (heard, progress) = (self.load.heard(), Instant::now());
            }
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                peak = peak.max(self.server.resident_bytes()?);
            }
        }
        let took = progress - start;
        let all_wait = said < lines;
        let silence = self.longest_silence();
        let pace = f64::from(said) / took.as_secs_f64();
        Ok(Seen {
            silence: if all_wait {
                STUCK.max(silence)
            } else {
                silence
            },
            lost: if all_wait { 0 } else { owed - heard },
            growth_bytes: (peak.max(self.server.resident_bytes()?) - before) as f64,
            remark: format!("{said} lines at {pace:.0} a second; {}", self.fate()?),
        })
    }

    /// The longest time between two lines that came to somebody who reads.
    fn longest_silence(&self) -> Duration {
        let mut longest = Duration::ZERO;
        for (id, ear) in self.load.ears().enumerate() {
            if id != SPEAKER && id != SLOW {
                let gaps = ear.heard.windows(2).map(|pair| pair[1].1 - pair[0].1);
                longest = longest.max(gaps.max().unwrap_or_default());
            }
        }
        longest
    }

    /// What the slow one finds when it reads again.
    fn fate(&mut self) -> Outcome<String> {
        let read = self.load.resume_reading(SLOW);
        let read = read.and_then(|()| self.load.listen_for(STUCK));
        let found = self.load.ear(SLOW).heard.len();
        Ok(match read {
            Ok(()) => format!("the slow one is given {found} of them"),
            Err(problem) => format!("the slow one is given {found} of them ({problem})"),
        })
    }
}

fn text() -> String {
    format!("{}0{}", MARK as char, "m".repeat(TEXT_BYTES - 2))
}
