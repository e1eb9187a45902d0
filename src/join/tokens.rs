//! The files in which the client keeps the tokens of names that are the user's own, readable by the user only: a folder for
//! each server, in it a file for each name, so that several clients change different files or replace the same one as a
//! whole. Shows nothing.

use super::own_names::Tokens;
use super::state_folder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Names of one server that are read.
const NAMES_MAX: usize = 256;
/// Bytes of a file, which has a name and a token.
const FILE_BYTES_MAX: u64 = 1024;
/// Longest name of a file in bytes: see limits.h(0p).
const FILE_NAME_BYTES_MAX: usize = 255;

/// The files of one server.
#[derive(Debug)]
pub struct TokenFolder {
    /// `None`: no variable says where it is.
    path: Option<PathBuf>,
}

impl TokenFolder {
    /// Those of the server at this address, as the user has written it; and what is in them. What cannot be read is as if
    /// it were not there.
    pub fn of_server(address: &str) -> (TokenFolder, Tokens) {
        let state = state_folder::path();
        TokenFolder::at(state.map(|state| state.join("tokens").join(file_name(address))))
    }

    fn at(path: Option<PathBuf>) -> (TokenFolder, Tokens) {
        let tokens = path.as_deref().map_or_else(Tokens::default, read_all);
        (TokenFolder { path }, tokens)
    }

    /// Keeps the token of a name, or no token of it any more. Returns where a token is kept.
    ///
    /// # Errors
    /// It is not kept; why.
    pub fn keep(&self, name: &str, token: Option<&str>) -> Result<PathBuf, String> {
        let folder = self.path.as_ref().ok_or(state_folder::NO_PATH)?;
        let file = file_name(name);
        if file.len() > FILE_NAME_BYTES_MAX {
            return Err("the name is too long for a file".into());
        }
        let path = folder.join(file);
        let done = match token {
            Some(token) => replace(folder, &path, &format!("{name} {token}\n")),
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        done.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

fn read_all(folder: &Path) -> Tokens {
    let mut tokens = Tokens::default();
    let mut last_used: Option<SystemTime> = None;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.take(NAMES_MAX) {
        let Some((name, token, used)) = read(&entry.path()) else {
            continue;
        };
        if used >= last_used {
            tokens.set_last(&name);
            last_used = used;
        }
        tokens.set(&name, Some(&token));
    }
    tokens
}

/// The name and the token in a file, and when it was written.
fn read(path: &Path) -> Option<(String, String, Option<SystemTime>)> {
    // A file that is being written has another name.
    let is_whole = !path.file_name()?.to_str()?.starts_with('.');
    let file = File::open(path).ok().filter(|_| is_whole)?;
    let metadata = file.metadata().ok().filter(|it| it.is_file())?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    let (name, token) = text.trim_end().split_once(' ')?;
    let used = metadata.modified().ok();
    (path.ends_with(file_name(name))).then(|| (name.into(), token.into(), used))
}

/// Puts a file in the place of another as a whole.
fn replace(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    state_folder::create(folder)?;
    let new = folder.join(format!(".new-{}", std::process::id()));
    // One that a client of this number has left behind.
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    let written = options.write(true).create_new(true).mode(0o600).open(&new);
    let written = written.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&new, path));
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

/// A text as the name of a file: letters and digits of all scripts stay, and `-`, `_`, `:`, and `.` but for a first one.
fn file_name(text: &str) -> String {
    let mut name = String::new();
    for (at, c) in text.char_indices() {
        if c.is_alphanumeric() || "-_:".contains(c) || (c == '.' && at > 0) {
            name.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn scratch(name: &str) -> PathBuf {
        let folder = format!("madang-tokens-{name}-{}", std::process::id());
        std::env::temp_dir().join(folder)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn tokens_are_read_as_they_were_kept_and_are_for_their_owner_only() {
        let root = scratch("kept");
        let folder = root.join("deep/tokens/host");
        let (files, tokens) = TokenFolder::at(Some(folder.clone()));
        assert_eq!(tokens, Tokens::default());
        let path = files.keep("김", Some("abc")).unwrap();
        files.keep("kim", Some("old")).unwrap();
        files.keep("kim", Some("new")).unwrap();
        assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
        assert_eq!(mode(&root.join("deep/tokens")), 0o700);
        let (_, tokens) = TokenFolder::at(Some(folder.clone()));
        assert_eq!(
            (tokens.get("kim"), tokens.get("김")),
            (Some("new"), Some("abc"))
        );
        assert_eq!(tokens.get("lee"), None);
        assert!(!format!("{tokens:?}").contains("abc"));
        files.keep("kim", None).unwrap();
        files.keep("kim", None).unwrap();
        let (_, tokens) = TokenFolder::at(Some(folder.clone()));
        assert_eq!((tokens.get("kim"), tokens.last()), (None, Some("김")));
        let left = fs::read_dir(&folder).unwrap().count();
        assert_eq!(left, 1, "nothing else is left behind");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn clients_that_keep_tokens_at_the_same_time_lose_none() {
        let folder = scratch("several");
        let keep = |name: String| {
            let (files, _) = TokenFolder::at(Some(folder.clone()));
            for _ in 0..20 {
                files.keep(&name, Some("token")).unwrap();
                let (_, tokens) = TokenFolder::at(Some(folder.clone()));
                assert_eq!(tokens.get(&name), Some("token"));
            }
        };
        for name in ["a", "b", "c"] {
            keep(name.into());
        }
        let (_, tokens) = TokenFolder::at(Some(folder.clone()));
        assert!(
            ["a", "b", "c"]
                .iter()
                .all(|name| tokens.get(name).is_some())
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_name_and_no_address_leads_out_of_the_folder() {
        for (text, name) in [
            ("kim.lee-1_", "kim.lee-1_"),
            ("..", "%2e."),
            (".new-1", "%2enew-1"),
            ("a/../b", "a%2f..%2fb"),
            ("[::1]:8080", "%5b::1%5d:8080"),
            ("unix:/tmp/x", "unix:%2ftmp%2fx"),
            ("최", "최"),
            ("a\u{301}", "a%cc%81"),
        ] {
            assert_eq!(file_name(text), name);
        }
        let (files, _) = TokenFolder::at(Some("/nowhere".into()));
        assert!(files.keep(&"/".repeat(100), Some("x")).is_err());
        let (files, _) = TokenFolder::at(None);
        let told = files.keep("kim", Some("x")).unwrap_err();
        assert_eq!(told, state_folder::NO_PATH);
    }

    #[test]
    fn files_that_are_something_else_are_left_out() {
        let folder = scratch("odd");
        fs::create_dir_all(folder.join("folder")).unwrap();
        fs::write(folder.join("kim"), "lee token\n").unwrap();
        fs::write(folder.join("lee"), "lee").unwrap();
        fs::write(folder.join("bob"), [0xff, 0x20]).unwrap();
        let (_, tokens) = TokenFolder::at(Some(folder.clone()));
        assert_eq!(tokens, Tokens::default());
        fs::remove_dir_all(folder).unwrap();
    }
}
