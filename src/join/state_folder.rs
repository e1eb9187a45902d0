//! The folder in which the client keeps things from run to run: `madang` in the XDG state directory (XDG Base Directory
//! Specification 0.8). Knows none of them.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder's path; `None`: no variable says where it is.
pub fn path() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    // The specification says that a relative path must be ignored.
    let state = state.filter(|path| path.is_absolute()).or_else(|| {
        let home = env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(PathBuf::from(home).join(".local/state"))
    })?;
    Some(state.join("madang"))
}

/// Why there is no path.
pub const NO_PATH: &str = "neither XDG_STATE_HOME nor HOME is set";

/// Creates a folder for its owner only, with those above it, unless it is there.
///
/// # Errors
/// See mkdir(2).
pub fn create(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
}
