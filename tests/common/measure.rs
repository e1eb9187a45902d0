//! `madang bench` as a process: its result as JSON, or its error.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `madang bench` with these flags.
pub(crate) fn bench(target: &str, flags: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    command
        .args(["bench", target])
        .args(flags.split_whitespace());
    command.output().expect("run madang")
}

/// The result of a run, and whether its exit status says that every line is accounted for.
#[track_caller]
pub(crate) fn measure(target: &str, flags: &str) -> (Value, bool) {
    let output = bench(target, &format!("{flags} --json"));
    let parsed = serde_json::from_slice(&output.stdout);
    let value = parsed.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(output.stderr.is_empty(), "{output:?}");
    (value, output.status.success())
}

/// The result of a run in which every line is accounted for.
#[track_caller]
pub(crate) fn sound(target: &str, flags: &str) -> Value {
    let (value, adds_up) = measure(target, flags);
    assert!(adds_up, "{value:#}");
    assert_eq!(value["account"]["adds_up"], true, "{value:#}");
    value
}

/// A whole number in the result, by its JSON pointer.
#[track_caller]
pub(crate) fn count(value: &Value, place: &str) -> u64 {
    let found = value.pointer(place).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("no count at {place} in {value:#}"))
}

/// A number in the result, by its JSON pointer.
#[track_caller]
pub(crate) fn figure(value: &Value, place: &str) -> f64 {
    let found = value.pointer(place).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no figure at {place} in {value:#}"))
}

/// Expects a run to fail: exit status 1, nothing on standard output, and one line with these words on standard error.
#[track_caller]
pub(crate) fn assert_refused(target: &str, flags: &str, words: &[&str]) {
    let output = bench(target, flags);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
}
