//! The bodies of the fuzz targets: each takes arbitrary bytes and compares the code with a second opinion. Only tests and
//! cargo-fuzz compile them.
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
mod talk;
mod telnet;
mod text;

pub use command::command;
pub use frame::frame;
pub use hub::hub;
pub use name::name;
pub use talk::talk;
pub use telnet::telnet;
pub use text::text;

/// What is done with one input.
pub type Body = fn(&[u8]);

/// Every target by its name, which is also that of its directory of seeds.
pub const TARGETS: [(&str, Body); 7] = [
    ("frame", frame),
    ("telnet", telnet),
    ("text", text),
    ("name", name),
    ("command", command),
    ("hub", hub),
    ("talk", talk),
];
