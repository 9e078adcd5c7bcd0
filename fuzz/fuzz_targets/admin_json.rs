//! Attacks: bodies and queries of the admin API, as they arrive from anybody who holds a token.
//!
//! Holds: what is read, printed and read again is the same; a refusal is short, names at most a plain name, and is a problem
//! that this API has a row for.
#![no_main]

use attest_admin::{
    Code, Problem,
    strict::{self, MAX_BODY},
    types::{
        AuditVerify, BuildQuery, DeviceQuery, Enrol, Lift, Mark, NewBuild, NewRevocation, NewTestToken, NewToken, Retire,
        Rotate, SetBuild,
    },
};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

fuzz_target!(|data: &[u8]| {
    let Some((which, text)) = data.split_first() else { return };
    match which % 13 {
        0 => body::<NewBuild>(text),
        1 => body::<SetBuild>(text),
        2 => body::<Retire>(text),
        3 => body::<Mark>(text),
        4 => body::<Enrol>(text),
        5 => body::<Rotate>(text),
        6 => body::<NewRevocation>(text),
        7 => body::<Lift>(text),
        8 => body::<NewToken>(text),
        9 => body::<NewTestToken>(text),
        10 => body::<AuditVerify>(text),
        11 => query::<BuildQuery>(text),
        _ => query::<DeviceQuery>(text),
    }
});

fn body<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &[u8]) {
    match strict::body::<T>(text) {
        Ok(read) => {
            assert!(text.len() <= MAX_BODY);
            let printed = serde_json::to_vec(&read).expect("what was read can be printed");
            // Escapes may be longer than what they stand for: only what fits is read again.
            if printed.len() <= MAX_BODY {
                assert_eq!(strict::body::<T>(&printed).expect("what was printed can be read"), read);
            }
        }
        Err(problem) => refused(&problem),
    }
}

fn query<T: DeserializeOwned + Debug>(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Err(problem) = strict::query::<T>(text) {
        refused(&problem);
    }
}

fn refused(problem: &Problem) {
    assert!(matches!(problem.code, Code::Invalid | Code::TooLarge), "{problem:?}");
    let said = problem.to_string();
    assert!(said.len() < 400 && !said.chars().any(char::is_control), "{said:?}");
}
