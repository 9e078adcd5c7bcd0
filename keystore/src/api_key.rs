//! The clear key, and the name it goes by. In: the bytes an operator typed. Out: an [`ApiKey`], which has no door but
//! the recipes of this crate; proven between: long enough to be a secret, short enough for a header, printable.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// An upstream API key in the clear, alive from taking it in to sealing it, and from unsealing to rendering it.
///
/// Not `Clone`, `Display` or `Serialize`; `Debug` prints `[redacted]`; the memory is wiped when it is dropped.
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Shortest secret, in bytes. Below it the response guard would tell a guesser yes or no, and mask by accident.
    pub const MIN_BYTES: usize = 16;
    /// Longest secret, in bytes: what servers commonly take as one header line.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Takes a secret as it comes from a file or a pipe: one line ending at the end is not part of it.
    ///
    /// # Errors
    /// Shorter than 16 bytes or longer than 8 KiB, or anything but printable ASCII inside: a line ending within would
    /// let the key write headers of its own.
    pub fn parse(input: &[u8]) -> Result<Self, SecretError> {
        let line = input.strip_suffix(b"\n").unwrap_or(input);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().any(|byte| byte.is_ascii_control()) {
            return Err(SecretError::ControlByte);
        }
        if !line.is_ascii() {
            return Err(SecretError::NotAscii);
        }
        if line.starts_with(b" ") || line.ends_with(b" ") {
            return Err(SecretError::OuterSpace);
        }
        match line.len() {
            len if len < Self::MIN_BYTES => Err(SecretError::TooShort { len }),
            len if len > Self::MAX_BYTES => Err(SecretError::TooLong { len }),
            // `from_utf8_lossy` of ASCII borrows: the one copy is the boxed one, which is wiped.
            _ => Ok(Self(SecretString::from(Box::<str>::from(String::from_utf8_lossy(line))))),
        }
    }

    /// The clear bytes, for the sealing and rendering of this crate only.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a secret was not taken. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Under 16 bytes.
    #[error("the secret has {len} bytes; at least {} are needed", ApiKey::MIN_BYTES)]
    TooShort {
        /// How many there were.
        len: usize,
    },
    /// Over 8 KiB.
    #[error("the secret has {len} bytes; at most {} are taken", ApiKey::MAX_BYTES)]
    TooLong {
        /// How many there were.
        len: usize,
    },
    /// A line ending, tab, NUL or other control byte.
    #[error("the secret contains a control byte (a line ending, tab or NUL); pass the key alone, on one line")]
    ControlByte,
    /// A byte over 0x7E.
    #[error("the secret contains a byte that is not ASCII; API keys are printable ASCII")]
    NotAscii,
    /// A space at either end, which header parsers drop.
    #[error("the secret begins or ends with a space; pass the key alone")]
    OuterSpace,
}

/// The name of a key in the store and in the configuration: 1 to 64 of `a-z 0-9 . _ -`, a letter or digit first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Parses a name.
    ///
    /// # Errors
    /// Any other character, an empty or over-long name.
    pub fn parse(text: &str) -> Result<Self, NotAKeyName> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let rest =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
        if first && rest && text.len() <= 64 { Ok(Self(text.to_owned())) } else { Err(NotAKeyName) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text is not the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a key has 1 to 64 of a-z, 0-9, '.', '_', '-', and begins with a letter or digit")]
pub struct NotAKeyName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_fifteen_bytes_and_takes_sixteen() {
        assert_eq!(ApiKey::parse(&[b'a'; 15]).unwrap_err(), SecretError::TooShort { len: 15 });
        assert!(ApiKey::parse(&[b'a'; 16]).is_ok());
    }

    #[test]
    fn refuses_over_eight_kibibytes() {
        assert!(ApiKey::parse(&vec![b'a'; 8192]).is_ok());
        assert_eq!(ApiKey::parse(&vec![b'a'; 8193]).unwrap_err(), SecretError::TooLong { len: 8193 });
    }

    #[test]
    fn refuses_control_bytes_line_endings_and_anything_but_ascii_inside() {
        for bad in [
            "sk-0123456789abc\r\nX-Evil: 1",
            "sk-0123456789\tabcdef",
            "sk-0123456789abc\0def",
            "sk-0123456789abcdef\n\n",
            "sk-0123456789abc\x7f",
        ] {
            assert_eq!(ApiKey::parse(bad.as_bytes()).unwrap_err(), SecretError::ControlByte, "{bad:?}");
        }
        assert_eq!(ApiKey::parse("sk-0123456789abcdé".as_bytes()).unwrap_err(), SecretError::NotAscii);
        assert_eq!(ApiKey::parse(b" sk-0123456789abcdef").unwrap_err(), SecretError::OuterSpace);
    }

    #[test]
    fn one_line_ending_is_not_part_of_the_secret() {
        for text in ["sk-0123456789abcdef", "sk-0123456789abcdef\n", "sk-0123456789abcdef\r\n"] {
            assert_eq!(ApiKey::parse(text.as_bytes()).unwrap().expose(), "sk-0123456789abcdef");
        }
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", ApiKey::parse(b"sk-0123456789abcdef").unwrap()), "[redacted]");
    }

    #[test]
    fn refuses_names_that_would_not_survive_a_shell_or_a_file() {
        for bad in ["", "-x", ".x", "Open", "a b", "a/b", "ключ", &"a".repeat(65)] {
            assert_eq!(KeyName::parse(bad), Err(NotAKeyName), "{bad:?}");
        }
        assert_eq!(KeyName::parse("openai-2.eu_west").unwrap().as_str(), "openai-2.eu_west");
    }
}
