//! Attacks: the strict JSON reader under tokens, envelopes and key sets.
//!
//! Holds: what it takes, serde_json takes and understands the same; printed and read again it is the same; and its limits
//! are limits.
#![no_main]

use assay_fuzz::same;
use attest_core::json::{Limits, parse_object};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some(([depth, members, rest @ ..], text)) = data.split_first_chunk::<3>() else { return };
    let max_bytes = if rest == &[0] { 64 } else { 65_536 };
    let limits = Limits { max_bytes, max_depth: usize::from(*depth), max_members: usize::from(*members) };
    let Ok(object) = parse_object(text, limits) else { return };
    assert!(text.len() <= max_bytes);
    let object = Value::Object(object);
    assert!(deepest(&object) <= limits.max_depth.min(100), "deeper than {}", limits.max_depth);
    assert!(members_of(&object) <= limits.max_members, "more than {} members", limits.max_members);
    let lenient: Value = serde_json::from_slice(text).expect("what the strict reader takes is JSON");
    assert_eq!(object, lenient);
    let printed = serde_json::to_vec(&object).expect("a value can be printed");
    let unbounded = Limits { max_bytes: usize::MAX, ..limits };
    let again = parse_object(&printed, unbounded).expect("what was printed can be read");
    assert!(same(&object, &Value::Object(again)));
});

fn deepest(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(deepest).max().unwrap_or(0),
        Value::Array(elements) => 1 + elements.iter().map(deepest).max().unwrap_or(0),
        _ => 0,
    }
}

fn members_of(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.len() + members.values().map(members_of).sum::<usize>(),
        Value::Array(elements) => elements.len() + elements.iter().map(members_of).sum::<usize>(),
        _ => 0,
    }
}
