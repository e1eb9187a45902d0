//! Settings that change while the server runs: reads them again, applies what can be applied, names what needs a restart, and
//! keeps all of the old when anything is wrong. Touches listeners and no connection.

use super::bind::{Place, bind_beside};
use super::certificates::Tls;
use super::listener::Options;
use super::listeners::Listeners;
use crate::address::Address;
use crate::hub::limits::Limits;
use crate::hub::secret::Secret;
use crate::hub::{Owners, Ranges};
use crate::logging;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tracing::Level;

/// All that a running server can be set to, and its flags as they are written.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hub's limits, which do not contradict each other.
    pub limits: Limits,
    /// Whose names are known before anybody registers one.
    pub owners: Owners,
    /// From where connections must begin with a PROXY header.
    pub proxies: Ranges,
    /// What TLS listeners present and accept, if there are any.
    pub tls: Option<Tls>,
    /// Where to listen.
    pub places: Vec<Place>,
    /// The options of the sockets.
    pub options: Options,
    /// The least severe messages to log.
    pub log_level: Level,
    /// The password for which clients are asked, if they are.
    pub password: Option<Secret>,
    /// What is to be said of all this, though it can be used.
    pub warnings: Vec<String>,
    /// Every flag.
    pub flags: Vec<Flag>,
}

/// A flag as people know it.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Its name, without dashes before it.
    pub name: String,
    /// Its value as a configuration file has it.
    pub value: String,
    /// Whether a change holds without a restart.
    pub is_live: bool,
}

/// Reads the settings again.
pub type Source = Box<dyn FnMut() -> Result<Settings, Vec<String>> + Send>;

/// The settings in force, and where they come from.
pub struct Reloader {
    settings: Settings,
    source: Source,
}

/// What a reload has changed, beside the listeners.
#[derive(Debug)]
pub struct Change {
    /// The hub's limits from now on.
    pub limits: Limits,
    /// Whose names are known from now on.
    pub owners: Owners,
    /// The password from now on.
    pub password: Option<Secret>,
    /// From where connections must begin with a PROXY header from now on.
    pub proxies: Ranges,
    /// The numbers of new listeners.
    pub added: Vec<usize>,
    /// What the operator is told.
    pub lines: Vec<String>,
}

impl Reloader {
    /// For a server that has been started with these settings.
    pub fn new(settings: Settings, source: Source) -> Reloader {
        Reloader { settings, source }
    }

    /// Reads the settings again and applies them, as far as that is possible here.
    ///
    /// # Errors
    /// What is wrong, one line each. Then everything is as it was.
    pub fn reload(&mut self, listeners: &mut Listeners) -> Result<Change, Vec<String>> {
        let wanted = (self.source)()?;
        let had = &self.settings;
        let removed = |place: &Place| !wanted.places.iter().any(|other| other.is_same(place));
        let (gone, kept): (Vec<&Place>, Vec<&Place>) =
            had.places.iter().partition(|place| removed(place));
        let is_new = |place: &&Place| !had.places.iter().any(|other| other.is_same(place));
        let new: Vec<Place> = wanted.places.iter().filter(is_new).cloned().collect();
        check_names(&new)?;
        check_shared(&kept, &gone, listeners)?;
        let kept: Vec<Place> = kept.into_iter().cloned().collect();
        let bound = bind_beside(&new, &kept, wanted.options);
        let bound = bound.map_err(|error| vec![explain(&error, !gone.is_empty())])?;
        let added = listeners.add_all(bound);
        let added = added.map_err(|error| vec![error.to_string()])?;
        if let Err(error) = listeners.set_options(wanted.options) {
            added.into_iter().for_each(|number| listeners.close(number));
            // They were accepted once.
            let _ = listeners.set_options(had.options);
            return Err(vec![format!("the options of the sockets: {error}")]);
        }
        let mut lines = changes(&had.flags, &wanted.flags);
        lines.extend(password_change(
            had.password.as_ref(),
            wanted.password.as_ref(),
        ));
        lines.extend(certificate_changes(had.tls.as_ref(), wanted.tls.as_ref()));
        listeners.set_tls(wanted.tls.as_ref().map(|tls| Arc::clone(&tls.config)));
        for &number in &added {
            lines.push(format!("listening on {}", listeners.name(number)));
        }
        let is_gone = |listener: &_| gone.iter().any(|place| place.is_origin_of(listener));
        let closing = listeners.iter().filter(|(_, l)| is_gone(l));
        let closing: Vec<usize> = closing.map(|(number, _)| number).collect();
        for number in closing {
            lines.push(format!("no longer listening on {}", listeners.name(number)));
            listeners.close(number);
        }
        if lines.is_empty() {
            lines.push("nothing has changed".into());
        }
        for warning in &wanted.warnings {
            tracing::warn!("{warning}");
        }
        let (limits, owners) = (wanted.limits.clone(), wanted.owners.clone());
        let password = wanted.password.clone();
        let proxies = wanted.proxies.clone();
        let before = std::mem::replace(&mut self.settings, wanted);
        self.settings.keep_until_restart(&before.flags);
        log(&lines, before.log_level, self.settings.log_level);
        Ok(Change {
            limits,
            owners,
            password,
            proxies,
            added,
            lines,
        })
    }
}

impl Settings {
    /// Flags that need a restart have the values that they had.
    fn keep_until_restart(&mut self, before: &[Flag]) {
        for flag in self.flags.iter_mut().filter(|flag| !flag.is_live) {
            if let Some(before) = before.iter().find(|before| before.name == flag.name) {
                flag.value.clone_from(&before.value);
            }
        }
    }
}

/// A name is looked up at the start only: nobody would be served until it is found.
fn check_names(new: &[Place]) -> Result<(), Vec<String>> {
    let is_looked_up = |place: &&Place| match &place.address {
        Address::Tcp { host, .. } => {
            let is_numeric = host.contains('%') || host.parse::<IpAddr>().is_ok();
            !is_numeric && host != "localhost"
        }
        Address::Unix(_) => false,
    };
    let wrong = new.iter().filter(is_looked_up);
    let wrong: Vec<String> = wrong
        .map(|place| {
            format!("{place}: a name is looked up at the start only; write its address, or restart")
        })
        .collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong),
    }
}

/// Of two places that mean the same address, one has no listener of its own.
fn check_shared(kept: &[&Place], gone: &[&Place], all: &Listeners) -> Result<(), Vec<String>> {
    let has_own = |place: &Place| all.iter().any(|(_, l)| place.is_origin_of(l));
    let shared = kept.iter().find(|place| !has_own(place));
    match (shared, gone.first()) {
        (Some(place), Some(gone)) => Err(vec![format!(
            "{place} may share its listener with {gone}: to remove one of them, restart"
        )]),
        _ => Ok(()),
    }
}

fn explain(error: &io::Error, is_any_removed: bool) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse if is_any_removed => {
            format!(
                "{error}; an address that takes the place of one at the same port needs a restart"
            )
        }
        _ => error.to_string(),
    }
}

/// What has changed, for people.
fn changes(before: &[Flag], now: &[Flag]) -> Vec<String> {
    let pairs = now.iter().filter_map(|now| {
        let before = before.iter().find(|before| before.name == now.name)?;
        (before.value != now.value).then_some((before, now))
    });
    pairs
        .map(|(before, now)| {
            let restart = if now.is_live { "" } else { ": needs a restart" };
            format!("{}: {} -> {}{restart}", now.name, before.value, now.value)
        })
        .collect()
}

/// What has become of the password, for people, without the password.
fn password_change(before: Option<&Secret>, now: Option<&Secret>) -> Option<String> {
    let changed = match (before, now) {
        (None, None) => return None,
        (Some(before), Some(now)) if before.is(now) => return None,
        (Some(_), Some(_)) => "the password has changed: newcomers must say the new one",
        (None, Some(_)) => "newcomers are asked for the password",
        (Some(_), None) => "newcomers are not asked for a password any more",
    };
    Some(changed.into())
}

/// Which certificates are other ones now, for people.
fn certificate_changes(before: Option<&Tls>, now: Option<&Tls>) -> Vec<String> {
    let before = before.map_or(&[][..], |tls| &tls.certificates);
    let now = now.map_or(&[][..], |tls| &tls.certificates);
    let new = now.iter().filter(|it| !before.contains(it));
    new.map(ToString::to_string).collect()
}

/// Logs what has changed, by whichever level lets it be seen.
fn log(lines: &[String], before: Level, now: Level) {
    logging::set_level(before.max(now));
    for line in lines {
        tracing::info!("reload: {line}");
    }
    logging::set_level(now);
}
