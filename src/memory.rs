//! What memory the limits allow, of what it is the sum and which flags make it smaller, and whether this machine has as much.
//! Reads files, so it is only for the start of a server.

use crate::hub::limits::Limits;
use std::fs;
use std::path::Path;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// The share of the machine's memory that proposed flags would allow: the kernel needs some, too.
const SHARE: (u64, u64) = (3, 4);
/// Proposed room logs are multiples of so many bytes.
const ROOM_LOG_STEP_BYTES: u64 = 64 * KIB;

/// Logs what memory the limits allow, with so many bytes of kernel buffers for each connection, and so many more for one under
/// TLS, if there may be any; warns if that is more than there is.
pub fn log(limits: &Limits, kernel_bytes: u64, tls_bytes: Option<u64>) {
    let parts = Parts::of(limits, tls_bytes.unwrap_or(0));
    let Parts { rooms, clients, .. } = parts;
    let Limits {
        rooms_max,
        clients_max,
        ..
    } = limits;
    let room_log_kib = limits.room_log_bytes_max as u64 / KIB;
    let client_kib = (limits.client_bytes_max() as u64).div_ceil(KIB);
    let room_logs = format!(
        "{} MiB: --max-rooms {rooms_max} x {} KiB, of which --room-log is {room_log_kib} KiB",
        rooms / MIB,
        rooms / *rooms_max as u64 / KIB
    );
    let more = limits.connections_max() - clients_max;
    let connections = format!(
        "{} MiB: --max-clients {clients_max} and {more} more x {client_kib} KiB, less with a smaller --max-line",
        clients / MIB
    );
    let kernel = format!(
        "{} MiB more: --max-clients {clients_max} x {} KiB for --send-buffer and --recv-buffer",
        kernel_bytes.saturating_mul(*clients_max as u64) / MIB,
        kernel_bytes / KIB
    );
    let tls = tls_bytes.map(|bytes| {
        format!(
            "{} MiB more: --max-clients {clients_max} x {} KiB for connections under TLS",
            parts.tls / MIB,
            bytes / KIB
        )
    });
    let lists_told = format!(
        "{} MiB: bans and registered names",
        parts.lists.div_ceil(MIB)
    );
    tracing::info!(
        room_logs,
        connections,
        lists = lists_told,
        kernel,
        tls,
        "memory at most"
    );
    if let Some(machine) = machine_bytes()
        && let Some(flags) = advice(limits, tls_bytes.unwrap_or(0), machine)
    {
        let (memory_mib_max, machine_mib) = (parts.sum() / MIB, machine / MIB);
        tracing::warn!(
            memory_mib_max,
            machine_mib,
            "clients could make the server use more memory than there is: set {flags}"
        );
    }
}

/// The parts of the memory that the limits allow, in bytes.
struct Parts {
    rooms: u64,
    clients: u64,
    /// What clients take more if all are under TLS.
    tls: u64,
    /// Bans and registered names, of which no flag makes fewer.
    lists: u64,
}

impl Parts {
    /// With so many bytes for the TLS session of each client.
    fn of(limits: &Limits, tls_bytes: u64) -> Parts {
        let connections = limits.connections_max();
        let clients = connections.saturating_mul(limits.client_bytes_max());
        let rooms = limits.room_logs_bytes_max();
        let lists = limits
            .memory_bytes_max()
            .saturating_sub(rooms.saturating_add(clients));
        Parts {
            rooms: rooms as u64,
            clients: clients as u64,
            tls: tls_bytes.saturating_mul(limits.clients_max as u64),
            lists: lists as u64,
        }
    }

    fn sum(&self) -> u64 {
        let parts = [self.rooms, self.clients, self.tls, self.lists];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}

/// The flags that keep the server within a machine of so many bytes, if the limits do not.
fn advice(limits: &Limits, tls_bytes: u64, machine: u64) -> Option<String> {
    let Parts {
        rooms,
        clients,
        tls,
        lists,
    } = Parts::of(limits, tls_bytes);
    let clients = clients.saturating_add(tls);
    let machine = machine.saturating_sub(lists);
    if rooms.saturating_add(clients) <= machine {
        return None;
    }
    let all = machine / SHARE.1 * SHARE.0;
    let half = all / 2;
    // The part that takes less than half is left alone.
    let (for_rooms, for_clients) = match (rooms <= half, clients <= half) {
        (_, true) => (all - clients, clients),
        (true, false) => (rooms, all - rooms),
        (false, false) => (half, half),
    };
    let mut flags = Vec::new();
    if rooms > for_rooms {
        let least = limits.room_log_bytes_min() as u64;
        let each = for_rooms / limits.rooms_max as u64 / ROOM_LOG_STEP_BYTES * ROOM_LOG_STEP_BYTES;
        if each >= least {
            flags.push(format!("--room-log {each}"));
        } else {
            flags.push(format!("--room-log {least}"));
            flags.push(format!("--max-rooms {}", (for_rooms / least).max(1)));
        }
    }
    if clients > for_clients {
        let client_bytes = limits.client_bytes_max() as u64;
        let more = (limits.connections_max() - limits.clients_max) as u64;
        let number = for_clients.saturating_sub(more * client_bytes) / (client_bytes + tls_bytes);
        flags.push(format!("--max-clients {}", number.max(1)));
    }
    Some(flags.join(" "))
}

/// Bytes of memory that this process may use: the machine's, or less if its control groups say so.
fn machine_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = group_bytes(Path::new("/sys/fs/cgroup"), &groups);
    ram_bytes().into_iter().chain(groups).min()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn ram_bytes() -> Option<u64> {
    let system = rustix::system::sysinfo();
    Some((system.totalram as u64).saturating_mul(u64::from(system.mem_unit)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ram_bytes() -> Option<u64> {
    None
}

/// The smallest limit of a process's control groups and of those around them: cgroups(7). `groups` is its
/// `/proc/self/cgroup`, `root` where they are mounted.
fn group_bytes(root: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|it| it == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let inner = root.join(path.trim_start_matches('/'));
        let around = inner
            .ancestors()
            .take_while(|group| group.starts_with(&root));
        // Without a limit it is `max`, or a number of no meaning.
        let read = |group: &Path| {
            fs::read_to_string(group.join(file))
                .ok()?
                .trim()
                .parse()
                .ok()
        };
        around.filter_map(read).min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn limits_that_fit_need_no_advice_and_others_fit_after_it() {
        let gib = 1 << 30;
        let defaults = Limits::default();
        assert_eq!(advice(&defaults, 0, 8 * gib), None);
        let session = 61 * KIB;
        let fits = defaults.memory_bytes_max() as u64;
        assert_eq!(advice(&defaults, 0, fits), None);
        assert!(advice(&defaults, session, fits).is_some(), "TLS counts");
        let many = Limits {
            clients_max: 100_000,
            ..Limits::default()
        };
        let all = Limits {
            rooms_max: 100_000,
            ..many.clone()
        };
        let all_flags = "--room-log 262144 --max-rooms 24557 --max-clients ";
        for (limits, tls_bytes, machine, flags) in [
            (&defaults, 0, 2 * gib, "--room-log "),
            (&many, 0, 16 * gib, "--max-clients "),
            (&many, session, 16 * gib, "--max-clients "),
            (&all, 0, 16 * gib, all_flags),
            (&all, session, 16 * gib, all_flags),
            (&all, 0, gib / 16, "--room-log 262144 --max-rooms "),
            (&all, session, gib / 16, "--room-log 262144 --max-rooms "),
        ] {
            let advice = advice(limits, tls_bytes, machine).expect("it does not fit");
            assert!(advice.starts_with(flags), "{advice}");
            let mut limits = limits.clone();
            let words: Vec<&str> = advice.split(' ').collect();
            for pair in words.chunks(2) {
                let value = pair[1].parse().unwrap();
                match pair[0] {
                    "--room-log" => limits.room_log_bytes_max = value,
                    "--max-rooms" => limits.rooms_max = value,
                    "--max-clients" => limits.clients_max = value,
                    other => panic!("{other}"),
                }
            }
            limits.check().unwrap();
            let most = Parts::of(&limits, tls_bytes).sum();
            assert!(most >= limits.memory_bytes_max() as u64);
            assert!(most <= machine && most > machine / 3, "{advice}: {most}");
        }
    }

    #[test]
    fn the_smallest_limit_of_the_control_groups_counts() {
        let root = env::temp_dir().join(format!("madang-groups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("system.slice/memory.max", "4096\n");
        write("system.slice/madang.service/memory.max", "max\n");
        write("memory/old/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "8192\n");
        let found = |groups: &str| group_bytes(&root, groups);
        assert_eq!(found("0::/system.slice/madang.service\n"), Some(4096));
        assert_eq!(found("0::/user.slice\n"), None);
        assert_eq!(found("3:cpu:/\n4:hugetlb,memory:/old\n"), Some(8192));
        assert_eq!(found(""), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
