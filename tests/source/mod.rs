//! Just enough of Rust's grammar to check rules about source files: text without comments, literals and
//! tests; the paths that it names, resolved; the length of its functions. The rules are in `rules.rs`.

mod lexer;
pub(crate) mod rules;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lexer::{Token, end_of_item, is_name, tokens, without_comments_and_literals};

/// One file of the program.
pub(crate) struct Source {
    /// As in the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// `text` with blanks for comments and literals, line by line the same.
    bare: String,
    /// `bare` with blanks for what is compiled for tests only.
    code: String,
    /// How many lines are for tests only.
    lines_of_tests: usize,
    /// Modules of other files that this one declares for tests only.
    test_modules: Vec<String>,
}

/// A path that the code names, such as `std::net::IpAddr`.
pub(crate) struct Named {
    pub(crate) line: usize,
    /// From `crate`, `std` or another crate on, as far as `use` and the file's place tell.
    pub(crate) segments: Vec<String>,
    pub(crate) is_macro: bool,
}

/// A function and the lines from its `fn` to its last brace.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let bare = without_comments_and_literals(text);
        let (code, lines_of_tests, test_modules) = without_tests(&bare);
        let (path, text) = (path.to_owned(), text.to_owned());
        Self {
            path,
            text,
            bare,
            code,
            lines_of_tests,
            test_modules,
        }
    }

    /// Every Rust file below `directory`, a directory of the package. Files of tests only are left out.
    pub(crate) fn all(directory: &str) -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        let mut places: Vec<PathBuf> = vec![root.join(directory)];
        while let Some(place) = places.pop() {
            if place.is_dir() {
                let entries = fs::read_dir(&place).expect("a directory that can be read");
                places.extend(entries.map(|entry| entry.expect("an entry").path()));
            } else if place.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&place).expect("UTF-8");
                let path = place.strip_prefix(root).expect("below the root");
                found.push(Self::new(&path.to_string_lossy().replace('\\', "/"), &text));
            }
        }
        let of_tests: Vec<String> = found.iter().flat_map(Self::files_of_tests).collect();
        found.retain(|source| !of_tests.iter().any(|file| source.path.starts_with(file)));
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    /// How the paths of the files begin that this one declares for tests only.
    fn files_of_tests(&self) -> Vec<String> {
        let module = self.module();
        let place = format!(
            "src/{}",
            module[1..]
                .iter()
                .map(|name| format!("{name}/"))
                .collect::<String>()
        );
        let beginnings = |name: &String| [format!("{place}{name}.rs"), format!("{place}{name}/")];
        self.test_modules.iter().flat_map(beginnings).collect()
    }

    /// The module that this file is, from `crate` on.
    pub(crate) fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let names = inner
            .split('/')
            .filter(|&name| !matches!(name, "mod" | "lib" | "main"));
        std::iter::once("crate")
            .chain(names)
            .map(str::to_owned)
            .collect()
    }

    /// How many lines it has besides those for tests.
    pub(crate) fn lines_without_tests(&self) -> usize {
        self.text.lines().count() - self.lines_of_tests
    }

    /// Every path that the code names outside tests, with what `use` has brought in spelt out.
    pub(crate) fn names(&self) -> Vec<Named> {
        let tokens = tokens(&self.code);
        let found = paths(&tokens);
        let brought_in: BTreeMap<&str, &[String]> = found
            .iter()
            .filter(|path| path.in_use && path.segments.len() > 1)
            .filter_map(|path| {
                Some((
                    path.known_as()?,
                    path.segments
                        .strip_suffix(&["self".to_owned()])
                        .unwrap_or(&path.segments),
                ))
            })
            .collect();
        let spell_out = |path: &Found| {
            let first = path.segments[0].as_str();
            let mut full = match brought_in.get(first) {
                Some(prefix) if !path.in_use => [prefix, &path.segments[1..]].concat(),
                _ => path.segments.clone(),
            };
            if full.len() > 1 && full.last().is_some_and(|last| last == "self") {
                full.pop();
            }
            Named {
                line: path.line,
                segments: self.rooted(full),
                is_macro: path.is_macro,
            }
        };
        found.iter().map(spell_out).collect()
    }

    fn rooted(&self, segments: Vec<String>) -> Vec<String> {
        let mut module = self.module();
        let supers = segments
            .iter()
            .skip_while(|name| *name == "self")
            .take_while(|name| *name == "super")
            .count();
        let selfs = segments.iter().take_while(|name| *name == "self").count();
        if supers + selfs == 0 || segments.len() == supers + selfs {
            return segments;
        }
        module.truncate(module.len().saturating_sub(supers).max(1));
        module.extend_from_slice(&segments[supers + selfs..]);
        module
    }

    /// Every function with a body, those of tests too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let tokens = tokens(&self.bare);
        let mut found = Vec::new();
        for (at, pair) in tokens.windows(2).enumerate() {
            if pair[0].text != "fn" || !is_name(&pair[1].text) {
                continue;
            }
            if let Some(end) = end_of_item(&tokens, at).filter(|&end| tokens[end].text == "}") {
                let (line, last) = (pair[0].line, tokens[end].line);
                found.push(Function {
                    name: pair[1].text.clone(),
                    line,
                    lines: last - line + 1,
                });
            }
        }
        found
    }
}

struct Found {
    line: usize,
    segments: Vec<String>,
    alias: Option<String>,
    in_use: bool,
    is_macro: bool,
}

impl Found {
    /// The name by which the rest of the file may call it.
    fn known_as(&self) -> Option<&str> {
        let own = self
            .segments
            .iter()
            .rev()
            .find(|name| *name != "self")
            .map(String::as_str);
        self.alias
            .as_deref()
            .or(own)
            .filter(|&name| name != "*" && name != "_")
    }
}

/// Every path in the tokens; the lists of `use` are taken apart.
fn paths(tokens: &[Token]) -> Vec<Found> {
    let mut found = Vec::new();
    let (mut at, mut in_use) = (0, false);
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        let is_field = at > 0 && tokens[at - 1].text == ".";
        if text == "use" {
            in_use = true;
        } else if text == ";" {
            in_use = false;
        } else if is_name(text) && !is_field {
            at = path(tokens, at, &[], in_use, &mut found);
            continue;
        }
        at += 1;
    }
    found
}

/// Takes one path, or one list of them, behind `prefix`; where the next token is.
fn path(
    tokens: &[Token],
    start: usize,
    prefix: &[String],
    in_use: bool,
    found: &mut Vec<Found>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    let mut at = start;
    loop {
        if text(at) == "{" {
            at += 1;
            while !matches!(text(at), "}" | "") {
                at = if text(at) == "," {
                    at + 1
                } else {
                    path(tokens, at, &segments, in_use, found)
                };
            }
            return at + 1;
        }
        segments.push(text(at).to_owned());
        at += 1;
        let goes_on = is_name(text(at + 1)) || (in_use && matches!(text(at + 1), "{" | "*"));
        if text(at) != "::" || !goes_on {
            break;
        }
        at += 1;
    }
    let alias = (in_use && text(at) == "as").then(|| text(at + 1).to_owned());
    let is_macro = text(at) == "!" && text(at + 1) != "=";
    at += if alias.is_some() { 2 } else { 0 };
    found.push(Found {
        line: tokens[start].line,
        segments,
        alias,
        in_use,
        is_macro,
    });
    at
}

/// Blanks for each item under `#[cfg(test)]`, how many lines these have, and the modules declared so.
fn without_tests(bare: &str) -> (String, usize, Vec<String>) {
    let tokens = tokens(bare);
    let mut characters: Vec<char> = bare.chars().collect();
    let (mut lines, mut modules) = (0, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let Some(after) = test_attribute(&tokens[at..]).map(|length| at + length) else {
            at += 1;
            continue;
        };
        let end = end_of_item(&tokens, after).unwrap_or(tokens.len() - 1);
        let declared = tokens[after..=end]
            .windows(3)
            .find(|window| window[0].text == "mod" && window[2].text == ";");
        modules.extend(declared.map(|window| window[1].text.clone()));
        let last = tokens[end].at + tokens[end].text.chars().count();
        characters[tokens[at].at..last]
            .iter_mut()
            .filter(|c| **c != '\n')
            .for_each(|c| *c = ' ');
        lines += tokens[end].line - tokens[at].line + 1;
        at = end + 1;
    }
    (characters.into_iter().collect(), lines, modules)
}

/// The number of tokens of the `#[cfg(… test …)]` that begins here.
fn test_attribute(tokens: &[Token]) -> Option<usize> {
    let text: Vec<&str> = tokens
        .iter()
        .take(40)
        .map(|token| token.text.as_str())
        .collect();
    if !text.starts_with(&["#", "[", "cfg", "("]) {
        return None;
    }
    let end = text.iter().position(|&text| text == "]")?;
    let inside = &text[4..end];
    let negated = inside
        .windows(3)
        .any(|window| window == ["not", "(", "test"]);
    (inside.contains(&"test") && !negated).then_some(end + 1)
}
