//! Where operators connect: the value of `--control`, and where the server listens and `madang ctl` looks without it.

use crate::address::Address;
use std::env;
use std::path::PathBuf;

/// The control socket of a server that systemd runs, as its unit in `packaging/` has it.
pub const SYSTEM_PATH: &str = "/run/madang/control.sock";

/// In the directory that systemd makes for a service (systemd.exec(5), RuntimeDirectory), or in that of the user's session
/// (XDG Base Directory Specification). `None`: there is no such directory.
pub fn default_path() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(directories) = variable("RUNTIME_DIRECTORY") {
        return Some(env::split_paths(&directories).next()?.join("control.sock"));
    }
    let session = PathBuf::from(variable("XDG_RUNTIME_DIR")?);
    session
        .is_dir()
        .then(|| session.join("madang/control.sock"))
}

/// `--control`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Nowhere.
    None,
    /// On this path.
    Path(PathBuf),
}

/// Reads the value of `--control`.
///
/// # Errors
/// It is neither a path nor `none`.
pub fn control(text: &str) -> Result<Control, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") {
        return Ok(Control::None);
    }
    match Address::to_listen_on(text) {
        Ok(Address::Unix(path)) => Ok(Control::Path(path)),
        // Every client there is an operator.
        Ok(Address::Tcp { .. }) | Err(_) => {
            Err("operators connect by a Unix socket only: write unix:PATH, or none".into())
        }
    }
}
