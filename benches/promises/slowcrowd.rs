//! A crowd of which a part does not read: what it costs the others, what the server keeps, and whether those who read
//! again are told exactly what they have lost.

use std::ops::Range;

use crate::lab::load::{Arrival, Load};
use crate::lab::report::{
    Goal, LINES, MEBIBYTE, MEBIBYTES, MEMBERS, NANOSECONDS, Report, TIMES, number,
};
use crate::lab::server::Server;
use crate::lab::{Lab, Outcome, UNANNOUNCED};
use crate::numbered::{LINE_BYTES, Witness, numbered};

/// Who speaks.
const SENDER: usize = 0;
/// Connections on their way at once.
const AT_ONCE: usize = 512;
/// A log that is full soon: thousands of members hear all of it several times over.
const ROOM_LOG_BYTES: usize = 512 * 1024;
/// What the server may need besides: for a member that it leaves behind, the rest of the line that was in flight to
/// it, and the record that holds it; and for anything else.
const SLOW_MEMBER_BYTES: usize = LINE_BYTES + 200;
const OTHER_BYTES: usize = 1024 * 1024;
/// Lines sent at once. All who read hear them before the next are sent, so that they lose nothing.
const WINDOW_LINES: u64 = 30;
/// Windows until those who do not read have full sockets, and the log has begun to leave them behind.
const FILLING_WINDOWS: u64 = 30;

/// What one crowd has shown.
struct Shown {
    /// Nanoseconds of the server's CPU for each line and member that reads.
    delivery_ns: f64,
    /// Bytes by which its memory grew at most.
    growth: f64,
    /// How many lines were sent.
    sent: u64,
    /// A line of the report if the server was not alone.
    company: Option<String>,
}

/// The same lines to three crowds: one in which everybody reads, one in which some do not, one in which half do not.
pub(crate) fn slow_crowd(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let members = lab.size(10_000, 2_000);
    lab.require_connections(members)?;
    let mut usual_ns = None;
    for slow in [0, members / 100, members / 2] {
        let mut crowd = Crowd::gather(members, slow, lab)?;
        let shown = crowd.hear(lab.size(30, 10))?;
        let counts = [slow, members].map(|count| number(count as f64, 0));
        report.note(&format!(
            "{} of {} members do not read",
            counts[0], counts[1]
        ));
        report.told(
            "  CPU a delivery to the others",
            shown.delivery_ns,
            NANOSECONDS,
        );
        match usual_ns {
            None => usual_ns = Some(shown.delivery_ns),
            Some(usual_ns) => {
                let ratio = shown.delivery_ns / usual_ns;
                report.row(
                    "  beside a crowd that reads",
                    ratio,
                    TIMES,
                    Goal::AtMost(1.2),
                );
            }
        }
        let growth = shown.growth / MEBIBYTE;
        let most = (ROOM_LOG_BYTES + slow * SLOW_MEMBER_BYTES + OTHER_BYTES) as f64 / MEBIBYTE;
        let most = Goal::AtMost(most);
        report.row(
            "  the server's memory grew by at most",
            growth,
            MEBIBYTES,
            most,
        );
        crowd.report_accounts(shown.sent, report);
        report.note_if(shown.company);
    }
    Ok(())
}

/// A room: who speaks, who reads, and who does not.
struct Crowd {
    load: Load<Witness>,
    reading: Range<usize>,
    slow: Range<usize>,
    server: Server,
}

impl Crowd {
    fn gather(members: usize, slow: usize, lab: &Lab) -> Outcome<Self> {
        let room_log = ROOM_LOG_BYTES.to_string();
        // A line skipped is any line of the room, so none but the numbered ones may come.
        let flags = [UNANNOUNCED, &["--room-log", &room_log]].concat();
        let server = Server::madang(lab, &flags)?;
        let mut load = Load::new(server.address, Arrival::Greeted)?;
        load.admit(members, AT_ONCE)?;
        if lab.load_has_its_own_core() {
            load.stay_awake();
        }
        let reading = SENDER + 1..members - slow;
        let slow = reading.end..members;
        slow.clone().for_each(|id| load.stop_reading(id));
        Ok(Self {
            load,
            reading,
            slow,
            server,
        })
    }

    /// Says lines until the slow are left behind, then for so many windows more, which are measured; then the slow
    /// ones read again.
    fn hear(&mut self, windows: u64) -> Outcome<Shown> {
        let idle = self.server.resident_bytes()?;
        let (mut peak, mut before) = (idle, 0);
        for nth in 0..FILLING_WINDOWS + windows {
            if nth == FILLING_WINDOWS {
                before = self.server.cpu_ns()?;
            }
            self.say(nth * WINDOW_LINES..(nth + 1) * WINDOW_LINES)?;
            peak = peak.max(self.server.resident_bytes()?);
        }
        let used = self.server.cpu_ns()? - before;
        let deliveries = windows * WINDOW_LINES * self.reading.len() as u64;
        let company = self.server.company()?;
        let sent = self.wake_the_slow((FILLING_WINDOWS + windows) * WINDOW_LINES)?;
        Ok(Shown {
            delivery_ns: used as f64 / deliveries as f64,
            growth: (peak - idle) as f64,
            sent,
            company,
        })
    }

    /// Sends these lines, and waits until all who read have heard them.
    fn say(&mut self, lines: Range<u64>) -> Outcome<()> {
        let end = lines.end;
        self.load.send(SENDER, &numbered(lines))?;
        Self::account(&mut self.load, self.reading.clone(), end)
    }

    /// The slow ones read again what they are owed of the lines before `sent`. One more line, for which nobody is too
    /// slow, shows a count that had been too high, and the numbers that were missing at the very end.
    fn wake_the_slow(&mut self, sent: u64) -> Outcome<u64> {
        for id in self.slow.clone() {
            self.load.resume_reading(id)?;
        }
        Self::account(&mut self.load, self.slow.clone(), sent)?;
        self.say(sent..sent + 1)?;
        Self::account(&mut self.load, self.slow.clone(), sent + 1)?;
        Ok(sent + 1)
    }

    /// Waits until all of these have received, or have been told that they have lost, every line before `sent`.
    fn account(load: &mut Load<Witness>, mut readers: Range<usize>, sent: u64) -> Outcome<()> {
        load.until("every line to be heard or told as skipped", |load| {
            // Whoever has it all need not be asked again.
            while !readers.is_empty() && load.ear(readers.start).accounted() >= sent {
                readers.start += 1;
            }
            readers.is_empty()
        })
    }

    /// Rows about what everybody has received and has been told of.
    fn report_accounts(&self, sent: u64, report: &mut Report) {
        let told = |readers: &Range<usize>| -> u64 {
            readers
                .clone()
                .map(|id| self.load.ear(id).told_skipped)
                .sum()
        };
        let lost = told(&self.reading) as f64;
        report.row("  lost to those who read", lost, LINES, Goal::MustBe(0.0));
        let is_right = |id: &usize| {
            let ear = self.load.ear(*id);
            ear.accounted() == sent && ear.wrong == 0 && ear.missing == ear.told_skipped
        };
        let everybody = self.reading.start..self.slow.end;
        let right = everybody.clone().filter(is_right).count();
        report.row_with_note(
            "  members with received + skipped = sent",
            right as f64,
            MEMBERS,
            Goal::MustBe(everybody.len() as f64),
            &self.slow_account(sent, told(&self.slow)),
        );
    }

    /// What the slow ones lost on average, if there are any.
    fn slow_account(&self, sent: u64, told: u64) -> String {
        if self.slow.is_empty() {
            return String::new();
        }
        let skipped = told as f64 / self.slow.len() as f64;
        let [received, skipped] = [sent as f64 - skipped, skipped].map(|count| number(count, 0));
        format!("the slow ones: {received} + {skipped} on average")
    }
}
