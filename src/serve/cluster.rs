//! What a server needs to be a node of a cluster, from its flags: checked, and refused where flags contradict each other.
//! Connects to nothing.

use crate::address::engine::EngineAddress;
use crate::cli::{EngineUrl, LANES, Serve, Source};
use crate::hub::link::Settings;
use crate::hub::link::item::FORMAT;
use crate::net::engine::Options;
use crate::password_file::{self, Password};
use rustix::system::uname;
use std::path::PathBuf;

/// Bytes that wait in a lane for the engine, or are on the way there, before its senders wait.
const LANE_BYTES_MAX: usize = 256 * 1024;
/// Entries that a lane keeps, about: what a node may miss and still get.
const LANE_ENTRIES_MAX: u32 = 100_000;
/// Entries of each lane that a node reads when it starts, for each line of `--history`; at most so many.
const HISTORY_ENTRIES_A_LINE: u32 = 16;
const HISTORY_ENTRIES_MAX: u32 = 4096;

/// The variable that has the engine's password.
const VARIABLE: &str = "MADANG_CLUSTER_PASSWORD";

/// What makes a server a node.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Where the engine is, and how it is used.
    engine: EngineAddress,
    /// The authorities that are trusted for `rediss://`, instead of those of the machine.
    authorities: Option<PathBuf>,
    /// The node's name, if it is given.
    name: Option<String>,
    /// Lanes for rooms.
    lanes: u8,
    /// What is to be said of all this, though it can be used.
    pub warnings: Vec<String>,
}

impl Cluster {
    /// What the flags say; `None`: the server is no node.
    ///
    /// # Errors
    /// What is wrong, one line each.
    pub fn of(flags: &Serve) -> Result<Option<Cluster>, Vec<String>> {
        let cluster = &flags.cluster;
        let Some(engine) = &cluster.cluster else {
            return match cluster.first_beside() {
                Some(flag) => Err(vec![format!("{flag} is given, but no --cluster")]),
                None => Ok(None),
            };
        };
        let mut wrong = conflicts(flags);
        let address = EngineAddress::parse(engine.text());
        let mut no_address = |why: String| wrong.push(format!("--cluster {engine}: {why}"));
        let mut address = address.map_err(&mut no_address).ok();
        if cluster.cluster_ca.is_some() && address.as_ref().is_some_and(|it| !it.is_tls) {
            wrong.push(format!(
                "--cluster-ca is for TLS, and {engine} is reached without it; write rediss://HOST:PORT/PREFIX"
            ));
        }
        let (password, warning) = password(flags, engine).unwrap_or_else(|why| {
            wrong.push(why);
            (None, None)
        });
        if let (Some(address), Some(password)) = (&mut address, password) {
            address.set_password(password.text());
        }
        let Some(address) = address.filter(|_| wrong.is_empty()) else {
            return Err(wrong);
        };
        Ok(Some(Cluster {
            engine: address,
            authorities: cluster.cluster_ca.clone(),
            name: cluster.cluster_name.clone(),
            lanes: cluster.cluster_lanes.unwrap_or(LANES),
            warnings: warning.into_iter().collect(),
        }))
    }

    /// What the event loop needs: the engine's address, how it is used, and what the node is told before it starts.
    pub fn parts(
        &self,
        first_listener: &str,
        history_lines: usize,
    ) -> (EngineAddress, Options, Settings) {
        let lanes = self.lanes;
        let options = Options {
            lanes,
            format: FORMAT,
            entries_max: LANE_ENTRIES_MAX,
            authorities: self.authorities.clone(),
        };
        // A lane has the lines of many rooms, and an entry many lines.
        let history_entries = (history_lines as u32).saturating_mul(HISTORY_ENTRIES_A_LINE);
        let settings = Settings {
            name: self.name(first_listener),
            lanes,
            lane_bytes_max: LANE_BYTES_MAX,
            history_entries: history_entries.min(HISTORY_ENTRIES_MAX),
        };
        (self.engine.clone(), options, settings)
    }

    /// The node's name: as it is given, or the machine's name with the port, or the path, of its first listener.
    fn name(&self, first_listener: &str) -> String {
        self.name.clone().unwrap_or_else(|| {
            let host = uname();
            let host = host.nodename().to_string_lossy();
            let place = match first_listener.strip_prefix("unix:") {
                Some(path) => path,
                None => first_listener.rsplit(':').next().unwrap_or_default(),
            };
            format!("{host}:{place}")
        })
    }
}

/// Flags that no node of a cluster can have, one line each.
fn conflicts(flags: &Serve) -> Vec<String> {
    let names = &flags.names;
    let conflicts = [
        (
            flags.behaviour.waits_for_slow_readers(),
            "--slow wait",
            "senders on other servers would not wait",
        ),
        (
            !names.operator.is_empty(),
            "--operator",
            "names cannot be registered there; the control socket has the commands of operators",
        ),
        (
            names.trust_peer_uid,
            "--trust-peer-uid",
            "users of this machine are not those of other servers'",
        ),
    ];
    conflicts
        .into_iter()
        .filter(|(is_given, _, _)| *is_given)
        .map(|(_, flag, why)| format!("{flag} cannot be used with --cluster: {why}"))
        .collect()
}

/// The engine's password, if it is not in its address, and what is to be said of where it is.
fn password(
    flags: &Serve,
    engine: &EngineUrl,
) -> Result<(Option<Password>, Option<String>), String> {
    let file = flags.cluster.cluster_password_file.as_deref();
    let read = match file {
        Some(path) => Some(password_file::of_server("--cluster-password-file", path)?),
        None => password_file::of_variable(VARIABLE)?.map(|password| (password, None)),
    };
    let Some((password, warning)) = read else {
        let is_open = engine.has_password() && is_on_command_line(flags);
        let warning = is_open.then(|| {
            format!(
                "others on this machine can read the password in --cluster in the list of processes: \
                 --cluster-password-file FILE or {VARIABLE} keeps it to this server"
            )
        });
        return Ok((None, warning));
    };
    if engine.has_password() {
        let other = file.map_or(VARIABLE, |_| "--cluster-password-file");
        return Err(format!(
            "--cluster {engine} has a password, and so has {other}: leave one of them out"
        ));
    }
    Ok((Some(password), warning))
}

fn is_on_command_line(flags: &Serve) -> bool {
    let mut settings = flags.settings.iter();
    settings.any(|setting| setting.name == "cluster" && setting.source == Source::Flag)
}
