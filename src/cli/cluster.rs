//! The flags of `madang serve` that make it a node of a cluster, and how the engine's address is shown: without its password.
//! What the address means is not decided here.

use super::value::number;
use crate::hub::link::contract::Lane;
use clap::Args;
use std::fmt;
use std::path::PathBuf;

/// Lanes of a cluster whose flags say nothing of it.
pub const LANES: u8 = 16;
/// Longest `--cluster-name`, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Several servers with the same rooms.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterFlags {
    /// Share all rooms with other servers, by way of Redis or Valkey: redis://HOST:PORT/PREFIX, rediss://…, unix:PATH?prefix=…
    ///
    /// All servers with the same PREFIX are one cluster. Several HOST:PORT, separated by commas, are tried in turn. rediss is redis
    /// under TLS. See docs/cluster.md.
    #[arg(
        long,
        value_name = "URL",
        env = "MADANG_CLUSTER",
        hide_env_values = true
    )]
    pub cluster: Option<EngineUrl>,

    /// This server's name in the cluster [default: the machine's name and the first listener's port]
    ///
    /// Each server has another. It is kept in the engine for ever: use few names, and the same after a restart.
    #[arg(long, value_name = "NAME", env = "MADANG_CLUSTER_NAME", value_parser = node_name)]
    pub cluster_name: Option<String>,

    /// Streams over which the rooms are spread; the same for all servers of a cluster, for ever [default: 16]
    #[arg(long, value_name = "LANES", env = "MADANG_CLUSTER_LANES", value_parser = number::<u8>(1..=Lane::ROOMS_MAX as u64))]
    pub cluster_lanes: Option<u8>,

    /// File with the engine's password, as its only line; without it, the variable MADANG_CLUSTER_PASSWORD has the password
    #[arg(long, value_name = "FILE", env = "MADANG_CLUSTER_PASSWORD_FILE")]
    pub cluster_password_file: Option<PathBuf>,

    /// Trust the authorities in this file (PEM) for rediss://, instead of those of this machine
    #[arg(long, value_name = "FILE", env = "MADANG_CLUSTER_CA")]
    pub cluster_ca: Option<PathBuf>,
}

impl ClusterFlags {
    /// The first of the flags beside `--cluster`, if any is given.
    pub fn first_beside(&self) -> Option<&'static str> {
        let given = [
            ("--cluster-name", self.cluster_name.is_some()),
            ("--cluster-lanes", self.cluster_lanes.is_some()),
            (
                "--cluster-password-file",
                self.cluster_password_file.is_some(),
            ),
            ("--cluster-ca", self.cluster_ca.is_some()),
        ];
        given
            .into_iter()
            .find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

/// Where the engine is, as it was written. Nothing shows the password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct EngineUrl(String);

impl EngineUrl {
    /// With the password.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether there is a password in it.
    pub fn has_password(&self) -> bool {
        without_password(&self.0) != self.0
    }
}

/// Takes any text: what is wrong with it is said without the password, which clap would repeat.
impl From<&str> for EngineUrl {
    fn from(text: &str) -> EngineUrl {
        EngineUrl(text.trim().into())
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl fmt::Debug for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An engine's address with `***` in place of its password, also if the address is not valid: all up to the last `@` can be
/// one. A user's name before it stays.
pub fn without_password(url: &str) -> String {
    let Some((secret, rest)) = url.rsplit_once('@') else {
        return url.into();
    };
    let scheme = secret.find("://").map_or(0, |at| at + "://".len());
    let (scheme, secret) = secret.split_at(scheme);
    match secret.split_once(':') {
        Some((user, "")) => format!("{scheme}{user}:@{rest}"),
        Some((user, _)) => format!("{scheme}{user}:***@{rest}"),
        None => format!("{scheme}***@{rest}"),
    }
}

fn node_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Err(format!("expected 1 to {NAME_BYTES_MAX} bytes"));
    }
    match name.chars().find(|c| c.is_control() || c.is_whitespace()) {
        Some(c) => Err(format!("a name has no U+{:04X} in it", u32::from(c))),
        None => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://h:1/p", "redis://h:1/p"),
            ("unix:/run/redis.sock/p", "unix:/run/redis.sock/p"),
            ("redis://:secret@h:1/p", "redis://:***@h:1/p"),
            ("redis://kim:secret@h:1,i:2/p", "redis://kim:***@h:1,i:2/p"),
            ("redis://secret@h:1/p", "redis://***@h:1/p"),
            ("redis://:@secret/@h:1/p", "redis://:***@h:1/p"),
            ("redis://:a:secret@h", "redis://:***@h"),
            ("redis:/:secret@h", "redis:***@h"),
            ("secret@h", "***@h"),
        ] {
            let shown_as = EngineUrl::from(url);
            assert_eq!(shown_as.to_string(), shown);
            assert_eq!(format!("{shown_as:?}"), shown);
            assert_eq!(shown_as.has_password(), url.contains("secret"));
            assert_eq!(shown_as.text(), url);
        }
        assert!(!EngineUrl::from("redis://kim:@h/p").has_password());
    }

    #[test]
    fn a_name_is_short_and_has_no_spaces() {
        assert_eq!(node_name(" a.example:8080 "), Ok("a.example:8080".into()));
        for (name, why) in [
            ("", "1 to 128 bytes"),
            (&*"x".repeat(129), "1 to 128 bytes"),
            ("a b", "U+0020"),
            ("a\nb", "U+000A"),
        ] {
            let told = node_name(name).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
