//! Days on which registered names are used: when they are stored, and which names expire. At most one request to the driver
//! for each name and day, and a pause between two.

use super::accounts::Accounts;
use super::accounts::account::{Account, NAME};
use super::context::Context;
use super::requests::{Change, Request};
use super::schedule::Timer;

/// Arms the timer for the next day of use that is to be noted, or the next name that expires.
pub fn arm(cx: &mut Context<'_>) {
    let (epoch_us, days_kept) = (cx.operators.epoch_us, cx.limits.names_keep_days);
    match cx.accounts.deadline(epoch_us, days_kept) {
        Some(due) => cx.schedule.arm(Timer::Names, due),
        None => cx.schedule.disarm(Timer::Names),
    }
}

/// Has the day of an account's use stored, unless it has been today.
pub fn note_use(cx: &mut Context<'_>, number: u32) {
    let day = Accounts::day(cx.operators.epoch_us, cx.now);
    if cx.accounts.note_use(number, day) {
        let request = store(cx.accounts.get(number));
        cx.operators.jobs.ask(request);
    }
}

/// The timer of names has rung: notes the use of one account, or lets one expire.
pub fn expire(cx: &mut Context<'_>) {
    let day = Accounts::day(cx.operators.epoch_us, cx.now);
    if let Some(number) = cx.accounts.next_in_use(day) {
        note_use(cx, number);
        cx.accounts.pause(cx.now);
    } else if let Some(number) = cx.accounts.next_unused(day, cx.limits.names_keep_days) {
        let name = cx.accounts.get(number).name.name.clone();
        cx.accounts.remove(number);
        // If it stays where it is stored, it expires there too: by its day.
        cx.operators.jobs.ask(erase(&name));
        cx.accounts.note(
            None,
            &name,
            "expired: nobody has used it for --names-keep days",
        );
        cx.accounts.pause(cx.now);
    }
    arm(cx);
}

/// The request that stores an account.
pub fn store(account: &Account) -> Request {
    Request::Store(Change::Put {
        kind: NAME,
        key: account.name.name.to_string(),
        value: account.stored(),
    })
}

/// The request that removes an account from what is stored.
pub fn erase(name: &str) -> Request {
    Request::Store(Change::Remove {
        kind: NAME,
        key: name.into(),
    })
}
