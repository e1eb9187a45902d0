//! What the system knows of this process: memory, processor time, descriptors. Opens what it reads at the start, so that
//! the process may be denied all files afterwards. Where there is no `/proc`, less is known.

use rustix::fs::{Dir, Mode, OFlags, fstat, open};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// This process, to be looked at again and again without waiting: files in `/proc` are made when they are read.
#[derive(Debug)]
pub struct Process {
    /// Sizes in pages: proc_pid_statm(5).
    statm: Option<File>,
    /// The directory of its descriptors. Since Linux 6.2 its size is how many there are.
    descriptors: Option<OwnedFd>,
    /// How many there were at the start.
    descriptors_at_start: Option<usize>,
    /// When this was made, in seconds of UNIX time.
    started_at: f64,
}

/// What is known of the process at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessFigures {
    /// Processor time, of all its threads.
    pub cpu_seconds: f64,
    /// Memory in use.
    pub resident_bytes: Option<u64>,
    /// Address space in use.
    pub virtual_bytes: Option<u64>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
    /// How many there may be.
    pub descriptors_max: Option<u64>,
    /// When the server was started, in seconds of UNIX time.
    pub started_at: f64,
}

impl Process {
    /// This process, which has just opened its listeners and has no connection yet.
    pub fn new() -> Process {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptors = open("/proc/self/fd", flags, Mode::empty()).ok();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Process {
            statm: File::open("/proc/self/statm").ok(),
            descriptors_at_start: descriptors.as_ref().and_then(count_entries),
            descriptors,
            started_at: since_1970.map_or(0.0, |since| since.as_secs_f64()),
        }
    }

    /// What is known now, with so many `sockets` of connections.
    pub fn figures(&self, sockets: usize) -> ProcessFigures {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let (virtual_bytes, resident_bytes) = self.sizes().unzip();
        ProcessFigures {
            cpu_seconds: time.tv_sec as f64 + time.tv_nsec as f64 / 1e9,
            resident_bytes,
            virtual_bytes,
            descriptors: self.open_descriptors(sockets).map(|number| number as u64),
            descriptors_max: getrlimit(Resource::Nofile).current,
            started_at: self.started_at,
        }
    }

    /// Bytes of address space and of memory in use.
    fn sizes(&self) -> Option<(u64, u64)> {
        let mut text = [0; 128];
        let n = self.statm.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = str::from_utf8(&text[..n]).ok()?;
        let mut pages = text.split(' ').map(str::parse::<u64>);
        let page_bytes = rustix::param::page_size() as u64;
        let mut next = || Some(pages.next()?.ok()? * page_bytes);
        Some((next()?, next()?))
    }

    /// To count the descriptors one by one would take milliseconds with thousands of them. Where the system does not say how
    /// many there are, they are what there was at the start and the connections.
    fn open_descriptors(&self, sockets: usize) -> Option<usize> {
        let size = fstat(self.descriptors.as_ref()?).ok()?.st_size as usize;
        match size {
            0 => Some(self.descriptors_at_start? + sockets),
            size => Some(size),
        }
    }
}

/// How many entries a directory has but `.` and `..`.
fn count_entries(directory: &OwnedFd) -> Option<usize> {
    let entries = Dir::read_from(directory).ok()?.count();
    Some(entries.saturating_sub(2))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_looked_at_without_being_opened_again() {
        let process = Process::new();
        let before = process.figures(0);
        let (resident, all) = (before.resident_bytes, before.virtual_bytes);
        assert!(resident > Some(1 << 20) && all >= resident, "{before:?}");
        assert!(before.descriptors_max > Some(3) && before.descriptors > Some(3));
        assert!(before.started_at > 1.7e9, "{before:?}");
        let held = vec![1_u8; 64 << 20];
        assert!(held.iter().map(|&byte| u64::from(byte)).sum::<u64>() > 0);
        let after = process.figures(0);
        assert!(after.cpu_seconds > before.cpu_seconds);
        assert!(after.resident_bytes > resident.map(|bytes| bytes + (32 << 20)));
    }

    #[test]
    fn descriptors_are_counted_also_where_the_system_does_not_say_how_many_there_are() {
        let mut process = Process::new();
        let counted = process.descriptors_at_start.expect("a count");
        assert!(counted > 3);
        // A directory whose size is 0, as that of descriptors is before Linux 6.2.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        process.descriptors = open("/proc/self", flags, Mode::empty()).ok();
        assert_eq!(process.open_descriptors(7), Some(counted + 7));
    }
}
