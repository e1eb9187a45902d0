//! `madang join` and `madang bench` over TLS: whom they trust, what they say about it, and that the connection behaves as one
//! without TLS does.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use crate::common::front::{Authority, Certificate, Ending, Front, certificate};
use crate::common::{Client, DEADLINE, Program, Scratch, Server, has_ipv6, until};
use rcgen::{DnType, date_time_ymd};

const GREETING: &str = "* you are guest1 in lobby (1 here); /help lists commands\n";

/// A certificate for localhost, and TLS with it in front of a server at this address.
fn front_of(server: SocketAddr, ending: Ending) -> (Front, String) {
    let certificate = certificate(&["localhost"], |_| {});
    let front = Front::start(certificate.server(), server, ending);
    let flag = format!("--tls-fingerprint={}", certificate.fingerprint());
    (front, flag)
}

/// `madang join` with this input, which ends.
fn join(address: &str, flags: &[&str], input: &[u8]) -> (Option<i32>, Vec<String>, Vec<String>) {
    let mut join = Program::join(address, flags);
    join.offer_bytes(input);
    join.end_input();
    let status = join.wait_exit().code();
    (status, join.rest(), join.complaints())
}

/// Why `madang join` could not join: one line.
#[track_caller]
fn refusal(address: &str, flags: &[&str]) -> String {
    let (status, output, complaints) = join(address, flags, b"the code is 4711\n");
    assert_eq!((status, output.len()), (Some(1), 0), "{complaints:?}");
    let [complaint] = &complaints[..] else {
        panic!("{complaints:?}")
    };
    let start = format!("madang: cannot join {address}: ");
    assert!(complaint.starts_with(&start), "{complaint}");
    complaint[start.len()..].to_owned()
}

/// A server of another kind, which a test plays.
struct Played(TcpListener);

impl Played {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("bind"))
    }

    fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    fn accept(&self) -> TcpStream {
        let (socket, _) = self.0.accept().expect("accept");
        socket.set_read_timeout(Some(DEADLINE)).expect("timeout");
        socket
    }

    /// Accepts, and greets as madang does.
    fn greet(&self) -> TcpStream {
        let mut socket = self.accept();
        socket.write_all(GREETING.as_bytes()).expect("write");
        socket
    }
}

#[test]
fn a_server_is_trusted_by_an_authority_or_by_its_fingerprint() {
    let server = Server::start(&[]);
    let folder = Scratch::new();
    let authority = Authority::new();
    let signed = authority.sign(&["localhost", "127.0.0.1"]);
    let front = Front::start(signed.server(), server.addr(), Ending::InOrder);
    let ca = authority.file(&folder);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let colons = signed.fingerprint();
    let plain = colons.replace(':', "").to_lowercase();
    for (host, flag, value) in [
        ("localhost", "--tls-ca", &ca),
        ("127.0.0.1", "--tls-ca", &ca),
        ("localhost", "--tls-fingerprint", &colons),
        // The certificate is not for this address.
        ("127.0.0.2", "--tls-fingerprint", &plain),
    ] {
        let front = match host {
            "127.0.0.2" => Front::start_at(
                "127.0.0.2:0",
                signed.server(),
                server.addr(),
                Ending::InOrder,
            ),
            _ => Front::start_at(
                "127.0.0.1:0",
                signed.server(),
                server.addr(),
                Ending::InOrder,
            ),
        };
        let address = front.address(host);
        let done = join(&address, &[flag, value, "--nick", "kim"], b"over TLS\n");
        assert_eq!((done.0, done.2), (Some(0), vec![]), "{address} {flag}");
        ann.expect("kim: over TLS");
        until("close_notify has come", || front.ended() == 1);
        assert_eq!(front.cut(), 0);
    }
    // The machine's own authorities are these, if a variable says so, as for other programs.
    let output = Command::new(env!("CARGO_BIN_EXE_madang"))
        .args(["join", &front.address("localhost"), "--nick", "lee"])
        .env("SSL_CERT_FILE", &ca)
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::null())
        .output()
        .expect("run madang");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn variables_stand_for_the_flags() {
    let server = Server::start(&[]);
    let (front, flag) = front_of(server.addr(), Ending::InOrder);
    let (_, value) = flag.split_once('=').expect("a flag");
    let run = |address: &str, variable: &str, value: &str| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
        command.args(["join", address]).env(variable, value);
        command.stdin(Stdio::null()).output().expect("run madang")
    };
    let tls = front.address("localhost");
    let output = run(&tls, "MADANG_TLS_FINGERPRINT", value);
    assert!(output.status.success(), "{output:?}");
    // A variable may be there for another server.
    let plain = server.addr().to_string();
    let output = run(&plain, "MADANG_TLS_FINGERPRINT", value);
    assert!(output.status.success(), "{output:?}");
    for variable in ["MADANG_TLS_CA", "MADANG_TLS_CLIENT_CERT"] {
        let output = run(&tls, variable, "/no/such/file");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains("cannot read /no/such/file"),
            "{variable}: {stderr}"
        );
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_described_with_the_flag_that_would() {
    let played = Played::new();
    let folder = Scratch::new();
    let ca = Authority::new().file(&folder);
    let ours = certificate(&["localhost", "chat.example.org"], |_| {});
    let old = certificate(&["localhost"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let front = |certificate: &Certificate| {
        Front::start(certificate.server(), played.addr(), Ending::InOrder).address("localhost")
    };
    let why = refusal(&front(&ours), &["--tls-ca", &ca]);
    let trusts = format!("--tls-fingerprint {} trusts", ours.fingerprint());
    for words in [
        &format!("no authority in {ca} has signed its certificate"),
        "which is for localhost, chat.example.org",
        "--tls-ca FILE",
        &trusts,
    ] {
        assert!(why.contains(words), "no {words:?} in: {why}");
    }
    let own = ours.file(&folder);
    let address = front(&ours).replace("localhost", "127.0.0.1");
    let why = refusal(&address, &["--tls-ca", &own]);
    assert!(
        why.contains("is for localhost, chat.example.org, not for 127.0.0.1"),
        "{why}"
    );
    assert!(why.contains(&trusts), "{why}");
    let own = old.file(&folder);
    let why = refusal(&front(&old), &["--tls-ca", &own]);
    assert!(
        why.contains("has expired on 2021-01-01 (today is "),
        "{why}"
    );
    let flag = format!("--tls-fingerprint={}", old.fingerprint());
    let why = refusal(&front(&ours), &[&flag]);
    assert!(
        why.contains(&format!("its SHA-256 is {}", ours.fingerprint())),
        "{why}"
    );
}

#[test]
fn a_server_without_tls_is_reported_and_is_sent_nothing_but_the_handshake() {
    let played = Played::new();
    let address = format!("tls:{}", played.addr());
    let flag = format!("--tls-fingerprint={}", "ab".repeat(32));
    let says = |words: &'static [u8]| {
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let mut socket = played.accept();
                socket.write_all(words).expect("write");
                if words.is_empty() {
                    let mut hello = [0; 5];
                    socket.read_exact(&mut hello).expect("a handshake");
                    return hello.to_vec();
                }
                socket.shutdown(Shutdown::Write).expect("shutdown");
                let mut received = Vec::new();
                let _ = socket.read_to_end(&mut received);
                received
            });
            let why = refusal(&address, &[&flag]);
            (why, server.join().expect("the server"))
        })
    };
    let (why, received) = says(GREETING.as_bytes());
    assert!(
        why.contains("speaks no TLS, it says \"* you are guest1 in lobby"),
        "{why}"
    );
    assert!(!received.windows(4).any(|bytes| bytes == b"4711"));
    let (why, _) = says(b"\x1b[2J\x07\n");
    assert!(why.contains("it says \"\u{fffd}[2J\u{fffd}\""), "{why}");
    let (why, _) = says(b"");
    assert!(
        why.contains("during the TLS handshake; does it speak TLS?"),
        "{why}"
    );
    // A server without TLS that refuses it by itself.
    let server = Server::start(&[]);
    let why = refusal(&format!("tls:{}", server.addr()), &[&flag]);
    assert!(why.contains("speaks no TLS, it says "), "{why}");
}

#[test]
fn a_server_that_says_nothing_to_the_handshake_is_given_up() {
    let played = Played::new();
    let flag = format!("--tls-fingerprint={}", "ab".repeat(32));
    let why = refusal(&format!("tls:{}", played.addr()), &[&flag]);
    assert_eq!(why, "no TLS handshake within 10 s; does it speak TLS?");
}

#[test]
fn a_client_without_tls_is_told_that_the_server_may_want_it() {
    let played = Played::new();
    let (front, _) = front_of(played.addr(), Ending::InOrder);
    let address = front.address("127.0.0.1").replace("tls:", "");
    let (status, _, complaints) = join(&address, &[], b"the code is 4711\n");
    assert_eq!(status, Some(1));
    let why = "it has not greeted within 10 s; if it speaks TLS, write tls: before its address";
    let complaint = format!("madang: {address} is not a madang server: {why}");
    assert_eq!(complaints, [complaint]);
}

#[test]
fn a_client_shows_its_certificate_to_a_server_that_asks_for_one() {
    let server = Server::start(&[]);
    let folder = Scratch::new();
    let (clients, own) = (Authority::new(), certificate(&["localhost"], |_| {}));
    let front = Front::start(own.server_for(&clients), server.addr(), Ending::InOrder);
    let address = front.address("localhost");
    let trust = format!("--tls-fingerprint={}", own.fingerprint());
    let kim = clients.sign(&["kim"]);
    let (file, key) = (kim.file(&folder), kim.key_file(&folder));
    let both = kim.file_of_both(&folder);
    for flags in [
        &[&*trust, "--tls-cert", &file, "--tls-key", &key][..],
        &[&trust, "--tls-cert", &both],
    ] {
        let (status, _, complaints) = join(&address, flags, b"");
        assert_eq!((status, complaints), (Some(0), vec![]));
    }
    let lost = |flags: &[&str]| {
        let (status, output, complaints) = join(&address, flags, b"the code is 4711\n");
        assert_eq!(
            (status, output.len(), complaints.len()),
            (Some(1), 0, 1),
            "{complaints:?}"
        );
        complaints[0].clone()
    };
    let why = lost(&[&trust]);
    assert!(
        why.contains("the server asks for a certificate of yours; --tls-cert FILE"),
        "{why}"
    );
    let folder = Scratch::new();
    let other = certificate(&["kim"], |params| {
        params.distinguished_name.push(DnType::CommonName, "kim");
    });
    let of_other = other.file_of_both(&folder);
    let why = lost(&[&trust, "--tls-cert", &of_other]);
    assert!(
        why.contains("the server refuses your certificate, which no authority"),
        "{why}"
    );
    let why = refusal(
        &address,
        &[&trust, "--tls-cert", &file, "--tls-key", &of_other],
    );
    assert!(why.contains("is not that of the certificate in"), "{why}");
    let why = refusal(&address, &[&trust, "--tls-cert", &key]);
    assert!(why.contains("has no certificate in PEM"), "{why}");
    let why = refusal(&address, &[&trust, "--tls-cert", &file]);
    assert!(why.contains("has no private key in PEM"), "{why}");
}

#[test]
fn a_megabyte_arrives_whole_and_in_order() {
    let server = Server::start(&[]);
    let (front, flag) = front_of(server.addr(), Ending::InOrder);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let lines: Vec<String> = (0..10_500)
        .map(|n| format!("line {n:05} {}", "x".repeat(90)))
        .collect();
    let text = lines.join("\n");
    assert!(text.len() > 1 << 20);
    let mut kim = Program::join(front.address("localhost"), &[&flag, "--nick", "kim"]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            kim.type_bytes(text.as_bytes());
            kim.end_input();
        });
        for line in &lines {
            ann.expect(&format!("kim: {line}"));
        }
    });
    assert!(kim.wait_exit().success());
    assert_eq!(kim.complaints(), [""; 0]);
}

#[test]
fn a_megabyte_is_received_whole_while_a_megabyte_is_sent() {
    let played = Played::new();
    let (front, flag) = front_of(played.addr(), Ending::InOrder);
    let mut join = Program::join(front.address("localhost"), &[&flag]);
    let mut socket = played.greet();
    let text = b"0123456789abcde\n".repeat(65_536);
    let mut received = Vec::new();
    let mut writer = socket.try_clone().expect("clone");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&text).expect("write");
            writer.shutdown(Shutdown::Write).expect("shutdown");
        });
        scope.spawn(|| {
            join.offer_bytes(&text);
            join.end_input();
        });
        // It is read only after the client has had to stop: neither side waits for the other.
        let _ = socket.read_to_end(&mut received);
    });
    assert!(text.starts_with(&received), "in order");
    let printed = join.rest();
    assert_eq!(printed.len(), 65_536 + 1);
    assert!(printed[1..].iter().all(|line| line == "0123456789abcde"));
}

#[test]
fn after_the_end_of_input_received_lines_are_still_printed() {
    let played = Played::new();
    let (front, flag) = front_of(played.addr(), Ending::InOrder);
    let mut join = Program::join(front.address("localhost"), &[&flag]);
    let mut socket = played.greet();
    join.type_line("last words");
    join.end_input();
    let mut received = String::new();
    socket.read_to_string(&mut received).expect("a FIN");
    assert_eq!(received, "last words\n");
    socket.write_all(b"what still comes\n").expect("write");
    join.find_line("what still comes");
    drop(socket);
    assert!(join.wait_exit().success());
}

#[test]
fn an_end_is_a_success_and_a_cut_is_not() {
    for (ending, code) in [(Ending::InOrder, 0), (Ending::Cut, 1)] {
        let played = Played::new();
        let (front, flag) = front_of(played.addr(), ending);
        let mut join = Program::join(front.address("localhost"), &[&flag]);
        let mut socket = played.greet();
        join.type_line("hello");
        join.end_input();
        let mut received = String::new();
        socket.read_to_string(&mut received).expect("a FIN");
        socket.write_all(b"half a li").expect("write");
        drop(socket);
        assert_eq!(join.wait_exit().code(), Some(code));
        assert_eq!(join.rest(), [GREETING.trim_end(), "half a li"]);
        let complaints = join.complaints();
        match code {
            0 => assert_eq!(complaints, [""; 0]),
            _ => assert!(
                complaints[0].contains("is lost: cut off before its end"),
                "{complaints:?}"
            ),
        }
    }
}

#[test]
fn lines_that_the_server_does_not_take_are_counted() {
    let played = Played::new();
    let (front, flag) = front_of(played.addr(), Ending::InOrder);
    let mut join = Program::join(front.address("localhost"), &[&flag]);
    let socket = played.greet();
    // More than all buffers hold, so that records wait in the client.
    let text = b"0123456789abcde\n".repeat(1 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| join.offer_bytes(&text));
        // It takes nothing and is gone.
        let mut first = [0; 16];
        (&socket).read_exact(&mut first).expect("a line");
        drop(socket);
    });
    join.end_input();
    assert_eq!(join.wait_exit().code(), Some(1));
    let complaints = join.complaints();
    assert!(complaints[0].contains(" is lost: "), "{complaints:?}");
}

#[test]
fn a_server_at_an_ipv6_address_is_joined() {
    if !has_ipv6() {
        return;
    }
    let server = Server::start(&[]);
    let folder = Scratch::new();
    let own = certificate(&["::1"], |_| {});
    let front = Front::start_at("[::1]:0", own.server(), server.addr(), Ending::InOrder);
    let flags = ["--tls-ca", &own.file(&folder)];
    let (status, _, complaints) = join(&front.address("[::1]"), &flags, b"");
    assert_eq!((status, complaints), (Some(0), vec![]));
}

#[test]
#[cfg(feature = "bench")]
fn a_load_over_tls_adds_up_and_its_connections_end_in_order() {
    use crate::common::{count, sound};
    let server = Server::start(&[]);
    let (front, flag) = front_of(server.addr(), Ending::InOrder);
    let target = front.address("localhost");
    let flags = format!("{flag} --clients 40 --senders 2 --lines 600 --window 20 --size 300");
    let value = sound(&target, &flags);
    assert_eq!(count(&value, "/account/received"), 600 * 41);
    until("all have ended", || front.ended() + front.cut() == 42);
    assert_eq!(front.cut(), 0);
    // Slow readers, and long lines: each in several records.
    let flags = format!("{flag} --clients 6 --slow-readers 2 --lines 400 --window 4 --size 8000");
    let value = sound(&target, &flags);
    assert_eq!(count(&value, "/delivered/lines"), 400 * 4);
}

#[test]
#[cfg(feature = "bench")]
fn a_load_over_tls_that_is_impossible_is_explained_in_one_line() {
    let played = Played::new();
    let folder = Scratch::new();
    let (own, clients) = (certificate(&["localhost"], |_| {}), Authority::new());
    let flag = format!("--tls-fingerprint={}", own.fingerprint());
    let one_line = |target: &str, flags: &str, words: &[&str]| {
        let output = crate::common::bench(target, &format!("--clients 2 --lines 5 {flags}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        for words in words {
            assert!(stderr.contains(words), "no {words:?} in: {stderr}");
        }
    };
    let front = Front::start(own.server(), played.addr(), Ending::InOrder);
    let target = front.address("localhost");
    let wrong = format!("--tls-fingerprint={}", "ab".repeat(32));
    one_line(
        &target,
        &wrong,
        &["cannot connect to tls:localhost:", "is not the one of"],
    );
    let ca = format!("--tls-ca {}", clients.file(&folder));
    one_line(
        &target,
        &ca,
        &["no authority in ", "trusts this certificate"],
    );
    let asking = Front::start(own.server_for(&clients), played.addr(), Ending::InOrder);
    let target = asking.address("localhost");
    one_line(
        &target,
        &flag,
        &["were greeted", "asks for a certificate of yours"],
    );
    let server = Server::start(&[]);
    let target = format!("tls:{}", server.addr());
    one_line(&target, &flag, &["speaks no TLS"]);
    let output = crate::common::bench("127.0.0.1:1", &flag);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("is for TLS, and 127.0.0.1:1"), "{stderr}");
}

#[test]
fn flags_for_tls_need_an_address_for_tls() {
    let print = "ab".repeat(32);
    for (arguments, words) in [
        (
            &["join", "localhost:1", "--tls-fingerprint", &print][..],
            "--tls-fingerprint is for TLS, and localhost:1 is joined without it; write tls:HOST:PORT",
        ),
        (
            &["join", "unix:/tmp/x", "--tls-ca", "ca.pem"],
            "--tls-ca is for TLS, and unix:/tmp/x",
        ),
        (
            &["join", "tls:localhost:1", "--tls-key", "key.pem"],
            "--tls-cert",
        ),
        (
            &["join", "tls:localhost:1", "--tls-fingerprint", "AB:CD"],
            "a SHA-256 has 64 hexadecimal digits, not 4",
        ),
        (&["join", "tls://localhost:1"], "write tls:localhost:1"),
        (&["join", "tls:"], "tls:localhost:8443"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_madang"))
            .args(arguments)
            .output();
        let output = output.expect("run madang");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_machine_without_authorities_is_told_what_to_do() {
    let output = Command::new(env!("CARGO_BIN_EXE_madang"))
        .args(["join", "tls:localhost:1"])
        .env("SSL_CERT_FILE", "/no/such/file")
        .env_remove("SSL_CERT_DIR")
        .output()
        .expect("run madang");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for words in [
        "no list of authorities",
        "/no/such/file",
        "--tls-ca FILE",
        "--tls-fingerprint",
    ] {
        assert!(stderr.contains(words), "{stderr}");
    }
}

/// `openssl s_server` for this version, whose lines this test types, and where it listens.
fn openssl(version: &str, own: &Certificate, folder: &Scratch) -> (Program, String) {
    let (file, key) = (own.file(folder), own.key_file(folder));
    let listen = ["s_server", "-accept", "127.0.0.1:0", version];
    let mut server = Program::start(
        "openssl",
        &[&listen[..], &["-cert", &file, "-key", &key]].concat(),
    );
    let line = server.find("its address", |line| line.starts_with("ACCEPT 127.0.0.1:"));
    let (_, port) = line.rsplit_once(':').expect("a port");
    (server, format!("tls:localhost:{port}"))
}

#[test]
#[ignore = "needs openssl"]
fn the_server_of_openssl_is_joined_and_updates_its_keys() {
    for version in ["-tls1_2", "-tls1_3"] {
        let folder = Scratch::new();
        let own = certificate(&["localhost"], |_| {});
        let (mut server, address) = openssl(version, &own, &folder);
        let flags = ["--tls-ca", &own.file(&folder)];
        let mut join = Program::join(&address, &flags);
        server.type_bytes(GREETING.as_bytes());
        join.find_line(GREETING.trim_end());
        if version == "-tls1_3" {
            // Its command for a key update that asks for one of the client.
            server.type_line("K");
        }
        // It reads its terminal first, and takes all that it reads there for one command.
        join.type_line("from the client");
        server.find_line("from the client");
        server.type_line("kim: under new keys");
        join.find_line("kim: under new keys");
        join.type_line("under new keys too");
        server.find_line("under new keys too");
        join.end_input();
        // It answers close_notify with its own.
        server.find_line("DONE");
        assert!(join.wait_exit().success());
        assert_eq!(join.complaints(), [""; 0]);
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_renegotiation_is_refused() {
    let folder = Scratch::new();
    let own = certificate(&["localhost"], |_| {});
    let (mut server, address) = openssl("-tls1_2", &own, &folder);
    let mut join = Program::join(&address, &["--tls-ca", &own.file(&folder)]);
    // What openssl reads before the handshake is over makes it wait for the client, and look at no command.
    server.find_line("Secure Renegotiation IS supported");
    server.type_bytes(GREETING.as_bytes());
    join.find_line(GREETING.trim_end());
    server.type_line("R");
    // What openssl does then.
    assert_eq!(join.wait_exit().code(), Some(1));
    let complaints = join.complaints();
    assert!(
        complaints[0].contains("(handshake_failure)"),
        "{complaints:?}"
    );
}
