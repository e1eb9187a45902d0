//! The flags of `madang serve`, and their conversion into the hub's limits and the sockets' options.

use super::access::AccessFlags;
use super::cluster::ClusterFlags;
use super::control::{Control, control};
use super::join::Look;
use super::names::NameFlags;
use super::settings::Setting;
use super::tls::TlsFlags;
use super::value::number;
use crate::address::{Address, DEFAULT_PORT};
use crate::hub::limits::{HalfClose, Limits, ROOM_LOG_BYTES_MIN, SlowPolicy};
use crate::hub::{Range, Wire};
use crate::logging::Format;
use crate::net::bind::Place;
use crate::net::listener::Options;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;
use tracing::Level;

/// Shortest `--max-line`, in bytes: `/nick` and a name of 24 letters.
const LINE_BYTES_MIN: u64 = 32;
/// The largest number of a flag that has no limit of its own.
const ANY: u64 = u32::MAX as u64;

const SECOND_US: u64 = 1_000_000;
const MILLISECOND_US: u64 = 1_000;

/// `madang serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// An address without its flag: always an error that says how to write it.
    #[arg(hide = true, value_name = "ADDR", value_parser = address_without_flag)]
    address: Option<String>,

    /// Configuration file, in TOML: flags without their dashes, as in max-line = 8192
    ///
    /// Flags and variables take precedence over it. SIGHUP reads it again.
    #[arg(
        long,
        value_name = "FILE",
        env = "MADANG_CONFIG",
        help_heading = "Configuration"
    )]
    pub config: Option<PathBuf>,

    /// Print what is in force and where each value comes from, as a configuration file, and exit
    #[arg(long, help_heading = "Configuration")]
    pub print_config: bool,

    /// Every flag that may stand in a configuration file, as it is in force.
    #[arg(skip)]
    pub settings: Vec<Setting>,

    /// Where and how to listen.
    #[command(flatten)]
    pub listening: ListenFlags,

    /// Certificates.
    #[command(flatten)]
    pub tls: TlsFlags,

    /// Limits.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Who may come.
    #[command(flatten)]
    pub access: AccessFlags,

    /// Policies and timeouts.
    #[command(flatten)]
    pub behaviour: BehaviourFlags,

    /// Names that are somebody's own.
    #[command(flatten)]
    pub names: NameFlags,

    /// Several servers with the same rooms.
    #[command(flatten)]
    pub cluster: ClusterFlags,

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

    /// Keep the right to open any file (Linux: without this, Landlock limits the server to those that it needs)
    #[arg(long, env = "MADANG_NO_SANDBOX", help_heading = "Sandbox")]
    pub no_sandbox: bool,
}

/// Where and how to listen.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
#[allow(rustdoc::broken_intra_doc_links, reason = "[IPV6] is no link")]
pub struct ListenFlags {
    /// Address for chat: HOST:PORT, [IPV6]:PORT, PORT or unix:PATH [default: 0.0.0.0:8080]
    ///
    /// May be given more than once. With --listen-tls or --listen-raw there is no default.
    #[arg(long, value_name = "ADDR", value_parser = Address::to_listen_on)]
    #[arg(env = "MADANG_LISTEN", value_delimiter = ',')]
    pub listen: Vec<Address>,

    /// Address for chat under TLS: HOST:PORT, [IPV6]:PORT, PORT or unix:PATH
    ///
    /// May be given more than once. Needs --tls-cert. With --listen-tls there is no default for --listen.
    #[arg(long, value_name = "ADDR", value_parser = Address::to_listen_on)]
    #[arg(env = "MADANG_LISTEN_TLS", value_delimiter = ',')]
    pub listen_tls: Vec<Address>,

    /// Address for pipes and devices: lines pass without names, commands or notices
    ///
    /// May be given more than once.
    #[arg(long, value_name = "ADDR", value_parser = Address::to_listen_on)]
    #[arg(env = "MADANG_LISTEN_RAW", value_delimiter = ',')]
    pub listen_raw: Vec<Address>,

    /// Address for monitoring: serves /metrics (Prometheus, OpenMetrics) and /healthz by HTTP
    ///
    /// May be given more than once. Every program that can connect there can read the figures.
    #[arg(long, value_name = "ADDR", value_parser = Address::to_listen_on)]
    #[arg(env = "MADANG_METRICS", value_delimiter = ',')]
    pub metrics: Vec<Address>,
    /// Where operators connect: unix:PATH, or none [default: control.sock in $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR/madang]
    ///
    /// Connections there speak as others do, and have the commands of operators; /help lists them. Only the server's own user
    /// and root can connect. Without this flag, and where neither variable is set, nobody can.
    #[arg(long, value_name = "ADDR", value_parser = control, env = "MADANG_CONTROL")]
    pub control: Option<Control>,

    /// Addresses from which connections are admitted (192.0.2.7, 10.1.0.0/16, 2001:db8::/32); without it, all addresses are
    ///
    /// May be given more than once. Unix sockets and connections that there are already are not concerned.
    #[arg(long, value_name = "CIDR", value_parser = exact_range)]
    #[arg(env = "MADANG_ALLOW", value_delimiter = ',')]
    pub allow: Vec<Range>,

    /// Addresses from which no connection is admitted, also if --allow has them
    ///
    /// May be given more than once. As for a ban, an IPv6 address alone means its /64.
    #[arg(long, value_name = "CIDR", value_parser = range)]
    #[arg(env = "MADANG_DENY", value_delimiter = ',')]
    pub deny: Vec<Range>,

    /// Addresses of proxies: connections from there must begin with a PROXY header
    ///
    /// May be given more than once. haproxy sends the header with send-proxy or send-proxy-v2, nginx with proxy_protocol on. The
    /// address in it is the client's from then on: for limits, bans, the log. From elsewhere the header is refused.
    #[arg(long, value_name = "CIDR", value_parser = exact_range)]
    #[arg(env = "MADANG_PROXY_FROM", value_delimiter = ',')]
    pub proxy_from: Vec<Range>,

    /// Connections per listener that may wait to be accepted
    #[arg(long, value_name = "CONNECTIONS", env = "MADANG_BACKLOG", default_value_t = 4096, value_parser = number::<i32>(1..=1_000_000))]
    pub backlog: i32,

    /// Seconds without traffic before TCP probes the peer; 0: never
    ///
    /// On Linux, a peer that acknowledges nothing for ten times as long is disconnected.
    #[arg(long, value_name = "SECONDS", env = "MADANG_KEEPALIVE", default_value_t = 60, value_parser = number::<u64>(0..=32_767))]
    pub keepalive: u64,

    /// Kernel send buffer per connection, in bytes
    #[arg(long, value_name = "BYTES", env = "MADANG_SEND_BUFFER", default_value_t = 65_536, value_parser = number::<u32>(2048..=1 << 30))]
    pub send_buffer: u32,

    /// Kernel receive buffer per connection, in bytes
    #[arg(long, value_name = "BYTES", env = "MADANG_RECV_BUFFER", default_value_t = 65_536, value_parser = number::<u32>(2048..=1 << 30))]
    pub recv_buffer: u32,
}

/// Limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitFlags {
    /// Maximum number of connections [default: what the limit on open files allows]
    #[arg(long, value_name = "CONNECTIONS", env = "MADANG_MAX_CLIENTS", value_parser = number::<u32>(1..=1 << 24))]
    pub max_clients: Option<u32>,

    /// Maximum number of connections from one IP address (of IPv6: from one /64); 0: no limit
    #[arg(long, value_name = "CONNECTIONS")]
    #[arg(env = "MADANG_MAX_PER_IP", default_value_t = 0, value_parser = number::<u32>(0..=ANY))]
    pub max_per_ip: u32,

    /// Maximum number of rooms
    #[arg(long, value_name = "ROOMS", env = "MADANG_MAX_ROOMS", default_value_t = 1000, value_parser = number::<u32>(1..=1 << 24))]
    pub max_rooms: u32,

    /// Maximum length of a line in bytes, without its line end; longer lines are refused
    #[arg(long, value_name = "BYTES", env = "MADANG_MAX_LINE", default_value_t = 8192, value_parser = number::<u32>(LINE_BYTES_MIN..=1 << 26))]
    pub max_line: u32,

    /// Memory per room for lines that some member has not read yet, in bytes
    ///
    /// --slow says what happens to a member that falls further behind.
    #[arg(long, value_name = "BYTES", env = "MADANG_ROOM_LOG", default_value_t = 4 << 20, value_parser = number::<u32>(ROOM_LOG_BYTES_MIN as u64..=1 << 31))]
    pub room_log: u32,

    /// Lines per second that all clients of one IP address, or a client of a Unix socket, may send; further lines are read
    /// later; 0: no limit
    #[arg(long, value_name = "LINES", env = "MADANG_RATE", default_value_t = 0, value_parser = number::<u32>(0..=1_000_000))]
    pub rate: u32,

    /// Lines that they may send at once before --rate applies
    #[arg(long, value_name = "LINES")]
    #[arg(env = "MADANG_BURST", default_value_t = 100, value_parser = number::<u32>(1..=ANY))]
    pub burst: u32,

    /// Largest room, in members, in which joins and leaves are announced
    #[arg(long, value_name = "MEMBERS")]
    #[arg(env = "MADANG_ANNOUNCE_LIMIT", default_value_t = 1000, value_parser = number::<u32>(0..=ANY))]
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
    #[arg(long, value_name = "SECONDS", env = "MADANG_SLOW_TIMEOUT", default_value_t = 30, value_parser = number::<u64>(1..=1 << 31))]
    pub slow_timeout: u64,

    /// What to do with a connection whose peer has finished sending
    #[arg(long, value_name = "POLICY", env = "MADANG_HALF_CLOSE", value_enum, default_value_t = Half::Close)]
    half_close: Half,

    /// Milliseconds of silence that end an unfinished line; 0: never
    ///
    /// For clients that send no line ends.
    #[arg(long, value_name = "MS", env = "MADANG_PARTIAL_AFTER", default_value_t = 0, value_parser = number::<u64>(0..=1 << 31))]
    pub partial_after: u64,

    /// Seconds without input before a client is disconnected; 0: never
    #[arg(long, value_name = "SECONDS", env = "MADANG_IDLE_TIMEOUT", default_value_t = 0, value_parser = number::<u64>(0..=1 << 31))]
    pub idle_timeout: u64,

    /// Earlier lines that a client is shown when it enters a room
    #[arg(long, value_name = "LINES")]
    #[arg(env = "MADANG_HISTORY", default_value_t = 0, value_parser = number::<u32>(0..=ANY))]
    pub history: u32,

    /// Text that a new client is sent before its greeting
    #[arg(long, value_name = "TEXT", env = "MADANG_WELCOME")]
    #[arg(default_value = "", hide_default_value = true)]
    pub welcome: String,

    /// Maximum time to flush pending output to a closing connection, in seconds
    #[arg(long, value_name = "SECONDS", env = "MADANG_DRAIN", default_value_t = 5, value_parser = number::<u64>(0..=1 << 31))]
    pub drain: u64,

    /// Folder for what must survive a restart, such as bans [default: $STATE_DIRECTORY, else none]
    ///
    /// One server at a time can use a folder. Without it such things last as long as the server runs.
    #[arg(long, value_name = "DIR", env = "MADANG_STATE")]
    pub state: Option<PathBuf>,
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

/// A range of addresses; an address alone means itself.
fn exact_range(text: &str) -> Result<Range, String> {
    Range::parse_exact(text.trim()).ok_or_else(no_range)
}

/// A range of addresses; an address alone means its host.
fn range(text: &str) -> Result<Range, String> {
    Range::parse(text.trim()).ok_or_else(no_range)
}

fn no_range() -> String {
    "expected an address or a range of addresses, for example 192.0.2.7, 10.1.0.0/16 or 2001:db8::/32".into()
}

fn address_without_flag(address: &str) -> Result<String, String> {
    Err(format!("write --listen {address} if this is an address"))
}

fn log_level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"])
        .map(|level| level.parse().expect("every possible value is a level"))
}

impl Serve {
    /// Where to listen, for operators too if the flags say where.
    pub fn places(&self) -> Vec<Place> {
        let flags = &self.listening;
        let place = |flag, address: &Address, wire| Place {
            flag,
            address: address.clone(),
            wire,
            is_tls: false,
        };
        let chat = flags
            .listen
            .iter()
            .map(|a| place("--listen", a, Wire::Chat));
        let raw = flags.listen_raw.iter();
        let raw = raw.map(|a| place("--listen-raw", a, Wire::Raw));
        let tls = flags.listen_tls.iter().map(|a| Place {
            is_tls: true,
            ..place("--listen-tls", a, Wire::Chat)
        });
        let mut places: Vec<Place> = chat.chain(tls).chain(raw).collect();
        if flags.is_default() {
            let default = Address::Tcp {
                host: "0.0.0.0".into(),
                port: DEFAULT_PORT,
            };
            places.push(place("--listen", &default, Wire::Chat));
        }
        if let Some(Control::Path(path)) = &flags.control {
            let path = Address::Unix(path.clone());
            places.push(place("--control", &path, Wire::Control));
        }
        places
    }

    /// The state folder: `--state`, or the first that systemd has made for this service (`StateDirectory=` in
    /// systemd.exec(5)).
    pub fn state_folder(&self) -> Option<PathBuf> {
        self.behaviour.state.clone().or_else(|| {
            let folders = env::var_os("STATE_DIRECTORY")?;
            let first = folders.as_bytes().split(|&byte| byte == b':').next()?;
            (!first.is_empty()).then(|| OsStr::from_bytes(first).into())
        })
    }

    /// Where the metrics page is served.
    pub fn metrics_places(&self) -> Vec<Place> {
        let place = |address: &Address| Place {
            flag: "--metrics",
            address: address.clone(),
            wire: Wire::Chat,
            is_tls: false,
        };
        self.listening.metrics.iter().map(place).collect()
    }

    /// The options of the sockets.
    pub fn socket_options(&self) -> Options {
        let flags = &self.listening;
        Options {
            backlog: flags.backlog,
            send_buffer_bytes: flags.send_buffer as usize,
            recv_buffer_bytes: flags.recv_buffer as usize,
            keepalive: Duration::from_secs(flags.keepalive),
            trusts_uid: self.names.trust_peer_uid,
        }
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
            allow: self.listening.allow.iter().copied().collect(),
            deny: self.listening.deny.iter().copied().collect(),
            welcome: behaviour.welcome.clone(),
            names_keep_days: self.names.names_keep,
        }
    }
}

impl BehaviourFlags {
    /// Whether senders wait for clients that read too slowly.
    pub fn waits_for_slow_readers(&self) -> bool {
        matches!(self.slow, Slow::Wait)
    }
}

impl ListenFlags {
    /// Whether no address is given.
    pub fn is_default(&self) -> bool {
        let none = [&self.listen, &self.listen_tls, &self.listen_raw];
        none.iter().all(|addresses| addresses.is_empty())
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
        let places = |args: &[&str]| {
            let places = serve(args).unwrap().places().into_iter();
            places.map(|place| place.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(places(&[]), ["--listen 0.0.0.0:8080"]);
        let raw = ["--listen-raw", "unix:/x"];
        assert_eq!(places(&raw), ["--listen-raw unix:/x"]);
        let tls = ["--listen-tls", "6697"];
        assert_eq!(places(&tls), ["--listen-tls 0.0.0.0:6697"]);
    }

    #[test]
    fn operators_connect_by_a_unix_socket_or_nowhere() {
        let control = |text: &str| serve(&["--control", text]).map(|it| it.listening.control);
        assert_eq!(control("None").unwrap(), Some(Control::None));
        let path = Control::Path("/x".into());
        assert_eq!(control("unix:/x").unwrap(), Some(path));
        for wrong in ["127.0.0.1:8081", "8081", "/x", ""] {
            let error = control(wrong).unwrap_err().to_string();
            assert!(error.contains("write unix:PATH, or none"), "{error}");
        }
        let places = serve(&["--control", "unix:/x"]).unwrap().places();
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        assert_eq!(places, ["--listen 0.0.0.0:8080", "--control unix:/x"]);
    }

    #[test]
    fn every_flag_has_an_environment_variable_of_its_name() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        let shown = serve.get_arguments().filter(|arg| !arg.is_hide_set());
        for arg in shown.filter(|arg| arg.get_id() != "help" && arg.get_id() != "print_config") {
            let name = format!("MADANG_{}", arg.get_id().as_str().to_uppercase());
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(&*name));
        }
    }
}
