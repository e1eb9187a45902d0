//! The user interface of the client on a terminal: what a key or a line from the server changes, what is then shown, and
//! what the client must do. Keys, lines and times go in; bytes for the terminal and actions come out.
//!
//! Nothing in this folder does input or output, reads a clock or the environment. `keys` decodes a keyboard's bytes,
//! `line_editor` is the line being typed, `history` the lines typed before, `completion` what Tab does. `paint` says how
//! a line looks. `cells` says how wide text is, `screen` what to write so that the typed line stays below all others,
//! `area` where the typed line is after the window has changed. [`Ui`] composes them.
#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

mod area;
pub mod cells;
mod completion;
pub mod history;
pub mod keys;
pub mod line_editor;
pub mod paint;
pub mod screen;

use super::clock::NO_TIME;
use super::session::{Heard, Session};
use super::transcript::Transcript;
use crate::hub::input::command::{Request, parse, without_secret};
use crate::hub::{COMMANDS, Text};
use crate::password_file::Password;
use crate::protocol::{self, Line, Notice, grouped};
use completion::{Completion, complete};
use history::History;
use keys::Key;
use line_editor::{INPUT_BYTES_MAX, Insert, LineEditor};
use paint::Style;
use screen::{Screen, View};

const PROMPT: &str = "> ";
/// … while what is typed is not shown.
const PASSWORD_PROMPT: &str = "password: ";

/// What a key makes the client do, beyond showing something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this line.
    Send(String),
    /// Say this password to the server that asks for one.
    Password(Password),
    /// Leave the server and exit.
    Leave,
    /// Suspend the client, as Ctrl-Z does in a shell.
    Suspend,
}

/// Whether a line is the `/quit` command.
pub fn is_quit(line: &str) -> bool {
    let word = line.split(char::is_whitespace).next();
    word.is_some_and(|word| word.eq_ignore_ascii_case("/quit"))
}

/// The password in a line that was typed for it: the line, or what it says if it is the whole command.
pub fn password_in(line: &str) -> Password {
    Password::typed(match parse(line) {
        Ok(Request::Pass(password)) if !password.is_empty() => password,
        _ => line,
    })
}

/// The user interface.
#[derive(Debug)]
pub struct Ui {
    /// What is known from the server's lines.
    pub session: Session,
    /// Which said lines are shown.
    transcript: Transcript,
    /// What to write to the terminal.
    pub screen: Screen,
    line: LineEditor,
    history: History,
    style: Style,
    /// Before each line that is shown: the time, or nothing.
    timestamp: String,
    /// The user is asked for a password, which is typed instead of this line.
    set_aside: Option<String>,
    /// The message that the line is full was shown: once a line is enough.
    is_full: bool,
}

impl Ui {
    /// With nothing typed yet.
    pub fn new(session: Session, screen: Screen, history: History, style: Style) -> Ui {
        Ui {
            session,
            transcript: Transcript::default(),
            screen,
            line: LineEditor::default(),
            history,
            style,
            timestamp: String::new(),
            set_aside: None,
            is_full: false,
        }
    }

    /// The server wants a password that only the user knows: what is typed now is not shown.
    pub fn ask_password(&mut self) {
        if self.set_aside.is_none() {
            self.set_aside = Some(self.line.take());
        }
    }

    /// The password is typed, or not wanted any more: the user goes on with the line that was typed before.
    fn end_password(&mut self) {
        if let Some(line) = self.set_aside.take() {
            self.line.set(&line);
        }
    }

    /// Sets the time to show before lines. `time` is called only if timestamps are shown.
    pub fn set_time(&mut self, time: impl FnOnce() -> String) {
        if self.style.timestamps {
            self.timestamp = paint::dim(self.style.colors, &time()) + " ";
        }
    }

    /// Takes and shows a line from the server. History is shown once it is complete, and only what is new of it.
    pub fn receive(&mut self, line: &[u8]) -> Heard {
        let line = paint::safe(line);
        let heard = self.session.receive(&line);
        if let Some(room) = self.session.room() {
            self.transcript.enter(room);
        }
        if self.session.is_greeted() {
            self.end_password();
        }
        let is_history = self.transcript.is_history();
        match Line::parse(&line) {
            Line::Notice(text) => match Notice::parse(text) {
                Notice::LastLine {} => self.begin_history(1),
                Notice::LastLines { lines } => self.begin_history(lines),
                Notice::Now {} if is_history => self.end_history(),
                // The client answers by itself.
                Notice::PasswordAsked { .. } if self.session.password_line().is_some() => {}
                _ => self.show(&line),
            },
            Line::Said(..) | Line::Action(..) if is_history => {
                if !self.transcript.take(line) {
                    self.end_history();
                }
            }
            Line::Said(..) | Line::Action(..) => {
                self.show(&line);
                self.transcript.push(line);
            }
            _ => self.show(&line),
        }
        heard
    }

    /// The connection is lost.
    pub fn disconnected(&mut self) {
        self.end_password();
        self.end_history();
    }

    fn begin_history(&mut self, lines: usize) {
        self.end_history();
        self.transcript.begin(lines);
    }

    /// Shows what is new in the history, without times: nobody knows when it was said. That of a room that the client
    /// only passes through is not shown.
    fn end_history(&mut self) {
        let is_here = self.session.room().is_some();
        let lines = self.transcript.end();
        if lines.is_empty() || !is_here {
            return;
        }
        let notice = |notice: Notice<'_>| {
            let mut line = Vec::new();
            notice.write(&mut line);
            line.pop();
            String::from_utf8_lossy(&line).into_owned()
        };
        self.show(&notice(match lines.len() {
            1 => Notice::LastLine {},
            lines => Notice::LastLines { lines },
        }));
        let timestamp = std::mem::take(&mut self.timestamp);
        if !timestamp.is_empty() {
            self.timestamp = format!("{NO_TIME} ");
        }
        lines.iter().for_each(|line| self.show(line));
        self.timestamp = timestamp;
        self.show(&notice(Notice::Now {}));
    }

    /// Shows a line from the server.
    fn show(&mut self, line: &str) {
        let isolated = paint::isolated(line);
        let painted = paint::line(self.style.colors, &isolated, self.session.name());
        self.print(&painted.text);
        if painted.is_mention && self.style.bell {
            self.screen.ring_bell();
        }
    }

    /// Shows a message of the client's own. No line of a madang server begins with `-- `.
    pub fn notice(&mut self, text: &str) {
        let line = paint::dim(self.style.colors, &format!("-- {text}"));
        self.print(&line);
    }

    /// Shows an error of the client's own.
    pub fn error(&mut self, text: &str) {
        let line = paint::error(self.style.colors, &format!("-- {text}"));
        self.print(&line);
    }

    /// Shows a line of the server's log.
    pub fn server_log(&mut self, line: &[u8]) {
        let line = paint::dim(self.style.colors, &paint::safe(line));
        self.screen.print(&line);
    }

    /// Draws the typed line below all others.
    pub fn draw(&mut self) {
        let is_shown = self.set_aside.is_none();
        self.screen.draw(match is_shown {
            true => View {
                prompt: PROMPT,
                text: self.line.text(),
                cursor: self.line.cursor(),
            },
            false => View {
                prompt: PASSWORD_PROMPT,
                text: "",
                cursor: 0,
            },
        });
    }

    /// Removes the typed line from the screen and returns it unless it is blank or has a secret.
    pub fn close(&mut self) -> Option<String> {
        self.screen.remove_area();
        self.end_password();
        let typed = self.line.take();
        let is_kept = !typed.trim().is_empty() && without_secret(&typed).is_none();
        is_kept.then_some(typed)
    }

    /// Takes a key, or an answer of the terminal.
    pub fn key(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Enter => return self.enter(),
            Key::Ctrl(b'c') => return Some(Action::Leave),
            Key::Ctrl(b'd') if self.line.text().is_empty() => return Some(Action::Leave),
            Key::Ctrl(b'z') => return Some(Action::Suspend),
            Key::CursorAt(_, column) => self.screen.cursor_at(column),
            Key::Terminal(model, version) => self.screen.identified(model, version),
            Key::Ctrl(b'l') => self.screen.clear(),
            // Nothing of a password is completed, recalled, or kept to be pasted.
            Key::Ctrl(b'u') if self.set_aside.is_some() => drop(self.line.take()),
            Key::Tab | Key::Up | Key::Down | Key::Ctrl(_) | Key::Alt(_)
                if self.set_aside.is_some() => {}
            Key::Tab => self.tab(),
            Key::Up | Key::Ctrl(b'p') => {
                if let Some(line) = self.history.older(self.line.text()) {
                    self.line.set(line);
                }
            }
            Key::Down | Key::Ctrl(b'n') => {
                if let Some(line) = self.history.newer() {
                    self.line.set(&line);
                }
            }
            key => self.edit(key),
        }
        None
    }

    /// A key that only changes the typed line.
    fn edit(&mut self, key: Key) {
        let line = &mut self.line;
        match key {
            Key::Char(c) => {
                let done = line.insert(c.encode_utf8(&mut [0; 4]));
                self.report_if_full(done);
            }
            Key::Ctrl(b'y') => {
                let done = line.paste_cut();
                self.report_if_full(done);
            }
            Key::Backspace => line.backspace(),
            Key::Delete | Key::Ctrl(b'd') => line.delete(),
            Key::Left | Key::Ctrl(b'b') => line.left(),
            Key::Right | Key::Ctrl(b'f') => line.right(),
            Key::WordLeft | Key::Alt('b') => line.word_left(),
            Key::WordRight | Key::Alt('f') => line.word_right(),
            Key::Home | Key::Ctrl(b'a') => line.home(),
            Key::End | Key::Ctrl(b'e') => line.end(),
            Key::Ctrl(b'w') => line.cut_word(),
            Key::Ctrl(b'u') => line.cut_to_start(),
            Key::Ctrl(b'k') => line.cut_to_end(),
            Key::Ctrl(b't') => line.transpose(),
            _ => {}
        }
    }

    fn report_if_full(&mut self, done: Insert) {
        if done == Insert::TooLong && !self.is_full {
            self.is_full = true;
            let bytes = grouped(INPUT_BYTES_MAX);
            self.error(&format!("line is full: it can have {bytes} bytes at most"));
        }
    }

    fn enter(&mut self) -> Option<Action> {
        self.is_full = false;
        let line = self.line.take();
        if line.is_empty() {
            return None;
        }
        if self.set_aside.is_some() {
            return self.enter_password(&line);
        }
        if let Some(shown) = without_secret(&line) {
            let shown = paint::own_line(self.style.colors, &shown, self.session.name());
            self.print(&shown);
            return Some(Action::Send(line));
        }
        let shown = paint::own_line(self.style.colors, &line, self.session.name());
        self.print(&shown);
        self.remember_own(&line);
        self.history.push(&line);
        Some(Action::Send(line))
    }

    /// The password, or `/quit`.
    fn enter_password(&mut self, line: &str) -> Option<Action> {
        self.end_password();
        if is_quit(line) {
            return Some(Action::Leave);
        }
        Some(Action::Password(password_in(line)))
    }

    /// The server will not send back what the user says, but it will be in the room's history.
    fn remember_own(&mut self, line: &str) {
        let name = self.session.name().map(Text::of);
        let mut said = Vec::new();
        match (parse(line), name) {
            (Ok(Request::Say(text)), Some(name)) => {
                protocol::said(&mut said, Some(&name), &Text::of(text));
            }
            (Ok(Request::Me(text)), Some(name)) => {
                protocol::action(&mut said, &name, &Text::of(text));
            }
            _ => return,
        }
        said.pop();
        let said = String::from_utf8_lossy(&said);
        self.transcript.push_own(said.into_owned());
    }

    fn tab(&mut self) {
        let commands = COMMANDS.map(|(usage, _)| usage.split(' ').next().unwrap_or(usage));
        let (text, cursor) = (self.line.text(), self.line.cursor());
        match complete(text, cursor, &commands, self.session.names()) {
            Completion::None => {}
            Completion::Replace(start, text) => {
                let done = self.line.replace_before_cursor(start, &text);
                self.report_if_full(done);
            }
            Completion::Choices(choices) => {
                let list = paint::dim(self.style.colors, &choices.join("  "));
                self.screen.print(&list);
            }
        }
    }

    fn print(&mut self, text: &str) {
        if self.timestamp.is_empty() {
            self.screen.print(text);
        } else {
            self.screen.print(&format!("{}{text}", self.timestamp));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::paint::Colors;
    use super::*;

    fn ui(style: Style) -> Ui {
        let screen = Screen::new(80, 24);
        Ui::new(Session::default(), screen, History::default(), style)
    }

    const PLAIN: Style = Style {
        colors: Colors::None,
        timestamps: false,
        bell: false,
    };

    fn written(ui: &mut Ui) -> String {
        let text = String::from_utf8(ui.screen.output().to_vec()).unwrap();
        ui.screen.written(text.len());
        text.replace('\x1b', "^")
    }

    /// Types a text. Returns the lines to send.
    fn keys(ui: &mut Ui, text: &str) -> Vec<String> {
        let key = |c| match c {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            c => Key::Char(c),
        };
        let sent = |action| match action {
            Action::Send(line) => line,
            other => panic!("{other:?}"),
        };
        let actions = text.chars().filter_map(|c| ui.key(key(c)));
        actions.map(sent).collect()
    }

    /// Presses a key after a text has been typed.
    fn pressed(ui: &mut Ui, text: &str, key: Key) -> Option<Action> {
        assert_eq!(keys(ui, text), [""; 0]);
        ui.key(key)
    }

    #[test]
    fn a_password_that_is_asked_for_is_neither_shown_nor_recalled() {
        let mut ui = ui(PLAIN);
        keys(&mut ui, "half a li");
        ui.receive(b"* this server asks for a password: send /pass SECRET within 30 s");
        ui.ask_password();
        for (text, password) in [("sesame", "sesame"), ("/pass two words", "two words")] {
            ui.ask_password();
            ui.draw();
            written(&mut ui);
            for key in [Key::Up, Key::Tab, Key::Ctrl(b'k'), Key::Ctrl(b'y')] {
                assert_eq!(pressed(&mut ui, "no", key), None);
            }
            assert_eq!(pressed(&mut ui, "", Key::Ctrl(b'u')), None);
            let action = pressed(&mut ui, text, Key::Enter);
            assert_eq!(action, Some(Action::Password(Password::typed(password))));
            ui.draw();
            let shown = written(&mut ui);
            assert!(
                !shown.contains(text) && shown.contains("> half a li"),
                "{shown}"
            );
        }
        ui.ask_password();
        assert_eq!(pressed(&mut ui, "/quit", Key::Enter), Some(Action::Leave));
        ui.ask_password();
        keys(&mut ui, "sesame");
        // The server has closed the connection, or the client ends.
        ui.disconnected();
        ui.ask_password();
        keys(&mut ui, "sesame");
        assert_eq!(ui.close().as_deref(), Some("half a li"));
        assert_eq!(ui.history.text(), "");
    }

    #[test]
    fn secrets_in_commands_are_not_shown_and_not_kept() {
        let mut ui = ui(PLAIN);
        let lines = ["/pass sesame", "/lock sesame", "/join pond sesame"];
        assert_eq!(keys(&mut ui, &(lines.join("\n") + "\n")), lines);
        let shown = written(&mut ui);
        assert_eq!(shown, "/pass ***\r\n/lock ***\r\n/join pond ***\r\n");
        keys(&mut ui, "/pass sesame");
        assert_eq!(
            ui.close(),
            None,
            "what is half typed at the end is not kept either"
        );
        assert_eq!(ui.history.text(), "");
    }

    #[test]
    fn entered_lines_are_shown_and_sent() {
        let mut ui = ui(PLAIN);
        ui.receive(b"* you are now kim");
        assert_eq!(keys(&mut ui, "hello\n\n/who\n"), ["hello", "/who"]);
        let shown = "* you are now kim\r\nkim: hello\r\n/who\r\n";
        assert_eq!(written(&mut ui), shown);
        ui.key(Key::Up);
        ui.key(Key::Up);
        ui.draw();
        assert_eq!(written(&mut ui), "> hello^[8G");
        assert_eq!(ui.close(), Some("hello".into()));
        assert_eq!(ui.close(), None);
    }

    #[test]
    fn a_hostile_server_cannot_write_control_characters() {
        let mut ui = ui(PLAIN);
        let mut line = b"\x1b]0;title\x07\x1b[2J\r\x9b\xc2\x9b".to_vec();
        line.extend((0..0x20).chain(0x7f..=0xff));
        ui.receive(&line);
        let text = written(&mut ui);
        let text = text.strip_suffix("\r\n").unwrap();
        assert!(text.chars().all(|c| c == '\t' || !c.is_control()), "{text}");
        assert!(text.starts_with("␛]0;title␇␛[2J␍"), "{text}");
    }

    #[test]
    fn the_bell_rings_for_a_mention() {
        let mut ui = ui(Style {
            bell: true,
            ..PLAIN
        });
        ui.receive(b"* you are now kim");
        ui.receive(b"lee: hello");
        assert!(!written(&mut ui).contains('\x07'));
        ui.receive(b"lee: hello kim");
        assert_eq!(written(&mut ui), "lee: hello kim\r\n\x07");
    }

    #[test]
    fn timestamps_are_shown_before_each_line() {
        let mut ui = ui(Style {
            timestamps: true,
            ..PLAIN
        });
        ui.set_time(|| "12:34".into());
        ui.receive(b"lee: hello");
        keys(&mut ui, "hi\n");
        assert_eq!(written(&mut ui), "12:34 lee: hello\r\n12:34 hi\r\n");
        let mut without = self::ui(PLAIN);
        without.set_time(|| unreachable!("timestamps are not shown"));
    }

    const GREETING: &[u8] = b"* you are kim in lobby (2 here); /help lists commands";

    #[test]
    fn history_is_shown_without_times_and_only_where_it_is_new() {
        let mut ui = ui(Style {
            timestamps: true,
            ..PLAIN
        });
        ui.set_time(|| "12:34".into());
        let receive = |ui: &mut Ui, lines: &[&str]| {
            lines
                .iter()
                .for_each(|line| _ = ui.receive(line.as_bytes()));
            written(ui)
        };
        ui.receive(GREETING);
        written(&mut ui);
        let history = ["* the last 2 lines:", "lee: one", "** lee waves"];
        assert_eq!(receive(&mut ui, &history), "");
        let shown =
            "12:34 * the last 2 lines:\r\n      lee: one\r\n      ** lee waves\r\n12:34 * now\r\n";
        assert_eq!(receive(&mut ui, &["* now"]), shown);
        keys(&mut ui, "/me nods\n//two\n");
        receive(&mut ui, &["lee: three"]);

        ui.disconnected();
        ui.receive(GREETING);
        written(&mut ui);
        let known = [
            "* the last 3 lines:",
            "kim: /two",
            "** kim nods",
            "lee: three",
            "* now",
        ];
        assert_eq!(receive(&mut ui, &known), "", "nothing is new");
        let missed = [
            "* the last 3 lines:",
            "** kim nods",
            "lee: three",
            "lee: four",
            "* now",
        ];
        let shown = "12:34 * the last line:\r\n      lee: four\r\n12:34 * now\r\n";
        assert_eq!(receive(&mut ui, &missed), shown);
        assert_eq!(receive(&mut ui, &["lee: five"]), "12:34 lee: five\r\n");
    }

    #[test]
    fn history_that_is_cut_off_is_shown_all_the_same() {
        let mut ui = ui(PLAIN);
        ui.receive(GREETING);
        ui.receive(b"* the last 5 lines:");
        ui.receive(b"lee: one");
        written(&mut ui);
        ui.disconnected();
        let shown = "* the last line:\r\nlee: one\r\n* now\r\n";
        assert_eq!(written(&mut ui), shown);
        ui.receive(b"* the last 2 lines:");
        ui.receive(b"lee: two");
        ui.receive(b"lee: three");
        ui.receive(b"lee: four");
        let shown = written(&mut ui);
        assert!(
            shown.ends_with("lee: three\r\nlee: four\r\n* now\r\n"),
            "{shown}"
        );
    }

    #[test]
    fn history_of_a_room_on_the_way_to_another_is_not_shown() {
        let session = Session::new(None, Some("pond".into()), None);
        let mut ui = Ui::new(session, Screen::new(80, 24), History::default(), PLAIN);
        ui.receive(GREETING);
        written(&mut ui);
        for line in ["* the last line:", "lee: in the lobby", "* now"] {
            ui.receive(line.as_bytes());
        }
        assert_eq!(written(&mut ui), "");
    }

    #[test]
    fn tab_completes_commands_and_members() {
        let mut ui = ui(PLAIN);
        ui.receive(b"* you are kim in lobby (3 here); /help lists commands");
        ui.receive(b"* here in lobby: kim, lee, leo (3)");
        assert_eq!(keys(&mut ui, "/m\ts\t leo psst\n"), ["/msg  leo psst"]);
        assert_eq!(keys(&mut ui, "/ig\tleo\t\n"), ["/ignore leo "]);
        assert_eq!(keys(&mut ui, "/uni\tleo\t\n"), ["/unignore leo "]);
        assert_eq!(keys(&mut ui, "/whoi\tleo\t\n"), ["/whois leo "]);
        written(&mut ui);
        assert_eq!(keys(&mut ui, "le\to\thi\n"), ["leo: hi"]);
        assert_eq!(written(&mut ui), "lee  leo\r\nkim: leo: hi\r\n");
    }

    #[test]
    fn a_full_line_is_reported_once() {
        let mut ui = ui(PLAIN);
        keys(&mut ui, &"x".repeat(INPUT_BYTES_MAX + 9));
        assert_eq!(written(&mut ui).matches("-- line is full").count(), 1);
        let sent = keys(&mut ui, "\n");
        assert_eq!(sent, ["x".repeat(INPUT_BYTES_MAX)]);
    }

    #[test]
    fn ctrl_c_and_ctrl_d_leave_and_ctrl_z_suspends() {
        let mut ui = ui(PLAIN);
        assert_eq!(ui.key(Key::Ctrl(b'c')), Some(Action::Leave));
        assert_eq!(ui.key(Key::Ctrl(b'd')), Some(Action::Leave));
        assert_eq!(ui.key(Key::Ctrl(b'z')), Some(Action::Suspend));
        keys(&mut ui, "x");
        assert_eq!(ui.key(Key::Ctrl(b'd')), None, "deletes a character");
    }
}
