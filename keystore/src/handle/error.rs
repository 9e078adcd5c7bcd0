//! Why a key was not given out.

use recipes::{ApplyError, TokenError};

use crate::api_key::KeyName;
use crate::bounds::BoundViolation;

/// Why a key was not given out, or not put into a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The request breaks a bound of the key.
    #[error(transparent)]
    OutOfBounds(#[from] BoundViolation),
    /// An operator disabled it, for a while or until told otherwise.
    #[error("key \"{key}\" is disabled")]
    Disabled {
        /// Which key.
        key: KeyName,
    },
    /// There is no version to come.
    #[error("key \"{key}\" has no next version")]
    NoNext {
        /// Which key.
        key: KeyName,
    },
    /// A record did not open, though it did when the store was opened: memory was damaged.
    #[error("key \"{key}\" no longer unseals")]
    Unsealable {
        /// Which key.
        key: KeyName,
    },
    /// It was opened for another request.
    #[error("key \"{key}\" was opened for another request")]
    OtherRequest {
        /// Which key.
        key: KeyName,
    },
    /// Its tokens would be minted elsewhere, or where other roots vouch for.
    #[error("key \"{key}\" is bound to another token endpoint, or to other root certificates for it")]
    OtherEndpoint {
        /// Which key.
        key: KeyName,
    },
    /// The request has no place for it, or could not be signed. Often the client's fault.
    #[error("key \"{key}\": {why}")]
    NotApplied {
        /// Which key.
        key: KeyName,
        /// Why.
        why: ApplyError,
    },
    /// No token was minted with it.
    #[error("key \"{key}\": {why}")]
    NotMinted {
        /// Which key.
        key: KeyName,
        /// Why.
        why: TokenError,
    },
}
