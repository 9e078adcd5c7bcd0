//! Attacks: the attest request, as it arrives from anybody.
//!
//! Holds: what was parsed, printed and parsed again is the same request with the same transcript, within every bound that
//! the type promises.
#![no_main]

use attest_core::envelope::{AttestRequest, MAX_DEVICE_FACTS, MAX_ENVELOPE_BYTES, MAX_FINDINGS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(request) = AttestRequest::parse(data) else { return };
    assert!(data.len() <= MAX_ENVELOPE_BYTES);
    assert!(request.challenge.len() <= 128);
    assert!(request.device.len() <= MAX_DEVICE_FACTS && request.findings.len() <= MAX_FINDINGS);
    let printed = request.to_json();
    let again = AttestRequest::parse(printed.to_string().as_bytes()).expect("what was printed can be read");
    assert_eq!(again.to_json(), printed);
    assert_eq!(again.transcript("default"), request.transcript("default"));
    assert_eq!(again.transcript_without_device_key("default"), request.transcript_without_device_key("default"));
    assert_ne!(request.transcript("default"), request.transcript("other"));
    for one in &request.evidence {
        assert_eq!(again.evidence(one.kind), Some(one.data.as_slice()));
    }
});
