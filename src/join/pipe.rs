//! The client without line editing: sends standard input, prints the server's lines one by one, safe to show. For pipes,
//! and for terminals that do not understand control sequences.

use super::connection::{Connection, Event, GREETING_TIMEOUT, explain, foreign};
use super::ended::Ended;
use super::printer::Printer;
use super::request::Answer;
use super::role::Role;
use super::session::{Farewell, Heard, Reaction, Session};
use super::typed_password::TypedPassword;
use super::ui::paint::Style;
use super::ui::{is_quit, password_in};
use crate::password_file;
use crate::protocol::{self, grouped};
use crate::terminal::poll::poll;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

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
    password: TypedPassword,
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
            password: TypedPassword::default(),
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
        let [input, socket, output, _] = self.wait()?;
        self.password.take_signals();
        let now = Instant::now();
        if !output.is_empty() {
            match self.printer.print(output) {
                Ok(()) => {}
                Err(Errno::PIPE) => self.abandon(now),
                Err(error) => return Ok(Some(Ended::Unprinted(error.to_string()))),
            }
        }
        if !input.is_empty()
            && let Some(ended) = self.read_input()
        {
            return Ok(Some(ended));
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
        let is_asked = self.printer.session.is_asked();
        if self.password.follow(is_asked)? {
            self.printer.say("-- type the password; it is not shown");
        }
        let says_password = is_asked && self.connection.queue.is_password_next();
        let may_send = self.printer.session.is_greeted() || says_password;
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

    fn wait(&self) -> io::Result<[PollFlags; 4]> {
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
        let (socket, signals) = (self.connection.interest(!prints), self.password.interest());
        poll([stdin, socket, stdout, signals], deadline)
    }

    /// Reads from standard input. Returns how the client ends, if it does.
    fn read_input(&mut self) -> Option<Ended> {
        let mut bytes = [0; READ_BYTES];
        // `std::io::Stdin` would buffer bytes that poll(2) does not know of.
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(n @ 1..) => {
                let mut bytes = &bytes[..n];
                if self.input == Input::Fresh {
                    self.input = Input::Open;
                    bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
                }
                if self.password.is_asked() {
                    return self.enter_password(bytes);
                }
                self.connection.queue.push_bytes(bytes);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => {
                self.input = Input::Finished;
                self.finish();
            }
        }
        None
    }

    /// Takes the password as a person has typed it, or `/quit`. A terminal hands over one line at a time.
    fn enter_password(&mut self, bytes: &[u8]) -> Option<Ended> {
        let line = String::from_utf8_lossy(bytes);
        let line = line.trim_end_matches(['\n', '\r']);
        if is_quit(line) {
            return Some(Ended::Left);
        }
        if !line.is_empty() {
            let password = password_in(line);
            self.connection.queue.push_password(&password.line());
            self.printer.session.set_password(password);
        }
        None
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
