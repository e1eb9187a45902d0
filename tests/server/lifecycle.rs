//! How a server starts, restarts and exits, and that it runs without usable standard streams.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Client, DEADLINE, Launch, Next, Scratch, Server, free_port, has_ipv6, until};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

/// Lines of a backlog: too many for the socket buffers, too few to be skipped.
const BACKLOG_LINES: usize = 3000;

/// A server with this `--drain`, a client that has read all lines of a third one, and one that has read none.
fn with_backlog(drain: &str) -> (Server, Client, Client) {
    let server = Server::start(&["--drain", drain, "--announce-limit", "0"]);
    let talker = Client::connect_named(server.addr(), "talker");
    let mut healthy = Client::connect(server.addr());
    let late = Client::open_narrow(server.addr()).greeted();
    let text = "-".repeat(200);
    for count in 0..BACKLOG_LINES {
        talker.say(&format!("{count} {text}"));
    }
    for _ in 0..BACKLOG_LINES {
        healthy.line();
    }
    (server, healthy, late)
}

#[test]
fn sigterm_and_sigint_notify_clients_and_exit_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let mut ann = Client::connect_named(server.addr(), "ann");
        let mut bob = Client::connect_named(server.addr(), "bob");
        ann.say("before the end");
        bob.expect("ann: before the end");
        server.signal(signal);
        for client in [&mut ann, &mut bob] {
            client.expect("* server is shutting down");
            client.expect_end();
        }
        assert_eq!(server.wait_exit().code(), Some(0));
    }
}

#[test]
fn a_server_without_clients_exits_at_once() {
    // The signal may come as soon as the server says that it listens.
    for _ in 0..20 {
        Server::start(&["--drain", "60"]).shut_down();
    }
}

#[test]
fn shutdown_flushes_pending_output_to_a_slow_reader() {
    let (mut server, mut healthy, mut late) = with_backlog("20");
    server.signal(Signal::TERM);
    healthy.expect("* server is shutting down");
    healthy.expect_end();
    // The server is still flushing, but no longer accepts.
    assert!(
        TcpStream::connect(server.addr()).is_err(),
        "the server accepts during shutdown"
    );
    // The notice is private output of each client, so it may come between any two lines of the room.
    let rest = late.rest().into_iter();
    let (notices, pending): (Vec<_>, Vec<_>) = rest.partition(|line| line.starts_with('*'));
    assert_eq!(notices, ["* server is shutting down"]);
    assert_eq!(pending.len(), BACKLOG_LINES, "{:?}", pending.last());
    for (count, line) in pending.iter().enumerate() {
        assert!(line.starts_with(&format!("talker: {count} ")), "{line}");
    }
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn shutdown_takes_no_longer_than_drain() {
    let (mut server, _healthy, _late) = with_backlog("1");
    let started = Instant::now();
    server.shut_down();
    let took = started.elapsed();
    assert!(
        took > Duration::from_millis(900) && took < Duration::from_secs(5),
        "the shutdown took {took:?}"
    );
}

#[test]
fn a_second_signal_exits_at_once() {
    let (mut server, mut healthy, _late) = with_backlog("600");
    server.signal(Signal::TERM);
    healthy.expect("* server is shutting down");
    server.signal(Signal::TERM);
    server.wait_exit();
}

#[test]
fn the_port_can_be_bound_again_at_once() {
    let mut server = Server::start(&[]);
    let addr = server.addr();
    for signal in [Signal::TERM, Signal::KILL, Signal::TERM] {
        let mut ann = Client::connect_named(addr, "ann");
        server.signal(signal);
        server.wait_exit();
        // The server closed first, so its side of the connection keeps the port in TIME_WAIT.
        server = Server::start(&["--listen", &addr.to_string()]);
        ann.rest_or_reset();
        assert_eq!(server.addr(), addr);
        assert_eq!(Client::connect(addr).name(), "guest1");
    }
}

#[test]
fn a_stale_unix_socket_is_replaced() {
    let scratch = Scratch::new();
    let path = scratch.path("stale.sock");
    drop(UnixListener::bind(&path).expect("bind"));
    assert!(path.exists());
    let server = Server::start(&["--listen", &format!("unix:{}", path.display())]);
    assert_eq!(Client::open_unix(&path).greeted().name(), "guest1");
    drop(server);
    // A killed server leaves its socket file behind.
    let _again = Server::start(&["--listen", &format!("unix:{}", path.display())]);
    assert_eq!(Client::open_unix(&path).greeted().name(), "guest1");
}

/// Exit 1, nothing on standard output, and one line on standard error that names `what`.
#[track_caller]
fn assert_refused_to_start(flag: &str, place: &str, what: &str) {
    let failure = Launch::new(&[flag, place]).fail();
    assert_eq!(failure.code, Some(1), "{failure:?}");
    assert_eq!(failure.stdout, "");
    assert_eq!(failure.stderr.lines().count(), 1, "{failure:?}");
    assert!(failure.stderr.contains(what), "no {what} in {failure:?}");
    assert!(!failure.stderr.contains("panicked"), "{failure:?}");
}

#[test]
fn a_taken_port_is_one_line_on_stderr_and_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = taken.local_addr().expect("an address").to_string();
    assert_refused_to_start("--listen", &addr, &addr);
    let server = Server::start(&[]);
    let addr = server.addr().to_string();
    assert_refused_to_start("--listen", &addr, &addr);
    assert_refused_to_start("--listen-raw", &addr, &addr);
}

#[test]
fn an_address_of_another_machine_is_one_line_on_stderr_and_exit_1() {
    // An address reserved for documentation (RFC 5737), which no machine has.
    assert_refused_to_start("--listen", "192.0.2.1:0", "192.0.2.1:0");
}

#[test]
fn an_address_given_twice_is_listened_on_once() {
    let addr = format!("127.0.0.1:{}", free_port());
    let launch = Launch::new(&["--listen", &addr, "--listen", &addr]);
    let mut server = launch.listeners(1).start();
    assert_eq!(server.addr().to_string(), addr);
    assert_eq!(Client::connect(server.addr()).name(), "guest1");
    server.shut_down();
}

#[test]
fn ipv4_and_ipv6_wildcards_share_a_port() {
    if !has_ipv6() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    for first_is_ipv6 in [false, true] {
        let port = free_port();
        let mut both = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
        if first_is_ipv6 {
            both.reverse();
        }
        let _server = Server::start(&["--listen", &both[0], "--listen", &both[1]]);
        for host in ["127.0.0.1", "[::1]"] {
            let addr = format!("{host}:{port}").parse().expect("an address");
            assert!(Client::connect(addr).name().starts_with("guest"));
        }
    }
}

#[test]
fn flags_that_overlap_are_named_and_no_other_program_is_blamed() {
    let port = free_port();
    let [wildcard, host] = ["0.0.0.0", "127.0.0.1"].map(|host| format!("{host}:{port}"));
    let failure = Launch::new(&["--listen", &wildcard, "--listen-raw", &host]).fail();
    assert_eq!(failure.code, Some(1), "{failure:?}");
    for part in [&*host, &format!("--listen {wildcard}")] {
        assert!(failure.stderr.contains(part), "{failure:?}");
    }
    assert!(!failure.stderr.contains("other program"), "{failure:?}");
}

#[test]
fn sighup_without_a_file_and_sigusr_are_logged_and_change_nothing() {
    let mut server = Server::start(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    for (signal, logged) in [
        (Signal::HUP, "reload: nothing has changed"),
        (Signal::USR1, "signal=10"),
        (Signal::USR2, "signal=12"),
    ] {
        server.signal(signal);
        until(logged, || server.log().contains(logged));
        ann.say("/who");
        ann.expect("* here in lobby: ann (1)");
    }
    server.shut_down();
}

#[test]
fn a_hang_up_that_is_ignored_stays_ignored() {
    let mut server = Launch::in_shell("trap '' HUP;", "", &[]).start();
    server.signal(Signal::HUP);
    server.signal(Signal::USR1);
    until("the second signal is logged", || {
        server.log().contains("signal=10")
    });
    assert!(!server.log().contains("reload"), "{}", server.log());
    server.shut_down();
}

#[test]
fn a_hang_up_ends_a_server_with_a_console_politely() {
    let (input, _keeps_open) = pipe().expect("a pipe");
    let mut server = Launch::new(&["--console"]).stdin(input).start();
    let mut ann = Client::connect_named(server.addr(), "ann");
    // A shell and the kernel may both send it.
    server.signal(Signal::HUP);
    server.signal(Signal::HUP);
    ann.expect("* server is shutting down");
    ann.expect_end();
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn a_socket_file_that_another_program_put_there_is_kept() {
    let scratch = Scratch::new();
    let path = scratch.path("replaced.sock");
    let mut server = Server::start(&["--listen", &format!("unix:{}", path.display())]);
    fs::remove_file(&path).expect("remove");
    let _other = UnixListener::bind(&path).expect("bind");
    server.shut_down();
    let _client = Client::open_unix(&path);
}

#[test]
#[ignore = "needs strace"]
fn two_servers_that_start_together_leave_one_that_can_be_reached() {
    let scratch = Scratch::new();
    let path = scratch.path("race.sock");
    let place = format!("unix:{}", path.display());
    // The first server stays between bind(2) and listen(2) for longer than the second waits for it.
    let delay = "-f -o /dev/null -e trace=listen -e inject=listen:delay_enter=3000000";
    let arguments: Vec<&str> = delay.split(' ').collect();
    let first = Launch::under("strace", &arguments, &["--listen", &place]);
    let first = std::thread::spawn(|| first.fail());
    until("the first server has bound its socket", || path.exists());
    let _second = Server::start(&["--listen", &place]);
    let failure = first.join().expect("no panic");
    assert_eq!(failure.code, Some(1), "{failure:?}");
    assert!(failure.stderr.contains("replaced the file"), "{failure:?}");
    assert_eq!(Client::open_unix(&path).greeted().name(), "guest1");
}

#[test]
fn a_unix_path_in_use_or_not_a_socket_is_kept() {
    let scratch = Scratch::new();
    let live = scratch.path("live.sock");
    let listener = UnixListener::bind(&live).expect("bind");
    let place = format!("unix:{}", live.display());
    assert_refused_to_start("--listen", &place, "live.sock");
    listener.set_nonblocking(true).expect("nonblocking");
    while listener.accept().is_ok() {}
    let _client = Client::open_unix(&live);
    assert!(listener.accept().is_ok(), "the live listener was replaced");

    let file = scratch.path("file");
    fs::write(&file, "precious").expect("write");
    let place = format!("unix:{}", file.display());
    assert_refused_to_start("--listen", &place, "file");
    assert_eq!(fs::read_to_string(&file).expect("still there"), "precious");

    let place = format!("unix:{}", scratch.path("no/such/directory").display());
    assert_refused_to_start("--listen", &place, "no/such/directory");
}

/// Makes the server do what it logs: lines, refusals, connections, disconnections, resets, and its shutdown.
fn assert_serves(mut server: Server) {
    let mut ann = Client::connect_named(server.addr(), "ann");
    for round in 0..100 {
        let mut bob = Client::connect(server.addr());
        bob.say("hello");
        ann.expect(&format!("{}: hello", bob.name()));
        ann.send(b"\xfe\n");
        ann.expect("! line not sent: not UTF-8 at byte 1");
        ann.say(&format!("round {round}"));
        bob.expect(&format!("ann: round {round}"));
        if round % 2 == 0 {
            bob.reset();
        }
    }
    server.shut_down();
}

#[test]
fn the_server_runs_with_standard_error_closed() {
    assert_serves(Launch::in_shell("", "2>&-", &["--log-level", "trace"]).start());
}

#[test]
fn the_server_runs_with_a_full_device_as_standard_error() {
    let full = OpenOptions::new().write(true).open("/dev/full");
    let launch = Launch::new(&["--log-level", "trace"]);
    assert_serves(launch.stderr(full.expect("/dev/full")).start());
}

/// A pipe that is full, so that the next blocking write would block.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().expect("pipe");
    let blocking = fcntl_getfl(&writer).expect("flags");
    fcntl_setfl(&writer, blocking | OFlags::NONBLOCK).expect("flags");
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    fcntl_setfl(&writer, blocking).expect("flags");
    (reader, writer)
}

#[test]
fn the_server_runs_with_a_full_pipe_as_standard_error() {
    for format in ["text", "json"] {
        let (mut reader, writer) = full_pipe();
        let flags = ["--log-level", "trace", "--log-format", format];
        assert_serves(Launch::new(&flags).stderr(writer).start());
        // The test is valid only if the pipe stayed full.
        let mut left = Vec::new();
        reader.read_to_end(&mut left).expect("read");
        assert!(
            left.len() >= 4096 && left.iter().all(|&byte| byte == b'.'),
            "the pipe took a log line"
        );
    }
}

#[test]
fn each_log_message_is_one_line_of_text_or_json() {
    for (format, is_json) in [("text", false), ("json", true)] {
        let scratch = Scratch::new();
        let path = scratch.path("log");
        let log = File::create(&path).expect("a file");
        let flags = ["--log-level", "debug", "--log-format", format];
        let mut server = Launch::new(&flags).stderr(Stdio::from(log)).start();
        drop(Client::connect_named(server.addr(), "ann"));
        server.shut_down();
        let log = fs::read_to_string(&path).expect("a log");
        assert!(!log.is_empty(), "nothing was logged");
        assert!(!log.contains('\u{1b}'), "colours in a file: {log}");
        for line in log.lines() {
            assert_eq!(
                line.starts_with('{') && line.ends_with('}'),
                is_json,
                "{line}"
            );
        }
    }
}

#[test]
fn the_server_runs_with_standard_input_and_output_closed() {
    // Without standard output the test cannot read a port, so the server listens on a path.
    let scratch = Scratch::new();
    let path = scratch.path("quiet.sock");
    let place = format!("unix:{}", path.display());
    let server = Launch::in_shell("", "0<&- 1>&-", &["--listen", &place]).start_silent();
    until("the server listens", || {
        path.exists() && std::os::unix::net::UnixStream::connect(&path).is_ok()
    });
    let mut client = Client::open_unix(&path).greeted();
    client.say("/rooms");
    assert!(matches!(client.next(DEADLINE), Next::Line(_)));
    drop(server);
}

#[test]
fn a_blocked_console_does_not_block_shutdown() {
    let (output, writer) = pipe().expect("a pipe");
    let flags = "serve --console --listen 127.0.0.1:0 --drain 1";
    let mut child = Command::new(env!("CARGO_BIN_EXE_madang"))
        .args(flags.split(' '))
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .expect("spawn");
    let mut first = String::new();
    let mut output = BufReader::with_capacity(64, output);
    output.read_line(&mut first).expect("a line");
    let addr = first.trim_end().strip_prefix("listening on ");
    let addr = addr.and_then(|addr| addr.parse().ok()).expect("an address");
    let mut ann = Client::connect_named(addr, "ann");
    // More than fits into the pipe, the console and the sockets between console and server.
    for _ in 0..5000 {
        ann.say(&"x".repeat(500));
    }
    ann.say("/nick bob");
    ann.expect("* you are now bob");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal");
    let mut status = None;
    until("the server exits", || {
        status = child.try_wait().expect("wait");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()));
}
