//! What the system says of the server's process: processor time and memory, from `/proc` (proc(5)).

use std::fs;
use std::path::{Path, PathBuf};

/// A tick of the times in `/proc/PID/stat`: programs are told 100 a second on every architecture of today.
const TICK_NS: u64 = 10_000_000;

/// A running process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The process of this number.
    ///
    /// # Errors
    /// The system knows none, or cannot tell of it.
    pub fn new(pid: u32) -> Result<Process, String> {
        let process = Process { pid };
        process.memory_bytes().and(process.cpu_ns())?;
        Ok(process)
    }

    /// Processor time that it has used so far, all its threads together.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu_ns(&self) -> Result<u64, String> {
        let threads = fs::read_dir(self.file("task")).map_err(|error| self.unknown(&error))?;
        let times = threads.map(|thread| thread_cpu_ns(&thread.ok()?.path()));
        // A thread may end while it is looked at.
        Ok(times.flatten().sum())
    }

    /// Memory that it holds, exact where the kernel adds it up (`smaps_rollup`), else as its counters say.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory_bytes(&self) -> Result<u64, String> {
        let exact = fs::read_to_string(self.file("smaps_rollup")).unwrap_or_default();
        if let Some(bytes) = field_kib(&exact, "Rss:") {
            return Ok(bytes);
        }
        let status =
            fs::read_to_string(self.file("status")).map_err(|error| self.unknown(&error))?;
        field_kib(&status, "VmRSS:").ok_or_else(|| self.unknown(&"it has no memory of its own"))
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    fn unknown(&self, why: &dyn std::fmt::Display) -> String {
        let pid = self.pid;
        format!("--pid {pid}: /proc/{pid} does not tell what it uses: {why}; is it the server's?")
    }
}

fn thread_cpu_ns(thread: &Path) -> Option<u64> {
    let precise = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let precise = precise.split(' ').next().and_then(|ns| ns.parse().ok());
    if let Some(ns @ 1..) = precise {
        return Some(ns);
    }
    // A kernel without scheduling statistics. The second field, a name in parentheses, may hold anything.
    let stat = fs::read_to_string(thread.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(ticks * TICK_NS)
}

/// The value of a line such as `Rss:    1234 kB`, in bytes.
fn field_kib(file: &str, name: &str) -> Option<u64> {
    let value = file.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
