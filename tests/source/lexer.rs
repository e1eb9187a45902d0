//! From text to tokens: where comments and literals end, where an item ends.

#[derive(Debug)]
pub(super) struct Token {
    pub(super) line: usize,
    /// Where it begins, in characters.
    pub(super) at: usize,
    pub(super) text: String,
}

pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names and numbers, `::`, and every other character by itself.
pub(super) fn tokens(code: &str) -> Vec<Token> {
    let characters: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < characters.len() {
        let rest = &characters[at..];
        let length = if rest[0].is_alphanumeric() || rest[0] == '_' {
            rest.iter()
                .take_while(|c| c.is_alphanumeric() || **c == '_')
                .count()
        } else if rest.starts_with(&[':', ':']) {
            2
        } else {
            1
        };
        if !rest[0].is_whitespace() {
            found.push(Token {
                line,
                at,
                text: rest[..length].iter().collect(),
            });
        }
        line += usize::from(rest[0] == '\n');
        at += length;
    }
    found
}

/// The token that ends the item which begins at `start`: its last brace or its semicolon.
pub(super) fn end_of_item(tokens: &[Token], start: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0, 0);
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets -= 1,
            "{" => braces += 1,
            "}" if braces > 1 => braces -= 1,
            "}" if brackets == 0 => {
                // A `use` list or a struct literal in a constant is followed by the item's semicolon.
                let follows = tokens.get(at + 1).is_some_and(|next| next.text == ";");
                return Some(if follows { at + 1 } else { at });
            }
            "}" => braces -= 1,
            ";" if braces == 0 && brackets == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// Blanks for comments, and for what is between the quotes of strings and characters.
pub(super) fn without_comments_and_literals(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut bare = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let before = at.checked_sub(1).map(|before| characters[before]);
        let in_a_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let length = comment(&characters[at..]).or_else(|| literal(&characters[at..], in_a_name));
        let blank = |c: &char| if *c == '\n' { '\n' } else { ' ' };
        match length {
            Some(length) => bare.extend(characters[at..at + length].iter().map(blank)),
            None => bare.push(characters[at]),
        }
        at += length.unwrap_or(1);
    }
    bare
}

/// The length of the comment that begins here.
fn comment(rest: &[char]) -> Option<usize> {
    if rest.starts_with(&['/', '/']) {
        return Some(rest.iter().take_while(|c| **c != '\n').count());
    }
    if !rest.starts_with(&['/', '*']) {
        return None;
    }
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        let step = match &rest[at..] {
            ['/', '*', ..] => 1,
            ['*', '/', ..] => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

/// The length of the string or character that begins here, its prefix included.
fn literal(rest: &[char], in_a_name: bool) -> Option<usize> {
    let prefix = if in_a_name {
        0
    } else {
        rest.iter()
            .take_while(|c| "bcr".contains(**c))
            .count()
            .min(2)
    };
    let raw = rest[..prefix].contains(&'r');
    let hashes = rest[prefix..]
        .iter()
        .take_while(|c| raw && **c == '#')
        .count();
    let open = prefix + hashes;
    if raw && rest.get(open) == Some(&'"') {
        let close: Vec<char> = std::iter::once('"')
            .chain(std::iter::repeat_n('#', hashes))
            .collect();
        let inside = rest[open + 1..]
            .windows(close.len())
            .position(|window| window == close);
        return Some(inside.map_or(rest.len(), |inside| open + 1 + inside + close.len()));
    }
    let quote = *rest.get(prefix)?;
    let is_lifetime =
        quote == '\'' && rest.get(prefix + 1) != Some(&'\\') && rest.get(prefix + 2) != Some(&'\'');
    if !matches!(quote, '"' | '\'') || is_lifetime {
        return None;
    }
    let mut at = prefix + 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    Some((at + 1).min(rest.len()))
}
