//! Writes the manual pages and the completions for shells that packages install. Both are made from the command line
//! itself, so that they have every flag.

use crate::cli::{Cli, Generate};
use clap::Command;
use clap_complete::aot::{Shell, generate_to};
use std::fs;
use std::io;
use std::path::Path;

/// Shells for which Debian installs completions.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes what is asked for, into directories that are created if they do not exist.
///
/// # Errors
/// A file or directory cannot be written. The error names the directory.
pub fn run(flags: &Generate) -> Result<(), String> {
    if let Some(folder) = &flags.man {
        write(folder, |folder| {
            clap_mangen::generate_to(Cli::whole(), folder)
        })?;
    }
    if let Some(folder) = &flags.completions {
        write(folder, |folder| {
            for shell in SHELLS {
                generate_to(shell, &mut visible(), "madang", folder)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The command line without its hidden subcommands, which would be completed too.
fn visible() -> Command {
    let whole = Cli::whole();
    let subcommands = whole.get_subcommands().filter(|one| !one.is_hide_set());
    Command::new("madang")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(subcommands.cloned())
}

fn write(folder: &Path, files: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), String> {
    let written = fs::create_dir_all(folder).and_then(|()| files(folder));
    written.map_err(|error| format!("cannot write to {}: {error}", folder.display()))
}
