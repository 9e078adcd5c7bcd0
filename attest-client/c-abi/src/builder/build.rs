//! From settings to a client. Comes in: a builder, and room for a sentence. Goes out: a client, or what can't be used.
//! Proven between: the sentence stays within its room and is whole text; the builder is spent.

use std::ffi::c_char;
use std::path::PathBuf;

use attest_client::{Builder, SoftwareKey};

use super::AssayBuilder;
use crate::client::AssayClient;
use crate::code::Code;
use crate::guard::guard;
use crate::outcome;

/// The client of these settings.
///
/// # Safety
/// `builder` is NULL, or alive and nobody else's meanwhile; `client` is NULL or can be written; `error` is NULL or has
/// room for `error_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_client_new(
    builder: *mut AssayBuilder,
    client: *mut *mut AssayClient,
    error: *mut c_char,
    error_size: usize,
) -> i32 {
    let make = || {
        if client.is_null() {
            return (Code::NullPointer, "client is NULL".to_owned());
        }
        // SAFETY: passed on from the caller's promise.
        let Some(builder) = (unsafe { builder.as_mut() }) else {
            return (Code::NullPointer, "builder is NULL".to_owned());
        };
        let Some(settings) = builder.builder.take() else {
            return (Code::Spent, "the builder has made its client".to_owned());
        };
        let key_file = builder.key_file.take();
        // From here on the builder is left alone: settings that can't be used release the app's pointers as they go, and
        // that may free it.
        match build(settings, key_file) {
            Ok(made) => {
                // SAFETY: not NULL, writable by the caller's word.
                unsafe { client.write(Box::into_raw(Box::new(made))) };
                (Code::Ok, String::new())
            }
            Err(refused) => refused,
        }
    };
    let (code, sentence) = guard(|| (Code::Panicked, "a fault inside the SDK".to_owned()), make);
    // SAFETY: passed on from the caller's promise.
    unsafe { tell(&sentence, error, error_size) };
    code.number()
}

fn build(mut settings: Builder, key_file: Option<PathBuf>) -> Result<AssayClient, (Code, String)> {
    let refused = |problem: String| (Code::BadSetting, problem);
    if let Some(file) = &key_file {
        settings = settings.device_key(SoftwareKey::in_file(file).map_err(|problem| refused(problem.to_string()))?);
    }
    let client = settings.build_blocking().map_err(|problem| refused(problem.to_string()))?;
    Ok(AssayClient { client, key_file })
}

/// Writes as much of `sentence` as there is room for, whole characters and a NUL.
///
/// # Safety
/// `out` is NULL or has room for `size` bytes.
unsafe fn tell(sentence: &str, out: *mut c_char, size: usize) {
    let Some(room) = size.checked_sub(1) else { return };
    if out.is_null() {
        return;
    }
    let cut = sentence.floor_char_boundary(room);
    let text = outcome::terminated(sentence.get(..cut).unwrap_or_default());
    // SAFETY: not NULL; `text` has at most `room` bytes and a NUL, which is what there is room for; it is our own memory,
    // so the two do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, text.len()) };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sentence_never_leaves_its_room_and_stays_text(sentence in ".{0,40}", size in 0_usize..64) {
            let mut out = vec![0x55_u8; 64];
            // SAFETY: `out` has at least `size` bytes.
            unsafe { tell(&sentence, out.as_mut_ptr().cast(), size) };
            prop_assert!(out[size..].iter().all(|byte| *byte == 0x55));
            if size > 0 {
                let text = std::ffi::CStr::from_bytes_until_nul(&out[..size]).unwrap().to_str().unwrap();
                prop_assert!(sentence.replace('\0', "").starts_with(text));
            }
        }
    }
}
