//! The server's password: what a stranger may do, for how long, and who makes place for whom.

use super::*;
use crate::hub::limits::{
    HalfClose, STRANGER_BYTES_MAX, STRANGER_US, STRANGERS_LEAVING_MAX, STRANGERS_OF_ORIGIN_MAX,
};
use crate::hub::secret::Secret;
use std::net::{IpAddr, Ipv4Addr};

const ASKED: &str = "* this server asks for a password: send /pass SECRET within 30 s\n";

fn asking(limits: Limits) -> TestHub {
    let mut test = TestHub::new(limits);
    test.hub.set_password(Some(Secret::of("sesame")));
    test
}

/// A client from this host, which has read what it is asked.
fn stranger(test: &mut TestHub, host: u8) -> ConnId {
    let address = IpAddr::from(Ipv4Addr::new(192, 0, 2, host));
    let id = test.connect_from(Some(address), Wire::Chat).unwrap();
    assert_eq!(test.read(id), ASKED);
    id
}

/// What a client is sent after these bytes.
fn answer(test: &mut TestHub, id: ConnId, bytes: &[u8]) -> String {
    assert_eq!(test.send(id, bytes), Resume::Read);
    test.read(id)
}

#[test]
fn a_stranger_is_in_no_room_has_no_name_and_hears_of_nobody() {
    let mut test = asking(Limits {
        history_lines: 5,
        welcome: "welcome".into(),
        ..Limits::default()
    });
    let kim = stranger(&mut test, 1);
    let greeting = answer(&mut test, kim, b"/pass sesame\n");
    assert!(greeting.starts_with("* welcome\n* you are guest1 in lobby (1 here)"));
    for command in [
        &b"/who\n"[..],
        b"/who lobby\n",
        b"/whois guest1\n",
        b"/msg guest1 hi\n",
        b"/rooms\n",
        b"/help\n",
        b"/join lobby\n",
        b"/nick kim\n",
        b"/ban guest1\n",
        b"sesame\n",
        b"\xc3\x28\n",
    ] {
        let other = stranger(&mut test, 2);
        let refused = answer(&mut test, other, command);
        assert_eq!(
            refused,
            "! line not read: this server asks for a password first; send /pass SECRET\n"
        );
    }
    let other = stranger(&mut test, 2);
    assert_eq!(test.hub.strangers(), 12);
    let _ = test.send(kim, b"hello\n/who\n/whois guest2\n");
    test.flush_announcements();
    assert_eq!(test.read(other), "");
    let _ = test.send(kim, b"/who\n/whois guest2\n/msg guest2 hi\n");
    let shown = test.read(kim);
    assert!(shown.starts_with("* here in lobby: guest1 (1)\n! nobody is called guest2\n"));
}

#[test]
fn what_follows_the_password_counts_however_it_is_cut() {
    let said = "/pass sesame\r\n/nick kim\r\n".to_owned() + &"x".repeat(2000) + "\r\n/who\r\n";
    for cut in [1, 5, 13, 14, 15, 100, 1500, said.len()] {
        let mut test = asking(Limits::default());
        let id = stranger(&mut test, 1);
        let mut shown = String::new();
        for piece in said.as_bytes().chunks(cut) {
            shown += &answer(&mut test, id, piece);
        }
        assert!(
            shown.contains("* you are guest1 in lobby"),
            "{cut}: {shown}"
        );
        assert!(
            shown.ends_with("* you are now kim\n* here in lobby: kim (1)\n"),
            "{shown}"
        );
    }
}

#[test]
fn a_last_line_without_an_end_is_a_password_too() {
    for half_close in [HalfClose::Close, HalfClose::Keep] {
        let mut test = asking(Limits {
            half_close,
            ..Limits::default()
        });
        let ids = [stranger(&mut test, 1), stranger(&mut test, 2)];
        for (id, password) in ids.into_iter().zip([&b"/pass sesame"[..], b"/pass no"]) {
            let _ = test.send(id, password);
            test.hub.finish(test.now, id);
            test.check();
        }
        assert!(test.read(ids[0]).starts_with("* you are guest1"));
        assert_eq!(test.read(ids[1]), "! wrong password\n");
        let closed = test.reap();
        // Nobody goes on receiving who has not said it.
        assert!(closed.contains(&ids[1]), "{half_close:?}");
        assert_eq!(closed.contains(&ids[0]), half_close == HalfClose::Close);
    }
}

#[test]
fn a_stranger_has_thirty_seconds_and_what_it_has_sent_is_read_first() {
    let mut test = asking(Limits::default());
    let [silent, late] = [1, 2].map(|host| stranger(&mut test, host));
    test.advance(STRANGER_US - 1);
    assert_eq!(test.read(silent), "");
    // It has arrived, and is not read yet.
    test.hub.readable(late);
    test.advance(1);
    assert_eq!(test.read(silent), "! closed: no password within 30 s\n");
    assert_eq!(test.hub.ending(silent), Some(Ending::NoPassword));
    assert_eq!((test.reap(), test.hub.strangers()), (vec![silent], 1));
    assert_eq!(test.hub.next_readable(), Some(late));
    assert!(answer(&mut test, late, b"/pass sesame\n").starts_with("* you are guest1"));
    test.advance(2 * STRANGER_US);
    assert!(test.hub.client(late).is_some());
}

#[test]
fn a_stranger_may_send_a_kilobyte_whatever_it_is() {
    let telnet = [255, 251, 31].repeat(400);
    let endless = [&[255, 250, 31][..], &[7; 1200]].concat();
    let lines = b"no\n".repeat(400);
    for bytes in [&[b'x'; 1100][..], &[b'\n'; 1100], &telnet, &endless, &lines] {
        for cut in [1, 100, bytes.len()] {
            let mut test = asking(Limits::default());
            let id = stranger(&mut test, 1);
            let mut shown = String::new();
            for piece in bytes.chunks(cut) {
                let _ = test.send(id, piece);
                shown += &test.read(id);
            }
            let closed = "! closed: no password within 1,024 bytes\n";
            assert!(shown.replace('\r', "").ends_with(closed), "{cut}: {shown}");
            assert!(test.hub.client_memory_bytes(id.slot()) <= 4 * STRANGER_BYTES_MAX);
            assert_eq!(test.reap(), [id]);
        }
    }
}

#[test]
fn wrong_passwords_are_refused_alike_and_five_a_minute_are_looked_at() {
    let mut test = asking(Limits::default());
    let first = stranger(&mut test, 1);
    let wrong = "! wrong password\n";
    for line in [&b"/pass no\n"[..], b"/pass\n", b"/pass sesame street\n"] {
        assert_eq!(answer(&mut test, first, line), wrong);
    }
    // Another connection of the same address goes on counting.
    let second = stranger(&mut test, 1);
    for line in [&b"/PASS Sesame\n"[..], b"/pass sesam\n"] {
        assert_eq!(answer(&mut test, second, line), wrong);
    }
    let closed = "! closed: too many wrong passwords from your address; try again in a minute\n";
    assert_eq!(answer(&mut test, second, b"/pass sesame\n"), closed);
    assert_eq!(test.reap(), [second]);
    // Others are not concerned.
    let other = stranger(&mut test, 2);
    assert!(answer(&mut test, other, b"/pass sesame\n").starts_with("* you are guest1"));
    assert_eq!(test.hub.totals().wrong_secrets, 5);
    test.advance(60_000_000);
    let third = stranger(&mut test, 1);
    assert!(answer(&mut test, third, b"/pass sesame\n").starts_with("* you are guest2"));
}

#[test]
fn those_who_know_the_password_find_a_place_beside_those_who_do_not() {
    let mut test = asking(Limits {
        clients_max: 8,
        ..Limits::default()
    });
    // Two of eight places are for strangers: the oldest of the address with the most makes place.
    let squatters = [1, 1].map(|host| stranger(&mut test, host));
    let lee = stranger(&mut test, 2);
    let gone = "! closed: too many connections have not said the password; try again\n";
    assert_eq!(test.read(squatters[0]), gone);
    assert_eq!(test.reap(), [squatters[0]]);
    assert!(answer(&mut test, lee, b"/pass sesame\n").starts_with("* you are guest1"));
    for host in 3..9 {
        let id = stranger(&mut test, host);
        assert!(answer(&mut test, id, b"/pass sesame\n").contains("* you are guest"));
        test.reap();
    }
    // Seven are in, and the last place is a squatter's: a newcomer gets it.
    let squatter = stranger(&mut test, 9);
    let kim = stranger(&mut test, 10);
    assert_eq!(test.read(squatter), gone);
    assert!(answer(&mut test, kim, b"/pass sesame\n").starts_with("* you are guest8"));
    test.reap();
    // All places are taken by people who know it.
    let full = test.connect(Wire::Chat);
    assert_eq!(full, Err(Refusal::ServerFull { clients_max: 8 }));
}

#[test]
fn strangers_are_limited_by_address_and_in_all() {
    let mut test = asking(Limits {
        clients_max: 4000,
        ..Limits::default()
    });
    let first = stranger(&mut test, 1);
    for _ in 1..=STRANGERS_OF_ORIGIN_MAX {
        let local = Some(IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)));
        let peer = crate::hub::Peer::new(local, Wire::Chat);
        test.hub.connect(test.now, peer).unwrap();
    }
    assert_eq!(test.hub.strangers(), STRANGERS_OF_ORIGIN_MAX);
    assert!(
        test.read(first)
            .starts_with("! closed: too many connections")
    );
    for number in 0..2000_u32 {
        let address = Some(IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number)));
        let peer = crate::hub::Peer::new(address, Wire::Chat);
        test.hub.connect(test.now, peer).unwrap();
        let more = test.hub.strangers();
        assert!(more <= 1000, "a quarter of --max-clients");
        while let Some(id) = test.hub.next_writable(test.now) {
            test.read_some(id, usize::MAX);
        }
        while let Some(id) = test.hub.next_closed() {
            test.hub.disconnect(test.now, id);
        }
    }
    test.check();
    assert_eq!(test.hub.strangers(), 1000);
    assert!(test.hub.clients() <= 1000 + STRANGERS_LEAVING_MAX);
}

#[test]
fn a_password_that_is_set_changed_or_removed_concerns_newcomers_alone() {
    let mut test = TestHub::new(Limits::default());
    let kim = test.join();
    let polite = answer(&mut test, kim, b"/pass x\n");
    assert_eq!(
        polite,
        "* no password is asked of you: you are in already\n"
    );
    test.hub.set_password(Some(Secret::of("sesame")));
    assert!(answer(&mut test, kim, b"/who\n").contains("guest1 (1)"));
    let lee = stranger(&mut test, 2);
    test.hub.set_password(Some(Secret::of("open")));
    assert_eq!(
        answer(&mut test, lee, b"/pass sesame\n"),
        "! wrong password\n"
    );
    assert!(answer(&mut test, lee, b"/pass open\n").starts_with("* you are guest2"));
    let [said, silent] = [3, 4].map(|host| stranger(&mut test, host));
    test.hub.set_password(None);
    assert!(answer(&mut test, said, b"/pass whatever\n").contains("you are guest3"));
    test.advance(STRANGER_US);
    assert!(test.read(silent).contains("* you are guest4"));
    assert_eq!(test.hub.strangers(), 0);
}

#[test]
fn operators_and_the_console_are_asked_for_nothing_and_a_unix_socket_is() {
    let mut test = asking(Limits::default());
    let operator = test.connect(Wire::Control).unwrap();
    assert!(test.read(operator).contains("in no room"));
    let console = test.hub.connect_console(test.now);
    assert!(test.read(console).contains("you are host in lobby"));
    let local = test.connect_from(None, Wire::Chat).unwrap();
    assert_eq!(test.read(local), ASKED);
    assert!(answer(&mut test, local, b"/pass sesame\n").starts_with("* you are guest2"));
}

#[test]
fn who_could_be_overheard_is_warned_when_a_secret_is_taken() {
    let mut test = asking(Limits::default());
    let warning = "* your connection is not encrypted: others on its way can read the secret that you have sent\n";
    let far = stranger(&mut test, 1);
    assert_eq!(answer(&mut test, far, b"/pass no\n"), "! wrong password\n");
    assert!(answer(&mut test, far, b"/pass sesame\n").ends_with(warning));
    let near = test.connect(Wire::Chat).unwrap();
    test.read(near);
    assert!(!answer(&mut test, near, b"/pass sesame\n").contains("encrypted"));
    let address = Some(IpAddr::from(Ipv4Addr::new(192, 0, 2, 9)));
    let peer = crate::hub::Peer {
        is_secure: true,
        ..crate::hub::Peer::new(address, Wire::Chat)
    };
    let tls = test.hub.connect(test.now, peer).unwrap();
    test.read(tls);
    assert!(!answer(&mut test, tls, b"/pass sesame\n").contains("encrypted"));
    assert!(!answer(&mut test, far, b"/join pond\n/lock\n").contains("encrypted"));
    assert!(answer(&mut test, far, b"/lock sesame\n").contains(warning));
}

#[test]
fn a_stranger_is_told_of_the_end_of_the_server_and_can_be_closed_by_an_operator() {
    let mut test = asking(Limits::default());
    let kim = stranger(&mut test, 1);
    test.hub.shutdown();
    test.advance(0);
    assert_eq!(test.read(kim), "* server is shutting down\n");
    assert_eq!(test.reap(), [kim]);
}
