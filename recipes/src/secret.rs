//! A secret as it is taken in. In: the bytes an operator passed. Out: a [`SecretInput`], wiped when dropped; proven
//! between: long enough to be a secret, and no longer than a record holds. Whether it is one that a recipe can use is for
//! [`crate::Recipe::credential`] to say.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::SecretError;

/// The clear bytes of a secret: a key on one line, or a PEM or JSON document of several. `Debug` prints `[redacted]`.
pub struct SecretInput(Zeroizing<Vec<u8>>);

impl SecretInput {
    /// Shortest secret, in bytes. Below it the response guard would tell a guesser yes or no, and mask by accident.
    pub const MIN_BYTES: usize = 16;
    /// Longest secret, in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Takes a secret as it comes from a file or a pipe: one line ending at the end is not part of it.
    ///
    /// # Errors
    /// Shorter than 16 bytes or longer than 8 KiB.
    pub fn parse(input: &[u8]) -> Result<Self, SecretError> {
        let line = input.strip_suffix(b"\n").unwrap_or(input);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.len() {
            len if len < Self::MIN_BYTES => Err(SecretError::TooShort { len }),
            len if len > Self::MAX_BYTES => Err(SecretError::TooLong { len }),
            _ => Ok(Self(Zeroizing::new(line.to_vec()))),
        }
    }

    /// The clear bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What the response guard has to know of a credential.
#[derive(Clone, Default)]
pub(crate) struct Secrets(pub(crate) Vec<Zeroizing<Vec<u8>>>);

impl Secrets {
    /// The secret itself.
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self::default().and(secret)
    }

    /// And this part or form of it. What is shorter than a secret can be is not one.
    pub(crate) fn and(mut self, part: &[u8]) -> Self {
        if part.len() >= SecretInput::MIN_BYTES {
            self.0.push(Zeroizing::new(part.to_vec()));
        }
        self
    }
}

/// A secret that goes into a request as it is: printable ASCII on one line.
pub(crate) fn text_secret(secret: &[u8]) -> Result<&str, SecretError> {
    if secret.iter().any(u8::is_ascii_control) {
        return Err(SecretError::ControlByte);
    }
    let text = std::str::from_utf8(secret).ok().filter(|text| text.is_ascii()).ok_or(SecretError::NotAscii)?;
    if text.trim() == text { Ok(text) } else { Err(SecretError::OuterSpace) }
}
