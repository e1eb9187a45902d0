//! A change of what is kept, and how it is written as one line of fields: in the state file, and between the server and the
//! keeper. Knows neither.

#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

/// Longest kind, in bytes.
pub const KIND_BYTES_MAX: usize = 32;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 8192;
/// What is kept under a kind and a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What sort of entry it is: `ban`.
    pub kind: String,
    /// Which one of its kind.
    pub key: String,
    /// What is known of it.
    pub value: String,
}

/// A change of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// From now on this value is kept, whatever was before.
    Put {
        /// At least one lower-case letter or hyphen, at most [`KIND_BYTES_MAX`].
        kind: String,
        /// Not empty, at most [`KEY_BYTES_MAX`].
        key: String,
        /// At most [`VALUE_BYTES_MAX`].
        value: String,
    },
    /// From now on nothing is kept under this key.
    Remove {
        /// As for `Put`.
        kind: String,
        /// As for `Put`.
        key: String,
    },
}

impl Change {
    /// Whether it can be kept.
    ///
    /// # Errors
    /// A part is too long, or is no kind or no key. The text is for the operator.
    pub fn check(&self) -> Result<(), String> {
        let (kind, key, value) = match self {
            Change::Put { kind, key, value } => (kind, key, value.len()),
            Change::Remove { kind, key } => (kind, key, 0),
        };
        let is_kind = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        if kind.is_empty() || kind.len() > KIND_BYTES_MAX || !kind.bytes().all(is_kind) {
            return Err(format!("{kind:?} is no kind of entry"));
        }
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            let bytes = key.len();
            return Err(format!(
                "a key of {bytes} bytes cannot be kept; it must have 1 to {KEY_BYTES_MAX}"
            ));
        }
        if value > VALUE_BYTES_MAX {
            return Err(format!(
                "a text of {value} bytes is too long to be kept; shorten it to {VALUE_BYTES_MAX}"
            ));
        }
        Ok(())
    }

    /// Appends the change as fields, without a line end: `put`, kind, key, value; or `remove`, kind, key.
    pub fn write(&self, into: &mut String) {
        match self {
            Change::Put { kind, key, value } => write_fields(into, &["put", kind, key, value]),
            Change::Remove { kind, key } => write_fields(into, &["remove", kind, key]),
        }
    }

    /// Reads what [`write`](Change::write) has written; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Change> {
        let fields = parse_fields(text)?;
        match fields.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["put", kind, key, value] => Some(Change::Put {
                kind: kind.into(),
                key: key.into(),
                value: value.into(),
            }),
            ["remove", kind, key] => Some(Change::Remove {
                kind: kind.into(),
                key: key.into(),
            }),
            _ => None,
        }
    }
}

/// Appends fields with a TAB between two. TAB, LF, CR and the backslash in a field are escaped, so that each field is any
/// text, and all of them are one line.
pub fn write_fields(into: &mut String, fields: &[&str]) {
    for (nth, field) in fields.iter().enumerate() {
        if nth > 0 {
            into.push('\t');
        }
        for c in field.chars() {
            match c {
                '\\' => into.push_str("\\\\"),
                '\t' => into.push_str("\\t"),
                '\n' => into.push_str("\\n"),
                '\r' => into.push_str("\\r"),
                c => into.push(c),
            }
        }
    }
}

/// Reads what [`write_fields`] has written; `None` if it cannot have written that.
pub fn parse_fields(text: &str) -> Option<Vec<String>> {
    text.split('\t').map(unescape).collect()
}

fn unescape(field: &str) -> Option<String> {
    let mut text = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            '\n' | '\r' => return None,
            c => c,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Change {
        Change::Put {
            kind: "ban".into(),
            key: key.into(),
            value: value.into(),
        }
    }

    #[test]
    fn what_no_change_is_written_as_is_none() {
        for text in [
            "",
            "put\tban\tk",
            "put\tban\tk\tv\\x",
            "put\tban\tk\tv\\",
            "put\tban\tk\tv\n",
        ] {
            assert_eq!(Change::parse(text), None, "{text:?}");
        }
        assert_eq!(Change::parse("put\tban\tk\tv"), Some(put("k", "v")));
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        let error = put("k", &long).check().unwrap_err();
        assert!(
            error.contains("8193 bytes") && error.contains("8192"),
            "{error}"
        );
        assert!(put("", "v").check().unwrap_err().contains("0 bytes"));
        assert!(put(&long, "v").check().unwrap_err().contains("1 to 1024"));
        let (kind, key) = ("Ban\n".into(), "k".into());
        let error = Change::Remove { kind, key }.check().unwrap_err();
        assert_eq!(error, "\"Ban\\n\" is no kind of entry");
    }
}
