//! A password that a person types where there is a terminal but no line editing: the terminal does not echo it. However the
//! client ends or is stopped meanwhile, it echoes again. Reads nothing.

use crate::terminal::poll::Interest;
use crate::terminal::signals::Signals;
use crate::terminal::tty::Unseen;
use rustix::event::PollFlags;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::low_level::emulate_default_handler;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// Whether a password is to be typed, and what follows from that for the terminal.
#[derive(Debug, Default)]
pub struct TypedPassword {
    is_asked: bool,
    unseen: Option<Unseen>,
    /// Those by which the client would end or stop, from the first time that a password is asked for.
    signals: Option<Signals>,
}

impl TypedPassword {
    /// Whether what is typed now is a password.
    pub fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// The server asks for a password, or does not. True: it is to be typed from now on.
    ///
    /// # Errors
    /// The signals cannot be received.
    pub fn follow(&mut self, is_asked: bool) -> io::Result<bool> {
        let is_asked = is_asked && io::stdin().is_terminal();
        let is_new = is_asked && !self.is_asked;
        self.is_asked = is_asked;
        if !is_asked {
            self.unseen = None;
            return Ok(false);
        }
        if self.signals.is_none() {
            let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT];
            self.signals = Some(Signals::new(&signals)?);
        }
        // Again if this process was stopped or in the background meanwhile.
        if self.unseen.is_none() {
            self.unseen = Unseen::begin();
        }
        Ok(is_new)
    }

    /// What is to be polled for.
    pub fn interest(&self) -> Interest<'_> {
        let signals = self.signals.as_ref()?;
        Some((signals.as_fd(), PollFlags::IN))
    }

    /// Does what signals do by default: with a terminal that echoes.
    pub fn take_signals(&mut self) {
        let pending = self.signals.iter_mut().flat_map(Signals::pending);
        for signal in pending.collect::<Vec<_>>() {
            self.unseen = None;
            if signal != SIGCONT {
                let _ = emulate_default_handler(signal);
            }
        }
    }
}
