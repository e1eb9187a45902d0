//! What is in `packaging/` fits the program: variables that it knows, protection that systemd approves of.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::{Client, Program, Scratch};

fn packaged(file: &str) -> String {
    let path = format!("{}/packaging/{file}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).expect(&path)
}

#[test]
fn the_service_sets_only_variables_that_the_program_has() {
    let help = Command::new(env!("CARGO_BIN_EXE_madang"))
        .args(["serve", "--help"])
        .output()
        .expect("help");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let files = packaged("madang.service") + &packaged("madang.default");
    let words = files.split(|c: char| c.is_whitespace() || "=#".contains(c));
    let variables: Vec<&str> = words.filter(|word| word.starts_with("MADANG_")).collect();
    assert!(!variables.is_empty());
    for variable in variables {
        assert!(help.contains(&format!("[env: {variable}=")), "{variable}");
    }
}

#[test]
fn the_service_s_configuration_is_right_and_limits_what_one_address_may_do() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/service.toml");
    let madang = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
        let output = command.args(arguments).args(["--config", path]).output();
        let output = output.expect("madang");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert_eq!(madang(&["check"]), "ok\n");
    let in_force = madang(&["serve", "--print-config"]);
    for set in ["max-per-ip = 64", "idle-timeout = 86400"] {
        assert!(in_force.contains(set), "{in_force}");
    }
    let service = packaged("madang.service");
    assert!(service.contains("ExecStart=/usr/bin/madang serve --config /etc/madang/madang.toml"));
}

#[test]
fn the_hook_for_certbot_copies_what_madang_reads_and_leaves_other_certificates_alone() {
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"));
    let docs = docs.expect("the documentation");
    let (_, hook) = docs.split_once("deploy/madang <<'EOF'\n").expect("a hook");
    let (hook, _) = hook.split_once("\nEOF\n").expect("its end");
    let scratch = Scratch::new();
    let folder = scratch.path("");
    let folder = folder.to_str().expect("UTF-8").trim_end_matches('/');
    let group = rustix::process::getgid().as_raw().to_string();
    let hook = hook
        .replace("/etc/madang", &format!("{folder}/etc"))
        .replace("-g ssl-cert", &format!("-g {group}"));
    fs::create_dir(scratch.path("etc")).expect("a folder");
    fs::create_dir(scratch.path("bin")).expect("a folder");
    let systemctl = scratch.path("bin/systemctl");
    let calls = scratch.path("calls");
    fs::write(
        &systemctl,
        format!("#!/bin/sh\necho \"$@\" >>{}\n", calls.display()),
    )
    .expect("a program");
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("permissions");
    let run = |name: &str| {
        let lineage = scratch.path(name);
        fs::create_dir(&lineage).expect("a folder");
        for file in ["fullchain.pem", "privkey.pem"] {
            fs::write(lineage.join(file), format!("{file} of {name}")).expect("a file");
        }
        let path = std::env::var("PATH").expect("a path");
        let hook = Command::new("sh")
            .args(["-c", &hook])
            .env("RENEWED_LINEAGE", &lineage)
            .env("PATH", format!("{folder}/bin:{path}"))
            .output()
            .expect("sh");
        assert!(hook.status.success(), "{hook:?}");
    };
    run("www.example.org");
    assert!(!scratch.path("etc/tls").exists() && !calls.exists());
    run("chat.example.org");
    let mode = |path: &str| {
        let metadata = fs::metadata(scratch.path(path)).expect(path);
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("etc/tls"), 0o750);
    for file in ["fullchain.pem", "privkey.pem"] {
        let path = format!("etc/tls/{file}");
        assert_eq!(mode(&path), 0o640);
        let copied = fs::read_to_string(scratch.path(&path)).expect("a copy");
        assert_eq!(copied, format!("{file} of chat.example.org"));
    }
    let calls = fs::read_to_string(calls).expect("a call");
    assert_eq!(calls, "try-reload-or-restart madang\n");
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_service_is_protected_as_well_as_systemd_can() {
    let analyze = Command::new("systemd-analyze")
        .args(["security", "--no-pager", "--offline=true", "--threshold=20"])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/packaging/madang.service"
        ))
        .output()
        .expect("systemd-analyze");
    assert!(analyze.status.success(), "exposure above 2.0: {analyze:?}");
}

#[test]
#[ignore = "needs systemd-socket-activate"]
fn systemd_itself_hands_sockets_over() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = free.local_addr().expect("an address");
    drop(free);
    let program = env!("CARGO_BIN_EXE_madang");
    let listen = ["-l", &address.to_string(), program, "serve"];
    let _systemd = Program::start("systemd-socket-activate", &listen);
    // It starts the server when the first connection comes.
    crate::common::until("systemd listens", || {
        std::net::TcpStream::connect(address).is_ok()
    });
    let ann = Client::connect_named(address, "ann");
    let mut bob = Client::connect_named(address, "bob");
    ann.say("hello");
    bob.expect("ann: hello");
}
