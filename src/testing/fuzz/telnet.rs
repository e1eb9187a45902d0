//! The body of the fuzz target `telnet`: decodes bytes in pieces and compares the result with a reference that sees the
//! whole input at once.

use super::bytes::{Bytes, cut};
use crate::hub::input::telnet::{Event, Telnet};
use crate::hub::limits::TELNET_SUB_BYTES_MAX;

const IAC: u8 = 255;

/// What is neither text nor an answer.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Negotiation,
    AreYouThere,
    EraseCharacter,
    EraseLine,
}

/// The text without telnet commands, and each answer and command with the length of the text before it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decoded {
    text: Vec<u8>,
    answers: Vec<(usize, [u8; 3])>,
    commands: Vec<(usize, Command)>,
}

impl Decoded {
    fn command(&mut self, command: Command) {
        self.commands.push((self.text.len(), command));
    }
}

/// Input: sizes of pieces, and bytes.
pub fn telnet(data: &[u8]) {
    let mut data = Bytes(data);
    let sizes = data.sizes();
    let input = data.0;
    let want = reference(input);
    for sizes in [sizes, &[], &[1]] {
        let (mut telnet, mut got) = (Telnet::default(), Decoded::default());
        for (piece, _) in cut(input, sizes) {
            feed(&mut telnet, piece, &mut got);
        }
        assert_eq!(got, want);
        check_answers(input, &got.answers);
        let before = got.text.len();
        let plain = vec![b'x'; usize::from(TELNET_SUB_BYTES_MAX) + 2];
        feed(&mut telnet, &plain, &mut got);
        feed(&mut telnet, b"\nmarker\n", &mut got);
        assert!(got.text[before..].ends_with(b"\nmarker\n"));
    }
}

fn feed(telnet: &mut Telnet, mut piece: &[u8], decoded: &mut Decoded) {
    while let Some(event) = telnet.next(&mut piece) {
        match event {
            Event::Text(text) => {
                assert!(!text.is_empty(), "an event has text");
                decoded.text.extend_from_slice(text);
            }
            Event::Negotiation(negotiation) => {
                let at = decoded.text.len();
                let answer = negotiation.answer.map(|answer| (at, answer));
                decoded.answers.extend(answer);
                decoded.commands.push((at, Command::Negotiation));
            }
            Event::AreYouThere => decoded.command(Command::AreYouThere),
            Event::EraseCharacter => decoded.command(Command::EraseCharacter),
            Event::EraseLine => decoded.command(Command::EraseLine),
        }
    }
    assert!(piece.is_empty());
}

/// Each answer refuses an option that the input offers or asks for, and occurs once; but each request of a timing mark is
/// granted.
fn check_answers(input: &[u8], answers: &[(usize, [u8; 3])]) {
    for (at, (_, answer)) in answers.iter().enumerate() {
        let [iac, refusal, option] = *answer;
        assert_eq!(iac, IAC);
        if (refusal, option) == (251, 6) {
            continue;
        }
        // DONT refuses WILL, WONT refuses DO.
        let refused = match refusal {
            254 => 251,
            252 => 253,
            other => panic!("{other} is not a refusal"),
        };
        let asked = [IAC, refused, option];
        assert!(input.windows(3).any(|window| window == asked));
        assert!(answers[..at].iter().all(|(_, earlier)| earlier != answer));
    }
}

/// Decodes the whole input as RFC 854 and RFC 855 say, with lookahead in place of states. A command that is cut off at
/// the end has no effect.
fn reference(input: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        let has_negotiated = decoded
            .commands
            .iter()
            .any(|(_, it)| *it == Command::Negotiation);
        if matches!(byte, 8 | 127) && has_negotiated {
            decoded.command(Command::EraseCharacter);
            at += 1;
            continue;
        }
        if byte != IAC {
            decoded.text.push(byte);
            at += 1;
            continue;
        }
        let Some(&command) = input.get(at + 1) else {
            break;
        };
        at = match command {
            IAC => {
                decoded.text.push(IAC);
                at + 2
            }
            // Not a command: the IAC was a byte of text.
            0..=235 => {
                decoded.text.push(IAC);
                at + 1
            }
            236..=249 => {
                match command {
                    246 => decoded.command(Command::AreYouThere),
                    247 => decoded.command(Command::EraseCharacter),
                    248 => decoded.command(Command::EraseLine),
                    _ => {}
                }
                at + 2
            }
            250 => match after_subnegotiation(input, at + 2) {
                Some(next) => next,
                None => break,
            },
            251..=254 => {
                let Some(&option) = input.get(at + 2) else {
                    break;
                };
                decoded.command(Command::Negotiation);
                let answer = match (command, option) {
                    (253, 6) => Some([IAC, 251, option]),
                    (251, _) => Some([IAC, 254, option]),
                    (253, _) => Some([IAC, 252, option]),
                    _ => None,
                };
                let mut earlier = decoded.answers.iter().map(|(_, earlier)| *earlier);
                let is_new = |answer: &[u8; 3]| {
                    answer[1] == 251 || !earlier.any(|earlier| earlier == *answer)
                };
                if let Some(answer) = answer.filter(is_new) {
                    decoded.answers.push((decoded.text.len(), answer));
                }
                at + 3
            }
        };
    }
    decoded
}

/// The position after a subnegotiation whose parameters begin at `start`; `None` if it has not ended.
fn after_subnegotiation(input: &[u8], start: usize) -> Option<usize> {
    let cap = start + usize::from(TELNET_SUB_BYTES_MAX);
    let mut at = start;
    while at < cap {
        match (*input.get(at)?, input.get(at + 1)) {
            (IAC, None) => return None,
            (IAC, Some(240)) => return Some(at + 2),
            (IAC, Some(&IAC)) => at += 2,
            // Another command ends it.
            (IAC, Some(_)) => return Some(at),
            _ => at += 1,
        }
    }
    // Of a pair of IACs across the cap, the second is outside. The decoder waits for a byte at the cap.
    input.get(cap).map(|_| cap)
}
