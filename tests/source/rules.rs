//! The rules of the house for source files: each is a function from a file, or from a path that it names,
//! to what is wrong with it.

use super::{Named, Source};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// What a room and a session are made of: these know nothing of each other, only the limits.
const LEAVES: [&str; 7] = [
    "telnet", "frame", "text", "name", "command", "log", "limits",
];

/// Crates and types that do input, output or chance, none of which the hub may.
const NEVER_IN_HUB: [&str; 14] = [
    "mio",
    "socket2",
    "libc",
    "nix",
    "rustix",
    "tracing",
    "tracing_subscriber",
    "clap",
    "signal_hook",
    "signal_hook_mio",
    "HashMap",
    "HashSet",
    "RandomState",
    "hash_map",
];

/// Of these modules of the standard library the hub may use just so much.
const ALLOWED_IN_HUB: [(&str, &[&str]); 2] = [
    (
        "net",
        &[
            "SocketAddr",
            "SocketAddrV4",
            "SocketAddrV6",
            "IpAddr",
            "Ipv4Addr",
            "Ipv6Addr",
        ],
    ),
    ("io", &["IoSlice", "ErrorKind", "Error"]),
];

/// Modules of the client that decide and never touch the world: they are held to the hub's rule.
const PURE_IN_JOIN: [&str; 10] = [
    "keys", "edit", "history", "complete", "tag", "session", "paint", "cells", "screen", "talk",
];

fn at(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}

/// Everything that is wrong with one file.
pub(crate) fn violations(source: &Source) -> Vec<String> {
    let mut found = sizes(source);
    if !source.text.starts_with("//!") {
        found.push(at(
            source,
            1,
            "does not open with //!, what lives here and what never does",
        ));
    }
    if source.path.starts_with("src/") {
        for named in source.names() {
            let complaints = [
                impurity(source, &named),
                direction(source, &named),
                inner_direction(source, &named),
            ];
            found.extend(
                complaints
                    .into_iter()
                    .flatten()
                    .map(|what| at(source, named.line, &what)),
            );
        }
    }
    found
}

fn sizes(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.lines_without_tests();
    if lines > FILE_LINES_MAX {
        found.push(at(
            source,
            lines,
            &format!("{lines} lines without tests, over {FILE_LINES_MAX}"),
        ));
    }
    for function in source
        .functions()
        .iter()
        .filter(|function| function.lines > FUNCTION_LINES_MAX)
    {
        let what = format!(
            "{} has {} lines, over {FUNCTION_LINES_MAX}",
            function.name, function.lines
        );
        found.push(at(source, function.line, &what));
    }
    found
}

fn is_pure(source: &Source) -> bool {
    let leaf = source.module().get(2).cloned().unwrap_or_default();
    is_in(source, "hub") || is_in(source, "join") && PURE_IN_JOIN.contains(&leaf.as_str())
}

fn is_in(source: &Source, module: &str) -> bool {
    source.module().get(1).is_some_and(|name| name == module)
}

/// What is pure has no socket, no clock, no system call, no environment, no random hash.
fn impurity(source: &Source, named: &Named) -> Option<String> {
    if !is_pure(source) {
        return None;
    }
    let segments: Vec<&str> = named.segments.iter().map(String::as_str).collect();
    let spelt = segments.join("::");
    if let Some(name) = segments.iter().find(|name| NEVER_IN_HUB.contains(name)) {
        return Some(format!("this is pure and must not name {name} ({spelt})"));
    }
    let prints = ["print", "println", "eprint", "eprintln", "dbg"];
    if named.is_macro && segments.last().is_some_and(|name| prints.contains(name)) {
        return Some(format!("this is pure and must not print ({spelt}!)"));
    }
    let impure = match segments[..] {
        ["std", "thread" | "env" | "fs" | "process" | "os", ..] => true,
        ["std" | "core", "time", name, ..] => name != "Duration",
        ["std", "collections" | "hash", "*"] => true,
        ["std" | "core", module, name, ..] => ALLOWED_IN_HUB
            .iter()
            .any(|(limited, allowed)| *limited == module && !allowed.contains(&name)),
        _ => false,
    };
    impure.then(|| format!("this is pure and must not use {spelt}"))
}

/// `main → {net, join, bench} → hub`, the three of them to `address`, and nothing the other way or across.
fn direction(source: &Source, named: &Named) -> Option<String> {
    let own = source.module().get(1).cloned()?;
    if !["hub", "net", "join", "bench"].contains(&own.as_str()) {
        return None;
    }
    let [root, target, ..] = &named.segments[..] else {
        return None;
    };
    let leaf = target == "address" && own != "hub";
    let allowed = *target == own || target == "hub" || leaf;
    (root == "crate" && !allowed)
        .then(|| format!("{own} must not import crate::{target}: imports run one way"))
}

/// Inside the hub only `mod.rs` composes.
fn inner_direction(source: &Source, named: &Named) -> Option<String> {
    let own = source
        .module()
        .get(2)
        .filter(|_| is_in(source, "hub"))
        .cloned()?;
    let ["crate", "hub", inner @ ..] = &named
        .segments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let target = inner.first().copied().unwrap_or("*");
    let wrong = match own.as_str() {
        leaf if LEAVES.contains(&leaf) => target != own && target != "limits",
        "session" => matches!(target, "room" | "*"),
        "room" => matches!(target, "frame" | "telnet" | "session" | "*"),
        _ => false,
    };
    wrong.then(|| format!("{own} must not know of crate::hub::{target}"))
}
