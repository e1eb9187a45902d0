//! Names that are somebody's own, over real sockets and with a real keeper: what lasts, what is refused, who is an operator
//! by its name, and that `madang join` comes back under its name by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::{Client, Launch, Program, Scratch, Server, until};
use madang::keeper::Change;
use madang::net::keeper::Keeper;
use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_madang");

/// A server that keeps what must last in this folder.
fn serve(state: &Path, flags: &[&str]) -> Server {
    let state = state.display().to_string();
    Server::start(&[&["--state", &state], flags].concat())
}

/// Registers the client's name. Returns the command by which its owner takes it from elsewhere.
fn register(client: &mut Client) -> String {
    client.say("/register");
    let told = client.expect_start("* registered: ");
    let (_, command) = told
        .split_once("it is not shown again: ")
        .expect("a command");
    assert!(
        command.starts_with(&format!("/login {} ", client.name())),
        "{told}"
    );
    command.into()
}

/// `madang join` with its state in this folder.
fn join(state: &Path, address: impl ToString, flags: &[&str]) -> Program {
    let state = format!("XDG_STATE_HOME={}", state.display());
    let address = address.to_string();
    Program::start(
        "env",
        &[&[&*state, PROGRAM, "join", &address], flags].concat(),
    )
}

#[test]
fn a_registered_name_is_its_owner_s_beyond_a_restart() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let mut server = serve(&state, &[]);
    let mut kim = Client::connect_named(server.addr(), "kim");
    let login = register(&mut kim);
    drop(kim);
    server.shut_down();
    let file = fs::read_to_string(state.join("state")).expect("the state");
    let (_, token) = login.rsplit_once(' ').expect("a token");
    assert!(
        file.contains("\tname\tkim\t") && !file.contains(token),
        "{file}"
    );
    assert!(!server.whole_log().contains(token));

    let server = serve(&state, &[]);
    let mut lee = Client::connect(server.addr());
    for name in ["kim", "KIM"] {
        lee.say(&format!("/nick {name}"));
        let told = lee.expect_start("! name not changed: ");
        assert!(told.contains("/login kim TOKEN takes"), "{told}");
    }
    let mut thief = Client::connect(server.addr());
    thief.say("/login kim abcdefghijkmnpqrstuvwxyzab");
    thief.find("! name not changed: kim is not registered with that token or certificate");
    lee.say(&login);
    lee.find("* you are now kim");
    // The same person comes from elsewhere, and the first connection goes on as a guest.
    let mut again = Client::connect(server.addr());
    again.say(&login);
    again.find("* you are now kim");
    lee.find("* you have lost kim to its owner, and are guest4 from here on");
    lee.say("hello");
    again.find("guest4: hello");
    again.say("/unregister");
    again.find("* unregistered: kim is nobody's own any more");
}

#[test]
fn a_server_that_keeps_nothing_registers_nothing() {
    let server = Server::start(&[]);
    let mut kim = Client::connect_named(server.addr(), "kim");
    kim.say("/register");
    kim.expect(
        "! not registered: this server keeps nothing beyond its end; its operator can give it a folder with --state",
    );
    // Piped in one go, with the end of input.
    let lee = Client::connect(server.addr());
    lee.send(b"/nick lee\n/register\nand more\n");
    lee.finish();
    kim.find("lee: and more");
}

#[test]
fn whatever_is_killed_a_person_that_was_told_its_token_has_its_name() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    // In each run the server is killed at another moment.
    for run in 0..12 {
        let name = format!("kim{run}x");
        let server = serve(&state, &[]);
        let keeper = Pid::from_raw(server.keeper().expect("a keeper") as i32).expect("a process");
        let mut kim = Client::connect_named(server.addr(), &name);
        if run % 3 == 0 {
            // What is asked of it stays in the socket.
            kill_process(keeper, Signal::STOP).expect("stop");
        }
        kim.say("/register");
        let told = match run % 3 {
            2 => Some(kim.expect_start("* registered: ")),
            _ => None,
        };
        server.signal(Signal::KILL);
        drop(server);
        let _ = kill_process(keeper, Signal::CONT);

        // Once the former keeper has ended, the folder is free.
        let mut server = None;
        until("the folder is free", || {
            let folder = state.display().to_string();
            let launched = Launch::new(&["--state", &folder]);
            if fs::read_dir(format!("/proc/{}", keeper.as_raw_nonzero())).is_ok() {
                return false;
            }
            server = Some(launched.start());
            true
        });
        let server = server.expect("a server");
        let mut lee = Client::connect(server.addr());
        match told {
            Some(told) => {
                let (_, login) = told.split_once("shown again: ").expect("a command");
                lee.say(login);
                lee.find(&format!("* you are now {name}"));
            }
            None => {
                lee.say(&format!("/nick {name}"));
                let answer = lee.line();
                let is_whole = answer == format!("* you are now {name}")
                    || answer.contains(&format!("{name} is registered"));
                assert!(is_whole, "{answer}");
            }
        }
    }
}

#[test]
fn names_that_nobody_has_used_for_long_expire() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let today = now.as_secs() / 86_400;
    let (mut keeper, _) = Keeper::start_program(Path::new(PROGRAM), &state).expect("a keeper");
    for (name, day) in [("old", today - 31), ("young", today - 30)] {
        let value = format!("{} - 192.0.2.1 {day}", "00".repeat(32));
        let (kind, key) = ("name".into(), name.into());
        keeper.store(1, &Change::Put { kind, key, value });
        until("it is kept", || {
            keeper.ready();
            keeper.next_answer().is_some()
        });
    }
    drop(keeper);
    let mut server = serve(&state, &["--names-keep", "30"]);
    let what = "expired: nobody has used it for --names-keep days";
    until("a name expires", || server.log().contains(what));
    let mut lee = Client::connect(server.addr());
    lee.say("/nick young");
    lee.expect_start("! name not changed: young is registered");
    lee.say("/nick old");
    lee.expect("* you are now old");
    drop(lee);
    server.shut_down();
    let (_, entries) = Keeper::start_program(Path::new(PROGRAM), &state).expect("a keeper");
    let names: Vec<&str> = entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(names, ["young"]);
}

#[test]
fn an_operator_by_name_has_the_commands_as_long_as_the_configuration_says_so() {
    let scratch = Scratch::new();
    let (config, control) = (scratch.path("madang.toml"), scratch.path("control.sock"));
    let text = |operators: &str| {
        format!(
            "listen = \"127.0.0.1:0\"\ncontrol = \"unix:{}\"\nstate = \"{}\"\noperator = [{operators}]\n",
            control.display(),
            scratch.path("state").display()
        )
    };
    fs::write(&config, text("\"boss\"")).expect("write");
    let server = Launch::new(&["--config", &config.display().to_string()])
        .listeners(2)
        .start();
    // Nobody else can register the name first.
    let mut thief = Client::connect(server.addr());
    thief.say("/nick boss");
    thief.expect_start("! name not changed: boss is kept for an operator");
    let mut boss = Client::open_unix(&control);
    boss.find("* you are guest2 in no room; /join ROOM enters one, /help lists commands");
    boss = boss.named("boss");
    let login = register(&mut boss);
    drop(boss);

    let mut far = Client::connect(server.addr());
    far.say("/bans");
    far.expect("! /bans is only for operators");
    far.say(&login);
    far.find("* you are an operator as long as you have this name; /help lists what you can do");
    far.say("/ban 192.0.2.0/24 1h an example");
    far.expect_start("* banned 192.0.2.0/24: ends in 1h; connections closed: 0");
    far.say("/bans");
    far.expect_start("* ban 192.0.2.0/24: ends in");
    far.expect("* bans: 1");
    fs::write(&config, text("")).expect("write");
    server.signal(Signal::HUP);
    far.find("* you are no operator any more");
    far.say("/bans");
    far.expect("! /bans is only for operators");
    until("the end of it is logged", || {
        server.log().contains("operator: [\"boss\"] -> ")
    });
    let log = server.log();
    assert!(log.contains("is an operator from here on") && log.contains("operator=\"boss\""));
}

#[test]
fn users_of_this_machine_have_their_names_at_its_unix_socket() {
    let id = Command::new("id").arg("-un").output().expect("id");
    let user = String::from_utf8(id.stdout)
        .expect("UTF-8")
        .trim()
        .to_owned();
    let scratch = Scratch::new();
    let unix = format!("unix:{}", scratch.path("chat.sock").display());
    let listen = ["--listen", "127.0.0.1:0", "--listen", &unix];
    let server = Server::start(&[&listen[..], &["--trust-peer-uid"]].concat());
    let mut me = Client::open_unix(&server.unix_path());
    me.expect(&format!(
        "* you are {user} in lobby (1 here); /help lists commands"
    ));
    let mut other = Client::connect(server.addr());
    other.say(&format!("/nick {user}"));
    other.find(&format!(
        "! name not changed: {user} is kept for a user of the server's machine, who connects there by its Unix socket"
    ));
    let mut second = Client::open_unix(&server.unix_path());
    second.find(&format!(
        "* you are {user} on another connection; /login {user} takes the name from there"
    ));
    second.say(&format!("/login {user}"));
    second.find(&format!("* you are now {user}"));
    me.find(&format!(
        "* you have lost {user} to its owner, and are guest3 from here on"
    ));
    // A reload reads the users again; the sandbox lets it.
    server.signal(Signal::HUP);
    until("reloaded", || {
        server.log().contains("reload: nothing has changed")
    });
}

#[test]
fn join_keeps_the_token_and_logs_in_by_itself() {
    let scratch = Scratch::new();
    let server = serve(&scratch.path("state"), &[]);
    let home = scratch.path("home");
    let mut pipe = join(&home, server.addr(), &["--nick", "kim"]);
    pipe.type_line("/register");
    let told = pipe.find("registered", |line| line.starts_with("* registered: "));
    pipe.end_input();
    assert!(pipe.wait_exit().success());
    let (_, token) = told.rsplit_once(' ').expect("a token");

    let file = home
        .join("madang/tokens")
        .join(server.addr().to_string())
        .join("kim");
    assert_eq!(
        fs::read_to_string(&file).expect("a token"),
        format!("kim {token}\n")
    );
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    for folder in file.ancestors().skip(1).take(3) {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    // By its name, and by no other. Without a name a script is a guest.
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut pipe = join(&home, server.addr(), &["--nick", "kim"]);
    pipe.type_line("again");
    pipe.end_input();
    assert!(pipe.wait_exit().success());
    ann.find("kim: again");
    assert!(!pipe.rest().iter().any(|line| line.contains(token)));
    let mut pipe = join(&home, server.addr(), &[]);
    pipe.type_line("a guest");
    pipe.end_input();
    assert!(pipe.wait_exit().success());
    let said = ann.find(&format!("guest{}: a guest", 4));
    assert!(!said.iter().any(|line| line.contains("kim: a guest")));
}

#[test]
fn a_refused_login_ends_a_pipe_with_status_1_and_says_nothing_under_another_name() {
    let scratch = Scratch::new();
    let server = serve(&scratch.path("state"), &[]);
    let mut kim = Client::connect_named(server.addr(), "kim");
    register(&mut kim);
    let home = scratch.path("home");
    let folder = home.join("madang/tokens").join(server.addr().to_string());
    fs::create_dir_all(&folder).expect("create");
    fs::write(folder.join("kim"), "kim abcdefghijkmnpqrstuvwxyzab\n").expect("write");
    for (home, why) in [
        (
            &home,
            "kim is not registered with that token or certificate",
        ),
        (
            &scratch.path("other"),
            "kim is registered; /login kim TOKEN takes it if it is yours",
        ),
    ] {
        let mut pipe = join(home, server.addr(), &["--nick", "kim"]);
        pipe.type_line("secret");
        assert_eq!(pipe.wait_exit().code(), Some(1));
        let complaint = format!("madang: name not changed: {why}; nothing was sent");
        assert_eq!(pipe.complaints(), [complaint]);
    }
    // The server may not have noticed yet that the last pipe has ended.
    until("kim is alone", || {
        kim.say("/who");
        let mut line = kim.line();
        while !line.starts_with("* here in lobby: ") {
            assert!(!line.contains("secret"), "{line}");
            line = kim.line();
        }
        line == "* here in lobby: kim (1)"
    });
}

#[test]
fn the_limits_are_told() {
    let scratch = Scratch::new();
    let control = scratch.path("control.sock");
    let place = format!("unix:{}", control.display());
    let server = serve(&scratch.path("state"), &["--control", &place]);
    let mut kim = Client::connect_named(server.addr(), "kim");
    register(&mut kim);
    kim.say("/login bob x");
    kim.find("! name not changed: bob is not registered with that token or certificate");
    let mut stats = Program::start(PROGRAM, &["ctl", "--control", &place, "stats"]);
    assert!(stats.wait_exit().success());
    let figures = stats.rest();
    for figure in [
        "figure madang_registered_names: 1",
        "figure madang_registered_names_limit: 8192",
        "figure madang_registered_names_address_limit: 32",
        "figure madang_logins_total{result=\"wrong\"}: 1",
    ] {
        assert!(
            figures.iter().any(|line| line == figure),
            "{figure}: {figures:?}"
        );
    }
}

#[test]
fn what_is_wrong_with_the_flags_is_said_at_the_start() {
    for (flags, why) in [
        (
            ["--operator", "guest1"],
            "names like guest1 are given by the server",
        ),
        (["--operator", "two words"], "a name has letters, digits"),
        (["--names-keep", "forever"], "invalid value 'forever'"),
    ] {
        let failure = Launch::new(&flags).fail();
        assert_eq!(failure.code, Some(2));
        assert!(failure.stderr.contains(why), "{}", failure.stderr);
    }
}

/// A configuration for an sshd of its own that gives each key `madang join` and nothing else.
fn sshd_config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "HostKey {folder}/host\nPidFile {folder}/pid\nAuthorizedKeysFile {folder}/keys\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\n"
    )
}

#[test]
#[ignore = "needs openssh-server, openssh-client"]
fn a_key_of_ssh_gives_its_user_a_name() {
    let scratch = Scratch::new();
    let folder = scratch.path("ssh");
    fs::create_dir_all(&folder).expect("create");
    fs::create_dir_all("/run/sshd").expect("sshd needs it");
    let unix = format!("unix:{}", scratch.path("chat.sock").display());
    let server = Server::start(&[
        "--listen",
        &unix,
        "--listen",
        "127.0.0.1:0",
        "--trust-peer-uid",
    ]);
    for key in ["host", "user"] {
        let path = folder.join(key).display().to_string();
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-f", &path]);
        assert!(make.status().expect("ssh-keygen").success());
    }
    let public = fs::read_to_string(folder.join("user.pub")).expect("a key");
    let line = format!("restrict,command=\"{PROGRAM} join {unix}\" {public}");
    fs::write(folder.join("keys"), line).expect("write");
    fs::write(folder.join("config"), sshd_config(&folder)).expect("write");
    let config = folder.join("config").display().to_string();
    let proxy = format!("ProxyCommand=/usr/sbin/sshd -i -e -f {config}");
    let key = folder.join("user").display().to_string();
    let quiet = [
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ];
    let flags = ["-T", "-q", "-i", &key, "-o", &proxy, "localhost"];
    let mut ssh = Program::start("ssh", &[&quiet[..], &flags].concat());
    let user = Command::new("id").arg("-un").output().expect("id");
    let user = String::from_utf8(user.stdout)
        .expect("UTF-8")
        .trim()
        .to_owned();
    ssh.find_line(&format!(
        "* you are {user} in lobby (1 here); /help lists commands"
    ));
    let mut ann = Client::connect_named(server.addr(), "ann");
    ssh.type_line("hello by ssh");
    ann.find(&format!("{user}: hello by ssh"));
    ssh.end_input();
    assert!(ssh.wait_exit().success());
}
