//! Operators at the control listener: who reaches it, what they command while others flood, how the server ends for them.

use crate::common::{
    Client, DEADLINE, Launch, Next, Program, Scratch, Server, until, with_control,
};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// An operator that has been greeted.
fn operator(path: &Path) -> Client {
    let mut operator = Client::open_unix(path);
    let greeting = operator.line();
    assert!(
        greeting.ends_with(" in no room; /join ROOM enters one, /help lists commands"),
        "{greeting}"
    );
    operator
}

/// All that commands are answered, up to the end of the connection.
fn answers(path: &Path, commands: &str) -> Vec<String> {
    let mut operator = operator(path);
    operator.send(format!("{commands}\n/quit\n").as_bytes());
    operator.rest()
}

#[test]
fn only_the_server_s_user_can_connect_and_the_file_goes_with_the_server() {
    let (mut server, path, _scratch) = with_control(&[]);
    let file = fs::metadata(&path).expect("a socket");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let shown = format!("unix:{} (control)", path.display());
    assert_eq!(server.listening().last(), Some(&shown));
    let said = answers(&path, "hello");
    assert_eq!(
        said[0],
        "! line not sent: you are in no room; /join ROOM enters one"
    );
    assert_eq!(said[1], "* you left; goodbye");
    server.shut_down();
    assert!(!path.exists());
}

#[test]
fn a_control_socket_in_use_is_an_error_if_it_was_asked_for_and_a_warning_otherwise() {
    let (_server, path, scratch) = with_control(&[]);
    let place = format!("unix:{}", path.display());
    let failure = Launch::new(&["--control", &place]).fail();
    assert_eq!((failure.code, failure.stdout.lines().count()), (Some(1), 0));
    let why = format!("madang: cannot listen on {place}: another server is listening there\n");
    assert!(failure.stderr.ends_with(&why), "{}", failure.stderr);
    // The default place of a service.
    let directory = path.parent().unwrap().to_str().unwrap();
    let second = Launch::new(&[]).env("RUNTIME_DIRECTORY", directory).start();
    let warned = || second.log().contains("no control listener");
    until("a warning", warned);
    drop(second);
    // One that a dead server has left is replaced.
    let left = scratch.path("left.sock");
    drop(UnixListener::bind(&left).unwrap());
    let server = Server::start(&["--control", &format!("unix:{}", left.display())]);
    assert!(answers(&left, "/bans").contains(&"* bans: 0".to_owned()));
    drop(server);
    let failure = Launch::new(&["--control", "127.0.0.1:0"]).fail();
    assert_eq!(failure.code, Some(2));
    assert!(
        failure.stderr.contains("write unix:PATH, or none"),
        "{}",
        failure.stderr
    );
}

#[test]
fn without_the_flag_it_is_where_the_session_or_the_service_has_a_place() {
    let scratch = Scratch::new();
    let session = scratch.path("session");
    fs::create_dir(&session).unwrap();
    let session = session.to_str().unwrap();
    let server = Launch::new(&[])
        .env("XDG_RUNTIME_DIR", session)
        .listeners(2)
        .start();
    let path = PathBuf::from(session).join("madang/control.sock");
    assert_eq!(
        fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777,
        0o700
    );
    assert!(!answers(&path, "/clients").is_empty());
    drop(server);
    let none = Launch::new(&["--control", "none"])
        .env("XDG_RUNTIME_DIR", session)
        .start();
    Client::connect(none.addr());
    assert!(!none.log().contains("control"), "{}", none.log());
    let missing = scratch.path("missing");
    let none = Launch::new(&[])
        .env("XDG_RUNTIME_DIR", missing.to_str().unwrap())
        .start();
    Client::connect(none.addr());
    assert!(
        !none.log().contains("control") && !missing.exists(),
        "{}",
        none.log()
    );
}

#[test]
fn a_flooding_client_is_kicked_and_the_others_hear_on() {
    let (server, path, _scratch) = with_control(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let flooder = Client::connect_named(server.addr(), "loud");
    let mut writer = flooder.writer();
    let flood = std::thread::spawn(move || {
        let lines = "all I can say\n".repeat(1000);
        while std::io::Write::write_all(&mut writer, lines.as_bytes()).is_ok() {}
    });
    ann.find("loud: all I can say");
    let said = answers(&path, "/kick loud enough\n/kick loud");
    assert_eq!(said[0], "* closed the connection of loud");
    assert!(said[1].starts_with("! not done: "), "{said:?}");
    // A client that floods has not read for long: other tests see that it is told why. It is gone.
    flood.join().expect("its writes fail");
    drop(flooder);
    ann.find("* left: loud (1 here)");
    ann.say("/who");
    ann.find("* here in lobby: ann (1)");
    until("the kick is logged", || {
        server.log().contains("kicked loud")
    });
    let log = server.log();
    assert!(
        log.contains("what=\"kicked loud (connection 2): enough\""),
        "{log}"
    );
    assert!(
        log.contains("reason=\"kicked\"") && log.contains("uid="),
        "{log}"
    );
}

#[test]
fn a_ban_closes_and_refuses_an_address_until_it_is_lifted() {
    let (server, path, _scratch) = with_control(&[]);
    let near = "127.0.0.1".parse().unwrap();
    let mut ann = Client::open_from(near, server.addr());
    ann.expect_start("* you are ");
    let other = "127.0.0.2".parse().unwrap();
    let mut bob = Client::open_from(other, server.addr());
    bob.expect_start("* you are ");
    let said = answers(&path, "/ban 127.0.0.2 1h too loud\n/bans");
    let ends = "ends in 1h, or when the server does, since it has no --state";
    assert_eq!(
        said[0],
        format!("* banned 127.0.0.2: {ends}; connections closed: 1")
    );
    assert!(
        said[1].starts_with("* ban 127.0.0.2: ends in ") && said[1].contains("why too loud"),
        "{said:?}"
    );
    bob.find("! an operator has banned your address; it ends in 1h: too loud");
    bob.expect_end();
    let mut again = Client::open_from(other, server.addr());
    again.expect_start("! an operator has banned your address; it ends in ");
    again.expect_end();
    ann.say("/who");
    ann.find("* here in lobby: guest1 (1)");
    let said = answers(
        &path,
        "/bans\n/unban 127.0.0.2\n/ban 0.0.0.0/0\n/ban guest1",
    );
    assert!(said[0].contains("hits 1, "), "{said:?}");
    assert_eq!(said[2], "* 127.0.0.2 is not banned any more");
    assert!(said[3].contains("is all addresses"), "{said:?}");
    ann.find("! an operator has banned your address; it ends never");
    Client::open_from(other, server.addr()).expect_start("* you are ");
}

#[test]
fn many_clients_are_listed_while_they_flood() {
    let (server, path, _scratch) = with_control(&[]);
    let clients: Vec<Client> = (0..200).map(|_| Client::open(server.addr())).collect();
    let mut ann = Client::connect_named(server.addr(), "ann");
    let talkers = clients.iter().take(4).map(Client::writer);
    let floods: Vec<_> = talkers
        .map(|mut writer| {
            std::thread::spawn(move || {
                let lines = "all I can say\n".repeat(1000);
                while std::io::Write::write_all(&mut writer, lines.as_bytes()).is_ok() {}
            })
        })
        .collect();
    loop {
        match ann.next(DEADLINE) {
            Next::Line(line) if line.contains("all I can say") => break,
            Next::Line(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let said = answers(&path, "/clients");
    let listed = said
        .iter()
        .filter(|line| line.starts_with("* client "))
        .count();
    assert_eq!(listed, 202);
    assert_eq!(said[202], "* clients: 202 listed of 202 connected");
    let of_ann = said
        .iter()
        .find(|line| line.contains("name ann, room lobby, address 127.0.0.1:"));
    assert!(
        of_ann.is_some_and(|line| line.ends_with(&format!("listener {}", server.addr()))),
        "{said:?}"
    );
    drop((clients, server));
    floods
        .into_iter()
        .for_each(|flood| flood.join().expect("its writes fail"));
}

#[test]
fn a_drained_server_ends_when_its_clients_have_left() {
    let (mut server, path, _scratch) = with_control(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut operator = operator(&path);
    operator.say("/drain");
    operator.expect("* no newcomers any more; the server ends when all have left; clients: 1");
    let mut bob = Client::open(server.addr());
    bob.expect(
        "! the server takes no newcomers any more: it ends when those who are here have left",
    );
    bob.expect_end();
    ann.say("/quit");
    operator.expect("* server is shutting down");
    operator.expect_end();
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn an_operator_ends_the_server() {
    let (mut server, path, _scratch) = with_control(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let said = answers(&path, "/say good night\n/shutdown");
    assert_eq!(said[0], "* announced; rooms: 1");
    assert!(
        said.contains(&"* server is shutting down".to_owned()),
        "{said:?}"
    );
    ann.find("* announcement: good night");
    ann.find("* server is shutting down");
    ann.expect_end();
    assert_eq!(server.wait_exit().code(), Some(0));
    until("the log says who has ended the server", || {
        server.log().contains("what=\"shuts the server down\"")
    });
}

#[test]
fn the_host_at_the_console_is_an_operator() {
    let mut server =
        Launch::in_shell("printf '/mute guest1\\n/drain\\n' | ", "", &["--console"]).start_silent();
    assert_eq!(server.wait_exit().code(), Some(0));
    let log = server.log();
    assert!(log.contains("operator=\"host\""), "{log}");
    assert!(
        log.contains("what=\"drains the server of 0 clients\""),
        "{log}"
    );
}

#[test]
fn the_terminal_client_joins_the_control_listener() {
    let (_server, path, _scratch) = with_control(&[]);
    let mut join = Program::join(format!("unix:{}", path.display()), &[]);
    join.type_line("/bans");
    join.type_line("/join lobby");
    join.type_line("hello");
    join.end_input();
    let said = join.rest();
    assert!(said.contains(&"* bans: 0".to_owned()), "{said:?}");
    assert!(
        said.contains(&"* you are in lobby (1 here)".to_owned()),
        "{said:?}"
    );
    assert!(join.wait_exit().success(), "{:?}", join.complaints());
}

#[test]
#[ignore = "needs nc (OpenBSD)"]
fn nc_is_answered_in_full() {
    let (server, path, _scratch) = with_control(&[]);
    let _ann = Client::connect_named(server.addr(), "ann");
    let mut nc = Program::start("nc.openbsd", &["-N", "-U", path.to_str().unwrap()]);
    nc.type_bytes(b"/clients\n/stats\n/quit\n");
    nc.end_input();
    let said = nc.rest();
    assert!(
        said.iter().any(|line| line.contains("name ann, ")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|line| line.starts_with("* figure madang_lines_total: ")),
        "{said:?}"
    );
    assert_eq!(said.last().map(String::as_str), Some("* you left; goodbye"));
    assert!(nc.wait_exit().success());
}

#[test]
fn a_ban_survives_a_restart_until_it_is_lifted() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let flags = ["--state", state.to_str().expect("UTF-8")];
    let (mut server, path, _place) = with_control(&flags);
    let mut first = operator(&path);
    first.say("/ban 192.0.2.0/24 2h too loud");
    first.expect("* banned 192.0.2.0/24: ends in 2h; connections closed: 0");
    server.shut_down();

    let (mut server, path, _place) = with_control(&flags);
    let mut second = operator(&path);
    second.say("/bans");
    let line = second.expect_start("* ban 192.0.2.0/24: ends in ");
    assert!(line.ends_with(", hits 0, why too loud"), "{line}");
    second.expect("* bans: 1");
    second.say("/unban 192.0.2.0/24");
    second.expect("* 192.0.2.0/24 is not banned any more");
    server.shut_down();

    let (_server, path, _place) = with_control(&flags);
    let mut third = operator(&path);
    third.say("/bans");
    third.expect("* bans: 0");
}

#[test]
fn a_ban_that_no_keeper_can_store_is_refused_and_does_not_hold() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let (server, path, _place) = with_control(&["--state", state.to_str().expect("UTF-8")]);
    let mut operator = operator(&path);
    // No other keeper can be started without the folder.
    fs::rename(&state, scratch.path("moved")).expect("rename");
    let keeper = server.keeper().and_then(|id| Pid::from_raw(id as i32));
    kill_process(keeper.expect("a keeper"), Signal::KILL).expect("the keeper is there");
    operator.say("/ban 192.0.2.7");
    operator.expect_start("! not done: ");
    operator.say("/bans");
    operator.expect("* bans: 0");
}
