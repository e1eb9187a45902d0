//! What each line and each command does, and each refusal.

use crate::hub::limits::Limits;
use crate::hub::{ConnId, Wire};
use crate::testing::test_hub::TestHub;

/// A test hub with two clients in the lobby.
struct Two(TestHub, ConnId, ConnId);

impl Two {
    fn new() -> Two {
        let mut test = TestHub::new(Limits::default());
        let (a, b) = (test.join(), test.join());
        test.flush_announcements();
        Two(test, a, b)
    }

    /// The first client sends a line. Returns what each of the two receives then.
    fn say(&mut self, line: &str) -> (String, String) {
        self.0.resume_all();
        self.0.send(self.1, format!("{line}\n").as_bytes());
        (self.0.read(self.1), self.0.read(self.2))
    }

    #[track_caller]
    fn expect(&mut self, line: &str, own: &str, others: &str) {
        assert_eq!(self.say(line), (own.into(), others.into()), "{line}");
    }
}

#[test]
fn every_command_does_what_its_help_says() {
    let mut two = Two::new();
    two.expect("hello", "", "guest1: hello\n");
    two.expect("//who", "", "guest1: /who\n");
    two.expect("", "", "");
    two.expect(
        "/nick kim",
        "* you are now kim\n",
        "* renamed: guest1 -> kim\n",
    );
    two.expect("/me waves", "", "** kim waves\n");
    two.expect(
        "/msg guest2 psst",
        "you -> guest2: psst\n",
        "kim -> you: psst\n",
    );
    two.expect("/who", "* here in lobby: guest2, kim (2)\n", "");
    two.expect("/rooms", "* rooms: lobby (2)\n", "");
    two.expect(
        "/join Garden",
        "* you are in Garden (1 here)\n",
        "* left: kim (1 here)\n",
    );
    two.expect("/rooms", "* rooms: Garden (1), lobby (1)\n", "");
    two.expect("/who LOBBY", "* here in lobby: guest2 (1)\n", "");
    two.expect("alone", "", "");
    two.0.advance(2_000_000);
    two.expect("/join lobby", "* you are in lobby (2 here)\n", "");
    two.expect(
        "/quit good night",
        "* you left; goodbye\n",
        "* joined: kim (2 here)\nkim: good night\n",
    );
    assert_eq!(two.0.reap(), [two.1]);
    // Three lines, an action, and the text of `/quit`.
    assert_eq!(two.0.hub.totals().lines, 5);
}

#[test]
fn the_longest_rendered_lines_fit() {
    let mut two = Two::new();
    // The longest name.
    let name = "\u{d55c}".repeat(24);
    two.expect(
        &format!("/nick {name}"),
        &format!("* you are now {name}\n"),
        &format!("* renamed: guest1 -> {name}\n"),
    );
    let escapes = "\u{1b}".repeat(8000);
    let shown = "\u{241b}".repeat(8000);
    two.expect(&escapes, "", &format!("{name}: {shown}\n"));
    two.expect(
        &format!("/me {escapes}"),
        "",
        &format!("** {name} {shown}\n"),
    );
}

#[test]
fn raw_lines_pass_unchanged_without_commands() {
    let mut test = TestHub::new(Limits::default());
    let [a, b] = [(); 2].map(|()| test.connect(Wire::Raw).unwrap());
    test.send(a, b"/nick kim\n//x\n");
    assert_eq!(test.read(b), "/nick kim\n//x\n");
    assert_eq!(test.read(a), "");
}

#[test]
fn refusals_say_why_and_change_nothing() {
    let mut two = Two::new();
    two.0.send(two.2, b"/nick lee\n");
    two.0.flush();
    for (line, why) in [
        ("/nick", "usage: /nick NAME"),
        ("/nick lee", "name not changed: lee is in use"),
        (
            "/nick LEE",
            "name not changed: LEE looks like a name in use",
        ),
        (
            "/nick Iee",
            "name not changed: Iee looks like a name in use",
        ),
        (
            "/nick Server",
            "name not changed: that name is the server's own",
        ),
        (
            "/nick guest1",
            "name not changed: names like guest1 are given by the server",
        ),
        (
            "/nick a b",
            "name not changed: a name has letters, digits, '-', '_' and '.', not U+0020",
        ),
        ("/join lobby", "room not changed: you are in lobby already"),
        (
            "/join *",
            "room not changed: a name has letters, digits, '-', '_' and '.', not U+002A ('*')",
        ),
        ("/msg nobody hi", "line not sent: nobody is called nobody"),
        ("/msg guest1 hi", "line not sent: you are guest1"),
        ("/who nowhere", "there is no room called nowhere"),
        (
            "/frob",
            "unknown command /frob: /help lists commands, //frob says it as text",
        ),
    ] {
        two.expect(line, &format!("! {why}\n"), "");
    }
    two.0.send(two.1, b"bad \xc3\n");
    two.0.send(two.1, &b"x".repeat(8193));
    two.0.send(two.1, b"\nstill here\n");
    assert_eq!(
        two.0.read(two.1),
        "! line not sent: not UTF-8 at byte 5\n! line not sent: longer than 8,192 bytes\n"
    );
    assert_eq!(two.0.read(two.2), "guest1: still here\n");
    assert_eq!(two.0.hub.totals().refused_lines, 12);
}

#[test]
fn private_lines_find_a_name_in_any_letter_case() {
    let mut two = Two::new();
    two.0.send(two.2, b"/nick Lee\n");
    two.0.flush();
    two.expect("/msg lee hi", "you -> Lee: hi\n", "guest1 -> you: hi\n");
}

#[test]
fn no_action_reads_as_a_notice() {
    let mut two = Two::new();
    for text in ["left kim (2 here)", "* joined: kim (2 here)", "\u{7f}* x"] {
        two.say(&format!("/me {text}"));
        let others = two.0.read(two.1) + &two.0.read(two.2);
        assert!(!others.contains("\n* "), "{others}");
    }
    let (_, others) = two.say("/me left kim (2 here)");
    assert_eq!(others, "** guest1 left kim (2 here)\n");
}

#[test]
fn a_private_line_keeps_its_place_between_what_its_sender_says() {
    let mut two = Two::new();
    two.0.send(
        two.1,
        b"one\n/msg guest2 two\nthree\n/msg guest2 four\n/msg guest2 five\nsix\n",
    );
    let all = "guest1: one\nguest1 -> you: two\nguest1: three\nguest1 -> you: four\n\
               guest1 -> you: five\nguest1: six\n";
    // However little is written at a time.
    let mut read = String::new();
    while read.len() < all.len() {
        read += &two.0.read_some(two.2, 7);
    }
    assert_eq!(read, all);
    // A reply waits behind a private line, and a line that was said before in another room comes before it.
    two.0.send(two.1, b"seven\n/msg guest2 eight\n");
    two.0.send(two.2, b"/nick\n");
    assert_eq!(
        two.0.read(two.2),
        "guest1: seven\nguest1 -> you: eight\n! usage: /nick NAME\n"
    );
    two.0.read(two.1);
    two.0.send(two.1, b"nine\n/join garden\n");
    two.0.resume_all();
    two.0.send(two.1, b"/msg guest2 ten\n");
    assert_eq!(
        two.0.read(two.2),
        "guest1: nine\n* left: guest1 (1 here)\nguest1 -> you: ten\n"
    );
}

#[test]
fn join_waits_until_the_old_rooms_log_is_written() {
    let mut two = Two::new();
    two.0.send(two.2, b"one\n");
    two.0.send(two.1, b"/join garden\nhello garden\n");
    two.0.send(two.2, b"two\n");
    assert_eq!(two.0.read_some(two.1, 5), "guest");
    assert_eq!(two.0.read(two.1), "2: one\n");
    two.0.resume_all();
    assert_eq!(two.0.read(two.1), "* you are in garden (1 here)\n");
    assert_eq!(two.0.read(two.2), "* left: guest1 (1 here)\n");
}
