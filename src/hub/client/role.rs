//! What a client is to the server. Knows no client.

use crate::hub::types::Wire;

/// What a client is to the server: decides which rules hold for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Speaks the protocol; every limit holds.
    Person,
    /// The person at the server's own console. No limit holds that protects the server from strangers: it is never
    /// refused, rate-limited, idle or closed for reading slowly, and nobody waits for it.
    Console,
    /// A person who has come by the control listener, and may give the commands of operators. Its lines have no rate and
    /// its silence no limit; it takes nobody's place. If it does not read it is treated as others are.
    Operator,
    /// A person who has shown to be the owner of an operator's name: every limit holds, and it may give the commands of
    /// operators as long as it has the name.
    NamedOperator,
    /// A connection that has not said the server's password: it has no name, is in no room, and is sent only what it is
    /// asked for. It becomes a [`Person`](Role::Person).
    Stranger,
    /// A connection to a raw listener: lines alone, no name, no commands, no notices.
    Raw,
}

impl Role {
    /// The role of a connection to a listener.
    pub fn of(wire: Wire) -> Role {
        match wire {
            Wire::Chat => Role::Person,
            Wire::Raw => Role::Raw,
            Wire::Control => Role::Operator,
        }
    }

    /// Whether such a client has a name from the start.
    pub fn has_name(self) -> bool {
        !matches!(self, Role::Raw | Role::Stranger)
    }

    /// See [`Client::is_operator`](super::Client::is_operator).
    pub fn is_operator(self) -> bool {
        matches!(self, Role::Operator | Role::NamedOperator | Role::Console)
    }

    /// Whether it has come as an operator: it takes nobody's place, and no limit holds for what it says.
    pub fn is_extra(self) -> bool {
        matches!(self, Role::Operator | Role::Console)
    }
}
