//! How the client ended.

/// Why the client ended. Its exit status follows from this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The user left, or the server answered the end of standard input.
    Left,
    /// The user left, but this many lines were not sent.
    Unsent(usize),
    /// The connection was lost: why.
    Lost(String),
    /// The server is of another kind, or says nothing: why that is clear.
    Foreign(String),
    /// The server has refused something, or closed the connection for a reason. Standard error has the reason already.
    Refused,
    /// Standard output cannot be written: why.
    Unprinted(String),
    /// A signal, by its number.
    Signal(i32),
}
