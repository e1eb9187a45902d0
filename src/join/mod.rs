//! The terminal client: what is typed stays whole while lines come in above it.
//!
//! # Where to read
//! What needs no terminal to be understood comes first, each a state machine without input and output: `keys` makes keys
//! of a keyboard's bytes, `edit` is the line that is typed, `history` those typed before, `complete` what Tab does;
//! `cells` says how wide text is, and `screen` what to write so that the typed line stays below all others.

pub mod cells;
pub mod complete;
pub mod edit;
pub mod history;
pub mod keys;
pub mod screen;
