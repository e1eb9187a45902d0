//! Operators: people with the right to see all connections and to act on them. Nothing of it costs others anything while
//! no operator is at work.
//!
//! A command that concerns one client is done at once. One that looks at many, or waits for the driver, is a *job*: the
//! operator's input waits until its answer is out, a job does one piece at a time, and a list is written as the operator
//! takes it.
//!
//! ```text
//! commands ──begin──▶ jobs ──carry_on──▶ steps, listing ──▶ bans, mutes, clients, rooms
//!                      │ ▲
//!          next_request│ │answer
//!                      ▼ │
//!                     driver
//! ```

pub mod acts;
pub mod bans;
pub mod commands;
mod contract;
pub mod jobs;
mod listing;
pub mod mutes;
pub mod range;
pub mod state;
pub mod steps;
