//! Takes from this process and its children the right to open files that they do not need (Landlock, landlock(7)), once
//! the listeners are bound. What is open stays open, and sockets of other machines are not concerned. Best effort: without
//! Landlock the server runs without it.

use std::path::{Path, PathBuf};

/// What the process still has to do with files.
#[derive(Debug, Default)]
pub struct Needs {
    /// The configuration file, which is read again; with it, what resolves the names in it.
    pub config: Option<PathBuf>,
    /// Other files that are read again: certificates, keys, the password.
    pub files: Vec<PathBuf>,
    /// The directory of the keeper, which is this program, started again and again.
    pub state: Option<PathBuf>,
    /// Whether the users of this machine are read, and read again: passwd(5).
    pub users: bool,
    /// The paths of Unix-domain listeners, which are removed at the end, and created anew when they are listened on again.
    pub sockets: Vec<PathBuf>,
    /// The console.
    pub console: Option<ConsoleNeeds>,
}

/// What a console has to do with files, besides the terminal and the time zone.
#[derive(Debug, Default)]
pub struct ConsoleNeeds {
    /// The file of its typed lines, whose directory exists.
    pub history: Option<PathBuf>,
}

/// The directory of a file, as it is written and where its symbolic links lead.
fn folders(file: &Path) -> Vec<PathBuf> {
    let folder = |file: &Path| match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => ".".into(),
    };
    let real = file.canonicalize().ok();
    [Some(folder(file)), real.as_deref().map(folder)]
        .into_iter()
        .flatten()
        .collect()
}

/// Restricts this thread, the threads that it will start, and their child processes. Says in the log what has been done.
#[cfg(target_os = "linux")]
pub fn enter(needs: &Needs) {
    match linux::enter(needs) {
        Ok(done) => tracing::debug!("sandbox: {done}"),
        Err(error) => tracing::debug!("sandbox: none: {error}"),
    }
}

/// Restricts nothing: this system has no Landlock.
#[cfg(not(target_os = "linux"))]
pub fn enter(_: &Needs) {
    tracing::debug!("sandbox: none: this system has no Landlock");
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{ConsoleNeeds, Needs, folders};
    use landlock::{
        ABI, Access, AccessFs, BitFlags, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
        RulesetError, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
    };
    use std::path::{Path, PathBuf};

    type Rights = BitFlags<AccessFs>;
    type Rules = Vec<(PathBuf, Rights)>;

    /// All rights to files that these rules know. Later versions of Landlock restrict more, and are asked for nothing more.
    const KNOWN: ABI = ABI::V6;

    /// What a name is resolved with (nsswitch.conf(5), gai.conf(5)).
    const RESOLVER: [&str; 7] = [
        "/etc/hosts",
        "/etc/host.conf",
        "/etc/nsswitch.conf",
        "/etc/gai.conf",
        "/etc/services",
        "/etc/resolv.conf",
        "/run/systemd/resolve",
    ];
    /// What the dynamic linker reads (ld.so(8)), besides libraries.
    const LINKER: [&str; 2] = ["/etc/ld.so.cache", "/etc/ld.so.preload"];
    /// The user's time zone.
    const TIME_ZONE: [&str; 3] = ["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"];

    /// Restricts this thread; returns what has been done, for the log.
    pub(super) fn enter(needs: &Needs) -> Result<String, RulesetError> {
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(KNOWN))?
            .scope(Scope::from_all(KNOWN))?
            .create()?;
        for (path, rights) in rules(needs) {
            // What does not exist needs no right, and of a file only the rights of files count.
            ruleset = ruleset.add_rules(path_beneath_rules([path], rights))?;
        }
        let status = ruleset.restrict_self()?;
        let landlock = match status.landlock {
            LandlockStatus::NotEnabled => "Landlock is not enabled here".into(),
            LandlockStatus::NotImplemented => "this kernel has no Landlock".into(),
            LandlockStatus::Available {
                effective_abi,
                kernel_abi,
            } => {
                let abi = kernel_abi.unwrap_or(effective_abi as i32);
                format!("Landlock ABI {abi}")
            }
        };
        Ok(match status.ruleset {
            RulesetStatus::FullyEnforced => format!("{landlock}, fully enforced"),
            RulesetStatus::PartiallyEnforced => format!("{landlock}, partially enforced"),
            RulesetStatus::NotEnforced => format!("none: {landlock}"),
        })
    }

    fn rules(needs: &Needs) -> Rules {
        let mut rules = Rules::new();
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let mut allow = |path: &Path, rights: Rights| rules.push((path.to_owned(), rights));
        if let Some(config) = &needs.config {
            folders(config)
                .iter()
                .for_each(|folder| allow(folder, read));
            RESOLVER
                .iter()
                .for_each(|path| allow(Path::new(path), read));
        }
        for folder in needs.files.iter().flat_map(|file| folders(file)) {
            allow(&folder, read);
        }
        if let Some(state) = &needs.state {
            allow(state, read | writing());
            allow(
                Path::new("/proc/self/exe"),
                AccessFs::ReadFile | AccessFs::Execute,
            );
            allow(
                Path::new("/dev/null"),
                AccessFs::ReadFile | AccessFs::WriteFile,
            );
        }
        if needs.users {
            // Programs that change the file replace it: a right to the file would end with the old one.
            allow(Path::new("/etc"), read);
        }
        if needs.config.is_some() || needs.state.is_some() {
            // The linker is a library too, and is executed.
            for folder in libraries() {
                allow(&folder, read | AccessFs::Execute);
            }
            LINKER.iter().for_each(|path| allow(Path::new(path), read));
        }
        for socket in &needs.sockets {
            let rights = AccessFs::ReadDir | AccessFs::MakeSock | AccessFs::RemoveFile;
            folders(socket)
                .iter()
                .for_each(|folder| allow(folder, rights));
        }
        if let Some(console) = &needs.console {
            rules.extend(console_rules(console));
        }
        rules
    }

    fn console_rules(console: &ConsoleNeeds) -> Rules {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let terminal = make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev});
        let mut rules: Rules = TIME_ZONE.map(|path| (path.into(), read)).into();
        rules.push(("/dev/tty".into(), terminal));
        if let Ok(path) = rustix::termios::ttyname(std::io::stdin(), Vec::new()) {
            rules.push((path.to_string_lossy().into_owned().into(), terminal));
        }
        if let Some(history) = &console.history {
            let rights = read | writing();
            let both = folders(history).into_iter();
            rules.extend(both.map(|folder| (folder, rights)));
            // A link to /dev/null, which switches history off.
            rules.extend(history.canonicalize().map(|file| (file, terminal)));
        }
        rules
    }

    /// To create, change, rename and remove files in a directory.
    fn writing() -> Rights {
        make_bitflags!(AccessFs::{WriteFile | MakeReg | RemoveFile | Truncate})
    }

    /// The directories of the libraries that this process has loaded: proc_pid_maps(5). None of a static program.
    fn libraries() -> Vec<PathBuf> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let files = maps
            .lines()
            .filter_map(|line| line.find('/').map(|at| &line[at..]));
        let own = std::fs::read_link("/proc/self/exe").ok();
        let libraries = files
            .map(Path::new)
            .filter(|file| Some(*file) != own.as_deref());
        let mut folders: Vec<PathBuf> = libraries
            .filter(|file| file.to_string_lossy().contains(".so"))
            .filter_map(|file| Some(file.parent()?.to_owned()))
            .collect();
        folders.sort();
        folders.dedup();
        folders
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::os::unix::net::UnixListener;
    use std::process::{Command, Stdio};
    use std::thread;

    /// A directory with a folder for each need, removed when dropped.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let pid = std::process::id();
            let root = std::env::temp_dir().join(format!("madang-sandbox-{name}-{pid}"));
            for folder in ["config", "files", "state", "sockets", "history", "other"] {
                fs::create_dir_all(root.join(folder)).unwrap();
                fs::write(root.join(folder).join("file"), folder).unwrap();
            }
            Scratch(root)
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.join(path)
        }

        /// All needs of a server in these folders.
        fn needs(&self) -> Needs {
            Needs {
                config: Some(self.path("config/file")),
                files: vec![self.path("files/file")],
                state: Some(self.path("state")),
                users: false,
                sockets: vec![self.path("sockets/chat")],
                console: Some(ConsoleNeeds {
                    history: Some(self.path("history/file")),
                }),
            }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Runs a test on a thread of its own with these needs: a thread is what Landlock restricts. `false` if this kernel has
    /// no Landlock, and there is nothing to test.
    fn inside(needs: Needs, test: impl FnOnce() + Send) -> bool {
        let run = || {
            let done = linux::enter(&needs).unwrap();
            if done.starts_with("none") {
                println!("not tested: {done}");
                return false;
            }
            test();
            true
        };
        thread::scope(|scope| scope.spawn(run).join().unwrap())
    }

    #[track_caller]
    fn assert_denied<T>(result: std::io::Result<T>) {
        let kind = result.map(drop).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::PermissionDenied));
    }

    /// This program, started again: it lists no test and succeeds.
    fn again() -> std::io::Result<std::process::Output> {
        let mut again = Command::new("/proc/self/exe");
        let again = again.args(["--exact", "no such test"]).stdin(Stdio::null());
        again.output()
    }

    #[test]
    fn what_is_needed_can_be_done_and_nothing_else() {
        let scratch = Scratch::new("all");
        let open = File::open(scratch.path("other/file")).unwrap();
        inside(scratch.needs(), || {
            let path = |path| scratch.path(path);
            // The configuration is read, and was perhaps replaced.
            assert_eq!(fs::read_to_string(path("config/file")).unwrap(), "config");
            assert_denied(fs::write(path("config/file"), "x"));
            assert_denied(File::create(path("config/new")));
            assert_eq!(fs::read_to_string(path("files/file")).unwrap(), "files");
            assert_denied(fs::write(path("files/file"), "x"));
            // The keeper's files are written, renamed and removed.
            fs::write(path("state/new"), "x").unwrap();
            fs::rename(path("state/new"), path("state/file")).unwrap();
            fs::hard_link(path("state/file"), path("state/link")).unwrap();
            fs::remove_file(path("state/link")).unwrap();
            File::open(path("state")).unwrap().sync_all().unwrap();
            // A socket is created and removed, and its neighbours are not read.
            drop(UnixListener::bind(path("sockets/chat")).unwrap());
            fs::remove_file(path("sockets/chat")).unwrap();
            assert_denied(fs::read(path("sockets/file")));
            // Nothing else, but what was open.
            assert_denied(fs::read(path("other/file")));
            assert_denied(fs::read_dir(path("other")));
            assert_denied(File::create(path("other/new")));
            assert_denied(fs::remove_file(path("other/file")));
            assert_denied(fs::read("/etc/passwd"));
            assert_denied(fs::read_dir("/proc/1"));
            assert_denied(Command::new("/bin/sh").arg("-c").arg("exit").output());
            open.metadata().unwrap();
            std::io::read_to_string(&open).unwrap();
        });
    }

    #[test]
    fn the_users_of_the_machine_are_read_where_that_is_needed() {
        let scratch = Scratch::new("users");
        let needs = Needs {
            users: true,
            ..scratch.needs()
        };
        inside(needs, || {
            fs::read("/etc/passwd").unwrap();
            assert_denied(fs::write("/etc/madang-test", "x"));
            assert_denied(fs::read(scratch.path("other/file")));
        });
    }

    #[test]
    fn the_program_itself_can_be_started_again_and_is_restricted_too() {
        let scratch = Scratch::new("again");
        inside(scratch.needs(), || {
            let output = again().unwrap();
            assert!(output.status.success(), "{output:?}");
        });
    }

    #[test]
    fn without_needs_nothing_can_be_opened_or_started() {
        let scratch = Scratch::new("none");
        inside(Needs::default(), || {
            assert_denied(again());
            for folder in ["config", "files", "state", "sockets", "history"] {
                assert_denied(fs::read(scratch.path(folder).join("file")));
            }
            assert_denied(File::open("/dev/null"));
        });
    }

    #[test]
    fn a_file_is_read_where_its_links_lead() {
        let scratch = Scratch::new("links");
        let link = scratch.path("config/link");
        std::os::unix::fs::symlink(scratch.path("other/file"), &link).unwrap();
        let needs = Needs {
            config: Some(link.clone()),
            ..Needs::default()
        };
        inside(needs, || {
            assert_eq!(fs::read_to_string(&link).unwrap(), "other");
        });
    }

    #[test]
    fn names_are_resolved_and_what_does_not_exist_is_no_error() {
        let scratch = Scratch::new("names");
        let needs = Needs {
            sockets: vec![scratch.path("nonexistent/chat")],
            ..scratch.needs()
        };
        inside(needs, || {
            use std::net::ToSocketAddrs;
            assert!(("localhost", 7).to_socket_addrs().unwrap().count() > 0);
        });
    }
}
