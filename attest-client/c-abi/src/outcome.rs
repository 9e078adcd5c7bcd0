//! What a fetch came to. Comes in: a token or an error. Goes out: a status, and text that ends with its outcome.
//! Proven between: the token's text is wiped when the outcome is freed, and shows up in no error text.

use std::ffi::c_char;
use std::time::Duration;

use attest_client::{FetchError, Status, Token};
use zeroize::Zeroizing;

use crate::code;
use crate::guard::guard;
use crate::input;

/// `assay_outcome`.
pub struct AssayOutcome {
    status: Status,
    pub(crate) token: Option<Token>,
    /// Its text and a NUL.
    text: Option<Zeroizing<Vec<u8>>>,
    /// A sentence and a NUL.
    error: Option<Vec<u8>>,
    retry_after: Duration,
}

impl AssayOutcome {
    pub(crate) fn new(fetched: Result<Token, FetchError>) -> Self {
        match fetched {
            Ok(token) => {
                let text = Zeroizing::new([token.as_str().as_bytes(), &[0]].concat());
                let error = (token.status() != Status::Success)
                    .then(|| terminated("an older token, because no new one could be had"));
                Self {
                    status: token.status(),
                    token: Some(token),
                    text: Some(text),
                    error,
                    retry_after: Duration::ZERO,
                }
            }
            Err(error) => Self {
                status: error.status(),
                token: None,
                text: None,
                error: Some(terminated(&error.to_string())),
                retry_after: error.retry_after().unwrap_or_default(),
            },
        }
    }

    pub(crate) fn panicked() -> Self {
        Self::new(Err(FetchError::Misuse("a fault inside the SDK".into())))
    }

    pub(crate) fn into_handle(self) -> *mut Self {
        Box::into_raw(Box::new(self))
    }
}

/// The text with a NUL; one inside (there is none in our own sentences) would end it early.
pub(crate) fn terminated(text: &str) -> Vec<u8> {
    text.bytes().filter(|byte| *byte != 0).chain([0]).collect()
}

/// The status; `INTERNAL_ERROR` for NULL.
///
/// # Safety
/// `outcome` is NULL or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_outcome_status(outcome: *const AssayOutcome) -> i32 {
    // SAFETY: passed on from the caller's promise.
    let status = || unsafe { input::handle(outcome) }.map_or(Status::InternalError, |outcome| outcome.status);
    code::status(guard(|| Status::InternalError, status))
}

/// The token's text, or NULL.
///
/// # Safety
/// `outcome` is NULL or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_outcome_token(outcome: *const AssayOutcome) -> *const c_char {
    // SAFETY: passed on from the caller's promise.
    unsafe { text(outcome, |outcome| outcome.text.as_deref()) }
}

/// What went wrong, or NULL.
///
/// # Safety
/// `outcome` is NULL or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_outcome_error(outcome: *const AssayOutcome) -> *const c_char {
    // SAFETY: passed on from the caller's promise.
    unsafe { text(outcome, |outcome| outcome.error.as_ref()) }
}

/// # Safety
/// `outcome` is NULL or alive.
unsafe fn text(outcome: *const AssayOutcome, which: impl FnOnce(&AssayOutcome) -> Option<&Vec<u8>>) -> *const c_char {
    // SAFETY: passed on from the caller's promise. The text lives in the outcome, which nothing changes.
    let found = || unsafe { outcome.as_ref() }.and_then(which).map_or(std::ptr::null(), |text| text.as_ptr().cast());
    guard(std::ptr::null, found)
}

/// How long the service asked to be left alone, in milliseconds.
///
/// # Safety
/// `outcome` is NULL or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_outcome_retry_after_ms(outcome: *const AssayOutcome) -> u64 {
    let asked = || {
        // SAFETY: passed on from the caller's promise.
        let asked = unsafe { outcome.as_ref() }.map_or(Duration::ZERO, |outcome| outcome.retry_after);
        u64::try_from(asked.as_millis()).unwrap_or(u64::MAX)
    };
    guard(|| 0, asked)
}

/// Wipes and frees.
///
/// # Safety
/// `outcome` is NULL, or was given out and not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_outcome_free(outcome: *mut AssayOutcome) {
    let free = || {
        if !outcome.is_null() {
            // SAFETY: it came out of `Box::into_raw`, and the caller gives it back for the first time.
            drop(unsafe { Box::from_raw(outcome) });
        }
    };
    guard(|| (), free);
}
