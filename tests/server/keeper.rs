//! What must last: kept by the keeper whatever happens to it, to the server or to the disk, or refused with the reason.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{Client, DEADLINE, Launch, Scratch, Server, until};
use madang::keeper::Change;
use madang::keeper::record::{Body, Record, VERSION};
use madang::net::keeper::{Keeper, REQUESTS_MAX};
use mio::{Events, Poll, Token};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

const PROGRAM: &str = env!("CARGO_BIN_EXE_madang");

type Kept = BTreeMap<(String, String), String>;

/// A keeper on a poll of its own, as the event loop drives it.
struct Driver {
    keeper: Keeper,
    poll: Poll,
    /// What was kept at the start.
    kept: Kept,
}

impl Driver {
    fn start(folder: &Path) -> Self {
        Self::start_program(Path::new(PROGRAM), folder)
    }

    fn start_program(program: &Path, folder: &Path) -> Self {
        let (mut keeper, entries) = Keeper::start_program(program, folder).expect("a keeper");
        let poll = Poll::new().expect("a poll");
        keeper
            .register(poll.registry(), Token(0))
            .expect("register");
        let entries = entries.into_iter();
        let kept = entries.map(|entry| ((entry.kind, entry.key), entry.value));
        Self {
            keeper,
            poll,
            kept: kept.collect(),
        }
    }

    fn refusal(folder: &Path) -> String {
        let started = Keeper::start_program(Path::new(PROGRAM), folder);
        started.map(drop).expect_err("a refusal").to_string()
    }

    fn pid(&self) -> Pid {
        let id = self.keeper.process_id().expect("a process");
        Pid::from_raw(id as i32).expect("a process id")
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("signal");
    }

    /// One turn of a loop.
    fn turn(&mut self) {
        self.turn_within(DEADLINE);
    }

    fn turn_within(&mut self, longest: Duration) {
        let mut events = Events::with_capacity(8);
        let deadline = self.keeper.deadline();
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.unwrap_or(longest).min(longest);
        self.poll.poll(&mut events, Some(timeout)).expect("poll");
        if !events.is_empty() {
            self.keeper.ready();
        }
        self.keeper.tick(Instant::now());
    }

    fn answer(&mut self) -> (u64, Result<(), String>) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(answer) = self.keeper.next_answer() {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer");
            self.turn();
        }
    }

    /// Stores one value and waits for the answer.
    fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        self.keeper.store(7, &put(key, value));
        let (ticket, result) = self.answer();
        assert_eq!((ticket, self.keeper.next_answer()), (7, None));
        result
    }

    /// Tries until a keeper is running again.
    fn put_again(&mut self, key: &str, value: &str) {
        let deadline = Instant::now() + DEADLINE;
        while let Err(why) = self.put(key, value) {
            assert!(Instant::now() < deadline, "never kept: {why}");
            self.turn();
        }
    }
}

fn put(key: &str, value: &str) -> Change {
    let (kind, key, value) = ("ban".into(), key.into(), value.into());
    Change::Put { kind, key, value }
}

fn kept(pairs: &[(&str, &str)]) -> Kept {
    let pair = |&(key, value): &(&str, &str)| (("ban".into(), key.into()), value.into());
    pairs.iter().map(pair).collect()
}

fn file(folder: &Path) -> PathBuf {
    folder.join("state")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").mode() & 0o777
}

/// A line as a keeper writes it.
fn line(number: u64, synced: u64, key: &str) -> String {
    let mut line = String::new();
    let body = Body::Change(put(key, "by hand"));
    let record = Record {
        number,
        synced,
        body,
    };
    record.write(&mut line);
    line
}

fn append(folder: &Path, text: &str) {
    let opened = OpenOptions::new().append(true).open(file(folder));
    let mut file = opened.expect("the state file");
    file.write_all(text.as_bytes()).expect("write");
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let scratch = Scratch::new();
    let folder = scratch.path("deep/state");
    let mut driver = Driver::start(&folder);
    assert_eq!(driver.kept, kept(&[]));
    assert_eq!(driver.put("a", "one\ntwo\tthree \\ 마당"), Ok(()));
    assert_eq!(driver.put("b", "1"), Ok(()));
    assert_eq!(driver.put("b", "2"), Ok(()));
    let (kind, key) = ("ban".into(), "a".into());
    driver.keeper.store(8, &Change::Remove { kind, key });
    assert_eq!(driver.answer(), (8, Ok(())));
    drop(driver);
    assert_eq!(Driver::start(&folder).kept, kept(&[("b", "2")]));
}

#[test]
fn the_folder_and_its_files_are_for_their_owner_only() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    drop(Driver::start(&folder));
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&file(&folder)), 0o600);
    assert_eq!(mode(&folder.join("lock")), 0o600);
    // As from a backup.
    fs::set_permissions(file(&folder), Permissions::from_mode(0o644)).expect("chmod");
    drop(Driver::start(&folder));
    assert_eq!(mode(&file(&folder)), 0o600);
}

#[test]
fn many_requests_are_answered_in_order_and_too_many_are_refused() {
    let scratch = Scratch::new();
    let mut driver = Driver::start(&scratch.path("state"));
    // Stopped, so that it answers none meanwhile.
    driver.signal(Signal::STOP);
    let more = REQUESTS_MAX as u64 + 1;
    for ticket in 0..more {
        driver.keeper.store(ticket, &put(&format!("{ticket}"), "x"));
    }
    let (ticket, refused) = driver.answer();
    assert_eq!(ticket, more - 1);
    assert!(refused.unwrap_err().contains("try again"));
    driver.signal(Signal::CONT);
    for ticket in 0..more - 1 {
        assert_eq!(driver.answer(), (ticket, Ok(())));
    }
    let long = "x".repeat(9000);
    let refused = driver.put("a", &long).unwrap_err();
    assert!(refused.contains("9000 bytes"), "{refused}");
}

/// Kills it at random points of its work, again and again. The file always holds what was acknowledged, and nothing that
/// was refused.
#[test]
fn a_keeper_that_is_killed_is_replaced_and_nothing_is_half_done() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let (mut model, mut random) = (Kept::new(), fastrand::Rng::with_seed(14));
    let (mut kept, mut refused) = (0, 0);
    for server in 0..4 {
        let mut driver = Driver::start(&folder);
        assert_eq!(driver.kept, model);
        for round in 0..4 {
            let value = |ticket: u64| format!("{server} {round} {ticket}");
            let key = |ticket: u64| format!("{}", ticket % 9);
            let (requests, last) = (40, random.u64(..40));
            for ticket in 0..requests {
                driver
                    .keeper
                    .store(ticket, &put(&key(ticket), &value(ticket)));
                if random.bool() {
                    driver.turn_within(Duration::from_millis(1));
                }
                let process = driver.keeper.process_id().filter(|_| ticket == last);
                if let Some(id) = process.and_then(|id| Pid::from_raw(id as i32)) {
                    let _ = kill_process(id, Signal::KILL);
                }
            }
            let mut answers: Vec<_> = (0..requests).map(|_| driver.answer()).collect();
            answers.sort();
            for (nth, (ticket, result)) in answers.into_iter().enumerate() {
                assert_eq!(ticket, nth as u64, "each is answered once");
                kept += u64::from(result.is_ok());
                refused += u64::from(result.is_err());
                match result {
                    Ok(()) => drop(model.insert(("ban".into(), key(ticket)), value(ticket))),
                    Err(why) => assert!(why.contains("try again"), "{why}"),
                }
            }
        }
    }
    println!("kept {kept}, refused {refused}");
    assert!(kept > 0 && refused > 0, "{kept} {refused}");
    assert_eq!(Driver::start(&folder).kept, model);
}

/// The keeper has written and synced a change, and is killed before it answers: the operator is told that nothing has
/// changed, and so it is.
#[test]
fn a_change_that_was_written_but_not_acknowledged_is_undone() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let mut driver = Driver::start(&folder);
    assert_eq!(driver.put("a", "1"), Ok(()));
    driver.signal(Signal::STOP);
    driver.keeper.store(2, &put("b", "by hand"));
    driver.keeper.store(3, &put("c", "3"));
    append(&folder, &line(2, 1, "b"));
    driver.signal(Signal::KILL);
    for ticket in [2, 3] {
        let (answered, result) = driver.answer();
        assert_eq!(answered, ticket);
        assert!(result.unwrap_err().contains("nothing has changed"));
        // Not in the file when the answer is given.
        assert!(
            !fs::read_to_string(file(&folder))
                .unwrap()
                .contains("by hand")
        );
    }
    driver.put_again("d", "4");
    drop(driver);
    let expected = kept(&[("a", "1"), ("d", "4")]);
    assert_eq!(Driver::start(&folder).kept, expected);
}

#[test]
fn a_write_that_was_cut_anywhere_is_removed_at_the_next_start() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    drop(Driver::start(&folder));
    let torn = line(1, 0, "torn");
    let empty = fs::read(file(&folder)).expect("the state file");
    for cut in [1, 8, 9, 20, torn.len() - 1] {
        append(&folder, &torn[..cut]);
        let mut driver = Driver::start(&folder);
        assert_eq!(driver.kept, kept(&[]));
        assert_eq!(fs::read(file(&folder)).expect("the state file"), empty);
        assert_eq!(driver.put("a", "1"), Ok(()));
        drop(driver);
        fs::write(file(&folder), &empty).expect("write");
    }
}

#[test]
fn a_damaged_file_is_refused_with_its_line_and_can_be_repaired() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let mut driver = Driver::start(&folder);
    for key in ["a", "b", "c"] {
        assert_eq!(driver.put(key, key), Ok(()));
    }
    let repair = || {
        Command::new(PROGRAM)
            .args(["keeper", "--repair"])
            .arg(&folder)
            .output()
    };
    let in_use = repair().expect("run madang");
    assert_eq!(in_use.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&in_use.stderr).into_owned();
    assert!(
        complaint.contains("another server is using it"),
        "{complaint}"
    );
    drop(driver);
    let whole = fs::read_to_string(file(&folder)).expect("text");
    let damaged = whole.replace("ban\tb\tb", "ban\tb\tB");
    fs::write(file(&folder), &damaged).expect("write");
    let failed = Launch::new(&["--state", folder.to_str().expect("UTF-8")]).fail();
    assert_eq!(failed.code, Some(1));
    assert_eq!(failed.stdout, "");
    for part in [
        "line 4 is damaged",
        "1 changes before it",
        "1 lines after",
        "--repair",
    ] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
    assert_eq!(fs::read_to_string(file(&folder)).expect("text"), damaged);
    let repaired = repair().expect("run madang");
    let done = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert!(
        done.contains("2 entries kept") && repaired.status.success(),
        "{done}"
    );
    let expected = kept(&[("a", "a"), ("c", "c")]);
    assert_eq!(Driver::start(&folder).kept, expected);
    let aside = fs::read_to_string(folder.join("state.damaged"));
    assert_eq!(aside.expect("text"), damaged);
}

#[test]
fn a_file_of_another_version_or_of_another_program_is_refused() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    drop(Driver::start(&folder));
    for (content, advice) in [
        (
            VERSION.replace('1', "2"),
            "run the version that wrote the file",
        ),
        ("# notes\n".into(), "it is no state of madang"),
        (String::new(), "it is no state of madang"),
    ] {
        fs::write(file(&folder), &content).expect("write");
        let why = Driver::refusal(&folder);
        assert!(why.contains(advice), "{why}");
        let path = file(&folder);
        assert!(why.contains(path.to_str().expect("UTF-8")), "{why}");
        assert_eq!(fs::read_to_string(path).expect("text"), content);
    }
}

/// The largest file that a process may write stands for a full disk: both fail in the middle of a write.
#[test]
fn on_a_full_disk_requests_are_refused_and_nothing_is_lost() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let mut driver = Driver::start(&folder);
    assert_eq!(driver.put("a", "1"), Ok(()));
    let before = fs::read(file(&folder)).expect("the state file");
    let limit = |driver: &Driver, bytes| {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(driver.pid()), Resource::Fsize, limit).expect("prlimit");
    };
    limit(&driver, Some(before.len() as u64 + 30));
    for _ in 0..3 {
        let why = driver.put("b", &"x".repeat(100)).unwrap_err();
        assert!(
            why.contains("File too large") && why.contains("try again"),
            "{why}"
        );
        assert_eq!(fs::read(file(&folder)).expect("the state file"), before);
    }
    limit(&driver, None);
    assert_eq!(driver.put("c", "3"), Ok(()));
    drop(driver);
    let expected = kept(&[("a", "1"), ("c", "3")]);
    assert_eq!(Driver::start(&folder).kept, expected);
}

#[test]
#[ignore = "needs unshare and mount, as root or in a user namespace"]
fn on_a_full_file_system_requests_are_refused_until_there_is_space() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    // The keeper has a small file system of its own there.
    let program = scratch.path("keeper");
    let mount = "mount -t tmpfs -o size=64k none \"$2\" && exec \"$0\" \"$@\"";
    let script = format!("#!/bin/sh\nexec unshare -rm sh -c '{mount}' {PROGRAM} \"$@\"\n");
    fs::write(&program, script).expect("write");
    fs::set_permissions(&program, Permissions::from_mode(0o700)).expect("chmod");
    let mut driver = Driver::start_program(&program, &folder);
    let long = "x".repeat(8000);
    let mut taken = 0;
    let why = loop {
        match driver.put(&format!("{taken}"), &long) {
            Ok(()) => taken += 1,
            Err(why) => break why,
        }
        assert!(taken < 10, "the disk is never full");
    };
    assert!(
        why.contains("No space left on device") && why.contains("free space"),
        "{why}"
    );
    // A short one still fits after the last whole line.
    assert_eq!(driver.put("short", "x"), Ok(()));
}

#[test]
fn a_removed_folder_is_an_error_until_it_is_there_again() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let mut driver = Driver::start(&folder);
    assert_eq!(driver.put("a", "1"), Ok(()));
    fs::remove_dir_all(&folder).expect("remove");
    let why = driver.put("b", "2").unwrap_err();
    assert!(why.contains("create the folder again"), "{why}");
    fs::create_dir(&folder).expect("create");
    assert_eq!(driver.put("b", "2"), Ok(()));
    drop(driver);
    let expected = kept(&[("a", "1"), ("b", "2")]);
    assert_eq!(Driver::start(&folder).kept, expected);
}

/// A keeper that cannot start again: requests are refused with the reason, and kept again when the reason is gone.
#[test]
fn while_no_keeper_can_run_requests_are_refused_with_the_reason() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let mut driver = Driver::start(&folder);
    assert_eq!(driver.put("a", "1"), Ok(()));
    let content = fs::read(file(&folder)).expect("the state file");
    // Shorter than what was acknowledged.
    fs::write(file(&folder), &content[..content.len() - 5]).expect("write");
    driver.signal(Signal::KILL);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let why = driver.put("b", "2").unwrap_err();
        if why.contains("it ends with change 0, but change 1 was kept") {
            break;
        }
        assert!(Instant::now() < deadline, "{why}");
        driver.turn();
    }
    fs::write(file(&folder), &content).expect("write");
    driver.put_again("b", "2");
}

#[test]
fn two_servers_cannot_share_a_folder() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let flags = ["--state", folder.to_str().expect("UTF-8")];
    let mut server = Server::start(&flags);
    let failed = Launch::new(&flags).fail();
    assert_eq!(failed.code, Some(1));
    let (folder, process) = (folder.display(), server.id());
    let line = format!(
        "madang: the state folder {folder} cannot be used: another server is using it (process {process}); give each \
         server a folder of its own\n"
    );
    assert!(failed.stderr.ends_with(&line), "{}", failed.stderr);
    server.shut_down();
    // Free as soon as the server has ended.
    Server::start(&flags).shut_down();
}

fn state(process: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_server_that_is_killed_takes_its_keeper_with_it() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let flags = ["--state", folder.to_str().expect("UTF-8")];
    let mut server = Server::start(&flags);
    let keeper = server.keeper().expect("a keeper");
    server.signal(Signal::KILL);
    server.wait_exit();
    until("the keeper ends", || {
        matches!(state(keeper), None | Some('Z'))
    });
    Server::start(&flags).shut_down();
}

#[test]
fn a_keeper_ignores_the_signals_that_end_a_server() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let mut driver = Driver::start(&folder);
    let first = driver.pid();
    for signal in [
        Signal::INT,
        Signal::TERM,
        Signal::HUP,
        Signal::QUIT,
        Signal::USR1,
    ] {
        driver.signal(signal);
    }
    assert_eq!(driver.put("a", "1"), Ok(()));
    assert_eq!(driver.pid(), first);
    let group = rustix::process::getpgid(Some(first)).expect("a group");
    assert_eq!(group, first, "Ctrl-C at a terminal would reach it");
}

#[test]
fn a_server_replaces_its_keeper_which_inherits_nothing() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let mut server = Server::start(&["--state", folder.to_str().expect("UTF-8")]);
    let _clients: Vec<Client> = (0..20).map(|_| Client::connect(server.addr())).collect();
    let first = server.keeper().expect("a keeper");
    let pid = Pid::from_raw(first as i32).expect("a process id");
    kill_process(pid, Signal::KILL).expect("signal");
    until("another keeper", || {
        server.keeper().is_some_and(|keeper| keeper != first)
    });
    // Reaped: no zombie is left.
    assert_eq!(state(first), None);
    until("it is running", || {
        server.log().contains("the keeper is running again")
    });
    let second = server.keeper().expect("a keeper");
    let comm = fs::read_to_string(format!("/proc/{second}/comm")).expect("/proc");
    assert_eq!(comm, "madang-keeper\n");
    let folder = fs::read_dir(format!("/proc/{second}/fd")).expect("/proc");
    let links = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:"));
    // Standard input, and what it was opened as once more: none of the clients'.
    assert_eq!(sockets.count(), 2);
    assert!(server.log().contains("the keeper is lost: it has ended"));
    server.shut_down();
}

#[test]
fn a_keeper_that_dies_again_and_again_is_not_started_too_often() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let mut driver = Driver::start(&folder);
    let began = Instant::now();
    let mut restarts = 0;
    while began.elapsed() < Duration::from_secs(1) {
        let id = driver.keeper.process_id();
        if let Some(id) = id.and_then(|id| Pid::from_raw(id as i32)) {
            let _ = kill_process(id, Signal::KILL);
        }
        driver.turn();
        restarts +=
            u32::from(driver.keeper.process_id() != id && driver.keeper.process_id().is_some());
    }
    // After 50, 100, 200, 400 ms.
    assert!((1..=5).contains(&restarts), "{restarts}");
    driver.put_again("a", "1");
}

#[test]
fn the_folder_of_systemd_is_the_default() {
    let scratch = Scratch::new();
    let folder = scratch.path("state");
    let folders = format!("{}:/nonexistent", folder.display());
    let mut server = Launch::new(&[]).env("STATE_DIRECTORY", &folders).start();
    assert!(file(&folder).exists());
    server.shut_down();
    let mut without = Launch::new(&[]).env("STATE_DIRECTORY", "").start();
    assert_eq!(without.keeper(), None);
    without.shut_down();
}

#[test]
fn the_keeper_is_not_started_by_people() {
    let scratch = Scratch::new();
    let output = Command::new(PROGRAM)
        .arg("keeper")
        .arg(scratch.path("state"))
        .output();
    let output = output.expect("run madang");
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        complaint.contains("started by madang serve --state"),
        "{complaint}"
    );
    assert!(!scratch.path("state").exists());
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    fs::write(&path, "").expect("write");
    let failed = Launch::new(&["--state", path.to_str().expect("UTF-8")]).fail();
    assert_eq!(failed.code, Some(1));
    let line = format!("madang: the state folder {} cannot be used", path.display());
    assert!(failed.stderr.contains(&line), "{}", failed.stderr);
}
