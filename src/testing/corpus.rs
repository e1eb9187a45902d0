//! Every committed seed of the fuzz targets goes through its target's body, on any toolchain. Not where the bodies are,
//! which read no files.

use crate::testing::fuzz::Body;
use crate::{join, testing};
use std::fs;
use std::path::Path;

/// The module, the name and the body of every target.
fn targets() -> impl Iterator<Item = (&'static str, &'static str, Body)> {
    let hub = testing::fuzz::TARGETS.map(|(name, body)| ("testing", name, body));
    let join = join::fuzz::TARGETS.map(|(name, body)| ("join", name, body));
    hub.into_iter().chain(join)
}

/// Seeds are the first inputs of a campaign, and inputs that once found a fault are kept among them.
#[test]
fn every_seed_passes_its_target() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (_, name, body) in targets() {
        let directory = seeds.join(name);
        let mut inputs: Vec<_> = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no seeds");
        for input in inputs {
            // Shown only when the body fails.
            println!("{}", input.display());
            body(&fs::read(&input).expect("a seed that can be read"));
        }
    }
}

#[test]
fn every_target_is_built() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("fuzz/Cargo.toml");
    for (module, name, _) in targets() {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let target = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs")));
        let call = format!("madang::{module}::fuzz::{name}(data)");
        assert!(target.expect("a target").contains(&call), "{name}");
    }
}
