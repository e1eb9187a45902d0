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

use super::session::{Reaction, Session};
use crate::hub::COMMANDS;
use crate::protocol::grouped;
use completion::{Completion, complete};
use history::History;
use keys::Key;
use line_editor::{INPUT_BYTES_MAX, Insert, LineEditor};
use paint::Style;
use screen::{Screen, View};

const PROMPT: &str = "> ";

/// What a key makes the client do, beyond showing something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this line.
    Send(String),
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

/// The user interface.
#[derive(Debug)]
pub struct Ui {
    /// What is known from the server's lines.
    pub session: Session,
    /// What to write to the terminal.
    pub screen: Screen,
    line: LineEditor,
    history: History,
    style: Style,
    /// Before each line that is shown: the time, or nothing.
    timestamp: String,
    /// The message that the line is full was shown: once a line is enough.
    is_full: bool,
}

impl Ui {
    /// With nothing typed yet.
    pub fn new(session: Session, screen: Screen, history: History, style: Style) -> Ui {
        Ui {
            session,
            screen,
            line: LineEditor::default(),
            history,
            style,
            timestamp: String::new(),
            is_full: false,
        }
    }

    /// Sets the time to show before lines. `time` is called only if timestamps are shown.
    pub fn set_time(&mut self, time: impl FnOnce() -> String) {
        if self.style.timestamps {
            self.timestamp = paint::dim(self.style.colors, &time()) + " ";
        }
    }

    /// Takes and shows a line from the server.
    pub fn receive(&mut self, line: &[u8]) -> Option<Reaction> {
        let line = paint::safe(line);
        let reaction = self.session.receive(&line);
        let isolated = paint::isolated(&line);
        let painted = paint::line(self.style.colors, &isolated, self.session.name());
        self.print(&painted.text);
        if painted.is_mention && self.style.bell {
            self.screen.ring_bell();
        }
        reaction
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
        self.screen.draw(View {
            prompt: PROMPT,
            text: self.line.text(),
            cursor: self.line.cursor(),
        });
    }

    /// Removes the typed line from the screen and returns it unless it is blank.
    pub fn close(&mut self) -> Option<String> {
        self.screen.remove_area();
        let typed = self.line.take();
        (!typed.trim().is_empty()).then_some(typed)
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
        let shown = paint::own_line(self.style.colors, &line, self.session.name());
        self.print(&shown);
        self.history.push(&line);
        Some(Action::Send(line))
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

    #[test]
    fn tab_completes_commands_and_members() {
        let mut ui = ui(PLAIN);
        ui.receive(b"* you are kim in lobby (3 here); /help lists commands");
        ui.receive(b"* here in lobby: kim, lee, leo (3)");
        assert_eq!(keys(&mut ui, "/m\ts\t leo psst\n"), ["/msg  leo psst"]);
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
