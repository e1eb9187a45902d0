//! Listeners under TLS: who is served, who is refused and in which words, how a connection ends, and what a reload changes.
//! Clients are rustls' and, where that says more, other programs.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};

use crate::common::{
    Authority, Client, DEADLINE, Failure, Identity, Launch, Next, Program, Scratch, Server,
    TlsTrust, free_port, is_alert, skipped, until, write_identity,
};

/// A server under TLS, what its clients trust, and the directory of its files.
struct World {
    server: Server,
    authority: Authority,
    scratch: Scratch,
}

/// A server with a TLS listener beside a plain one, and these flags; CA stands for the file of its authority's certificate.
fn world(flags: &[&str]) -> World {
    let (authority, scratch) = (Authority::new("the test's"), Scratch::new());
    let identity = authority.server(&["chat.test"], 2999);
    let file = write_identity(scratch.path("server.pem"), &identity);
    let ca = scratch.path("ca.pem");
    fs::write(&ca, &authority.pem).expect("a file");
    let mut all = vec!["--listen-tls", "127.0.0.1:0", "--tls-cert", &file];
    let ca = ca.to_str().expect("UTF-8");
    all.extend(
        flags
            .iter()
            .map(|&flag| if flag == "CA" { ca } else { flag }),
    );
    World {
        server: Server::start(&all),
        authority,
        scratch,
    }
}

impl World {
    fn trust(&self) -> TlsTrust<'_> {
        TlsTrust::new(&self.authority.pem)
    }

    #[track_caller]
    fn logs(&self, text: &str) {
        until(text, || self.server.log().contains(text));
    }
}

#[test]
fn clients_of_both_listeners_and_both_versions_talk_with_each_other() {
    let world = world(&[]);
    let mut ann = Client::connect_named(world.server.addr(), "ann");
    for (version, shown) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
        let mut trust = world.trust();
        let versions = [version];
        trust.versions = &versions;
        let mut bob = trust.greeted(world.server.tls_addr());
        bob.say("/nick bob");
        bob.find("* you are now bob");
        bob.say("안녕하세요");
        ann.expect("bob: 안녕하세요");
        ann.say("hi bob");
        bob.find("ann: hi bob");
        world.logs(&format!("(tls)\" tls=\"{shown}\""));
        bob.say("/quit");
        assert_eq!(
            bob.rest().last().map(String::as_str),
            Some("* you left; goodbye")
        );
    }
}

#[test]
fn lines_longer_than_a_record_and_many_lines_arrive_whole() {
    let world = world(&["--max-line", "60000"]);
    let mut ann = world.trust().greeted(world.server.tls_addr());
    let mut bob = world.trust().greeted(world.server.tls_addr());
    let long = "x".repeat(60_000);
    ann.say(&long);
    assert!(bob.find("guest1: x").ends_with(&long));
    let lines: String = (0..2000).map(|nth| format!("line {nth}\n")).collect();
    ann.send(lines.as_bytes());
    for nth in 0..2000 {
        assert_eq!(bob.line(), format!("guest1: line {nth}"));
    }
}

#[test]
fn plain_text_at_a_tls_listener_gets_words_and_tls_at_a_plain_one_too() {
    let world = world(&[]);
    for text in ["hello\n", "GET / HTTP/1.1\r\n\r\n", "/nick kim\n"] {
        let mut socket = TcpStream::connect(world.server.tls_addr()).expect("connect");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        socket.write_all(text.as_bytes()).expect("written");
        let mut answer = String::new();
        socket
            .read_to_string(&mut answer)
            .expect("an end without a reset");
        assert!(answer.starts_with("! this port speaks TLS: "), "{answer}");
        assert_eq!(answer.lines().count(), 1, "{answer}");
    }
    let mut lost = world.trust().connect(world.server.addr());
    assert!(lost.stream.write_all(b"hello\n").is_err());
    world.logs("speaks TLS\"");
}

#[test]
fn half_a_handshake_is_closed_after_its_time_and_disturbs_nobody() {
    let world = world(&[]);
    let began = Instant::now();
    let connect = || {
        let socket = TcpStream::connect(world.server.tls_addr()).expect("connect");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        socket
    };
    let (mut silent, mut half) = (connect(), connect());
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1]).expect("written");
    // A health check says nothing and leaves; the log says nothing of it either.
    drop(connect());
    let mut ann = world.trust().greeted(world.server.tls_addr());
    ann.say("/who");
    ann.find("* here in lobby");
    let mut words = String::new();
    silent.read_to_string(&mut words).expect("an end");
    assert!(words.starts_with("! this port speaks TLS: "), "{words}");
    let mut rest = Vec::new();
    half.read_to_end(&mut rest).expect("an end");
    assert!(began.elapsed().as_secs() >= 9, "{:?}", began.elapsed());
    world.logs("TLS handshake not finished within 10 s");
    assert!(!world.server.log().contains("closed by the peer"));
    ann.say("/quit");
    ann.rest();
}

#[test]
fn unfinished_handshakes_of_one_address_are_limited() {
    let world = world(&[]);
    let connect = || TcpStream::connect(world.server.tls_addr()).expect("connect");
    let unfinished: Vec<_> = (0..65).map(|_| connect()).collect();
    world.logs("too many unfinished handshakes from its address");
    // The plain listener is not concerned.
    Client::connect(world.server.addr());
    drop(unfinished);
    until("newcomers are served again", || {
        let mut newcomer = world.trust().connect(world.server.tls_addr());
        newcomer.next_line().is_ok()
    });
}

#[test]
fn a_cut_is_no_end_and_the_line_in_it_is_not_said() {
    let world = world(&[]);
    let mut ann = Client::connect_named(world.server.addr(), "ann");
    let mut bob = world.trust().greeted(world.server.tls_addr());
    bob.send(b"whole\nI do not agr");
    ann.expect("guest2: whole");
    bob.stream
        .sock
        .shutdown(std::net::Shutdown::Write)
        .expect("shut down");
    let rest = bob.rest();
    assert!(
        rest.contains(&"! line not sent: the connection was cut before the line's end".into()),
        "{rest:?}"
    );
    ann.expect_departure(1);
    world.logs("reason=\"cut off, without TLS's close_notify\"");

    let mut kim = world.trust().greeted(world.server.tls_addr());
    kim.send(b"I do agree");
    kim.finish();
    ann.expect("guest3: I do agree");
    kim.rest();
    world.logs("reason=\"end of input\"");
}

#[test]
fn a_client_s_certificate_may_be_required_or_not() {
    let stranger = Authority::new("another");
    for (flags, is_optional) in [
        (&["--tls-client-ca", "CA"][..], false),
        (&["--tls-client-ca", "CA", "--tls-client-optional"], true),
    ] {
        let world = world(flags);
        let good = world.authority.client("kim", 2999);
        let expired = world.authority.client("kim", 1999);
        let other = stranger.client("kim", 2999);
        for (what, identity, is_let_in) in [
            ("good", Some(&good), true),
            ("none", None, is_optional),
            ("expired", Some(&expired), false),
            ("another authority's", Some(&other), false),
        ] {
            for version in [&TLS12, &TLS13] {
                let mut trust = world.trust();
                let versions = [version];
                (trust.identity, trust.versions) = (identity, &versions);
                let mut client = trust.connect(world.server.tls_addr());
                match client.next_line() {
                    Ok(line) => assert!(is_let_in && line.is_some(), "{what}: {line:?}"),
                    Err(error) => assert!(!is_let_in && is_alert(&error), "{what}: {error:?}"),
                }
            }
        }
        world.logs("reason=\"TLS: invalid peer certificate: certificate expired");
        world.logs("reason=\"TLS: invalid peer certificate: UnknownIssuer\"");
    }
}

#[test]
fn a_client_may_present_a_chain_but_no_heap_of_certificates_to_be_tried() {
    let world = world(&["--tls-client-ca", "CA"]);
    // One that says it is the server's authority: each of its certificates might be the issuer of each other.
    let impostor = Authority::new("the test's");
    let with = |identity: Identity, others: usize| Identity {
        certificate: identity.certificate + &impostor.pem.repeat(others),
        key: identity.key,
    };
    let good = |others| with(world.authority.client("kim", 2999), others);
    let bad = |others| with(impostor.client("kim", 2999), others);
    for (identity, is_let_in) in [
        (good(0), true),
        (good(5), true),
        (good(6), false),
        (bad(5), false),
        (bad(60), false),
    ] {
        let mut trust = world.trust();
        trust.identity = Some(&identity);
        match trust.connect(world.server.tls_addr()).next_line() {
            Ok(line) => assert!(is_let_in && line.is_some(), "{line:?}"),
            Err(error) => assert!(!is_let_in && is_alert(&error), "{error:?}"),
        }
    }
    world.logs("(7 certificates of ");
    world.logs("(61 certificates of ");
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_the_client_asks_for() {
    let (authority, scratch) = (Authority::new("the test's"), Scratch::new());
    let file = |name: &str, names: &[&str]| {
        let identity = authority.server(names, 2999);
        write_identity(scratch.path(name), &identity)
    };
    let (one, two) = (
        file("1", &["one.test"]),
        file("2", &["two.test", "*.two.test"]),
    );
    let server = Server::start(&[
        "--listen-tls",
        "127.0.0.1:0",
        "--tls-cert",
        &one,
        "--tls-cert",
        &two,
    ]);
    for name in ["one.test", "two.test", "sub.two.test"] {
        let mut trust = TlsTrust::new(&authority.pem);
        trust.name = name;
        trust.greeted(server.tls_addr());
    }
    // One that no certificate has: the client sees whom it has reached instead, and does not go on.
    let trust = TlsTrust::new(&authority.pem);
    let error = trust.connect(server.tls_addr()).next_line().unwrap_err();
    assert!(error.to_string().contains("one.test"), "{error}");
}

#[test]
fn a_reload_takes_a_new_certificate_and_keeps_the_old_one_if_that_is_bad() {
    let mut world = world(&[]);
    let mut ann = world.trust().greeted(world.server.tls_addr());
    let before = ann.certificate();
    let path = world.scratch.path("server.pem");
    let renewed = world.authority.server(&["chat.test"], 2998);
    // As certbot does: another file takes the place.
    let new = write_identity(world.scratch.path("new.pem"), &renewed);
    fs::rename(new, &path).expect("renamed");
    world.server.signal(Signal::HUP);
    world.logs("reload: certificate ");
    world.logs("valid until 2998-12-31");
    let bob = world.trust().greeted(world.server.tls_addr());
    assert_ne!(bob.certificate(), before);
    ann.say("/who");
    ann.find("* here in lobby");

    let other = world.authority.server(&["chat.test"], 2997);
    for (bad, why) in [
        ("", "it has no \"BEGIN CERTIFICATE\""),
        (&*other.certificate, "it has no \"BEGIN PRIVATE KEY\""),
        (
            &format!("{}{}", other.certificate, renewed.key),
            "it is not the key of",
        ),
        (&other.both()[..300], "it is not PEM, or is cut off"),
    ] {
        fs::write(&path, bad).expect("written");
        world.server.signal(Signal::HUP);
        world.logs(why);
        let kim = world.trust().greeted(world.server.tls_addr());
        assert_eq!(kim.certificate(), bob.certificate(), "{why}");
    }
    fs::remove_file(&path).expect("removed");
    world.server.signal(Signal::HUP);
    world.logs("No such file or directory");
    world.trust().greeted(world.server.tls_addr());
    world.server.shut_down();
}

#[test]
fn a_reader_that_has_stopped_holds_up_nobody_and_every_line_is_accounted_for() {
    let world = world(&["--room-log", "262144", "--announce-limit", "0"]);
    let mut slow = world.trust().greeted(world.server.tls_addr());
    let mut quick = world.trust().greeted(world.server.tls_addr());
    let ann = Client::connect_named(world.server.addr(), "ann");
    let text = "x".repeat(1000);
    let sent = 3000;
    for nth in 0..sent {
        ann.say(&format!("{nth} {text}"));
        let line = quick.find("ann: ");
        assert!(line.starts_with(&format!("ann: {nth} ")), "{line}");
    }
    ann.say("last");
    let (mut received, mut lost) = (0, 0);
    loop {
        let line = slow.line();
        if line == "ann: last" {
            break;
        }
        lost += skipped(&line).unwrap_or(0);
        received += u64::from(line.starts_with("ann: "));
    }
    assert!(lost > 0);
    assert_eq!(received + lost, sent);
}

#[test]
fn the_last_words_and_the_end_reach_a_reader_that_is_late() {
    let mut world = world(&["--drain", "20"]);
    let mut slow = world.trust().greeted(world.server.tls_addr());
    let mut ann = Client::connect_named(world.server.addr(), "ann");
    let text = "x".repeat(1000);
    for nth in 0..400 {
        ann.say(&format!("{nth} {text}"));
    }
    ann.say("/who");
    ann.expect_start("* here in lobby");
    world.server.signal(Signal::TERM);
    let lines = ann.rest();
    assert_eq!(
        lines.last().map(String::as_str),
        Some("* server is shutting down")
    );
    let lines = slow.rest();
    assert!(lines.iter().any(|line| line.starts_with("ann: 399 ")));
    assert!(lines.contains(&"* server is shutting down".into()));
    assert_eq!(world.server.wait_exit().code(), Some(0));
}

#[test]
fn a_refused_newcomer_is_told_why_under_tls() {
    let world = world(&["--max-clients", "1"]);
    let _ann = Client::connect(world.server.addr());
    let mut bob = world.trust().connect(world.server.tls_addr());
    let lines = bob.rest();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("! server is full: 1 connections"),
        "{lines:?}"
    );
}

#[test]
fn a_unix_socket_can_be_under_tls_too() {
    let (authority, scratch) = (Authority::new("the test's"), Scratch::new());
    let identity = authority.server(&["chat.test"], 2999);
    let file = write_identity(scratch.path("server.pem"), &identity);
    let place = format!("unix:{}", scratch.path("chat").display());
    let server = Server::start(&["--listen-tls", &place, "--tls-cert", &file]);
    let socket = std::os::unix::net::UnixStream::connect(scratch.path("chat")).expect("connect");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    (&socket).write_all(b"hello\n").expect("written");
    let mut words = String::new();
    (&socket).read_to_string(&mut words).expect("an end");
    assert!(words.starts_with("! this port speaks TLS: "), "{words}");
    drop(server);
}

#[test]
fn what_is_wrong_with_the_flags_is_one_line_each() {
    let (authority, scratch) = (Authority::new("the test's"), Scratch::new());
    let identity = authority.server(&["chat.test"], 2999);
    let good = write_identity(scratch.path("good.pem"), &identity);
    let write = |name: &str, text: &str| {
        let path = scratch.path(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (bare, empty) = (write("bare.pem", &identity.certificate), write("empty", ""));
    let key = write("key.pem", &authority.server(&["x.test"], 2999).key);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = write("encrypted.pem", encrypted);
    let tls = ["--listen-tls", "127.0.0.1:0"];
    let folder = scratch.path(".");
    let folder = folder.to_str().expect("UTF-8");
    let cases: [(&[&str], &str); 10] = [
        (
            &[],
            "--listen-tls needs a certificate: --tls-cert FILE --tls-key FILE",
        ),
        (
            &["--tls-cert", "/nonexistent"],
            "--tls-cert /nonexistent: No such file or directory",
        ),
        (&["--tls-cert", folder], "it is no file"),
        (&["--tls-cert", &empty], "it has no \"BEGIN CERTIFICATE\""),
        (
            &["--tls-cert", &bare],
            "without --tls-key: it has no \"BEGIN PRIVATE KEY\"",
        ),
        (
            &["--tls-cert", &bare, "--tls-key", &encrypted],
            "its key is encrypted",
        ),
        (
            &["--tls-cert", &bare, "--tls-key", &key],
            "it is not the key of --tls-cert",
        ),
        (
            &["--tls-cert", &good, "--tls-cert", &good, "--tls-key", &key],
            "give one key for each",
        ),
        (
            &["--tls-cert", &good, "--tls-client-ca", &empty],
            "--tls-client-ca",
        ),
        (
            &["--tls-cert", &good, "--tls-client-ca", "/nonexistent"],
            "No such file",
        ),
    ];
    for (flags, why) in cases {
        let Failure { code, stderr, .. } = Launch::new(&[&tls[..], flags].concat()).fail();
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.starts_with("madang: ") && stderr.contains(why),
            "{why}: {stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let Failure { stderr, .. } = Launch::new(&["--tls-cert", &good]).fail();
    assert!(
        stderr.contains("--tls-cert is given, but no --listen-tls"),
        "{stderr}"
    );
}

#[test]
fn a_certificate_that_has_expired_is_served_with_a_warning() {
    let (authority, scratch) = (Authority::new("the test's"), Scratch::new());
    let identity = authority.server(&["chat.test"], 1999);
    let file = write_identity(scratch.path("server.pem"), &identity);
    let server = Server::start(&["--listen-tls", "127.0.0.1:0", "--tls-cert", &file]);
    until("it is warned of", || {
        server
            .log()
            .contains("it has expired, and clients will refuse it")
    });
    assert!(
        server.log().contains("valid until 1999-12-31T"),
        "{}",
        server.log()
    );
}

/// Starts a command, in which PORT stands for the port of the TLS listener and FILE for its authority's certificate.
fn start(command: &str, world: &World) -> Program {
    let port = world.server.tls_addr().port().to_string();
    let ca = world.scratch.path("ca.pem").display().to_string();
    let command = command.replace("PORT", &port).replace("FILE", &ca);
    // What it says of itself is read among what it receives.
    Program::start("sh", &["-c", &format!("exec {command} 2>&1")])
}

#[test]
#[ignore = "needs openssl, ncat, socat"]
fn openssl_ncat_and_socat_talk() {
    let world = world(&[]);
    let mut ann = Client::connect_named(world.server.addr(), "ann");
    for command in [
        "openssl s_client -quiet -verify_quiet -connect 127.0.0.1:PORT -servername chat.test -CAfile FILE",
        "openssl s_client -quiet -verify_quiet -tls1_2 -connect 127.0.0.1:PORT -servername chat.test -CAfile FILE",
        "ncat --ssl 127.0.0.1 PORT",
        "ncat --ssl-verify --ssl-trustfile FILE --ssl-servername chat.test 127.0.0.1 PORT",
        "socat - OPENSSL:127.0.0.1:PORT,cafile=FILE,commonname=chat.test",
    ] {
        println!("{command}");
        let mut program = start(command, &world);
        let name = program.greeted();
        program.type_line("hello there");
        ann.expect(&format!("{name}: hello there"));
        ann.say("안녕하세요");
        program.find_line("ann: 안녕하세요");
        program.type_line("/quit");
        program.find_line("* you left; goodbye");
        program.end_input();
        program.wait_exit();
        ann.expect_departure(1);
    }
}

/// A program without TLS reaches the server through stunnel, as its client side is set up to verify the server.
#[test]
#[ignore = "needs stunnel"]
fn programs_without_tls_come_through_stunnel() {
    let world = world(&[]);
    let mut ann = Client::connect_named(world.server.addr(), "ann");
    let port = free_port();
    let config = |name: &str| {
        format!(
            "foreground = yes\npid =\nclient = yes\n[chat]\naccept = 127.0.0.1:{port}\nconnect = {}\n\
             CAfile = {}\nverifyChain = yes\ncheckHost = {name}\n",
            world.server.tls_addr(),
            world.scratch.path("ca.pem").display()
        )
    };
    let file = world.scratch.path("stunnel.conf");
    let start = |name: &str| {
        fs::write(&file, config(name)).expect("a file");
        let stunnel = Program::start("stunnel4", &[file.to_str().expect("UTF-8")]);
        until("stunnel listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        stunnel
    };
    let through = ([127, 0, 0, 1], port).into();
    let stunnel = start("chat.test");
    let bob = Client::open(through).greeted();
    bob.say("hello \u{20ac}");
    ann.find(&format!("{}: hello \u{20ac}", bob.name()));
    // Longer than a record, and more than any buffer holds.
    let line = "x".repeat(4000);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..500).for_each(|_| bob.say(&line)));
        (0..500).for_each(|_| drop(ann.find(&format!("{}: {line}", bob.name()))));
    });
    // stunnel says the last word of TLS for it.
    drop(bob);
    until("bob's end is logged", || {
        let log = world.server.log();
        let mut ended = log.lines().filter(|line| line.contains(" lines_in=501 "));
        ended.any(|line| line.ends_with("reason=\"end of input\""))
    });
    drop(stunnel);
    // A server with another name is not trusted.
    let _stunnel = start("other.test");
    let next = Client::open(through).next(DEADLINE);
    assert!(matches!(next, Next::End | Next::Reset), "{next:?}");
}

#[test]
#[ignore = "needs openssl"]
fn keys_are_updated_and_renegotiation_is_refused() {
    let world = world(&[]);
    let mut ann = Client::connect_named(world.server.addr(), "ann");
    // Without -quiet, lines of one letter are commands of s_client.
    let with = "-connect 127.0.0.1:PORT -servername chat.test -CAfile FILE";
    let mut updating = start(&format!("openssl s_client -tls1_3 {with}"), &world);
    updating.find("the greeting", |line| line.starts_with("* you are "));
    for nth in 0..3 {
        updating.type_line("K");
        // s_client ignores what it reads together with a command.
        updating.find_line("KEYUPDATE");
        updating.type_line(&format!("updated {nth}"));
        ann.expect(&format!("guest2: updated {nth}"));
        ann.say(&format!("seen {nth}"));
        updating.find_line(&format!("ann: seen {nth}"));
    }
    let mut again = start(&format!("openssl s_client -tls1_2 {with}"), &world);
    again.find("the greeting", |line| line.starts_with("* you are "));
    again.type_line("R");
    again.wait_exit();
    // Others are not concerned.
    updating.type_line("still here");
    ann.find("guest2: still here");
}
