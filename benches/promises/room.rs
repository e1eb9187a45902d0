//! A room with one slow reader: numbered lines go in, and every reader's account of them is kept.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::lab::load::{Arrival, Load};
use crate::lab::report::{Goal, LINES, Report, number};
use crate::lab::server::Server;
use crate::lab::{ANNOUNCED_AFTER, Lab, Outcome, PATIENCE};
use crate::numbered::{LINE_BYTES, Source, Witness};

/// The clients of a room: one speaks, four read all that comes, the last is slow.
const SENDER: usize = 0;
pub(crate) const HEALTHY: RangeInclusive<usize> = 1..=4;
pub(crate) const SLOW: usize = 5;
const MEMBERS: usize = 6;

/// How much may be sent between two looks at the readers: at 30 MB/s, how far the sender may fall behind its pace and
/// still catch up (10 ms); at full speed, what one thread may send before it reads again for those who keep up.
const AHEAD_BYTES: f64 = 300e3;
/// When nothing has come for so long, nothing will.
const QUIET: Duration = Duration::from_secs(5);

/// The room, the lines that are said in it, and how many of them have been.
pub(crate) struct Room {
    pub(crate) load: Load<Witness>,
    source: Source,
    pub(crate) server: Server,
}

/// What else happens while lines are sent.
pub(crate) type Meanwhile<'a> = &'a mut dyn FnMut(&mut Load<Witness>, &Server) -> Outcome<()>;

impl Room {
    /// A server with these flags, with everybody in its room and nothing left to announce.
    pub(crate) fn gather(lab: &Lab, flags: &[&str]) -> Outcome<Self> {
        let server = Server::madang(lab, flags)?;
        let mut load = Load::<Witness>::new(server.address, Arrival::Greeted)?;
        load.admit(MEMBERS, 1)?;
        // A line skipped is any line of the room, so none but the numbered ones may come from here on.
        load.listen_for(ANNOUNCED_AFTER)?;
        HEALTHY.for_each(|reader| load.ear_mut(reader).restart_gaps());
        Ok(Self {
            load,
            source: Source::new(),
            server,
        })
    }

    /// Sends the lines before `limit`, and gives the longest time for which the sender's socket took none of them.
    pub(crate) fn send(
        &mut self,
        limit: u64,
        mut pace: Pace,
        meanwhile: Meanwhile<'_>,
    ) -> Outcome<Duration> {
        let deadline = Instant::now() + PATIENCE;
        let (mut progress, mut longest_stall) = (Instant::now(), Duration::ZERO);
        while !self.source.has_sent(limit) {
            let due = limit.min(pace.lines_due(self.source.sent_bytes()));
            let pumped = self.source.pump(&mut self.load, SENDER, due)?;
            meanwhile(&mut self.load, &self.server)?;
            if pumped > 0 {
                longest_stall = longest_stall.max(progress.elapsed());
                progress = Instant::now();
                self.load.turn(Duration::ZERO)?;
            } else {
                self.load.turn(Duration::from_millis(1))?;
            }
            if Instant::now() > deadline {
                return Err(format!("{limit} lines could not be sent in {PATIENCE:?}").into());
            }
        }
        Ok(longest_stall)
    }

    /// Turns until every reader has received or been told of all lines before `limit`, or until nothing has come
    /// for a while: what is missing then is for the report to show.
    pub(crate) fn account(
        &mut self,
        limit: u64,
        readers: &[usize],
        meanwhile: Meanwhile<'_>,
    ) -> Outcome<()> {
        let mut known = 0;
        let mut progress = Instant::now();
        loop {
            let accounts = readers
                .iter()
                .map(|&reader| self.load.ear(reader).accounted());
            if accounts.clone().all(|account| account >= limit) || progress.elapsed() > QUIET {
                return Ok(());
            }
            let sum = accounts.sum();
            if sum != known {
                (known, progress) = (sum, Instant::now());
            }
            meanwhile(&mut self.load, &self.server)?;
            self.load.turn(Duration::from_millis(1))?;
        }
    }

    /// One more line, for which nobody is too slow: it would show a count that had been too high, and brings up the
    /// numbers that were missing at the very end.
    pub(crate) fn say_one_more(&mut self, lines: u64) -> Outcome<u64> {
        self.send(lines + 1, Pace::unlimited(), &mut nothing)?;
        self.account(lines + 1, &all_readers(), &mut nothing)?;
        Ok(lines + 1)
    }

    /// A row a reader: what it received and what it was told of are together what was sent.
    pub(crate) fn report_accounts(&self, name: &str, sent: u64, report: &mut Report) {
        for reader in all_readers() {
            let ear = self.load.ear(reader);
            let who = if reader == SLOW {
                "the slow one".to_owned()
            } else {
                format!("healthy {reader}")
            };
            let [received, skipped] =
                [ear.received, ear.told_skipped].map(|count| number(count as f64, 0));
            report.row_with_note(
                &format!("{name}: {who}, received + skipped"),
                ear.accounted() as f64,
                LINES,
                Goal::MustBe(sent as f64),
                &format!("{received} + {skipped}"),
            );
        }
        let wrong_for = |reader| {
            let ear = self.load.ear(reader);
            ear.wrong + ear.missing.abs_diff(ear.told_skipped)
        };
        let wrong: u64 = all_readers().into_iter().map(wrong_for).sum();
        let name = format!("{name}: lines cut, twice, astray or untold");
        report.row(&name, wrong as f64, LINES, Goal::MustBe(0.0));
    }

    /// The lines that readers were told they have lost.
    pub(crate) fn lost_to(&self, readers: impl IntoIterator<Item = usize>) -> f64 {
        let told = |reader| self.load.ear(reader).told_skipped;
        readers.into_iter().map(told).sum::<u64>() as f64
    }
}

/// How fast a sender may send.
pub(crate) struct Pace {
    /// Bytes a second.
    rate: f64,
    /// Up to which byte of all lines the sender may go; less than [`AHEAD_BYTES`] beyond what it has sent.
    allowed_bytes: f64,
    /// When `allowed_bytes` was reckoned.
    reckoned: Instant,
}

impl Pace {
    /// So many bytes a second.
    pub(crate) fn of(rate: f64) -> Self {
        Self {
            rate,
            allowed_bytes: 0.0,
            reckoned: Instant::now(),
        }
    }

    /// As fast as the server reads.
    pub(crate) fn unlimited() -> Self {
        Self::of(f64::MAX)
    }

    /// How many lines may have been sent by now, when `sent_bytes` have been so far. What a sender that was held up
    /// could not send is not made up for at full speed: it would no longer be the pace that is measured.
    fn lines_due(&mut self, sent_bytes: u64) -> u64 {
        let now = Instant::now();
        let since = (now - self.reckoned).as_secs_f64();
        self.reckoned = now;
        let most = sent_bytes as f64 + AHEAD_BYTES;
        self.allowed_bytes = (self.allowed_bytes + self.rate * since).min(most);
        self.allowed_bytes as u64 / LINE_BYTES as u64
    }
}

/// Nothing else happens meanwhile.
pub(crate) fn nothing(_: &mut Load<Witness>, _: &Server) -> Outcome<()> {
    Ok(())
}

/// The healthy readers and the slow one.
pub(crate) fn all_readers() -> Vec<usize> {
    HEALTHY.chain([SLOW]).collect()
}
