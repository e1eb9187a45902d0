//! Reads which users this machine has. What their names mean is in `hub`.

use crate::hub::Users;
use std::fs;

/// The users of this machine: passwd(5).
const PASSWD: &str = "/etc/passwd";

/// The users of this machine, as far as there are not too many.
///
/// # Errors
/// The file cannot be read; the error says so.
pub fn read() -> Result<Users, String> {
    let bytes = fs::read(PASSWD).map_err(|error| format!("--trust-peer-uid: {PASSWD}: {error}"))?;
    let (users, left_out) = Users::parse(&String::from_utf8_lossy(&bytes));
    if left_out > 0 {
        tracing::warn!("{left_out} users of {PASSWD} are left out: they have no names here");
    }
    Ok(users)
}
