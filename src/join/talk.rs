//! What the client does with a key and with a line of the server's: everything but reading and writing. Keys, lines and
//! times in; what is shown and what is to be sent out.

use super::complete::{Completion, complete};
use super::edit::{EDIT_BYTES_MAX, Edit, Insert};
use super::history::History;
use super::keys::Key;
use super::paint::{self, Colors};
use super::screen::{Screen, View};
use super::session::{Reply, Session};
use crate::hub::COMMANDS;

const PROMPT: &str = "> ";

/// What is to be shown beside the lines themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// How many colours there are.
    pub colors: Colors,
    /// The time stands before each line.
    pub timestamps: bool,
    /// The terminal's bell rings for what is meant for this client.
    pub bell: bool,
}

/// What a key asks of whoever has a connection and a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// This line is to be sent.
    Say(String),
    /// The client is to end.
    Leave,
    /// The client is to be suspended, as by its terminal's Ctrl-Z.
    Suspend,
}

/// Whether a line is the command that ends the conversation.
pub fn is_quit(line: &str) -> bool {
    let word = line.split(char::is_whitespace).next();
    word.is_some_and(|word| word.eq_ignore_ascii_case("/quit"))
}

/// The person's side of the client.
#[derive(Debug)]
pub struct Talk {
    /// The conversation.
    pub session: Session,
    /// What is to be written to the terminal.
    pub screen: Screen,
    edit: Edit,
    history: History,
    look: Look,
    /// What stands before each line that is shown: the time, or nothing.
    stamp: String,
    /// What was typed or pasted did not fit, which has been told.
    is_full: bool,
}

impl Talk {
    /// With nothing typed yet.
    pub fn new(session: Session, screen: Screen, history: History, look: Look) -> Talk {
        Talk {
            session,
            screen,
            edit: Edit::default(),
            history,
            look,
            stamp: String::new(),
            is_full: false,
        }
    }

    /// It is this time now, as it is to be shown; asked for only where times are shown.
    pub fn set_time(&mut self, time: impl FnOnce() -> String) {
        if self.look.timestamps {
            self.stamp = paint::dim(self.look.colors, &time()) + " ";
        }
    }

    /// A line of the server's has come.
    pub fn hear(&mut self, line: &[u8]) -> Option<Reply> {
        let line = paint::safe(line);
        let reply = self.session.hear(&line);
        let shown = paint::line(self.look.colors, &line, self.session.name());
        self.print(&shown.text);
        if shown.is_mention && self.look.bell {
            self.screen.ring();
        }
        reply
    }

    /// Tells what has happened here. No line of a server of this kind begins so.
    pub fn notice(&mut self, text: &str) {
        let line = paint::dim(self.look.colors, &format!("-- {text}"));
        self.print(&line);
    }

    /// Tells what has failed here.
    pub fn refuse(&mut self, text: &str) {
        let line = paint::error(self.look.colors, &format!("-- {text}"));
        self.print(&line);
    }

    /// Shows a line of the log.
    pub fn log(&mut self, line: &[u8]) {
        let line = paint::dim(self.look.colors, &paint::safe(line));
        self.screen.print(&line);
    }

    /// Draws what is typed below all else.
    pub fn draw(&mut self) {
        self.screen.draw(View {
            prompt: PROMPT,
            text: self.edit.text(),
            cursor: self.edit.cursor(),
        });
    }

    /// Takes what is typed from the screen, and gives it to be kept.
    pub fn leave(&mut self) -> Option<String> {
        self.screen.leave();
        let typed = self.edit.take();
        (!typed.trim().is_empty()).then_some(typed)
    }

    /// A key was pressed, or the terminal has told something.
    pub fn key(&mut self, key: Key) -> Option<Wish> {
        match key {
            Key::Enter => return self.enter(),
            Key::Ctrl(b'c') => return Some(Wish::Leave),
            Key::Ctrl(b'd') if self.edit.text().is_empty() => return Some(Wish::Leave),
            Key::Ctrl(b'z') => return Some(Wish::Suspend),
            Key::CursorAt(_, column) => self.screen.cursor_at(column),
            Key::Terminal(model, version) => self.screen.identified(model, version),
            Key::Ctrl(b'l') => self.screen.clear(),
            Key::Tab => self.tab(),
            Key::Up | Key::Ctrl(b'p') => {
                if let Some(line) = self.history.older(self.edit.text()) {
                    self.edit.set(line);
                }
            }
            Key::Down | Key::Ctrl(b'n') => {
                if let Some(line) = self.history.newer() {
                    self.edit.set(&line);
                }
            }
            key => self.edit_key(key),
        }
        None
    }

    /// A key that only changes what is typed.
    fn edit_key(&mut self, key: Key) {
        let edit = &mut self.edit;
        match key {
            Key::Char(c) => {
                let done = edit.insert(c.encode_utf8(&mut [0; 4]));
                self.told_if_full(done);
            }
            Key::Ctrl(b'y') => {
                let done = edit.paste_cut();
                self.told_if_full(done);
            }
            Key::Backspace => edit.backspace(),
            Key::Delete | Key::Ctrl(b'd') => edit.delete(),
            Key::Left | Key::Ctrl(b'b') => edit.left(),
            Key::Right | Key::Ctrl(b'f') => edit.right(),
            Key::WordLeft | Key::Alt('b') => edit.word_left(),
            Key::WordRight | Key::Alt('f') => edit.word_right(),
            Key::Home | Key::Ctrl(b'a') => edit.home(),
            Key::End | Key::Ctrl(b'e') => edit.end(),
            Key::Ctrl(b'w') => edit.cut_word(),
            Key::Ctrl(b'u') => edit.cut_to_start(),
            Key::Ctrl(b'k') => edit.cut_to_end(),
            Key::Ctrl(b't') => edit.exchange(),
            _ => {}
        }
    }

    fn told_if_full(&mut self, done: Insert) {
        if done == Insert::TooLong && !self.is_full {
            self.is_full = true;
            self.refuse(&format!(
                "the line is full: what does not fit into {EDIT_BYTES_MAX} bytes is not taken"
            ));
        }
    }

    fn enter(&mut self) -> Option<Wish> {
        self.is_full = false;
        let line = self.edit.take();
        if line.is_empty() {
            return None;
        }
        let shown = paint::own_line(self.look.colors, &line, self.session.name());
        self.print(&shown);
        self.history.push(&line);
        Some(Wish::Say(line))
    }

    fn tab(&mut self) {
        let commands = COMMANDS.map(|(usage, _)| usage.split(' ').next().unwrap_or(usage));
        let (text, cursor) = (self.edit.text(), self.edit.cursor());
        match complete(text, cursor, &commands, self.session.names()) {
            Completion::None => {}
            Completion::Replace(start, text) => {
                let done = self.edit.replace_back_to(start, &text);
                self.told_if_full(done);
            }
            Completion::Choices(choices) => {
                let list = paint::dim(self.look.colors, &choices.join("  "));
                self.screen.print(&list);
            }
        }
    }

    fn print(&mut self, text: &str) {
        if self.stamp.is_empty() {
            self.screen.print(text);
        } else {
            self.screen.print(&format!("{}{text}", self.stamp));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(look: Look) -> Talk {
        let screen = Screen::new(80, 24);
        Talk::new(Session::default(), screen, History::default(), look)
    }

    const PLAIN: Look = Look {
        colors: Colors::None,
        timestamps: false,
        bell: false,
    };

    fn written(talk: &mut Talk) -> String {
        let text = String::from_utf8(talk.screen.output().to_vec()).unwrap();
        talk.screen.written(text.len());
        text.replace('\x1b', "^")
    }

    fn keys(talk: &mut Talk, text: &str) -> Vec<Wish> {
        let key = |c| match c {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            c => Key::Char(c),
        };
        text.chars().filter_map(|c| talk.key(key(c))).collect()
    }

    #[test]
    fn what_is_entered_is_shown_as_the_others_see_it_and_said() {
        let mut talk = talk(PLAIN);
        talk.hear(b"* you are now kim");
        let said = keys(&mut talk, "hello\n\n/who\n");
        assert_eq!(said, [Wish::Say("hello".into()), Wish::Say("/who".into())]);
        assert_eq!(
            written(&mut talk),
            "* you are now kim\r\nkim: hello\r\n/who\r\n"
        );
        talk.key(Key::Up);
        talk.key(Key::Up);
        talk.draw();
        assert_eq!(written(&mut talk), "> hello^[8G");
        assert_eq!(talk.leave(), Some("hello".into()));
        assert_eq!(talk.leave(), None);
    }

    #[test]
    fn a_hostile_server_writes_no_control_character() {
        let mut talk = talk(PLAIN);
        let mut line = b"\x1b]0;title\x07\x1b[2J\r\x9b\xc2\x9b".to_vec();
        line.extend((0..0x20).chain(0x7f..=0xff));
        talk.hear(&line);
        let text = written(&mut talk);
        let text = text.strip_suffix("\r\n").unwrap();
        assert!(text.chars().all(|c| c == '\t' || !c.is_control()), "{text}");
        assert!(text.starts_with("␛]0;title␇␛[2J␍"), "{text}");
    }

    #[test]
    fn the_bell_rings_for_what_is_meant_for_one() {
        let mut talk = talk(Look {
            bell: true,
            ..PLAIN
        });
        talk.hear(b"* you are now kim");
        talk.hear(b"lee: hello");
        assert!(!written(&mut talk).contains('\x07'));
        talk.hear(b"lee: hello kim");
        assert_eq!(written(&mut talk), "lee: hello kim\r\n\x07");
    }

    #[test]
    fn the_time_stands_before_each_line() {
        let mut talk = talk(Look {
            timestamps: true,
            ..PLAIN
        });
        talk.set_time(|| "12:34".into());
        talk.hear(b"lee: hello");
        keys(&mut talk, "hi\n");
        assert_eq!(written(&mut talk), "12:34 lee: hello\r\n12:34 hi\r\n");
        let mut without = self::talk(PLAIN);
        without.set_time(|| unreachable!("nobody wants to know"));
    }

    #[test]
    fn tab_knows_the_commands_and_who_is_there() {
        let mut talk = talk(PLAIN);
        talk.hear(b"* you are kim in lobby (3 here); /help lists commands");
        talk.hear(b"* here in lobby: kim, lee, leo (3 here)");
        let said = keys(&mut talk, "/m\ts\t leo psst\n");
        assert_eq!(said, [Wish::Say("/msg  leo psst".into())]);
        written(&mut talk);
        assert_eq!(
            keys(&mut talk, "le\to\thi\n"),
            [Wish::Say("leo: hi".into())]
        );
        assert_eq!(written(&mut talk), "lee  leo\r\nkim: leo: hi\r\n");
    }

    #[test]
    fn what_does_not_fit_is_told_once() {
        let mut talk = talk(PLAIN);
        keys(&mut talk, &"x".repeat(EDIT_BYTES_MAX + 9));
        assert_eq!(written(&mut talk).matches("-- the line is full").count(), 1);
        let [Wish::Say(line)] = &keys(&mut talk, "\n")[..] else {
            panic!("nothing was said")
        };
        assert_eq!(line.len(), EDIT_BYTES_MAX);
    }

    #[test]
    fn leaving_and_being_suspended_are_wishes() {
        let mut talk = talk(PLAIN);
        assert_eq!(talk.key(Key::Ctrl(b'c')), Some(Wish::Leave));
        assert_eq!(talk.key(Key::Ctrl(b'd')), Some(Wish::Leave));
        assert_eq!(talk.key(Key::Ctrl(b'z')), Some(Wish::Suspend));
        keys(&mut talk, "x");
        assert_eq!(talk.key(Key::Ctrl(b'd')), None, "it deletes");
    }
}
