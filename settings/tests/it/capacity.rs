//! Seats, queues, streams, records and the guard: bounds and defaults, refusals first.

use std::time::Duration;

use settings::{AdaptiveLimit, Concurrency, GuardSettings, Queue};

use crate::folder::{Folder, with};

fn upstream(fields: &str) -> String {
    with("    concurrency: 100\n", &format!("    {fields}\n"))
}

#[test]
fn an_adaptive_limit_has_bounds_that_leave_room() {
    let folder = Folder::new();
    let adaptive = |fields: &str| upstream(&format!("concurrency: {{ adaptive: {{ {fields} }} }}"));
    folder.refuses(adaptive("min: 0"), "out_of_bounds", "0 is not \"unlimited\"");
    folder.refuses(adaptive("max: 100001"), "out_of_bounds", "1 to 100000");
    folder.refuses(adaptive("min: 10, max: 9"), "out_of_bounds", "min <= start <= max");
    folder.refuses(adaptive("min: 10, max: 20, start: 9"), "out_of_bounds", "10 to 20");
    folder.refuses(adaptive("min: 10, max: 20, start: 21"), "out_of_bounds", "10 to 20");
    folder.refuses(adaptive("initial: 20"), "unknown_field", "write start:");
    folder.refuses(upstream("concurrency: { min: 1, adaptive: { } }"), "unknown_field", "it belongs to adaptive");
    folder.refuses(upstream("concurrency: { }"), "missing_field", "adaptive:");
    folder.refuses(upstream("concurrency: { adaptive: true }"), "invalid_value", "{ min: 4, max: 1000, start: 32 }");
    for word in ["auto", "0", "-1", "1e3", "0100", "100001", "unlimited", "1.5", "1_000"] {
        let told = folder.refuses(upstream(&format!("concurrency: {word}")), "invalid_value", "adaptive");
        assert!(told.contains("= help:"), "{told}");
    }
    let of = |text: String| folder.takes(text).0.upstreams["shop"].clone();
    assert_eq!(of(upstream("concurrency: adaptive")).concurrency, Concurrency::Adaptive(AdaptiveLimit::default()));
    let low = of(adaptive("min: 2, max: 8"));
    assert_eq!(low.concurrency, Concurrency::Adaptive(AdaptiveLimit { min: 2, max: 8, start: 8 }));
    assert_eq!((low.reserve, low.streams, low.queue.length), (1, 32, 32));
    let high = of(adaptive("min: 2000"));
    assert_eq!(high.concurrency, Concurrency::Adaptive(AdaptiveLimit { min: 2000, max: 2000, start: 2000 }));
}

#[test]
fn what_is_reserved_is_less_than_there_ever_is() {
    let folder = Folder::new();
    folder.refuses(upstream("concurrency: 4\n    reserve: 4"), "out_of_bounds", "1 to 3");
    folder.refuses(upstream("concurrency: 4\n    reserve: 0"), "out_of_bounds", "0 is not");
    let four = "concurrency: { adaptive: { min: 4, max: 64, start: 64 } }";
    folder.refuses(upstream(&format!("{four}\n    reserve: 4")), "out_of_bounds", "1 to 3");
    folder.refuses(upstream("concurrency: { adaptive: { min: 1 } }\n    reserve: 1"), "out_of_bounds", "raise min");
    assert_eq!(folder.takes(upstream(four)).0.upstreams["shop"].reserve, 3, "a sixteenth would be 4");
    let one = "concurrency: { adaptive: { min: 1 } }";
    assert_eq!(folder.takes(upstream(one)).0.upstreams["shop"].reserve, 0);
}

#[test]
fn queues_and_streams_are_bounded_and_spare_ones_no_longer_than_the_others() {
    let folder = Folder::new();
    let queue = |fields: &str| upstream(&format!("queue: {{ {fields} }}"));
    folder.refuses(queue("spare_wait: 2s"), "out_of_bounds", "1ms to 1s");
    folder.refuses(queue("length: 10, spare_length: 11"), "out_of_bounds", "1 to 10");
    folder.refuses(queue("spare_length: 0"), "out_of_bounds", "0 is not");
    folder.refuses(queue("timeout: 1s"), "unknown_field", "write deadline:");
    folder.refuses(upstream("streams: 0"), "out_of_bounds", "0 is not");
    folder.refuses(upstream("streams: 1000001"), "out_of_bounds", "1 to 1000000");
    let shop = folder.takes(queue("deadline: 50ms, length: 10")).0.upstreams["shop"].clone();
    let short = Duration::from_millis(50);
    assert_eq!(shop.queue, Queue { deadline: short, length: 10, spare_wait: short, spare_length: 10 });
    let plain = folder.takes(upstream("streams: 9")).0.upstreams["shop"].clone();
    assert_eq!((plain.queue, plain.streams), (Queue::beside(Concurrency::Fixed(256)), 9));
    let openai = &folder.takes(upstream("http2: false")).0.upstreams["openai"];
    assert_eq!((openai.streams, openai.queue.spare_length), (1024, 256));
}

fn guarded(value: &str) -> String {
    with(
        "    match: { host: api.example.com, path: \"/**\" }\n",
        &format!("    match: {{ host: api.example.com, path: \"/**\" }}\n    guard: {value}\n"),
    )
}

#[test]
fn a_guard_is_on_by_default_and_never_beside_a_key() {
    let folder = Folder::new();
    folder.refuses(guarded("{ share: 0% }"), "invalid_value", "zero is not a share");
    folder.refuses(guarded("{ share: 5 }"), "invalid_value", "write 5%");
    folder.refuses(guarded("{ share: 0.5% }"), "out_of_bounds", "1% to 100%");
    folder.refuses(guarded("{ window: 30s }"), "out_of_bounds", "1m to 1h");
    folder.refuses(guarded("{ devices: 9 }"), "out_of_bounds", "10 to 10000");
    folder.refuses(guarded("{ threshold: 5% }"), "unknown_field", "write share: 5%");
    folder.refuses(guarded("off"), "invalid_value", "write disabled");
    folder.refuses(guarded("true"), "invalid_value", "take the line out");
    for value in ["disabled", "{ share: 5% }"] {
        let key = with("    key: openai\n", &format!("    key: openai\n    guard: {value}\n"));
        folder.refuses(key, "does_nothing", "take the line out");
    }
    let nameless = guarded("{ share: 5% }").replace("lifetime: 5m", "lifetime: 5m, claims: { did: false }");
    folder.refuses(nameless, "does_nothing", "did: true");

    let of = |text: &str, route: &str| folder.takes(text).0.route(route).unwrap().guard;
    assert_eq!(of(crate::folder::GOOD, "shop-api"), Some(GuardSettings::default()));
    assert_eq!(of(crate::folder::GOOD, "chat"), None);
    assert_eq!(of(&guarded("disabled"), "shop-api"), None);
    assert_eq!(of(&with("lifetime: 5m", "lifetime: 5m, claims: { did: false }"), "shop-api"), None);
    let own = GuardSettings { share: 20, window: Duration::from_secs(3600), devices: 10 };
    assert_eq!(of(&guarded("{ share: 20%, window: 1h, devices: 10 }"), "shop-api"), Some(own));
}

#[test]
fn records_are_shares_of_decisions_in_a_file_of_their_own() {
    let folder = Folder::new();
    let record = |fields: &str| with("log: { access: stderr, level: warn }", &format!("log: {{ record: {fields} }}"));
    folder.refuses(record("{ }"), "missing_field", "write file:");
    folder.refuses(record("decisions.ndjson"), "invalid_value", "{ file:");
    folder.refuses(record("{ file: none/decisions.ndjson }"), "no_folder", "make the folder");
    folder.refuses(record("{ file: policies }"), "no_folder", "in one that is there");
    folder.refuses(record("{ file: assay.yaml }"), "record_over_source", "a file of their own");
    folder.refuses(record("{ file: d.ndjson, share: 0.01 }"), "invalid_value", "write 1%");
    folder.refuses(record("{ file: d.ndjson, share: 0% }"), "invalid_value", "zero is not a share");
    folder.refuses(record("{ file: d.ndjson, max_size: 1KiB }"), "out_of_bounds", "1048576");
    folder.refuses(record("{ file: d.ndjson, max_size: 0 }"), "invalid_value", "");
    folder.refuses(record("{ file: d.ndjson, sample: 1% }"), "unknown_field", "write share:");
    assert!(!folder.path("state").exists(), "made at start");
    folder.takes(record("{ file: state/d.ndjson }"));
    let kept = folder.takes(record("{ file: d.ndjson }")).0.log.record.unwrap();
    assert_eq!((kept.file, kept.share, kept.max_size), (folder.path("d.ndjson"), 10_000, 100 << 20));
    let all = folder.takes(record("{ file: d.ndjson, share: 100%, max_size: 10GiB }")).0.log.record.unwrap();
    assert_eq!((all.share, all.max_size), (1_000_000, 10 << 30));
}

#[test]
fn headers_about_limits_need_limits() {
    let folder = Folder::new();
    let asked =
        |text: &str| text.replace("    upstream: openai\n", "    upstream: openai\n    rate_limit_headers: true\n");
    folder.refuses(asked(crate::folder::GOOD), "does_nothing", "limits: [");
    let limited = with(
        "policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }",
        "policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: { allow: { limits: [{ requests: 60, per: device, window: 1m }] } } }] }",
    );
    assert!(folder.takes(asked(&limited)).0.route("chat").unwrap().rate_limit_headers);
    assert!(!folder.takes(limited).0.route("chat").unwrap().rate_limit_headers);
}
