//! Platform Evidence over the ABI. Comes in: an app's function, and later its answer. Goes out: bytes for the request.
//! Proven between: each request takes one answer, on any thread, and says so to a second; it outlives its client, so
//! that a platform which answers late does no harm; one that never answers is given up with the fetch.

use std::ffi::{c_char, c_void};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attest_client::evidence::{Bound, EvidenceProvider};
use attest_core::evidence_kind::EvidenceKind;

use crate::callback::User;
use crate::code::Code;
use crate::guard::guard;
use crate::input;

/// `assay_available_fn`.
pub type AvailableFn = Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i32>;
/// `assay_evidence_fn`.
pub type EvidenceFn = unsafe extern "C-unwind" fn(user: *mut c_void, request: *mut AssayRequest);

type Answer = Result<Vec<u8>, String>;

/// `assay_request`: what is asked for, and whoever waits for the answer, until there is one.
pub struct AssayRequest {
    bound: Bound,
    asker: Mutex<Option<SyncSender<Answer>>>,
}

impl AssayRequest {
    fn answer(&self, answer: Answer) -> Code {
        match lock(&self.asker).take() {
            // The asker may have lost its patience.
            Some(asker) if asker.try_send(answer).is_ok() => Code::Ok,
            _ => Code::Answered,
        }
    }
}

/// How long an answer is waited for; set with the builder, asked at each request.
#[derive(Clone)]
pub(crate) struct Patience(Arc<Mutex<Duration>>);

impl Patience {
    pub(crate) fn new(patience: Duration) -> Self {
        Self(Arc::new(Mutex::new(patience)))
    }

    pub(crate) fn set(&self, patience: Duration) {
        *lock(&self.0) = patience;
    }

    /// Asks, by `ask` with the request that is its to free, and waits for the answer.
    fn wait_for(&self, bound: &Bound, ask: impl FnOnce(*mut AssayRequest) -> bool) -> Answer {
        let (tell, told) = sync_channel(1);
        let request = AssayRequest { bound: *bound, asker: Mutex::new(Some(tell)) };
        if !ask(Box::into_raw(Box::new(request))) {
            return Err("the callback failed".into());
        }
        let patience = *lock(&self.0);
        told.recv_timeout(patience).unwrap_or_else(|lost| match lost {
            RecvTimeoutError::Timeout => Err("the platform gave no answer in time".into()),
            RecvTimeoutError::Disconnected => Err("the request was freed without an answer".into()),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A platform that the app speaks for.
pub(crate) struct Platform {
    pub(crate) kind: EvidenceKind,
    pub(crate) available: AvailableFn,
    pub(crate) evidence: EvidenceFn,
    pub(crate) user: User,
    pub(crate) patience: Patience,
}

impl EvidenceProvider for Platform {
    fn kind(&self) -> EvidenceKind {
        self.kind
    }

    fn is_available(&self) -> bool {
        // SAFETY: the app's function with the pointer that it was set with, not released before `self` is dropped.
        self.available.is_none_or(|ask| self.user.call(|user| unsafe { ask(user) }).is_some_and(|answer| answer != 0))
    }

    fn evidence(&self, bound: &Bound) -> Result<Vec<u8>, String> {
        self.patience.wait_for(bound, |request| {
            // SAFETY: as above; the request is the app's from here.
            self.user.call(|user| unsafe { (self.evidence)(user, request) }).is_some()
        })
    }
}

/// T, 32 bytes that live as long as the request; NULL for NULL.
///
/// # Safety
/// `request` is NULL or not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_request_transcript(request: *const AssayRequest) -> *const u8 {
    // SAFETY: passed on from the caller's promise.
    let transcript =
        || unsafe { request.as_ref() }.map_or(std::ptr::null(), |request| request.bound.transcript.as_ptr());
    guard(std::ptr::null, transcript)
}

/// T without the device key, likewise.
///
/// # Safety
/// As [`assay_request_transcript`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_request_transcript_without_device_key(request: *const AssayRequest) -> *const u8 {
    let transcript = || {
        // SAFETY: passed on from the caller's promise.
        let request = unsafe { request.as_ref() };
        request.map_or(std::ptr::null(), |request| request.bound.transcript_without_device_key.as_ptr())
    };
    guard(std::ptr::null, transcript)
}

/// The platform's object for `request`.
///
/// # Safety
/// `request` is NULL or not freed yet; `data` is NULL or has `length` bytes that can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_evidence_complete(request: *const AssayRequest, data: *const u8, length: usize) -> i32 {
    // SAFETY: passed on from the caller's promise.
    answer(|| unsafe { Ok((input::handle(request)?, Ok(input::bytes(data, length, MAX_EVIDENCE)?))) })
}

/// There is no Evidence for `request`, and why.
///
/// # Safety
/// `request` is NULL or not freed yet; `what` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_evidence_fail(request: *const AssayRequest, what: *const c_char) -> i32 {
    // SAFETY: passed on from the caller's promise.
    answer(|| unsafe { Ok((input::handle(request)?, Err(input::text(what)?))) })
}

fn answer<'a>(read: impl FnOnce() -> Result<(&'a AssayRequest, Answer), Code>) -> i32 {
    let tell = || match read() {
        Ok((request, answer)) => request.answer(answer),
        Err(code) => code,
    };
    guard(|| Code::Panicked, tell).number()
}

/// Frees a request, answered or not.
///
/// # Safety
/// `request` is NULL, or was given out and not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_request_free(request: *mut AssayRequest) {
    let free = || {
        if !request.is_null() {
            // SAFETY: it came out of `Box::into_raw`, and the caller gives it back for the first time.
            drop(unsafe { Box::from_raw(request) });
        }
    };
    guard(|| (), free);
}

/// Room in the envelope for one piece, beside what else is in it.
const MAX_EVIDENCE: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Bound = Bound { transcript: [1; 32], transcript_without_device_key: [2; 32] };

    fn patience() -> Patience {
        Patience::new(Duration::from_secs(30))
    }

    #[test]
    fn a_second_answer_and_one_after_the_end_are_told_so() {
        let mut kept = std::ptr::null_mut();
        let answer = patience().wait_for(&BOUND, |request| {
            kept = request;
            // SAFETY: not freed yet, here and below.
            let request = unsafe { &*request };
            assert_eq!(request.answer(Ok(b"one".to_vec())), Code::Ok);
            assert_eq!(request.answer(Ok(b"two".to_vec())), Code::Answered);
            true
        });
        assert_eq!(answer, Ok(b"one".to_vec()));
        // SAFETY: as above; nobody waits any more.
        unsafe {
            assert_eq!(assay_evidence_complete(kept, std::ptr::null(), 0), Code::Answered.number());
            assay_request_free(kept);
        }
    }

    #[test]
    fn a_platform_that_never_answers_is_given_up_and_its_late_answer_told() {
        let mut kept = std::ptr::null_mut();
        let patience = Patience::new(Duration::from_millis(1));
        let answer = patience.wait_for(&BOUND, |request| {
            kept = request;
            true
        });
        assert!(answer.unwrap_err().contains("in time"));
        // SAFETY: not freed yet.
        unsafe {
            assert_eq!(assay_evidence_fail(kept, c"late".as_ptr()), Code::Answered.number());
            assay_request_free(kept);
        }
    }

    #[test]
    fn a_request_that_is_freed_unanswered_is_told_at_once() {
        let answer = patience().wait_for(&BOUND, |request| {
            // SAFETY: for the first time.
            unsafe { assay_request_free(request) };
            true
        });
        assert!(answer.unwrap_err().contains("freed"));
        let failed = patience().wait_for(&BOUND, |request| {
            // SAFETY: for the first time.
            unsafe { assay_request_free(request) };
            false
        });
        assert!(failed.unwrap_err().contains("failed"));
    }

    #[test]
    fn an_answer_from_another_thread_finds_its_request() {
        let answer = patience().wait_for(&BOUND, |request| {
            let request = request as usize;
            std::thread::spawn(move || {
                let request = request as *mut AssayRequest;
                // SAFETY: not freed yet, and then for the first time.
                unsafe {
                    assert_eq!(assay_evidence_complete(request, b"x".as_ptr(), 1), 0);
                    assay_request_free(request);
                }
            });
            true
        });
        assert_eq!(answer, Ok(b"x".to_vec()));
    }
}
