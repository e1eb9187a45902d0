//! What a line does: it is said to the room, or the command that it holds is carried out. And the words in which the
//! server answers: every one of its own lines is rendered here or in `room`.

use super::command::{self, COMMANDS, NoRequest, Request};
use super::crowd::Crowd;
use super::limits::{LIST_ENTRIES_MAX, PRIVATE_BYTES_MARK, RENDER_BYTES_EXTRA, RENDER_GROWTH_MAX};
use super::name;
use super::room::grouped;
use super::session::{Input, Knock, Phase, Verdict, Wire};
use super::text::Text;
use super::{Hub, Now};
use std::fmt;

/// What a line of the server's own begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A notice.
    Notice,
    /// What was sent is refused.
    Refusal,
}

/// Renders one line of the server's own.
pub fn push_line(out: &mut Vec<u8>, mark: Mark, text: fmt::Arguments<'_>) {
    let mark = match mark {
        Mark::Notice => '*',
        Mark::Refusal => '!',
    };
    out.extend_from_slice(format!("{mark} {text}\n").as_bytes());
}

/// Renders how many lines a slow member has lost.
pub fn skipped(out: &mut Vec<u8>, lines: u64) {
    push_line(
        out,
        Mark::Notice,
        format_args!("{lines} lines skipped: you are reading too slowly"),
    );
}

/// How much room a text may need once it is rendered.
fn rendered_max(text: &str) -> usize {
    RENDER_GROWTH_MAX * text.len() + RENDER_BYTES_EXTRA
}

/// Lines.
impl Hub {
    /// Takes one piece of a client's input.
    pub(super) fn take(&mut self, now: Now, slot: u32, input: Input<'_>) -> Verdict {
        match input {
            Input::Answer(answer) => {
                self.clients[slot as usize]
                    .outbox
                    .push_private(|out| out.extend_from_slice(&answer));
                self.owe(slot);
            }
            Input::Knock(knock) => {
                let protocol = match knock {
                    Knock::Http => "HTTP",
                    Knock::Tls => "TLS",
                };
                self.refuse(
                    slot,
                    format_args!("this port speaks lines of text, not {protocol}"),
                );
                self.drain(now, slot);
            }
            Input::TooLong => {
                let bytes = self.limits.line_bytes_max;
                self.refuse_line(
                    slot,
                    format_args!("line not sent: longer than {bytes} bytes"),
                );
            }
            Input::Line([]) => return Verdict::Next,
            Input::Line(line) => match Text::check(line) {
                Err(error) => self.refuse_line(slot, format_args!("line not sent: {error}")),
                Ok(text) if self.clients[slot as usize].session.wire == Wire::Raw => {
                    self.say(now, slot, text)
                }
                Ok(text) => match command::parse(text.as_sent()) {
                    Ok(Request::Join(_)) if !self.may_move(slot) => return Verdict::Retry,
                    Ok(Request::Say(said)) if said.len() == line.len() => self.say(now, slot, text),
                    Ok(request) => self.carry_out(now, slot, request),
                    Err(NoRequest::Usage(usage)) => {
                        self.refuse_line(slot, format_args!("usage: {usage}"));
                    }
                    Err(NoRequest::Unknown(word)) => {
                        let word = Text::of(word);
                        let hint = format_args!("/help lists commands, /{word} says it as text");
                        self.refuse_line(slot, format_args!("unknown command {word}: {hint}"));
                    }
                },
            },
        }
        self.clients[slot as usize]
            .session
            .charge(now, &self.limits);
        let phase = self.clients[slot as usize].session.phase;
        match phase {
            Phase::Open if self.obstacle(now, slot).is_none() => Verdict::Next,
            Phase::Open | Phase::Moving { .. } => Verdict::Pause,
            Phase::Listening | Phase::Draining { .. } | Phase::Done => Verdict::End,
        }
    }

    /// Says a line to the room.
    fn say(&mut self, now: Now, slot: u32, text: Text<'_>) {
        self.speak(now, slot, rendered_max(text.as_sent()), |out, name| {
            if let Some(name) = name {
                name.push_to(out);
                out.extend_from_slice(b": ");
            }
            text.push_to(out);
            out.push(b'\n');
        });
        self.totals.lines += 1;
    }

    /// Appends a line of the client's to its room; it is not given that itself. A raw client has no name.
    fn speak(
        &mut self,
        now: Now,
        slot: u32,
        bytes_max: usize,
        render: impl FnOnce(&mut Vec<u8>, Option<&name::Name>),
    ) {
        let number = self.clients[slot as usize].room;
        self.make_place(now, number, bytes_max);
        let client = &mut self.clients[slot as usize];
        let name = (client.session.wire == Wire::Chat).then_some(&client.session.name);
        let room = &mut self.crowd.rooms[number as usize];
        let range = room.append(bytes_max, &self.limits, |out| render(out, name));
        client.outbox.said(&mut room.log, range);
    }

    fn refuse_line(&mut self, slot: u32, why: fmt::Arguments<'_>) {
        self.totals.refused_lines += 1;
        self.refuse(slot, why);
    }

    /// Tells a client that what it sent is refused.
    pub(super) fn refuse(&mut self, slot: u32, why: fmt::Arguments<'_>) {
        self.tell(slot, Mark::Refusal, why);
    }

    /// Gives a client a notice of its own.
    pub(super) fn notice(&mut self, slot: u32, text: fmt::Arguments<'_>) {
        self.tell(slot, Mark::Notice, text);
    }

    fn tell(&mut self, slot: u32, mark: Mark, text: fmt::Arguments<'_>) {
        let client = &mut self.clients[slot as usize];
        if client.session.wire == Wire::Chat {
            client.outbox.push_private(|out| push_line(out, mark, text));
            self.owe(slot);
        }
    }

    /// Greets a newcomer.
    pub(super) fn greet(&mut self, slot: u32) {
        let welcome = std::mem::take(&mut self.limits.welcome);
        for line in welcome.lines() {
            self.notice(slot, format_args!("{}", Text::of(line)));
        }
        self.limits.welcome = welcome;
        let client = &self.clients[slot as usize];
        let (name, room, here) = (
            client.session.name.clone(),
            client.room,
            self.here(client.room),
        );
        let room = self.crowd.rooms[room as usize].name.clone();
        self.notice(
            slot,
            format_args!("you are {name} in {room} ({here} here); /help lists commands"),
        );
    }
}

/// Commands.
impl Hub {
    fn carry_out(&mut self, now: Now, slot: u32, request: Request<'_>) {
        match request {
            Request::Say(text) => self.say(now, slot, Text::of(text)),
            Request::Nick(name) => self.rename(now, slot, name),
            Request::Join(room) => self.join(now, slot, room),
            Request::Msg(name, text) => self.message(slot, name, Text::of(text)),
            Request::Me(action) => {
                let action = Text::of(action);
                self.speak(now, slot, rendered_max(action.as_sent()), |out, name| {
                    let name = name.expect("a raw client has no commands");
                    push_line(out, Mark::Notice, format_args!("{name} {action}"));
                });
                self.totals.lines += 1;
            }
            Request::Who(room) => self.who(slot, room),
            Request::Rooms => self.rooms(slot),
            Request::Help => {
                for (usage, does) in COMMANDS {
                    self.notice(slot, format_args!("{usage:<15}  {does}"));
                }
                self.notice(slot, format_args!("//text           say /text"));
            }
            Request::Quit(last_word) => {
                if let Some(text) = last_word {
                    self.say(now, slot, Text::of(text));
                }
                self.notice(slot, format_args!("you left; goodbye"));
                self.drain(now, slot);
            }
        }
    }

    fn rename(&mut self, now: Now, slot: u32, raw: &str) {
        let old = self.clients[slot as usize].session.name.clone();
        if old.is_host() {
            // It could not take its name back: nobody can choose that.
            return self.refuse_line(slot, format_args!("name not changed: the host stays {old}"));
        }
        let name = match name::nickname(raw) {
            Ok(name) => name,
            Err(error) => {
                return self.refuse_line(slot, format_args!("name not changed: {error}"));
            }
        };
        if old.to_string() == *name {
            return self.refuse_line(
                slot,
                format_args!("name not changed: you are {name} already"),
            );
        }
        match self.crowd.rename(slot, &old, &name) {
            Err(other) => {
                let other = self.clients[other as usize].session.name.clone();
                let why = if other.to_string() == *name {
                    "is in use"
                } else {
                    "looks like a name in use"
                };
                self.refuse_line(slot, format_args!("name not changed: {name} {why}"));
            }
            Ok(new) => {
                self.clients[slot as usize].session.name = new;
                self.notice(slot, format_args!("you are now {name}"));
                self.speak(now, slot, RENDER_BYTES_EXTRA + 16, |out, _| {
                    push_line(out, Mark::Notice, format_args!("renamed: {old} -> {name}"));
                });
            }
        }
    }

    /// Whether a client may change rooms: it has been given all that it was owed when it asked to. If not, it waits.
    fn may_move(&mut self, slot: u32) -> bool {
        let client = &mut self.clients[slot as usize];
        let end = self.crowd.rooms[client.room as usize].log.end();
        let until = client.session.until().unwrap_or(end);
        let may = client.outbox.has_given(until);
        if !may && client.session.phase == Phase::Open {
            client.session.phase = Phase::Moving { until };
        }
        may
    }

    fn join(&mut self, now: Now, slot: u32, raw: &str) {
        if let Phase::Moving { .. } = self.clients[slot as usize].session.phase {
            self.clients[slot as usize].session.phase = Phase::Open;
        }
        let opened = name::room_name(raw)
            .map_err(|error| error.to_string())
            .and_then(|name| {
                self.crowd.open(&name, &self.limits).map_err(|rooms| {
                    format!(
                        "there are {} rooms already: join one of them",
                        grouped(rooms)
                    )
                })
            });
        let room = match opened {
            Ok(room) if room == self.clients[slot as usize].room => Err(format!(
                "you are in {} already",
                self.crowd.rooms[room as usize].name
            )),
            other => other,
        };
        match room {
            Err(why) => self.refuse_line(slot, format_args!("room not changed: {why}")),
            Ok(room) => {
                self.leave(now, slot);
                self.enter(now, slot, room);
                let (name, here) = (
                    self.crowd.rooms[room as usize].name.clone(),
                    self.here(room),
                );
                self.notice(slot, format_args!("you are in {name} ({here} here)"));
            }
        }
    }

    fn message(&mut self, slot: u32, to: &str, text: Text<'_>) {
        let Some(target) = self.crowd.find(to) else {
            let to = Text::of(to);
            return self.refuse(slot, format_args!("line not sent: nobody is called {to}"));
        };
        let name = self.clients[target as usize].session.name.clone();
        if target == slot {
            return self.refuse(slot, format_args!("line not sent: you are {name}"));
        }
        if self.clients[target as usize].outbox.private_bytes() > PRIVATE_BYTES_MARK {
            return self.refuse(slot, format_args!("line not sent: {name} is not reading"));
        }
        let from = self.clients[slot as usize].session.name.clone();
        for (slot, from, to) in [
            (
                target,
                &from as &dyn fmt::Display,
                &"you" as &dyn fmt::Display,
            ),
            (slot, &"you", &name),
        ] {
            self.clients[slot as usize].outbox.push_private(|out| {
                out.extend_from_slice(format!("{from} -> {to}: ").as_bytes());
                text.push_to(out);
                out.push(b'\n');
            });
            self.owe(slot);
        }
    }

    fn who(&mut self, slot: u32, room: Option<&str>) {
        let number = match room {
            None => self.clients[slot as usize].room,
            Some(name) => match self.crowd.find_room(name) {
                Some(room) => room,
                None => {
                    return self.refuse(
                        slot,
                        format_args!("there is no room called {}", Text::of(name)),
                    );
                }
            },
        };
        let room = &self.crowd.rooms[number as usize];
        let members = room.members.iter().take(LIST_ENTRIES_MAX);
        let mut names: Vec<_> = members
            .map(|&member| self.clients[member as usize].session.name.to_string())
            .collect();
        names.sort_unstable();
        let (list, here) = (listed(&names, room.members.len()), self.here(number));
        let name = room.name.clone();
        self.notice(slot, format_args!("here in {name}: {list} ({here})"));
    }

    fn rooms(&mut self, slot: u32) {
        let (list, total) = self.list_rooms();
        self.notice(slot, format_args!("rooms: {}", listed(&list, total)));
    }

    fn list_rooms(&self) -> (Vec<String>, usize) {
        let crowd: &Crowd = &self.crowd;
        let rooms = crowd
            .list()
            .take(LIST_ENTRIES_MAX)
            .map(|(name, members)| format!("{name} ({})", grouped(members)));
        (rooms.collect(), crowd.list().count())
    }
}

/// A list of at most [`LIST_ENTRIES_MAX`] entries, and how many more there are.
fn listed(entries: &[String], total: usize) -> String {
    let mut list = entries.join(", ");
    if total > entries.len() {
        list += &format!(", and {} more", grouped(total - entries.len()));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::super::yard::Yard;
    use super::super::{ConnId, Wire};
    use super::listed;

    /// Two clients, and what each receives when the first says something.
    struct Two(Yard, ConnId, ConnId);

    impl Two {
        fn new() -> Two {
            let mut yard = Yard::new(Limits::default());
            let (a, b) = (yard.join(), yard.join());
            yard.settle();
            Two(yard, a, b)
        }

        fn say(&mut self, line: &str) -> (String, String) {
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
        two.expect("/me waves", "", "* kim waves\n");
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
        two.0.pass(2_000_000);
        two.expect(
            "/join lobby",
            "* you are in lobby (2 here)\n",
            "* joined: kim (2 here)\n",
        );
        two.expect(
            "/quit good night",
            "* you left; goodbye\n",
            "kim: good night\n",
        );
        assert_eq!(two.0.reap(), [two.1]);
        // Three lines, an action, a last word.
        assert_eq!(two.0.hub.totals().lines, 5);
    }

    #[test]
    fn a_list_says_how_many_it_leaves_out() {
        let entries = ["a".to_owned(), "b".to_owned()];
        assert_eq!(listed(&entries, 2), "a, b");
        assert_eq!(listed(&entries, 1205), "a, b, and 1,203 more");
    }

    #[test]
    fn what_grows_most_when_it_is_shown_finds_its_room() {
        let mut two = Two::new();
        // As long as a name may be.
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
            &format!("* {name} {shown}\n"),
        );
    }

    #[test]
    fn on_a_raw_connection_a_line_is_a_line() {
        let mut yard = Yard::new(Limits::default());
        let [a, b] = [(); 2].map(|()| yard.knock(Wire::Raw).unwrap());
        yard.send(a, b"/nick kim\n//x\n");
        assert_eq!(yard.read(b), "/nick kim\n//x\n");
        assert_eq!(yard.read(a), "");
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
                "/nick l\u{435}e",
                "name not changed: l\u{435}e looks like a name in use",
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
                "room not changed: a name has letters, digits, '-', '_' and '.', not U+002A",
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
            "! line not sent: not UTF-8 at byte 5\n! line not sent: longer than 8192 bytes\n"
        );
        assert_eq!(two.0.read(two.2), "guest1: still here\n");
        assert_eq!(two.0.hub.totals().refused_lines, 12);
    }

    #[test]
    fn a_private_line_finds_its_reader_in_any_case() {
        let mut two = Two::new();
        two.0.send(two.2, b"/nick Lee\n");
        two.0.flush();
        two.expect("/msg lee hi", "you -> Lee: hi\n", "guest1 -> you: hi\n");
    }

    #[test]
    fn no_name_makes_a_line_that_could_be_the_servers() {
        let mut two = Two::new();
        let mut notices = String::new();
        for line in [
            "/help",
            "/who",
            "/rooms",
            "/nick kim",
            "/join garden",
            "/join lobby",
        ] {
            let (own, others) = two.say(line);
            notices += &own;
            notices += &others;
            two.0.pass(2_000_000);
            notices += &two.0.read(two.2);
        }
        for _ in 0..3 {
            two.0.join();
        }
        two.0.pass(2_000_000);
        notices += &two.0.read(two.2);
        two.0.hub.shutdown(two.0.now);
        notices += &two.say("/quit").0;
        let mut lines = Vec::new();
        super::skipped(&mut lines, 132);
        notices += str::from_utf8(&lines).unwrap();
        assert!(notices.lines().count() > 20, "{notices}");
        for notice in notices.lines() {
            // Whoever were called so could forge this with /me.
            let first = notice
                .strip_prefix("* ")
                .unwrap()
                .split(' ')
                .next()
                .unwrap();
            assert!(super::name::nickname(first).is_err(), "{notice}");
        }
    }

    #[test]
    fn who_is_behind_changes_rooms_when_it_has_caught_up() {
        let mut two = Two::new();
        two.0.send(two.2, b"one\n");
        two.0.send(two.1, b"/join garden\nhello garden\n");
        two.0.send(two.2, b"two\n");
        assert_eq!(two.0.read_some(two.1, 5), "guest");
        assert_eq!(two.0.read(two.1), "2: one\n");
        two.0.run();
        assert_eq!(two.0.read(two.1), "* you are in garden (1 here)\n");
        assert_eq!(two.0.read(two.2), "* left: guest1 (1 here)\n");
    }
}
