//! What the process has been given: its limit on descriptors, and sockets of a service manager. How many descriptors are kept
//! for other things than clients. Opens nothing.

use crate::cli::{Control, LANES, Serve, control};
use crate::hub::limits::{OPERATORS_MAX, STRANGERS_LEAVING_MAX};
use crate::net::activation::{Handed, Purpose};
use crate::net::bind::Place;
use crate::net::handshakes::HANDSHAKES_BESIDE_MAX;
use crate::net::metrics::METRICS_DESCRIPTORS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not clients': standard streams, poll, signals, log, `/proc`, lingering connections.
const RESERVED_DESCRIPTORS: u64 = 32;
/// More of them with a console: its connection, log, terminal, signals and history file.
const CONSOLE_DESCRIPTORS: u64 = 16;
/// More of them with a state folder: its lock, the keeper's socket, and those that starting a process takes.
const KEEPER_DESCRIPTORS: u64 = 8;

/// More of them for a node of a cluster: its connections to an engine of several machines. Each lane, the directory's too, has
/// one beside.
const ENGINE_DESCRIPTORS: u64 = 16;

/// What those who started the process have given it. It stays the same when the settings are read again.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The limit on open descriptors.
    pub descriptors: u64,
    /// Sockets of the service manager.
    pub sockets: usize,
    /// Some of them are for clients: then the default address does not apply.
    pub has_lines: bool,
    /// One of them is for raw clients.
    pub has_raw: bool,
    /// One of them is for operators.
    pub has_control: bool,
    /// Some of them are for clients under TLS.
    pub has_tls: bool,
}

impl Given {
    /// What these sockets and the system's limits are.
    pub fn with(handed: &[Handed], metrics: &[Handed]) -> Given {
        Given {
            descriptors: raise_descriptor_limit(),
            sockets: handed.len() + metrics.len(),
            has_lines: handed.iter().any(|one| one.purpose.is_for_clients()),
            has_raw: handed.iter().any(|one| one.purpose == Purpose::Raw),
            has_control: handed.iter().any(|one| one.purpose == Purpose::Control),
            has_tls: handed.iter().any(|one| one.purpose == Purpose::Tls),
        }
    }

    /// Where to listen besides those sockets.
    pub fn places(self, flags: &Serve) -> Vec<Place> {
        match self.has_lines && flags.listening.is_default() {
            true => Vec::new(),
            false => flags.places(),
        }
    }

    /// Descriptors that are needed for other things than clients.
    pub fn reserved_descriptors(self, flags: &Serve) -> u64 {
        let metrics = flags.metrics_places().len() as u64;
        let metrics = metrics + metrics.min(1) * METRICS_DESCRIPTORS;
        let listeners = self.places(flags).len() + self.sockets;
        let console = u64::from(flags.console) * CONSOLE_DESCRIPTORS;
        let keeper = u64::from(flags.state_folder().is_some()) * KEEPER_DESCRIPTORS;
        let has_tls = self.has_tls || !flags.listening.listen_tls.is_empty();
        let shakes_hands = has_tls || !flags.listening.proxy_from.is_empty();
        let handshakes = u64::from(shakes_hands) * HANDSHAKES_BESIDE_MAX as u64;
        let control = match flags.listening.control {
            _ if self.has_control => OPERATORS_MAX as u64,
            None if control::default_path().is_some() => OPERATORS_MAX as u64 + 1,
            Some(Control::Path(_)) => OPERATORS_MAX as u64,
            Some(Control::None) | None => 0,
        };
        let strangers = match flags.access.password_file {
            Some(_) => STRANGERS_LEAVING_MAX as u64,
            None => 0,
        };
        let cluster = &flags.cluster;
        let lanes = u64::from(cluster.cluster_lanes.unwrap_or(LANES)) + 1;
        let engine = match cluster.cluster {
            Some(_) => lanes + ENGINE_DESCRIPTORS,
            None => 0,
        };
        let listeners = listeners as u64;
        let newcomers = strangers + handshakes;
        RESERVED_DESCRIPTORS + listeners + metrics + console + keeper + control + newcomers + engine
    }
}

/// Raises the limit on open descriptors as far as this process may, and returns it.
pub fn raise_descriptor_limit() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // If the limit cannot be raised, the present one is used.
    let current = maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
