//! A decision allocates nothing.

#![allow(unsafe_code, reason = "an allocator that counts is `unsafe` to write; it hands everything on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use attest_core::token::verify::Verified;
use http::{HeaderMap, HeaderValue};
use policies::RouteContext;

use crate::decide::{facts, load, target};
use crate::tokens::{GENUINE, Token};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches only a thread-local number without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `alloc` above, with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![1_u8; 64]))), 1);
}

#[test]
fn a_decision_allocates_nothing() {
    let mut text = String::from("default: block\nenforcement: { failed: 50, missing: 50, others: 100 }\nrules:\n");
    for number in 0..50 {
        text.push_str(&format!("  - {{ name: seen{number}, when: {{ verdict: any, not: {{ path: /x{number} }} }}, then: block, mode: monitor }}\n"));
        text.push_str(&format!("  - {{ name: path{number}, when: {{ verdict: any, path: [/v1/items/{number}, \"/v2/{number}/**\"], host: \"*.test\" }}, then: deprioritize }}\n"));
        text.push_str(&format!("  - {{ name: app{number}, when: {{ verdict: attested, app: app{number}, app_version: {{ min: \"3.{number}\" }} }}, then: allow }}\n"));
        text.push_str(&format!("  - {{ name: head{number}, when: {{ verdict: any, header: {{ X-Color: {{ prefix: c{number} }} }}, network: [10.{number}.0.0/16] }}, then: block }}\n"));
    }
    text.push_str("  - { name: genuine, when: { verdict: attested, tier: affirming, evidence: platform, not: { app: evil } }, then: allow }\n");
    let policy = load(&text, &RouteContext { trusts_proxies: true, ..RouteContext::new("shop") });
    let mut headers = HeaderMap::new();
    headers.insert("x-color", HeaderValue::from_static("blue"));
    let tokens = [
        Verified::missing(),
        GENUINE.verified(),
        Token { passed: false, ..GENUINE }.verified(),
        Token { ends_in: -100, ..GENUINE }.verified(),
    ];
    for path in ["/v1/items/7", "/v2/9/a/b/c/d/e/f/g/h/i/j", "/nothing"] {
        let target = target(path);
        let what = facts(&target, &headers, false);
        for who in &tokens {
            let who = who.clone();
            let count = allocations(|| drop(black_box(policy.decide(who, black_box(&what)))));
            assert_eq!(count, 0, "{path}");
        }
    }
}
