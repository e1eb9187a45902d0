//! Removes telnet commands from the bytes (RFC 854, RFC 855; answers as in RFC 1143): what is left is text. Knows nothing of
//! lines, and offers no option: every option that a client offers or requests is refused, once. The only exception is
//! TIMING-MARK, which is not an option but a question (RFC 860): each is answered.

use crate::hub::limits::TELNET_SUB_BYTES_MAX;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
/// Erase line, erase character, are you there.
const EL: u8 = 248;
const EC: u8 = 247;
const AYT: u8 = 246;
const SE: u8 = 240;
/// End of file, the first of the commands that RFC 1184 and RFC 885 have added.
const EOF: u8 = 236;

const TIMING_MARK: u8 = 6;

/// What the key sends that erases a character.
const BS: u8 = 8;
const DEL: u8 = 127;

/// One client's telnet decoder.
#[derive(Debug, Default)]
pub struct Telnet {
    state: State,
    /// `None` until the client negotiates an option.
    refused: Option<Box<Refused>>,
}

/// Where in a command the last byte was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// In text.
    #[default]
    Text,
    /// After IAC.
    Command,
    /// After IAC and one of WILL, WONT, DO, DONT: the option follows.
    Option(u8),
    /// Within a subnegotiation of which `len <= TELNET_SUB_BYTES_MAX` bytes have passed.
    Sub { len: u16, after_iac: bool },
}

/// Which options have been refused, a bit each: offers (WILL) and requests (DO).
#[derive(Debug, Default)]
struct Refused {
    offers: [u64; 4],
    requests: [u64; 4],
}

/// What the next bytes mean.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Text, as long a stretch as there is.
    Text(&'a [u8]),
    /// An option was negotiated.
    Negotiation(Negotiation),
    /// The client asks for a sign of life.
    AreYouThere,
    /// The last character of the unfinished line is to go, if there is one.
    EraseCharacter,
    /// The unfinished line is to go.
    EraseLine,
}

/// WILL, WONT, DO or DONT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiation {
    verb: u8,
    /// Its number.
    pub option: u8,
    /// What is to be sent, if an answer is due.
    pub answer: Option<[u8; 3]>,
}

impl Negotiation {
    /// Whether it was DONT.
    pub fn is_dont(&self) -> bool {
        self.verb == DONT
    }
}

impl Telnet {
    /// Whether nothing has been negotiated and no command is under way.
    pub fn is_new(&self) -> bool {
        self.state == State::Text && !self.has_negotiated()
    }

    /// Whether the client has negotiated an option: its user types at a terminal.
    pub fn has_negotiated(&self) -> bool {
        self.refused.is_some()
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.refused.as_ref().map_or(0, |_| size_of::<Refused>())
    }

    /// Takes the next event from the front of `input`; `None` when nothing is left.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        loop {
            if self.state == State::Text {
                let text = take(input, self.text_bytes(input));
                if !text.is_empty() {
                    return Some(Event::Text(text));
                }
            }
            let (&byte, rest) = input.split_first()?;
            let at = *input;
            *input = rest;
            match self.state {
                State::Text if byte == IAC => self.state = State::Command,
                State::Text => return Some(Event::EraseCharacter),
                State::Command => {
                    if let Some(event) = self.command(byte, at, input) {
                        return Some(event);
                    }
                }
                State::Option(verb) => {
                    self.state = State::Text;
                    return Some(Event::Negotiation(self.negotiate(verb, byte)));
                }
                State::Sub { len, after_iac } => {
                    self.state = subnegotiate(len, after_iac, byte, at, input)
                }
            }
        }
    }

    /// How many bytes at the front of `input` are text. A client that has negotiated sends each key as it is typed, or
    /// may do so: BS and DEL erase. In what others send, such as a file, they are characters like all others.
    fn text_bytes(&self, input: &[u8]) -> usize {
        let end = if self.has_negotiated() {
            memchr::memchr3(IAC, BS, DEL, input)
        } else {
            memchr::memchr(IAC, input)
        };
        end.unwrap_or(input.len())
    }

    /// The byte after an IAC; puts it back (`at`) if it is none of a command.
    fn command<'a>(&mut self, byte: u8, at: &'a [u8], input: &mut &'a [u8]) -> Option<Event<'a>> {
        self.state = State::Text;
        match byte {
            WILL..=DONT => self.state = State::Option(byte),
            SB => {
                self.state = State::Sub {
                    len: 0,
                    after_iac: false,
                }
            }
            IAC => return Some(Event::Text(&[IAC])),
            AYT => return Some(Event::AreYouThere),
            EC => return Some(Event::EraseCharacter),
            EL => return Some(Event::EraseLine),
            EOF..SB => {}
            // Not a command: a text has a byte 255 in it. Both bytes are text.
            _ => {
                *input = at;
                return Some(Event::Text(&[IAC]));
            }
        }
        None
    }

    /// Refuses an option the first time that it is offered or requested. Everything is off already, so WONT and DONT
    /// change nothing, and RFC 1143 forbids an answer to what changes nothing. A client that requests a timing mark
    /// discards all output until the answer comes.
    fn negotiate(&mut self, verb: u8, option: u8) -> Negotiation {
        let refused = self.refused.get_or_insert_default();
        let answer = match verb {
            DO if option == TIMING_MARK => Some(WILL),
            DO => refuse(&mut refused.requests, option).then_some(WONT),
            WILL => refuse(&mut refused.offers, option).then_some(DONT),
            _ => None,
        };
        Negotiation {
            verb,
            option,
            answer: answer.map(|answer| [IAC, answer, option]),
        }
    }
}

/// Notes that an option is refused; returns whether it was not yet.
fn refuse(refused: &mut [u64; 4], option: u8) -> bool {
    let (word, bit) = (usize::from(option / 64), 1 << (option % 64));
    let is_first = refused[word] & bit == 0;
    refused[word] |= bit;
    is_first
}

/// The state after one byte of a subnegotiation; puts the byte back (`at`) where it belongs to what follows.
fn subnegotiate<'a>(
    len: u16,
    after_iac: bool,
    byte: u8,
    at: &'a [u8],
    input: &mut &'a [u8],
) -> State {
    match (after_iac, byte) {
        (true, SE) => State::Text,
        (true, IAC) | (false, _) if len >= TELNET_SUB_BYTES_MAX => {
            *input = at;
            State::Text
        }
        (false, IAC) => State::Sub {
            len: len + 1,
            after_iac: true,
        },
        (true, IAC) | (false, _) => State::Sub {
            len: len + 1,
            after_iac: false,
        },
        // A command within a subnegotiation that was never ended: it ends here (RFC 855 has no such thing).
        (true, _) => {
            *input = at;
            State::Command
        }
    }
}

/// Takes the first `n` bytes from the front of `input`.
fn take<'a>(input: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(n);
    *input = rest;
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in the given pieces: (text, answers). In the text stands `<` for an erased character, `#` for an
    /// erased line, `?` for AYT.
    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<[u8; 3]>) {
        let (mut telnet, mut text, mut answers) = (Telnet::default(), Vec::new(), Vec::new());
        for mut piece in pieces {
            while let Some(event) = telnet.next(&mut piece) {
                match event {
                    Event::Text(bytes) => text.extend_from_slice(bytes),
                    Event::Negotiation(negotiation) => answers.extend(negotiation.answer),
                    Event::AreYouThere => text.push(b'?'),
                    Event::EraseCharacter => text.push(b'<'),
                    Event::EraseLine => text.push(b'#'),
                }
            }
        }
        (text, answers)
    }

    #[test]
    fn commands_are_removed_and_text_stays_at_any_chunking() {
        type Case<'a> = (&'a [u8], &'a [u8], &'a [[u8; 3]]);
        let table: &[Case<'_>] = &[
            (b"plain\n", b"plain\n", &[]),
            (b"a\xff\xf1b", b"ab", &[]),
            (b"\xff\xf4\xff\xf3\xff\xf2x", b"x", &[]),
            (b"\xff\xecx\xff\xedy\xff\xee\xff\xefz", b"xyz", &[]),
            (b"a\xff\xffb", b"a\xffb", &[]),
            (b"a\xff\xebb", b"a\xff\xebb", &[]),
            (b"a\xff\xf7b\xff\xf8c\xff\xf6", b"a<b#c?", &[]),
            (
                b"a\x08\x7f\xff\xfc\x01b\x08\x7f\xff\xff\x08",
                b"a\x08\x7fb<<\xff<",
                &[],
            ),
            (b"\xff\xfb\x06\xff\xfe\x06", b"", &[[IAC, DONT, 6]]),
            (b"a\xffb", b"a\xffb", &[]),
            (b"\xff\xfd\x01hi\n", b"hi\n", &[[IAC, WONT, 1]]),
            (b"\xff\xfb\x18\xff\xfb\x18", b"", &[[IAC, DONT, 24]]),
            (b"\xff\xfc\x01\xff\xfe\x01", b"", &[]),
            (b"x\xff\xfa\x1f\x00\x50\x00\x0a\xff\xf0y\n", b"xy\n", &[]),
            (b"x\xff\xfa\x1f\xff\xffz\xff\xf0y\n", b"xy\n", &[]),
            (
                b"x\xff\xfa\x1fzz\xff\xfd\x05y\n",
                b"xy\n",
                &[[IAC, WONT, 5]],
            ),
        ];
        for (input, text, answers) in table {
            for cut in 0..=input.len() {
                let (front, back) = input.split_at(cut);
                assert_eq!(
                    decode([front, back]),
                    (text.to_vec(), answers.to_vec()),
                    "{input:?} cut at {cut}"
                );
            }
            assert_eq!(
                decode(input.chunks(1)),
                (text.to_vec(), answers.to_vec()),
                "{input:?} byte by byte"
            );
        }
    }

    #[test]
    fn each_option_is_refused_once() {
        let mut input = Vec::new();
        for round in 0..3 {
            for option in 0..=255 {
                input.extend_from_slice(&[IAC, if round % 2 == 0 { DO } else { WILL }, option]);
            }
        }
        let (text, answers) = decode([&input[..]]);
        assert!(text.is_empty());
        // The timing mark was requested twice.
        assert_eq!(answers.len(), 512 + 1);
    }

    #[test]
    fn each_timing_mark_is_answered() {
        let (_, answers) = decode([&[IAC, DO, TIMING_MARK].repeat(300)[..]]);
        assert_eq!(answers, [[IAC, WILL, TIMING_MARK]; 300]);
    }

    #[test]
    fn endless_subnegotiation_becomes_text_again() {
        let mut input = vec![IAC, SB, 24];
        input.extend(std::iter::repeat_n(b'x', usize::from(TELNET_SUB_BYTES_MAX)));
        input.extend_from_slice(b"hello\n");
        let (text, _) = decode([&input[..]]);
        assert!(text.ends_with(b"hello\n"));
        assert_eq!(text.len(), b"xhello\n".len());
    }
}
