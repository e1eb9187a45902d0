//! The event loop's conversation with the server: what follows from its lines, from their absence, and from the end of the
//! connection. Draws nothing and waits for nothing.

use super::{EventLoop, Role, UNSENT_BYTES_TO_ANSWER};
use crate::hub::Line;
use crate::join::connection::{Event, GREETING_TIMEOUT, explain, foreign, too_long};
use crate::join::ended::Ended;
use crate::join::request::{Answer, Request};
use crate::join::session::{Farewell, Heard, Reaction};
use crate::join::ui::keys::Key;
use crate::join::ui::paint::safe;
use rustix::event::PollFlags;
use std::io;
use std::time::{Duration, Instant};

impl EventLoop {
    /// Reads and writes the connection. Returns how the client ends, if the connection's end is the client's.
    pub(super) fn handle_connection(&mut self, now: Instant, ready: PollFlags) -> Option<Ended> {
        let (mut all_heard, mut why_foreign) = (Vec::new(), None);
        let ui = &mut self.ui;
        let event = self.connection.handle(ready, now, |line| match line {
            // One line of a server of another kind is enough.
            _ if why_foreign.is_some() => {}
            Line::Whole(line) => {
                let heard = ui.receive(line);
                if heard.reaction == Some(Reaction::Foreign) {
                    why_foreign = Some(foreign(&safe(line)));
                }
                all_heard.push(heard);
            }
            Line::TooLong => ui.error(&too_long()),
        });
        for heard in all_heard {
            self.react(now, heard);
        }
        self.keep_token();
        self.was_greeted |= self.ui.session.is_greeted();
        let is_silent = event.is_none() && self.greeted_by().is_some_and(|by| by <= now);
        let ended = match event {
            _ if why_foreign.is_some() || is_silent => {
                self.connection.close();
                let why = why_foreign.unwrap_or_else(|| self.connection.silent());
                self.foreign(now, why)
            }
            None => None,
            Some(Event::Connected) => {
                self.shown_error = None;
                self.connected_at = now;
                self.ui.notice("connected again");
                let setup = self.ui.session.connected();
                self.connection.queue.push_setup(&setup);
                None
            }
            Some(Event::Disconnected(error)) => self.disconnected(now, &error),
        };
        let session = &self.ui.session;
        let says_password = session.is_asked() && self.connection.queue.is_password_next();
        let may_send = session.is_greeted() || says_password;
        self.connection.queue.hold(!may_send);
        ended
    }

    /// When the server must have greeted the client.
    pub(super) fn greeted_by(&self) -> Option<Instant> {
        let session = &self.ui.session;
        // A user may take some time to type a password; the server says when it takes too long.
        let is_waiting =
            self.connection.is_connected() && !session.is_greeted() && !session.is_asked();
        is_waiting.then(|| self.connected_at + GREETING_TIMEOUT)
    }

    /// Does what follows from a line of the server's.
    fn react(&mut self, now: Instant, heard: Heard) {
        let answered = heard
            .answer
            .and_then(|answer| self.connection.queue.answered(answer));
        if let Some((request, is_setup)) = answered
            && !std::mem::take(&mut self.is_retrying)
            && heard.answer.is_some_and(Answer::is_refusal)
            && request != Request::Password
        {
            self.refused(request, is_setup);
        }
        match heard.reaction {
            // The user has left; or the server asks endlessly and reads no answer.
            Some(Reaction::Send(_)) if self.leave_by.is_some() => {}
            Some(Reaction::Send(_)) if self.connection.queue.bytes() >= UNSENT_BYTES_TO_ANSWER => {}
            Some(Reaction::Send(line)) => self.connection.queue.ask(line),
            Some(Reaction::RetryName(pause)) => self.name_retry_at = Some(now + pause),
            Some(Reaction::Password) => match self.ui.session.password_line() {
                Some(line) => self.connection.queue.push_password(&line),
                None => self.ui.ask_password(),
            },
            Some(Reaction::Foreign) | None => {}
        }
    }

    /// Keeps a token that has changed, and says where.
    fn keep_token(&mut self) {
        let Role::Client { tokens, .. } = &self.role else {
            return;
        };
        let Some((name, token)) = self.ui.session.take_changed_token() else {
            return;
        };
        let kept = tokens.keep(&name, token);
        let is_new = self.token_name.as_ref() != Some(&name);
        match (kept, token.is_some()) {
            (Ok(path), true) if is_new => {
                let path = path.display().to_string();
                self.ui.notice(&format!(
                    "the token of {name} is kept in {}",
                    safe(path.as_bytes())
                ));
            }
            (Ok(_), true) => {}
            (Ok(_), false) => self
                .ui
                .notice(&format!("the token of {name} is not kept any more")),
            (Err(why), _) => self
                .ui
                .error(&format!("the token of {name} is not kept: {why}")),
        }
        self.token_name = Some(name);
    }

    /// Drops unsent lines, which were typed for the name or the room that the server has refused.
    fn refused(&mut self, request: Request, is_setup: bool) {
        let lines = self.connection.queue.discard();
        if is_setup && request == Request::Room {
            self.ui.session.give_up_room();
            self.connection.queue.ask("/who");
        }
        if lines > 0 {
            let session = &self.ui.session;
            let place = match request {
                Request::Password => None,
                Request::Name => session.name().map(|name| format!("you are {name}")),
                Request::Room => session.room().map(|room| format!("you are in {room}")),
            };
            let place = place.unwrap_or_else(|| "it was refused".into());
            self.ui
                .error(&format!("{lines} of your lines not sent: {place}"));
        }
    }

    /// The connection is closed, or an attempt to connect has failed. Returns how the client ends, if it does.
    fn disconnected(&mut self, now: Instant, error: &io::Error) -> Option<Ended> {
        let farewell = self.ui.session.farewell();
        if self.leave_by.is_some() || farewell == Some(Farewell::Goodbye) {
            return Some(Ended::Left);
        }
        if !self.was_greeted && farewell.is_none() {
            use io::ErrorKind::{ConnectionAborted, InvalidData, UnexpectedEof};
            match error.kind() {
                UnexpectedEof | ConnectionAborted => {
                    return self.foreign(now, self.connection.no_greeting());
                }
                // A server that refuses the client's certificate would do so again.
                InvalidData => return Some(Ended::Lost(explain(error))),
                _ => {}
            }
        }
        self.ui.disconnected();
        if farewell == Some(Farewell::Final)
            && let Role::Client {
                reconnect: true, ..
            } = self.role
        {
            self.ui.session.disconnected(Duration::ZERO, 0.0);
            self.name_retry_at = None;
            self.waits_for_key = true;
            self.ui
                .error("disconnected: press a key to connect again, or Ctrl-C to leave");
            return None;
        }
        self.lost(now, explain(error))
    }

    /// The server turned out to be of another kind. If it was not before, it may be again.
    fn foreign(&mut self, now: Instant, why: String) -> Option<Ended> {
        if self.was_greeted {
            self.lost(now, format!("this is not a madang server: {why}"))
        } else {
            Some(Ended::Foreign(why))
        }
    }

    /// There is no connection. Plans the next, or returns how the client ends.
    fn lost(&mut self, now: Instant, why: String) -> Option<Ended> {
        match self.role {
            Role::Console { .. } => return Some(Ended::Left),
            Role::Client {
                reconnect: false, ..
            } => return Some(Ended::Lost(why)),
            Role::Client {
                reconnect: true, ..
            } => {}
        }
        let lasted = now.saturating_duration_since(self.connected_at);
        let pause = self.ui.session.disconnected(lasted, fastrand::f64());
        self.name_retry_at = None;
        self.connected_at = now + pause;
        self.connection.reconnect_at(Some(now + pause));
        if self.shown_error.as_ref() != Some(&why) {
            self.ui.error(&match self.shown_error {
                None => format!("connection lost: {why} (reconnecting; Ctrl-C leaves)"),
                Some(_) => format!("still reconnecting: {why}"),
            });
            self.shown_error = Some(why);
        }
        None
    }

    /// A key brings the client back that has been closed for a reason that would come again.
    pub(super) fn return_for(&mut self, key: &Key, now: Instant) {
        let is_pressed = !matches!(
            key,
            Key::CursorAt(..) | Key::Terminal(..) | Key::Ctrl(b'c' | b'd' | b'z')
        );
        if is_pressed && std::mem::take(&mut self.waits_for_key) {
            self.connected_at = now;
            self.connection.reconnect_at(Some(now));
        }
    }
}
