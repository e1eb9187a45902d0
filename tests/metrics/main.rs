//! The metrics page over real sockets: what it says, in which format, and that no client of it is in the way of others.

#[path = "../common/mod.rs"]
mod common;
mod http;
mod page;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use common::{Client, DEADLINE, Launch, Program, Scratch, Server, ann_and_bob, until};
use http::{Http, get};
use page::{Page, page_of};

const FLAGS: [&str; 2] = ["--metrics", "127.0.0.1:0"];
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

#[test]
fn both_formats_are_valid_and_have_the_same_series() {
    let server = Server::start(&FLAGS);
    let _ann = Client::connect_named(server.addr(), "ann");
    let text = page_of(server.metrics_addr());
    let answer = get(server.metrics_addr(), "/metrics", OPENMETRICS);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.field("content-type"), Some(kind));
    let openmetrics = Page::parse(&answer.body, true);
    assert_eq!(text.series(), openmetrics.series());
    assert!(text.families.len() >= 30, "{:?}", text.families);
    assert_eq!(text.value("madang_build_info{version=\"0.1.0\"}"), 1.0);
}

#[test]
fn every_series_is_documented_and_every_documented_series_exists() {
    let (server, _ann, _bob) = ann_and_bob(&FLAGS);
    let docs = fs::read_to_string("docs/operations.md").expect("the page");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(['`', '{']).next());
    let is_series = |name: &&str| name.starts_with("madang_") || name.starts_with("process_");
    let documented: BTreeSet<String> = names.filter(is_series).map(str::to_owned).collect();
    let shown: BTreeSet<String> = page_of(server.metrics_addr())
        .families
        .into_keys()
        .collect();
    assert_eq!(documented, shown);
}

#[test]
fn figures_follow_what_happens() {
    let (mut server, mut ann, mut bob) =
        ann_and_bob(&[&FLAGS[..], &["--max-clients", "3"]].concat());
    let addr = server.metrics_addr();
    ann.say("one");
    bob.find("ann: one");
    bob.say("two");
    ann.find("bob: two");
    bob.join("pond", 1);
    let carl = Client::connect_named(server.addr(), "carl");
    carl.send(b"not \xff UTF-8\n");
    Client::open(server.addr()).rest();
    let listener = server.listening()[0].clone();
    let page = page_of(addr);
    for (series, value) in [
        (
            &*format!("madang_connections{{listener=\"{listener}\"}}"),
            3.0,
        ),
        ("madang_connections_limit", 3.0),
        ("madang_connections_accepted_total", 3.0),
        (
            "madang_connections_refused_total{reason=\"server_full\"}",
            1.0,
        ),
        ("madang_lines_total", 2.0),
        ("madang_refused_lines_total", 1.0),
        ("madang_rooms_occupied", 2.0),
        ("madang_room_members{rank=\"1\"}", 2.0),
        ("madang_room_members{rank=\"2\"}", 1.0),
        ("madang_laggards", 0.0),
    ] {
        assert_eq!(page.value(series), value, "{series}");
    }
    assert!(page.value("madang_deliveries_total") >= 2.0);
    assert!(page.value("madang_received_bytes_total") >= 40.0);
    assert!(page.value("madang_sent_bytes_total") > page.value("madang_received_bytes_total"));
    assert!(page.value("process_open_fds") >= 10.0);
    assert!(page.value("process_resident_memory_bytes") > 1e6);
    ann.say("/quit");
    ann.rest();
    bob.finish();
    bob.rest();
    carl.reset();
    until("all have left", || {
        page_of(addr).value(&format!("madang_connections{{listener=\"{listener}\"}}")) == 0.0
    });
    let page = page_of(addr);
    for reason in ["quit", "end_of_input", "reset"] {
        let series = format!("madang_connections_closed_total{{reason=\"{reason}\"}}");
        assert_eq!(page.value(&series), 1.0, "{series}");
    }
    server.shut_down();
    assert!(
        server
            .log()
            .contains("ended connections=3 refused_connections=1 lines=2")
    );
}

#[test]
fn a_line_is_counted_for_each_member_that_it_reaches() {
    // Without notices of the server, which would count as well.
    let server = Server::start(&[&FLAGS[..], &["--announce-limit", "0"]].concat());
    let [speaker, mut one, mut other] = [(); 3].map(|()| Client::connect(server.addr()));
    for line in 0..10 {
        speaker.say(&format!("line {line}"));
    }
    for reader in [&mut one, &mut other] {
        reader.find(&format!("{}: line 9", speaker.name()));
    }
    let page = page_of(server.metrics_addr());
    assert_eq!(page.value("madang_lines_total"), 10.0);
    assert_eq!(page.value("madang_deliveries_total"), 20.0);
}

#[test]
fn labels_are_escaped() {
    let scratch = Scratch::new();
    let path = scratch.path("a\"b\\c.sock");
    let unix = format!("unix:{}", path.display());
    let flags = ["--listen", &unix, "--metrics", "127.0.0.1:0"];
    let server = Server::start(&flags);
    let _client = Client::open_unix(&path).greeted();
    let page = page_of(server.metrics_addr());
    let label = unix.replace('\\', "\\\\").replace('"', "\\\"");
    let series = format!("madang_connections{{listener=\"{label}\"}}");
    assert_eq!(page.value(&series), 1.0);
}

#[test]
fn health_is_503_while_the_server_drains() {
    let flags = [&FLAGS[..], &["--drain", "600"]].concat();
    let (mut server, ann, mut bob) = ann_and_bob(&flags);
    let addr = server.metrics_addr();
    let healthy = get(addr, "/healthz", "*/*");
    assert_eq!((healthy.status, &*healthy.body), (200, "ok\n"));
    // Ann does not read, so that her output is not empty when the server ends.
    let line = format!("{}\n", "x".repeat(1000));
    for _ in 0..3_000 {
        bob.send(line.as_bytes());
    }
    bob.say("/quit");
    bob.rest();
    server.signal(Signal::TERM);
    until("it drains", || get(addr, "/healthz", "*/*").status == 503);
    let answer = get(addr, "/healthz", "*/*");
    assert_eq!((answer.status, &*answer.body), (503, "shutting down\n"));
    let page = page_of(addr);
    assert_eq!(page.value("madang_shutting_down"), 1.0);
    let listener = format!(
        "madang_connections{{listener=\"{}\"}}",
        server.listening()[0]
    );
    assert_eq!(page.value(&listener), 1.0);
    drop(ann);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn requests_are_answered_as_http_says() {
    let server = Server::start(&FLAGS);
    let addr = server.metrics_addr();
    let long = "x".repeat(8 * 1024);
    for (request, status) in [
        ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET http://a/metrics?x=y HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /metrics/x HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (
            "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            405,
        ),
        ("DELETE /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("GET /metrics HTTP/1.1\r\n\r\n", 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", 400),
        ("hello, is anybody there?\n", 400),
        (
            &format!("GET /metrics HTTP/1.1\r\nHost: a\r\nx: {long}\r\n\r\n"),
            431,
        ),
        (&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        ("GET /metrics HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ] {
        let mut http = Http::open(addr);
        http.send(request.as_bytes());
        let answer = http.answer(false);
        assert_eq!(answer.status, status, "{request:.60}");
        let allow = (status == 405).then_some("GET, HEAD");
        assert_eq!(answer.field("allow"), allow, "{request}");
        if answer.field("connection") == Some("close") {
            http.expect_end();
        }
    }
    let mut http = Http::open(addr);
    http.send(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = http.answer(true);
    let length: usize = head
        .field("content-length")
        .unwrap_or("")
        .parse()
        .expect("a length");
    assert!(head.status == 200 && length > 1000 && head.body.is_empty());
    // The connection goes on.
    http.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(http.answer(false).body, "ok\n");
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let server = Server::start(&FLAGS);
    let mut http = Http::open(server.metrics_addr());
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let paths = ["/healthz", "/metrics", "/none", "/metrics", "/healthz"];
    let requests: String = paths.into_iter().map(request).collect();
    http.send(requests.as_bytes());
    // A client may finish sending before it reads.
    http.finish();
    for (path, status) in paths.into_iter().zip([200, 200, 404, 200, 200]) {
        let answer = http.answer(false);
        assert_eq!(answer.status, status, "{path}");
        if path == "/metrics" {
            Page::parse(&answer.body, false);
        }
    }
    http.expect_end();
}

#[test]
fn more_than_sixteen_connections_are_refused_and_idle_ones_make_way() {
    let server = Server::start(&FLAGS);
    let addr = server.metrics_addr();
    let begun: Vec<_> = (0..16).map(|_| Http::begun(addr)).collect();
    let mut refused = Http::open(addr);
    refused.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = refused.answer(false);
    assert_eq!(
        (answer.status, answer.field("connection")),
        (503, Some("close"))
    );
    refused.expect_end();
    drop(begun);
    until("they have left", || Http::try_health(addr) == Some(200));
    // Connections that have been served, and might ask again.
    let mut idle = Vec::new();
    for _ in 0..16 {
        let mut http = Http::open(addr);
        http.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(http.answer(false).status, 200);
        idle.push(http);
    }
    // Those that have just been closed may not be gone yet.
    until("there are sixteen", || {
        page_of(addr).value("madang_http_connections") == 16.0
    });
    assert!(page_of(addr).value("madang_http_refused_total") >= 1.0);
    idle[0].expect_end();
}

#[test]
fn clients_of_the_page_that_trickle_or_never_read_are_closed_and_delay_nobody() {
    let (server, ann, mut bob) = ann_and_bob(&FLAGS);
    let addr = server.metrics_addr();
    let start = Instant::now();
    let stuck = std::thread::spawn(move || {
        let mut socket = TcpStream::connect(addr).expect("connect");
        socket
            .set_write_timeout(Some(DEADLINE))
            .expect("a deadline");
        let requests = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
        loop {
            if let Err(error) = socket.write_all(requests.as_bytes()) {
                return error.kind();
            }
        }
    });
    let mut trickle = Http::open(addr);
    let mut silent = Http::open(addr);
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut answer = None;
    for byte in request {
        trickle.send(&[*byte]);
        answer = trickle.answer_within(Duration::from_secs(1));
        if answer.is_some() {
            break;
        }
        ann.say("still here");
        bob.find("ann: still here");
        let asked = Instant::now();
        assert_eq!(get(addr, "/healthz", "*/*").status, 200);
        assert!(asked.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(answer.map(|answer| answer.status), Some(408));
    trickle.expect_end();
    silent.expect_end();
    let kind = stuck.join().expect("no panic");
    assert!(
        matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{kind:?}"
    );
    let took = start.elapsed();
    assert!(
        took > Duration::from_secs(9),
        "they had ten seconds: {took:?}"
    );
}

#[test]
fn a_path_serves_the_page_too() {
    let scratch = Scratch::new();
    let path = scratch.path("metrics.sock");
    let unix = format!("unix:{}", path.display());
    let mut server = Server::start(&["--metrics", &unix]);
    assert_eq!(server.listening()[1], format!("{unix} (metrics)"));
    let mut socket = UnixStream::connect(&path).expect("connect");
    socket
        .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        .expect("send");
    socket.shutdown(Shutdown::Write).expect("finish");
    let mut answer = String::new();
    socket
        .read_to_string(&mut answer)
        .expect("an answer and its end");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    Page::parse(body, false);
    server.shut_down();
    assert!(!path.exists());
}

#[test]
fn an_address_in_use_by_another_flag_is_an_error_that_names_both() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address").to_string();
    drop(free);
    let flags = ["--listen", &address, "--metrics", &address];
    let failure = Launch::new(&flags).fail();
    assert_eq!(failure.code, Some(1));
    let named = format!("cannot listen on {address}: --listen {address} includes it");
    assert!(failure.stderr.contains(&named), "{failure:?}");
}

#[test]
fn the_log_says_what_memory_is_the_sum_of_and_what_would_fit() {
    let flags = [
        "--max-clients",
        "10",
        "--max-rooms",
        "3",
        "--room-log",
        "1048576",
    ];
    let mut server = Server::start(&flags);
    server.shut_down();
    let log = server.whole_log();
    for part in [
        "room_logs=\"3 MiB: --max-rooms 3 x 1153 KiB, of which --room-log is 1024 KiB\"",
        "connections=\"11 MiB: --max-clients 10 and 24 more x 354 KiB, less with a smaller --max-line\"",
        "kernel=\"2 MiB more: --max-clients 10 x 256 KiB for --send-buffer and --recv-buffer\"",
    ] {
        assert!(log.contains(part), "{log}");
    }
    assert!(!log.contains("WARN"), "{log}");
    // No machine has two petabytes.
    let flags = ["--max-rooms", "1000000", "--room-log", "2147483648"];
    let mut server = Server::start(&flags);
    server.shut_down();
    let log = server.whole_log();
    assert!(
        log.contains("WARN") && log.contains("than there is: set --room-log "),
        "{log}"
    );
}

/// Every series that the dashboard asks for.
fn series_of_dashboard(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            let asked = fields.get("expr").and_then(|expr| expr.as_str());
            let words = asked
                .unwrap_or_default()
                .split(|c: char| !c.is_alphanumeric() && c != '_');
            let is_series =
                |word: &&str| word.starts_with("madang_") || word.starts_with("process_");
            found.extend(words.filter(is_series).map(str::to_owned));
            fields
                .values()
                .for_each(|value| series_of_dashboard(value, found));
        }
        serde_json::Value::Array(values) => {
            values
                .iter()
                .for_each(|value| series_of_dashboard(value, found));
        }
        _ => {}
    }
}

#[test]
fn the_dashboard_and_the_rules_ask_only_for_series_that_exist() {
    let text = fs::read_to_string("packaging/grafana-dashboard.json").expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!((8..=12).contains(&panels.len()));
    for panel in panels {
        let asks = panel["targets"].as_array().is_some_and(|it| !it.is_empty());
        let is_described = panel["description"]
            .as_str()
            .is_some_and(|it| it.ends_with('.'));
        assert!(asks && is_described, "{}", panel["title"]);
    }
    let mut asked = BTreeSet::new();
    series_of_dashboard(&dashboard, &mut asked);
    assert!(asked.len() > 20, "{asked:?}");
    let rules = fs::read_to_string("packaging/madang.rules.yml").expect("the rules");
    let words = rules.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("madang_") || word.starts_with("process_"));
    asked.extend(names.map(str::to_owned));
    let (server, _ann, _bob) = ann_and_bob(&FLAGS);
    let shown = page_of(server.metrics_addr()).sample_names();
    let unknown: Vec<_> = asked.difference(&shown).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// How a program has ended, and what it wrote.
fn ended(mut program: Program) -> (ExitStatus, Vec<String>, Vec<String>) {
    program.end_input();
    let (out, errors) = (program.rest(), program.complaints());
    (program.wait_exit(), out, errors)
}

#[test]
#[ignore = "needs promtool"]
fn promtool_accepts_the_page_and_the_rules() {
    let (server, _ann, _bob) = ann_and_bob(&FLAGS);
    let page = get(server.metrics_addr(), "/metrics", "*/*").body;
    let mut check = Program::start("promtool", &["check", "metrics"]);
    check.type_bytes(page.as_bytes());
    let (status, out, errors) = ended(check);
    assert!(
        status.success() && out.is_empty() && errors.is_empty(),
        "{out:?} {errors:?}"
    );
    let rules = ["check", "rules", "packaging/madang.rules.yml"];
    let (status, out, errors) = ended(Program::start("promtool", &rules));
    assert!(status.success(), "{out:?} {errors:?}");
}

#[test]
#[ignore = "needs curl"]
fn curl_reads_the_pages() {
    let server = Server::start(&FLAGS);
    let url = |path: &str| format!("http://{}{path}", server.metrics_addr());
    let curl = |arguments: &[&str]| ended(Program::start("curl", arguments));
    let (status, out, _) = curl(&["-sSf", &url("/metrics"), &url("/healthz")]);
    assert!(
        status.success() && out.last().is_some_and(|line| line == "ok"),
        "{out:?}"
    );
    assert!(out[0].starts_with("# HELP madang_"), "{out:?}");
    let (status, out, _) = curl(&["-sSfI", &url("/metrics")]);
    assert!(status.success() && out[0] == "HTTP/1.1 200 OK", "{out:?}");
    let (status, ..) = curl(&["-sf", "-d", "x", &url("/metrics")]);
    assert_eq!(status.code(), Some(22), "405 is an error to curl");
}
