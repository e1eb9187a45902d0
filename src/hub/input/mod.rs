//! What one client has sent: bytes into items, in the order `telnet → opening → frame`; `text` and `command` then read a
//! line.
//! Bytes that may not be handled yet are deferred here. Knows no client and no room.
//!
//! ```text
//! bytes as received
//! ├── handled ──┬── text: rest of a stretch ──┬── rest ──────┤     text and rest are neighbours,
//!               └─ the frame cuts lines here  └─ telnet next       and are what is deferred
//! ```

pub mod command;
pub mod frame;
mod line_ends;
mod opening;
pub mod operation;
pub mod sniff;
pub mod telnet;
pub mod text;

use frame::{Found, Frame};
use line_ends::LineEnds;
use opening::Opening;
pub use sniff::Protocol;
use telnet::{Event, Telnet};

/// One thing that a client has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A line without its terminator.
    Line(&'a [u8]),
    /// A line that is longer than `line_bytes_max`.
    TooLong,
    /// A telnet negotiation: the client speaks telnet. The bytes answer it, if an answer is due.
    Negotiation(Option<[u8; 3]>),
    /// A telnet client asks for a sign of life.
    AreYouThere,
    /// The first line belongs to another protocol. Nothing follows.
    WrongProtocol(Protocol),
    /// A line whose end is missing, since the connection was cut.
    CutOff,
    /// The peer has finished sending. Nothing follows.
    End,
}

/// Whether the peer has finished sending, and [`Item::End`] has not been taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Finish {
    /// It has not.
    #[default]
    No,
    /// It has said so: an unterminated last line counts as a line.
    Whole,
    /// The connection was cut: the rest of an unterminated last line may be missing.
    Cut,
}

/// The input of one client.
#[derive(Debug, Default)]
pub struct Input {
    /// `None` between lines, so that a silent client costs no memory.
    pending: Option<Box<Pending>>,
    /// Units of work that handling it has cost beyond its visits.
    pub debt: u32,
    /// Whether the connection may still turn out to speak another protocol.
    opening: Opening,
    /// What has ended the lines so far.
    line_ends: LineEnds,
    finish: Finish,
    /// The client has been told that it sends faster than the rate limit allows.
    pub is_told_of_rate: bool,
}

/// An unfinished line or telnet command, and deferred bytes.
#[derive(Debug, Default)]
struct Pending {
    telnet: Telnet,
    frame: Frame,
    /// Bytes as they were received, to be handled before any others: `0 <= len <= READ_BYTES_MAX`.
    deferred: Vec<u8>,
}

impl Pending {
    /// Whether this is as good as new.
    fn is_default(&self) -> bool {
        self.telnet.is_new() && self.frame.is_between_lines() && self.deferred.is_empty()
    }
}

impl Input {
    /// The input of a new client; with `sniffing`, its first line is searched for other protocols.
    pub fn new(sniffing: bool) -> Input {
        let opening = if sniffing {
            Opening::Start
        } else {
            Opening::Over
        };
        Input {
            opening,
            ..Input::default()
        }
    }

    /// The peer has finished sending. An unterminated last line counts as a line.
    pub fn finish(&mut self) {
        self.finish = Finish::Whole;
    }

    /// The connection was cut. An unterminated last line does not count.
    pub fn cut(&mut self) {
        self.finish = Finish::Cut;
    }

    /// Whether something can be handled without receiving more.
    pub fn has_deferred(&self) -> bool {
        self.finish != Finish::No || self.has_deferred_bytes()
    }

    /// Whether deferred bytes are to be handled before any others.
    pub fn has_deferred_bytes(&self) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|pending| !pending.deferred.is_empty())
    }

    /// Takes the deferred bytes, to be given to [`Input::items`].
    pub fn take_deferred(&mut self) -> Vec<u8> {
        let pending = self.pending.as_mut();
        pending.map_or_else(Vec::new, |pending| std::mem::take(&mut pending.deferred))
    }

    /// The start of the line whose end has not come.
    pub fn partial(&self) -> &[u8] {
        self.pending
            .as_ref()
            .map_or(&[], |pending| pending.frame.partial())
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| {
            size_of::<Pending>()
                + pending.telnet.memory_bytes()
                + pending.frame.memory_bytes()
                + pending.deferred.capacity()
        })
    }

    /// The items in `bytes`. What is left when the iteration ends is deferred.
    pub fn items<'a>(&'a mut self, bytes: &'a [u8], options: Options) -> Items<'a> {
        debug_assert!(!self.has_deferred_bytes(), "deferred bytes come first");
        let pending = match self.pending.as_deref_mut() {
            Some(pending) => std::mem::take(pending),
            None => Pending {
                frame: Frame::new(self.line_ends),
                ..Pending::default()
            },
        };
        Items {
            pending,
            input: self,
            bytes,
            text: &[],
            rest: bytes,
            options,
        }
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self, line_bytes_max: usize) {
        assert!(self.partial().len() <= line_bytes_max);
        if let Some(pending) = &self.pending {
            assert!(!pending.is_default(), "memory is held for nothing");
        }
    }
}

/// How bytes are cut into items.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes are text as they are, without telnet commands.
    pub raw: bool,
    /// Longest line, in bytes without its terminator.
    pub line_bytes_max: usize,
    /// The unfinished line counts as a line.
    pub flush: bool,
}

/// Items one after another. Not an [`Iterator`]: an item may be borrowed from here.
#[derive(Debug)]
pub struct Items<'a> {
    input: &'a mut Input,
    /// Taken out of `input` meanwhile.
    pending: Pending,
    bytes: &'a [u8],
    /// What is left of a stretch of text; it ends where `rest` begins.
    text: &'a [u8],
    /// What is left of `bytes` after that.
    rest: &'a [u8],
    options: Options,
}

impl<'a> Items<'a> {
    /// The next item.
    #[allow(clippy::should_implement_trait, reason = "an item may be borrowed")]
    pub fn next(&mut self) -> Option<Item<'_>> {
        loop {
            let found = self
                .pending
                .frame
                .advance(&mut self.text, self.options.line_bytes_max);
            match found {
                Some(Found::Whole(line)) => return Some(Item::Line(line)),
                Some(Found::Collected) => return Some(Item::Line(self.pending.frame.collected())),
                Some(Found::TooLong) => return Some(Item::TooLong),
                None => {}
            }
            match self.next_stretch() {
                Some(Event::Text(text)) => {
                    if let Some(protocol) = self.begin_stretch(text) {
                        return Some(self.wrong_protocol(protocol));
                    }
                }
                Some(Event::Negotiation(negotiation)) => {
                    if self.input.opening != Opening::Over
                        && let Some(protocol) = self.input.opening.negotiated(negotiation)
                    {
                        return Some(self.wrong_protocol(protocol));
                    }
                    return Some(Item::Negotiation(negotiation.answer));
                }
                Some(Event::AreYouThere) => return Some(Item::AreYouThere),
                Some(Event::EraseCharacter) => {
                    let frame = &mut self.pending.frame;
                    frame.erase_character(text::last_character_bytes);
                }
                Some(Event::EraseLine) => self.pending.frame.erase_line(),
                None => return self.next_unterminated(),
            }
        }
    }

    /// Whether the last line came from a telnet client, or from one that may be one: telnet ends lines with CR LF. Such
    /// clients can lose bytes of characters (`cut`), which are commands to them.
    pub fn is_telnet(&self, is_cut: bool) -> bool {
        let ends = self.pending.frame.line_ends();
        let ends_with_cr = matches!(ends, LineEnds::AfterCr | LineEnds::CrLf);
        !self.options.raw && (self.pending.telnet.has_negotiated() || is_cut && ends_with_cr)
    }

    /// How many bytes have not been looked at.
    pub fn left(&self) -> usize {
        self.rest.len() + self.text.len()
    }

    /// Bytes of over-long lines that were discarded since this was last called.
    pub fn take_discarded(&mut self) -> u32 {
        self.pending.frame.take_discarded()
    }

    /// Discards what is left: nobody will handle it.
    pub fn discard(&mut self) {
        (self.text, self.rest) = (&[], &[]);
        self.input.finish = Finish::No;
        self.pending = Pending::default();
    }

    /// Nothing of another protocol is handled.
    fn wrong_protocol(&mut self, protocol: Protocol) -> Item<'static> {
        self.discard();
        Item::WrongProtocol(protocol)
    }

    /// A stretch of text is next. Returns another protocol if the first line shows it.
    fn begin_stretch(&mut self, mut text: &'a [u8]) -> Option<Protocol> {
        let opening = &mut self.input.opening;
        let protocol = match opening {
            Opening::Over => None,
            _ => opening.text(
                &mut self.pending.frame,
                &mut text,
                self.options.line_bytes_max,
            ),
        };
        self.text = text;
        protocol
    }

    fn next_stretch(&mut self) -> Option<Event<'a>> {
        if self.options.raw {
            let text = std::mem::take(&mut self.rest);
            return (!text.is_empty()).then_some(Event::Text(text));
        }
        self.pending.telnet.next(&mut self.rest)
    }

    /// All bytes have been taken: the unfinished line if it counts, then the end.
    fn next_unterminated(&mut self) -> Option<Item<'_>> {
        let finished = self.input.finish != Finish::No;
        if self.input.finish == Finish::Cut && !self.pending.frame.partial().is_empty() {
            self.pending.frame.discard_partial();
            return Some(Item::CutOff);
        }
        if (finished || self.options.flush) && !self.pending.frame.partial().is_empty() {
            if let Some(protocol) = self.input.opening.end(self.pending.frame.partial()) {
                return Some(self.wrong_protocol(protocol));
            }
            if self.pending.frame.partial().len() > self.options.line_bytes_max {
                // Lines may have been longer when it began.
                self.pending.frame.discard_partial();
                return Some(Item::TooLong);
            }
            return self.pending.frame.take_partial().map(Item::Line);
        }
        self.input.finish = Finish::No;
        finished.then_some(Item::End)
    }
}

impl Drop for Items<'_> {
    /// Defers what is left, and gives memory back when nothing is pending.
    fn drop(&mut self) {
        let left = self.left();
        let pending = &mut self.pending;
        pending.deferred = self.bytes[self.bytes.len() - left..].to_vec();
        pending.frame.forget_collected();
        self.input.line_ends = pending.frame.line_ends();
        if pending.is_default() {
            self.input.pending = None;
            return;
        }
        let pending = std::mem::take(pending);
        match &mut self.input.pending {
            Some(place) => **place = pending,
            none => *none = Some(Box::new(pending)),
        }
    }
}

#[cfg(test)]
mod tests;
