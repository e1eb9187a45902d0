//! The flags of `madang serve` that concern names that are somebody's own.

use super::value::number;
use crate::hub::Owners;
use clap::Args;

/// Names that are somebody's own.
#[derive(Debug, Args)]
#[command(next_help_heading = "Names")]
pub struct NameFlags {
    /// Days without use after which a registered name is free again; 0: never
    ///
    /// Names can be registered where there is --state.
    #[arg(long, value_name = "DAYS", env = "MADANG_NAMES_KEEP", default_value_t = 365, value_parser = number::<u32>(0..=36_500))]
    pub names_keep: u32,

    /// Name whose owner has the commands of operators, once logged in
    ///
    /// May be given more than once. Until such a name is registered, only an operator can take it, at the control socket.
    #[arg(long, value_name = "NAME", value_parser = operator_name)]
    #[arg(env = "MADANG_OPERATOR", value_delimiter = ',')]
    pub operator: Vec<String>,

    /// Give clients of Unix sockets the names of the users that they are, by /etc/passwd
    ///
    /// Nobody else can have these names. A user without a valid name is called uid and the user's number.
    #[arg(long, env = "MADANG_TRUST_PEER_UID")]
    pub trust_peer_uid: bool,
}

fn operator_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    Owners::check_operator(name).map(|()| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_can_be_registered_is_an_operator_s() {
        assert_eq!(operator_name(" kim "), Ok("kim".into()));
        for (name, why) in [
            ("", "1 to 24 characters"),
            ("guest7", "given by the server"),
            ("host", "the server's own"),
            ("\u{ff4b}im", "write it as kim"),
        ] {
            let told = operator_name(name).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
