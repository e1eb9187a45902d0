//! The client without line editing: sends standard input, prints the server's lines one by one, safe to show. For pipes,
//! and for terminals that do not understand control sequences.

use super::clock::{NO_TIME, time_of_day};
use super::connection::{Connection, Event, GREETING_TIMEOUT, explain, foreign, too_long};
use super::ended::Ended;
use super::request::Answer;
use super::role::Role;
use super::session::{Farewell, Heard, Reaction, Session};
use super::ui::paint::{self, Style};
use crate::hub::Line;
use crate::password_file;
use crate::protocol::{self, Notice, grouped};
use crate::terminal::poll::poll;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Bytes printed at a time: a pipe that poll(2) reports as writable takes as many without blocking (`PIPE_BUF`, pipe(7)).
const PRINT_BYTES: usize = 4096;
const READ_BYTES: usize = 16 * 1024;
/// How long to wait, once nobody reads standard output any more, for a server that takes nothing or does not close.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// What Windows programs begin a file with. The server drops it only from the first line of a connection, and the first
/// line from standard input may not be that.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A pipe both ways.
#[derive(Debug)]
pub struct Pipe {
    connection: Connection,
    input: Input,
    printer: Printer,
    /// When the server must have greeted the client.
    greeted_by: Instant,
    role: Role,
}

/// Standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Nothing has been read yet.
    Fresh,
    Open,
    /// It has ended.
    Finished,
    /// Nobody reads standard output any more, and so nothing more is read. The client ends at this time at the latest.
    Abandoned(Instant),
}

/// What is done with the server's lines.
#[derive(Debug)]
struct Printer {
    session: Session,
    style: Style,
    /// Received and not yet printed. No more is received until it is empty.
    unprinted: Vec<u8>,
    /// The lines that come now were said before the client came.
    is_history: bool,
    /// A person sits at a terminal, or at the server's console: refusals are read there, and are no failure.
    is_interactive: bool,
    /// Standard output and standard error are one terminal: a refusal is shown there once.
    has_one_screen: bool,
    /// The server has refused a line, or said why it closes the connection.
    has_failed: bool,
}

impl Pipe {
    /// Over an established connection. The server's console must not end the server because a line is refused.
    pub fn new(mut connection: Connection, mut session: Session, style: Style, role: Role) -> Pipe {
        let is_console = matches!(role, Role::Console { .. });
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        connection.queue.push_setup(&session.connected());
        connection.queue.hold(true);
        Pipe {
            connection,
            input: Input::Fresh,
            printer: Printer {
                session,
                style,
                unprinted: Vec::new(),
                is_history: false,
                is_interactive: is_console || is_terminal,
                has_one_screen: io::stdout().is_terminal() && io::stderr().is_terminal(),
                has_failed: false,
            },
            greeted_by: Instant::now() + GREETING_TIMEOUT,
            role,
        }
    }

    /// Passes lines both ways, until the connection is closed or the reader of standard output is gone.
    pub fn run(mut self) -> Ended {
        let ended = loop {
            match self.run_once() {
                Ok(None) => {}
                Ok(Some(ended)) => break ended,
                Err(error) => break Ended::Lost(error.to_string()),
            }
        };
        match self.print_rest() {
            Err(error) if error != Errno::PIPE => Ended::Unprinted(error.to_string()),
            _ => ended,
        }
    }

    fn run_once(&mut self) -> io::Result<Option<Ended>> {
        let [input, socket, output] = self.wait()?;
        let now = Instant::now();
        if !output.is_empty() {
            match self.printer.print(output) {
                Ok(()) => {}
                Err(Errno::PIPE) => self.abandon(now),
                Err(error) => return Ok(Some(Ended::Unprinted(error.to_string()))),
            }
        }
        if !input.is_empty() {
            self.read_input();
        }
        let (mut heard, printer) = (Vec::new(), &mut self.printer);
        let event = self.connection.handle(socket, now, |line| {
            heard.push(printer.receive(&line));
        });
        for (heard, line) in heard {
            if let Some(ended) = self.react(heard, &line) {
                return Ok(Some(ended));
            }
        }
        self.keep_token();
        let session = &self.printer.session;
        let is_asked = session.is_asked();
        let says_password = is_asked && self.connection.queue.is_password_next();
        let may_send = session.is_greeted() || says_password;
        self.connection.queue.hold(!may_send);
        if is_asked && !says_password && self.lacks_password() {
            return Ok(Some(Ended::Refused));
        }
        if let Input::Abandoned(_) = self.input {
            self.printer.unprinted.clear();
        }
        Ok(match event {
            Some(Event::Disconnected(error)) => Some(self.disconnected(&error)),
            _ => self.timed_out(now),
        })
    }

    fn wait(&self) -> io::Result<[PollFlags; 3]> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let may_read = matches!(self.input, Input::Fresh | Input::Open);
        let reads = may_read && self.connection.queue.bytes() < READ_BYTES;
        let stdin = reads.then_some((stdin.as_fd(), PollFlags::IN));
        let prints = !self.printer.unprinted.is_empty();
        let mut output = PollFlags::empty();
        output.set(PollFlags::OUT, prints);
        // Without anything to print, the poll still reports that nobody reads any more.
        let is_read = !matches!(self.input, Input::Abandoned(_));
        let stdout = is_read.then_some((stdout.as_fd(), output));
        let greeted_by = self.is_waiting().then_some(self.greeted_by);
        let leave_by = match self.input {
            Input::Abandoned(by) => Some(by),
            _ => None,
        };
        let timers = [greeted_by, leave_by, self.connection.deadline()];
        let deadline = timers.into_iter().flatten().min();
        poll([stdin, self.connection.interest(!prints), stdout], deadline)
    }

    fn read_input(&mut self) {
        let mut bytes = [0; READ_BYTES];
        // `std::io::Stdin` would buffer bytes that poll(2) does not know of.
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(n @ 1..) => {
                let mut bytes = &bytes[..n];
                if self.input == Input::Fresh {
                    self.input = Input::Open;
                    bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
                }
                self.connection.queue.push_bytes(bytes);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => {
                self.input = Input::Finished;
                self.finish();
            }
        }
    }

    /// Does what follows from a line of the server's. Returns how the client ends, if it does.
    fn react(&mut self, heard: Heard, line: &str) -> Option<Ended> {
        if heard.reaction == Some(Reaction::Foreign) {
            self.printer.unprinted.clear();
            return Some(Ended::Foreign(foreign(line)));
        }
        if heard.reaction == Some(Reaction::Password)
            && let Some(line) = self.printer.session.password_line()
        {
            self.connection.queue.push_password(&line);
        }
        let answered = heard
            .answer
            .and_then(|answer| self.connection.queue.answered(answer));
        let is_setup = answered.map(|(_, is_setup)| is_setup);
        let is_denied = is_setup.is_some() && heard.answer.is_some_and(Answer::is_refusal);
        let is_granted = heard.answer.is_some_and(|answer| !answer.is_refusal());
        let protocol::Line::Refusal(why) = protocol::Line::parse(line) else {
            return None;
        };
        if self.printer.is_interactive {
            if is_denied {
                let lines = self.connection.queue.discard();
                self.printer
                    .say(&format!("-- {} of your lines not sent", grouped(lines)));
            }
            return None;
        }
        if is_granted {
            return None;
        }
        self.printer.has_failed = true;
        let rest = match is_setup.filter(|_| is_denied) {
            None => "",
            Some(true) => "; nothing was sent",
            Some(false) => "; nothing after that was sent",
        };
        // Not `eprintln`, which panics if standard error is closed.
        let _ = writeln!(io::stderr(), "madang: {why}{rest}");
        is_denied.then_some(Ended::Refused)
    }

    /// Keeps a token that has changed.
    fn keep_token(&mut self) {
        let Role::Client { tokens, .. } = &self.role else {
            return;
        };
        if let Some((name, token)) = self.printer.session.take_changed_token()
            && let Err(why) = tokens.keep(&name, token)
        {
            let _ = writeln!(
                io::stderr(),
                "madang: the token of {name} is not kept: {why}"
            );
        }
    }

    /// Whether a password is asked for, and there is none: neither known, nor the first of the lines to be sent. Then says so.
    fn lacks_password(&mut self) -> bool {
        let has_ended = !matches!(self.input, Input::Fresh | Input::Open);
        if self.printer.is_interactive && !has_ended {
            return false;
        }
        let lacks = has_ended || self.connection.queue.lines() > 0;
        if lacks && !std::mem::replace(&mut self.printer.has_failed, true) {
            let what = "the server asks for a password: give --password-file FILE, or set";
            let _ = writeln!(
                io::stderr(),
                "madang: {what} {}; nothing was sent",
                password_file::VARIABLE
            );
        }
        lacks
    }

    /// Sends what was read, then the end of the stream.
    fn finish(&mut self) {
        self.connection.queue.end_line();
        self.connection.finish();
    }

    /// The reader of standard output is gone, as `head` is after its last line. What was read is still sent.
    fn abandon(&mut self, now: Instant) {
        self.input = Input::Abandoned(now + LEAVE_TIMEOUT);
        self.printer.unprinted.clear();
        self.finish();
    }

    /// Whether the server has said nothing by which it is known.
    fn is_waiting(&self) -> bool {
        !self.printer.session.is_greeted() && !self.printer.session.is_asked()
    }

    fn timed_out(&self, now: Instant) -> Option<Ended> {
        let is_greeted = self.printer.session.is_greeted();
        match self.input {
            Input::Abandoned(by) if by <= now => Some(self.ended()),
            // Nobody would see what still comes.
            Input::Abandoned(_) if self.connection.queue.is_empty() && !is_greeted => {
                Some(self.ended())
            }
            _ if self.is_waiting() && self.greeted_by <= now => {
                Some(Ended::Foreign(self.connection.silent()))
            }
            _ => None,
        }
    }

    /// The connection is closed: how the client ends.
    fn disconnected(&self, error: &io::Error) -> Ended {
        let session = &self.printer.session;
        let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
        let is_sent = !matches!(self.input, Input::Fresh | Input::Open)
            && self.connection.queue.is_empty()
            && session.farewell().is_none();
        if is_end && (session.is_over() || is_sent) && session.is_greeted() {
            return self.ended();
        }
        match session.farewell() {
            Some(Farewell::Passing | Farewell::Final) if self.printer.has_failed => Ended::Refused,
            Some(Farewell::Passing) => Ended::Lost("the server is shutting down".into()),
            _ if !session.is_greeted() && is_end => Ended::Foreign(self.connection.no_greeting()),
            _ => Ended::Lost(explain(error)),
        }
    }

    /// How the client ends when it wants to.
    fn ended(&self) -> Ended {
        match self.connection.queue.lines() {
            0 if self.printer.has_failed => Ended::Refused,
            0 => Ended::Left,
            lines => Ended::Unsent(lines),
        }
    }

    fn print_rest(&mut self) -> Result<(), Errno> {
        while !self.printer.unprinted.is_empty() {
            self.printer.print(PollFlags::OUT)?;
        }
        Ok(())
    }
}

impl Printer {
    /// Takes a line from the server, and prints it. Returns what it means, and the line, safe to show.
    fn receive(&mut self, line: &Line<'_>) -> (Heard, String) {
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

    fn say(&mut self, text: &str) {
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
    fn print(&mut self, ready: PollFlags) -> Result<(), Errno> {
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
