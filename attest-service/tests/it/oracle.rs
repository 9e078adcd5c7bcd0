//! Pass and fail, side by side: nothing that a client can see tells them apart.

use std::collections::BTreeSet;

use attest_core::{b64u, envelope::AttestRequest};

use crate::{
    attester::Attester,
    world::{Folder, Reply},
};

const SAMPLE: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_headers_lengths_and_claims_of_pass_and_fail_are_equal() {
    let folder = Folder::new();
    let world = folder.start().await;
    let (genuine, patched) = (Attester::genuine(), Attester::patched());
    let binding = |request: &mut AttestRequest| request.binding = Some([3; 32]);
    let (mut passed, mut failed) = (BTreeSet::new(), BTreeSet::new());
    let (mut first_bytes_passed, mut first_bytes_failed) = (0_u64, 0_u64);
    for _ in 0..SAMPLE {
        let good = genuine.attest_saying(&world, binding).await;
        let bad = patched.attest_saying(&world, binding).await;
        first_bytes_passed += bits_of_signature(&good);
        first_bytes_failed += bits_of_signature(&bad);
        passed.insert(shape(&good));
        failed.insert(shape(&bad));
    }
    assert_eq!(passed.len(), 1, "one shape for all that pass: {passed:?}");
    assert_eq!(passed, failed);
    // Both signatures look random: of 256 bits about half are set. (Six standard deviations of a sum of 200.)
    for bits in [first_bytes_passed, first_bytes_failed] {
        let mean = bits as f64 / SAMPLE as f64;
        assert!((mean - 128.0).abs() < 6.0 * 8.0 / (SAMPLE as f64).sqrt(), "{mean}");
    }
}

/// All that a client sees of an answer, but what must be random or tells the time.
fn shape(reply: &Reply) -> String {
    let token = reply.token();
    let parts: Vec<_> = token.split('.').collect();
    let claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&b64u::decode(parts[1].as_bytes(), 8192).unwrap()).unwrap();
    let claims: Vec<_> = claims
        .iter()
        .map(|(name, value)| match name.as_str() {
            "jti" | "asv" | "arc" | "did" | "cnf" => format!("{name}:{}", value.to_string().len()),
            _ => format!("{name}:{value}"),
        })
        .collect();
    let headers: Vec<_> = reply
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}:{}", value.to_str().unwrap()))
        .collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    format!("{} {headers:?} {} {} {claims:?} {lengths:?}", reply.status, reply.body.len(), parts[0])
}

fn bits_of_signature(reply: &Reply) -> u64 {
    let token = reply.token();
    let signature = b64u::decode(token.split('.').nth(2).unwrap().as_bytes(), 64).unwrap();
    signature.iter().map(|byte| u64::from(byte.count_ones())).sum()
}
