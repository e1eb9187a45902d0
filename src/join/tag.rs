//! Who a line of the server's is from, by the tag that each begins with. Knows nobody, and no colour.

/// So long are the longest names that are taken for such: on a server of another kind a line may begin with anything.
pub const NAME_BYTES_MAX: usize = 128;

/// A line without what tells who it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag<'a> {
    /// `kim: text`
    Said(&'a str, &'a str),
    /// `kim -> you: text`
    Received(&'a str, &'a str),
    /// `you -> kim: text`
    Confirmed(&'a str, &'a str),
    /// `* text`
    Notice(&'a str),
    /// `! text`
    Refusal(&'a str),
    /// No tag of this protocol.
    None(&'a str),
}

impl<'a> Tag<'a> {
    /// Reads a line's tag.
    pub fn of(line: &'a str) -> Tag<'a> {
        if let Some(text) = line.strip_prefix("* ") {
            return Tag::Notice(text);
        }
        if let Some(text) = line.strip_prefix("! ") {
            return Tag::Refusal(text);
        }
        let Some((who, text)) = line.split_once(": ") else {
            return Tag::None(line);
        };
        match who.split_once(" -> ") {
            Some((from, "you")) if is_name(from) => Tag::Received(from, text),
            Some(("you", to)) if is_name(to) => Tag::Confirmed(to, text),
            None if is_name(who) => Tag::Said(who, text),
            _ => Tag::None(line),
        }
    }
}

/// Whether this can be what somebody, or a room, is called.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_tells_who_speaks() {
        for (line, tag) in [
            ("kim: a: b", Tag::Said("kim", "a: b")),
            ("kim -> you: hi", Tag::Received("kim", "hi")),
            ("you -> kim: hi", Tag::Confirmed("kim", "hi")),
            ("* kim waves: so", Tag::Notice("kim waves: so")),
            ("! line not sent: x", Tag::Refusal("line not sent: x")),
            ("two words: x", Tag::None("two words: x")),
            ("kim -> lee: x", Tag::None("kim -> lee: x")),
            (": x", Tag::None(": x")),
            ("", Tag::None("")),
        ] {
            assert_eq!(Tag::of(line), tag);
        }
    }
}
