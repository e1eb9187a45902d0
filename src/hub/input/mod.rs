//! What one client has sent: bytes into items, in the order `telnet → frame`; `text` and `command` then read a line.
//! Bytes that may not be handled yet are deferred here. Knows no client and no room.
//!
//! ```text
//! bytes as received
//! ├── handled ──┬── text: rest of a stretch ──┬── rest ──────┤     text and rest are neighbours,
//!               └─ the frame cuts lines here  └─ telnet next       and are what is deferred
//! ```

pub mod command;
pub mod frame;
pub mod sniff;
pub mod telnet;
pub mod text;

use frame::{Found, Frame};
pub use sniff::Protocol;
use telnet::{Event, Telnet};

/// One thing that a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A line without its terminator.
    Line(&'a [u8]),
    /// A line that is longer than `line_bytes_max`.
    TooLong,
    /// A telnet negotiation: these bytes answer it.
    Negotiation([u8; 3]),
    /// The first line belongs to another protocol. Nothing follows.
    WrongProtocol(Protocol),
    /// The peer has finished sending. Nothing follows.
    End,
}

/// The input of one client.
#[derive(Debug, Default)]
pub struct Input {
    /// `None` between lines, so that a silent client costs no memory.
    pending: Option<Box<Pending>>,
    /// Units of work that handling it has cost beyond its visits.
    pub debt: u32,
    /// The first line has not been seen whole: it may show another protocol.
    sniffing: bool,
    /// The peer has finished sending, and [`Item::End`] has not been taken.
    finished: bool,
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
        Input {
            sniffing,
            ..Input::default()
        }
    }

    /// The peer has finished sending. An unterminated last line counts as a line.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether something can be handled without receiving more.
    pub fn has_deferred(&self) -> bool {
        self.finished || self.has_deferred_bytes()
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
        let protocol = self.sniff(bytes, options.line_bytes_max);
        let pending = self.pending.as_deref_mut();
        Items {
            pending: pending.map_or_else(Pending::default, std::mem::take),
            protocol,
            input: self,
            bytes,
            text: &[],
            rest: bytes,
            options,
        }
    }

    /// Looks at the first line, once, for a protocol that is not this one. The first bytes may come in pieces: while
    /// they are the start of a request line, its end decides.
    fn sniff(&mut self, bytes: &[u8], line_bytes_max: usize) -> Option<Protocol> {
        if !self.sniffing || bytes.is_empty() {
            return None;
        }
        let seen = self.partial();
        let end = memchr::memchr(b'\n', bytes);
        let protocol = sniff::protocol(seen, bytes, end);
        self.sniffing = end.is_none() && seen.len() + bytes.len() <= line_bytes_max;
        protocol
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self, line_bytes_max: usize) {
        assert!(self.partial().len() <= line_bytes_max + 1);
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
    protocol: Option<Protocol>,
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
        if let Some(protocol) = self.protocol.take() {
            self.discard();
            return Some(Item::WrongProtocol(protocol));
        }
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
                Some(Event::Text(text)) => self.text = text,
                Some(Event::Answer(answer)) => return Some(Item::Negotiation(answer)),
                None => return self.next_unterminated(),
            }
        }
    }

    /// Bytes of over-long lines that were discarded since this was last called.
    pub fn take_discarded(&mut self) -> u32 {
        self.pending.frame.take_discarded()
    }

    /// Discards what is left: nobody will handle it.
    pub fn discard(&mut self) {
        (self.text, self.rest) = (&[], &[]);
        self.input.finished = false;
        self.pending = Pending::default();
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
        let finished = self.input.finished;
        if (finished || self.options.flush) && !self.pending.frame.partial().is_empty() {
            self.input.sniffing = false;
            return self.pending.frame.take_partial().map(Item::Line);
        }
        self.input.finished = false;
        finished.then_some(Item::End)
    }
}

impl Drop for Items<'_> {
    /// Defers what is left, and gives memory back when nothing is pending.
    fn drop(&mut self) {
        let pending = &mut self.pending;
        let left = self.rest.len() + self.text.len();
        pending.deferred = self.bytes[self.bytes.len() - left..].to_vec();
        pending.frame.forget_collected();
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
