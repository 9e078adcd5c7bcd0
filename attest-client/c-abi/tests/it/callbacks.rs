//! Functions of the app: a key in hardware, platform Evidence answered later, and each of them failing or panicking.

use std::ffi::c_void;
use std::ptr::null;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use assay_sdk::builder::*;
use assay_sdk::client::*;
use assay_sdk::code::Code;
use assay_sdk::device_key::*;
use assay_sdk::evidence::*;
use attest_client::{DeviceKey as _, SoftwareKey};
use attest_core::evidence_kind::EvidenceKind;
use attest_core::verdict::Verdict;

use crate::fetching::{builder_of, read, verifier};
use crate::misuse::{builder, client};

/// What the callbacks find behind their pointer. Made static by leaking: a callback may still run when its test is over.
struct App {
    key: SoftwareKey,
    fault: &'static str,
    asked: Mutex<Vec<[u8; 32]>>,
    released: AtomicUsize,
}

fn app(fault: &'static str) -> (&'static App, *mut c_void) {
    let app = &*Box::leak(Box::new(App {
        key: SoftwareKey::in_memory().unwrap(),
        fault,
        asked: Mutex::default(),
        released: AtomicUsize::new(0),
    }));
    (app, std::ptr::from_ref(app).cast_mut().cast())
}

fn of<'a>(user: *mut c_void) -> &'a App {
    unsafe { &*user.cast::<App>() }
}

/// As `SecKeyCopyExternalRepresentation` gives it: a point.
unsafe extern "C-unwind" fn public_key(user: *mut c_void, out: *mut u8, length: *mut usize) -> i32 {
    let point = of(user).key.public_key().unwrap();
    unsafe {
        out.copy_from_nonoverlapping(point.as_ptr(), point.len());
        length.write(point.len());
    }
    0
}

/// As Android Keystore gives it: DER.
unsafe extern "C-unwind" fn sign(
    user: *mut c_void,
    message: *const u8,
    length: usize,
    out: *mut u8,
    out_length: *mut usize,
) -> i32 {
    let app = of(user);
    let message = unsafe { std::slice::from_raw_parts(message, length) };
    match app.fault {
        "sign panics" => panic!("provoked"),
        "sign refuses" => return -25_308,
        "sign writes nonsense" => {
            unsafe { out_length.write(70) };
            return 0;
        }
        "sign lies about its length" => {
            unsafe { out_length.write(usize::MAX) };
            return 0;
        }
        _ => {}
    }
    let raw = match message.try_into() {
        Ok(transcript) => app.key.sign(transcript).unwrap(),
        Err(_) => app.key.sign_message(message).unwrap(),
    };
    let der = to_der(&raw);
    unsafe {
        out.copy_from_nonoverlapping(der.as_ptr(), der.len());
        out_length.write(der.len());
    }
    0
}

fn to_der(raw: &[u8; 64]) -> Vec<u8> {
    let number = |digits: &[u8]| {
        let start = digits.iter().position(|digit| *digit != 0).unwrap();
        let sign = if digits[start] >= 0x80 { vec![0] } else { Vec::new() };
        let digits = [sign, digits[start..].to_vec()].concat();
        [vec![2, u8::try_from(digits.len()).unwrap()], digits].concat()
    };
    let body = [number(&raw[..32]), number(&raw[32..])].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
}

unsafe extern "C-unwind" fn release(user: *mut c_void) {
    of(user).released.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C-unwind" fn available(user: *mut c_void) -> i32 {
    if of(user).fault == "available panics" {
        panic!("provoked");
    }
    i32::from(of(user).fault != "not available")
}

/// Answers from another thread, as a platform's completion handler does.
unsafe extern "C-unwind" fn evidence(user: *mut c_void, request: *mut AssayRequest) {
    let app = of(user);
    let (transcript, without) = unsafe {
        let without = assay_request_transcript_without_device_key(request);
        (assay_request_transcript(request).cast::<[u8; 32]>().read(), without.cast::<[u8; 32]>().read())
    };
    app.asked.lock().unwrap().push(transcript);
    assert_ne!(transcript, without);
    match app.fault {
        "evidence panics" => panic!("provoked"),
        "evidence never comes" => return,
        "evidence is freed" => return unsafe { assay_request_free(request) },
        _ => {}
    }
    let (request, fails) = (request as usize, app.fault == "evidence fails");
    std::thread::spawn(move || unsafe {
        let request = request as *mut AssayRequest;
        let code = if fails {
            assay_evidence_fail(request, c"quota".as_ptr())
        } else {
            assert_eq!(assay_evidence_complete(request, null(), 1), Code::NullPointer.number());
            assert_eq!(assay_evidence_complete(request, b"x".as_ptr(), 64 * 1024), Code::TooLong.number());
            assay_evidence_complete(request, b"verdict".as_ptr(), 7)
        };
        assert_eq!(code, 0);
        // By now the client may be gone.
        assert_eq!(assay_evidence_complete(request, null(), 0), Code::Answered.number());
        assay_request_free(request);
    });
}

#[test]
fn a_hardware_key_in_its_own_forms_signs_and_is_released_once() {
    let verifier = verifier();
    let (app, user) = app("");
    let made = builder_of(&verifier);
    unsafe {
        assert_eq!(assay_builder_device_key(made, Some(public_key), Some(sign), Some(release), user), 0);
        assert_eq!(
            assay_builder_device_key(made, Some(public_key), Some(sign), None, user),
            Code::BadValue.number(),
            "one key"
        );
        let built = client(made);
        let (status, token, error) = read(assay_fetch_token(built, null(), 0));
        assert_eq!((status, error), (0, None));
        assert_eq!(verifier.verdict(&token.unwrap(), None), Verdict::Attested);
        let request = verifier.last_request();
        assert_eq!(*request.device_key.as_bytes(), app.key.public_key().unwrap());
        let message = [9; 100];
        let mut signature = [0; 64];
        assert_eq!(assay_sign(built, message.as_ptr(), message.len(), signature.as_mut_ptr()), 0);
        request.device_key.verify_message(&message, &signature).unwrap();

        let (next, next_user) = self::app("");
        let (status, token, _) =
            read(assay_rotate_device_key_to(built, Some(public_key), Some(sign), Some(release), next_user));
        assert_eq!(status, 0);
        assert_eq!(verifier.verdict(&token.unwrap(), None), Verdict::Attested);
        let previous = verifier.last_request().previous.unwrap();
        assert_eq!(*previous.device_key.as_bytes(), app.key.public_key().unwrap());
        assert_eq!(app.released.load(Ordering::SeqCst), 1, "the old key is done with");
        assert_eq!(next.released.load(Ordering::SeqCst), 0);
        assay_client_free(built);
    }
}

#[test]
fn a_hardware_key_that_fails_or_panics_is_a_status_and_no_more() {
    for (fault, told) in [
        ("sign panics", "its callback failed"),
        ("sign refuses", "its callback returned -25308"),
        ("sign writes nonsense", "neither r || s nor DER"),
        ("sign lies about its length", "wrote too much"),
    ] {
        let verifier = verifier();
        let (_, user) = app(fault);
        let made = builder_of(&verifier);
        unsafe {
            assert_eq!(assay_builder_device_key(made, Some(public_key), Some(sign), Some(release), user), 0);
            let built = client(made);
            let (status, token, error) = read(assay_fetch_token(built, null(), 0));
            assert_eq!((status, token), (8, None), "{fault}");
            assert!(error.as_ref().unwrap().contains(told), "{fault}: {error:?}");
            let mut out = [0; 64];
            assert_eq!(assay_sign(built, [1; 40].as_ptr(), 40, out.as_mut_ptr()), Code::KeyFailed.number());
            assay_client_free(built);
        }
        assert_eq!(verifier.count(), 0);
    }
}

#[test]
fn evidence_is_made_over_the_transcript_and_answered_later() {
    let verifier = verifier();
    let (app, user) = app("");
    let made = builder_of(&verifier);
    unsafe {
        assert_eq!(assay_builder_evidence(made, 3, Some(available), Some(evidence), Some(release), user), 0);
        let built = client(made);
        let (status, _, error) = read(assay_fetch_token(built, null(), 0));
        assert_eq!((status, error), (0, None));
        let request = verifier.last_request();
        assert_eq!(request.evidence(EvidenceKind::PlayIntegrity), Some(&b"verdict"[..]));
        assert_eq!(app.asked.lock().unwrap()[0], *request.transcript(crate::verifier::KEY_SET).as_bytes());
        assay_client_free(built);
    }
}

#[test]
fn evidence_that_fails_panics_or_never_comes_is_a_status_and_what_is_not_available_is_not_asked() {
    for (fault, told) in [
        ("evidence fails", Some("quota")),
        ("evidence panics", Some("the callback failed")),
        ("evidence is freed", Some("freed without an answer")),
        ("evidence never comes", Some("in time")),
        ("not available", None),
        ("available panics", None),
    ] {
        let verifier = verifier();
        let (app, user) = app(fault);
        let made = builder_of(&verifier);
        unsafe {
            // The patience of the fetch is longer than it has to be for the others, so only "never comes" waits.
            let patience = if fault == "evidence never comes" { 300 } else { 20_000 };
            assert_eq!(assay_builder_timeouts(made, 10_000, patience), 0);
            assert_eq!(assay_builder_evidence(made, 1, Some(available), Some(evidence), Some(release), user), 0);
            let built = client(made);
            let (status, token, error) = read(assay_fetch_token(built, null(), 0));
            match told {
                None => {
                    assert_eq!((status, token.is_some()), (0, true), "{fault}");
                    assert_eq!(verifier.last_request().evidence(EvidenceKind::AppleAppAttest), None);
                    assert!(app.asked.lock().unwrap().is_empty());
                }
                Some(_) if fault == "evidence never comes" => assert!(status == 8 || status == 2, "{error:?}"),
                Some(told) => {
                    assert_eq!((status, token), (8, None), "{fault}");
                    assert!(error.unwrap().contains(told), "{fault}");
                }
            }
            assay_client_free(built);
        }
    }
}

#[test]
fn kinds_that_are_none_and_functions_that_are_null_are_codes() {
    let made = builder();
    let (app, user) = app("");
    unsafe {
        for kind in [-1, 0, 5, i32::MAX] {
            let code = assay_builder_evidence(made, kind, None, Some(evidence), Some(release), user);
            assert_eq!(code, Code::BadValue.number());
        }
        let code = assay_builder_evidence(made, 3, None, None, Some(release), user);
        assert_eq!(code, Code::NullPointer.number());
        assert_eq!(app.released.load(Ordering::SeqCst), 0, "never taken");
        assert_eq!(assay_builder_evidence(made, 3, None, Some(evidence), Some(release), user), 0);
        assay_builder_free(made);
    }
    assert_eq!(app.released.load(Ordering::SeqCst), 1, "taken, and never used");
}
