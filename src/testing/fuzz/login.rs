//! The body of the fuzz target `login`: whatever a stranger sends, however it is cut, it is shown nothing before the password,
//! and comes in if a naive reading of its lines says so; and whatever a person sends, it enters a locked room only with the
//! secret.

use crate::hub::limits::{Limits, STRANGER_BYTES_MAX, STRANGER_LINE_BYTES, STRANGER_US, TRIES_MAX};
use crate::hub::secret::Secret;
use crate::hub::{ConnId, Resume, Wire};
use crate::testing::test_hub::TestHub;

const PASSWORD: &str = "sesame";
/// What a person has said in the lobby and in a locked room.
const SAID: &str = "overheard";

/// What may be written to a stranger, besides the names of protocols and answers of telnet.
const SHOWN: [&str; 8] = [
    "* this server asks for a password: send /pass SECRET within 30 s",
    "! line not read: this server asks for a password first; send /pass SECRET",
    "! wrong password",
    "! closed: too many wrong passwords from your address; try again in a minute",
    "! closed: no password within 30 s",
    "! closed: no password within 1,024 bytes",
    "* you left; goodbye",
    "* yes",
];

/// Sends `data` as a stranger, whole and in pieces; then as a person.
pub fn login(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else {
        return;
    };
    let whole = stranger(data, data.len().max(1));
    let pieces = stranger(data, 1 + usize::from(cut));
    let is_named = |shown: &str| shown.contains("this port speaks");
    if !is_named(&whole.1) && !is_named(&pieces.1) {
        assert_eq!(whole, pieces, "it matters how the input is cut");
    }
    if let Some(is_admitted) = naive(data)
        && !is_named(&whole.1)
    {
        assert_eq!(whole.0, is_admitted, "{}", whole.1);
    }
    person(data, 1 + usize::from(cut));
}

/// A hub with a person in a room that is locked with the password, who has said something there and in the lobby.
fn hub() -> (TestHub, ConnId) {
    let mut test = TestHub::new(Limits {
        history_lines: 10,
        ..Limits::default()
    });
    let kim = test.join();
    let said = format!("/nick resident\n{SAID}\n/join pond\n/lock {PASSWORD}\n{SAID}\n");
    for line in said.split_inclusive('\n') {
        feed(&mut test, kim, line.as_bytes());
    }
    (test, kim)
}

/// Sends bytes, and reads everything that is answered.
fn feed(test: &mut TestHub, id: ConnId, bytes: &[u8]) -> String {
    let mut shown = String::new();
    for _ in 0..100 {
        test.resume_all();
        shown += &test.read(id);
        if test
            .hub
            .client(id)
            .is_none_or(|client| !client.is_receiving())
        {
            return shown;
        }
        if test.send(id, bytes) == Resume::Read {
            shown += &test.read(id);
            break;
        }
    }
    test.resume_all();
    shown + &test.read(id)
}

/// Whether a stranger that sends this in pieces of `cut` bytes comes in, and what it was shown before that.
fn stranger(data: &[u8], cut: usize) -> (bool, String) {
    let (mut test, _) = hub();
    test.hub.set_password(Some(Secret::of(PASSWORD)));
    let id = test.connect(Wire::Chat).expect("there is place");
    let mut shown = test.read(id);
    let is_in = |test: &TestHub| test.hub.client(id).is_some_and(|it| !it.is_stranger());
    for piece in data.chunks(cut) {
        shown += &feed(&mut test, id, piece);
        if is_in(&test) {
            break;
        }
        let bytes = test.hub.client_memory_bytes(id.slot());
        assert!(bytes <= 4 * STRANGER_BYTES_MAX, "{bytes} bytes of memory");
    }
    test.hub.finish(test.now, id);
    shown += &feed(&mut test, id, b"");
    let is_admitted = is_in(&test);
    if !is_admitted {
        test.advance(STRANGER_US);
        shown += &test.read(id);
        assert_eq!(test.reap(), [id], "a stranger stays");
        assert_eq!(test.hub.strangers(), 0);
    }
    let shown = shown.replace('\r', "");
    let before = shown.split("* you are guest").next().unwrap_or_default();
    for line in before.split_terminator('\n') {
        // Answers of telnet are three bytes each, none of which is text.
        let text =
            line.trim_start_matches(|c: char| c == '\u{fffd}' || c.is_control() || !c.is_ascii());
        let is_allowed = SHOWN.iter().any(|allowed| text.ends_with(allowed))
            || text.contains("! this port speaks lines of text, not ")
            || text.len() < line.len();
        assert!(is_allowed, "a stranger is shown {line:?}");
        assert!(
            !line.contains("resident") && !line.contains(SAID),
            "{line:?}"
        );
    }
    (is_admitted, before.to_owned())
}

/// Whether a stranger that sends these lines comes in; `None`: it needs more than a naive reading.
fn naive(data: &[u8]) -> Option<bool> {
    if !data
        .iter()
        .all(|&byte| byte == b'\n' || (b' '..0x7f).contains(&byte))
    {
        return None;
    }
    let (mut bytes, mut wrong) = (0, 0);
    for line in data.split_inclusive(|&byte| byte == b'\n') {
        let text = str::from_utf8(line).ok()?.trim_end_matches('\n');
        bytes += line.len();
        if bytes > STRANGER_BYTES_MAX {
            return Some(false);
        }
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match &*word.to_ascii_lowercase() {
            "" if text.is_empty() => {}
            "/quit" => return Some(false),
            "/pass" if wrong >= TRIES_MAX => return Some(false),
            "/pass" if rest.trim_matches(' ') == PASSWORD => return Some(true),
            "/pass" => wrong += 1,
            _ => bytes += STRANGER_LINE_BYTES,
        }
    }
    Some(false)
}

/// A person who sends this is in the locked room only if the secret is in it, and hears nothing of the room otherwise.
fn person(data: &[u8], cut: usize) {
    let (mut test, kim) = hub();
    let id = test.join();
    let room = test.hub.client(kim).expect("it is there").room;
    let has = |text: &str| {
        data.windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    if has(PASSWORD) || has(SAID) {
        return;
    }
    for piece in data.chunks(cut) {
        // The room goes on speaking.
        feed(&mut test, kim, format!("{SAID} again\n").as_bytes());
        let shown = feed(&mut test, id, piece);
        let is_inside = test
            .hub
            .client(id)
            .is_some_and(|client| client.room == room);
        assert!(!is_inside, "it has entered without the secret");
        assert!(!shown.contains(&format!("{SAID} again")), "{shown}");
    }
}
