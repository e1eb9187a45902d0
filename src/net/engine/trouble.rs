//! Errors of the engine: what they mean for what was asked, and in words for the operator, each told once. Opens no socket.

use std::time::{Duration, Instant};

/// The same trouble is told again after this time, if it lasts.
const TOLD_AGAIN: Duration = Duration::from_secs(60);
/// Characters of an engine's error that are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The engine has forgotten a script: it is sent again.
    SendScript,
    /// It passes: the engine is asked again after a pause. It has done nothing.
    TryAgain,
    /// Another server, or another connection, is needed.
    Reconnect,
    /// Nothing helps until an operator has done something.
    GiveUp,
}

/// What is to be done about an error, and what the operator is told.
pub fn judge(error: &str) -> (Remedy, String) {
    let shown: String = error.chars().take(SHOWN_CHARS_MAX).collect();
    let shown: String = shown
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let (code, rest) = shown.split_once(' ').unwrap_or((&shown, ""));
    let (remedy, advice) = match code {
        "NOSCRIPT" => (Remedy::SendScript, ""),
        "LOADING" => (Remedy::TryAgain, "it is still loading its data"),
        "OOM" => (
            Remedy::TryAgain,
            "it is out of memory: raise its maxmemory, or delete something",
        ),
        "MISCONF" => (
            Remedy::TryAgain,
            "it takes no writes, because it cannot save to its disk",
        ),
        "NOREPLICAS" => (
            Remedy::TryAgain,
            "it takes no writes, because it has too few replicas (min-replicas-to-write)",
        ),
        "BUSY" => (Remedy::TryAgain, "a script of somebody else keeps it busy"),
        "TRYAGAIN" | "ASK" => (
            Remedy::TryAgain,
            "keys are being moved to another server of the cluster",
        ),
        "CLUSTERDOWN" => (
            Remedy::TryAgain,
            "the cluster is down: a part of its slots is served by nobody",
        ),
        "MASTERDOWN" => (
            Remedy::Reconnect,
            "it is a replica that has lost its primary",
        ),
        "READONLY" => (Remedy::Reconnect, "it is a replica, and takes no writes"),
        "MOVED" => (
            Remedy::Reconnect,
            "keys have moved to another server of the cluster",
        ),
        "UNBLOCKED" => (Remedy::Reconnect, "it has ended a read that waited"),
        "NOAUTH" => (Remedy::GiveUp, "it asks for a password, and none is given"),
        "WRONGPASS" => (Remedy::GiveUp, "it refuses the password, or the user"),
        "NOPERM" => (Remedy::GiveUp, "its user may not do what madang needs"),
        "MISMATCH" => return (Remedy::GiveUp, mismatch(rest)),
        "TOOMANY" => return (Remedy::GiveUp, rest.to_owned()),
        "WRONGTYPE" => (
            Remedy::GiveUp,
            "another program uses the same keys: choose another prefix",
        ),
        _ if rest.contains("without any password configured") => {
            (Remedy::GiveUp, "a password is given, and it has none")
        }
        _ => (Remedy::Reconnect, "it refuses a command"),
    };
    match advice {
        "" => (remedy, shown),
        advice => (remedy, format!("{advice} ({shown})")),
    }
}

/// A cluster's nodes must agree.
fn mismatch(rest: &str) -> String {
    let mut words = rest.split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (what, theirs, ours) = (word(), word(), word());
    match what {
        "lanes" => format!(
            "--cluster-lanes {ours} is not what the cluster was begun with, which has {theirs}: start this node with as many"
        ),
        _ => format!(
            "this node writes format {ours}, and the cluster was begun with format {theirs}: all nodes need the same version"
        ),
    }
}

/// What is wrong with a certificate, as clients are told; but of their flags a node has only that for authorities.
pub fn untrusted(why: &str) -> String {
    let parts = why
        .split("; ")
        .filter(|part| !part.contains("--tls-fingerprint"));
    let parts: Vec<&str> = parts.collect();
    parts.join("; ").replace("--tls-ca", "--cluster-ca")
}

/// What an operator has been told last, so that the log does not repeat it at each try.
#[derive(Debug, Default)]
pub struct Told {
    last: Option<(String, Instant)>,
}

impl Told {
    /// Whether this is to be told now.
    pub fn is_news(&mut self, now: Instant, what: &str) -> bool {
        match &self.last {
            Some((last, at)) if last == what && now < *at + TOLD_AGAIN => false,
            _ => {
                self.last = Some((what.to_owned(), now));
                true
            }
        }
    }

    /// The trouble is over. Whether there was one.
    pub fn clear(&mut self) -> bool {
        self.last.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_do() {
        for (error, remedy, words) in [
            (
                "NOSCRIPT No matching script.",
                Remedy::SendScript,
                "NOSCRIPT",
            ),
            (
                "LOADING Redis is loading",
                Remedy::TryAgain,
                "loading its data",
            ),
            ("OOM command not allowed", Remedy::TryAgain, "maxmemory"),
            ("MISCONF Redis is configured", Remedy::TryAgain, "disk"),
            ("READONLY You can't write", Remedy::Reconnect, "replica"),
            ("MOVED 1 10.0.0.1:1", Remedy::Reconnect, "moved"),
            ("WRONGPASS invalid", Remedy::GiveUp, "refuses the password"),
            (
                "NOAUTH Authentication required.",
                Remedy::GiveUp,
                "none is given",
            ),
            (
                "ERR AUTH <password> called without any password configured for the default user.",
                Remedy::GiveUp,
                "it has none",
            ),
            (
                "MISMATCH lanes 16 8",
                Remedy::GiveUp,
                "--cluster-lanes 8 is not what the cluster was begun with, which has 16",
            ),
            ("MISMATCH format 1 2", Remedy::GiveUp, "same version"),
            ("WRONGTYPE Operation", Remedy::GiveUp, "another prefix"),
            ("ERR unknown command", Remedy::Reconnect, "unknown command"),
        ] {
            let (judged, text) = judge(error);
            assert_eq!(judged, remedy, "{error}");
            assert!(text.contains(words), "{text}");
        }
        let (_, text) = judge(&format!("ERR \u{1b}[2J\r\n{}", "x".repeat(9999)));
        assert!(text.len() < 300 && !text.contains(|c: char| c.is_control()));
    }

    #[test]
    fn only_flags_of_nodes_are_named() {
        let why = "no authority has signed it. --tls-ca FILE trusts it; if so, --tls-fingerprint 00 trusts it";
        let said = "no authority has signed it. --cluster-ca FILE trusts it";
        assert_eq!(untrusted(why), said);
    }

    #[test]
    fn the_same_trouble_is_told_once_a_minute() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!(told.is_news(now, "a") && !told.is_news(now, "a") && told.is_news(now, "b"));
        assert!(!told.is_news(now + TOLD_AGAIN / 2, "b") && told.is_news(now + TOLD_AGAIN, "b"));
        assert!(told.clear() && !told.clear());
    }
}
