//! Attacks: kept configurations, as a full disk or a restored backup can leave them: cut off, mixed up, another version's.
//!
//! Holds: what is taken is written again to the very same bytes, begins with the configuration file, and names no file twice.
#![no_main]

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use libfuzzer_sys::fuzz_target;
use settings::Bundle;

fuzz_target!(|data: &[u8]| {
    taken(data);
    // The digest keeps nearly every input out at the door; behind one that fits, the rest of the reader is reached.
    let mut whole = [&b"assaycfg\0\x01"[..], data].concat();
    let fitting = digest(&SHA256, &whole);
    whole.extend_from_slice(fitting.as_ref());
    taken(&whole);
});

fn taken(bytes: &[u8]) {
    let Ok(bundle) = Bundle::from_bytes(bytes) else { return };
    assert_eq!(bundle.to_bytes(), bytes);
    assert_eq!(bundle.files().next().map(|(name, _)| name), Some(bundle.main()));
    assert_eq!(bundle.files().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), bundle.files().len());
}
