//! The address of a cluster's engine, Redis or Valkey: how it is written, and which servers it means. Opens no socket.

use super::Address;
use std::fmt;

/// The port of a server whose address names none.
pub const DEFAULT_PORT: u16 = 6379;
/// The same of a Sentinel.
pub const DEFAULT_SENTINEL_PORT: u16 = 26_379;
/// Servers that an address may name.
pub const SERVERS_MAX: usize = 16;
/// Bytes of a prefix.
pub const PREFIX_BYTES_MAX: usize = 64;

/// Every form, for texts that resemble none.
const FORMS: &str = "write redis://HOST:PORT/PREFIX, rediss://HOST:PORT/PREFIX (TLS), \
     redis+sentinel://HOST:PORT/NAME/PREFIX or unix:PATH?prefix=PREFIX";

/// The address of an engine.
///
/// ```text
/// redis://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/PREFIX           rediss:// with TLS
/// redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT][,…]/NAME/PREFIX        rediss+sentinel:// with TLS
/// unix:PATH?prefix=PREFIX
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineAddress {
    /// The servers that are tried, in this order. At least one, and at most [`SERVERS_MAX`].
    pub servers: Vec<Address>,
    /// The name under which Sentinels watch the primary: then the servers are Sentinels.
    pub sentinel_name: Option<String>,
    /// Whether connections to the engine, and to Sentinels, are under TLS.
    pub is_tls: bool,
    /// How nodes prove that they may use the engine. Sentinels are not asked with it.
    pub login: Option<Login>,
    /// What all keys begin with, so that others can use the engine, too.
    pub prefix: String,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// A user of the engine's access control lists; `None`: the default one.
    pub user: Option<String>,
    /// Never shown.
    password: String,
}

impl Login {
    /// A password for a user, or for the default one.
    pub fn new(user: Option<String>, password: String) -> Login {
        Login { user, password }
    }

    /// The password itself.
    pub fn password(&self) -> &str {
        &self.password
    }
}

/// Without the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// As it is written, without user and password.
impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Address::Unix(path)] = &*self.servers {
            return write!(f, "unix:{}?prefix={}", path.display(), self.prefix);
        }
        let (tls, kind) = (
            if self.is_tls { "s" } else { "" },
            self.sentinel_name.as_ref().map_or("", |_| "+sentinel"),
        );
        write!(f, "redis{tls}{kind}://")?;
        for (nth, server) in self.servers.iter().enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            write!(f, "{comma}{server}")?;
        }
        if let Some(name) = &self.sentinel_name {
            write!(f, "/{name}")?;
        }
        write!(f, "/{}", self.prefix)
    }
}

impl EngineAddress {
    /// Parses an address. No error quotes the password.
    ///
    /// # Errors
    /// What is wrong, and how it is written right.
    pub fn parse(text: &str) -> Result<EngineAddress, String> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("unix:") {
            return parse_unix(rest);
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("this is no address of an engine; {FORMS}"))?;
        let (is_tls, is_sentinel) = match &*scheme.to_ascii_lowercase() {
            "redis" | "valkey" => (false, false),
            "rediss" | "valkeys" => (true, false),
            "redis+sentinel" | "valkey+sentinel" => (false, true),
            "rediss+sentinel" | "valkeys+sentinel" => (true, true),
            other => return Err(format!("{other}:// is no engine; {FORMS}")),
        };
        let (login, rest) = split_login(rest)?;
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.strip_suffix('/').unwrap_or(path);
        let (sentinel_name, prefix) = match (is_sentinel, path.split_once('/')) {
            (false, _) => (None, path),
            (true, Some((name, prefix))) => (Some(check_sentinel_name(name)?.to_owned()), prefix),
            (true, None) => {
                return Err(
                    "with Sentinel, the name of the primary comes before the prefix; write for example \
                     redis+sentinel://10.0.0.1:26379/mymaster/madang"
                        .into(),
                );
            }
        };
        let port = match is_sentinel {
            true => DEFAULT_SENTINEL_PORT,
            false => DEFAULT_PORT,
        };
        Ok(EngineAddress {
            servers: parse_servers(hosts, port)?,
            sentinel_name,
            is_tls,
            login,
            prefix: check_prefix(prefix)?.to_owned(),
        })
    }

    /// The password stands elsewhere; the user stays.
    pub fn set_password(&mut self, password: &str) {
        let user = self.login.take().and_then(|login| login.user);
        self.login = Some(Login::new(user, password.to_owned()));
    }
}

fn parse_unix(rest: &str) -> Result<EngineAddress, String> {
    let example = "write for example unix:/run/redis/redis.sock?prefix=madang";
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let (path, prefix) = path
        .split_once("?prefix=")
        .ok_or_else(|| format!("the prefix is missing; {example}"))?;
    if path.is_empty() {
        return Err(format!("the path is missing; {example}"));
    }
    Ok(EngineAddress {
        servers: vec![Address::Unix(path.into())],
        sentinel_name: None,
        is_tls: false,
        login: None,
        prefix: check_prefix(prefix)?.to_owned(),
    })
}

/// What is before the last `@`, and what is after it. A password may have any character but `/`, which, like any other, may be
/// written as `%` and two hexadecimal digits.
fn split_login(rest: &str) -> Result<(Option<Login>, &str), String> {
    let end = rest.find('/').unwrap_or(rest.len());
    let Some(at) = rest[..end].rfind('@') else {
        return match rest.contains('@') {
            true => Err("a / in the password is written %2F".into()),
            false => Ok((None, rest)),
        };
    };
    let login = &rest[..at];
    // `redis://SECRET@HOST` is a user to some programs, and a password to others.
    let (user, password) = login
        .split_once(':')
        .ok_or("before @ comes USER:PASSWORD, or :PASSWORD")?;
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    Ok((Some(Login::new(user, decode(password)?)), &rest[at + 1..]))
}

/// Resolves `%` and two hexadecimal digits (RFC 3986, section 2.1).
fn decode(text: &str) -> Result<String, String> {
    let wrong = || "% in a user or password must be written %25".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(wrong)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn parse_servers(hosts: &str, port: u16) -> Result<Vec<Address>, String> {
    let mut servers = Vec::new();
    for host in hosts.split(',') {
        let has_host = !host.is_empty() && !host.starts_with(':');
        let is_port = host.bytes().all(|byte| byte.is_ascii_digit());
        if !has_host || is_port {
            return Err(format!(
                "a host is missing; write for example redis://10.0.0.1:{port}/madang"
            ));
        }
        servers.push(Address::with_default_port(host, port)?);
    }
    match servers.len() > SERVERS_MAX {
        true => Err(format!("more than {SERVERS_MAX} servers are named")),
        false => Ok(servers),
    }
}

fn check_prefix(prefix: &str) -> Result<&str, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    match prefix {
        "" => Err(
            "the prefix of the keys is missing; write for example redis://10.0.0.1:6379/madang"
                .into(),
        ),
        _ if prefix.bytes().all(|byte| byte.is_ascii_digit()) => Err(format!(
            "the prefix of the keys must have a letter; {prefix} would be a database, and number 0 is always used. \
             Write for example redis://10.0.0.1:6379/madang"
        )),
        _ if prefix.len() > PREFIX_BYTES_MAX => Err(format!(
            "the prefix of the keys is longer than {PREFIX_BYTES_MAX} bytes"
        )),
        _ if !prefix.chars().all(allowed) => Err(format!(
            "the prefix of the keys is {prefix}; it may have the letters a to z, digits and - _ . : only"
        )),
        _ => Ok(prefix),
    }
}

fn check_sentinel_name(name: &str) -> Result<&str, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !name.is_empty() && name.chars().all(allowed) {
        true => Ok(name),
        false => Err(format!(
            "Sentinel knows no primary by the name {name:?}: it may have letters, digits and - _ . only"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> EngineAddress {
        EngineAddress::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn an_address_is_shown_as_it_is_written_without_the_password() {
        for (text, shown) in [
            ("redis://127.0.0.1/madang", "redis://127.0.0.1:6379/madang"),
            (
                "redis://:s3cret@a.example:7000,b.example,[::1]:7002/chat:eu",
                "redis://a.example:7000,b.example:6379,[::1]:7002/chat:eu",
            ),
            (
                "rediss://kim:s3cret@a.example:7000/madang/",
                "rediss://a.example:7000/madang",
            ),
            (
                "redis+sentinel://10.0.0.1,10.0.0.2:5000/mymaster/madang",
                "redis+sentinel://10.0.0.1:26379,10.0.0.2:5000/mymaster/madang",
            ),
            (
                "unix:/run/redis.sock?prefix=madang",
                "unix:/run/redis.sock?prefix=madang",
            ),
            ("valkey://localhost:1/m", "redis://localhost:1/m"),
        ] {
            let address = parse(text);
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("s3cret"));
            assert_eq!(parse(shown).to_string(), shown);
        }
    }

    #[test]
    fn a_password_may_have_any_character() {
        for (written, password) in [
            ("s3cret", "s3cret"),
            ("a@b:c,d", "a@b:c,d"),
            ("%2F%25%EB%A7%88", "/%마"),
        ] {
            let login = parse(&format!("redis://:{written}@h/m")).login.unwrap();
            assert_eq!((login.user.as_deref(), login.password()), (None, password));
        }
        let login = parse("redis://kim:x@h/m").login.unwrap();
        assert_eq!(login.user.as_deref(), Some("kim"));
    }

    #[test]
    fn a_password_from_elsewhere_keeps_the_user() {
        for (text, user) in [("redis://kim:@h/m", Some("kim")), ("redis://h/m", None)] {
            let mut address = parse(text);
            address.set_password("x");
            let login = Login::new(user.map(str::to_owned), "x".into());
            assert_eq!(address.login, Some(login));
        }
    }

    #[test]
    fn a_wrong_address_is_refused_with_what_to_write_and_without_the_password() {
        for (text, words) in [
            ("", "redis://HOST:PORT/PREFIX"),
            ("127.0.0.1:6379", "redis://HOST:PORT/PREFIX"),
            ("http://127.0.0.1/m", "http:// is no engine"),
            ("redis://127.0.0.1", "prefix of the keys is missing"),
            ("redis://127.0.0.1/", "prefix of the keys is missing"),
            ("redis://127.0.0.1:6379/0", "would be a database"),
            ("redis://127.0.0.1/a{b}", "a{b}"),
            ("redis:///madang", "a host is missing"),
            ("redis://a,,b/madang", "a host is missing"),
            ("redis://6379/madang", "a host is missing"),
            ("redis://a:0/madang", "port 0"),
            ("redis://a:99999/madang", "99999"),
            ("redis://s3cret@a/madang", ":PASSWORD"),
            ("redis://:s3cret/x@a/madang", "%2F"),
            ("redis://:s3cret%zz@a/madang", "%25"),
            ("redis+sentinel://a/madang", "mymaster"),
            ("redis+sentinel://a/my master/madang", "my master"),
            ("unix:/run/redis.sock", "?prefix="),
            ("unix:?prefix=m", "path is missing"),
        ] {
            let why = EngineAddress::parse(text).expect_err(text);
            assert!(why.contains(words), "{text}: {why}");
            assert!(!why.contains("s3cret"), "{text}: {why}");
        }
    }
}
