//! The flags of `madang ctl`.

use super::control;
use crate::address::Address;
use crate::ctl::{Plan, Task};
use clap::Args;
use std::path::PathBuf;

/// Commands whose answers have a JSON of their own. They take no text, so that a flag after them is a flag.
const LISTS: [&str; 3] = ["/clients", "/bans", "/stats"];

/// `madang ctl`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Answers go to standard output, without the mark `* ` of notices; why something \
is refused goes to standard error.

Exit status: 0: done; 1: something is refused, the server cannot be reached, or \
it does not answer within 10 s; 2: the command line is wrong.

Examples:
  madang ctl clients --slow
  madang ctl kick kim \"too loud\"
  madang ctl --json clients | jq '.[] | select(.behind_lines > 100) | .name'
  madang ctl top")]
pub struct Ctl {
    /// The server's control socket: unix:PATH [default: where a server puts it]
    ///
    /// Without this flag, control.sock in $RUNTIME_DIRECTORY or else in $XDG_RUNTIME_DIR/madang, and then
    /// /run/madang/control.sock: the first that accepts a connection.
    #[arg(long, value_name = "ADDR", value_parser = socket, env = "MADANG_CONTROL")]
    control: Option<PathBuf>,

    /// Print the answer as JSON
    ///
    /// clients, bans: an array of objects; stats: an object; others: {"ok": true, "lines": [...]}; something refused:
    /// {"ok": false, "lines": [...], "refused": [...]}.
    #[arg(long)]
    json: bool,

    /// A command of operators, with or without its slash (help lists them), or top: a live table
    ///
    /// top shows rates, who is furthest behind, and the busiest clients and rooms, until q or Ctrl-C; into a file or a pipe
    /// it writes one table.
    #[arg(value_name = "COMMAND", required = true, value_parser = word)]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Ctl {
    /// What to ask, and whom.
    ///
    /// # Errors
    /// What is wrong with the command, and how it is written right.
    pub fn plan(&self) -> Result<Plan, String> {
        let task = self.task()?;
        let places = match &self.control {
            Some(path) => vec![path.clone()],
            None => {
                let system = Some(control::SYSTEM_PATH.into());
                let mut places: Vec<_> =
                    control::default_path().into_iter().chain(system).collect();
                places.dedup();
                places
            }
        };
        Ok(Plan { places, task })
    }

    fn task(&self) -> Result<Task, String> {
        let first = self.words.first().map_or("", |word| word.trim());
        if first.is_empty() || first == "/" {
            return Err("the command is empty; madang ctl help lists commands".into());
        }
        if first.starts_with('-') {
            return Err(format!(
                "there is no flag {first}; a command comes next, for example clients"
            ));
        }
        if first == "top" {
            return match self.words.len() {
                _ if self.json => {
                    Err("top has no JSON; write --json stats or --json clients".into())
                }
                1 => Ok(Task::Top),
                _ => Err(format!(
                    "top takes no argument, and {} is one",
                    self.words[1]
                )),
            };
        }
        let line = match first.starts_with('/') {
            true => self.words.join(" "),
            false => format!("/{}", self.words.join(" ")),
        };
        let line = line.trim();
        match line.strip_suffix(" --json") {
            None => Ok(Task::Command(line.into(), self.json)),
            Some(list) if LISTS.contains(&list.split(' ').next().unwrap_or_default()) => {
                Ok(Task::Command(list.trim_end().into(), true))
            }
            // It may be a part of the text.
            Some(command) => {
                let command = &command[1..];
                Err(format!(
                    "--json comes before the command: madang ctl --json {command}"
                ))
            }
        }
    }
}

fn socket(text: &str) -> Result<PathBuf, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") {
        return Err("there is no control socket then; write unix:PATH".into());
    }
    match Address::to_connect_to(text) {
        Ok(Address::Unix(path)) => Ok(path),
        _ => Err("a control socket is a Unix socket: write unix:PATH".into()),
    }
}

/// A word of a command. What would end the line, or edit it, is no part of one.
fn word(text: &str) -> Result<String, String> {
    match text.chars().find(|&c| c.is_control() && c != '\t') {
        Some('\n' | '\r') => Err("a command is one line: it must not contain a line break".into()),
        Some(c) => Err(format!("must not contain U+{:04X}", u32::from(c))),
        None => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    fn task(args: &[&str]) -> Result<Task, String> {
        let all = ["madang", "ctl"].iter().chain(args);
        let cli = Cli::try_parse_from(all).map_err(|error| error.to_string())?;
        match cli.command {
            Command::Ctl(ctl) => ctl.task(),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn words_are_one_command_with_or_without_its_slash() {
        for (args, line, json) in [
            (&["clients", "--slow"][..], "/clients --slow", false),
            (&["/clients --slow"], "/clients --slow", false),
            (&["kick", "kim", "too  loud"], "/kick kim too  loud", false),
            (
                &["say", "use", "-h", "or", "--help"],
                "/say use -h or --help",
                false,
            ),
            (&["--json", "stats"], "/stats", true),
            (
                &["clients", "--from", "10.0.0.0/8", "--json"],
                "/clients --from 10.0.0.0/8",
                true,
            ),
            (
                &["--json", "say", "use --json", "now"],
                "/say use --json now",
                true,
            ),
            (&["help"], "/help", false),
            (&["topic"], "/topic", false),
        ] {
            assert_eq!(task(args), Ok(Task::Command(line.into(), json)), "{args:?}");
        }
        assert_eq!(task(&["top"]), Ok(Task::Top));
    }

    #[test]
    fn a_command_that_is_none_is_refused_before_anything_is_sent() {
        for (args, error) in [
            (&[][..], "COMMAND"),
            (&[""], "the command is empty"),
            (&["/"], "the command is empty"),
            (&["--slow"], "there is no flag --slow"),
            (
                &["say", "hello\n/shutdown"],
                "must not contain a line break",
            ),
            (&["say", "a\rb"], "must not contain a line break"),
            (&["say", "a\0b"], "must not contain U+0000"),
            (&["say", "hi", "--json"], "madang ctl --json say hi"),
            (&["top", "--json"], "takes no argument"),
            (&["--json", "top"], "top has no JSON"),
            (&["--control", "8080", "stats"], "write unix:PATH"),
            (&["--control", "none", "stats"], "write unix:PATH"),
        ] {
            let refused = task(args).unwrap_err();
            assert!(refused.contains(error), "{args:?}: {refused}");
        }
    }
}
