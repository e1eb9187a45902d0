//! What the hub asks of its driver because it cannot do it itself, and the driver's answers. No behaviour lives here.

use std::fmt;

/// Names a request. Each is answered once, by [`Hub::answer`](super::Hub::answer), at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket of this number.
    pub fn from_number(number: u64) -> Ticket {
        Ticket(number)
    }

    /// Its number; no two tickets of a hub have the same.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Something that an operator or another person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To keep something beyond the end of the process: [`Answer::Done`] once it is, [`Answer::NotKept`] where there is
    /// no place for that.
    Store(Change),
    /// To read the configuration again: [`Answer::Lines`].
    Reload,
    /// All figures of the server: [`Answer::Figures`].
    Statistics,
    /// To [end](super::Hub::shutdown) the server: [`Answer::Done`] once that has begun.
    Shutdown,
    /// Bytes that nobody can foretell: [`Answer::Bytes`].
    Random,
}

/// A change of what is kept. All texts are single lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `key` has this value from now on.
    Put {
        /// What kind of thing it is: a word.
        kind: &'static str,
        /// Which of them: a word.
        key: String,
        /// At most [`STORED_BYTES_MAX`](super::limits::STORED_BYTES_MAX) bytes.
        value: String,
    },
    /// `key` has none any more.
    Remove {
        /// As above.
        kind: &'static str,
        /// As above.
        key: String,
    },
}

/// The driver's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It cannot be kept beyond the end of the process.
    NotKept,
    /// It is done; lines for the operator.
    Lines(Vec<String>),
    /// Names and values. A name is a word.
    Figures(Vec<(String, String)>),
    /// Random bytes, fit for a secret.
    Bytes(Random),
    /// It is not done, and nothing has changed: lines for the operator that say why.
    Refused(Vec<String>),
}

/// Random bytes of which a secret is made: they appear in no `Debug` output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Random(pub [u8; 16]);

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(…)")
    }
}
