//! The body of the fuzz target `config`: a configuration file of arbitrary bytes is understood, or each mistake is told in one
//! line with its place; what is understood can be written and read back.

use crate::cli::{in_force, settings_of};

/// Input: the bytes of a file.
pub fn config(data: &[u8]) {
    let settings = match settings_of(data) {
        Ok(settings) => settings,
        Err(lines) => {
            assert!(!lines.is_empty());
            for line in lines {
                assert!(!line.contains('\n') && has_place(&line), "{line}");
            }
            return;
        }
    };
    let printed = in_force(&settings);
    let again = settings_of(printed.as_bytes());
    let again = again.unwrap_or_else(|lines| panic!("{lines:#?}\n{printed}"));
    for (one, other) in settings.iter().zip(&again) {
        assert_eq!((&one.name, one.value()), (&other.name, other.value()));
    }
}

/// Whether a line begins with a line's and a column's number.
fn has_place(told: &str) -> bool {
    let mut parts = told.splitn(4, ':');
    let file = parts.next() == Some("f");
    let mut number = || {
        parts
            .next()
            .is_some_and(|part| part.parse::<usize>().is_ok())
    };
    file && (number() && number() || told.starts_with("f: and "))
}
