//! What the client without line editing prints: the server's lines, safe to show. Reads nothing.

use super::clock::{NO_TIME, time_of_day};
use super::connection::too_long;
use super::session::{Heard, Session};
use super::ui::paint::{self, Style};
use crate::hub::Line;
use crate::protocol::{self, Notice};
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io;

/// Bytes printed at a time: a pipe that poll(2) reports as writable takes as many without blocking (`PIPE_BUF`, pipe(7)).
const PRINT_BYTES: usize = 4096;

/// What is done with the server's lines.
#[derive(Debug)]
pub struct Printer {
    pub session: Session,
    pub style: Style,
    /// Received and not yet printed. No more is received until it is empty.
    pub unprinted: Vec<u8>,
    /// The lines that come now were said before the client came.
    pub is_history: bool,
    /// A person sits at a terminal, or at the server's console: refusals are read there, and are no failure.
    pub is_interactive: bool,
    /// Standard output and standard error are one terminal: a refusal is shown there once.
    pub has_one_screen: bool,
    /// The server has refused a line, or said why it closes the connection.
    pub has_failed: bool,
}

impl Printer {
    /// Takes a line from the server, and prints it. Returns what it means, and the line, safe to show.
    pub fn receive(&mut self, line: &Line<'_>) -> (Heard, String) {
        let text = match line {
            Line::Whole(line) => paint::safe(line),
            Line::TooLong => format!("-- {}", too_long()),
        };
        let heard = self.session.receive(&text);
        let notice = match protocol::Line::parse(&text) {
            protocol::Line::Notice(text) => Some(Notice::parse(text)),
            _ => None,
        };
        if let Some(Notice::Now {}) = notice {
            self.is_history = false;
        }
        let is_complaint = !self.is_interactive
            && self.has_one_screen
            && matches!(protocol::Line::parse(&text), protocol::Line::Refusal(_));
        if !is_complaint {
            self.say(&text);
        }
        if let Some(Notice::LastLine {} | Notice::LastLines { .. }) = notice {
            self.is_history = true;
        }
        (heard, text)
    }

    /// Prints a line.
    pub fn say(&mut self, text: &str) {
        let colors = self.style.colors;
        if self.style.timestamps {
            let time = if self.is_history {
                NO_TIME.to_owned()
            } else {
                paint::dim(colors, &time_of_day())
            };
            self.unprinted.extend_from_slice(time.as_bytes());
            self.unprinted.push(b' ');
        }
        let painted = paint::line(colors, text, self.session.name());
        self.unprinted.extend_from_slice(painted.text.as_bytes());
        self.unprinted.push(b'\n');
    }

    /// Prints some of what was received.
    ///
    /// # Errors
    /// `PIPE`: nobody reads any more. Others: see write(2).
    pub fn print(&mut self, ready: PollFlags) -> Result<(), Errno> {
        if self.unprinted.is_empty() {
            return match ready.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
                true => Err(Errno::PIPE),
                false => Ok(()),
            };
        }
        let n = self.unprinted.len().min(PRINT_BYTES);
        match rustix::io::write(io::stdout(), &self.unprinted[..n]) {
            Ok(n) => drop(self.unprinted.drain(..n)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
