//! The flags of `madang generate`.

use clap::Args;
use std::path::PathBuf;

/// `madang generate`
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Generate {
    /// Write a manual page for each subcommand into this directory
    #[arg(long, value_name = "DIR")]
    pub man: Option<PathBuf>,

    /// Write completions for bash, zsh and fish into this directory
    #[arg(long, value_name = "DIR")]
    pub completions: Option<PathBuf>,
}
