//! The flags of a node: which are refused together, and that nothing shows the engine's password. Needs no engine.

use crate::common::Scratch;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

const URL: &str = "redis://127.0.0.1:6379/yard";
const WITH_PASSWORD: &str = "redis://:sesame@127.0.0.1:6379/yard";

fn madang(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    let command = command.args(arguments).envs(variables.iter().copied());
    command.output().expect("run madang")
}

/// All that a program has printed, without any password.
fn printed(output: &Output) -> String {
    let all = [&*output.stdout, &*output.stderr].concat();
    let all = String::from_utf8(all).expect("UTF-8");
    assert!(!all.contains("sesame"), "{all}");
    all
}

/// What `madang check` has to say about flags.
fn check(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let output = madang(&[&["check"], flags].concat(), variables);
    let all = printed(&output);
    assert_eq!(output.status.success(), all == "ok\n", "{all}");
    all
}

#[test]
fn flags_that_contradict_each_other_are_refused_with_a_line_each() {
    assert_eq!(check(&["--cluster", URL], &[]), "ok\n");
    for (flags, said) in [
        (
            &["--cluster", URL, "--slow", "wait"][..],
            "--slow wait cannot be used with --cluster",
        ),
        (
            &["--cluster", URL, "--operator", "kim"],
            "--operator cannot be used with --cluster",
        ),
        (
            &["--cluster", URL, "--trust-peer-uid"],
            "--trust-peer-uid cannot be used with --cluster",
        ),
        (
            &["--cluster-name", "a"],
            "--cluster-name is given, but no --cluster",
        ),
        (
            &["--cluster-lanes", "16"],
            "--cluster-lanes is given, but no --cluster",
        ),
        (
            &["--cluster-password-file", "/x"],
            "--cluster-password-file is given, but no --cluster",
        ),
        (
            &["--cluster-ca", "/x"],
            "--cluster-ca is given, but no --cluster",
        ),
        (
            &["--cluster", URL, "--cluster-ca", "/x"],
            "--cluster-ca is for TLS, and redis://127.0.0.1:6379/yard is reached without it",
        ),
        (
            &["--cluster", "127.0.0.1:6379"],
            "--cluster 127.0.0.1:6379: this is no address of an engine; write redis://HOST:PORT/PREFIX",
        ),
        (
            &["--cluster", "http://:sesame@h"],
            "--cluster http://:***@h: http:// is no engine; write redis://HOST:PORT/PREFIX",
        ),
        (
            &["--cluster", URL, "--cluster-password-file", "/nowhere"],
            "--cluster-password-file /nowhere: No such file",
        ),
    ] {
        let all = check(flags, &[]);
        assert!(
            all.starts_with(&format!("madang: {said}")),
            "{flags:?}: {all}"
        );
        assert_eq!(all.lines().count(), 1, "{all}");
        let serve = madang(
            &[&["serve", "--listen", "127.0.0.1:0"], flags].concat(),
            &[],
        );
        assert!(printed(&serve).contains(said) && serve.status.code() == Some(1));
    }
    let both = ["--cluster", URL, "--slow", "wait", "--operator", "kim"];
    assert_eq!(check(&both, &[]).lines().count(), 2);
}

#[test]
fn the_number_of_lanes_and_the_name_have_bounds() {
    for lanes in ["1", "128"] {
        assert_eq!(
            check(&["--cluster", URL, "--cluster-lanes", lanes], &[]),
            "ok\n"
        );
    }
    for lanes in ["0", "129", "many"] {
        let all = check(&["--cluster", URL, "--cluster-lanes", lanes], &[]);
        assert!(all.contains("expected a number from 1 to 128"), "{all}");
    }
    for name in ["", "two words"] {
        let all = check(&["--cluster", URL, "--cluster-name", name], &[]);
        assert!(all.contains("--cluster-name"), "{all}");
    }
}

#[test]
fn the_password_of_the_engine_is_printed_nowhere() {
    let scratch = Scratch::new();
    let (password, config) = (scratch.path("password"), scratch.path("madang.toml"));
    fs::write(&password, "sesame\n").expect("a file");
    fs::set_permissions(&password, Permissions::from_mode(0o600)).expect("a mode");
    fs::write(&config, format!("cluster = \"{WITH_PASSWORD}\"\n")).expect("a file");
    let (password, config) = (password.to_str().unwrap(), config.to_str().unwrap());
    let shown = "cluster = \"redis://:***@127.0.0.1:6379/yard\"  # ";
    let (in_variable, no_variables) = (&[("MADANG_CLUSTER", WITH_PASSWORD)][..], &[][..]);
    for (flags, variables, source) in [
        (&["--cluster", WITH_PASSWORD], no_variables, "--cluster"),
        (&["--log-level", "info"], in_variable, "MADANG_CLUSTER"),
        (&["--config", config], no_variables, config),
    ] {
        assert_eq!(check(flags, variables), "ok\n");
        let print = madang(
            &[&["serve", "--print-config"], &flags[..]].concat(),
            variables,
        );
        assert!(
            printed(&print).contains(&format!("{shown}{source}")),
            "{print:?}"
        );
        printed(&madang(
            &[&["serve", "--help"], &flags[..]].concat(),
            variables,
        ));
        // The same password twice.
        let twice = [&["--cluster-password-file", password], &flags[..]].concat();
        let all = check(&twice, variables);
        assert!(all.contains("leave one of them out"), "{all}");
        let variables = [variables, &[("MADANG_CLUSTER_PASSWORD", "sesame")]].concat();
        let all = check(flags, &variables);
        assert!(all.contains("and so has MADANG_CLUSTER_PASSWORD"), "{all}");
    }
    let in_file = ["--cluster", URL, "--cluster-password-file", password];
    assert_eq!(check(&in_file, &[]), "ok\n");
    let print = madang(&[&["serve", "--print-config"], &in_file[..]].concat(), &[]);
    assert!(printed(&print).contains("cluster-password-file = "));
    let in_variable = [("MADANG_CLUSTER_PASSWORD", "sesame")];
    assert_eq!(check(&["--cluster", URL], &in_variable), "ok\n");
    let print = madang(&["serve", "--print-config", "--cluster", URL], &in_variable);
    printed(&print);
}
