//! Tab completion: which word is being typed and what it may become. The caller supplies the words. Pure.

/// The result of pressing Tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// No word begins with what was typed.
    None,
    /// Replace the text from this byte to the cursor.
    Replace(usize, String),
    /// Several words begin with what was typed, and they share no further letter.
    Choices(Vec<String>),
}

/// Completes the word before the cursor, in any case: a command at the start of the line, otherwise a name. A name at the
/// start of the line gets `: ` after it.
pub fn complete<'a>(
    text: &str,
    cursor: usize,
    commands: &[&'a str],
    names: impl Iterator<Item = &'a str>,
) -> Completion {
    let before = &text[..cursor];
    let start = before.rfind(char::is_whitespace).map_or(0, |at| {
        at + before[at..].chars().next().map_or(1, char::len_utf8)
    });
    let word = before[start..].to_lowercase();
    let begins = |candidate: &&str| candidate.to_lowercase().starts_with(&word);
    if word.is_empty() {
        return Completion::None;
    }
    let (mut found, after): (Vec<&str>, &str) = match start {
        0 if word.starts_with('/') => (commands.iter().copied().filter(begins).collect(), " "),
        0 => (names.filter(begins).collect(), ": "),
        _ => (names.filter(begins).collect(), " "),
    };
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [] => Completion::None,
        [one] => Completion::Replace(start, format!("{one}{after}")),
        _ => {
            let shared = shared_prefix(&found);
            if shared.to_lowercase().chars().count() > word.chars().count() {
                return Completion::Replace(start, shared);
            }
            Completion::Choices(found.into_iter().map(String::from).collect())
        }
    }
}

/// The longest prefix of all words, compared in any case and written as in the first word.
fn shared_prefix(words: &[&str]) -> String {
    let lower = |c: char| c.to_lowercase().next();
    let mut shared: Vec<char> = words[0].chars().collect();
    for word in words {
        let pairs = shared.iter().zip(word.chars());
        let same = pairs.take_while(|(a, b)| lower(**a) == lower(*b));
        shared.truncate(same.count());
    }
    shared.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tab(text: &str) -> Completion {
        let commands = ["/join", "/me", "/msg", "/nick"];
        let names = ["kim", "Kimchi", "lee", "한국", "한글"];
        complete(text, text.len(), &commands, names.into_iter())
    }

    #[test]
    fn commands_complete_at_the_start_and_names_anywhere() {
        let replace = |at, text: &str| Completion::Replace(at, text.to_string());
        let choices = |words: [&str; 2]| Completion::Choices(words.map(String::from).to_vec());
        assert_eq!(tab("/n"), replace(0, "/nick "));
        assert_eq!(tab("/msg le"), replace(5, "lee "));
        for command in ["/ignore", "/unignore", "/whois"] {
            let at = command.len() + 1;
            assert_eq!(tab(&format!("{command} le")), replace(at, "lee "));
        }
        assert_eq!(tab("L"), replace(0, "lee: "));
        assert_eq!(tab("hi 한"), choices(["한국", "한글"]));
        assert_eq!(tab("k"), replace(0, "Kim"));
        assert_eq!(tab("x"), Completion::None);
        assert_eq!(tab("hi "), Completion::None);
        assert_eq!(tab("/m"), choices(["/me", "/msg"]));
    }
}
