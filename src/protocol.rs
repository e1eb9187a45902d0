//! Every line that the server says: how it is written and how it is read back, side by side. The hub writes these
//! lines; the terminal client and the load generator read them. Knows nobody, and no socket.
//!
//! | the server sends | it means |
//! | --- | --- |
//! | `kim: text` | kim said text |
//! | `** kim waves` | kim's `/me waves` |
//! | `* text` | a [`Notice`]: to the room, or to one client |
//! | `! text` | a [`Refusal`]: what was sent has changed nothing, and why |
//! | `kim -> you: text`, `you -> kim: text` | a private line, received or confirmed |

#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

#[macro_use]
mod template;
mod refusal;
pub mod span;

use refusal::REFUSAL_MARK;
pub use refusal::Refusal;
use std::fmt;
use template::{Field, Holes};
pub use template::{Plain, grouped};

/// Longest name, in bytes, that is read as one: a server of another kind may begin its lines with anything.
pub const NAME_BYTES_MAX: usize = 128;

/// What a line begins with that tells what a person does.
const ACTION_MARK: &str = "** ";
/// What a line of the server's begins with when no person speaks.
pub const NOTICE_MARK: &str = "* ";
/// What stands in a list of clients in the place of a name, a room or an address that there is not.
pub const NONE: &str = "-";
/// How the reader of a private line is named, or its sender when the line is confirmed to that sender.
const YOU: &str = "you";

/// A line, told apart by its first token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// `kim: text`: name and text.
    Said(&'a str, &'a str),
    /// `kim -> you: text`: the sender's name and the text.
    Received(&'a str, &'a str),
    /// `you -> kim: text`: the receiver's name and the text.
    Confirmed(&'a str, &'a str),
    /// `** kim text`: a name and what its owner does.
    Action(&'a str, &'a str),
    /// `* text`: the text of a [`Notice`].
    Notice(&'a str),
    /// `! text`: the text of a [`Refusal`].
    Refusal(&'a str),
    /// Not a line of this protocol.
    Other(&'a str),
}

impl<'a> Line<'a> {
    /// Reads a line, given without its end.
    pub fn parse(line: &'a str) -> Line<'a> {
        if let Some(text) = line.strip_prefix(NOTICE_MARK) {
            return Line::Notice(text);
        }
        if let Some(text) = line.strip_prefix(REFUSAL_MARK) {
            return Line::Refusal(text);
        }
        if let Some(action) = line.strip_prefix(ACTION_MARK) {
            return match action.split_once(' ') {
                Some((who, text)) if is_name(who) => Line::Action(who, text),
                _ => Line::Other(line),
            };
        }
        let Some((who, text)) = line.split_once(": ") else {
            return Line::Other(line);
        };
        match who.split_once(" -> ") {
            Some((from, YOU)) if is_name(from) => Line::Received(from, text),
            Some((YOU, to)) if is_name(to) => Line::Confirmed(to, text),
            None if is_name(who) => Line::Said(who, text),
            _ => Line::Other(line),
        }
    }
}

/// Whether `text` can be the name of a person or a room. Rules for choosing one are stricter.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_whitespace)
}

/// A name or a text as it stands in a line.
pub trait Append {
    /// Appends it to a line.
    fn append_to(&self, out: &mut Vec<u8>);
}

/// Writes a line that `name` said: `name: text`, or the text alone where nobody has a name.
pub fn said(out: &mut Vec<u8>, name: Option<&impl Append>, text: &impl Append) {
    if let Some(name) = name {
        name.append_to(out);
        out.extend_from_slice(b": ");
    }
    text.append_to(out);
    out.push(b'\n');
}

/// Writes what `name` does: `** name text`.
pub fn action(out: &mut Vec<u8>, name: &impl Append, text: &impl Append) {
    out.extend_from_slice(ACTION_MARK.as_bytes());
    name.append_to(out);
    out.push(b' ');
    text.append_to(out);
    out.push(b'\n');
}

/// Writes a private line for its receiver: `from -> you: text`.
pub fn received(out: &mut Vec<u8>, from: &impl Append, text: &impl Append) {
    from.append_to(out);
    out.extend_from_slice(b" -> you: ");
    text.append_to(out);
    out.push(b'\n');
}

/// Writes a private line for its sender: `you -> to: text`.
pub fn confirmed(out: &mut Vec<u8>, to: &impl Append, text: &impl Append) {
    out.extend_from_slice(b"you -> ");
    to.append_to(out);
    out.extend_from_slice(b": ");
    text.append_to(out);
    out.push(b'\n');
}

texts! {
    /// What the server tells: the text after `* `.
    pub enum Notice {
        /// To a newcomer.
        Greeting { name: &'a str, room: &'a str, here: usize } =
            "you are {name} in {room} ({here} here); /help lists commands",
        /// To the client that has changed its name.
        YouAreNow { name: &'a str } = "you are now {name}",
        /// To the client that has changed rooms.
        YouAreIn { room: &'a str, here: usize } = "you are in {room} ({here} here)",
        /// To a newcomer: the line that follows, up to [`Notice::Now`], was said before it came.
        LastLine {} = "the last line:",
        /// To a newcomer: the lines that follow, up to [`Notice::Now`], were said before it came.
        LastLines { lines: usize } = "the last {lines} lines:",
        /// To a newcomer: the lines that follow are said now.
        Now {} = "now",
        /// To the room: members have come and gone. The lists are names ([`list`]).
        JoinedAndLeft { joined: &'a str, left: &'a str, here: usize } =
            "joined: {joined}; left: {left} ({here} here)",
        /// To the room: members have come.
        Joined { names: &'a str, here: usize } = "joined: {names} ({here} here)",
        /// To the room: members have gone.
        Left { names: &'a str, here: usize } = "left: {names} ({here} here)",
        /// To the room: many members have come.
        ManyJoined { joined: usize, here: usize } = "{joined} joined ({here} here)",
        /// To the room: many members have gone.
        ManyLeft { left: usize, here: usize } = "{left} left ({here} here)",
        /// To the room: many members have come and gone.
        ManyJoinedAndLeft { joined: usize, left: usize, here: usize } =
            "{joined} joined, {left} left ({here} here)",
        /// To the client that has registered its name: the command by which it takes the name from elsewhere, with its token.
        Registered { name: &'a str, command: &'a str } =
            "registered: {name} is yours. Keep this line, it is not shown again: {command}",
        /// The answer to `/unregister`.
        Unregistered { name: &'a str } = "unregistered: {name} is nobody's own any more",
        /// To a client whose name an operator has unregistered.
        UnregisteredByOperator { name: &'a str } = "an operator has unregistered your name, {name}",
        /// To a client whose name its owner has taken, on another connection.
        NameTaken { name: &'a str, new: &'a str } = "you have lost {name} to its owner, and are {new} from here on",
        /// To a client whose server is one of several, and had no contact with the others for a while.
        NameTakenMeanwhile { name: &'a str, new: &'a str } =
            "another has taken {name} while this server was cut off; you are {new} from here on",
        /// To a newcomer that has its name on another connection: the command by which it takes the name from that one.
        YouAreElsewhere { name: &'a str, command: &'a str } =
            "you are {name} on another connection; {command} takes the name from there",
        /// To a client that has the commands of operators from now on, because of its name.
        OperatorNow {} = "you are an operator as long as you have this name; /help lists what you can do",
        /// To a client that has them no more.
        OperatorNoMore {} = "you are no operator any more",
        /// To the room: a member has another name.
        Renamed { old: &'a str, new: &'a str } = "renamed: {old} -> {new}",
        /// The answer to `/who`. The list is names and perhaps `and N more` ([`list`]).
        Members { room: &'a str, list: &'a str, here: usize } = "here in {room}: {list} ({here})",
        /// The answer to `/rooms`. The list is `NAME (MEMBERS)` or `NAME (MEMBERS, locked)`, and perhaps `and N more` ([`list`]).
        Rooms { list: &'a str } = "rooms: {list}",
        /// To a newcomer, before anything else, where a password is asked.
        PasswordAsked { seconds: u64 } =
            "this server asks for a password: send /pass SECRET within {seconds} s",
        /// The answer to `/pass` where none is asked, or not any more.
        NoPasswordAsked {} = "no password is asked of you: you are in already",
        /// To a client whose secret has been taken, though others could read it.
        SecretInClear {} =
            "your connection is not encrypted: others on its way can read the secret that you have sent",
        /// To the room: it has a secret from now on.
        Locked { name: &'a str } =
            "locked by {name}: from now on only the secret or an invitation lets others enter",
        /// To the room: it has no secret, and is closed.
        LockedForInvited { name: &'a str } =
            "locked by {name}: from now on only an invitation lets others enter",
        /// To the room: anybody may enter it again.
        Unlocked { name: &'a str } = "unlocked by {name}: from now on anybody may enter",
        /// The answer to `/invite`.
        Invited { name: &'a str } = "you have invited {name}",
        /// To a client that has been invited: the command that enters the room.
        Invitation { from: &'a str, command: &'a str } = "invitation by {from}: {command} enters the room",
        /// To a member that did not read fast enough.
        Skipped { lines: u64 } = "{lines} lines skipped: you are reading too slowly",
        /// To a room of a node of a cluster: lines that other nodes have and this one cannot get.
        Missing { lines: u64 } = "{lines} lines skipped: this server could not get them from the others",
        /// The answer to `/whois` about a person on another server of the cluster.
        WhoisElsewhere { name: &'a str, room: &'a str, node: u64 } = "whois: {name} is in {room}, on server {node}",
        /// To each room of a node of a cluster: what is said reaches nobody for now.
        CutOff {} = "this server is cut off from the others",
        /// … and reaches all again.
        ConnectedAgain {} = "this server is connected to the others again",
        /// The answer to telnet's AYT.
        Yes {} = "yes",
        /// To a client whose lines wait because of `--rate`; once.
        TooFast { rate: u64 } = "you send too fast: {rate} lines a second are read; the others wait, none is lost",
        /// The answer to `/quit`.
        Goodbye {} = "you left; goodbye",
        /// To everybody: the server ends.
        ShuttingDown {} = "server is shutting down",
        /// The answer to `/ignore NAME`: nothing that is said after it reaches the client from that person.
        YouIgnore { name: &'a str } = "you ignore {name} from here on",
        /// The answer to `/unignore`.
        YouIgnoreNoMore { name: &'a str } = "you hear {name} again",
        /// The answer to `/ignore`. The list is names ([`list`]).
        Ignored { list: &'a str } = "you ignore: {list}",
        /// … when there is nobody.
        YouIgnoreNobody {} = "you ignore nobody",
        /// The answer to `/whois`, with times ([`time`]).
        Whois { name: &'a str, room: &'a str, connected: &'a str, idle: &'a str } =
            "whois: {name} is in {room}, connected for {connected}, idle for {idle}",
        /// … of an operator, or of the person at the console.
        WhoisOperator { name: &'a str, room: &'a str, connected: &'a str, idle: &'a str } =
            "whois: {name}, an operator, is in {room}, connected for {connected}, idle for {idle}",
        /// … of an operator that has not entered a room.
        WhoisInNoRoom { name: &'a str, connected: &'a str, idle: &'a str } =
            "whois: {name}, an operator, is in no room, connected for {connected}, idle for {idle}",
        /// … of somebody in a locked room, to others.
        WhoisApart { name: &'a str, connected: &'a str, idle: &'a str } =
            "whois: {name} is connected for {connected}, idle for {idle}",
        /// To an operator that has just connected.
        GreetingInNoRoom { name: &'a str } =
            "you are {name} in no room; /join ROOM enters one, /help lists commands",
        /// To all rooms: what an operator says with `/say`.
        Announcement { text: &'a str } = "announcement: {text}",
        /// To a client that an operator has muted; when it ends ([`span::ends`]).
        YouAreMuted { ends: &'a str } = "an operator has muted you; it ends {ends}",
        /// To a client that was muted.
        YouMaySpeak {} = "you may speak again",
        /// To an operator, for each entry of `/clients`; the answer ends with [`Notice::Clients`]. `blocked` is why its input
        /// waits, or `no`. [`NONE`] stands for no name, no room, no address, no listener.
        Client {
            number: Plain, name: &'a str, room: &'a str, address: &'a str, age: Plain, idle: Plain,
            lines_in: Plain, bytes_in: Plain, bytes_out: Plain, behind_lines: Plain, behind_bytes: Plain,
            blocked: &'a str, muted: &'a str, proxy: &'a str, listener: &'a str
        } = "client {number}: name {name}, room {room}, address {address}, seconds {age}, idle {idle}, lines_in {lines_in}, bytes_in {bytes_in}, bytes_out {bytes_out}, behind_lines {behind_lines}, behind_bytes {behind_bytes}, blocked {blocked}, muted {muted}, proxy {proxy}, listener {listener}",
        /// … after the last entry: how many are listed, and how many are connected.
        Clients { listed: usize, connected: usize } = "clients: {listed} listed of {connected} connected",
        /// To an operator, for each entry of `/bans`; the answer ends with [`Notice::Bans`]. `ends` as [`span::ends`]
        /// writes it; [`NONE`] stands for no reason.
        Ban { range: &'a str, ends: &'a str, by: &'a str, hits: Plain, why: &'a str } =
            "ban {range}: ends {ends}, by {by}, hits {hits}, why {why}",
        /// … after the last entry.
        Bans { bans: usize } = "bans: {bans}",
        /// To an operator, for each figure of `/stats`.
        Figure { figure: &'a str, value: &'a str } = "figure {figure}: {value}",
        /// The answer to `/kick`.
        Kicked { who: &'a str } = "closed the connection of {who}",
        /// The answer to `/ban`.
        Banned { range: &'a str, ends: &'a str, closed: usize } =
            "banned {range}: ends {ends}; connections closed: {closed}",
        /// … of a server without `--state`.
        BannedUntilEnd { range: &'a str, ends: &'a str, closed: usize } =
            "banned {range}: ends {ends}, or when the server does, since it has no --state; connections closed: {closed}",
        /// The answer to `/unban`.
        Unbanned { range: &'a str } = "{range} is not banned any more",
        /// The answer to `/mute`.
        Muted { who: &'a str, ends: &'a str } = "muted {who}: ends {ends}",
        /// The answer to `/unmute`.
        Unmuted { who: &'a str } = "{who} may speak again",
        /// The answer to `/say`.
        Announced { rooms: usize } = "announced; rooms: {rooms}",
        /// … when senders wait in some rooms under `--slow wait`, which have not heard it.
        AnnouncedInPart { rooms: usize, full: usize } = "announced; rooms: {rooms}; not in full rooms: {full}",
        /// The answer to `/drain`.
        Draining { clients: usize } =
            "no newcomers any more; the server ends when all have left; clients: {clients}",
    }
}

impl Notice<'_> {
    /// Writes the line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{NOTICE_MARK}{self}\n").as_bytes());
    }

    /// How many are in the room, where the notice says so.
    pub fn here(&self) -> Option<usize> {
        match *self {
            Self::Greeting { here, .. }
            | Self::YouAreIn { here, .. }
            | Self::Joined { here, .. }
            | Self::Left { here, .. }
            | Self::ManyJoined { here, .. }
            | Self::ManyLeft { here, .. }
            | Self::JoinedAndLeft { here, .. }
            | Self::ManyJoinedAndLeft { here, .. }
            | Self::Members { here, .. } => Some(here),
            _ => None,
        }
    }
}

/// Writes a time in its largest unit: `40 s`, `7 min`, `3 h`, `12 d`.
pub fn time(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "min"),
        3_600..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{} {unit}", grouped(number))
}

/// Writes a list of which `total` entries exist: those that are shown, and how many more there are.
pub fn list(entries: &[String], total: usize) -> String {
    let mut list = entries.join(", ");
    if total > entries.len() {
        list += &format!(", and {} more", grouped(total - entries.len()));
    }
    list
}

/// Reads the entries that a list shows.
pub fn entries(list: &str) -> impl Iterator<Item = &str> {
    let is_rest = |entry: &str| entry.starts_with("and ") && entry.ends_with(" more");
    list.split(", ").filter(move |entry| !is_rest(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_tells_who_speaks() {
        for (line, parsed) in [
            ("kim: a: b", Line::Said("kim", "a: b")),
            ("kim -> you: hi", Line::Received("kim", "hi")),
            ("you -> kim: hi", Line::Confirmed("kim", "hi")),
            ("** kim waves: so", Line::Action("kim", "waves: so")),
            ("** kim", Line::Other("** kim")),
            ("* kim waves: so", Line::Notice("kim waves: so")),
            ("! line not sent: x", Line::Refusal("line not sent: x")),
            ("two words: x", Line::Other("two words: x")),
            ("kim -> lee: x", Line::Other("kim -> lee: x")),
            (": x", Line::Other(": x")),
            ("", Line::Other("")),
        ] {
            assert_eq!(Line::parse(line), parsed);
        }
    }

    impl Append for str {
        fn append_to(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(self.as_bytes());
        }
    }

    impl Append for &str {
        fn append_to(&self, out: &mut Vec<u8>) {
            (**self).append_to(out);
        }
    }

    #[test]
    fn lines_of_people_are_read_as_they_were_written() {
        let written = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            assert_eq!(out.pop(), Some(b'\n'));
            String::from_utf8(out).unwrap()
        };
        let line = written(&|out| said(out, Some(&"kim"), &"a: b"));
        assert_eq!(Line::parse(&line), Line::Said("kim", "a: b"));
        assert_eq!(written(&|out| said(out, None::<&&str>, &"raw")), "raw");
        let line = written(&|out| received(out, &"kim", &"psst"));
        assert_eq!(Line::parse(&line), Line::Received("kim", "psst"));
        let line = written(&|out| confirmed(out, &"kim", &"psst"));
        assert_eq!(Line::parse(&line), Line::Confirmed("kim", "psst"));
        assert_eq!(
            written(&|out| action(out, &"kim", &"waves")),
            "** kim waves"
        );
    }

    /// Fields that are numbers without groups.
    const PLAIN: [&str; 9] = [
        "number",
        "age",
        "idle",
        "lines_in",
        "bytes_in",
        "bytes_out",
        "behind_lines",
        "behind_bytes",
        "hits",
    ];

    /// A text that fits a template, whatever its fields are: numbers where a number is wanted.
    fn filled(template: &str, numbers: &[&str]) -> String {
        let mut text = String::new();
        for (at, part) in template.split('{').enumerate() {
            let (field, words) = if at == 0 {
                ("", part)
            } else {
                part.split_once('}').unwrap()
            };
            text += match field {
                "" => "",
                _ if PLAIN.contains(&field) => "1204",
                _ if numbers.contains(&field) => "1,204",
                _ => "kim",
            };
            text += words;
        }
        text
    }

    #[test]
    fn every_template_is_read_as_it_was_written_and_by_no_other() {
        let numbers = [
            "here",
            "joined",
            "left",
            "lines",
            "byte",
            "bytes_max",
            "rooms_max",
            "clients_max",
            "seconds",
            "rate",
            "ignored_max",
            "listed",
            "connected",
            "bans",
            "bans_max",
            "closed",
            "rooms",
            "full",
            "clients",
            "node",
        ];
        for template in Notice::TEMPLATES {
            let text = filled(template, &numbers);
            let notice = Notice::parse(&text);
            assert!(!matches!(notice, Notice::Other(_)), "{text}");
            assert_eq!(notice.to_string(), text);
        }
        for template in Refusal::TEMPLATES {
            let text = filled(template, &numbers);
            let refusal = Refusal::parse(&text);
            assert!(!matches!(refusal, Refusal::Other(_)), "{text}");
            assert_eq!(refusal.to_string(), text);
        }
        let skipped = Notice::Skipped { lines: 1320 };
        assert_eq!(
            skipped.to_string(),
            "1,320 lines skipped: you are reading too slowly"
        );
        assert_eq!(Notice::parse(&skipped.to_string()), skipped);
        let (room, list) = ("pond", "kim, lee, and 1,203 more");
        let members = Notice::Members {
            room,
            list,
            here: 1205,
        };
        assert_eq!(Notice::parse(&members.to_string()), members);
    }

    #[test]
    fn a_text_that_fits_no_template_is_kept_as_it_is() {
        for text in [
            "",
            "x lines skipped: you are reading too slowly",
            "12,34 lines skipped: you are reading too slowly",
            "-1 lines skipped: you are reading too slowly",
            "joined:  (2 here)",
            "joined: kim (2 here) and more",
            "you are now ",
        ] {
            assert_eq!(Notice::parse(text), Notice::Other(text));
        }
    }

    #[test]
    fn a_list_says_how_many_it_leaves_out() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert_eq!(list(&names, 2), "a, b");
        assert_eq!(list(&names, 1205), "a, b, and 1,203 more");
        for total in [2, 1205] {
            assert_eq!(
                entries(&list(&names, total)).collect::<Vec<_>>(),
                ["a", "b"]
            );
        }
    }

    #[test]
    fn times_are_written_in_their_largest_unit() {
        for (seconds, want) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
            (86_400 * 2_000, "2,000 d"),
        ] {
            assert_eq!(time(seconds * 1_000_000), want);
        }
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, want) in [
            (0_u64, "0"),
            (999, "999"),
            (1000, "1,000"),
            (18204, "18,204"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), want);
        }
    }
}
