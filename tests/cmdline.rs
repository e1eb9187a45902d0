//! The command line: help, version, and that bad values are refused before the server opens anything.

mod common;

use std::process::{Command, Output};

use common::{Launch, Scratch};

fn madang(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_madang"))
        .args(arguments)
        .output()
        .expect("run madang")
}

const SERVE_FLAGS: &str = "--listen --listen-raw --backlog --max-clients --max-per-ip \
    --max-line --room-log --send-buffer --recv-buffer --history --slow --slow-timeout --half-close \
    --partial-after --idle-timeout --rate --burst --announce-limit --max-rooms --keepalive --drain \
    --welcome --log-level --log-format";

const BENCH_FLAGS: &str = "--protocol --clients --senders --rooms --slow-readers --lines \
    --duration --size --window --rate --patience --pid --json";

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
    let cases: [(&[&str], &str); 22] = [
        (&["--slow", "maybe"], "--slow"),
        (&["--slow-timeout", "soon"], "--slow-timeout"),
        (&["--half-close", "half"], "--half-close"),
        (&["--max-line", "long"], "--max-line"),
        (&["--max-line", "0"], "--max-line"),
        (&["--max-line", "-1"], "-1"),
        (&["--room-log", "1000"], "--room-log"),
        (&["--room-log", "65536", "--max-line", "8192"], "--room-log"),
        (&["--listen", "nonsense"], "nonsense"),
        (&["--listen", "127.0.0.1"], "127.0.0.1"),
        (&["--listen", "127.0.0.1:99999"], "127.0.0.1:99999"),
        (&["--listen", "unix:"], "unix:"),
        (&["--listen-raw", ":::"], ":::"),
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
