//! The client over the ABI. Comes in: what a request is bound to, and a gateway's answers. Goes out: outcomes,
//! reactions. Proven between: an outcome is handed over exactly once, whatever becomes of the client; nothing waits
//! inside a callback.

use std::ffi::{c_char, c_void};
use std::path::PathBuf;

use attest_client::{FetchError, Reaction, Token, blocking, reaction};

use crate::callback::User;
use crate::code::{self, Code};
use crate::device_key::{fault, waiting};
use crate::guard::guard;
use crate::input::{self, Bytes};
use crate::outcome::AssayOutcome;

/// `assay_client`.
pub struct AssayClient {
    pub(crate) client: blocking::Client,
    pub(crate) key_file: Option<PathBuf>,
}

/// `assay_fetched_fn`.
pub type FetchedFn = unsafe extern "C-unwind" fn(user: *mut c_void, outcome: *mut AssayOutcome);

/// Frees a client, without waiting.
///
/// # Safety
/// `client` is NULL, or was given out, not freed yet, and is used by nobody any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_client_free(client: *mut AssayClient) {
    let free = || {
        if !client.is_null() {
            // SAFETY: it came out of `Box::into_raw`, and the caller gives it back for the first time.
            drop(unsafe { Box::from_raw(client) });
        }
    };
    guard(|| (), free);
}

/// A token, waited for.
///
/// # Safety
/// `client` is NULL or alive; `bound_to` is NULL, or `count` entries can be read, and each one's bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_fetch_token(
    client: *const AssayClient,
    bound_to: *const Bytes,
    count: usize,
) -> *mut AssayOutcome {
    let fetch = || {
        // SAFETY: passed on from the caller's promise.
        let (client, values) = unsafe { (waiting(client)?, input::list(bound_to, count)) };
        let values = values.map_err(|_| fault("what the token is to be bound to can't be read"))?;
        if values.is_empty() {
            return client.client.fetch_token();
        }
        client.client.fetch_token_bound_to(&values.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    guard(AssayOutcome::panicked, || AssayOutcome::new(fetch())).into_handle()
}

/// A token, told later.
///
/// # Safety
/// As [`assay_fetch_token`]; `fetched` is NULL or as its type says, and may be called with `user` from any thread, once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_fetch_token_async(
    client: *const AssayClient,
    bound_to: *const Bytes,
    count: usize,
    fetched: Option<FetchedFn>,
    user: *mut c_void,
) -> i32 {
    let start = || {
        // SAFETY: passed on from the caller's promise.
        let (client, values) = unsafe { (input::handle(client)?, input::list(bound_to, count)?) };
        let teller = Teller(fetched.map(|fetched| (fetched, User::new(user, None))));
        client.client.fetch_token_then(&values.iter().map(Vec::as_slice).collect::<Vec<_>>(), move |outcome| {
            teller.tell(outcome);
        });
        Ok(())
    };
    guard(|| Err(Code::Panicked), start).err().unwrap_or(Code::Ok).number()
}

/// Whoever waits for an outcome: told once, at the latest when the client's threads end.
struct Teller(Option<(FetchedFn, User)>);

impl Teller {
    fn tell(mut self, outcome: Result<Token, FetchError>) {
        self.hand_over(outcome);
    }

    fn hand_over(&mut self, outcome: Result<Token, FetchError>) {
        let Some((fetched, user)) = self.0.take() else { return };
        let outcome = AssayOutcome::new(outcome).into_handle();
        // SAFETY: the app's function with the pointer that came with it; the outcome is the app's from here.
        user.call(|user| unsafe { fetched(user, outcome) });
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.hand_over(Err(FetchError::CutOff));
    }
}

/// What to do with a gateway's answer.
///
/// # Safety
/// `client` and `outcome` are NULL or alive; `body` is NULL or has `length` bytes; `retry_after` is NULL or
/// NUL-terminated; `wait_ms` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_react(
    client: *const AssayClient,
    outcome: *const AssayOutcome,
    http_status: i32,
    body: *const u8,
    length: usize,
    retry_after: *const c_char,
    wait_ms: *mut u64,
) -> i32 {
    let react = || {
        // SAFETY: passed on from the caller's promise.
        let (client, outcome) = unsafe { (input::handle(client).ok()?, input::handle(outcome).ok()?) };
        let status = u16::try_from(http_status).ok()?;
        // SAFETY: as above. A body that is too long to be a problem's, or NULL, has no code.
        let body = unsafe { input::bytes(body, length, MAX_PROBLEM) }.unwrap_or_default();
        let code = reaction::problem_code(&body);
        let reaction = client.client.on_response(outcome.token.as_ref()?, status, code.as_deref());
        // SAFETY: as above. What can't be read says nothing.
        let asked = unsafe { input::text(retry_after) }.ok();
        let wait = (reaction == Reaction::Wait).then(|| client.client.client().pause(asked.as_deref()));
        Some((reaction, wait))
    };
    let (reaction, wait) = guard(|| None, react).unwrap_or((Reaction::Deliver, None));
    if let (Some(wait), false) = (wait, wait_ms.is_null()) {
        // SAFETY: not NULL, writable by the caller's word.
        unsafe { wait_ms.write(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)) };
    }
    code::reaction(reaction)
}

/// Forgets one token, or all.
///
/// # Safety
/// `client` is NULL or alive, and so is `outcome`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_invalidate(client: *const AssayClient, outcome: *const AssayOutcome) -> i32 {
    let forget = || {
        // SAFETY: passed on from the caller's promise.
        let (client, outcome) = unsafe { (input::handle(client)?, outcome.as_ref()) };
        let done = match outcome {
            None => client.client.client().invalidate(None),
            // An outcome without a token has nothing to forget.
            Some(outcome) => outcome.token.as_ref().is_none_or(|token| client.client.client().invalidate(Some(token))),
        };
        if done { Ok(()) } else { Err(Code::TooOften) }
    };
    guard(|| Err(Code::Panicked), forget).err().unwrap_or(Code::Ok).number()
}

/// Another network.
///
/// # Safety
/// `client` is NULL or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_network_changed(client: *const AssayClient) -> i32 {
    // SAFETY: passed on from the caller's promise.
    let changed = || unsafe { input::handle(client) }.map(|client| client.client.client().network_changed());
    guard(|| Err(Code::Panicked), changed).err().unwrap_or(Code::Ok).number()
}

/// The longest body that a problem has.
const MAX_PROBLEM: usize = 16 * 1024;
