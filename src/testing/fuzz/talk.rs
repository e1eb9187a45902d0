//! The body of the fuzz target `talk`: a hostile server, a random keyboard and a changing window at the same time.
//! Asserts that a terminal's parser (`vte`) finds only text and the client's own control sequences in the output, and
//! that typed text is sent as whole lines.

use super::bytes::Bytes;
use super::shown::is_forbidden;
use crate::join::session::{NAMES_MAX, Session};
use crate::join::ui::history::History;
use crate::join::ui::keys::KeyDecoder;
use crate::join::ui::line_editor::INPUT_BYTES_MAX;
use crate::join::ui::paint::{Colors, Style};
use crate::join::ui::screen::Screen;
use crate::join::ui::{Action, Ui};
use crate::protocol::NAME_BYTES_MAX;
use vte::{Params, Parser, Perform};

/// Runs the client on events drawn from `data`.
pub fn talk(data: &[u8]) {
    let mut bytes = Bytes(data);
    let style = Style {
        colors: bytes.pick(&[Colors::None, Colors::Eight, Colors::Palette]),
        timestamps: false,
        bell: bytes.pick(&[true, false]),
    };
    let screen = Screen::new(bytes.below(100), bytes.below(40));
    let mut ui = Ui::new(Session::default(), screen, History::default(), style);
    let (mut keys, mut parser) = (KeyDecoder::default(), Parser::new());
    let mut terminal = Terminal {
        may_ring: style.bell,
        ..Terminal::default()
    };
    while !bytes.is_empty() {
        match bytes.below(10) {
            0..3 => {
                let n = bytes.below(256);
                let line = bytes.take(n);
                ui.receive(line);
            }
            3..6 => {
                let n = bytes.below(64);
                press(&mut ui, &mut keys, bytes.take(n));
            }
            6 => _ = ui.screen.resize(bytes.below(100), bytes.below(40)),
            7 => ui.screen.ask_cursor(),
            8 => ui.screen.no_answer(),
            _ => {
                ui.draw();
                // The terminal takes some of the output, cut anywhere.
                let n = bytes.below(256).min(ui.screen.output().len());
                show(&mut ui, &mut parser, &mut terminal, n);
            }
        }
        let bytes: usize = ui.session.names().map(str::len).sum();
        assert!(bytes <= NAMES_MAX * NAME_BYTES_MAX);
    }
    if let Some(typed) = ui.close() {
        assert_is_sendable(&typed);
    }
    let rest = ui.screen.output().len();
    show(&mut ui, &mut parser, &mut terminal, rest);
    assert_eq!(terminal.sgr_open, 0, "a colour is still on at the end");
}

/// Presses keys. Asserts that bytes cut in two are decoded into the same keys.
fn press(ui: &mut Ui, keys: &mut KeyDecoder, input: &[u8]) {
    let uncut = keys.clone().feed(input);
    let (front, back) = input.split_at(input.len() / 2);
    let pressed = [keys.feed(front), keys.feed(back)].concat();
    assert_eq!(pressed, uncut);
    for key in pressed {
        if let Some(Action::Send(line)) = ui.key(key) {
            assert_is_sendable(&line);
        }
    }
}

fn assert_is_sendable(line: &str) {
    assert!(!line.is_empty() && line.len() <= INPUT_BYTES_MAX);
    assert!(!line.chars().any(is_forbidden), "{line:?}");
}

fn show(ui: &mut Ui, parser: &mut Parser, terminal: &mut Terminal, bytes: usize) {
    parser.advance(terminal, &ui.screen.output()[..bytes]);
    ui.screen.written(bytes);
}

/// A terminal that panics at anything but what the screen itself writes.
#[derive(Default)]
struct Terminal {
    may_ring: bool,
    /// Attributes that are switched on.
    sgr_open: usize,
}

impl Perform for Terminal {
    fn print(&mut self, c: char) {
        // The client puts this mark around names that are written from right to left.
        assert!(!is_forbidden(c) || c == '\u{200e}', "{c:?}");
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
            // Asks the terminal for its type.
            ('c', [0]) if marks == b">" => {}
            _ if !marks.is_empty() => panic!("a control sequence: {marks:?} {action}"),
            // Up, to a column, right by one, home; erase the row, the rows below, or all; ask where the cursor is.
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
