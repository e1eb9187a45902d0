//! Clients that send as much as the server takes: each the same bytes, over and over.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::harness::Outcome;
use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};

/// How many flooders write, and how many are read, in one step.
const WRITES_A_STEP: usize = 8;
const READS_A_STEP: usize = 16;
/// Bytes that one write offers at least.
const WRITE_BYTES: usize = 16 * 1024;
/// How long it takes to fill the sockets of some hundred flooders.
const WARM_UP: Duration = Duration::from_millis(200);
/// Connections that are being made at a time.
const PENDING_MAX: usize = 64;

/// The flooders. They read what they receive.
pub(crate) struct Flooders {
    load: Load<Count>,
    streams: Vec<Stream>,
    /// Who writes next.
    next: usize,
    sent_bytes: u64,
}

/// What one flooder sends.
struct Stream {
    /// Whole lines.
    bytes: Vec<u8>,
    /// `bytes[at..]` is sent next; `at < bytes.len()`.
    at: usize,
}

impl Flooders {
    /// Connects so many clients. The one of number `n` will send `lines(n)`, over and over.
    pub(crate) fn gather(
        server: SocketAddr,
        flooders: usize,
        arrival: Arrival,
        lines: impl Fn(usize) -> Vec<u8>,
    ) -> Outcome<Self> {
        let mut load = Load::new(server, arrival)?;
        load.admit(flooders, PENDING_MAX)?;
        load.set_reads_max(READS_A_STEP);
        let stream = |number| {
            let lines = lines(number);
            let times = WRITE_BYTES.div_ceil(lines.len());
            Stream {
                bytes: lines.repeat(times),
                at: 0,
            }
        };
        Ok(Self {
            load,
            streams: (0..flooders).map(stream).collect(),
            next: 0,
            sent_bytes: 0,
        })
    }

    /// Floods until all sockets are full: from then on the flooders send what the server reads.
    pub(crate) fn warm_up(&mut self) -> Outcome<()> {
        let end = Instant::now() + WARM_UP;
        while Instant::now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// A few flooders write what their sockets take, and a few read: a fraction of a millisecond.
    pub(crate) fn step(&mut self) -> Outcome<()> {
        for _ in 0..WRITES_A_STEP.min(self.streams.len()) {
            let stream = &mut self.streams[self.next];
            let taken = self.load.offer(self.next, &stream.bytes[stream.at..]);
            stream.at = (stream.at + taken) % stream.bytes.len();
            self.sent_bytes += taken as u64;
            self.next = (self.next + 1) % self.streams.len();
        }
        self.load.poll(Duration::ZERO)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.streams.len()
    }

    /// Bytes that the flooders have sent so far, all together.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }
}
