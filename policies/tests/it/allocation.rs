//! A decision allocates nothing.

#![allow(unsafe_code, reason = "an allocator that counts is `unsafe` to write; it hands everything on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::net::Ipv4Addr;

use attest_core::token::verify::Verified;
use http::{HeaderMap, HeaderValue};
use policies::lists::Kind;
use policies::{Cause, List, Lists, Mode, RequestFacts, RouteContext, User};

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
    let mut lists = Lists::new();
    let far: String =
        (0..100_000_u32).map(|number| format!("{}/31\n", Ipv4Addr::from(0x0a00_0000 + number * 4))).collect();
    for (name, kind, text) in [
        ("far", Kind::Networks, far.as_str()),
        ("near", Kind::Networks, "192.0.2.0/24\n"),
        ("shelf", Kind::Paths, "/v1/**\n/*/9/x\n"),
        ("known", Kind::Devices, "d1\n"),
    ] {
        lists.insert(name, List::parse(kind, name, text).unwrap());
    }
    let callers = ["partner".to_owned()];
    for when in [
        "verdict: any, network: [{ list: far }, 198.51.100.0/24]",
        "verdict: any, network: { list: near }, path: { list: shelf }, percentage: 1, caller: partner",
        "verdict: attested, device: { list: known }",
        "verdict: attested, device_state: forced_pass, device_age: { min: 24h }, annotation: dev",
        "verdict: any, user: { issuer: i, claims: { role: [a, b], level: 3 } }, caller: any",
        "verdict: any, not: { network: { list: far }, path: { list: shelf } }, percentage: 50",
    ] {
        text.push_str(&format!("  - {{ name: w{}, when: {{ {when} }}, then: block, mode: monitor }}\n", text.len()));
    }
    let about = RouteContext {
        trusts_proxies: true,
        lists: &lists,
        callers: &callers,
        user: true,
        ..RouteContext::new("shop")
    };
    let policy = load(&text, &about);
    let claims = serde_json::json!({ "role": ["x", "b"], "level": 3 });
    let user = User { issuer: "i", subject: "u", claims: claims.as_object().unwrap() };
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
        for (mode, caller, user) in [
            (Mode::Normal, None, None),
            (Mode::Lockdown, Some("partner"), Some(user)),
            (Mode::Monitor(Cause::Guard), None, Some(user)),
        ] {
            let what = RequestFacts { mode, caller, user, ..facts(&target, &headers, false) };
            for who in &tokens {
                let cloned = who.clone();
                let count = allocations(|| drop(black_box(policy.decide(cloned, black_box(&what)))));
                assert_eq!(count, 0, "{path} {mode:?}");
                assert_eq!(allocations(|| _ = black_box(policy.judge(black_box(who), &what))), 0, "{path} {mode:?}");
            }
        }
    }
}
