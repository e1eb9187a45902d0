//! The rules of the house: who may know of whom, what the hub never touches, how long things may be.
//! Each broken rule is reported with its file and line; the rules themselves are tried on bad snippets.

mod source;

use source::Source;
use source::rules::violations;

#[test]
fn the_source_keeps_the_rules_of_the_house() {
    let mut all = Source::all("src");
    for file in [
        "src/lib.rs",
        "src/main.rs",
        "src/hub/mod.rs",
        "src/hub/session.rs",
        "src/hub/room.rs",
    ] {
        assert!(
            all.iter().any(|source| source.path == file),
            "{file} is not there to be looked at"
        );
    }
    all.extend(Source::all("tests"));
    let found: Vec<String> = all.iter().flat_map(violations).collect();
    assert!(
        found.is_empty(),
        "{} rules are broken:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[track_caller]
fn assert_complains(path: &str, text: &str, what: &str) {
    let found = violations(&Source::new(path, text));
    assert!(
        found.iter().any(|found| found.contains(what)),
        "{path}: no {what:?} among {found:?} for:\n{text}"
    );
}

/// Code that the hub must not have, and what must be found in it.
const IMPURE: &[(&str, &str)] = &[
    ("use mio::Token;", "name mio"),
    ("use rustix::fs as files;", "name rustix"),
    ("fn f() { tracing::info!(\"x\"); }", "name tracing"),
    ("use std::net::{IpAddr, TcpStream};", "std::net::TcpStream"),
    (
        "use std::{net::{self, SocketAddr}, fmt}; fn f() { net::UdpSocket::bind(x); }",
        "std::net::UdpSocket",
    ),
    ("use std::net::*;", "std::net::*"),
    ("use std::io::{IoSlice, Read};", "std::io::Read"),
    (
        "use std::io; fn f(w: &mut impl io::Write) {}",
        "std::io::Write",
    ),
    ("use std::io::prelude::*;", "std::io::prelude"),
    (
        "use std::io as ink; fn f(w: &mut impl ink::Write) {}",
        "std::io::Write",
    ),
    (
        "fn f() { let t = std::time::Instant::now(); }",
        "std::time::Instant",
    ),
    ("use std::time::SystemTime;", "std::time::SystemTime"),
    ("fn f() { std::thread::yield_now() }", "std::thread"),
    ("use std::env::var;", "std::env"),
    ("use std::{fs};", "std::fs"),
    ("use std::collections::{BTreeMap, HashMap};", "HashMap"),
    (
        "use std::collections; fn f() { collections::HashSet::new(); }",
        "HashSet",
    ),
    ("fn f() { std::hash::RandomState::new(); }", "RandomState"),
    ("fn f() { println!(\"x\"); }", "must not print"),
    ("#[cfg(not(test))]\nuse std::fs::File;", "std::fs"),
    (
        "#[cfg(test)]\nmod tests { use std::fs; }\nuse std::thread;",
        "std::thread",
    ),
    (
        "const C: char = '\"'; use std::fs; const D: char = '\"';",
        "std::fs",
    ),
    ("fn f<'a>(x: &'a str) { std::fs::read(x) }", "std::fs"),
];

#[test]
fn impure_code_where_there_must_be_none_is_found_however_it_is_spelt() {
    for (text, what) in IMPURE {
        for path in ["src/hub/outbox.rs", "src/join/screen.rs"] {
            assert_complains(path, &format!("//! Bad.\n{text}\n"), what);
        }
    }
}

/// Files, imports that these must not have, and what must be found in them.
const WRONG_WAYS: &[(&str, &str, &str)] = &[
    (
        "src/hub/mod.rs",
        "use crate::net::turn;",
        "hub must not import crate::net",
    ),
    (
        "src/hub/mod.rs",
        "use crate::address::Address;",
        "hub must not import crate::address",
    ),
    (
        "src/hub/mod.rs",
        "use super::cli;",
        "hub must not import crate::cli",
    ),
    (
        "src/hub/outbox.rs",
        "use super::super::join;",
        "hub must not import crate::join",
    ),
    (
        "src/net/turn.rs",
        "use crate::{hub::Hub, bench};",
        "net must not import crate::bench",
    ),
    (
        "src/bench/mod.rs",
        "fn f() { crate::net::turn() }",
        "bench must not import crate::net",
    ),
    (
        "src/hub/telnet.rs",
        "use super::frame::Line;",
        "telnet must not know of crate::hub::frame",
    ),
    (
        "src/hub/frame.rs",
        "use super::*;",
        "frame must not know of crate::hub::*",
    ),
    (
        "src/hub/log.rs",
        "use super::Hub;",
        "log must not know of crate::hub::Hub",
    ),
    (
        "src/hub/log.rs",
        "use crate::hub; fn f() { hub::room::f() }",
        "log must not know of crate::hub::room",
    ),
    (
        "src/hub/limits.rs",
        "use super::text::X;",
        "limits must not know of crate::hub::text",
    ),
    (
        "src/hub/session.rs",
        "use super::{name, room::Room};",
        "session must not know of crate::hub::room",
    ),
    (
        "src/hub/room.rs",
        "use crate::hub::session::Session;",
        "room must not know of crate::hub::session",
    ),
    (
        "src/hub/room.rs",
        "fn f() { super::telnet::f() }",
        "room must not know of crate::hub::telnet",
    ),
];

#[test]
fn imports_that_run_the_wrong_way_are_found() {
    for (path, text, what) in WRONG_WAYS {
        assert_complains(path, &format!("//! Bad.\n{text}\n"), what);
    }
}

#[test]
fn what_is_too_long_or_has_no_opening_words_is_found() {
    let lines = |count: usize| "    x();\n".repeat(count);
    let function = |count: usize| format!("//! Long.\nfn long() {{\n{}}}\n", lines(count));
    assert_complains(
        "src/net/conn.rs",
        "use std::fs;\n",
        "does not open with //!",
    );
    assert_complains("src/net/conn.rs", &function(69), "long has 71 lines");
    assert_complains(
        "src/net/conn.rs",
        &format!("//! Long.\n{}", "// x\n".repeat(400)),
        "401 lines",
    );
    let test = format!(
        "//! Tests.\n#[cfg(test)]\nmod tests {{\n#[test]\nfn long() {{\n{}}}\n}}\n",
        lines(69)
    );
    assert_complains("src/net/conn.rs", &test, "long has 71 lines");
    assert_eq!(
        violations(&Source::new("src/net/conn.rs", &function(68))),
        Vec::<String>::new()
    );
}

#[test]
fn what_keeps_the_rules_is_not_complained_of() {
    let good = [
        (
            "src/hub/mod.rs",
            "use std::net::{IpAddr, SocketAddr};\nuse std::io::IoSlice;\nmod frame;\nuse frame::Frame;",
        ),
        (
            "src/hub/mod.rs",
            "use std::time::Duration;\nuse std::collections::{BTreeMap, VecDeque};",
        ),
        (
            "src/hub/room.rs",
            "// not mio, not std::fs\n/* nor /* std::thread */ HashMap */\nconst X: &str = \"std::env\";",
        ),
        (
            "src/hub/room.rs",
            "const X: &str = r#\"a \" std::fs \"#; const Y: &[u8] = b\"mio\"; const Z: char = '\\'';",
        ),
        (
            "src/hub/room.rs",
            "fn f(x: &X) { x.tracing(); x.log.read(); }\nuse super::{limits, log::Log};",
        ),
        (
            "src/hub/session.rs",
            "use super::{frame, telnet, text};\nfn join(room: &str) -> Wish { Wish::Join(room.into()) }",
        ),
        (
            "src/hub/text.rs",
            "use super::limits::LINE_BYTES_MAX;\nuse crate::hub::limits;",
        ),
        (
            "src/hub/name.rs",
            "#[cfg(test)]\nmod tests {\n    use super::*;\n    use std::collections::HashSet;\n}",
        ),
        (
            "src/hub/name.rs",
            "#[cfg(any(test, fuzzing))]\npub fn fuzz() {\n    use std::collections::HashSet;\n}",
        ),
        (
            "src/net/conn.rs",
            "use crate::hub::Hub;\nuse super::turn::Turn;\nuse std::collections::HashMap;",
        ),
        (
            "src/join/drive.rs",
            "use rustix::process::getpid;\nuse std::time::Instant;\nuse crate::{address, hub};",
        ),
        (
            "src/main.rs",
            "use madang::{cli, net};\nfn main() { println!(\"x\"); }",
        ),
    ];
    for (path, text) in good {
        let found = violations(&Source::new(path, &format!("//! Good.\n{text}\n")));
        assert_eq!(found, Vec::<String>::new(), "{path}:\n{text}");
    }
    let tests = "// x\n\nfn f() {}\n".repeat(300);
    let long_tests = format!("//! Tests.\n#[cfg(test)]\nmod tests {{\n{tests}}}\n");
    assert_eq!(
        violations(&Source::new("src/net/conn.rs", &long_tests)),
        Vec::<String>::new()
    );
}
