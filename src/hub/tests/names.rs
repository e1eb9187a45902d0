//! Names that are somebody's own: who gets them, who is told what, what is stored, and who is an operator by its name.

use crate::hub::accounts::token::Token;
use crate::hub::limits::{ACCOUNTS_AN_ORIGIN_MAX, CLAIMS_MAX, Limits, TRIES_MAX};
use crate::hub::requests::{Answer, Change, Random, Request, Ticket};
use crate::hub::{ConnId, LoggedIn, Owners, Peer, Users, Wire};
use crate::testing::test_hub::TestHub;
use std::collections::BTreeMap;

/// 2023-11-14, in microseconds.
const EPOCH_US: u64 = 1_700_000_000_000_000;
const DAY_US: u64 = 86_400_000_000;

/// What a driver keeps.
type Kept = BTreeMap<String, String>;

fn hub() -> TestHub {
    let mut test = TestHub::new(Limits::default());
    test.hub.set_epoch(EPOCH_US);
    test
}

/// A person with this name, which has read everything.
fn named(test: &mut TestHub, name: &str) -> ConnId {
    let id = test.join();
    test.flush_announcements();
    tell(test, id, &format!("/nick {name}"));
    test.read(id);
    id
}

/// The client sends a line.
fn tell(test: &mut TestHub, id: ConnId, line: &str) {
    test.send_later(id, format!("{line}\n").as_bytes());
}

/// Does all that is under way: the driver keeps what it is asked to keep, and its random bytes are all `random`.
fn settle(test: &mut TestHub, kept: &mut Kept, random: u8) {
    loop {
        while test.carry_on() {}
        let Some((ticket, request)) = test.hub.next_request() else {
            break;
        };
        let answer = match request {
            Request::Random => Answer::Bytes(Random([random; 16])),
            Request::Store(Change::Put { kind, key, value }) => {
                assert_eq!(kind, "name");
                kept.insert(key, value);
                Answer::Done
            }
            Request::Store(Change::Remove { key, .. }) => {
                kept.remove(&key);
                Answer::Done
            }
            other => panic!("{other:?}"),
        };
        test.hub.answer(test.now, ticket, answer);
        test.check();
    }
    test.resume_all();
}

/// The client sends a line, and what it is told when all is done that follows from it.
fn ask(test: &mut TestHub, kept: &mut Kept, id: ConnId, line: &str) -> String {
    test.read(id);
    tell(test, id, line);
    settle(test, kept, 7);
    test.read(id)
}

/// The next request of the hub, after all steps.
fn request(test: &mut TestHub) -> (Ticket, Request) {
    while test.carry_on() {}
    test.hub.next_request().expect("a request")
}

fn name_of(test: &TestHub, id: ConnId) -> String {
    let name = test.hub.client(id).unwrap().name.as_ref();
    name.unwrap().to_string()
}

fn token() -> String {
    Token::new([7; 16]).written()
}

/// A hub with `kim` registered, and what its driver keeps.
fn with_kim() -> (TestHub, Kept, ConnId) {
    let (mut test, mut kept) = (hub(), Kept::new());
    let kim = named(&mut test, "kim");
    let told = ask(&mut test, &mut kept, kim, "/register");
    let login = format!("/login kim {}", token());
    assert_eq!(
        told,
        format!("* registered: kim is yours. Keep this line, it is not shown again: {login}\n")
    );
    (test, kept, kim)
}

#[test]
fn a_registered_name_and_what_looks_like_it_are_refused_to_others_with_the_command_that_helps() {
    let (mut test, mut kept, kim) = with_kim();
    let lee = named(&mut test, "lee");
    for (line, told) in [
        (
            "/nick kim",
            "! name not changed: kim is registered; /login kim TOKEN takes it if it is yours\n",
        ),
        (
            "/nick KlM",
            "! name not changed: KlM looks like kim, which is registered; /login kim TOKEN takes that if it is yours\n",
        ),
    ] {
        assert_eq!(ask(&mut test, &mut kept, lee, line), told);
    }
    // Also when nobody has it.
    test.hub.disconnect(test.now, kim);
    assert!(ask(&mut test, &mut kept, lee, "/nick kim").contains("is registered"));
    assert_eq!(name_of(&test, lee), "lee");
    assert_eq!(kept.len(), 1);
}

#[test]
fn nobody_is_told_a_token_before_it_is_stored_and_only_its_hash_is() {
    let mut test = hub();
    let kim = named(&mut test, "kim");
    tell(&mut test, kim, "/register\nhello");
    let (ticket, asked) = request(&mut test);
    assert_eq!(asked, Request::Random);
    test.hub
        .answer(test.now, ticket, Answer::Bytes(Random([7; 16])));
    let (ticket, asked) = request(&mut test);
    let Request::Store(Change::Put { kind, key, value }) = &asked else {
        panic!("{asked:?}");
    };
    assert_eq!((*kind, &**key), ("name", "kim"));
    assert!(
        !value.contains(&token()) && value.ends_with(" 127.0.0.1 19675"),
        "{value}"
    );
    assert_eq!(
        (test.read(kim), test.hub.registered_names()),
        (String::new(), 0)
    );
    assert_eq!(
        format!("{:?}", Answer::Bytes(Random([7; 16]))),
        "Bytes(Random(…))"
    );
    // Meanwhile nothing else of it is read.
    test.hub.answer(test.now, ticket, Answer::Done);
    assert!(test.read(kim).contains(&token()));
    assert_eq!(test.hub.registered_names(), 1);
    test.resume_all();
    assert_eq!(test.hub.totals().lines, 1);
}

#[test]
fn what_cannot_be_stored_is_not_registered_and_its_owner_learns_why() {
    for (answer, told) in [
        (
            Answer::NotKept,
            "! not registered: this server keeps nothing beyond its end; its operator can give it a folder with --state\n",
        ),
        (
            Answer::Refused(vec!["the disk is full".into()]),
            "! not registered: the disk is full\n",
        ),
    ] {
        let mut test = hub();
        let kim = named(&mut test, "kim");
        tell(&mut test, kim, "/register");
        let (ticket, _) = request(&mut test);
        test.hub
            .answer(test.now, ticket, Answer::Bytes(Random([7; 16])));
        let (ticket, _) = request(&mut test);
        test.hub.answer(test.now, ticket, answer);
        assert_eq!(test.read(kim), told);
        assert_eq!(test.hub.registered_names(), 0);
        tell(&mut test, kim, "hello");
        assert_eq!(test.hub.totals().lines, 1);
    }
    let mut test = hub();
    let kim = named(&mut test, "kim");
    tell(&mut test, kim, "/register");
    let (ticket, _) = request(&mut test);
    test.hub
        .answer(test.now, ticket, Answer::Refused(vec!["no bytes".into()]));
    assert_eq!(test.read(kim), "! not registered: no bytes\n");
}

#[test]
fn the_owner_takes_the_name_from_whom_it_finds_it_with_and_each_room_hears_it_once() {
    let (mut test, mut kept, first) = with_kim();
    let (watcher, second) = (test.join(), test.join());
    test.flush_announcements();
    tell(&mut test, second, "/join pond");
    test.flush_announcements();
    let login = format!("/login KIM {}", token().to_uppercase());
    assert_eq!(
        ask(&mut test, &mut kept, second, &login),
        "* you are now kim\n"
    );
    assert_eq!(
        test.read(first),
        "* you have lost kim to its owner, and are guest4 from here on\n"
    );
    assert_eq!(test.read(watcher), "* renamed: kim -> guest4\n");
    assert_eq!(
        (name_of(&test, first), name_of(&test, second)),
        ("guest4".into(), "kim".into())
    );
    tell(&mut test, first, "oh");
    assert_eq!(test.read(watcher), "guest4: oh\n");
    // Again it is refused, as /nick is.
    assert_eq!(
        ask(&mut test, &mut kept, second, &login),
        "! name not changed: you are kim already\n"
    );
    assert_eq!(test.hub.totals().logins[LoggedIn::Done as usize], 2);
    let events: Vec<&str> = std::iter::from_fn(|| test.hub.next_name_event())
        .map(|it| it.what)
        .collect();
    assert_eq!(
        events,
        ["registered", "its owner has taken it from this connection"]
    );
}

#[test]
fn a_wrong_token_and_a_name_that_is_not_registered_are_refused_in_the_same_words() {
    let (mut test, mut kept, _) = with_kim();
    let lee = named(&mut test, "lee");
    let other = Token::new([8; 16]).written();
    for line in [
        format!("/login kim {other}"),
        format!("/login bob {}", token()),
        "/login kim".into(),
        "/login bob".into(),
        "/login kim password".into(),
    ] {
        let name = line.split(' ').nth(1).unwrap();
        let told = format!(
            "! name not changed: {name} is not registered with that token or certificate\n"
        );
        assert_eq!(ask(&mut test, &mut kept, lee, &line), told);
    }
    assert_eq!(name_of(&test, lee), "lee");
}

#[test]
fn wrong_tokens_are_limited_by_address_and_a_right_one_is_not_looked_at_either() {
    let (mut test, mut kept, _) = with_kim();
    let lee = named(&mut test, "lee");
    for _ in 0..TRIES_MAX {
        assert!(ask(&mut test, &mut kept, lee, "/login kim x").contains("not registered with"));
    }
    let login = format!("/login kim {}", token());
    let limited = "! name not changed: too many wrong tokens have come from your address; try again in a minute\n";
    assert_eq!(ask(&mut test, &mut kept, lee, &login), limited);
    // Another connection is no way around it, another address is.
    let again = test.join();
    assert_eq!(ask(&mut test, &mut kept, again, &login), limited);
    let far = test
        .connect_from(Some("192.0.2.1".parse().unwrap()), Wire::Chat)
        .unwrap();
    test.flush_announcements();
    let told = ask(&mut test, &mut kept, far, &login);
    let warning = "* you are now kim\n* your connection is not encrypted: others on its way can read the secret that you have sent\n";
    assert!(told.starts_with(warning), "{told}");
    test.advance(60_000_000);
    test.flush();
    assert!(ask(&mut test, &mut kept, lee, &login).starts_with("* you are now kim\n"));
    let [done, wrong, limited] = test.hub.totals().logins;
    assert_eq!((done, wrong, limited), (2, TRIES_MAX.into(), 2));
}

#[test]
fn an_owner_that_leaves_before_its_name_is_stored_leaves_nothing_behind() {
    let (mut test, mut kept) = (hub(), Kept::new());
    let kim = named(&mut test, "kim");
    tell(&mut test, kim, "/register");
    let (ticket, _) = request(&mut test);
    test.hub
        .answer(test.now, ticket, Answer::Bytes(Random([7; 16])));
    let (ticket, stored) = request(&mut test);
    assert!(matches!(stored, Request::Store(Change::Put { .. })));
    test.hub.disconnect(test.now, kim);
    // Another one has the name meanwhile, but cannot register it before all is over.
    let other = named(&mut test, "kim");
    assert_eq!(
        ask(&mut test, &mut kept, other, "/register"),
        "! not done: too many requests wait for the server's disk; try again\n"
    );
    test.hub.answer(test.now, ticket, Answer::Done);
    let (_, removed) = request(&mut test);
    assert!(matches!(removed, Request::Store(Change::Remove { .. })));
    assert_eq!(test.hub.registered_names(), 0);
    assert!(ask(&mut test, &mut kept, other, "/register").contains("kim is yours"));
    // One that leaves before it has got random bytes asks for nothing more.
    let lee = named(&mut test, "lee");
    tell(&mut test, lee, "/register");
    let (ticket, _) = request(&mut test);
    test.hub.disconnect(test.now, lee);
    test.hub
        .answer(test.now, ticket, Answer::Bytes(Random([7; 16])));
    assert!(!test.carry_on() && test.hub.next_request().is_none());
}

#[test]
fn unregistering_frees_the_name_once_that_is_stored() {
    let (mut test, mut kept, kim) = with_kim();
    assert_eq!(
        ask(&mut test, &mut kept, kim, "/register"),
        "! not registered: your name is yours already; after /unregister you can register it with another token\n"
    );
    let lee = named(&mut test, "lee");
    let not = "! not unregistered: your name is not registered, or you have not logged in; /login NAME TOKEN first\n";
    for line in ["/unregister", "/unregister kim"] {
        assert_eq!(ask(&mut test, &mut kept, lee, line), not);
    }
    test.read(kim);
    tell(&mut test, kim, "/unregister");
    let (ticket, _) = request(&mut test);
    test.hub.answer(
        test.now,
        ticket,
        Answer::Refused(vec!["the disk is full".into()]),
    );
    assert_eq!(test.read(kim), "! not unregistered: the disk is full\n");
    assert_eq!(test.hub.registered_names(), 1);
    assert_eq!(
        ask(&mut test, &mut kept, kim, "/unregister KIM"),
        "* unregistered: kim is nobody's own any more\n"
    );
    assert!(kept.is_empty());
    assert_eq!(ask(&mut test, &mut kept, kim, "/unregister"), not);
    // It keeps the name until it leaves it.
    assert!(ask(&mut test, &mut kept, lee, "/nick kim").contains("is in use"));
    test.hub.disconnect(test.now, kim);
    assert_eq!(
        ask(&mut test, &mut kept, lee, "/nick kim"),
        "* you are now kim\n"
    );
}

#[test]
fn an_operator_frees_a_name_and_its_owner_is_told() {
    let (mut test, mut kept, kim) = with_kim();
    let op = test.connect(Wire::Control).unwrap();
    test.read(op);
    assert_eq!(
        ask(&mut test, &mut kept, op, "/unregister bob"),
        "! not unregistered: bob is not registered\n"
    );
    assert_eq!(
        ask(&mut test, &mut kept, op, "/unregister kim"),
        "* unregistered: kim is nobody's own any more\n"
    );
    assert_eq!(
        test.read(kim),
        "* an operator has unregistered your name, kim\n"
    );
}

#[test]
fn guests_the_console_and_too_many_are_refused() {
    let (mut test, mut kept) = (hub(), Kept::new());
    let guest = test.join();
    assert_eq!(
        ask(&mut test, &mut kept, guest, "/register"),
        "! not registered: take a name first: /nick NAME\n"
    );
    let console = test.hub.connect_console(test.now);
    assert!(ask(&mut test, &mut kept, console, "/register").contains("take a name first"));
    for nth in 0..ACCOUNTS_AN_ORIGIN_MAX {
        ask(&mut test, &mut kept, guest, &format!("/nick kim{nth}x"));
        let told = ask(&mut test, &mut kept, guest, "/register");
        assert!(told.contains("is yours"), "{told}");
    }
    ask(&mut test, &mut kept, guest, "/nick lee");
    assert_eq!(
        ask(&mut test, &mut kept, guest, "/register"),
        "! not registered: 32 names are registered from your address already; /unregister one of them first\n"
    );
    // Claims of too many people at a time.
    let many: Vec<ConnId> = (0..=CLAIMS_MAX).map(|_| test.join()).collect();
    for &id in &many {
        test.read(id);
        tell(&mut test, id, "/login kim x");
    }
    assert_eq!(
        test.read(many[CLAIMS_MAX]),
        "! not done: too many requests wait for the server's disk; try again\n"
    );
    settle(&mut test, &mut kept, 7);
    assert!(test.read(many[0]).contains("not registered with"));
}

#[test]
fn registered_names_last_beyond_a_restart() {
    let (_, kept, _) = with_kim();
    let mut test = hub();
    for (key, value) in &kept {
        test.hub.restore(test.now, "name", key, value).unwrap();
        let again = test.hub.restore(test.now, "name", key, value);
        assert_eq!(again, Err("kim looks like another registered name".into()));
    }
    for (key, value) in [("kim lee", "x"), ("bob", "x"), ("guest1", "x")] {
        assert!(test.hub.restore(test.now, "name", key, value).is_err());
    }
    let mut kept = kept;
    let lee = test.join();
    assert!(ask(&mut test, &mut kept, lee, "/nick kim").contains("is registered"));
    let login = format!("/login kim {}", token());
    assert_eq!(
        ask(&mut test, &mut kept, lee, &login),
        "* you are now kim\n"
    );
}

#[test]
fn a_name_that_nobody_uses_expires_and_days_of_use_are_stored_once_each() {
    let mut test = TestHub::new(Limits {
        names_keep_days: 10,
        ..Limits::default()
    });
    test.hub.set_epoch(EPOCH_US);
    let mut kept = Kept::new();
    let kim = named(&mut test, "kim");
    ask(&mut test, &mut kept, kim, "/register");
    let bob = named(&mut test, "bob");
    ask(&mut test, &mut kept, bob, "/register");
    test.hub.disconnect(test.now, bob);
    let first = kept["kim"].clone();
    let mut days = 0;
    for _ in 0..30 {
        // Much happens on a day; it is stored once.
        for _ in 0..8 {
            test.advance(DAY_US / 8);
            tell(&mut test, kim, "hello");
            test.flush();
            while let Some((_, request)) = test.hub.next_request() {
                match request {
                    Request::Store(Change::Put { key, value, .. }) => {
                        assert_eq!(key, "kim");
                        kept.insert(key, value);
                        days += 1;
                    }
                    Request::Store(Change::Remove { key, .. }) => {
                        assert_eq!((&*key, days), ("bob", 11));
                        kept.remove(&key);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    assert_eq!((days, kept.len(), test.hub.registered_names()), (30, 1, 1));
    assert_ne!(kept["kim"], first);
    // Without use it is there for ten whole days.
    test.hub.disconnect(test.now, kim);
    test.advance(10 * DAY_US);
    assert_eq!(test.hub.registered_names(), 1);
    test.advance(DAY_US);
    assert_eq!(test.hub.registered_names(), 0);
    settle(&mut test, &mut kept, 7);
    assert!(kept.is_empty());
}

#[test]
fn a_certificate_stands_for_a_token() {
    let (mut test, mut kept) = (hub(), Kept::new());
    let connect = |test: &mut TestHub, fingerprint| {
        let mut peer = Peer::new(None, Wire::Chat);
        peer.fingerprint = fingerprint;
        let id = test.hub.connect(test.now, peer).unwrap();
        test.read(id);
        id
    };
    let kim = connect(&mut test, Some([9; 32]));
    ask(&mut test, &mut kept, kim, "/nick kim");
    assert!(ask(&mut test, &mut kept, kim, "/register").contains(&token()));
    test.hub.disconnect(test.now, kim);
    for wrong in [None, Some([8; 32])] {
        let other = connect(&mut test, wrong);
        assert!(ask(&mut test, &mut kept, other, "/login kim").contains("token or certificate"));
    }
    let kim = connect(&mut test, Some([9; 32]));
    assert_eq!(
        ask(&mut test, &mut kept, kim, "/login kim"),
        "* you are now kim\n"
    );
    // The token works too, without the certificate.
    let other = connect(&mut test, None);
    let login = format!("/login kim {}", token());
    assert_eq!(
        ask(&mut test, &mut kept, other, &login),
        "* you are now kim\n"
    );
}

const PASSWD: &str = "root:x:0:0::/:/bin/sh\nkim:x:1000:1000::/home/kim:/bin/sh\n";

fn owners(users: Option<&str>, operators: &[&str]) -> Owners {
    Owners {
        users: users.map(|text| Users::parse(text).0),
        operators: operators.iter().map(|&name| name.into()).collect(),
    }
}

/// A client of a Unix-domain socket, which is this user; what it is greeted with.
fn user(test: &mut TestHub, uid: u32) -> (ConnId, String) {
    let mut peer = Peer::new(None, Wire::Chat);
    peer.uid = Some(uid);
    let id = test.hub.connect(test.now, peer).unwrap();
    test.check();
    let greeting = test.read(id);
    (id, greeting)
}

#[test]
fn users_of_the_machine_have_their_names_and_others_have_not() {
    let (mut test, mut kept) = (hub(), Kept::new());
    let early = named(&mut test, "kim");
    test.hub.set_owners(test.now, &owners(Some(PASSWD), &[]));
    let (kim, greeting) = user(&mut test, 1000);
    assert!(greeting.starts_with("* you are kim in lobby"), "{greeting}");
    assert!(
        test.read(early)
            .starts_with("* you have lost kim to its owner, and are guest2")
    );
    let (_, greeting) = user(&mut test, 77);
    assert!(greeting.starts_with("* you are uid77 in lobby"));
    // On another connection it is itself, too.
    let (second, greeting) = user(&mut test, 1000);
    assert!(
        greeting.ends_with(
            "* you are kim on another connection; /login kim takes the name from there\n"
        )
    );
    for name in ["kim", "KlM", "root", "uid78"] {
        let told = ask(&mut test, &mut kept, early, &format!("/nick {name}"));
        let why = format!(
            "! name not changed: {name} is kept for a user of the server's machine, who connects there by its Unix socket\n"
        );
        assert_eq!(told, why);
    }
    assert!(ask(&mut test, &mut kept, early, "/login kim").contains("not registered"));
    assert_eq!(
        ask(&mut test, &mut kept, second, "/login kim"),
        "* you are now kim\n"
    );
    test.read(kim);
    // It may leave its name, and take it again.
    assert_eq!(
        ask(&mut test, &mut kept, second, "/nick kimchi"),
        "* you are now kimchi\n"
    );
    assert_eq!(
        ask(&mut test, &mut kept, second, "/nick kim"),
        "* you are now kim\n"
    );
    // With a token it comes back from elsewhere.
    assert!(ask(&mut test, &mut kept, second, "/register").contains("kim is yours"));
    let far = test.join();
    let login = format!("/login kim {}", token());
    assert!(ask(&mut test, &mut kept, far, &login).starts_with("* you are now kim\n"));
    test.hub.disconnect(test.now, far);
    let (_, greeting) = user(&mut test, 1000);
    assert!(greeting.starts_with("* you are kim"), "{greeting}");
}

#[test]
fn an_account_from_before_a_user_had_its_name_cannot_be_used() {
    let (mut test, mut kept, first) = with_kim();
    test.hub
        .set_owners(test.now, &owners(Some(PASSWD), &["kim"]));
    assert!(!test.hub.client(first).unwrap().is_operator());
    let other = test.join();
    let login = format!("/login kim {}", token());
    assert!(ask(&mut test, &mut kept, other, &login).contains("is kept for a user"));
    let (kim, greeting) = user(&mut test, 1000);
    assert!(greeting.contains("you are kim") && greeting.contains("you are an operator"));
    assert!(test.hub.client(kim).unwrap().is_operator());
    assert_eq!(name_of(&test, first), "guest3");
}

#[test]
fn the_owner_of_an_operator_s_name_is_one_as_long_as_it_has_it() {
    let (mut test, mut kept, kim) = with_kim();
    let only = "! /bans is only for operators\n";
    assert_eq!(ask(&mut test, &mut kept, kim, "/bans"), only);
    let now = "* you are an operator as long as you have this name; /help lists what you can do\n";
    test.hub.set_owners(test.now, &owners(None, &["kim"]));
    assert_eq!(test.read(kim), now);
    assert_eq!(ask(&mut test, &mut kept, kim, "/bans"), "* bans: 0\n");
    // It counts as a client, as before.
    test.check();
    let no_more = "* you are no operator any more\n";
    test.hub.set_owners(test.now, &owners(None, &[]));
    assert_eq!(test.read(kim), no_more);
    assert_eq!(ask(&mut test, &mut kept, kim, "/bans"), only);
    test.hub.set_owners(test.now, &owners(None, &["kim"]));
    test.read(kim);
    let left = ask(&mut test, &mut kept, kim, "/nick lee");
    assert_eq!(left, format!("* you are now lee\n{no_more}"));
    let login = format!("/login kim {}", token());
    assert_eq!(
        ask(&mut test, &mut kept, kim, &login),
        format!("* you are now kim\n{now}")
    );
    let left = ask(&mut test, &mut kept, kim, "/unregister");
    assert_eq!(
        left,
        format!("* unregistered: kim is nobody's own any more\n{no_more}")
    );
    let deeds: Vec<String> = std::iter::from_fn(|| test.hub.next_deed())
        .map(|it| it.what)
        .collect();
    let (gained, lost) = ("is an operator from here on", "is no operator any more");
    assert_eq!(deeds, [gained, lost, gained, lost, gained, lost]);
}

#[test]
fn an_operator_s_name_is_nobody_s_until_an_operator_registers_it() {
    let (mut test, mut kept) = (hub(), Kept::new());
    let early = named(&mut test, "boss");
    test.hub.set_owners(test.now, &owners(None, &["boss"]));
    assert!(!test.hub.client(early).unwrap().is_operator());
    assert!(ask(&mut test, &mut kept, early, "/register").contains("kept for somebody else"));
    ask(&mut test, &mut kept, early, "/nick lee");
    assert_eq!(
        ask(&mut test, &mut kept, early, "/nick B0SS"),
        "! name not changed: B0SS is kept for an operator, who takes it with /nick and /register at the control socket\n"
    );
    let op = test.connect(Wire::Control).unwrap();
    assert!(ask(&mut test, &mut kept, op, "/nick boss").ends_with("* you are now boss\n"));
    assert!(ask(&mut test, &mut kept, op, "/register").contains("boss is yours"));
    let login = format!("/login boss {}", token());
    let told = ask(&mut test, &mut kept, early, &login);
    assert!(
        told.starts_with("* you are now boss\n* you are an operator"),
        "{told}"
    );
    assert_eq!(test.read(op).lines().count(), 1);
    assert_eq!(ask(&mut test, &mut kept, early, "/bans"), "* bans: 0\n");
}

#[test]
fn a_muted_client_takes_no_other_name() {
    let (mut test, mut kept, kim) = with_kim();
    let op = test.connect(Wire::Control).unwrap();
    let lee = named(&mut test, "lee");
    ask(&mut test, &mut kept, op, "/mute lee 10m");
    let login = format!("/login kim {}", token());
    let told = ask(&mut test, &mut kept, lee, &login);
    assert!(
        told.ends_with("! name not changed: an operator has muted you; it ends in 10m\n"),
        "{told}"
    );
    assert_eq!(name_of(&test, kim), "kim");
}
