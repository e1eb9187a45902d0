//! The flags of `madang serve`, and the limits and options that they stand for.

use super::join::Look;
use crate::address::Address;
use crate::hub::limits::{HalfClose, Limits, SlowPolicy};
use crate::net::listener::Options;
use clap::{Args, ValueEnum, value_parser};
use std::time::Duration;

const SECOND_US: u64 = 1_000_000;

/// `madang serve`
#[derive(Debug, Args)]
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "what stands in brackets here is an address"
)]
pub struct Serve {
    /// Listen for people and scripts here: HOST:PORT, [IPV6]:PORT or unix:PATH
    ///
    /// May be given more than once. Without it and without --listen-raw: 0.0.0.0:8080.
    #[arg(
        long,
        value_name = "ADDR",
        env = "MADANG_LISTEN",
        value_delimiter = ',',
        help_heading = "Listening"
    )]
    pub listen: Vec<Address>,

    /// Listen for pipes and devices here: lines pass as they are, without names, commands and notices
    #[arg(
        long,
        value_name = "ADDR",
        env = "MADANG_LISTEN_RAW",
        value_delimiter = ',',
        help_heading = "Listening"
    )]
    pub listen_raw: Vec<Address>,

    /// Newcomers that may wait to be let in
    #[arg(long, value_name = "CONNECTIONS", env = "MADANG_BACKLOG", default_value_t = 4096, value_parser = value_parser!(i32).range(1..), help_heading = "Listening")]
    pub backlog: i32,

    /// Seconds of silence after which the network is asked whether the peer is still there; 0: never
    #[arg(long, value_name = "SECONDS", env = "MADANG_KEEPALIVE", default_value_t = 60, value_parser = value_parser!(u64).range(..=32_767), help_heading = "Listening")]
    pub keepalive: u64,

    /// Bytes that the kernel may hold for a connection of what it has not taken
    #[arg(long, value_name = "BYTES", env = "MADANG_SEND_BUFFER", default_value_t = 65_536, value_parser = value_parser!(u32).range(2048..=1 << 30), help_heading = "Listening")]
    pub send_buffer: u32,

    /// Bytes that the kernel may hold of a connection that have not been read
    #[arg(long, value_name = "BYTES", env = "MADANG_RECV_BUFFER", default_value_t = 65_536, value_parser = value_parser!(u32).range(2048..=1 << 30), help_heading = "Listening")]
    pub recv_buffer: u32,

    /// Connections at a time [default: what the descriptor limit allows]
    #[arg(long, value_name = "CONNECTIONS", env = "MADANG_MAX_CLIENTS", value_parser = value_parser!(u32).range(1..), help_heading = "Limits")]
    pub max_clients: Option<u32>,

    /// Connections at a time from one IP address; 0: no limit
    #[arg(
        long,
        value_name = "CONNECTIONS",
        env = "MADANG_MAX_PER_IP",
        default_value_t = 0,
        help_heading = "Limits"
    )]
    pub max_per_ip: u32,

    /// Rooms at a time
    #[arg(long, value_name = "ROOMS", env = "MADANG_MAX_ROOMS", default_value_t = 1000, value_parser = value_parser!(u32).range(1..), help_heading = "Limits")]
    pub max_rooms: u32,

    /// Bytes of a line without its end; a longer one is refused
    #[arg(long, value_name = "BYTES", env = "MADANG_MAX_LINE", default_value_t = 8192, value_parser = value_parser!(u32).range(1..=1 << 26), help_heading = "Limits")]
    pub max_line: u32,

    /// Bytes of memory for what was said in a room and not everybody has read
    #[arg(long, value_name = "BYTES", env = "MADANG_ROOM_LOG", default_value_t = 4 << 20, value_parser = value_parser!(u32).range(1..=1 << 31), help_heading = "Limits")]
    pub room_log: u32,

    /// Lines a second that a client may say for long; over it, it is read more slowly; 0: no limit
    #[arg(long, value_name = "LINES", env = "MADANG_RATE", default_value_t = 0, value_parser = value_parser!(u32).range(..=1_000_000), help_heading = "Limits")]
    pub rate: u32,

    /// Lines that a client may say at once, where --rate is set
    #[arg(
        long,
        value_name = "LINES",
        env = "MADANG_BURST",
        default_value_t = 100,
        help_heading = "Limits"
    )]
    pub burst: u32,

    /// Members up to which a room is told who came and who went
    #[arg(
        long,
        value_name = "MEMBERS",
        env = "MADANG_ANNOUNCE_LIMIT",
        default_value_t = 1000,
        help_heading = "Limits"
    )]
    pub announce_limit: u32,

    /// What a reader gets that is too slow
    #[arg(long, value_name = "POLICY", env = "MADANG_SLOW", value_enum, default_value_t = Slow::Skip, help_heading = "Behaviour")]
    pub slow: Slow,

    /// With --slow wait: seconds without progress after which a reader is closed
    #[arg(long, value_name = "SECONDS", env = "MADANG_SLOW_TIMEOUT", default_value_t = 30, value_parser = value_parser!(u64).range(1..=1 << 31), help_heading = "Behaviour")]
    pub slow_timeout: u64,

    /// What a connection gets whose peer has finished sending
    #[arg(long, value_name = "POLICY", env = "MADANG_HALF_CLOSE", value_enum, default_value_t = Half::Close, help_heading = "Behaviour")]
    pub half_close: Half,

    /// Milliseconds of silence after which an unfinished line is passed on; 0: never
    #[arg(long, value_name = "MS", env = "MADANG_PARTIAL_AFTER", default_value_t = 0, value_parser = value_parser!(u64).range(..=1 << 31), help_heading = "Behaviour")]
    pub partial_after: u64,

    /// Seconds of silence after which a client is closed; 0: never
    #[arg(long, value_name = "SECONDS", env = "MADANG_IDLE_TIMEOUT", default_value_t = 0, value_parser = value_parser!(u64).range(..=1 << 31), help_heading = "Behaviour")]
    pub idle_timeout: u64,

    /// Lines that somebody who enters a room is shown of what was said before
    #[arg(
        long,
        value_name = "LINES",
        env = "MADANG_HISTORY",
        default_value_t = 0,
        help_heading = "Behaviour"
    )]
    pub history: u32,

    /// What newcomers are greeted with
    #[arg(
        long,
        value_name = "TEXT",
        env = "MADANG_WELCOME",
        default_value = "",
        hide_default_value = true,
        help_heading = "Behaviour"
    )]
    pub welcome: String,

    /// Seconds that a closing connection may take to be given its last bytes
    #[arg(long, value_name = "SECONDS", env = "MADANG_DRAIN", default_value_t = 5, value_parser = value_parser!(u64).range(..=1 << 31), help_heading = "Behaviour")]
    pub drain: u64,

    /// See the lobby and talk in it from this terminal, as host; its end is the server's
    #[arg(long, env = "MADANG_CONSOLE", help_heading = "Terminal")]
    pub console: bool,

    /// How lines are shown there.
    #[command(flatten)]
    pub look: Look,

    /// What is logged, on standard error
    #[arg(long, value_name = "LEVEL", env = "MADANG_LOG_LEVEL", value_enum, default_value_t = LogLevel::Info, help_heading = "Logging")]
    pub log_level: LogLevel,

    /// How it is logged
    #[arg(long, value_name = "FORMAT", env = "MADANG_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, help_heading = "Logging")]
    pub log_format: LogFormat,
}

/// `--slow`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Slow {
    /// Newer lines, and the number of those it lost
    Skip,
    /// The number of lines it lost, and its end
    Close,
    /// Time: nobody in its room may speak until it has caught up
    Wait,
}

/// `--half-close`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Half {
    /// What it is owed, and its end
    Close,
    /// All that is said from then on
    Keep,
}

/// `--log-level`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// `--log-format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For machines: one JSON object a line
    Json,
}

impl Serve {
    /// Where to listen for people.
    pub fn chat_addresses(&self) -> Vec<Address> {
        if self.listen.is_empty() && self.listen_raw.is_empty() {
            return vec![Address::Tcp("0.0.0.0:8080".into())];
        }
        self.listen.clone()
    }

    /// The options of the sockets.
    pub fn socket_options(&self) -> Options {
        Options {
            backlog: self.backlog,
            send_buffer_bytes: self.send_buffer as usize,
            recv_buffer_bytes: self.recv_buffer as usize,
            keepalive: Duration::from_secs(self.keepalive),
        }
    }

    /// The hub's limits, for so many connections at a time.
    pub fn limits(&self, clients_max: usize) -> Limits {
        Limits {
            clients_max,
            clients_per_ip_max: self.max_per_ip as usize,
            line_bytes_max: self.max_line as usize,
            room_log_bytes_max: self.room_log as usize,
            history_lines: self.history as usize,
            rooms_max: self.max_rooms as usize,
            announce_members_max: self.announce_limit as usize,
            rate_lines: self.rate,
            burst_lines: self.burst,
            slow: match self.slow {
                Slow::Skip => SlowPolicy::Skip,
                Slow::Close => SlowPolicy::Close,
                Slow::Wait => SlowPolicy::Wait,
            },
            slow_timeout_us: self.slow_timeout * SECOND_US,
            half_close: match self.half_close {
                Half::Close => HalfClose::Close,
                Half::Keep => HalfClose::Keep,
            },
            partial_after_us: self.partial_after * 1000,
            idle_timeout_us: self.idle_timeout * SECOND_US,
            drain_us: self.drain * SECOND_US,
            welcome: self.welcome.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::{CommandFactory, Parser};

    fn serve(args: &[&str]) -> Result<Serve, clap::Error> {
        let all = ["madang", "serve"].iter().chain(args);
        Cli::try_parse_from(all).map(|cli| match cli.command {
            Command::Serve(serve) => *serve,
            _ => unreachable!("it was told to serve"),
        })
    }

    #[test]
    fn the_flags_are_sound_and_their_defaults_are_those_of_the_limits() {
        Cli::command().debug_assert();
        let limits = serve(&[]).unwrap().limits(960);
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
        assert_eq!(
            serve(&[]).unwrap().chat_addresses(),
            [Address::Tcp("0.0.0.0:8080".into())]
        );
        assert!(
            serve(&["--listen-raw", "unix:/x"])
                .unwrap()
                .chat_addresses()
                .is_empty()
        );
    }

    #[test]
    fn every_flag_has_an_environment_variable_of_its_name() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        for arg in serve.get_arguments().filter(|arg| arg.get_id() != "help") {
            let name = format!("MADANG_{}", arg.get_id().as_str().to_uppercase());
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(&*name));
        }
    }

    #[test]
    fn bad_values_are_refused() {
        for args in [
            ["--listen", "nowhere"],
            ["--slow", "never"],
            ["--max-line", "0"],
            ["--backlog", "x"],
            ["--rate", "-1"],
        ] {
            assert!(serve(&args).is_err(), "{args:?}");
        }
    }
}
