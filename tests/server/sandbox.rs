//! The sandbox of a running server. What it allows is tested beside it, in `src/sandbox.rs`.

use std::fs;

use crate::common::{Client, Launch, Scratch, until};

/// A field of `/proc/PID/status`.
fn status(pid: u32, field: &str) -> String {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).expect(&path);
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    value.expect(field).to_owned()
}

#[test]
fn a_server_is_in_its_sandbox_once_it_listens_and_says_so() {
    let folder = Scratch::new();
    let place = format!("unix:{}", folder.path("chat").display());
    let flags = ["--listen", &place, "--log-level", "debug"];
    let mut server = Launch::new(&flags).start();
    let path = server.unix_path();
    let ann = Client::open_unix(&path).greeted();
    until("the sandbox is logged", || {
        server.log().contains("sandbox: ")
    });
    if server.log().contains("sandbox: none") {
        println!("not tested: {}", server.log());
        return;
    }
    assert!(
        server.log().contains("sandbox: Landlock ABI "),
        "{}",
        server.log()
    );
    // Landlock comes with it.
    assert_eq!(status(server.id(), "NoNewPrivs"), "1");
    drop(ann);
    // The file can be removed at the end.
    server.shut_down();
    assert!(!fs::exists(&path).expect("a folder"));
}

#[test]
fn the_sandbox_can_be_switched_off() {
    let server = Launch::new(&["--no-sandbox", "--log-level", "debug"]).start();
    Client::connect(server.addr());
    assert!(!server.log().contains("sandbox"), "{}", server.log());
    let own = status(std::process::id(), "NoNewPrivs");
    assert_eq!(status(server.id(), "NoNewPrivs"), own);
}
