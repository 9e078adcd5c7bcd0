//! Tokens over the ABI: blocking, told later, offline, and what a gateway's answers do to them.

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use assay_sdk::builder::*;
use assay_sdk::client::*;
use assay_sdk::code::Code;
use assay_sdk::outcome::*;
use attest_core::verdict::Verdict;
use proptest::prelude::*;

use crate::misuse::{builder, client};
use crate::verifier::Verifier;

/// A client of `verifier`, for this test program.
pub(crate) fn client_of(verifier: &Verifier) -> *mut AssayClient {
    client(builder_of(verifier))
}

pub(crate) fn builder_of(verifier: &Verifier) -> *mut AssayBuilder {
    let url = std::ffi::CString::new(verifier.url.as_str()).unwrap();
    let mut made = null_mut();
    let code = unsafe { assay_builder_new(url.as_ptr(), c"shop".as_ptr(), c"3.2.0".as_ptr(), &raw mut made) };
    assert_eq!(code, 0);
    made
}

pub(crate) fn verifier() -> Verifier {
    Verifier::start(&[&std::env::current_exe().unwrap()])
}

/// Status, token and error of an outcome, which is freed.
pub(crate) fn read(outcome: *mut AssayOutcome) -> (i32, Option<String>, Option<String>) {
    let text =
        |text| (!std::ptr::eq(text, null())).then(|| unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned());
    unsafe {
        let read =
            (assay_outcome_status(outcome), text(assay_outcome_token(outcome)), text(assay_outcome_error(outcome)));
        assay_outcome_free(outcome);
        read
    }
}

#[test]
fn a_token_that_verifies_and_many_threads_that_share_it() {
    let verifier = verifier();
    let built = client_of(&verifier) as usize;
    let tokens: Vec<_> = std::thread::scope(|scope| {
        let fetching: Vec<_> = (0..8)
            .map(|_| scope.spawn(move || read(unsafe { assay_fetch_token(built as *const _, null(), 0) })))
            .collect();
        fetching.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (status, token, error) = &tokens[0];
    assert_eq!((*status, error), (0, &None));
    assert_eq!(verifier.verdict(token.as_ref().unwrap(), None), Verdict::Attested);
    assert!(tokens.iter().all(|other| other == &tokens[0]));
    assert_eq!(verifier.count(), 1);
    unsafe { assay_client_free(built as *mut _) };
}

/// A channel whose sending end is there for as long as a callback may use it.
fn channel<T: Send + 'static>() -> (&'static Sender<T>, Receiver<T>) {
    let (tell, told) = std::sync::mpsc::channel();
    (Box::leak(Box::new(tell)), told)
}

unsafe extern "C-unwind" fn tell(user: *mut c_void, outcome: *mut AssayOutcome) {
    let told = unsafe { &*user.cast::<Sender<usize>>() };
    let _ = told.send(outcome as usize);
}

fn wait_for(told: &Receiver<usize>) -> (i32, Option<String>, Option<String>) {
    read(told.recv_timeout(Duration::from_secs(30)).unwrap() as *mut AssayOutcome)
}

#[test]
fn an_outcome_is_told_later_and_exactly_once() {
    let verifier = verifier();
    let built = client_of(&verifier);
    let (tell_it, told) = channel::<usize>();
    let user = std::ptr::from_ref(tell_it).cast_mut().cast();
    assert_eq!(unsafe { assay_fetch_token_async(built, null(), 0, Some(tell), user) }, 0);
    let (status, token, _) = wait_for(&told);
    assert_eq!(status, 0);
    assert_eq!(verifier.verdict(&token.unwrap(), None), Verdict::Attested);
    // Nobody has to be told.
    assert_eq!(unsafe { assay_fetch_token_async(built, null(), 0, None, null_mut()) }, 0);
    unsafe { assay_client_free(built) };
    assert!(told.try_recv().is_err());
}

#[test]
fn an_outcome_is_told_also_when_the_client_is_freed_first() {
    // It takes the connection and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = std::ffi::CString::new(format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
    let mut made = null_mut();
    let (tell_it, told) = channel::<usize>();
    let user = std::ptr::from_ref(tell_it).cast_mut().cast();
    unsafe {
        assert_eq!(assay_builder_new(url.as_ptr(), c"shop".as_ptr(), c"1".as_ptr(), &raw mut made), 0);
        let built = client(made);
        assert_eq!(assay_fetch_token_async(built, null(), 0, Some(tell), user), 0);
        let _connection = listener.accept().unwrap();
        assay_client_free(built);
    }
    let (status, token, error) = wait_for(&told);
    assert_eq!((status, token), (8, None));
    assert!(error.unwrap().contains("cut off"));
}

/// Frees the client, and asks it to wait for itself, inside its own callback.
unsafe extern "C-unwind" fn wait_inside(user: *mut c_void, outcome: *mut AssayOutcome) {
    let (client, told) = unsafe { &*user.cast::<(usize, &Sender<usize>)>() };
    unsafe {
        assay_outcome_free(outcome);
        let inside = assay_fetch_token(*client as *const _, null(), 0);
        assay_client_free(*client as *mut _);
        let _ = told.send(inside as usize);
    }
}

#[test]
fn waiting_inside_a_callback_is_refused_and_freeing_there_is_fine() {
    let verifier = verifier();
    let built = client_of(&verifier);
    let (tell_it, told) = channel::<usize>();
    let user = Box::leak(Box::new((built as usize, tell_it)));
    let pointer = std::ptr::from_mut(user).cast();
    assert_eq!(unsafe { assay_fetch_token_async(built, null(), 0, Some(wait_inside), pointer) }, 0);
    let (status, token, error) = wait_for(&told);
    assert_eq!((status, token), (8, None));
    assert!(error.unwrap().contains("inside a callback"));
}

#[test]
fn offline_is_a_word_and_comes_at_once_while_it_is_held() {
    let made = builder();
    let built = unsafe {
        assert_eq!(assay_builder_timeouts(made, 1_000, 300), 0);
        client(made)
    };
    let (status, token, error) = read(unsafe { assay_fetch_token(built, null(), 0) });
    assert_eq!((status, token), (1, None));
    assert!(error.unwrap().contains("cannot be reached"));
    let started = std::time::Instant::now();
    for _ in 0..1_000 {
        assert_eq!(read(unsafe { assay_fetch_token(built, null(), 0) }).0, 1);
    }
    assert!(started.elapsed() < Duration::from_secs(1), "a loop in the app is no storm");
    assert_eq!(unsafe { assay_network_changed(built) }, 0);
    unsafe { assay_client_free(built) };
}

#[test]
fn reactions_are_those_of_the_answers_table() {
    let verifier = verifier();
    let built = client_of(&verifier);
    let outcome = unsafe { assay_fetch_token(built, null(), 0) };
    let react = |status, body: &str, retry_after: Option<&CStr>| {
        let mut wait = 0;
        let after = retry_after.map_or(null(), CStr::as_ptr);
        let reaction = unsafe { assay_react(built, outcome, status, body.as_ptr(), body.len(), after, &raw mut wait) };
        (reaction, wait)
    };
    assert_eq!(react(200, "", None).0, 0);
    assert_eq!(react(401, r#"{"code":"their own"}"#, None).0, 0);
    assert_eq!(react(-1, "", None).0, 0);
    assert_eq!(react(i32::MAX, "", None).0, 0);
    let (reaction, wait) = react(503, r#"{"code":"overloaded"}"#, Some(c"8"));
    assert_eq!(reaction, 3);
    assert!((8_000..=10_000).contains(&wait), "{wait}");
    assert!((60_000..=75_000).contains(&react(429, "", Some(c"99999999999")).1), "bounded");
    assert!((1_000..=1_250).contains(&react(429, "", Some(c"Wed, 21 Oct 2026 07:28:00 GMT")).1));
    assert_eq!(react(403, r#"{"code":"refused"}"#, None).0, 2);
    let next = unsafe { assay_fetch_token(built, null(), 0) };
    assert_eq!(verifier.count(), 2, "a new token after a refusal");
    assert_eq!(react(401, r#"{"code":"attestation_required"}"#, None).0, 1, "the old token: nothing to forget");
    assert_eq!(unsafe { assay_invalidate(built, next) }, 0);
    let _ = read(unsafe { assay_fetch_token(built, null(), 0) });
    assert_eq!(verifier.count(), 3);
    for _ in 0..5 {
        assert_eq!(unsafe { assay_invalidate(built, null()) }, 0);
    }
    assert_eq!(unsafe { assay_invalidate(built, null()) }, Code::TooOften.number());
    unsafe {
        assay_outcome_free(next);
        assay_outcome_free(outcome);
        assay_client_free(built);
    }
}

proptest! {
    /// Whatever answer comes, the reaction is one of the four, and a wait has its bounds.
    #[test]
    fn any_answer_has_a_reaction(
        status in prop_oneof![Just(401), Just(403), Just(429), Just(503), any::<i32>()],
        body in proptest::collection::vec(any::<u8>(), 0..200),
        after in proptest::collection::vec(1_u8.., 0..20),
    ) {
        static SHARED: std::sync::OnceLock<(usize, usize)> = std::sync::OnceLock::new();
        let (built, outcome) = *SHARED.get_or_init(|| {
            let built = client_of(&verifier());
            (built as usize, unsafe { assay_fetch_token(built, null(), 0) } as usize)
        });
        let after = std::ffi::CString::new(after).unwrap();
        let mut wait = u64::MAX;
        let (client, outcome) = (built as *const _, outcome as *const _);
        let reaction = unsafe {
            assay_react(client, outcome, status, body.as_ptr(), body.len(), after.as_ptr(), &raw mut wait)
        };
        prop_assert!((0..=3).contains(&reaction));
        prop_assert_eq!(reaction == 3, wait != u64::MAX);
        prop_assert!(reaction != 3 || wait <= 75_000);
    }
}
