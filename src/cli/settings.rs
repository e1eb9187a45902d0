//! The flags of a server as they are in force: each with its value, where that comes from, and whether a change needs a
//! restart. Made from what clap knows, so a new flag is among them by itself.

use super::cluster::without_password;
use super::config_file::{self, Kind};
use crate::config::{ConfigFile, Position, quoted};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use std::fmt::Write;
use std::path::PathBuf;

/// Flags whose change holds without a restart, after a reload.
const LIVE: [&str; 34] = [
    "allow",
    "announce-limit",
    "backlog",
    "burst",
    "deny",
    "drain",
    "half-close",
    "history",
    "idle-timeout",
    "keepalive",
    "listen",
    "listen-raw",
    "listen-tls",
    "log-level",
    "max-clients",
    "max-line",
    "max-per-ip",
    "max-rooms",
    "names-keep",
    "operator",
    "partial-after",
    "password-file",
    "proxy-from",
    "rate",
    "recv-buffer",
    "room-log",
    "send-buffer",
    "slow",
    "slow-timeout",
    "tls-cert",
    "tls-client-ca",
    "tls-client-optional",
    "tls-key",
    "welcome",
];

/// Flags whose change needs a restart. So does that of a flag that is in neither list, which a test forbids.
#[cfg(test)]
const RESTART: [&str; 15] = [
    "bell",
    "cluster",
    "cluster-ca",
    "cluster-lanes",
    "cluster-name",
    "cluster-password-file",
    "color",
    "console",
    "control",
    "log-format",
    "metrics",
    "no-sandbox",
    "state",
    "timestamps",
    "trust-peer-uid",
];

/// Flags with addresses in which a password may stand: it is shown nowhere.
const HAVE_PASSWORDS: [&str; 1] = ["cluster"];

/// A flag as it is in force.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name, without dashes before it.
    pub name: String,
    /// What its value is called in the help: `ADDR`, `DIR`.
    pub value_name: String,
    /// Its values, as they were written, but for passwords.
    pub values: Vec<String>,
    /// Where they come from.
    pub source: Source,
    kind: Kind,
    heading: String,
    /// What holds without a value, from the help.
    without: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// This variable.
    Variable(String),
    /// A configuration file.
    File(PathBuf, Position),
    /// The program.
    Default,
}

impl Source {
    fn told(&self, name: &str) -> String {
        match self {
            Source::Flag => format!("--{name}"),
            Source::Variable(variable) => variable.clone(),
            Source::File(path, at) => format!("{}:{}", path.display(), at.line),
            Source::Default => "default".into(),
        }
    }
}

impl Setting {
    /// Whether a change holds without a restart.
    pub fn is_live(&self) -> bool {
        LIVE.contains(&&*self.name)
    }

    /// Its value as a configuration file has it; `None`: it has none.
    pub fn value(&self) -> Option<String> {
        let first = self.values.first();
        match self.kind {
            Kind::List if self.values.is_empty() => None,
            Kind::List => {
                let values = self.values.iter().map(|value| quoted(value.trim()));
                Some(format!("[{}]", values.collect::<Vec<_>>().join(", ")))
            }
            Kind::Number | Kind::Switch => first.map(|value| value.trim().into()),
            Kind::Text => first.map(|value| quoted(value)),
        }
    }

    /// Its value, or what holds without one.
    pub fn told(&self) -> String {
        let without = || self.without.clone().unwrap_or_else(|| "none".into());
        self.value().unwrap_or_else(without)
    }
}

/// All flags that may stand in a configuration file, as these matches of `command` have them.
pub fn settings(
    command: &Command,
    matches: &ArgMatches,
    file: Option<&ConfigFile>,
) -> Vec<Setting> {
    let flags = config_file::flags(command);
    flags.map(|arg| setting(arg, matches, file)).collect()
}

fn setting(arg: &Arg, matches: &ArgMatches, file: Option<&ConfigFile>) -> Setting {
    let (name, id) = (config_file::name(arg), arg.get_id().as_str());
    let kind = config_file::kind(arg);
    let entry = file.and_then(|file| Some((file, file.entries.iter().find(|e| e.key == name)?)));
    let source = match (matches.value_source(id), entry) {
        (Some(ValueSource::CommandLine), _) => Source::Flag,
        (Some(ValueSource::EnvVariable), _) => Source::Variable(
            arg.get_env()
                .map(|variable| variable.to_string_lossy().into())
                .unwrap_or_default(),
        ),
        (Some(_), Some((file, entry))) => Source::File(file.path.clone(), entry.at),
        _ => Source::Default,
    };
    let values = match kind {
        Kind::Switch => vec![matches.get_flag(id).to_string()],
        _ => matches
            .get_raw(id)
            .map(|values| values.map(|v| v.to_string_lossy().into()).collect())
            .unwrap_or_default(),
    };
    let values = match HAVE_PASSWORDS.contains(&&*name) {
        true => values.iter().map(|url| without_password(url)).collect(),
        false => values,
    };
    Setting {
        name,
        value_name: arg
            .get_value_names()
            .and_then(|names| names.first())
            .map(ToString::to_string)
            .unwrap_or_default(),
        values,
        source,
        kind,
        heading: arg.get_help_heading().unwrap_or("Options").into(),
        without: default_in_help(&help(arg)),
    }
}

/// The first line of a flag's help.
fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

/// `x` in `… [default: x]`.
fn default_in_help(help: &str) -> Option<String> {
    let (_, default) = help.split_once("[default: ")?;
    Some(default.split(']').next()?.into())
}

/// The settings as a configuration file, each with a comment that says where it comes from.
pub fn in_force(settings: &[Setting]) -> String {
    let mut text = String::new();
    let mut heading = "";
    for setting in settings {
        if setting.heading != heading {
            let gap = if heading.is_empty() { "" } else { "\n" };
            heading = &setting.heading;
            let _ = writeln!(text, "{gap}# {heading}");
        }
        let source = setting.source.told(&setting.name);
        let _ = match setting.value() {
            Some(value) => writeln!(text, "{} = {value}  # {source}", setting.name),
            None => writeln!(text, "# {}: {}  # {source}", setting.name, setting.told()),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{serve_command, settings_of};
    use super::*;
    use std::fs;

    #[test]
    fn every_flag_is_known_to_be_live_or_to_need_a_restart() {
        let serve = serve_command();
        let names: Vec<String> = config_file::flags(&serve).map(config_file::name).collect();
        for name in &names {
            let classes = [LIVE.contains(&&**name), RESTART.contains(&&**name)];
            assert!(
                classes[0] != classes[1],
                "--{name}: put it into LIVE or into RESTART"
            );
        }
        for name in LIVE.iter().chain(&RESTART) {
            assert!(names.iter().any(|known| known == name), "--{name}");
        }
    }

    /// The example file: every key as a comment, under its heading and its help, with its default.
    fn example() -> String {
        let serve = serve_command();
        let matches = serve.clone().get_matches_from(["serve"]);
        let mut text = String::from(
            "# Configuration of madang: `madang serve --config FILE`. Every key is a flag without its dashes, and stands here\n\
             # with its default. Flags and environment variables take precedence. `madang check --config FILE` says what is\n\
             # wrong; `systemctl reload madang`, SIGHUP and /reload read the file again. See docs/operations.md.\n",
        );
        let mut heading = "";
        for (arg, setting) in
            config_file::flags(&serve).zip(settings(&serve, &matches, None).iter())
        {
            let of = arg.get_help_heading().unwrap_or_default();
            if of != heading {
                heading = of;
                text += &format!("\n# ---- {heading} ----\n");
            }
            let help = help(arg);
            let help = help.split(" [default: ").next().unwrap_or_default();
            let values: Vec<String> = match config_file::kind(arg) {
                Kind::Text => {
                    let all = arg.get_possible_values();
                    all.iter().map(|one| one.get_name().to_owned()).collect()
                }
                _ => Vec::new(),
            };
            let values = match values.is_empty() {
                true => String::new(),
                false => format!(" ({})", values.join(", ")),
            };
            text += &wrapped(&format!("{help}{values}"));
            let value = match (setting.value(), setting.without.as_deref()) {
                (Some(value), _) => value,
                (None, Some(address)) if setting.kind == Kind::List => {
                    format!("[{}]", quoted(address))
                }
                (None, _) if setting.kind == Kind::List => "[]".into(),
                (None, _) => {
                    text += &format!("# {}: {}\n", setting.name, setting.told());
                    continue;
                }
            };
            text += &format!("#{} = {value}\n", setting.name);
        }
        text
    }

    /// A text as a comment of lines that are not too long.
    fn wrapped(text: &str) -> String {
        let mut lines = vec![String::from("#")];
        for word in text.split_whitespace() {
            if lines
                .last()
                .is_some_and(|line| line.len() + word.len() > 110)
            {
                lines.push("#".into());
            }
            if let Some(line) = lines.last_mut() {
                *line += " ";
                *line += word;
            }
        }
        lines.join("\n") + "\n"
    }

    /// `MADANG_EXAMPLE=new cargo test --lib example` writes it anew.
    #[test]
    fn the_example_file_has_every_flag_with_its_help_and_default() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/madang.toml");
        if std::env::var_os("MADANG_EXAMPLE").is_some() {
            fs::write(path, example()).unwrap();
        }
        let example = example();
        assert_eq!(fs::read_to_string(path).unwrap(), example);
        // Each key may be uncommented, and all of them change nothing.
        let keys = example.lines().filter_map(|line| line.strip_prefix('#'));
        let keys: Vec<&str> = keys.filter(|line| !line.starts_with([' ', '-'])).collect();
        let settings = settings_of(keys.join("\n").as_bytes()).unwrap();
        let defaults = settings_of(b"").unwrap();
        for (one, default) in settings.iter().zip(&defaults) {
            let is_default = one.value() == default.value() || default.value().is_none();
            assert!(is_default, "{one:?} {default:?}");
        }
        let without_default = defaults.iter().filter(|it| it.value().is_none()).count();
        assert!(keys.len() + without_default >= settings.len(), "{keys:?}");
    }
}
