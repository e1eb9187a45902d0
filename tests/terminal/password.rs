//! A server that asks for a password: what is typed for it is not shown, and neither that nor a secret in a command is kept.

use std::fs;
use std::rc::Rc;

use rustix::process::Signal;

use crate::common::{Scratch, Server};
use crate::fake_server::unique_address;
use crate::model::wrapping;
use crate::rig::{Rig, Setup, start_server};

/// A server that asks for `sesame`, what starts it again, and a client that is asked.
fn asked(home: &Rc<Scratch>) -> (Server, impl Fn() -> Server, Rig) {
    let file = home.path("password");
    fs::write(&file, "sesame\n").expect("a file");
    let file = file.to_str().expect("UTF-8").to_owned();
    let start = move |addr: &str| start_server(&["--listen", addr, "--password-file", &file]);
    let server = start(&unique_address());
    let addr = server.addr().to_string();
    let mut rig = Setup::at(&addr).home(home).spawn(wrapping(90, 24));
    rig.until_shown("* this server asks for a password: send /pass SECRET within 30 s");
    until_prompted(&mut rig);
    (server, move || start(&addr), rig)
}

/// Waits until the last row asks for the password, and shows nothing of it.
fn until_prompted(rig: &mut Rig) {
    rig.until("a prompt for the password", |rig| {
        rig.picture()
            .above()
            .last()
            .is_some_and(|row| row.trim_end() == "password:")
    });
}

fn is_shown(rig: &Rig, text: &str) -> bool {
    String::from_utf8_lossy(rig.written()).contains(text)
}

#[test]
fn a_password_is_typed_unseen_and_said_again_after_a_reconnection() {
    let home = Rc::new(Scratch::new());
    let (server, restart, mut rig) = asked(&home);
    rig.keys("opensaysme");
    until_prompted(&mut rig);
    rig.keys("\r");
    rig.until_shown("! wrong password");
    until_prompted(&mut rig);
    rig.keys("sesame\r");
    rig.until_shown("* you are guest1 in lobby");
    rig.until_typed("", "");
    rig.keys("/join pond plums\r");
    rig.until_shown("/join pond ***");
    rig.until_shown("* locked by guest1: ");
    // The line typed before is no secret.
    rig.keys("\x1b[A");
    rig.until_typed("", "");
    drop(server);
    rig.until_shown("-- connection lost: ");
    let _server = restart();
    rig.until_shown("-- connected again");
    rig.until_shown("* here in pond: guest1 (1)");
    rig.keys("/quit\r");
    assert!(rig.until_exited().success());
    for secret in ["opensaysme", "sesame"] {
        assert!(!is_shown(&rig, secret), "{secret} is shown");
    }
    let kept = fs::read_to_string(home.path("madang/history")).expect("a history");
    assert_eq!(kept, "/quit\n");
}

#[test]
fn a_user_who_does_not_know_the_password_can_leave() {
    for keys in ["/quit\r", "\x03", "\x04"] {
        let home = Rc::new(Scratch::new());
        let (_server, _, mut rig) = asked(&home);
        rig.keys(keys);
        assert!(rig.until_exited().success(), "{keys:?}");
        assert!(rig.is_restored());
    }
}

/// A client at a terminal without control sequences, which is asked for a password.
fn asked_on_a_dumb_terminal() -> (Server, Rig) {
    let home = Rc::new(Scratch::new());
    let file = home.path("password");
    fs::write(&file, "sesame\n").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let server = start_server(&["--listen", "127.0.0.1:0", "--password-file", file]);
    let addr = server.addr().to_string();
    let setup = Setup::at(&addr).home(&home).env("TERM", "dumb");
    let mut rig = setup.spawn(wrapping(90, 24));
    rig.until_shown("-- type the password; it is not shown");
    (server, rig)
}

#[test]
fn a_terminal_without_line_editing_does_not_echo_the_password() {
    for command in ["", "/pass "] {
        let (_server, mut rig) = asked_on_a_dumb_terminal();
        assert!(!rig.echoes());
        rig.keys(&format!("{command}opensaysme\r"));
        rig.until_shown("! wrong password");
        rig.keys(&format!("{command}sesame\r"));
        rig.until_shown("* you are guest1 in lobby");
        rig.until("an echo", |rig| rig.echoes());
        rig.keys("/nick kim\r");
        rig.until_shown("/nick kim");
        rig.until_shown("* you are now kim");
        rig.keys("\x04");
        assert!(rig.until_exited().success());
        assert!(rig.is_cooked() && rig.echoes());
        for secret in ["opensaysme", "sesame"] {
            assert!(!is_shown(&rig, secret), "{secret} is shown");
        }
        assert!(!rig.written().contains(&0x1b));
    }
}

#[test]
fn a_terminal_without_line_editing_echoes_again_however_the_client_ends() {
    for (keys, ends_well) in [("/quit\r", true), ("\x03", false), ("\x04", false)] {
        let (_server, mut rig) = asked_on_a_dumb_terminal();
        rig.keys(keys);
        assert_eq!(rig.until_exited().success(), ends_well, "{keys:?}");
        assert!(rig.is_cooked() && rig.echoes(), "{keys:?}");
    }
    let (_server, mut rig) = asked_on_a_dumb_terminal();
    rig.signal(Signal::TERM);
    assert!(!rig.until_exited().success());
    assert!(rig.echoes());
}

#[test]
fn a_terminal_without_line_editing_echoes_while_the_client_is_stopped() {
    let (_server, mut rig) = asked_on_a_dumb_terminal();
    rig.signal(Signal::TSTP);
    rig.until("an echo", |rig| rig.echoes());
    rig.signal(Signal::CONT);
    rig.until("no echo", |rig| !rig.echoes());
    rig.keys("sesame\r");
    rig.until_shown("* you are guest1 in lobby");
    rig.until("an echo", |rig| rig.echoes());
    rig.keys("\x04");
    assert!(rig.until_exited().success());
    assert!(!is_shown(&rig, "sesame"));
}
