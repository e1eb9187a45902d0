//! Values of flags and of their environment variables: numbers within bounds, switches, and variables that are empty.
//! Knows no flag by name.

use clap::builder::Resettable;
use clap::{Arg, ArgAction, Command};
use std::env;
use std::ops::RangeInclusive;

/// Parses a number within bounds.
pub fn number<T: TryFrom<u64>>(
    bounds: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.trim().parse().ok();
        let number = number.filter(|number| bounds.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        let (least, most) = (bounds.start(), bounds.end());
        number.ok_or_else(|| format!("expected a number from {least} to {most}"))
    }
}

/// Parses a switch as people write it in an environment variable.
fn switch(text: &str) -> Result<bool, String> {
    match &*text.trim().to_ascii_lowercase() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Ok(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Ok(false),
        _ => Err("expected 1, yes, true or on, or 0, no, false or off".into()),
    }
}

/// Makes all flags of a command and of its subcommands read their values alike.
pub fn unify(command: Command) -> Command {
    command.mut_args(unify_arg).mut_subcommands(unify)
}

fn unify_arg(arg: Arg) -> Arg {
    let arg = match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(switch),
        // `-1` is a wrong value of a flag, and no unknown flag.
        ArgAction::Set | ArgAction::Append => arg.allow_negative_numbers(true).ignore_case(true),
        _ => arg,
    };
    let value = arg.get_env().and_then(env::var_os);
    match value.is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty())) {
        // An empty variable means the same as none.
        true => arg.env(Resettable::Reset),
        false => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_bounds_is_answered_with_the_bounds() {
        let parse = number::<u32>(32..=100);
        assert_eq!(parse("32"), Ok(32));
        assert_eq!(parse(" 100 "), Ok(100));
        for wrong in ["31", "101", "-1", "", "abc", "4k", "99999999999999999999"] {
            let error = "expected a number from 32 to 100";
            assert_eq!(parse(wrong), Err(error.into()), "{wrong}");
        }
    }

    #[test]
    fn switches_are_written_in_many_ways() {
        for (text, is_on) in [("1", true), ("Yes", true), ("ON", true), ("true", true)] {
            assert_eq!(switch(text), Ok(is_on));
        }
        for text in ["0", "no", "OFF", "False", " 0 "] {
            assert_eq!(switch(text), Ok(false));
        }
        for text in ["", "2", "maybe"] {
            assert!(switch(text).is_err(), "{text}");
        }
    }
}
