//! Connections that come through a proxy, whose PROXY header says from where; and addresses from which none may come.

use crate::common::{
    Authority, Client, DEADLINE, Launch, Next, Program, SILENCE, Scratch, Server, TlsTrust,
    free_port, has_ipv6, until, with_control, write_identity,
};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;

const FROM_HERE: [&str; 2] = ["--proxy-from", "127.0.0.1"];
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const MISSING: &str = "! connections from this address are a proxy's (--proxy-from), and must begin with a PROXY header";

/// A header of version 1 for a client of this address.
fn text(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().expect("an address and port");
    let (kind, own) = if client.is_ipv4() {
        ("TCP4", "198.51.100.1")
    } else {
        ("TCP6", "::1")
    };
    format!(
        "PROXY {kind} {} {own} {} 8080\r\n",
        client.ip(),
        client.port()
    )
    .into_bytes()
}

/// A header of version 2, of which `after` follows the addresses.
fn binary(client: &str, after: &[u8]) -> Vec<u8> {
    let client: SocketAddr = client.parse().expect("an address and port");
    let (family, mut body) = match client.ip() {
        IpAddr::V4(ip) => (0x11, [ip.octets(), [198, 51, 100, 1]].concat()),
        IpAddr::V6(ip) => (0x21, [ip.octets(), [1; 16]].concat()),
    };
    body.extend(client.port().to_be_bytes());
    body.extend([0x1f, 0x90]);
    body.extend(after);
    let length = (body.len() as u16).to_be_bytes();
    [SIGNATURE, &[0x21, family], &length, &body].concat()
}

/// A header of version 2 for a connection that the proxy has made itself.
fn local() -> Vec<u8> {
    [SIGNATURE, &[0x20, 0, 0, 0]].concat()
}

/// A client that comes through a proxy on this machine.
fn relayed(server: &Server, header: &[u8]) -> Client {
    let client = Client::open(server.addr());
    client.send(header);
    client
}

/// What an operator is told.
fn operate(path: &Path, command: &str) -> Vec<String> {
    let mut operator = Client::open_unix(path);
    operator.expect_start("* you are ");
    operator.send(format!("{command}\n/quit\n").as_bytes());
    operator.rest()
}

/// A figure of the server.
fn figure(path: &Path, name: &str) -> u64 {
    let start = format!("* figure {name}: ");
    let told = operate(path, "/stats");
    let value = told.iter().find_map(|line| line.strip_prefix(&start));
    value.expect("the figure").parse().expect("a number")
}

#[test]
fn a_header_may_come_in_any_pieces_and_the_first_line_right_behind_it() {
    let server = Server::start(&FROM_HERE);
    let mut watcher = relayed(&server, &text("192.0.2.9:9"))
        .greeted()
        .named("watcher");
    let option = [&[4, 0, 9][..], b"\nPROXY \r\n"].concat();
    for header in [
        text("192.0.2.1:1"),
        text("[2001:db8::1]:65535"),
        b"PROXY UNKNOWN\r\n".to_vec(),
        binary("192.0.2.1:1", b""),
        binary("[2001:db8::1]:1", &option),
        local(),
    ] {
        let all = [&header, &b"hello from behind\n"[..]].concat();
        let clients: Vec<Client> = (0..all.len())
            .map(|at| relayed(&server, &all[..at]))
            .collect();
        for (at, client) in clients.iter().enumerate() {
            client.send(&all[at..]);
        }
        let clients: Vec<Client> = clients.into_iter().map(Client::greeted).collect();
        let said = |client: &Client| format!("{}: hello from behind", client.name());
        // They are read in any order.
        let mut expected: BTreeSet<String> = clients.iter().map(said).collect();
        assert_eq!(expected.len(), all.len());
        while !expected.is_empty() {
            expected.remove(&watcher.line());
        }
    }
    // Byte by byte, and in one piece with much more.
    let slow = Client::open(server.addr());
    slow.trickle(&binary("192.0.2.1:1", &option));
    slow.greeted();
    let lines = "one line of many\n".repeat(2000);
    let all = [&text("192.0.2.1:1"), lines.as_bytes()].concat();
    let many = relayed(&server, &all).greeted();
    let said = format!("{}: one line of many", many.name());
    for _ in 0..2000 {
        watcher.find(&said);
    }
}

#[test]
fn the_address_in_the_header_counts_for_limits_bans_lists_and_the_log() {
    let (mut server, path, _scratch) =
        with_control(&[&FROM_HERE[..], &["--max-per-ip", "2"]].concat());
    let ann = relayed(&server, &text("192.0.2.1:1001"))
        .greeted()
        .named("ann");
    // An IPv4-mapped address is the same one.
    let bob = relayed(&server, &binary("[::ffff:192.0.2.1]:1002", b""))
        .greeted()
        .named("bob");
    let mut third = relayed(&server, &text("192.0.2.1:1003"));
    third.expect("! too many connections from your address: at most 2; close one first");
    third.expect_end();
    let mut carl = relayed(&server, &text("[2001:db8::1]:1004"))
        .greeted()
        .named("carl");
    let _dora = relayed(&server, &text("[2001:db8::2]:1005")).greeted();
    let refused = relayed(&server, &binary("[2001:db8::3]:1006", b"")).try_greeted();
    assert!(refused.is_err(), "of IPv6 a /64 counts");

    let proxy = ann.socket().local_addr().unwrap().as_socket().unwrap();
    let clients = operate(&path, "/clients");
    let shown = |name: &str| {
        let of = format!("name {name}, ");
        let mut clients = clients.iter();
        clients
            .find(|line| line.contains(&of))
            .expect("a client")
            .clone()
    };
    assert!(
        shown("ann").contains("address 192.0.2.1:1001, "),
        "{clients:?}"
    );
    assert!(shown("ann").contains(&format!("proxy {proxy}, listener {}", server.addr())));
    assert!(shown("bob").contains("address 192.0.2.1:1002, "));
    assert!(shown("carl").contains("address [2001:db8::1]:1004, "));
    assert!(
        operate(&path, "/clients --from 192.0.2.0/24")
            .contains(&"* clients: 2 listed of 5 connected".to_owned())
    );

    operate(&path, "/ban 192.0.2.0/24 flood");
    for mut banned in [ann, bob] {
        banned.find("! an operator has banned your address; it ends never: flood");
        banned.expect_end();
    }
    let mut again = relayed(&server, &text("192.0.2.77:7"));
    again.expect("! an operator has banned your address; it ends never: flood");
    carl.expect_silence(SILENCE);
    assert_eq!(
        figure(
            &path,
            "madang_connections_refused_total{reason=\"address_full\"}"
        ),
        2
    );
    assert_eq!(
        figure(&path, "madang_connections_refused_total{reason=\"banned\"}"),
        1
    );
    assert_eq!(figure(&path, "madang_handshakes_total{result=\"done\"}"), 7);
    server.shut_down();
    let log = server.whole_log();
    for told in [
        format!("connected connection=1 peer=\"192.0.2.1:1001\" proxy=\"{proxy}\""),
        format!("disconnected connection=1 peer=\"192.0.2.1:1001\" proxy=\"{proxy}\" name=\"ann\""),
        "connection refused peer=\"192.0.2.1:1003\" proxy=\"127.0.0.1:".to_owned(),
        "connected connection=3 peer=\"[2001:db8::1]:1004\" proxy=\"127.0.0.1:".to_owned(),
    ] {
        assert!(log.contains(&told), "{told} is not in {log}");
    }
}

#[test]
fn from_elsewhere_a_header_is_refused_and_lines_are_said() {
    let server = Server::start(&FROM_HERE);
    let other: IpAddr = [127, 0, 0, 2].into();
    let mut ann = Client::open_from(other, server.addr())
        .greeted()
        .named("ann");
    for header in [text("192.0.2.1:1"), binary("192.0.2.1:1", b""), local()] {
        let mut liar = Client::open_from(other, server.addr()).greeted();
        liar.send(&header);
        liar.find("! this port speaks lines of text, not PROXY");
        liar.expect_end();
    }
    ann.expect_silence(SILENCE);
    // A header after the header is none either.
    let mut twice = relayed(
        &server,
        &[text("192.0.2.1:1"), text("192.0.2.2:1")].concat(),
    );
    twice.find("! this port speaks lines of text, not PROXY");
    let mut http = relayed(
        &server,
        &[&text("192.0.2.1:1"), &b"GET / HTTP/1.1\r\n"[..]].concat(),
    );
    http.find("! this port speaks lines of text, not HTTP");
    let mut tls = relayed(
        &server,
        &[&text("192.0.2.1:1"), &b"\x16\x03\x01\x02\x00"[..]].concat(),
    );
    tls.find("! this port speaks lines of text, not TLS");
}

#[test]
fn what_is_no_header_is_refused_with_words_and_counted() {
    let (mut server, path, _scratch) =
        with_control(&[&FROM_HERE[..], &["--listen-raw", "127.0.0.1:0"]].concat());
    let invalid = "! the PROXY header of this connection is not valid";
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 100]].concat();
    for (bytes, words) in [
        (&b"hello\n"[..], MISSING),
        (b"\x16\x03\x01", MISSING),
        (b"GET / HTTP/1.1\r\n", MISSING),
        (b"PROXY TCP4 192.0.2.1\r\n", invalid),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", invalid),
        (&long, invalid),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b0123456789a", invalid),
        (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c", invalid),
    ] {
        let mut client = relayed(&server, bytes);
        client.expect(words);
        client.expect_end();
    }
    assert_eq!(
        figure(&path, "madang_handshakes_total{result=\"bad_header\"}"),
        8
    );
    // Raw connections are sent no words.
    let mut raw = Client::open(server.raw_addr());
    raw.send(b"hello\n");
    raw.expect_end();
    let raw = Client::open(server.raw_addr());
    raw.send(&[&text("192.0.2.1:1"), &b"hello\n"[..]].concat());
    // One that ends within its header, by its end or by a reset, and one that sends nothing: that is only a look.
    let mut cut = relayed(&server, b"PROXY TCP4 192.0.2.1");
    cut.finish();
    cut.expect_end();
    relayed(&server, b"PROXY TCP4 192.0.2.1").reset();
    let mut look = Client::open(server.addr());
    look.finish();
    look.expect_end();
    Client::open(server.addr()).reset();
    until("they have left", || {
        figure(&path, "madang_handshakes_total{result=\"closed_by_peer\"}") == 4
    });
    assert_eq!(figure(&path, "madang_handshakes"), 0);
    server.shut_down();
    let log = server.whole_log();
    let refused = log
        .lines()
        .filter(|line| line.contains("connection refused"))
        .count();
    assert_eq!(refused, 8 + 1 + 2, "not the two that only looked: {log}");
}

#[test]
fn a_header_that_never_ends_is_waited_for_ten_seconds() {
    let (_server, path, _scratch) =
        with_control(&[&FROM_HERE[..], &["--listen", "127.0.0.1:0"]].concat());
    let server = &_server;
    let late = "! connections from this address are a proxy's (--proxy-from), and no PROXY header came within 10 s";
    let mut silent = Client::open(server.addr());
    let mut half = relayed(server, b"PROXY TCP4 192.0.2.1 ");
    let mut others = relayed(server, &text("192.0.2.1:1")).greeted();
    for client in [&mut silent, &mut half] {
        client.expect(late);
        client.expect_end();
    }
    assert_eq!(
        figure(&path, "madang_handshakes_total{result=\"timed_out\"}"),
        2
    );
    others.expect_silence(SILENCE);
}

#[test]
fn a_proxy_that_looks_is_no_client_by_address_and_no_news() {
    let (mut server, path, _scratch) =
        with_control(&[&FROM_HERE[..], &["--allow", "192.0.2.0/24"]].concat());
    // It is greeted, since some proxies look for that.
    let look = relayed(&server, &local()).greeted();
    look.finish();
    let mut refused = relayed(&server, b"PROXY UNKNOWN\r\n");
    refused.expect("! this server takes no connections from your address");
    let mut refused = relayed(&server, &text("198.51.100.1:1"));
    refused.expect("! this server takes no connections from your address");
    let mut ann = relayed(&server, &text("192.0.2.1:1")).greeted();
    assert_eq!(
        figure(&path, "madang_connections_refused_total{reason=\"denied\"}"),
        2
    );
    // What speaks is a client.
    let speaks = relayed(&server, &local()).greeted();
    speaks.say("hello");
    ann.find(&format!("{}: hello", speaks.name()));
    drop(speaks);
    until("it has left", || {
        figure(
            &path,
            "madang_connections_closed_total{reason=\"end_of_input\"}",
        ) == 2
    });
    server.shut_down();
    let log = server.whole_log();
    assert!(!log.contains("connection=1 "), "{log}");
    assert!(
        log.contains("disconnected connection=3 ") || log.contains("lines_in=1"),
        "{log}"
    );
}

#[test]
fn unfinished_headers_do_not_take_all_places_and_other_listeners_do_not_wait() {
    let scratch = Scratch::new();
    let other = format!("unix:{}", scratch.path("other").display());
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--listen",
        &other,
        "--max-clients",
        "3",
    ];
    let server = Server::start(&[&FROM_HERE[..], &flags].concat());
    // As many as there are places, and 64.
    let mut unfinished: Vec<Client> = (0..67).map(|_| relayed(&server, b"PROXY ")).collect();
    let mut waits = relayed(&server, &text("192.0.2.1:1"));
    waits.expect_silence(SILENCE);
    let mut ann = Client::open_unix(&scratch.path("other")).greeted();
    waits.expect_silence(SILENCE);
    // Another client has taken a place meanwhile.
    unfinished.truncate(65);
    let waits = waits.greeted();
    waits.say("hello");
    ann.find(&format!("{}: hello", waits.name()));
    // Those that came first are not forgotten.
    unfinished[0].send(b"UNKNOWN\r\n");
    unfinished[0].expect_start("* you are ");
    let mut full = relayed(&server, &text("192.0.2.1:1"));
    unfinished.truncate(60);
    full.expect("! server is full: 3 connections; try again later");
    full.expect_end();
}

#[test]
fn allow_and_deny_hold_for_newcomers_and_after_a_reload() {
    let scratch = Scratch::new();
    let (config, socket) = (scratch.path("config.toml"), scratch.path("chat"));
    let write = |rest: &str| {
        let listen = format!(
            "listen = [\"127.0.0.1:0\", \"unix:{}\"]\n",
            socket.display()
        );
        fs::write(&config, listen + rest).expect("write");
    };
    let come = |server: &Server, last: u8| {
        Client::open_from([127, 0, 0, last].into(), server.addr()).try_greeted()
    };
    let refusal = "! this server takes no connections from your address";
    let reload = |server: &Server, wanted: &str| {
        server.signal(Signal::HUP);
        until(wanted, || server.log().contains(wanted));
    };
    write("allow = [\"127.0.0.1\", \"127.0.0.4/30\"]\ndeny = [\"127.0.0.6\"]\n");
    let flags = ["--config", config.to_str().unwrap()];
    let mut server = Launch::new(&flags).listeners(2).start();
    let mut ann = come(&server, 1).expect("allowed").named("ann");
    for (last, is_allowed) in [
        (1, true),
        (2, false),
        (4, true),
        (5, true),
        (6, false),
        (8, false),
    ] {
        let came = come(&server, last).map(drop);
        let expected = if is_allowed {
            Ok(())
        } else {
            Err(refusal.to_owned())
        };
        assert_eq!(came, expected, "{last}");
    }
    Client::open_unix(&socket).greeted();
    write("deny = [\"127.0.0.1/32\"]\n");
    reload(
        &server,
        "reload: allow: [\"127.0.0.1\", \"127.0.0.4/30\"] -> none",
    );
    reload(
        &server,
        "reload: deny: [\"127.0.0.6\"] -> [\"127.0.0.1/32\"]",
    );
    assert_eq!(come(&server, 1).map(drop), Err(refusal.to_owned()));
    let bob = come(&server, 6).expect("not denied any more");
    bob.say("hello");
    ann.find(&format!("{}: hello", bob.name()));
    // Proxies too.
    write("proxy-from = \"127.0.0.0/29\"\n");
    reload(&server, "reload: proxy-from: none -> [\"127.0.0.0/29\"]");
    let proxy = Client::open_from([127, 0, 0, 6].into(), server.addr());
    proxy.send(&text("192.0.2.1:1"));
    let carl = proxy.greeted();
    carl.say("by way of a proxy");
    ann.find(&format!("{}: by way of a proxy", carl.name()));
    bob.say("and I was here before");
    ann.find(&format!("{}: and I was here before", bob.name()));
    come(&server, 8).expect("no proxy");
    server.shut_down();
    let log = server.whole_log();
    assert!(
        log.contains("reason=\"this server takes no connections from your address\""),
        "{log}"
    );
}

#[test]
fn a_range_that_is_none_is_refused_with_an_example() {
    for flag in ["--allow", "--deny", "--proxy-from"] {
        for wrong in ["10.0.0.0/33", "example.org", "10.0.0.1:80", ""] {
            let failure = Launch::new(&[flag, wrong]).fail();
            assert_eq!(failure.code, Some(2), "{flag} {wrong}");
            let why = "expected an address or a range of addresses, for example 192.0.2.7, 10.1.0.0/16 or 2001:db8::/32";
            assert!(failure.stderr.contains(why), "{}", failure.stderr);
        }
    }
}

#[test]
fn a_listener_that_everybody_can_use_is_named_at_the_start() {
    let warns = |flags: &[&str]| {
        let mut server = Server::start(flags);
        let listening = server.listening().join(", ");
        server.shut_down();
        let log = server.whole_log();
        let mut lines = log
            .lines()
            .filter(|line| line.contains("open to everybody"));
        let warning = lines.next().map(str::to_owned);
        assert_eq!(lines.next(), None, "one line");
        (warning, listening)
    };
    let (warning, listening) = warns(&["--listen", "0.0.0.0:0", "--listen-raw", "0.0.0.0:0"]);
    let warning = warning.expect("a warning");
    assert!(warning.contains(" WARN "), "{warning}");
    assert!(
        warning.contains(&format!("listeners=\"{listening}\"")),
        "{warning}"
    );
    assert!(warning.contains("--allow CIDR"), "{warning}");
    let (warning, _) = warns(&["--listen", "0.0.0.0:0", "--listen", "127.0.0.1:0"]);
    assert!(!warning.expect("a warning").contains("127.0.0.1:0,"));
    for quiet in [
        &["--listen", "127.0.0.1:0"][..],
        &["--listen", "0.0.0.0:0", "--allow", "10.0.0.0/8"],
        &["--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:0"],
    ] {
        assert_eq!(warns(quiet).0, None, "{quiet:?}");
    }
}

/// Starts a proxy with this configuration, and waits until it listens at all these ports.
fn start_proxy(program: &str, arguments: &[&str], ports: &[u16]) -> Program {
    let proxy = Program::start(program, arguments);
    for &port in ports {
        until("the proxy listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }
    proxy
}

/// What a person and an operator see of clients that come to a proxy at these ports, over IPv4 and IPv6.
fn judge_proxy(server: &Server, path: &Path, ports: &[u16]) {
    let mut addresses: Vec<IpAddr> = vec![[127, 0, 0, 1].into(), [127, 0, 0, 5].into()];
    addresses.extend(has_ipv6().then(|| IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16])));
    let mut ann = relayed(server, &text("192.0.2.1:1")).greeted().named("ann");
    for &port in ports {
        for address in &addresses {
            let own: IpAddr = if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                *address
            };
            let client = Client::open_from(*address, (own, port).into()).greeted();
            client.say("hello\u{20ac} from behind");
            ann.find(&format!("{}: hello\u{20ac} from behind", client.name()));
            let own = client.socket().local_addr().unwrap().as_socket().unwrap();
            let listed = operate(path, "/clients");
            let shown = format!("address {own}, ");
            let line = listed.iter().find(|line| line.contains(&shown));
            let line = line.unwrap_or_else(|| panic!("{own} is not in {listed:?}"));
            assert!(line.contains(", proxy 127.0.0.1:"), "{line}");
        }
    }
    // More than fits into any buffer, in both directions.
    let writer = Client::open(([127, 0, 0, 1], ports[0]).into()).greeted();
    let line = "x".repeat(4000);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..500).for_each(|_| writer.say(&line)));
        (0..500).for_each(|_| drop(ann.find(&format!("{}: {line}", writer.name()))));
    });
    operate(path, "/ban 127.0.0.5");
    let mut banned = Client::open_from([127, 0, 0, 5].into(), ([127, 0, 0, 1], ports[0]).into());
    banned.expect_start("! an operator has banned your address");
    assert_eq!(banned.next(DEADLINE), Next::End);
}

#[test]
#[ignore = "needs haproxy"]
fn clients_of_haproxy_are_known_by_their_addresses() {
    let (mut server, path, scratch) = with_control(&FROM_HERE);
    let backend = server.addr();
    let ports = [(); 3].map(|()| free_port());
    let with = [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options unique-id",
    ];
    let mut config = String::from(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n timeout check 5s\n",
    );
    for (port, with) in ports.into_iter().zip(with) {
        config += &format!(
            "listen at{port}\n bind 127.0.0.1:{port}\n unique-id-format %{{+X}}o%ci%cp\n \
             option tcp-check\n tcp-check connect send-proxy\n tcp-check expect rstring \"^\\* you are\"\n \
             server one {backend} check inter 100ms {with}\n"
        );
        if has_ipv6() {
            config = config.replace(
                &format!("bind 127.0.0.1:{port}\n"),
                &format!("bind 127.0.0.1:{port}\n bind [::1]:{port}\n"),
            );
        }
    }
    let file = scratch.path("haproxy.cfg");
    fs::write(&file, config).expect("write");
    let _proxy = start_proxy("haproxy", &["-f", file.to_str().unwrap(), "-db"], &ports);
    judge_proxy(&server, &path, &ports);
    // It has looked meanwhile, and nobody was told.
    until("haproxy has looked", || {
        figure(&path, "madang_handshakes_total{result=\"done\"}") > 40
    });
    server.shut_down();
    let log = server.whole_log();
    let told = log
        .lines()
        .filter(|line| line.contains("connected "))
        .count();
    assert!(told < 40, "{told}: {log}");
}

#[test]
#[ignore = "needs nginx with its stream module"]
fn clients_of_nginx_are_known_by_their_addresses() {
    let (server, path, scratch) = with_control(&FROM_HERE);
    let port = free_port();
    let ipv6 = if has_ipv6() {
        format!("listen [::1]:{port};")
    } else {
        String::new()
    };
    let folder = scratch.path("");
    let config = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
         daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
         events {{}}\n\
         stream {{ server {{ listen 127.0.0.1:{port}; {ipv6} proxy_pass {}; proxy_protocol on; proxy_timeout 1h; }} }}\n",
        server.addr()
    );
    let file = scratch.path("nginx.conf");
    fs::write(&file, config).expect("write");
    let arguments = [
        "-c",
        file.to_str().unwrap(),
        "-p",
        folder.to_str().unwrap(),
        "-e",
        "stderr",
    ];
    let _proxy = start_proxy("nginx", &arguments, &[port]);
    judge_proxy(&server, &path, &[port]);
}

#[test]
#[ignore = "needs haproxy, and nginx with its stream module"]
fn haproxy_and_nginx_encrypt_for_their_clients() {
    let (server, path, scratch) = with_control(&FROM_HERE);
    let authority = Authority::new("the test's");
    let identity = authority.server(&["chat.test"], 2999);
    let both = write_identity(scratch.path("both.pem"), &identity);
    let [haproxy, nginx] = [free_port(), free_port()];
    let backend = server.addr();
    let config = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n\
         listen chat\n bind 127.0.0.1:{haproxy} ssl crt {both}\n server one {backend} send-proxy-v2\n"
    );
    let file = scratch.path("haproxy.cfg");
    fs::write(&file, config).expect("write");
    let arguments = ["-f", file.to_str().unwrap(), "-db"];
    let _haproxy = start_proxy("haproxy", &arguments, &[haproxy]);
    let config = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
         daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
         events {{}}\n\
         stream {{ server {{ listen 127.0.0.1:{nginx} ssl; ssl_certificate {both}; ssl_certificate_key {both}; \
         proxy_pass {backend}; proxy_protocol on; proxy_timeout 1h; }} }}\n"
    );
    let file = scratch.path("nginx.conf");
    fs::write(&file, config).expect("write");
    let folder = scratch.path("");
    let arguments = ["-c", file.to_str().unwrap(), "-p", folder.to_str().unwrap()];
    let _nginx = start_proxy(
        "nginx",
        &[&arguments[..], &["-e", "stderr"]].concat(),
        &[nginx],
    );
    let mut ann = relayed(&server, &text("192.0.2.1:1"))
        .greeted()
        .named("ann");
    for port in [haproxy, nginx] {
        let trust = TlsTrust::new(&authority.pem);
        let mut client = trust.connect(([127, 0, 0, 1], port).into());
        let greeting = client.find("* you are ");
        let name = greeting.split(' ').nth(3).expect("a name");
        client.say("hello");
        ann.find(&format!("{name}: hello"));
        let own = client.stream.sock.local_addr().expect("an address");
        let listed = operate(&path, "/clients").join("\n");
        assert!(listed.contains(&format!("address {own}, ")), "{listed}");
        client.say("/quit");
        assert_eq!(client.rest().last().unwrap(), "* you left; goodbye");
    }
}
