//! Listening sockets that a service manager hands over (sd_listen_fds(3)): takes them, and says what each is for by its
//! name. Opens no socket; what the service manager is told is in `systemd`.

use crate::hub::Wire;
use listenfd::ListenFd;
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// As `--listen`.
    Chat,
    /// As `--listen-tls`.
    Tls,
    /// As `--listen-raw`.
    Raw,
    /// As `--metrics`.
    Metrics,
    /// As `--control`.
    Control,
}

/// A socket that was handed over.
#[derive(Debug)]
pub struct Handed {
    /// What it is for.
    pub purpose: Purpose,
    /// The socket.
    pub socket: HandedSocket,
}

/// Such a socket, by its family. It listens.
#[derive(Debug)]
pub enum HandedSocket {
    /// IPv4 or IPv6.
    Tcp(TcpListener),
    /// A path, or an abstract name.
    Unix(UnixListener),
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Chat => "chat",
            Purpose::Tls => "tls",
            Purpose::Raw => "raw",
            Purpose::Metrics => "metrics",
            Purpose::Control => "control",
        })
    }
}

impl Purpose {
    /// The purpose of a name. systemd calls a socket after its unit if the unit has no `FileDescriptorName=`, and one
    /// without a name `unknown`.
    fn of(name: &str) -> Option<Purpose> {
        match name {
            "chat" | "" | "unknown" => Some(Purpose::Chat),
            "tls" => Some(Purpose::Tls),
            "raw" => Some(Purpose::Raw),
            "metrics" => Some(Purpose::Metrics),
            "control" => Some(Purpose::Control),
            name => name.ends_with(".socket").then_some(Purpose::Chat),
        }
    }

    /// Whether those who connect are clients, and no operators or programs that look at metrics.
    pub fn is_for_clients(self) -> bool {
        matches!(self, Purpose::Chat | Purpose::Tls | Purpose::Raw)
    }

    /// What is spoken there, if it is lines.
    pub fn wire(self) -> Option<Wire> {
        match self {
            Purpose::Chat | Purpose::Tls => Some(Wire::Chat),
            Purpose::Raw => Some(Wire::Raw),
            Purpose::Control => Some(Wire::Control),
            Purpose::Metrics => None,
        }
    }
}

/// Takes all sockets that were handed over to this process: none if there is no service manager, or if they are another
/// process's. Call it once, before there are threads: the variables `LISTEN_FDS` and `LISTEN_PID` go.
///
/// # Errors
/// A socket cannot be used. The error names it and what the operator can do.
pub fn take() -> Result<Vec<Handed>, String> {
    let named = sd_notify::listen_fds_with_names()
        .map_err(|error| format!("the sockets from the service manager cannot be used: {error}"))?;
    if named.len() == 0 {
        return Ok(Vec::new());
    }
    let mut sockets = ListenFd::from_env();
    let handed = named.enumerate().map(|(index, (number, name))| {
        let what = format!("descriptor {number} from the service manager, named {name:?},");
        let Some(purpose) = Purpose::of(&name) else {
            return Err(format!(
                "{what} has an unknown purpose; write FileDescriptorName=chat, tls, raw, metrics or control in the socket unit"
            ));
        };
        let socket = socket(&mut sockets, index).map_err(|error| {
            format!(
                "{what} is not a TCP or Unix stream socket that listens ({error}); write ListenStream= and Accept=no in \
                 the socket unit"
            )
        })?;
        Ok(Handed { purpose, socket })
    });
    handed.collect()
}

/// The socket at an index, if it listens on TCP or on a Unix stream.
fn socket(sockets: &mut ListenFd, index: usize) -> io::Result<HandedSocket> {
    let tcp = sockets.take_tcp_listener(index);
    if let Ok(Some(socket)) = tcp {
        must_listen(&socket)?;
        return Ok(HandedSocket::Tcp(socket));
    }
    match sockets.take_unix_listener(index)? {
        Some(socket) => {
            must_listen(&socket)?;
            Ok(HandedSocket::Unix(socket))
        }
        None => Err(io::Error::other("it was taken already")),
    }
}

fn must_listen(socket: &impl AsFd) -> io::Result<()> {
    if SockRef::from(socket).is_listener()? {
        return Ok(());
    }
    Err(io::Error::other("it does not listen"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_purpose_and_unnamed_sockets_are_for_chat() {
        for purpose in [
            Purpose::Chat,
            Purpose::Tls,
            Purpose::Raw,
            Purpose::Metrics,
            Purpose::Control,
        ] {
            assert_eq!(Purpose::of(&purpose.to_string()), Some(purpose));
        }
        for unnamed in ["", "unknown", "madang.socket"] {
            assert_eq!(Purpose::of(unnamed), Some(Purpose::Chat));
        }
        assert_eq!(Purpose::of("chatt"), None);
    }
}
