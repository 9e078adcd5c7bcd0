//! The library called wrongly: each wrong call has its code, and the next right one works.

use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut};

use assay_sdk::about::{assay_code_name, assay_status_name};
use assay_sdk::builder::*;
use assay_sdk::client::*;
use assay_sdk::code::Code;
use assay_sdk::device_key::*;
use assay_sdk::evidence::*;
use assay_sdk::outcome::*;
use proptest::prelude::*;

/// A builder for a service where nobody listens.
pub(crate) fn builder() -> *mut AssayBuilder {
    let mut builder = null_mut();
    let url = c"http://127.0.0.1:9/assay/v1".as_ptr();
    let code = unsafe { assay_builder_new(url, c"shop".as_ptr(), c"3.2.0".as_ptr(), &raw mut builder) };
    assert_eq!(code, Code::Ok.number());
    builder
}

pub(crate) fn client(builder: *mut AssayBuilder) -> *mut AssayClient {
    let (mut client, mut error) = (null_mut(), [0x55; 200]);
    let code = unsafe { assay_client_new(builder, &raw mut client, error.as_mut_ptr(), error.len()) };
    let error = unsafe { CStr::from_ptr(error.as_ptr()) };
    assert_eq!(code, 0, "{error:?}");
    assert!(error.is_empty());
    unsafe { assay_builder_free(builder) };
    client
}

/// The app's pointer is its builder, which it frees when it is told that the SDK is done with it.
unsafe extern "C-unwind" fn free_builder(user: *mut std::ffi::c_void) {
    unsafe { assay_builder_free(user.cast()) };
}

unsafe extern "C-unwind" fn no_evidence(_: *mut std::ffi::c_void, request: *mut AssayRequest) {
    unsafe { assay_request_free(request) };
}

#[test]
fn a_builder_may_be_freed_by_what_its_refused_settings_release() {
    let mut client = null_mut();
    let builder = builder();
    unsafe {
        let evidence = assay_builder_evidence(builder, 3, None, Some(no_evidence), Some(free_builder), builder.cast());
        assert_eq!(evidence, 0);
        assert_eq!(assay_builder_measure_library(builder, c"no/library.so".as_ptr()), 0);
        let code = assay_client_new(builder, &raw mut client, null_mut(), 0);
        assert_eq!(code, Code::BadSetting.number());
    }
    assert!(client.is_null());
}

#[test]
fn null_is_a_code_everywhere() {
    let null_pointer = Code::NullPointer.number();
    let text = c"x".as_ptr();
    unsafe {
        let mut made = null_mut();
        assert_eq!(assay_builder_new(null(), text, text, &raw mut made), null_pointer);
        assert_eq!(assay_builder_new(text, null(), text, &raw mut made), null_pointer);
        assert_eq!(assay_builder_new(text, text, text, null_mut()), null_pointer);
        assert!(made.is_null());
        assert_eq!(assay_builder_build_label(null_mut(), text), null_pointer);
        assert_eq!(assay_builder_device_fact(null_mut(), text, text), null_pointer);
        assert_eq!(assay_builder_storage(null_mut(), text), null_pointer);
        assert_eq!(assay_builder_measure_library(null_mut(), text), null_pointer);
        assert_eq!(assay_builder_trust_only(null_mut(), text.cast(), 1), null_pointer);
        assert_eq!(assay_builder_timeouts(null_mut(), 1, 1), null_pointer);
        assert_eq!(assay_builder_danger_plaintext(null_mut()), null_pointer);
        assert_eq!(assay_builder_device_key(null_mut(), None, None, None, null_mut()), null_pointer);
        assert_eq!(assay_builder_evidence(null_mut(), 1, None, None, None, null_mut()), null_pointer);
        assert_eq!(assay_client_new(null_mut(), null_mut(), null_mut(), 0), null_pointer);
        assert_eq!(assay_fetch_token_async(null(), null(), 0, None, null_mut()), null_pointer);
        assert_eq!(assay_invalidate(null(), null()), null_pointer);
        assert_eq!(assay_network_changed(null()), null_pointer);
        assert_eq!(assay_device_public_key(null(), null_mut()), null_pointer);
        assert_eq!(assay_sign(null(), null(), 0, null_mut()), null_pointer);
        assert_eq!(assay_evidence_complete(null(), null(), 0), null_pointer);
        assert_eq!(assay_evidence_fail(null(), text), null_pointer);
        assert!(assay_request_transcript(null()).is_null());
        assert!(assay_request_transcript_without_device_key(null()).is_null());
        assay_request_free(null_mut());
        assert_eq!(assay_react(null(), null(), 401, null(), 0, null(), null_mut()), 0);
        assert_eq!(assay_outcome_status(null()), 8);
        assert!(assay_outcome_token(null()).is_null() && assay_outcome_error(null()).is_null());
        assert_eq!(assay_outcome_retry_after_ms(null()), 0);
        for outcome in [
            assay_fetch_token(null(), null(), 0),
            assay_rotate_device_key(null()),
            assay_rotate_device_key_to(null(), None, None, None, null_mut()),
        ] {
            assert!(CStr::from_ptr(assay_outcome_error(outcome)).to_str().unwrap().contains("the client is NULL"));
            assay_outcome_free(outcome);
        }
        assay_builder_free(null_mut());
        assay_client_free(null_mut());
        assay_outcome_free(null_mut());
    }
}

#[test]
fn a_builder_refuses_what_it_can_not_use_and_stays_good() {
    let made = builder();
    let long = CString::new(vec![b'a'; 5000]).unwrap();
    unsafe {
        assert_eq!(assay_builder_build_label(made, null()), Code::NullPointer.number());
        assert_eq!(assay_builder_build_label(made, c"\xff\xfe".as_ptr()), Code::NotUtf8.number());
        assert_eq!(assay_builder_storage(made, long.as_ptr()), Code::TooLong.number());
        assert_eq!(assay_builder_timeouts(made, 0, 1), Code::BadValue.number());
        assert_eq!(assay_builder_timeouts(made, 1, u32::MAX), Code::BadValue.number());
        assert_eq!(assay_builder_trust_only(made, b"x".as_ptr(), usize::MAX), Code::TooLong.number());
        assert_eq!(assay_builder_trust_only(made, null(), 7), Code::NullPointer.number());
        assert_eq!(assay_builder_build_label(made, c"arm64".as_ptr()), 0);
        let built = client(made);
        assay_client_free(built);
    }
}

#[test]
fn a_spent_builder_and_settings_that_make_no_client_are_told() {
    unsafe {
        let made = builder();
        let folder = tempfile::tempdir().unwrap();
        let storage = CString::new(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(assay_builder_storage(made, storage.as_ptr()), 0);
        assert_eq!(assay_builder_storage(made, storage.as_ptr()), Code::BadValue.number(), "one key");
        let mut first = null_mut();
        assert_eq!(assay_client_new(made, &raw mut first, null_mut(), 0), 0);
        let mut second = null_mut();
        assert_eq!(assay_client_new(made, &raw mut second, null_mut(), 0), Code::Spent.number());
        assert!(second.is_null());
        assert_eq!(assay_builder_storage(made, storage.as_ptr()), Code::Spent.number());
        assert_eq!(assay_builder_build_label(made, c"x".as_ptr()), Code::Spent.number());
        assay_builder_free(made);
        assay_client_free(first);

        for (url, app) in [(c"http://far.example/v1", c"shop"), (c"nonsense", c"shop"), (c"https://a/", c"my shop")] {
            let mut made = null_mut();
            assert_eq!(assay_builder_new(url.as_ptr(), app.as_ptr(), c"1".as_ptr(), &raw mut made), 0);
            let (mut refused, mut error) = (null_mut(), [0x55 as c_char; 16]);
            assert_eq!(assay_client_new(made, &raw mut refused, error.as_mut_ptr(), 16), Code::BadSetting.number());
            assert!(refused.is_null());
            let error = CStr::from_ptr(error.as_ptr()).to_str().unwrap();
            assert!((1..16).contains(&error.len()), "{error:?}");
            assay_builder_free(made);
        }
    }
}

#[test]
fn lists_and_messages_beyond_their_bounds_are_refused() {
    unsafe {
        let built = client(builder());
        let fetch = assay_fetch_token(built, null(), 3);
        assert!(CStr::from_ptr(assay_outcome_error(fetch)).to_str().unwrap().contains("bound to"));
        assay_outcome_free(fetch);
        assert_eq!(assay_fetch_token_async(built, null(), usize::MAX, None, null_mut()), Code::NullPointer.number());
        let mut out = [0_u8; 65];
        assert_eq!(assay_sign(built, [7; 32].as_ptr(), 32, out.as_mut_ptr()), Code::BadValue.number());
        assert_eq!(assay_sign(built, out.as_ptr(), usize::MAX, out.as_mut_ptr()), Code::TooLong.number());
        assert_eq!(assay_sign(built, [7; 33].as_ptr(), 33, null_mut()), Code::NullPointer.number());
        assert_eq!(assay_sign(built, [7; 33].as_ptr(), 33, out.as_mut_ptr()), 0);
        assert_eq!(assay_device_public_key(built, out.as_mut_ptr()), 0);
        assert_eq!(out[0], 4);
        let rotated = assay_rotate_device_key(built);
        assert!(CStr::from_ptr(assay_outcome_error(rotated)).to_str().unwrap().contains("no storage"));
        assay_outcome_free(rotated);
        assay_client_free(built);
    }
}

#[test]
fn numbers_that_are_none_have_a_name_too() {
    for number in [-1, 12, i32::MAX, i32::MIN] {
        for name in [assay_code_name(number), assay_status_name(number)] {
            assert_eq!(unsafe { CStr::from_ptr(name) }, c"UNKNOWN");
        }
    }
}

proptest! {
    /// Whatever bytes come as strings, the answer is a code or a handle that can be freed.
    #[test]
    fn any_strings_make_a_builder_or_a_code(
        url in proptest::collection::vec(1_u8.., 0..60),
        app in proptest::collection::vec(1_u8.., 0..60),
        label in proptest::collection::vec(1_u8.., 0..60),
    ) {
        let [url, app, label] = [url, app, label].map(|bytes| CString::new(bytes).unwrap());
        unsafe {
            let (mut made, mut built, mut error) = (null_mut(), null_mut(), [0_i8; 64].map(|byte| byte as c_char));
            if assay_builder_new(url.as_ptr(), app.as_ptr(), c"1".as_ptr(), &raw mut made) == 0 {
                let _ = assay_builder_build_label(made, label.as_ptr());
                let code = assay_client_new(made, &raw mut built, error.as_mut_ptr(), error.len());
                prop_assert_eq!(code == 0, !built.is_null());
                prop_assert!(CStr::from_ptr(error.as_ptr()).to_str().is_ok());
            }
            assay_client_free(built);
            assay_builder_free(made);
        }
    }
}
