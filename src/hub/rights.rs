//! Which people have the commands of operators because of their names. Everything that only operators may do asks
//! [`Client::is_operator`](super::client::Client::is_operator); this file decides what that answers.

use super::client::Role;
use super::context::Context;
use crate::protocol::Notice;

/// A client has another name, or what its name means has changed: gives it the rights of an operator, or takes them.
pub fn refresh(cx: &mut Context<'_>, slot: u32) {
    let client = &cx.clients[slot as usize];
    if !matches!(client.role, Role::Person | Role::NamedOperator) {
        return;
    }
    let (id, name) = (client.id(slot), client.name.as_ref());
    let name = name.map_or_else(String::new, ToString::to_string);
    let role = match cx.accounts.is_operator(slot, &name) {
        true => Role::NamedOperator,
        false => Role::Person,
    };
    let client = &mut cx.clients[slot as usize];
    if std::mem::replace(&mut client.role, role) == role || client.is_closing() {
        return;
    }
    match role {
        Role::NamedOperator => {
            cx.operators
                .note(id, &name, "is an operator from here on".into());
            cx.notify(slot, Notice::OperatorNow {});
        }
        _ => {
            cx.operators
                .note(id, &name, "is no operator any more".into());
            cx.notify(slot, Notice::OperatorNoMore {});
        }
    }
}
