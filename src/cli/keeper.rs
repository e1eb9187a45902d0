//! The flags of `madang keeper`, the process that `madang serve --state` starts; and, for people, `--repair`.

use clap::Args;
use std::path::PathBuf;

/// `madang keeper`
#[derive(Debug, Args)]
pub struct Keeper {
    /// State folder
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// Keep what is whole in a damaged state, and move the damaged file aside; the server must not be running
    #[arg(long)]
    pub repair: bool,

    /// Number of the last change that the server has been told of; later ones are undone
    #[arg(long, value_name = "NUMBER", hide = true, conflicts_with = "repair")]
    pub acknowledged: Option<u64>,
}
