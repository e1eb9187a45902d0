//! The command line: help, version, and that bad values are refused before the server opens anything.

use std::process::{Command, Output, Stdio};

use crate::common::{Client, Launch, Scratch, Server};

fn madang(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_madang"))
        .args(arguments)
        .output()
        .expect("run madang")
}

const SERVE_FLAGS: &str = "--listen --listen-raw --backlog --max-clients --max-per-ip \
    --max-line --room-log --send-buffer --recv-buffer --history --slow --slow-timeout --half-close \
    --partial-after --idle-timeout --rate --burst --announce-limit --max-rooms --keepalive --drain \
    --welcome --state --log-level --log-format --config --no-sandbox \
    --cluster --cluster-name --cluster-lanes --cluster-password-file --cluster-ca";

const BENCH_FLAGS: &str = "--nodes --protocol --clients --senders --rooms --slow-readers --lines \
    --duration --size --window --rate --patience --pid --json \
    --tls-ca --tls-fingerprint --tls-cert --tls-key";

const JOIN_FLAGS: &str = "--nick --room --no-reconnect --color --timestamps --bell \
    --tls-ca --tls-fingerprint --tls-cert --tls-key";

#[test]
fn version_is_the_package_version() {
    let output = madang(&["--version"]);
    assert!(output.status.success());
    let version = concat!("madang ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(output.stdout, version.as_bytes());
}

#[test]
fn help_fits_into_eighty_columns_and_names_every_flag() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["serve", "--help"],
        &["serve", "-h"],
        &["bench", "--help"],
        &["bench", "-h"],
        &["join", "--help"],
        &["join", "-h"],
        &["ctl", "--help"],
        &["ctl", "-h"],
    ] {
        let output = madang(arguments);
        assert!(output.status.success(), "{arguments:?}");
        let help = String::from_utf8(output.stdout).expect("UTF-8");
        for line in help.lines() {
            let columns = line.chars().count();
            assert!(columns <= 80, "{arguments:?}: too wide: {line}");
        }
        let words: Vec<&str> = help.split_whitespace().collect();
        let expected = match arguments[0] {
            "serve" => SERVE_FLAGS,
            "bench" => BENCH_FLAGS,
            "join" => JOIN_FLAGS,
            "ctl" => "--control --json",
            _ => "",
        };
        for flag in expected.split_whitespace() {
            let is_named = words.contains(&flag);
            assert!(is_named, "{arguments:?} does not mention {flag}");
        }
    }
    let help = String::from_utf8(madang(&["serve", "--help"]).stdout).expect("UTF-8");
    for flag in SERVE_FLAGS.split_whitespace() {
        let name = flag.trim_start_matches('-').replace('-', "_");
        let variable = format!("MADANG_{}", name.to_uppercase());
        assert!(help.contains(&variable), "no {variable} in the help");
    }
}

#[test]
fn bad_values_are_refused_by_flag_or_value() {
    let cases: [(&[&str], &str); 26] = [
        (&["--slow", "maybe"], "--slow"),
        (&["--slow-timeout", "soon"], "--slow-timeout"),
        (&["--half-close", "half"], "--half-close"),
        (&["--max-line", "long"], "--max-line"),
        (&["--max-line", "0"], "--max-line"),
        (&["--max-line", "5"], "--max-line"),
        (&["--max-line", "-1"], "--max-line"),
        (&["--room-log", "1000"], "--room-log"),
        (&["--room-log", "65536", "--max-line", "8192"], "--room-log"),
        (&["--listen", "nonsense"], "nonsense"),
        (&["--listen", "127.0.0.1"], "127.0.0.1"),
        (&["--listen", "127.0.0.1:99999"], "127.0.0.1:99999"),
        (&["--listen", "unix:"], "unix:"),
        (&["--listen-raw", ":::"], ":::"),
        (&["--burst", "0"], "--burst"),
        (&["--max-per-ip", "few"], "--max-per-ip"),
        (&["8081"], "--listen 8081"),
        (&["--rate", "fast"], "--rate"),
        (&["--rate", "-1"], "-1"),
        (&["--backlog", "x"], "--backlog"),
        (&["--max-clients", "0"], "--max-clients"),
        (&["--history", "all"], "--history"),
        (&["--log-level", "loud"], "--log-level"),
        (&["--log-format", "xml"], "--log-format"),
        (&["--drain", ""], "--drain"),
        (&["--no-such-flag"], "--no-such-flag"),
    ];
    for (flags, named) in cases {
        let failure = Launch::new(flags).fail();
        println!("{flags:?}: {failure:?}");
        assert!(matches!(failure.code, Some(1 | 2)));
        assert_eq!(failure.stdout, "");
        assert!(failure.stderr.contains(named));
        assert!(!failure.stderr.contains("panicked"));
    }
}

#[test]
fn bad_values_in_the_environment_are_refused_too() {
    let failure = Launch::new(&[]).env("MADANG_SLOW", "maybe").fail();
    assert!(matches!(failure.code, Some(1 | 2)), "{failure:?}");
    assert!(failure.stderr.contains("maybe"), "{failure:?}");
}

/// Every flag of a subcommand that takes a number, from its help: names of values that are numbers.
fn numeric_flags(subcommand: &str) -> Vec<String> {
    let help = String::from_utf8(madang(&[subcommand, "--help"]).stdout).expect("UTF-8");
    let numbers = [
        "BYTES",
        "CONNECTIONS",
        "LANES",
        "LINES",
        "MEMBERS",
        "MS",
        "PID",
        "ROOMS",
        "SECONDS",
    ];
    let value = |line: &str| {
        let (flag, value) = line.trim().split_once(" <")?;
        let is_number = numbers.contains(&value.trim_end_matches('>'));
        is_number.then(|| flag.to_owned())
    };
    help.lines().filter_map(value).collect()
}

#[test]
fn a_wrong_number_is_answered_with_flag_value_and_bounds() {
    for (subcommand, address, at_least) in [("serve", None, 17), ("bench", Some("x:1"), 10)] {
        let flags = numeric_flags(subcommand);
        assert!(flags.len() >= at_least, "{flags:?}");
        for flag in &flags {
            for value in ["many", "-1", "99999999999999999999"] {
                let arguments = [subcommand, flag, value].into_iter().chain(address);
                let output = madang(&arguments.collect::<Vec<_>>());
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{flag} {value}: {stderr}");
                for part in [flag, value, "expected a number from "] {
                    assert!(stderr.contains(part), "{flag} {value}: {stderr}");
                }
            }
        }
    }
}

#[test]
fn empty_variables_are_as_good_as_none() {
    let help = String::from_utf8(madang(&["serve", "--help"]).stdout).expect("UTF-8");
    let variables = help.split("[env: ").skip(1);
    let variables: Vec<&str> = variables
        .filter_map(|rest| rest.split('=').next())
        .collect();
    assert!(variables.len() > 25, "{variables:?}");
    for value in ["", " "] {
        let mut launch = Launch::new(&["--listen", "127.0.0.1:0"]);
        for variable in &variables {
            launch = launch.env(variable, value);
        }
        launch.start().shut_down();
    }
    let join = Command::new(env!("CARGO_BIN_EXE_madang"))
        .args(["join", "127.0.0.1:1"])
        .envs(
            [
                "NICK",
                "ROOM",
                "ADDRESS",
                "BELL",
                "TLS_CA",
                "TLS_FINGERPRINT",
            ]
            .map(|n| (format!("MADANG_{n}"), "")),
        )
        .output()
        .expect("run madang");
    assert_eq!(join.status.code(), Some(1), "{join:?}");
}

#[test]
fn switches_in_the_environment_are_written_as_people_write_them() {
    for (value, is_on) in [("1", true), ("yes", true), ("TRUE", true), ("On", true)] {
        // The console's input ends at once, which stops the server.
        let launch = Launch::new(&[]).env("MADANG_CONSOLE", value);
        assert_eq!(launch.start().wait_exit().success(), is_on);
    }
    for value in ["0", "no", "False", "off"] {
        let mut server = Launch::new(&[]).env("MADANG_CONSOLE", value).start();
        assert!(Client::connect(server.addr()).name().starts_with("guest"));
        server.shut_down();
    }
    let failure = Launch::new(&[]).env("MADANG_CONSOLE", "maybe").fail();
    for part in ["--console", "maybe", "yes"] {
        assert!(failure.stderr.contains(part), "{failure:?}");
    }
}

#[test]
fn a_list_in_the_environment_may_have_spaces() {
    let scratch = Scratch::new();
    let path = scratch.path("a.sock");
    let list = format!("127.0.0.1:0 , unix:{} ", path.display());
    let launch = Launch::new(&[]).env("MADANG_LISTEN_RAW", &list);
    let server = launch.listeners(3).start();
    assert_eq!(server.raw_addr().ip().to_string(), "127.0.0.1");
    let last = format!("unix:{} (raw)", path.display());
    assert_eq!(server.listening()[2], last);
}

#[test]
fn the_client_reads_name_room_and_address_from_the_environment() {
    let server = Server::start(&[]);
    let mut client = Command::new(env!("CARGO_BIN_EXE_madang"));
    let output = client
        .arg("join")
        .env("MADANG_ADDRESS", server.addr().to_string())
        .env("MADANG_NICK", "kim")
        .env("MADANG_ROOM", "garden")
        .stdin(Stdio::null())
        .output()
        .expect("run madang");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("* you are now kim\n"), "{printed}");
    assert!(printed.contains("* you are in garden"), "{printed}");
}

#[test]
fn a_wrong_address_is_answered_with_a_right_one() {
    for (arguments, right) in [
        (&["serve", "--listen", "localhost"][..], "localhost:8080"),
        (&["serve", "8081"], "--listen 8081"),
        (&["join", "localhost", "8081"], "HOST:8081"),
        (&["join", "http://localhost:8081/"], "localhost:8081"),
        (&["join", "/tmp/x.sock"], "unix:/tmp/x.sock"),
        (&["bench", "::1:7001"], "[::1]:7001"),
    ] {
        let output = madang(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(right), "{arguments:?}: {stderr}");
    }
}

#[test]
fn flags_are_checked_before_a_listener_is_opened() {
    let scratch = Scratch::new();
    let path = scratch.path("never.sock");
    let place = format!("unix:{}", path.display());
    Launch::new(&["--listen", &place, "--room-log", "1000"]).fail();
    assert!(!path.exists());
}

#[test]
fn an_unknown_or_missing_subcommand_shows_the_usage() {
    for arguments in [&["dance"][..], &[]] {
        let output = madang(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("Usage"), "{arguments:?}: {output:?}");
    }
}

#[test]
fn manual_pages_and_completions_have_every_flag() {
    let folder = Scratch::new();
    let (man, completions) = (folder.path("man"), folder.path("completions"));
    let (man, completions) = (
        man.to_str().expect("UTF-8"),
        completions.to_str().expect("UTF-8"),
    );
    let output = madang(&["generate", "--man", man, "--completions", completions]);
    assert!(output.status.success(), "{output:?}");
    let read = |path: String| std::fs::read_to_string(&path).expect(&path);
    for (page, flags) in [
        ("serve", SERVE_FLAGS),
        ("bench", BENCH_FLAGS),
        ("join", JOIN_FLAGS),
    ] {
        let text = read(format!("{man}/madang-{page}.1")).replace("\\-", "-");
        for flag in flags.split_whitespace() {
            assert!(
                text.contains(&format!("\\fB{flag}\\fR")),
                "{page} lacks {flag}: {text}"
            );
        }
    }
    assert!(read(format!("{man}/madang.1")).contains("madang\\-serve(1)"));
    for file in ["madang.bash", "_madang", "madang.fish"] {
        let text = read(format!("{completions}/{file}"));
        for flag in SERVE_FLAGS.split_whitespace().map(|flag| &flag[2..]) {
            assert!(text.contains(flag), "{file} lacks {flag}");
        }
        assert!(
            !text.contains("generate"),
            "{file} offers a hidden subcommand"
        );
    }
}

#[test]
fn generating_nothing_or_into_a_file_is_an_error() {
    let output = madang(&["generate"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = madang(&["generate", "--man", "/dev/null/man"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        error.starts_with("madang: cannot write to /dev/null/man: "),
        "{error}"
    );
}

#[test]
#[ignore = "needs man and mandoc"]
fn manual_pages_are_well_formed() {
    let folder = Scratch::new();
    let man = folder.path("man");
    let output = madang(&["generate", "--man", man.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{output:?}");
    for page in std::fs::read_dir(&man).expect("pages") {
        let page = page.expect("a page").path();
        let mut man = Command::new("man");
        let man = man.args(["--warnings", "--local-file"]).arg(&page);
        let shown = man
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("man");
        assert!(
            shown.status.success() && shown.stderr.is_empty(),
            "{shown:?}"
        );
        assert!(shown.stdout.starts_with(b"madang"), "{shown:?}");
        let mut mandoc = Command::new("mandoc");
        let checked = mandoc
            .args(["-T", "lint", "-W", "error"])
            .arg(&page)
            .output();
        let checked = checked.expect("mandoc");
        assert!(checked.status.success(), "{checked:?}");
    }
}
