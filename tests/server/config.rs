//! The configuration file: what may stand in it, what is wrong with it in which words, what takes precedence, and what a
//! reload changes while clients are connected.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use crate::common::{Client, Launch, Scratch, Server, until};
use rustix::process::Signal;

fn madang(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MADANG_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied());
    command.output().expect("run madang")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A configuration file in a directory of its own.
struct Config {
    scratch: Scratch,
}

impl Config {
    fn new(text: &str) -> Self {
        let config = Self {
            scratch: Scratch::new(),
        };
        config.write(text);
        config
    }

    fn path(&self) -> PathBuf {
        self.scratch.path("madang.toml")
    }

    fn arg(&self) -> String {
        self.path().display().to_string()
    }

    /// Replaces the file by rename, as an editor does.
    fn write(&self, text: &str) {
        let new = self.scratch.path("new");
        fs::write(&new, text).expect("write");
        fs::rename(&new, self.path()).expect("rename");
    }

    fn serve(&self, flags: &[&str]) -> Launch {
        let path = self.arg();
        Launch::new(&[&["--config", &*path], flags].concat())
    }

    fn check(&self, flags: &[&str]) -> Output {
        let path = self.arg();
        madang(&[&["check", "--config", &*path], flags].concat(), &[])
    }
}

/// Reloads, and waits until the log has all of `expected` in what it says since.
#[track_caller]
fn reload(server: &Server, expected: &[&str]) -> String {
    let before = server.log().len();
    server.signal(Signal::HUP);
    let since = |server: &Server| server.log()[before..].to_owned();
    until(&format!("{expected:?}"), || {
        expected.iter().all(|line| since(server).contains(line))
    });
    since(server)
}

#[test]
fn a_flag_goes_before_its_variable_and_that_before_the_file() {
    let config = Config::new(
        "# limits\nmax-line = 100\nrate = 5\ndrain = 7\nlisten = [\"127.0.0.1:0\", \"unix:/tmp/x\"]\nslow = \"CLOSE\"\n\
         welcome = \"\"\"a\nb \\\"c\\\"\"\"\"\ntimestamps = true\n",
    );
    let arguments = [
        "serve",
        "--config",
        &config.arg(),
        "--print-config",
        "--max-line",
        "200",
    ];
    let variables = [
        ("MADANG_RATE", "6"),
        ("MADANG_MAX_LINE", "300"),
        ("MADANG_BURST", ""),
    ];
    let output = madang(&arguments, &variables);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let path = config.arg();
    for expected in [
        "max-line = 200  # --max-line".to_owned(),
        "rate = 6  # MADANG_RATE".into(),
        format!("drain = 7  # {path}:4"),
        format!("listen = [\"127.0.0.1:0\", \"unix:/tmp/x\"]  # {path}:5"),
        format!("slow = \"CLOSE\"  # {path}:6"),
        format!("welcome = \"a\\nb \\\"c\\\"\"  # {path}:7"),
        format!("timestamps = true  # {path}:9"),
        "bell = false  # default".into(),
        "burst = 100  # default".into(),
        "log-level = \"info\"  # default".into(),
        "# max-clients: what the limit on open files allows  # default".into(),
    ] {
        assert!(
            printed.lines().any(|line| line == expected),
            "{expected}\n{printed}"
        );
    }
    // It can be read back, and means the same.
    let again = Config::new(&printed);
    let output = madang(&["serve", "--config", &again.arg(), "--print-config"], &[]);
    let without_source = |text: &str| -> Vec<String> {
        let values = text.lines().filter(|line| !line.starts_with('#'));
        let values = values.filter_map(|line| Some(line.rsplit_once("  # ")?.0.to_owned()));
        values.collect()
    };
    assert_eq!(
        without_source(&text(&output.stdout)),
        without_source(&printed)
    );
}

#[test]
fn the_variable_names_the_file_and_an_empty_one_names_none() {
    let config = Config::new("rate = 5\n");
    let path = config.arg();
    let print = |value: &str| {
        let output = madang(&["serve", "--print-config"], &[("MADANG_CONFIG", value)]);
        text(&output.stdout)
    };
    assert!(print(&path).contains(&format!("rate = 5  # {path}:1")));
    assert!(print("").contains("rate = 0  # default"));
}

#[test]
fn a_file_sets_a_server_up() {
    let config =
        Config::new("listen = \"127.0.0.1:0\"\nwelcome = \"hello from the file\"\nmax-line = 40\n");
    let mut server = config.serve(&[]).start();
    let mut client = Client::open(server.addr());
    assert_eq!(client.line(), "* hello from the file");
    let mut client = client.greeted();
    client.say(&"x".repeat(41));
    client.expect_start("! line not sent: ");
    server.shut_down();
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let config = Config::new(
        "max_line = 100\nlisten = [\"127.0.0.1:0\",\n  \"nonsense\"]\ndrain = \"5\"\nslow = \"skp\"\nrate = 1\nrate = 2\n[limits]\n",
    );
    let path = config.arg();
    let expected = [
        ":1:1: unknown key max_line; did you mean max-line?",
        ":3:3: listen = \"nonsense\": ",
        ":4:9: drain = \"5\": expected an integer",
        ":5:8: slow = \"skp\": expected one of skip, close, wait; did you mean skip?",
        ":7:1: rate is given twice",
        ":8:2: limits: there are no tables",
    ];
    let failure = config.serve(&[]).fail();
    let output = config.check(&[]);
    assert_eq!((failure.code, output.status.code()), (Some(1), Some(1)));
    assert_eq!(failure.stderr, text(&output.stderr));
    assert_eq!(
        failure.stderr.lines().count(),
        expected.len(),
        "{}",
        failure.stderr
    );
    for (line, expected) in failure.stderr.lines().zip(expected) {
        let expected = format!("madang: {path}{expected}");
        assert!(line.starts_with(&expected), "{line}\n{expected}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_one_clear_line() {
    let scratch = Scratch::new();
    let cases: [(&str, Option<&[u8]>, &str); 7] = [
        ("missing", None, "cannot read"),
        (".", None, "it is a directory"),
        (
            "bytes",
            Some(b"rate = 1\n# \xff\n"),
            ":2:3: the byte 0xff is not UTF-8",
        ),
        (
            "bom",
            Some(b"\xef\xbb\xbfrate = 1\n"),
            "begins with a byte order mark",
        ),
        ("utf16", Some(b"\xff\xfer\0"), "UTF-16"),
        ("half", Some(b"rate = 1\nwelcome = \"he"), ":2:"),
        (
            "large",
            Some(&[b'#'; (1 << 20) + 1]),
            "larger than 1048576 bytes",
        ),
    ];
    for (name, content, expected) in cases {
        let path = scratch.path(name);
        if let Some(content) = content {
            fs::write(&path, content).expect("write");
        }
        let path = path.display().to_string();
        for command in ["serve", "check"] {
            let output = madang(&[command, "--config", &path], &[]);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert_eq!(told.lines().count(), 1, "{told}");
            assert!(told.contains(expected) && told.contains(&path), "{told}");
        }
    }
    let pipe = scratch.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let output = madang(&["check", "--config", &pipe.display().to_string()], &[]);
    assert!(text(&output.stderr).contains("it is a pipe"), "{output:?}");
}

#[test]
fn check_says_ok_or_all_that_can_be_known_to_be_wrong() {
    let config = Config::new("max-line = 100\n");
    let output = config.check(&[]);
    assert_eq!(
        (text(&output.stdout), output.status.code()),
        ("ok\n".into(), Some(0))
    );
    config.write("listen = [\"unix:/no/such/place\", \"0.0.0.0:1234\", \"127.0.0.1:1234\"]\nmax-line = 8192\nroom-log = 65536\n");
    let output = config.check(&[]);
    let told = text(&output.stderr);
    assert_eq!(
        (text(&output.stdout), output.status.code()),
        (String::new(), Some(1))
    );
    for expected in [
        "--room-log 65536 is too small for --max-line 8192",
        "--listen unix:/no/such/place: there is no directory /no/such",
        "--listen 127.0.0.1:1234: --listen 0.0.0.0:1234 includes it",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    assert_eq!(told.lines().count(), 3, "{told}");
    let script = r#"ulimit -n 200; exec "$0" check --max-clients 500"#;
    let mut few = Command::new("sh");
    few.args(["-c", script, env!("CARGO_BIN_EXE_madang")]);
    let output = few.output().expect("run sh");
    let told = text(&output.stderr);
    assert!(told.contains("raise it with ulimit -n"), "{told}");
    // A port that is taken is no business of a check.
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("an address").to_string();
    assert!(
        madang(&["check", "--listen", &address], &[])
            .status
            .success()
    );
    let both = [
        "check",
        "--listen",
        "[::]:1234",
        "--listen",
        "0.0.0.0:1234",
        "--listen",
        "0.0.0.0:1234",
    ];
    assert!(madang(&both, &[]).status.success());
    assert_eq!(
        madang(&["check", "--drain", "x"], &[]).status.code(),
        Some(2)
    );
}

#[test]
fn a_reload_changes_what_can_change_and_names_what_needs_a_restart() {
    let config = Config::new("listen = \"127.0.0.1:0\"\n");
    let mut server = config.serve(&["--burst", "50"]).start();
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    config.write(
        "listen = \"127.0.0.1:0\"\nmax-line = 100\nwelcome = \"new here\"\nburst = 7\nlog-format = \"json\"\nkeepalive = 0\nbacklog = 9\nsend-buffer = 4096\n",
    );
    let log = reload(
        &server,
        &[
            "reload: max-line: 8192 -> 100",
            "reload: welcome: \"\" -> \"new here\"",
            "reload: log-format: \"text\" -> \"json\": needs a restart",
            "reload: keepalive: 60 -> 0",
            "reload: backlog: 4096 -> 9",
            "reload: send-buffer: 65536 -> 4096",
        ],
    );
    assert!(
        !log.contains("burst"),
        "the flag goes before the file: {log}"
    );
    ann.say(&"y".repeat(101));
    ann.expect_start("! line not sent: ");
    ann.say("still connected");
    bob.find("ann: still connected");
    let mut newcomer = Client::open(server.addr());
    assert_eq!(newcomer.line(), "* new here");
    // What needs a restart still does, and what has been applied is not told again.
    let log = reload(&server, &["needs a restart"]);
    assert_eq!(log.matches("reload: ").count(), 1, "{log}");
    config.write("listen = \"127.0.0.1:0\"\nmax-line = 100\nwelcome = \"new here\"\nkeepalive = 0\nbacklog = 9\nsend-buffer = 4096\n");
    reload(&server, &["reload: nothing has changed"]);
    server.shut_down();
}

#[test]
fn a_wrong_file_changes_nothing_and_is_told_in_the_log() {
    let config = Config::new("listen = \"127.0.0.1:0\"\nmax-line = 100\n");
    let before = "ulimit -n 500;";
    let mut server = Launch::in_shell(before, "", &["--config", &config.arg()]).start();
    let mut ann = Client::connect_named(server.addr(), "ann");
    let path = config.arg();
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address))
        .expect("an address");
    let keep = "not reloaded, everything stays as it was: ";
    for (text, expected) in [
        (
            "max-line = 4000\nmax-lin = 1\n".to_owned(),
            format!("{path}:2:1: unknown key max-lin"),
        ),
        (
            "max-line = 4000\nwelcome = \"he".into(),
            format!("{path}:2:"),
        ),
        (
            "max-line = 4000\nroom-log = 65536\n".into(),
            "--room-log 65536 is too small".into(),
        ),
        (
            "max-line = 4000\nmax-clients = 1000\n".into(),
            "raise it with ulimit -n".into(),
        ),
        (
            format!(
                "max-line = 4000\nlisten = [\"127.0.0.1:0\", \"{}\"]\n",
                taken.1
            ),
            format!("cannot listen on {}", taken.1),
        ),
        (
            "max-line = 4000\nlisten = [\"unix:/no/such/place\"]\n".into(),
            "cannot listen on unix:/no/such/place".into(),
        ),
        (
            "max-line = 4000\nlisten = [\"chat.example.org:1\"]\n".into(),
            "a name is looked up at the start only".into(),
        ),
    ] {
        config.write(&text);
        reload(&server, &[keep, &expected]);
        ann.say(&"z".repeat(101));
        ann.expect_start("! line not sent: ");
        assert!(Client::connect(server.addr()).name().starts_with("guest"));
    }
    fs::remove_file(config.path()).expect("remove");
    reload(&server, &[keep, "cannot read"]);
    config.write("listen = \"127.0.0.1:0\"\nmax-line = 200\n");
    reload(&server, &["reload: max-line: 100 -> 200"]);
    server.shut_down();
}

#[test]
fn listeners_come_and_go_and_connections_stay() {
    let config = Config::new("listen = \"127.0.0.1:0\"\n");
    let socket = |name: &str| config.scratch.path(name).display().to_string();
    let (one, two) = (socket("one"), socket("two"));
    config.write(&format!("listen = [\"127.0.0.1:0\", \"unix:{one}\"]\n"));
    let mut server = config.serve(&[]).listeners(2).start();
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::open_unix(Path::new(&one)).greeted().named("bob");
    let other = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = other.local_addr().expect("an address");
    drop(other);
    config.write(&format!(
        "listen = [\"unix:{two}\", \"{address}\"]\nlisten-raw = \"127.0.0.2:0\"\n"
    ));
    let log = reload(
        &server,
        &[
            &format!("no longer listening on {}", server.addr()),
            &format!("no longer listening on unix:{one}"),
            &format!("reload: listening on unix:{two}"),
            &format!("reload: listening on {address}"),
            "(raw)",
        ],
    );
    assert!(!Path::new(&one).exists(), "its file is removed");
    assert!(
        std::net::TcpStream::connect(server.addr()).is_err(),
        "{log}"
    );
    ann.say("the old ones are still connected");
    bob.find("ann: the old ones are still connected");
    let carl = Client::connect_named(address, "carl");
    let mut dora = Client::open_unix(Path::new(&two)).greeted().named("dora");
    carl.say("the new ones talk");
    dora.find("carl: the new ones talk");
    // There and back again: numbers of listeners are used again.
    for _ in 0..20 {
        config.write(&format!("listen = [\"{address}\"]\n"));
        reload(&server, &[&format!("no longer listening on unix:{two}")]);
        config.write(&format!("listen = [\"{address}\", \"unix:{two}\"]\n"));
        reload(&server, &[&format!("reload: listening on unix:{two}")]);
    }
    let eve = Client::open_unix(Path::new(&two)).greeted().named("eve");
    eve.say("hello");
    ann.find("eve: hello");
    // A wildcard cannot take the place of an address at its port while that is in use.
    config.write(&format!(
        "listen = [\"0.0.0.0:{}\", \"unix:{two}\"]\n",
        address.port()
    ));
    reload(&server, &["not reloaded", "needs a restart"]);
    assert!(Client::connect(address).name().starts_with("guest"));
    server.shut_down();
    assert!(!Path::new(&two).exists());
}

#[test]
fn silent_clients_are_closed_when_an_idle_timeout_is_switched_on() {
    let config = Config::new("listen = \"127.0.0.1:0\"\n");
    let server = config.serve(&[]).start();
    let mut silent: Vec<Client> = (0..50).map(|_| Client::connect(server.addr())).collect();
    config.write("listen = \"127.0.0.1:0\"\nidle-timeout = 1\n");
    reload(&server, &["reload: idle-timeout: 0 -> 1"]);
    for client in &mut silent {
        client.expect_start("! closed: nothing received");
    }
}

#[test]
fn connections_count_for_a_limit_by_address_that_is_switched_on_later() {
    let config = Config::new("listen = [\"127.0.0.1:0\", \"[::1]:0\"]\n");
    let server = config.serve(&[]).listeners(2).start();
    let four: Vec<Client> = (0..4).map(|_| Client::connect(server.addr())).collect();
    config.write("listen = [\"127.0.0.1:0\", \"[::1]:0\"]\nmax-per-ip = 5\n");
    reload(&server, &["reload: max-per-ip: 0 -> 5"]);
    // They are counted a few each turn, after the reload is logged: within the next turns, which these take.
    until("they are counted", || {
        let fifth = Client::open(server.addr());
        let mut sixth = Client::open(server.addr());
        let refused = sixth.line().starts_with("! ");
        drop((fifth, sixth));
        refused
    });
    drop(four);
}

#[test]
fn the_log_level_changes_with_a_reload() {
    let config = Config::new("listen = \"127.0.0.1:0\"\nlog-level = \"error\"\n");
    let server = config.serve(&[]).start();
    assert_eq!(server.log(), "");
    config.write("listen = \"127.0.0.1:0\"\nlog-level = \"debug\"\n");
    reload(&server, &["reload: log-level: \"error\" -> \"debug\""]);
    let ann = Client::connect_named(server.addr(), "ann");
    until("a rename is logged", || server.log().contains("ann"));
    config.write("listen = \"127.0.0.1:0\"\nlog-level = \"warn\"\n");
    reload(&server, &["reload: log-level: \"debug\" -> \"warn\""]);
    let length = server.log().len();
    drop(ann);
    assert!(Client::connect(server.addr()).name().starts_with("guest"));
    assert_eq!(server.log().len(), length);
}

#[test]
fn reloads_under_load_lose_no_connection_and_no_line() {
    let config = Config::new("listen = \"127.0.0.1:0\"\n");
    let mut server = config.serve(&[]).start();
    let mut reader = Client::connect_named(server.addr(), "reader");
    let mut idle: Vec<Client> = (0..200).map(|_| Client::connect(server.addr())).collect();
    let sender = Client::connect_named(server.addr(), "sender");
    for nth in 0..20 {
        let (log, history) = ([1 << 20, 8 << 20][nth % 2], nth * 10);
        let (rate, idle) = ([0, 1_000_000][nth % 2], [0, 3600][nth % 2]);
        let slow = ["skip", "wait", "close"][nth % 3];
        config.write(&format!(
            "listen = \"127.0.0.1:0\"\nroom-log = {log}\nhistory = {history}\nrate = {rate}\n\
             burst = 1000000\nslow = \"{slow}\"\nidle-timeout = {idle}\n"
        ));
        thread::scope(|scope| {
            scope.spawn(|| (0..200).for_each(|line| sender.say(&format!("{nth} {line}"))));
            reload(&server, &["reload: room-log"]);
            for line in 0..200 {
                reader.expect(&format!("sender: {nth} {line}"));
            }
        });
    }
    for client in &mut idle {
        client.say("/quit");
        client.find("* you left; goodbye");
    }
    server.shut_down();
}
