//! The body of the fuzz target `talk`: a hostile server, a wild keyboard and a window that changes, all at once. Whatever
//! they do, a terminal's own parser (`vte`) finds nothing in the output but text and what the screen itself does, and what
//! was typed is said in whole lines. Compiled for tests and cargo-fuzz only.

use super::edit::EDIT_BYTES_MAX;
use super::history::History;
use super::keys::{Key, Keys};
use super::paint::Colors;
use super::screen::Screen;
use super::session::{NAMES_MAX, Session};
use super::tag::NAME_BYTES_MAX;
use super::talk::{Look, Talk, Wish};
use crate::testing::fuzz::{Body, Bytes, is_forbidden};
use vte::{Params, Parser, Perform};

/// Every target by its name, which is also that of its directory of seeds.
pub const TARGETS: [(&str, Body); 1] = [("talk", talk)];

/// Plays what the input says.
pub fn talk(data: &[u8]) {
    let mut bytes = Bytes(data);
    let look = Look {
        colors: bytes.pick(&[Colors::None, Colors::Eight, Colors::Palette]),
        timestamps: false,
        bell: bytes.pick(&[true, false]),
    };
    let screen = Screen::new(bytes.below(100), bytes.below(40));
    let mut talk = Talk::new(Session::default(), screen, History::default(), look);
    let (mut keys, mut parser) = (Keys::default(), Parser::new());
    let mut terminal = Terminal {
        may_ring: look.bell,
        ..Terminal::default()
    };
    while !bytes.is_empty() {
        match bytes.below(10) {
            0..3 => {
                let n = bytes.below(256);
                let line = bytes.take(n);
                talk.hear(line);
            }
            3..6 => {
                let n = bytes.below(64);
                press(&mut talk, &mut keys, bytes.take(n));
            }
            6 => _ = talk.screen.resize(bytes.below(100), bytes.below(40)),
            7 => talk.screen.still(),
            8 => talk.screen.no_answer(),
            _ => {
                talk.draw();
                // The terminal takes some of it, cut anywhere.
                let n = bytes.below(256).min(talk.screen.output().len());
                show(&mut talk, &mut parser, &mut terminal, n);
            }
        }
        let bytes: usize = talk.session.names().map(str::len).sum();
        assert!(bytes <= NAMES_MAX * NAME_BYTES_MAX);
    }
    if let Some(typed) = talk.leave() {
        assert_sayable(&typed);
    }
    let rest = talk.screen.output().len();
    show(&mut talk, &mut parser, &mut terminal, rest);
    assert_eq!(terminal.sgr_open, 0, "colours end with their line");
}

/// Presses keys, cut in two anywhere: they are the same as uncut.
fn press(talk: &mut Talk, keys: &mut Keys, input: &[u8]) {
    let mut uncut = Vec::new();
    keys.clone().feed(input, |key| uncut.push(key));
    let mut pressed: Vec<Key> = Vec::new();
    let (front, back) = input.split_at(input.len() / 2);
    keys.feed(front, |key| pressed.push(key));
    keys.feed(back, |key| pressed.push(key));
    assert_eq!(pressed, uncut);
    for key in pressed {
        if let Some(Wish::Say(line)) = talk.key(key) {
            assert_sayable(&line);
        }
    }
}

fn assert_sayable(line: &str) {
    assert!(!line.is_empty() && line.len() <= EDIT_BYTES_MAX);
    assert!(!line.chars().any(is_forbidden), "{line:?}");
}

fn show(talk: &mut Talk, parser: &mut Parser, terminal: &mut Terminal, bytes: usize) {
    parser.advance(terminal, &talk.screen.output()[..bytes]);
    talk.screen.written(bytes);
}

/// Obeys what the screen itself writes, and nothing else.
#[derive(Default)]
struct Terminal {
    may_ring: bool,
    /// Attributes that were switched on and not yet off.
    sgr_open: usize,
}

impl Perform for Terminal {
    fn print(&mut self, c: char) {
        assert!(!is_forbidden(c), "{c:?}");
    }

    fn execute(&mut self, byte: u8) {
        let own = matches!(byte, b'\t' | b'\r' | b'\n') || byte == 0x07 && self.may_ring;
        assert!(own, "a control character is executed: {byte}");
    }

    fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        panic!("a device control string begins: {action}");
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        panic!("an operating system command: {params:?}");
    }

    fn csi_dispatch(&mut self, params: &Params, marks: &[u8], _: bool, action: char) {
        let params: Vec<u16> = params.iter().flatten().copied().collect();
        match (action, &params[..]) {
            // What kind of terminal it is.
            ('c', [0]) if marks == b">" => {}
            _ if !marks.is_empty() => panic!("a control sequence: {marks:?} {action}"),
            // Up, right by one, to a column, home; erase a row, erase what is below, or all; ask for the cursor.
            ('A' | 'G', [_]) | ('C' | 'H' | 'K' | 'J', [0]) | ('J', [2]) | ('n', [6]) => {}
            ('m', [0]) => self.sgr_open = 0,
            ('m', _) => self.sgr_open += 1,
            _ => panic!("a control sequence: {params:?} {action}"),
        }
    }

    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        panic!("an escape sequence: {byte}");
    }
}
