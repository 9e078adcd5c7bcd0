//! The clear key, and the name it goes by. In: the bytes an operator passed. Out: an [`ApiKey`], which has no door but the
//! recipes; proven between: long enough to be a secret, no longer than a record holds. Whether a recipe can use it is asked
//! when it is sealed.

use std::fmt;

pub use recipes::SecretError;
use recipes::SecretInput;

/// An upstream API key in the clear, alive from taking it in to sealing it, and from unsealing to its first use: a key on
/// one line, or a PEM or JSON document of several.
///
/// Not `Clone`, `Display` or `Serialize`; `Debug` prints `[redacted]`; the memory is wiped when it is dropped.
pub struct ApiKey(SecretInput);

impl ApiKey {
    /// Shortest secret, in bytes. Below it the response guard would tell a guesser yes or no, and mask by accident.
    pub const MIN_BYTES: usize = SecretInput::MIN_BYTES;
    /// Longest secret, in bytes.
    pub const MAX_BYTES: usize = SecretInput::MAX_BYTES;

    /// Takes a secret as it comes from a file or a pipe: one line ending at the end is not part of it.
    ///
    /// # Errors
    /// Shorter than 16 bytes or longer than 8 KiB.
    pub fn parse(input: &[u8]) -> Result<Self, SecretError> {
        SecretInput::parse(input).map(Self)
    }

    /// The clear bytes, for the sealing and unsealing of this crate only.
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
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
    fn one_line_ending_is_not_part_of_the_secret() {
        for text in ["sk-0123456789abcdef", "sk-0123456789abcdef\n", "sk-0123456789abcdef\r\n"] {
            assert_eq!(ApiKey::parse(text.as_bytes()).unwrap().expose(), b"sk-0123456789abcdef");
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
