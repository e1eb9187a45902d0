//! A room with one sender, readers that keep up and slow ones. `madang bench` checks the lines that they receive.

use std::time::{Duration, Instant};

use madang::address::Address;
use madang::bench::accounting::Totals;
use madang::bench::engine::{Engine, Event, LineBuffer};
use madang::bench::line::{Format, Said};
use madang::bench::plan::{Pace, Plan, Protocol};
use madang::bench::progress::Progress;
use madang::bench::recorder::Recorder;
use madang::bench::setup;
use madang::bench::socket::Dialler;
use madang::tls_client::Options;

use crate::harness::server::Server;
use crate::harness::{Harness, Outcome, TIMEOUT};

/// Bytes of a line as it is sent, newline included.
pub(crate) const LINE_BYTES: usize = 1000;
/// Bytes of lines that are written to the socket together.
const BLOCK_BYTES: usize = 64 * LINE_BYTES;
/// How much may be sent between two polls: at 30 MB/s, how far the sender may fall behind its pace and still catch up
/// (10 ms); at full speed, how much one thread may send before it reads for the others.
const AHEAD_BYTES: f64 = 300e3;
/// When no line has come for so long, none will.
const QUIET: Duration = Duration::from_secs(5);
/// How long the room waits in the end for lines that must not come.
const EXTRA: Duration = Duration::from_millis(50);

/// The room. Its connections are the slow readers, the other readers, and the sender.
pub(crate) struct Room {
    plan: Plan,
    engine: Engine<LineBuffer>,
    recorder: Recorder,
    /// The lines that are being written.
    block: Vec<u8>,
    /// `block[..written]` has been written; `written <= block.len()`.
    written: usize,
    /// When each connection last received something.
    received_ns: Vec<u64>,
    /// The longest time between two reads of a reader that keeps up.
    longest_gap_ns: u64,
    /// How long a poll waits for events.
    poll_timeout: Duration,
    /// The last field, so that the clients are dropped first.
    pub(crate) server: Server,
}

/// What to do between two polls.
pub(crate) type Meanwhile<'a> = &'a mut dyn FnMut(&mut Room) -> Outcome<()>;

impl Room {
    /// Starts a server with these flags, and connects all clients. Nothing is left to announce: any line of the room may
    /// be skipped. The slow readers do not read.
    pub(crate) fn gather(
        harness: &Harness,
        flags: &[&str],
        slow: usize,
        readers: usize,
    ) -> Outcome<Self> {
        let server = Server::madang(harness, flags)?;
        let mut plan = Plan {
            targets: vec![Address::from(server.address).into()],
            tls: Options::default(),
            protocol: Protocol::Madang,
            password: None,
            receivers: (slow + readers) as u32,
            senders: 1,
            rooms: 1,
            // While they connect: their sockets get buffers of the usual size.
            slow_readers: 0,
            line_bytes: LINE_BYTES - 1,
            pace: Pace::Rate(1),
            lines: None,
            duration: None,
            timeout: TIMEOUT,
            pid: None,
            json: false,
        };
        let dialler = Dialler::new(&plan.targets, &plan.tls, plan.nodes(), 0)?;
        let mut engine = Engine::new(dialler)?;
        let mut progress = Progress::new(false);
        setup::connect(&mut engine, &plan, &mut progress)?;
        setup::join(&mut engine, &plan, 0, &mut progress)?;
        plan.slow_readers = slow as u32;
        (0..slow).for_each(|connection| engine.pause(connection));
        let format = Format::new(plan.protocol, plan.line_bytes, 0);
        Ok(Self {
            recorder: Recorder::new(&plan, format),
            block: Vec::new(),
            written: 0,
            received_ns: vec![engine.now_ns(); plan.connections()],
            longest_gap_ns: 0,
            poll_timeout: Duration::from_millis(1),
            plan,
            engine,
            server,
        })
    }

    /// From now on the room polls without ever sleeping.
    pub(crate) fn stay_awake(&mut self) {
        self.poll_timeout = Duration::ZERO;
    }

    fn poll(&mut self, timeout: Duration) -> Outcome<()> {
        let slow = self.plan.slow_readers as usize;
        self.engine.poll(timeout, |connection, lines, event| {
            if let Event::Received { at_ns, .. } = event {
                let last_ns = std::mem::replace(&mut self.received_ns[connection], at_ns);
                if connection >= slow {
                    self.longest_gap_ns = self.longest_gap_ns.max(at_ns - last_ns);
                }
            }
            self.recorder.record(connection, lines, event);
        })?;
        self.recorder
            .failure
            .take()
            .map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Lines sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.recorder.accounting.lines()
    }

    /// Writes what the socket takes of the lines before `limit`; returns how many bytes that was.
    fn write(&mut self, limit: u64) -> usize {
        let sender = self.plan.receivers as usize;
        let mut all = 0;
        loop {
            if self.written == self.block.len() {
                self.block.clear();
                self.written = 0;
                while self.block.len() < BLOCK_BYTES && self.sent() < limit {
                    let said = Said {
                        sender: 0,
                        number: self.recorder.accounting.sent(0),
                        at_ns: self.engine.now_ns(),
                    };
                    self.recorder.format.write(&mut self.block, said);
                    self.recorder.accounting.send(0, sender);
                }
            }
            match self.engine.write(sender, &self.block[self.written..]) {
                0 => return all,
                taken => {
                    self.written += taken;
                    all += taken;
                }
            }
        }
    }

    /// Sends so many more lines; returns the longest time for which the sender's socket took no byte.
    pub(crate) fn send(
        &mut self,
        lines: u64,
        mut pace: Speed,
        meanwhile: Meanwhile<'_>,
    ) -> Outcome<Duration> {
        let end = self.sent() + lines;
        let deadline = Instant::now() + TIMEOUT;
        let (mut progress, mut longest_stall) = (Instant::now(), Duration::ZERO);
        while self.sent() < end || self.written < self.block.len() {
            let unsent = self.block.len() - self.written;
            let sent_bytes = self.sent() * LINE_BYTES as u64 - unsent as u64;
            let bytes = self.write(end.min(pace.lines_due(sent_bytes)));
            meanwhile(self)?;
            if bytes > 0 {
                longest_stall = longest_stall.max(progress.elapsed());
                progress = Instant::now();
                self.poll(Duration::ZERO)?;
            } else {
                self.poll(self.poll_timeout)?;
            }
            if Instant::now() > deadline {
                return Err(format!("{lines} lines could not be sent in {TIMEOUT:?}").into());
            }
        }
        Ok(longest_stall)
    }

    /// Polls until every line has reached the readers or was reported to them as skipped, or until nothing has come for a
    /// while: the report shows what is missing then. The slow readers count after [`Self::expect_slow`].
    pub(crate) fn wait(&mut self, meanwhile: Meanwhile<'_>) -> Outcome<()> {
        let start_ns = self.engine.now_ns();
        while !self.recorder.accounting.is_complete() {
            let progress_ns = start_ns.max(self.recorder.last_ns);
            if self.engine.now_ns() > progress_ns + QUIET.as_nanos() as u64 {
                break;
            }
            meanwhile(self)?;
            self.poll(self.poll_timeout)?;
        }
        Ok(())
    }

    /// All lines are sent: from now on the slow readers are waited for.
    pub(crate) fn expect_slow(&mut self) {
        self.recorder.accounting.resume();
    }

    /// The slow readers read again. Waits until they have all lines, and for lines that must not come.
    pub(crate) fn finish(&mut self) -> Outcome<()> {
        self.expect_slow();
        (0..self.plan.slow_readers as usize).for_each(|connection| self.engine.resume(connection));
        self.wait(&mut nothing)?;
        let end = Instant::now() + EXTRA;
        while Instant::now() < end {
            self.poll(Duration::from_millis(1))?;
        }
        Ok(())
    }

    /// Each slow reader reads once, at most so many bytes.
    pub(crate) fn read_slowly(&mut self, bytes_max: usize) {
        for connection in 0..self.plan.slow_readers as usize {
            self.engine
                .read_paused(connection, bytes_max, |connection, lines, event| {
                    self.recorder.record(connection, lines, event);
                });
        }
    }

    /// The longest time between two reads of a reader that keeps up.
    pub(crate) fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.longest_gap_ns)
    }

    /// The accounts of the slow readers, and of the others.
    pub(crate) fn accounts(&self) -> (Vec<Totals>, Vec<Totals>) {
        let readers = 0..self.plan.receivers as usize;
        let accounts = readers.map(|connection| self.recorder.accounting.totals_of(connection));
        let mut slow: Vec<Totals> = accounts.collect();
        let others = slow.split_off(self.plan.slow_readers as usize);
        (slow, others)
    }

    /// Lines that were damaged, came twice or out of order, or are missing without having been reported as skipped.
    pub(crate) fn wrong(&self) -> u64 {
        let totals = self.recorder.accounting.totals();
        self.recorder.foreign + totals.wrong + totals.lost + totals.surplus
    }
}

/// How fast a sender may send.
pub(crate) struct Speed {
    /// Bytes a second.
    rate: f64,
    /// Up to which byte of all lines the sender may go; less than [`AHEAD_BYTES`] beyond what it has sent.
    allowed_bytes: f64,
    /// When `allowed_bytes` was computed.
    computed: Instant,
}

impl Speed {
    /// So many bytes a second.
    pub(crate) fn of(rate: f64) -> Self {
        Self {
            rate,
            allowed_bytes: 0.0,
            computed: Instant::now(),
        }
    }

    /// As fast as the server reads.
    pub(crate) fn unlimited() -> Self {
        Self::of(f64::MAX)
    }

    /// How many lines may be sent by now, when `sent_bytes` have been. A sender that was blocked does not catch up at full
    /// speed: the measurement would no longer be of this pace.
    pub(crate) fn lines_due(&mut self, sent_bytes: u64) -> u64 {
        let now = Instant::now();
        let since = (now - self.computed).as_secs_f64();
        self.computed = now;
        let most = sent_bytes as f64 + AHEAD_BYTES;
        self.allowed_bytes = (self.allowed_bytes + self.rate * since).min(most);
        self.allowed_bytes as u64 / LINE_BYTES as u64
    }
}

/// Nothing is done between two polls.
pub(crate) fn nothing(_: &mut Room) -> Outcome<()> {
    Ok(())
}
