//! A small reply of the engine as a whole: its tokens put together. Not for what XREAD brings, which is handled entry by
//! entry.

use super::resp::{NESTING_MAX, Token};

/// Bytes and elements, together, of a reply that is kept as a whole. The largest is that of CLUSTER SLOTS.
pub const VALUE_SIZE_MAX: usize = 4 * 1024 * 1024;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A simple string or a bulk string.
    Text(Vec<u8>),
    /// An error, as the engine words it.
    Error(String),
    /// An integer.
    Integer(i64),
    /// Nothing.
    Null,
    /// An array.
    List(Vec<Value>),
}

impl Value {
    /// A text in UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(bytes) => str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// A list's elements; of anything else none.
    pub fn elements(&self) -> &[Value] {
        match self {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// A number, as such or as a text.
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Integer(number) => u64::try_from(*number).ok(),
            other => other.text()?.parse().ok(),
        }
    }
}

/// Puts tokens together.
#[derive(Debug, Default)]
pub struct Builder {
    /// Lists that are not complete, the outermost first, each with how many elements are to come. At most [`NESTING_MAX`].
    open: Vec<(Vec<Value>, usize)>,
    /// Bytes and elements so far.
    size: usize,
}

impl Builder {
    /// Takes the next token of a reply, found in these bytes; returns the reply if that was its last.
    ///
    /// # Errors
    /// The reply is larger than [`VALUE_SIZE_MAX`].
    pub fn take(&mut self, token: Token, bytes: &[u8]) -> Result<Option<Value>, TooLarge> {
        self.size += 1;
        let mut value = match token {
            Token::Text(range) => {
                self.size += range.len();
                Value::Text(bytes[range].to_vec())
            }
            Token::Error(range) => {
                self.size += range.len();
                Value::Error(String::from_utf8_lossy(&bytes[range]).into_owned())
            }
            Token::Integer(number) => Value::Integer(number),
            Token::Null => Value::Null,
            Token::Array(elements) if elements > 0 => {
                debug_assert!(self.open.len() < NESTING_MAX);
                // An engine may announce more than it sends.
                self.open
                    .push((Vec::with_capacity(elements.min(64)), elements));
                return self.check().map(|()| None);
            }
            Token::Array(_) => Value::List(Vec::new()),
        };
        self.check()?;
        while let Some((mut elements, left)) = self.open.pop() {
            elements.push(value);
            if left > 1 {
                self.open.push((elements, left - 1));
                return Ok(None);
            }
            value = Value::List(elements);
        }
        self.size = 0;
        Ok(Some(value))
    }

    fn check(&self) -> Result<(), TooLarge> {
        match self.size > VALUE_SIZE_MAX {
            true => Err(TooLarge),
            false => Ok(()),
        }
    }
}

/// A reply is larger than [`VALUE_SIZE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;
