//! Where operators connect when nobody says where: the server listens there, and `madang ctl` looks there.

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
