//! The client where nobody edits: what is read is sent, what comes is printed, line by line and safe to show. Also for a
//! terminal that understands no more.

use super::link::{self, LINE_BYTES_MAX, Link, News};
use super::poll::poll;
use super::session::Session;
use super::talk::Look;
use super::{Ended, paint};
use crate::hub::Line;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

/// Bytes printed at a time: a pipe that has place for any has place for so many (`PIPE_BUF`, pipe(7)).
const PRINT_BYTES: usize = 4096;
const READ_BYTES: usize = 16 * 1024;

/// A pipe both ways.
#[derive(Debug)]
pub struct Pipe {
    link: Link,
    session: Session,
    look: Look,
    /// Received and not yet printed; more is received when it is empty.
    unprinted: Vec<u8>,
    /// Standard input has ended.
    is_finished: bool,
}

impl Pipe {
    /// Over a connection that stands.
    pub fn new(mut link: Link, mut session: Session, look: Look) -> Pipe {
        link.outgoing.push_first(&session.connected());
        Pipe {
            link,
            session,
            look,
            unprinted: Vec::new(),
            is_finished: false,
        }
    }

    /// Passes on, both ways, until the server ends or nobody wants to read what it says.
    pub fn run(mut self) -> Ended {
        loop {
            let [input, link, output] = match self.wait() {
                Ok(ready) => ready,
                Err(error) => return Ended::Lost(error.to_string()),
            };
            if !output.is_empty()
                && let Err(ended) = self.print()
            {
                return ended;
            }
            if !input.is_empty() {
                self.take_input();
            }
            let Pipe {
                link: connection,
                session,
                look,
                unprinted,
                ..
            } = &mut self;
            let news = connection.turn(link, Instant::now(), |line| {
                print_line(session, *look, &line, unprinted);
            });
            if let News::Lost(error) = news {
                return self.end(&error);
            }
        }
    }

    fn wait(&self) -> io::Result<[PollFlags; 3]> {
        let (input, output) = (io::stdin(), io::stdout());
        let reads = !self.is_finished && self.link.outgoing.is_empty();
        let prints = !self.unprinted.is_empty();
        poll(
            [
                reads.then_some((input.as_fd(), PollFlags::IN)),
                self.link.wants(!prints),
                prints.then_some((output.as_fd(), PollFlags::OUT)),
            ],
            None,
        )
    }

    fn take_input(&mut self) {
        let mut bytes = [0; READ_BYTES];
        // Not by way of `Stdin`, which would keep some back that poll knows nothing of.
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(n @ 1..) => self.link.outgoing.push_bytes(&bytes[..n]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => {
                self.is_finished = true;
                self.link.finish();
            }
        }
    }

    /// Prints some of what was received; how it ends if no more can be printed.
    fn print(&mut self) -> Result<(), Ended> {
        let n = self.unprinted.len().min(PRINT_BYTES);
        match rustix::io::write(io::stdout(), &self.unprinted[..n]) {
            Ok(n) => drop(self.unprinted.drain(..n)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody wants to read more.
            Err(Errno::PIPE) => return Err(Ended::Left),
            Err(error) => return Err(Ended::Unprinted(error.to_string())),
        }
        Ok(())
    }

    /// The connection is over: prints what is left of it, and judges.
    fn end(mut self, error: &io::Error) -> Ended {
        while !self.unprinted.is_empty() {
            match self.print() {
                Err(ended @ Ended::Unprinted(_)) => return ended,
                Err(_) => break,
                Ok(()) => {}
            }
        }
        let is_said = self.is_finished && self.link.outgoing.is_empty();
        let is_wanted = self.session.is_over() || is_said;
        if is_wanted && error.kind() == io::ErrorKind::UnexpectedEof {
            Ended::Left
        } else {
            Ended::Lost(link::why(error))
        }
    }
}

fn print_line(session: &mut Session, look: Look, line: &Line<'_>, out: &mut Vec<u8>) {
    let text = match line {
        Line::Whole(line) => paint::safe(line),
        Line::TooLong => {
            format!("-- a line of more than {LINE_BYTES_MAX} bytes came and is not shown")
        }
    };
    session.hear(&text);
    if look.timestamps {
        let time = paint::dim(look.colors, &super::time());
        out.extend_from_slice(time.as_bytes());
        out.push(b' ');
    }
    let shown = paint::line(look.colors, &text, session.name());
    out.extend_from_slice(shown.text.as_bytes());
    out.push(b'\n');
}
