//! `madang join`, and `madang ctl top`, on a terminal: the real program on a pseudo-terminal (pty), with the model of a terminal at the other end.
//!
//! # The rig
//!
//! ```text
//! keys ────▶ ┌────────────┐          ┌─────────────┐          ┌─────────────┐ ◀──── lines of the test
//!            │   Model    │ ◀─ pty ─▶│ madang join │ ◀─ TCP ─▶│ FakeServer  │
//! Picture ◀──└────────────┘          └─────────────┘          └─────────────┘ ────▶ lines that it received
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `rig.rs` | `Setup` starts the program, `Rig` is all of the above. One thread runs it step by step; nothing sleeps |
//! | `model.rs` | models of terminals, by two libraries: `wrapping`, `truncating` and `unidentified` differ in a narrower window |
//! | `picture.rs` | `Picture`: what the model shows, read as a person reads it: lines above, the typed line below |
//! | `fake_server.rs` | `FakeServer`: greets as madang does and otherwise sends what the test wants |
//! | `audit.rs` | which control sequences the program wrote that it has no reason to write |
//!
//! Each other file has the tests of one subject. `screen.rs` needs no pty: it plays random events to the same models.
//!
//! # A test
//!
//! ```text
//! let mut rig = Rig::new(wrapping(60, 24));            // the program is greeted and its prompt is shown
//! rig.keys("half a line");                             // a person types
//! rig.send("kim: hello");                              // the server sends a line
//! rig.until_shown("kim: hello");                       // each `until_…` runs the rig until a fact is true, or fails
//! rig.until_typed("half a line", "");                  // the typed line before the cursor and after it
//! ```
//!
//! A failed test prints what its terminal showed last.
//!
//! # Running
//!
//! ```sh
//! cargo test --test terminal                           # all
//! cargo test --test terminal paste::                   # one file's tests
//! ```
//!
//! | variable | effect |
//! | --- | --- |
//! | `MADANG_TERMINAL_SEED=n` | a random test runs with this seed, which it printed when it failed |
//! | `MADANG_TERMINAL_SEEDS=n` | the tests of `screen.rs` run this many seeds instead of 300 |
//! | `MADANG_PORTRAIT=new` | `portrait.rs` redraws the picture in the README |

#[path = "../common/mod.rs"]
mod common;

mod audit;
mod fake_server;
mod model;
mod picture;
mod rig;

mod accounts;
mod console;
mod editing;
mod hostile;
mod leaving;
mod password;
mod paste;
mod plain;
mod portrait;
mod reconnect;
mod resizing;
mod screen;
mod tls;
mod top;
mod typing;

use fastrand::Rng;

/// A number from the environment.
fn number_from(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// A generator with a random seed, or with the seed from the environment. Prints the seed.
fn seeded() -> Rng {
    let seed = number_from("MADANG_TERMINAL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("MADANG_TERMINAL_SEED={seed}");
    Rng::with_seed(seed)
}
