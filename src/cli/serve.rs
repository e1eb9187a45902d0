//! The flags of `madang serve`, and their conversion into the hub's limits and the sockets' options.

use super::join::Look;
use crate::address::Address;
use crate::hub::limits::{HalfClose, Limits, SlowPolicy};
use crate::logging::Format;
use crate::net::listener::Options;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, value_parser};
use std::time::Duration;
use tracing::Level;

const SECOND_US: u64 = 1_000_000;
const MILLISECOND_US: u64 = 1_000;

/// `madang serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Where and how to listen.
    #[command(flatten)]
    pub listening: ListenFlags,

    /// Limits.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Policies and timeouts.
    #[command(flatten)]
    pub behaviour: BehaviourFlags,

    /// Talk in the lobby from this terminal, as host; leaving stops the server
    ///
    /// /quit, Ctrl-C, Ctrl-D or the end of standard input stops the server as SIGTERM does.
    #[arg(long, env = "MADANG_CONSOLE", help_heading = "Terminal")]
    pub console: bool,

    /// How the console shows lines.
    #[command(flatten)]
    pub look: Look,

    /// The log.
    #[command(flatten)]
    pub log: LogFlags,
}

/// Where and how to listen.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
#[allow(rustdoc::broken_intra_doc_links, reason = "[IPV6] is no link")]
pub struct ListenFlags {
    /// Address for chat: HOST:PORT, [IPV6]:PORT or unix:PATH [default: 0.0.0.0:8080]
    ///
    /// May be given more than once. With --listen-raw there is no default.
    #[arg(long, value_name = "ADDR")]
    #[arg(env = "MADANG_LISTEN", value_delimiter = ',')]
    pub listen: Vec<Address>,

    /// Address for pipes and devices: lines pass without names, commands or notices
    ///
    /// May be given more than once.
    #[arg(long, value_name = "ADDR")]
    #[arg(env = "MADANG_LISTEN_RAW", value_delimiter = ',')]
    pub listen_raw: Vec<Address>,

    /// Connections per listener that may wait to be accepted
    #[arg(long, value_name = "CONNECTIONS", env = "MADANG_BACKLOG", default_value_t = 4096, value_parser = value_parser!(i32).range(1..))]
    pub backlog: i32,

    /// Seconds without traffic before TCP probes the peer; 0: never
    ///
    /// On Linux, a peer that acknowledges nothing for ten times as long is disconnected.
    #[arg(long, value_name = "SECONDS", env = "MADANG_KEEPALIVE", default_value_t = 60, value_parser = value_parser!(u64).range(..=32_767))]
    pub keepalive: u64,

    /// Kernel send buffer per connection, in bytes
    #[arg(long, value_name = "BYTES", env = "MADANG_SEND_BUFFER", default_value_t = 65_536, value_parser = value_parser!(u32).range(2048..=1 << 30))]
    pub send_buffer: u32,

    /// Kernel receive buffer per connection, in bytes
    #[arg(long, value_name = "BYTES", env = "MADANG_RECV_BUFFER", default_value_t = 65_536, value_parser = value_parser!(u32).range(2048..=1 << 30))]
    pub recv_buffer: u32,
}

/// Limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitFlags {
    /// Maximum number of connections [default: what the limit on open files allows]
    #[arg(long, value_name = "CONNECTIONS", env = "MADANG_MAX_CLIENTS", value_parser = value_parser!(u32).range(1..))]
    pub max_clients: Option<u32>,

    /// Maximum number of connections from one IP address (of IPv6: from one /64); 0: no limit
    #[arg(long, value_name = "CONNECTIONS")]
    #[arg(env = "MADANG_MAX_PER_IP", default_value_t = 0)]
    pub max_per_ip: u32,

    /// Maximum number of rooms
    #[arg(long, value_name = "ROOMS", env = "MADANG_MAX_ROOMS", default_value_t = 1000, value_parser = value_parser!(u32).range(1..))]
    pub max_rooms: u32,

    /// Maximum length of a line in bytes, without its line end; longer lines are refused
    #[arg(long, value_name = "BYTES", env = "MADANG_MAX_LINE", default_value_t = 8192, value_parser = value_parser!(u32).range(1..=1 << 26))]
    pub max_line: u32,

    /// Memory per room for lines that some member has not read yet, in bytes
    ///
    /// --slow says what happens to a member that falls further behind.
    #[arg(long, value_name = "BYTES", env = "MADANG_ROOM_LOG", default_value_t = 4 << 20, value_parser = value_parser!(u32).range(1..=1 << 31))]
    pub room_log: u32,

    /// Lines per second that all clients of one IP address, or a client of a Unix socket, may send; further lines are read
    /// later; 0: no limit
    #[arg(long, value_name = "LINES", env = "MADANG_RATE", default_value_t = 0, value_parser = value_parser!(u32).range(..=1_000_000))]
    pub rate: u32,

    /// Lines that they may send at once before --rate applies
    #[arg(long, value_name = "LINES")]
    #[arg(env = "MADANG_BURST", default_value_t = 100)]
    pub burst: u32,

    /// Largest room, in members, in which joins and leaves are announced
    #[arg(long, value_name = "MEMBERS")]
    #[arg(env = "MADANG_ANNOUNCE_LIMIT", default_value_t = 1000)]
    pub announce_limit: u32,
}

/// Policies and timeouts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Behaviour")]
pub struct BehaviourFlags {
    /// What to do with a client that reads too slowly
    #[arg(long, value_name = "POLICY", env = "MADANG_SLOW", value_enum, default_value_t = Slow::Skip)]
    slow: Slow,

    /// With --slow wait: seconds that a slow client may hold a room full before it is disconnected
    #[arg(long, value_name = "SECONDS", env = "MADANG_SLOW_TIMEOUT", default_value_t = 30, value_parser = value_parser!(u64).range(1..=1 << 31))]
    pub slow_timeout: u64,

    /// What to do with a connection whose peer has finished sending
    #[arg(long, value_name = "POLICY", env = "MADANG_HALF_CLOSE", value_enum, default_value_t = Half::Close)]
    half_close: Half,

    /// Milliseconds of silence that end an unfinished line; 0: never
    ///
    /// For clients that send no line ends.
    #[arg(long, value_name = "MS", env = "MADANG_PARTIAL_AFTER", default_value_t = 0, value_parser = value_parser!(u64).range(..=1 << 31))]
    pub partial_after: u64,

    /// Seconds without input before a client is disconnected; 0: never
    #[arg(long, value_name = "SECONDS", env = "MADANG_IDLE_TIMEOUT", default_value_t = 0, value_parser = value_parser!(u64).range(..=1 << 31))]
    pub idle_timeout: u64,

    /// Earlier lines that a client is shown when it enters a room
    #[arg(long, value_name = "LINES")]
    #[arg(env = "MADANG_HISTORY", default_value_t = 0)]
    pub history: u32,

    /// Text that a new client is sent before its greeting
    #[arg(long, value_name = "TEXT", env = "MADANG_WELCOME")]
    #[arg(default_value = "", hide_default_value = true)]
    pub welcome: String,

    /// Maximum time to flush pending output to a closing connection, in seconds
    #[arg(long, value_name = "SECONDS", env = "MADANG_DRAIN", default_value_t = 5, value_parser = value_parser!(u64).range(..=1 << 31))]
    pub drain: u64,
}

/// The log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogFlags {
    /// Least severe messages to log, on standard error
    #[arg(long, value_name = "LEVEL", env = "MADANG_LOG_LEVEL", default_value = "info", value_parser = log_level())]
    pub log_level: Level,

    /// Format of the log
    #[arg(long, value_name = "FORMAT", env = "MADANG_LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    pub log_format: Format,
}

/// `--slow`
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Slow {
    /// Skip ahead and report how many lines were lost
    Skip,
    /// Report how many lines were lost, then disconnect
    Close,
    /// Pause everyone who sends to its room until it has caught up
    Wait,
}

/// `--half-close`
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Half {
    /// Flush pending output, then close
    Close,
    /// Keep it open and keep sending
    Keep,
}

fn log_level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"])
        .map(|level| level.parse().expect("every possible value is a level"))
}

impl Serve {
    /// Addresses to listen on for chat.
    pub fn chat_addresses(&self) -> Vec<Address> {
        let flags = &self.listening;
        if flags.listen.is_empty() && flags.listen_raw.is_empty() {
            return vec![Address::Tcp("0.0.0.0:8080".into())];
        }
        flags.listen.clone()
    }

    /// The hub's limits, with at most `clients_max` connections.
    pub fn limits(&self, clients_max: usize) -> Limits {
        let (limits, behaviour) = (&self.limits, &self.behaviour);
        Limits {
            clients_max,
            clients_per_ip_max: limits.max_per_ip as usize,
            line_bytes_max: limits.max_line as usize,
            room_log_bytes_max: limits.room_log as usize,
            history_lines: behaviour.history as usize,
            rooms_max: limits.max_rooms as usize,
            announce_members_max: limits.announce_limit as usize,
            rate_lines: limits.rate,
            burst_lines: limits.burst,
            slow: match behaviour.slow {
                Slow::Skip => SlowPolicy::Skip,
                Slow::Close => SlowPolicy::Close,
                Slow::Wait => SlowPolicy::Wait,
            },
            slow_timeout_us: behaviour.slow_timeout * SECOND_US,
            half_close: match behaviour.half_close {
                Half::Close => HalfClose::Close,
                Half::Keep => HalfClose::Keep,
            },
            partial_after_us: behaviour.partial_after * MILLISECOND_US,
            idle_timeout_us: behaviour.idle_timeout * SECOND_US,
            drain_us: behaviour.drain * SECOND_US,
            welcome: behaviour.welcome.clone(),
        }
    }
}

impl ListenFlags {
    /// The options of the sockets.
    pub fn options(&self) -> Options {
        Options {
            backlog: self.backlog,
            send_buffer_bytes: self.send_buffer as usize,
            recv_buffer_bytes: self.recv_buffer as usize,
            keepalive: Duration::from_secs(self.keepalive),
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
            other => unreachable!("{other:?}"),
        })
    }

    #[test]
    fn the_default_flags_are_the_default_limits() {
        Cli::command().debug_assert();
        let limits = serve(&[]).unwrap().limits(960);
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
    }

    #[test]
    fn the_default_address_applies_only_without_any_listener() {
        let addresses = |args: &[&str]| serve(args).unwrap().chat_addresses();
        assert_eq!(addresses(&[]), [Address::Tcp("0.0.0.0:8080".into())]);
        assert_eq!(addresses(&["--listen-raw", "unix:/x"]), []);
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
}
