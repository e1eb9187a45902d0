//! The bodies of the fuzz targets: each takes arbitrary bytes and compares the code with a second opinion. They live
//! here because they look at what the hub keeps to itself; only tests and cargo-fuzz compile them.
//!
//! None asserts merely that nothing panics: what goes in must come out or be counted, however it is cut into pieces.

mod bytes;
mod command;
mod frame;
mod hub;
mod model;
mod name;
mod play;
mod shown;
mod telnet;
mod text;

pub use command::command;
pub use frame::frame;
pub use hub::hub;
pub use name::name;
pub use telnet::telnet;
pub use text::text;

/// What is done with one input.
pub type Body = fn(&[u8]);

/// Every target by its name, which is also that of its directory of seeds.
pub const TARGETS: [(&str, Body); 6] = [
    ("frame", frame),
    ("telnet", telnet),
    ("text", text),
    ("name", name),
    ("command", command),
    ("hub", hub),
];

#[cfg(test)]
mod tests {
    use super::TARGETS;
    use std::fs;
    use std::path::Path;

    /// Seeds are the first inputs of a campaign, and inputs that once found a fault are kept among them.
    #[test]
    fn every_seed_passes_its_target() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        for (name, body) in TARGETS {
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
        for (name, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            let target = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs")));
            let call = format!("madang::hub::fuzz::{name}(data)");
            assert!(target.expect("a target").contains(&call), "{name}");
        }
    }
}
