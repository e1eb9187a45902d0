//! The flags of `madang join`, and those for showing lines, which `madang serve --console` has too.

use super::tls_client::TlsFlags;
use crate::address::Target;
use crate::join::{Plan, Show};
use crate::password_file;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `madang join`
#[derive(Debug, Args)]
#[allow(rustdoc::broken_intra_doc_links, reason = "[IPV6] is no link")]
pub struct Join {
    /// The server: HOST, HOST:PORT, [IPV6]:PORT, tls:HOST:PORT or unix:PATH
    #[arg(
        value_name = "ADDR",
        env = "MADANG_ADDRESS",
        default_value = "127.0.0.1:8080"
    )]
    #[arg(value_parser = Target::parse)]
    pub address: Target,

    /// A port as a word of its own, as nc and telnet take it: always an error that says how to write it.
    #[arg(hide = true, value_name = "PORT", value_parser = port_apart)]
    port: Option<String>,

    /// Request this name
    #[arg(long, value_name = "NAME", env = "MADANG_NICK", value_parser = word)]
    pub nick: Option<String>,

    /// Join this room
    #[arg(long, value_name = "ROOM", env = "MADANG_ROOM", value_parser = word)]
    pub room: Option<String>,

    /// File with the password of a server that asks for one
    ///
    /// Without it, the variable MADANG_PASSWORD has the password; without both, a client on a terminal asks for it.
    #[arg(long, value_name = "FILE", env = "MADANG_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,

    /// Exit when the connection is lost, instead of reconnecting
    #[arg(long, env = "MADANG_NO_RECONNECT")]
    pub no_reconnect: bool,

    /// How lines are shown.
    #[command(flatten)]
    pub look: Look,

    /// Whom to trust.
    #[command(flatten)]
    pub tls: TlsFlags,
}

/// How lines are shown on a terminal.
#[derive(Clone, Copy, Debug, Args)]
pub struct Look {
    /// Use colours for names, notices and errors; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", env = "MADANG_COLOR", value_enum, default_value_t = Color::Auto, help_heading = "Terminal")]
    pub color: Color,

    /// Show the time before each line
    #[arg(long, env = "MADANG_TIMESTAMPS", help_heading = "Terminal")]
    pub timestamps: bool,

    /// Ring the terminal's bell when a line mentions your name or is private to you
    #[arg(long, env = "MADANG_BELL", help_heading = "Terminal")]
    pub bell: bool,
}

/// `--color`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "each variant is documented at `Look::color`")]
pub enum Color {
    Auto,
    Always,
    Never,
}

impl Join {
    /// What to join, and how.
    ///
    /// # Errors
    /// The password cannot be read.
    pub fn plan(&self) -> Result<Plan, String> {
        Ok(Plan {
            server: self.address.clone(),
            tls: self.tls.options(),
            nick: self.nick.clone(),
            room: self.room.clone(),
            password: password_file::of_client(self.password_file.as_deref())?,
            reconnect: !self.no_reconnect,
            show: self.look.show(),
        })
    }
}

impl Look {
    /// How to show lines.
    pub fn show(&self) -> Show {
        Show {
            color: match self.color {
                Color::Auto => None,
                Color::Always => Some(true),
                Color::Never => Some(false),
            },
            timestamps: self.timestamps,
            bell: self.bell,
        }
    }
}

fn port_apart(port: &str) -> Result<String, String> {
    Err(format!("write the address as one word, HOST:{port}"))
}

/// Parses an argument of `/nick` or `/join`, which is one word.
fn word(text: &str) -> Result<String, String> {
    match text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        _ if text.is_empty() => Err("must not be empty".into()),
        Some(c) if c.is_whitespace() => Err("must be one word".into()),
        Some(c) => Err(format!("must not contain U+{:04X}", u32::from(c))),
        None => Ok(text.into()),
    }
}
