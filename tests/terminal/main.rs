//! `madang join` on a terminal: a real pseudo-terminal with a model of a terminal at its other end.
//!
//! `model` is that terminal, `picture` how its cells are read, `rig` the pty with the program on it, `host` the server at
//! the far end of its connection, `audit` what a program may write at all; the other modules are the tests, each about
//! one promise. `screen` needs no pty: it plays what the program would write to the same models.
//!
//! `MADANG_TERMINAL_SEED=n` throws the dice of a failed test again.

#[path = "../common/mod.rs"]
mod common;

mod audit;
mod host;
mod model;
mod picture;
mod rig;

mod console;
mod editing;
mod hostile;
mod leaving;
mod paste;
mod plain;
mod portrait;
mod reconnect;
mod screen;
mod typing;
mod windows;

use fastrand::Rng;

/// A number from the environment.
fn number_from(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Chance from a seed of its own, or of the person's choice; it is shown if the test fails.
fn seeded() -> Rng {
    let seed = number_from("MADANG_TERMINAL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("MADANG_TERMINAL_SEED={seed}");
    Rng::with_seed(seed)
}
