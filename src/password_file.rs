//! A password in a file or a variable, for the server that asks for it and for clients that say it: so it is on no command
//! line. Knows no server and no client.

use crate::hub::limits::PASSWORD_BYTES_MAX;
use rustix::fs::OFlags;
use rustix::process::geteuid;
use std::env;
use std::fmt;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The variable that has a client's password.
pub const VARIABLE: &str = "MADANG_PASSWORD";

/// A password. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// A password that somebody has typed.
    pub fn typed(text: &str) -> Password {
        Password(text.into())
    }

    /// The password itself.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The line that says it to a server.
    pub fn line(&self) -> String {
        format!("/pass {}", self.0)
    }

    /// The content of a file, or of the variable.
    ///
    /// # Errors
    /// Nobody could say it; why.
    fn parse(bytes: &[u8]) -> Result<Password, String> {
        let text = str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err("it is empty: it must have the password, on one line".into());
        }
        if text.len() > PASSWORD_BYTES_MAX {
            let bytes = PASSWORD_BYTES_MAX;
            return Err(format!("the password is longer than {bytes} bytes"));
        }
        if text.contains(['\n', '\r']) {
            return Err("it has more than one line: it must have the password alone".into());
        }
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return Err(format!("the password has U+{:04X} in it", u32::from(c)));
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err("the password begins or ends with a space, which nobody would see".into());
        }
        Ok(Password(text.into()))
    }
}

/// Reads the file that this flag of a server names: at once, since a server that serves must not wait. Returns what is to be
/// said of the file, too.
///
/// # Errors
/// The file cannot be read, or has no password. The error names the file, and has nothing of its content.
pub fn of_server(flag: &str, path: &Path) -> Result<(Password, Option<String>), String> {
    let failed = |why: String| format!("{flag} {}: {why}", path.display());
    // A pipe without a writer is opened at once, too.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| failed(explain(&error)))?;
    let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
    if !metadata.is_file() {
        return Err(failed("it is no file".into()));
    }
    let password = read(file).map_err(failed)?;
    let warning = is_open(&metadata).then(|| {
        let path = path.display();
        format!("others on this machine can read the password: chmod 600 {path}")
    });
    Ok((password, warning))
}

/// The password of a client: of this file, or of [`VARIABLE`]. None, if there is neither.
///
/// # Errors
/// The file cannot be read, or there is nothing in it that could be said.
pub fn of_client(path: Option<&Path>) -> Result<Option<Password>, String> {
    if let Some(path) = path {
        let failed = |why: String| format!("--password-file {}: {why}", path.display());
        let file = OpenOptions::new().read(true).open(path);
        let file = file.map_err(|error| failed(error.to_string()))?;
        return read(file).map(Some).map_err(failed);
    }
    of_variable(VARIABLE)
}

/// The password in a variable; `None`, if it is empty or not there.
///
/// # Errors
/// There is nothing in it that could be said.
pub fn of_variable(name: &str) -> Result<Option<Password>, String> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    let parse = |value: std::ffi::OsString| Password::parse(value.as_encoded_bytes());
    let password = value.map(parse).transpose();
    password.map_err(|why| format!("{name}: {why}"))
}

fn read(file: impl Read) -> Result<Password, String> {
    let mut bytes = Vec::new();
    // A line end and a byte order mark more.
    let read = file
        .take(PASSWORD_BYTES_MAX as u64 + 8)
        .read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    Password::parse(&bytes)
}

/// Whether others than the user of this process, or than a group that it has the file from, can read a file.
fn is_open(metadata: &Metadata) -> bool {
    let is_own = metadata.uid() == geteuid().as_raw();
    metadata.mode() & 0o004 != 0 || is_own && metadata.mode() & 0o040 != 0
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        // The sandbox of a running server lets it read only the folder of the file that it was started with.
        io::ErrorKind::PermissionDenied => {
            format!("{error}; a running server reads it in the folder that it was started with")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_password_is_one_line_that_can_be_said() {
        for (bytes, text) in [
            ("open sesame", "open sesame"),
            ("x\n", "x"),
            ("x\r\n", "x"),
            ("\u{feff}비밀\n", "비밀"),
        ] {
            let password = Password::parse(bytes.as_bytes());
            assert_eq!(password, Ok(Password(text.into())));
        }
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        for (bytes, why) in [
            (&b""[..], "empty"),
            (b"\n", "empty"),
            (b"\r\n", "empty"),
            (b"one\ntwo\n", "more than one line"),
            (b"x\n\n", "more than one line"),
            (b" x", "space"),
            (b"x \n", "space"),
            (b"a\tb", "U+0009"),
            (b"\xff", "UTF-8"),
            (long.as_bytes(), "longer than 512"),
        ] {
            let error = Password::parse(bytes).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let password = Password::typed("sesame");
        assert_eq!(format!("{password:?}"), "Password");
        assert_eq!(password.line(), "/pass sesame");
    }

    #[test]
    fn a_file_that_others_can_read_is_warned_of() {
        let path = env::temp_dir().join(format!("madang-password-{}", std::process::id()));
        fs::write(&path, "sesame\n").unwrap();
        for (mode, is_warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let (password, warning) = of_server("--password-file", &path).unwrap();
            assert_eq!(password.text(), "sesame");
            assert_eq!(warning.is_some(), is_warned, "{mode:o}");
        }
        fs::remove_file(&path).unwrap();
        for path in [&*path, "/".as_ref(), "/dev/null".as_ref()] {
            let error = of_server("--password-file", path).unwrap_err();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
