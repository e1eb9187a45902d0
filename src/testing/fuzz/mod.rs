//! The bodies of the fuzz targets. Each takes arbitrary bytes and compares the code with a naive reference, or checks
//! that all input comes out or is counted, however it is cut into pieces. None checks merely that nothing panics.

mod bytes;
mod command;
mod config;
mod driver;
mod entry;
mod frame;
mod hub;
mod keeper;
mod login;
mod model;
mod name;
mod proxy;
mod resp;
mod shown;
mod talk;
mod telnet;
mod text;

pub use command::command;
pub use config::config;
pub use entry::entry;
pub use frame::frame;
pub use hub::hub;
pub use keeper::keeper;
pub use login::login;
pub use name::name;
pub use proxy::proxy;
pub use resp::resp;
pub use talk::talk;
pub use telnet::telnet;
pub use text::text;

/// The body of a target: handles one input.
pub type Body = fn(&[u8]);

/// Every target with its name, which is also the name of its directory in `fuzz/seeds`.
pub const TARGETS: [(&str, Body); 12] = [
    ("config", config),
    ("frame", frame),
    ("telnet", telnet),
    ("text", text),
    ("name", name),
    ("command", command),
    ("hub", hub),
    ("talk", talk),
    ("keeper", keeper),
    ("login", login),
    ("proxy", proxy),
    ("entry", entry),
];
