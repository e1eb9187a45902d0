//! The flags of `madang bench`, and the plan that they make. Nothing is measured here.

use super::tls_client::TlsFlags;
use super::value::number;
use crate::address::Target;
use crate::bench::line::{LINE_BYTES_MIN, SENDERS_MAX};
use crate::bench::plan::{Pace, Plan, Protocol};
use crate::password_file;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// `madang bench`
#[derive(Debug, Args)]
#[allow(rustdoc::broken_intra_doc_links, reason = "[IPV6] is no link")]
pub struct Bench {
    /// The server: HOST, HOST:PORT, [IPV6]:PORT, tls:HOST:PORT or unix:PATH
    #[arg(value_name = "ADDR", value_parser = Target::parse, required_unless_present = "nodes")]
    address: Option<Target>,

    /// In place of ADDR: all nodes of a cluster, separated by commas, over which connections are spread
    ///
    /// Every line must reach all others of its room at every node. Latencies are shown apart: at the sender's node, and at others.
    #[arg(long, value_name = "ADDR", value_parser = Target::parse, value_delimiter = ',')]
    #[arg(conflicts_with_all = ["address", "pid"])]
    nodes: Vec<Target>,

    /// What the server speaks
    #[arg(long, value_name = "PROTOCOL", value_enum, default_value_t = Speaks::Madang)]
    pub protocol: Speaks,

    /// Connections that only receive
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 100, value_parser = number::<u32>(1..=1 << 24))]
    pub clients: u32,

    /// Connections that send, and receive one another's lines
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 1, value_parser = number::<u32>(1..=u64::from(SENDERS_MAX)))]
    pub senders: u32,

    /// Rooms that the connections are spread over
    #[arg(long, value_name = "ROOMS", default_value_t = 1, value_parser = number::<u32>(1..=1 << 24))]
    pub rooms: u32,

    /// Of the clients, how many do not read until all lines are sent
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 0, value_parser = number::<u32>(0..=1 << 24))]
    pub slow_readers: u32,

    /// Lines to send, by all senders together [default: as many as --duration allows]
    #[arg(long, value_name = "LINES", value_parser = number::<u64>(1..=1 << 53))]
    pub lines: Option<u64>,

    /// Seconds to send for [default: 10, or until --lines are sent]
    #[arg(long, value_name = "SECONDS", value_parser = number::<u64>(1..=86_400))]
    pub duration: Option<u64>,

    /// Bytes of a line without its end
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = number::<u32>(LINE_BYTES_MIN as u64..=1 << 26))]
    pub size: u32,

    /// Lines that a sender may have in flight; 1: it waits for each to arrive
    #[arg(long, value_name = "LINES", default_value_t = 1, value_parser = number::<u32>(1..=1 << 24))]
    pub window: u32,

    /// Instead of --window: lines a second from all senders together, whether earlier lines have arrived or not
    ///
    /// A line's latency then begins when it was due: the time for which its sender had to wait is part of it.
    #[arg(long, value_name = "LINES", conflicts_with = "window", value_parser = number::<u32>(1..=100_000_000))]
    pub rate: Option<u32>,

    /// Seconds without any delivery after which missing lines count as lost
    #[arg(long, visible_alias = "timeout", value_name = "SECONDS", default_value_t = 10, value_parser = number::<u64>(1..=86_400))]
    pub patience: u64,

    /// File with the password of a server that asks for one
    ///
    /// Without it, the variable MADANG_PASSWORD has the password.
    #[arg(long, value_name = "FILE", env = "MADANG_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,

    /// The server's process on this machine, to measure its CPU time and memory (Linux)
    ///
    /// Memory a connection is right for a fresh server only: after earlier connections it reuses memory.
    #[arg(long, value_name = "PID", value_parser = number::<u32>(1..=i32::MAX as u64))]
    pub pid: Option<u32>,

    /// Write the result as one JSON object
    #[arg(long)]
    pub json: bool,

    /// Whom to trust.
    #[command(flatten)]
    pub tls: TlsFlags,
}

/// `--protocol`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Speaks {
    /// Greetings, rooms, and notices of what was skipped
    Madang,
    /// Lines and nothing else: --listen-raw, ncat --broker
    Raw,
}

/// How long lines are sent without --lines and --duration.
const DURATION: Duration = Duration::from_secs(10);

impl Bench {
    /// The servers.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.address.iter().chain(&self.nodes)
    }

    /// The plan that the flags make.
    ///
    /// # Errors
    /// The password cannot be read.
    pub fn plan(&self) -> Result<Plan, String> {
        let duration = self.duration.map(Duration::from_secs);
        Ok(Plan {
            targets: self.targets().cloned().collect(),
            tls: self.tls.options(),
            protocol: match self.protocol {
                Speaks::Madang => Protocol::Madang,
                Speaks::Raw => Protocol::Raw,
            },
            password: password_file::of_client(self.password_file.as_deref())?,
            receivers: self.clients,
            senders: self.senders,
            rooms: self.rooms,
            slow_readers: self.slow_readers,
            line_bytes: self.size as usize,
            pace: self.rate.map_or(Pace::Window(self.window), Pace::Rate),
            lines: self.lines,
            duration: duration.or(self.lines.is_none().then_some(DURATION)),
            timeout: Duration::from_secs(self.patience),
            pid: self.pid,
            json: self.json,
        })
    }
}
