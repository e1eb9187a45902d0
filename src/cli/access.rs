//! The flags of `madang serve` that say who may come.

use clap::Args;
use std::path::PathBuf;

/// Who may come.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessFlags {
    /// File with a password that clients must say before anything else, as /pass SECRET
    ///
    /// The password is the file's only line. SIGHUP reads it again. The control listener asks for none, and raw listeners
    /// cannot ask for one.
    #[arg(long, value_name = "FILE", env = "MADANG_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
}
