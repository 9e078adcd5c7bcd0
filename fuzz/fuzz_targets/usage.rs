//! Attacks: the reader of usage, as an API that answers with anything. Input: the format, how many cuts, the cuts, then the
//! body.
//!
//! Holds: wherever the body is cut, the same is read; what a DOM finds in a document's own usage is not missed, and no
//! usage is read where the words for it are not there at all.
#![no_main]

use assay_fuzz::pieces;
use libfuzzer_sys::fuzz_target;
use memchr::memmem;
use metering::{Format, UsageReader};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some(([format, count], data)) = data.split_first_chunk::<2>() else { return };
    let Some((cuts, body)) = data.split_at_checked(usize::from(count % 8) + 1) else { return };
    let format = if format % 2 == 0 { Format::Json } else { Format::EventStream };

    let mut whole = UsageReader::new(format);
    whole.push(body);
    let mut reader = UsageReader::new(format);
    pieces(body, cuts).for_each(|piece| reader.push(piece));
    let reported = reader.reported();
    assert_eq!(reported, whole.reported(), "cut by {cuts:?}");

    let holds = |word: &[u8]| memmem::find(body, word).is_some();
    assert!(reported.is_none() || (holds(b"usage") && (holds(b"token") || holds(b"Token"))));

    // Names written with escapes are left alone, and of members that stand twice a DOM keeps the last.
    if format == Format::Json
        && !holds(b"\\")
        && let Ok(document) = serde_json::from_slice::<Value>(body)
        && let Some(total) = document["usage"]["total_tokens"].as_u64().filter(|total| *total <= 1 << 53)
    {
        assert!(reported.is_some_and(|reported| reported.tokens >= total), "{total}, not {reported:?}");
    }
});
