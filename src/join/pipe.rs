//! The client without line editing: sends standard input, prints the server's lines one by one, safe to show. For pipes,
//! and for terminals that do not understand control sequences.

use super::clock::time_of_day;
use super::connection::{Connection, Event, explain, too_long};
use super::ended::Ended;
use super::poll::poll;
use super::session::Session;
use super::ui::paint::{self, Style};
use crate::hub::Line;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

/// Bytes printed at a time: a pipe that poll(2) reports as writable takes as many without blocking (`PIPE_BUF`, pipe(7)).
const PRINT_BYTES: usize = 4096;
const READ_BYTES: usize = 16 * 1024;

/// A pipe both ways.
#[derive(Debug)]
pub struct Pipe {
    connection: Connection,
    session: Session,
    style: Style,
    /// Received and not yet printed. No more is received until it is empty.
    unprinted: Vec<u8>,
    /// Standard input has ended.
    is_finished: bool,
}

impl Pipe {
    /// Over an established connection.
    pub fn new(mut connection: Connection, mut session: Session, style: Style) -> Pipe {
        connection.queue.push_setup(&session.connected());
        Pipe {
            connection,
            session,
            style,
            unprinted: Vec::new(),
            is_finished: false,
        }
    }

    /// Passes lines both ways, until the connection is closed or the reader of standard output is gone.
    pub fn run(mut self) -> Ended {
        loop {
            let [input, socket, output] = match self.wait() {
                Ok(ready) => ready,
                Err(error) => return Ended::Lost(error.to_string()),
            };
            if !output.is_empty()
                && let Err(ended) = self.print()
            {
                return ended;
            }
            if !input.is_empty() {
                self.read_input();
            }
            let (session, style, unprinted) = (&mut self.session, self.style, &mut self.unprinted);
            let event = self.connection.handle(socket, Instant::now(), |line| {
                print_line(session, style, &line, unprinted);
            });
            if let Some(Event::Disconnected(error)) = event {
                return self.end(&error);
            }
        }
    }

    fn wait(&self) -> io::Result<[PollFlags; 3]> {
        let (input, output) = (io::stdin(), io::stdout());
        let reads = !self.is_finished && self.connection.queue.is_empty();
        let prints = !self.unprinted.is_empty();
        let input = reads.then_some((input.as_fd(), PollFlags::IN));
        let output = prints.then_some((output.as_fd(), PollFlags::OUT));
        poll([input, self.connection.interest(!prints), output], None)
    }

    fn read_input(&mut self) {
        let mut bytes = [0; READ_BYTES];
        // `std::io::Stdin` would buffer bytes that poll(2) does not know of.
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(n @ 1..) => self.connection.queue.push_bytes(&bytes[..n]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => {
                self.is_finished = true;
                self.connection.finish();
            }
        }
    }

    /// Prints some of what was received. The error is how the client ends if it cannot.
    fn print(&mut self) -> Result<(), Ended> {
        let n = self.unprinted.len().min(PRINT_BYTES);
        match rustix::io::write(io::stdout(), &self.unprinted[..n]) {
            Ok(n) => drop(self.unprinted.drain(..n)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // The reader is gone, as `head` is after its last line.
            Err(Errno::PIPE) => return Err(Ended::Left),
            Err(error) => return Err(Ended::Unprinted(error.to_string())),
        }
        Ok(())
    }

    /// The connection is closed: prints what is left, and returns how the client ended.
    fn end(mut self, error: &io::Error) -> Ended {
        while !self.unprinted.is_empty() {
            match self.print() {
                Err(ended @ Ended::Unprinted(_)) => return ended,
                Err(_) => break,
                Ok(()) => {}
            }
        }
        let all_sent = self.is_finished && self.connection.queue.is_empty();
        let is_expected = self.session.is_over() || all_sent;
        if is_expected && error.kind() == io::ErrorKind::UnexpectedEof {
            Ended::Left
        } else {
            Ended::Lost(explain(error))
        }
    }
}

fn print_line(session: &mut Session, style: Style, line: &Line<'_>, out: &mut Vec<u8>) {
    let text = match line {
        Line::Whole(line) => paint::safe(line),
        Line::TooLong => format!("-- {}", too_long()),
    };
    session.receive(&text);
    if style.timestamps {
        let time = paint::dim(style.colors, &time_of_day());
        out.extend_from_slice(time.as_bytes());
        out.push(b' ');
    }
    let painted = paint::line(style.colors, &text, session.name());
    out.extend_from_slice(painted.text.as_bytes());
    out.push(b'\n');
}
