//! The client on a terminal over TLS: what a person sees of it, and that pasting, reconnecting and leaving are as without.

use std::time::Duration;

use crate::common::front::{Ending, Front, certificate};
use crate::common::until;
use crate::fake_server::FakeServer;
use crate::model::wrapping;
use crate::rig::{Rig, Setup};

/// `madang join` over TLS at a fake server of its own, and the TLS in front of it.
fn joined(ending: Ending) -> (Front, Rig) {
    let (front, setup) = setup(ending);
    (front, setup.start(wrapping(60, 24)))
}

fn setup(ending: Ending) -> (Front, Setup) {
    let server = FakeServer::new();
    let certificate = certificate(&["localhost"], |_| {});
    let front = Front::start(certificate.server(), server.addr(), ending);
    let setup = Setup::at(&front.address("localhost"));
    let flag = format!("--tls-fingerprint={}", certificate.fingerprint());
    (front, setup.flags(&[&flag]).server(server))
}

#[test]
fn lines_go_both_ways_and_leaving_ends_the_stream_in_order() {
    for keys in ["/quit\r", "\x03", "\x04"] {
        let (front, mut rig) = joined(Ending::InOrder);
        rig.keys("hello over TLS\r");
        rig.until_received(&["hello over TLS"]);
        rig.send("kim: and back");
        rig.until_shown("kim: and back");
        rig.keys(keys);
        rig.until("/quit", |rig| rig.server().received().len() == 2);
        // After the other keys the client finishes by itself.
        if keys == "/quit\r" {
            rig.send("* you left; goodbye");
            rig.until("all is sent", |rig| rig.server().has_sent_all());
            rig.server().stop();
        }
        assert!(rig.until_exited().success());
        assert!(rig.is_restored());
        until("close_notify has come", || front.ended() == 1);
    }
}

#[test]
fn a_paste_of_a_megabyte_is_sent_whole() {
    let (_front, mut rig) = joined(Ending::InOrder);
    let line = |n: usize| format!("pasted {n:05} {}", "y".repeat(1000));
    let lines: Vec<String> = (0..1040).map(line).collect();
    let text = lines.join("\r");
    assert!(text.len() > 1 << 20);
    rig.keys(&format!("\x1b[200~{text}\x1b[201~\r"));
    rig.send("kim: while you paste");
    rig.until_shown("kim: while you paste");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    rig.until_received(&lines);
}

#[test]
fn a_cut_is_reported_and_the_client_reconnects_with_its_half_typed_line() {
    let (_front, mut rig) = joined(Ending::Cut);
    rig.keys("before\rhalf a li");
    rig.until_received(&["before"]);
    rig.until_typed("half a li", "");
    rig.server().stop();
    rig.until_shown("-- connection lost: cut off before its end");
    rig.keys("ne");
    // An attempt or two fail: the TLS stands, and there is no server behind it.
    rig.run_for(Duration::from_secs(1));
    rig.server().restart();
    rig.until_shown("-- connected again");
    rig.until_shown("* you are guest1 in lobby");
    rig.until_typed("half a line", "");
    rig.keys("\r");
    rig.until_received(&["before", "half a line"]);
}

#[test]
fn a_certificate_that_is_not_trusted_ends_the_program_before_it_takes_the_terminal() {
    let server = FakeServer::new();
    let ours = certificate(&["localhost"], |_| {});
    let front = Front::start(ours.server(), server.addr(), Ending::InOrder);
    let flags = ["--tls-fingerprint", &"ab".repeat(32)];
    let setup = Setup::at(&front.address("localhost")).flags(&flags);
    let mut rig = setup.server(server).spawn(wrapping(80, 24));
    assert_eq!(rig.until_exited().code(), Some(1));
    assert!(rig.is_restored());
    rig.until_shown("is not the one of --tls-fingerprint");
    rig.until_shown(&ours.fingerprint());
}
