//! Templates of texts: how one is written, and how it is read back. Knows none of the texts.

use std::fmt;

/// Declares an enum of texts. Each variant has one template, from which it is written ([`fmt::Display`]) and by which it
/// is read back (`parse`, which tries the variants in order).
macro_rules! texts {
    (
        $(#[$attribute:meta])*
        pub enum $Name:ident {
            $(
                $(#[$doc:meta])*
                $Variant:ident { $($field:ident: $Type:ty),* } = $template:literal,
            )*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "a field is what stands in its place in the template")]
        pub enum $Name<'a> {
            $(
                $(#[$doc])*
                #[doc = concat!("`", $template, "`")]
                $Variant { $($field: $Type),* },
            )*
            /// Any other text.
            Other(&'a str),
        }

        impl fmt::Display for $Name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$Variant { $($field),* } => {
                        $(let $field = Field::shown($field);)*
                        write!(f, $template)
                    })*
                    Self::Other(text) => f.write_str(text),
                }
            }
        }

        impl<'a> $Name<'a> {
            /// Reads a text, given without its mark and its end.
            pub fn parse(text: &'a str) -> Self {
                $(
                    let mut _holes = Holes::new($template, text);
                    let read = '_read: {
                        $(let Some($field) = _holes.next().and_then(<$Type>::read) else {
                            break '_read None;
                        };)*
                        _holes.is_whole().then_some(Self::$Variant { $($field),* })
                    };
                    if let Some(read) = read {
                        return read;
                    }
                )*
                Self::Other(text)
            }

            /// The template of every variant, in order.
            #[cfg(test)]
            pub(super) const TEMPLATES: &'static [&'static str] = &[$($template),*];
        }
    };
}

/// A number for people, in groups of three digits: `18204` as `18,204`.
pub fn grouped(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What can stand in a template's place.
pub trait Field<'a>: Sized {
    /// How it is written.
    fn shown(self) -> impl fmt::Display;
    /// Reads it from all of `text`.
    fn read(text: &'a str) -> Option<Self>;
}

impl<'a> Field<'a> for &'a str {
    fn shown(self) -> impl fmt::Display {
        self
    }

    fn read(text: &'a str) -> Option<Self> {
        (!text.is_empty()).then_some(text)
    }
}

impl Field<'_> for u64 {
    fn shown(self) -> impl fmt::Display {
        grouped(self)
    }

    fn read(text: &str) -> Option<Self> {
        let number = text.replace(',', "").parse().ok()?;
        (grouped(number) == text).then_some(number)
    }
}

/// A number for programs and for people that write it again: without groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plain(pub u64);

impl Field<'_> for Plain {
    fn shown(self) -> impl fmt::Display {
        self.0
    }

    fn read(text: &str) -> Option<Self> {
        let number: u64 = text.parse().ok()?;
        (number.to_string() == text).then_some(Plain(number))
    }
}

impl Field<'_> for usize {
    fn shown(self) -> impl fmt::Display {
        grouped(self as u64)
    }

    fn read(text: &str) -> Option<Self> {
        u64::read(text).map(|number| number as usize)
    }
}

/// Reads a text by a template: what stands in the place of each `{field}`, in order. A field ends where the words after
/// it first occur.
pub struct Holes<'t, 'a> {
    /// What is left of each; `None` in place of the text when it does not fit.
    template: &'t str,
    text: Option<&'a str>,
}

impl<'t, 'a> Holes<'t, 'a> {
    /// Before the first field.
    pub fn new(template: &'t str, text: &'a str) -> Self {
        let words = template.split('{').next().unwrap_or_default();
        Holes {
            template: &template[words.len()..],
            text: text.strip_prefix(words),
        }
    }

    /// What stands in the place of the next field.
    #[allow(
        clippy::should_implement_trait,
        reason = "it reads fields as often as there are some"
    )]
    pub fn next(&mut self) -> Option<&'a str> {
        let (_, after) = self.template.split_once('}')?;
        let words = after.split('{').next().unwrap_or_default();
        self.template = &after[words.len()..];
        let text = self.text.take()?;
        let end = if words.is_empty() {
            text.len()
        } else {
            text.find(words)?
        };
        self.text = Some(&text[end + words.len()..]);
        Some(&text[..end])
    }

    /// Whether the text ended where the template did.
    pub fn is_whole(&self) -> bool {
        self.template.is_empty() && self.text == Some("")
    }
}
