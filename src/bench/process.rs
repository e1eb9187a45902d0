//! What the system reports of a server's process: processor time and memory, from `/proc` (proc(5)). Linux only.

use super::figure::difference;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A tick of the times in `/proc/PID/stat`: programs see 100 a second on every architecture of today.
const TICK_NS: u64 = 10_000_000;

/// A running process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The process of this number; it need not exist.
    pub fn new(pid: u32) -> Process {
        Process { pid }
    }

    /// Processor time used so far by all threads that are running now, in nanoseconds.
    ///
    /// # Errors
    /// The process has ended.
    pub fn cpu_ns(&self) -> Result<u64, String> {
        let times = self.threads()?.map(|thread| thread_cpu_ns(&thread));
        // A thread may end while its files are read.
        Ok(times.flatten().sum())
    }

    /// Processor time used since `cpu_ns` returned `before`, in nanoseconds.
    ///
    /// # Errors
    /// The process has ended, or a thread has, and its time is lost.
    pub fn cpu_ns_since(&self, before: u64) -> Result<u64, String> {
        difference("processor time of the server", self.cpu_ns()?, before)
    }

    /// Resident memory in bytes: exact where the kernel adds it up (`smaps_rollup`), otherwise from its counters.
    ///
    /// # Errors
    /// The process has ended.
    pub fn memory_bytes(&self) -> Result<u64, String> {
        let exact = fs::read_to_string(self.file("smaps_rollup")).unwrap_or_default();
        if let Some(bytes) = field_bytes(&exact, "Rss:") {
            return Ok(bytes);
        }
        let status =
            fs::read_to_string(self.file("status")).map_err(|error| self.unknown(&error))?;
        field_bytes(&status, "VmRSS:").ok_or_else(|| self.unknown(&"it has no memory of its own"))
    }

    /// A file or directory of the process under `/proc`.
    pub fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    /// The directories of its threads under `/proc`.
    ///
    /// # Errors
    /// The process has ended.
    pub fn threads(&self) -> Result<impl Iterator<Item = PathBuf>, String> {
        let threads = fs::read_dir(self.file("task")).map_err(|error| self.unknown(&error))?;
        Ok(threads.filter_map(|thread| Some(thread.ok()?.path())))
    }

    fn unknown(&self, why: &dyn fmt::Display) -> String {
        let pid = self.pid;
        format!("/proc/{pid} does not report what the process uses: {why}; is it the server's?")
    }
}

/// The fields of a thread's file `stat` from the third on (the state). The second, a name in parentheses, may contain
/// anything.
pub fn stat_fields(stat: &str) -> impl Iterator<Item = &str> {
    let (_, fields) = stat.rsplit_once(") ").unwrap_or_default();
    fields.split(' ')
}

fn thread_cpu_ns(thread: &Path) -> Option<u64> {
    let precise = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let precise = precise.split(' ').next().and_then(|ns| ns.parse().ok());
    if let Some(ns @ 1..) = precise {
        return Some(ns);
    }
    // A kernel without scheduling statistics: fields 14 and 15, in ticks.
    let stat = fs::read_to_string(thread.join("stat")).ok()?;
    let ticks = stat_fields(&stat).skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(ticks * TICK_NS)
}

/// The value of a line such as `Rss:    1234 kB`, in bytes.
fn field_bytes(file: &str, name: &str) -> Option<u64> {
    let value = file.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
