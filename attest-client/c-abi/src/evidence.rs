//! Platform Evidence over the ABI. Comes in: an app's function, and later its answer. Goes out: bytes for the request.
//! Proven between: each request has a number of its own and one answer; one that comes late, twice or unasked is told
//! so; a platform that never answers is given up with the fetch.

use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attest_client::evidence::{Bound, EvidenceProvider};
use attest_core::evidence_kind::EvidenceKind;

use crate::callback::User;
use crate::client::AssayClient;
use crate::code::Code;
use crate::guard::guard;
use crate::input;

/// `assay_available_fn`.
pub type AvailableFn = Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i32>;
/// `assay_evidence_fn`.
pub type EvidenceFn = unsafe extern "C-unwind" fn(
    user: *mut c_void,
    request: u64,
    transcript: *const u8,
    transcript_without_device_key: *const u8,
);

type Answer = Result<Vec<u8>, String>;

/// Requests that wait for the app's answer.
pub(crate) struct Requests {
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, SyncSender<Answer>>>,
    patience: Mutex<Duration>,
}

impl Requests {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { last: AtomicU64::new(0), waiting: Mutex::default(), patience: Mutex::new(patience) }
    }

    pub(crate) fn wait_for(&self, patience: Duration) {
        *lock(&self.patience) = patience;
    }

    /// Asks, by `ask` with the request's number, and waits for the answer.
    fn put(&self, ask: impl FnOnce(u64) -> bool) -> Answer {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (tell, told) = sync_channel(1);
        lock(&self.waiting).insert(number, tell);
        let asked = ask(number);
        let patience = *lock(&self.patience);
        let answer = if asked { told.recv_timeout(patience).ok() } else { Some(Err("the callback failed".into())) };
        lock(&self.waiting).remove(&number);
        answer.unwrap_or_else(|| Err("the platform gave no answer in time".into()))
    }

    fn answer(&self, number: u64, answer: Answer) -> Code {
        match lock(&self.waiting).remove(&number) {
            // The asker may have lost its patience in this very moment.
            Some(asker) if asker.try_send(answer).is_ok() => Code::Ok,
            _ => Code::UnknownRequest,
        }
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
    pub(crate) requests: Arc<Requests>,
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
        let (with, without) = (bound.transcript.as_ptr(), bound.transcript_without_device_key.as_ptr());
        self.requests.put(|number| {
            // SAFETY: as above; both arrays have 32 bytes and live until the call returns.
            self.user.call(|user| unsafe { (self.evidence)(user, number, with, without) }).is_some()
        })
    }
}

/// The platform's object for `request`.
///
/// # Safety
/// `client` is NULL or alive; `data` is NULL or has `length` bytes that can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_evidence_complete(
    client: *const AssayClient,
    request: u64,
    data: *const u8,
    length: usize,
) -> i32 {
    // SAFETY: passed on from the caller's promise.
    answer(|| unsafe { Ok((input::handle(client)?, Ok(input::bytes(data, length, MAX_EVIDENCE)?))) }, request)
}

/// There is no Evidence for `request`, and why.
///
/// # Safety
/// `client` is NULL or alive; `what` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_evidence_fail(client: *const AssayClient, request: u64, what: *const c_char) -> i32 {
    // SAFETY: passed on from the caller's promise.
    answer(|| unsafe { Ok((input::handle(client)?, Err(input::text(what)?))) }, request)
}

fn answer<'a>(read: impl FnOnce() -> Result<(&'a AssayClient, Answer), Code>, request: u64) -> i32 {
    let tell = || match read() {
        Ok((client, answer)) => client.requests.answer(request, answer),
        Err(code) => code,
    };
    guard(|| Code::Panicked, tell).number()
}

/// Room in the envelope for one piece, beside what else is in it.
const MAX_EVIDENCE: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_late_twice_or_unasked_is_told_so() {
        let requests = Requests::new(Duration::from_secs(5));
        let mut number = 0;
        let answer = requests.put(|given| {
            number = given;
            assert_eq!(requests.answer(given, Ok(b"one".to_vec())), Code::Ok);
            assert_eq!(requests.answer(given, Ok(b"two".to_vec())), Code::UnknownRequest);
            true
        });
        assert_eq!(answer, Ok(b"one".to_vec()));
        assert_eq!(requests.answer(number, Ok(Vec::new())), Code::UnknownRequest);
        assert_eq!(requests.answer(99, Ok(Vec::new())), Code::UnknownRequest);
    }

    #[test]
    fn a_platform_that_never_answers_is_given_up() {
        let requests = Requests::new(Duration::from_millis(1));
        assert!(requests.put(|_| true).unwrap_err().contains("in time"));
        assert!(requests.put(|_| false).unwrap_err().contains("failed"));
        assert!(lock(&requests.waiting).is_empty());
    }

    #[test]
    fn answers_on_another_thread_find_their_request() {
        let requests = Arc::new(Requests::new(Duration::from_secs(30)));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let requests = Arc::clone(&requests);
                scope.spawn(move || {
                    let answer = requests.put(|number| {
                        let requests = Arc::clone(&requests);
                        std::thread::spawn(move || requests.answer(number, Ok(number.to_be_bytes().to_vec())));
                        true
                    });
                    assert_eq!(answer.unwrap().len(), 8);
                });
            }
        });
        assert_eq!(requests.last.load(Ordering::Relaxed), 8);
    }
}
