//! In: the file of the gateways' bearer token. Out: a comparison. What is proven: a presented token equals the one in
//! the file, found out in constant time; where no file is configured, no token is the right one.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The least a gateway token may be.
const MIN_BYTES: usize = 16;

/// What gateways have to show. Kept as its hash: lengths compare in constant time too.
pub(crate) struct GatewayToken(Option<[u8; 32]>);

/// Why the gateway token can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayTokenError {
    /// The file can't be read.
    #[error("cannot read the gateway token {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The token can be guessed.
    #[error("the gateway token {} has {bytes} bytes: {MIN_BYTES} are the least", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its bytes, line end aside.
        bytes: usize,
    },
}

impl GatewayToken {
    /// The token of `file`, white space around it aside; without a file, one that nobody can show.
    ///
    /// # Errors
    /// `Unreadable` and `TooShort`, naming the file.
    pub(crate) fn from_file(file: Option<&Path>) -> Result<Self, GatewayTokenError> {
        let Some(path) = file else { return Ok(Self(None)) };
        let text = fs::read(path)
            .map(Zeroizing::new)
            .map_err(|source| GatewayTokenError::Unreadable { path: path.to_owned(), source })?;
        let token = text.trim_ascii();
        if token.len() < MIN_BYTES {
            return Err(GatewayTokenError::TooShort { path: path.to_owned(), bytes: token.len() });
        }
        Ok(Self(Some(hash(token))))
    }

    /// Whether `presented` is the token.
    pub(crate) fn is(&self, presented: &[u8]) -> bool {
        self.0.is_some_and(|known| known.ct_eq(&hash(presented)).into())
    }
}

impl fmt::Debug for GatewayToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("GatewayToken([redacted])")
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest(&SHA256, token).as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_no_token_is_right() {
        let none = GatewayToken::from_file(None).unwrap();
        assert!(!none.is(b"") && !none.is(b"anything"));
    }

    #[test]
    fn refuses_a_short_token_and_an_absent_file_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "short\n").unwrap();
        let refused = GatewayToken::from_file(Some(file.path())).unwrap_err();
        assert!(matches!(refused, GatewayTokenError::TooShort { bytes: 5, .. }), "{refused}");
        let refused = GatewayToken::from_file(Some(Path::new("/nonexistent/token"))).unwrap_err();
        assert!(refused.to_string().contains("/nonexistent/token"));
    }

    #[test]
    fn only_the_whole_token_is_right() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a token of some length\n").unwrap();
        let token = GatewayToken::from_file(Some(file.path())).unwrap();
        assert!(token.is(b"a token of some length"));
        assert!(!token.is(b"a token of some lengt") && !token.is(b"a token of some length\n") && !token.is(b""));
    }
}
