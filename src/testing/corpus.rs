//! Corpus tests: run each committed input of `fuzz/seeds` through the body of its fuzz target, on any toolchain.

use super::fuzz::TARGETS;
use std::fs;
use std::path::Path;

/// Fuzzing starts from these inputs. They include inputs that once failed.
#[test]
fn every_committed_input_passes_its_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, body) in TARGETS {
        let directory = corpus.join(name);
        let entries = fs::read_dir(&directory);
        let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let mut inputs: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no inputs");
        for input in inputs {
            // Printed only if the body fails.
            println!("{}", input.display());
            body(&fs::read(&input).expect("a readable input"));
        }
    }
}

#[test]
fn every_target_is_built() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("fuzz/Cargo.toml");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let target = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs")));
        let call = format!("madang::testing::fuzz::{name}(data)");
        assert!(target.expect("a target").contains(&call), "{name}");
    }
}
