//! What the server refuses, and in which words: the lines that begin with `! `.

use super::template::{Field, Holes};
use std::fmt;

/// What a refusal begins with.
pub(super) const REFUSAL_MARK: &str = "! ";

texts! {
    /// Why something that a client sent, or the client itself, is refused: the text after `! `.
    pub enum Refusal {
        /// A line is not UTF-8; bytes are counted from 1.
        NotUtf8 { byte: usize } = "line not sent: not UTF-8 at byte {byte}",
        /// … and it came by telnet, to which some bytes of characters are commands.
        NotUtf8ByTelnet { byte: usize } =
            "line not sent: not UTF-8 at byte {byte}: telnet loses bytes of some characters; use nc or madang join",
        /// A line is longer than `--max-line`.
        TooLong { bytes_max: usize } = "line not sent: longer than {bytes_max} bytes",
        /// A line whose end is missing: its TLS connection was cut, which anybody on the way can do.
        CutOff {} = "line not sent: the connection was cut before the line's end",
        /// A private line to a name that nobody has.
        NobodyCalled { name: &'a str } = "line not sent: nobody is called {name}",
        /// A private line to its own sender.
        ToYourself { name: &'a str } = "line not sent: you are {name}",
        /// A private line to somebody whose private lines wait unread.
        NotReading { name: &'a str } = "line not sent: {name} is not reading",
        /// A private line when the sender's earlier ones wait unread.
        LinesUnread { name: &'a str } =
            "line not sent: {name} has not read your last private lines yet; try again later",
        /// A private line when those of many senders wait unread.
        TooManyLines { name: &'a str } =
            "line not sent: too many private lines wait for {name}; try again later",
        /// `/who` of a room that does not exist.
        NoSuchRoom { room: &'a str } = "there is no room called {room}",
        /// `/nick` with a name that another has.
        NameInUse { name: &'a str } = "name not changed: {name} is in use",
        /// `/nick` with a name that can be mistaken for another's.
        NameLooksUsed { name: &'a str } = "name not changed: {name} looks like a name in use",
        /// `/nick` with a name that is registered, and the command by which its owner takes it.
        NameRegistered { name: &'a str, command: &'a str } =
            "name not changed: {name} is registered; {command} takes it if it is yours",
        /// `/nick` with a name that can be mistaken for a registered one.
        NameLooksRegistered { name: &'a str, own: &'a str, command: &'a str } =
            "name not changed: {name} looks like {own}, which is registered; {command} takes that if it is yours",
        /// `/nick` or `/login` with the name of another user of the server's machine, or one like it.
        NameOfUser { name: &'a str } =
            "name not changed: {name} is kept for a user of the server's machine, who connects there by its Unix socket",
        /// `/nick` with the name of an operator who has not registered it, or one like it.
        NameOfOperator { name: &'a str } =
            "name not changed: {name} is kept for an operator, who takes it with /nick and /register at the control socket",
        /// `/login` with a wrong token, or with a name that is not registered.
        WrongToken { name: &'a str } = "name not changed: {name} is not registered with that token or certificate",
        /// `/login` after too many wrong tokens from the same address.
        TooManyTries {} = "name not changed: too many wrong tokens have come from your address; try again in a minute",
        /// `/register` of a guest.
        NoNameToRegister {} = "not registered: take a name first: /nick NAME",
        /// `/register` of a name that is registered.
        RegisteredAlready {} = "not registered: your name is yours already; after /unregister you can register it with another token",
        /// `/register` of a name that somebody else may have first.
        NotYoursToRegister {} = "not registered: your name is kept for somebody else; /nick NAME takes another",
        /// `/register` when there are too many registered names.
        RegisteredFull { names_max: usize } =
            "not registered: {names_max} names are registered already; ask an operator",
        /// `/register` when there are too many from the same address.
        RegisteredFullHere { names_max: usize } =
            "not registered: {names_max} names are registered from your address already; /unregister one of them first",
        /// `/register` at a server without `--state`.
        NoPlaceToKeep {} =
            "not registered: this server keeps nothing beyond its end; its operator can give it a folder with --state",
        /// `/register` when the name cannot be stored.
        NotKept { why: &'a str } = "not registered: {why}",
        /// `/unregister` of a client that is not logged in.
        NotLoggedIn {} = "not unregistered: your name is not registered, or you have not logged in; /login NAME TOKEN first",
        /// `/unregister NAME` by an operator.
        NotRegistered { name: &'a str } = "not unregistered: {name} is not registered",
        /// `/unregister` when that cannot be stored.
        StillKept { why: &'a str } = "not unregistered: {why}",
        /// What concerns registered names, when others' requests wait.
        TooManyClaims {} = "not done: too many requests wait for the server's disk; try again",
        /// `/nick` with the client's own name.
        NameIsYours { name: &'a str } = "name not changed: you are {name} already",
        /// `/nick` at the server's console.
        NameOfConsole { name: &'a str } = "name not changed: the host stays {name}",
        /// `/nick` with a name that nobody may have.
        NameInvalid { why: &'a str } = "name not changed: {why}",
        /// `/join` of a new room when there are `--max-rooms`.
        RoomsFull { rooms_max: usize } = "room not changed: there are {rooms_max} rooms already: join one of them",
        /// `/join` of the room where the client is.
        RoomIsYours { room: &'a str } = "room not changed: you are in {room} already",
        /// `/join` with a name that no room may have.
        RoomInvalid { why: &'a str } = "room not changed: {why}",
        /// `/join` of a locked room without its secret, with another one, or without an invitation.
        RoomLocked { room: &'a str } =
            "room not changed: {room} is locked; its secret opens it (/join ROOM SECRET), or an invitation",
        /// … when too many wrong secrets have come.
        TooManySecrets {} = "room not changed: too many wrong secrets; try again in a minute",
        /// `/join` with a secret of a room where others are that is not locked.
        RoomNotLocked { room: &'a str } =
            "room not changed: {room} is not locked, anybody may enter it; join it without a secret",
        /// `/lock` in the lobby.
        LobbyNotLocked { room: &'a str } = "room not locked: {room} stays open for newcomers; /join another room",
        /// `/lock` or `/unlock` by a member that may not.
        NotYourRoom { room: &'a str } =
            "not allowed: only the person who opened {room}, or has been there for longest since, may lock it",
        /// `/unlock` of a room that is not locked.
        NotLocked { room: &'a str } = "room not unlocked: {room} is not locked",
        /// `/who` of a locked room by others.
        MembersHidden { room: &'a str } = "{room} is locked: only those who are in it see who is",
        /// `/invite` of somebody who is in the room.
        IsHereAlready { name: &'a str } = "nobody invited: {name} is in this room already",
        /// A line of a client that has not said the password.
        PasswordFirst {} = "line not read: this server asks for a password first; send /pass SECRET",
        /// `/pass` with a wrong secret, or none.
        WrongPassword {} = "wrong password",
        /// Closed: … too often.
        TooManyPasswords {} = "closed: too many wrong passwords from your address; try again in a minute",
        /// Closed: the password has not come in time.
        NoPassword { seconds: u64 } = "closed: no password within {seconds} s",
        /// Closed: it has not come within so many bytes.
        TooMuchFirst { bytes_max: usize } = "closed: no password within {bytes_max} bytes",
        /// Closed to make place for another newcomer.
        TooManyStrangers {} = "closed: too many connections have not said the password; try again",
        /// A command without an argument that it needs.
        Usage { usage: &'a str } = "usage: {usage}",
        /// A word that is no command, one that may be meant, and how the word would be said as text.
        NearCommand { word: &'a str, near: &'a str, as_text: &'a str } =
            "unknown command {word}: did you mean {near}? /help lists commands, {as_text} says it as text",
        /// A word that is no command, and how it would be said as text.
        UnknownCommand { word: &'a str, as_text: &'a str } =
            "unknown command {word}: /help lists commands, {as_text} says it as text",
        /// The first line is another protocol's.
        WrongProtocol { protocol: &'a str } = "this port speaks lines of text, not {protocol}",
        /// Closed after `--idle-timeout`.
        Idle { seconds: u64 } = "closed: nothing received for {seconds} s",
        /// Closed under `--slow close` or `--slow wait`.
        TooSlow {} = "closed: you are reading too slowly",
        /// A newcomer when there are `--max-clients`.
        ServerFull { clients_max: usize } = "server is full: {clients_max} connections; try again later",
        /// A newcomer when there are `--max-per-ip` from its address.
        AddressFull { clients_max: usize } =
            "too many connections from your address: at most {clients_max}; close one first",
        /// Bytes that are no PROXY header, from an address of `--proxy-from`.
        ProxyHeaderMissing {} =
            "connections from this address are a proxy's (--proxy-from), and must begin with a PROXY header",
        /// … a header that is none in the end.
        ProxyHeaderInvalid {} = "the PROXY header of this connection is not valid",
        /// … nothing, or only a part of a header, for so many seconds.
        ProxyHeaderLate { seconds: u64 } =
            "connections from this address are a proxy's (--proxy-from), and no PROXY header came within {seconds} s",
        /// A newcomer at a TLS listener that does not speak TLS.
        NeedsTls {} =
            "this port speaks TLS: connect with madang join tls:HOST:PORT, or openssl s_client -quiet -connect HOST:PORT",
        /// A newcomer whose address `--deny` has, or `--allow` has not.
        AddressDenied {} = "this server takes no connections from your address",
        /// A newcomer while the server ends.
        ShuttingDown {} = "server is shutting down",
        /// A private line to somebody who ignores its sender.
        IgnoringYou { name: &'a str } = "line not sent: {name} is ignoring you",
        /// `/ignore` or `/whois` of a name that nobody has.
        NoSuchPerson { name: &'a str } = "nobody is called {name}",
        /// `/ignore` of oneself.
        IgnoringYourself { name: &'a str } = "you cannot ignore yourself: you are {name}",
        /// `/ignore` of an operator, or of the person at the console.
        IgnoringOperator { name: &'a str } = "operators cannot be ignored, and {name} is one",
        /// `/ignore` of somebody whom the client ignores.
        IgnoredAlready { name: &'a str } = "you ignore {name} already",
        /// `/ignore` when the client ignores as many as it may.
        IgnoredFull { ignored_max: usize } = "you ignore {ignored_max} people already: /unignore one first",
        /// `/unignore` of somebody whom the client does not ignore.
        NotIgnored { name: &'a str } = "you do not ignore {name}; /ignore lists whom you do",
        /// A newcomer after `/drain`.
        Draining {} = "the server takes no newcomers any more: it ends when those who are here have left",
        /// A newcomer at the control listener.
        OperatorsFull { clients_max: usize } =
            "too many connections at the control listener: at most {clients_max}; close one first",
        /// A newcomer from a banned address, or a client whose address is banned now; when it ends ([`ends`](super::span::ends)).
        BannedWhy { ends: &'a str, why: &'a str } = "an operator has banned your address; it ends {ends}: {why}",
        /// … for no reason that was given.
        Banned { ends: &'a str } = "an operator has banned your address; it ends {ends}",
        /// Closed by `/kick`.
        KickedWhy { why: &'a str } = "an operator has closed your connection: {why}",
        /// … for no reason that was given.
        Kicked {} = "an operator has closed your connection",
        /// A line for the room of a client that is in none.
        InNoRoom {} = "line not sent: you are in no room; /join ROOM enters one",
        /// `/who` of a client that is in no room.
        WhoInNoRoom {} = "you are in no room; /who ROOM lists those in another",
        /// A line of a client that an operator has muted.
        Muted { ends: &'a str } = "line not sent: an operator has muted you; it ends {ends}",
        /// `/nick` of a client that an operator has muted.
        NameMuted { ends: &'a str } = "name not changed: an operator has muted you; it ends {ends}",
        /// A command of operators from another client.
        OnlyOperators { word: &'a str } = "{word} is only for operators",
        /// To an operator: no client is meant by this name, address or number.
        NoSuchClient { who: &'a str } = "not done: there is no client {who}; /clients lists them",
        /// … it is the operator itself.
        ThatIsYou {} = "not done: that is you; /quit leaves",
        /// … it is an operator too, or the console.
        IsOperator { who: &'a str } = "not done: {who} is an operator",
        /// … it is being closed.
        IsLeaving { who: &'a str } = "not done: {who} is leaving already",
        /// … it has come by a Unix-domain socket.
        HasNoAddress { who: &'a str } = "not done: {who} has come by a Unix socket and has no address; /kick works",
        /// To an operator: a range of addresses that is none.
        RangeInvalid { text: &'a str } =
            "not done: {text} is no range of addresses; write for example 10.1.0.0/16 or 2001:db8::/32",
        /// … that includes the operator.
        RangeIsYours { range: &'a str } = "not done: {range} includes your own address",
        /// … that is everything.
        RangeIsAll { range: &'a str } = "not done: {range} is all addresses; /drain refuses all newcomers",
        /// … that is not banned.
        NotBanned { range: &'a str } = "not done: {range} is not banned; /bans lists what is",
        /// To an operator: there are too many bans.
        BansFull { bans_max: usize } = "not done: there are {bans_max} bans already; /unban one first",
        /// To an operator: a time that is none.
        SpanInvalid { text: &'a str } = "not done: {text} is no time; write for example 30s, 10m, 2h or 7d",
        /// To an operator: a reason that is too long.
        WhyTooLong { bytes_max: usize } = "not done: the reason is longer than {bytes_max} bytes",
        /// To an operator: there are too many muted clients.
        MutesFull { clients_max: usize } = "not done: {clients_max} clients are muted already; /unmute one first",
        /// To an operator: `/unmute` of a client that may speak.
        NotMuted { who: &'a str } = "not done: {who} is not muted",
        /// To an operator: others' commands wait.
        TooManyCommands {} = "not done: too many commands of operators wait for their answers; try again later",
        /// To the sender of a private line of which nobody knows what has become.
        PerhapsNotSent { name: &'a str } =
            "perhaps not sent to {name}: this server was cut off from the others",
        /// A line of a client of a node of a cluster that is cut off from the other nodes.
        LineNotNow {} = "line not sent: this server is cut off from the others",
        /// … `/nick`.
        NameNotNow {} = "name not changed: this server is cut off from the others",
        /// … `/join`.
        RoomNotNow {} = "room not changed: this server is cut off from the others",
        /// … anything else that the other nodes would have to know.
        NotNow {} = "not now: this server is cut off from the others",
        /// To an operator: a person is on another server of the cluster.
        IsElsewhere { who: &'a str } = "not done: {who} is on another server: use madang ctl there",
        /// A command that no node of a cluster has.
        NotInCluster { command: &'a str } = "{command} cannot be used on a server of a cluster",
        /// To an operator: what it asked for has failed.
        NotDone { why: &'a str } = "not done: {why}",
    }
}

impl Refusal<'_> {
    /// Writes the line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{REFUSAL_MARK}{self}\n").as_bytes());
    }
}
