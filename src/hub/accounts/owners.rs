//! Whose names are known before anybody registers one. Knows no client.

use super::users::Users;
use crate::hub::limits::OPERATOR_NAMES_MAX;
use crate::hub::name;

/// Whose names are known before anybody registers one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The users of this machine, if peers with a [`uid`](crate::hub::Peer::uid) are to have their names.
    pub users: Option<Users>,
    /// Names whose owners are operators: see [`check_operator`](Owners::check_operator).
    pub operators: Vec<String>,
}

impl Owners {
    /// Whether the owner of this name can be an operator.
    ///
    /// # Errors
    /// Why not: nobody can register such a name.
    pub fn check_operator(name: &str) -> Result<(), String> {
        let nickname = name::nickname(name).map_err(|error| error.to_string())?;
        match *nickname.name == *name {
            true => Ok(()),
            false => Err(format!("write it as {}", nickname.name)),
        }
    }

    /// Whether there are not too many of them.
    ///
    /// # Errors
    /// How many there may be.
    pub fn check(&self) -> Result<(), String> {
        let names = self.operators.len();
        match names > OPERATOR_NAMES_MAX {
            true => Err(format!(
                "--operator: {names} names, and there may be {OPERATOR_NAMES_MAX}"
            )),
            false => Ok(()),
        }
    }
}
