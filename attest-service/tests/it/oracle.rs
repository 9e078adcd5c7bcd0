//! Pass and fail, side by side: nothing that a client can see tells them apart.
//!
//! For each key set that conceals, 2,000 genuine attestations and 2,000 that fail in every way there is, in an order drawn
//! at random, over several connections at once. Then:
//!
//! * status, headers (names and values, `date` aside), lengths of body and token parts, `kid`, claim names, claim lengths
//!   and every claim that is not random by design are **equal**;
//! * the bytes of signature, `arc`, `asv` and `jti` are held against each other by [`statistics::chi_squared`]: at 2,000
//!   and 2,000 it finds, nine times in ten, one bit that is set in 65 of a hundred on one side and 50 on the other, and
//!   finds a difference where there is none less than once in a million runs;
//! * the times to the last byte of the answer are held against each other by [`statistics::rank_sum`]: it finds, nine times in ten,
//!   a chance of the failing one being slower that is 0.557 or more instead of 0.5, for normal noise a shift by a fifth of its
//!   standard deviation; the same once in a million. The order is random, so a busy machine makes it blind and not wrong.
//!
//! `statistics` plants differences of these sizes and finds them, so the tests can fail.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use attest_core::{
    appraisal::DeviceState,
    b64u,
    device_key::DeviceId,
    envelope::AttestRequest,
    random::{SeededRandom, array},
};

use crate::{
    attester::Attester,
    challenges::futures_join,
    statistics::{self, CRITICAL, CRITICAL_OF_MANY},
    world::{Config, Folder, RETIRED, Reply, World},
};

/// Attestations on each side.
const SAMPLE: usize = 2_000;
/// Requests under way at once.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decoy_can_not_be_told_from_a_genuine_token() {
    can_not_be_told("algorithm: HS256, concealment: decoy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_verdict_can_not_be_told_from_the_other() {
    can_not_be_told("algorithm: ES256, concealment: sealed").await;
}

/// A way to attest: which app does it, and what it says.
type Way = (Attester, fn(&mut AttestRequest));

/// One attestation, as its client saw it.
struct Seen {
    shape: String,
    random: [Vec<u8>; 4],
    seconds: f64,
}

async fn can_not_be_told(token: &str) {
    let folder = Folder::new();
    let mut settings = folder.settings_of(&Config { token: token.to_owned(), ..Config::default() });
    settings.quantum = Duration::from_millis(3);
    let world = folder.start_with(settings).await;
    let ways = ways_to_fail(&world).await;
    let genuine: Way = (Attester::genuine(), bound);

    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    let random = SeededRandom::new(0x0a5a);
    let mut left = [SAMPLE, SAMPLE];
    while left != [0, 0] {
        let batch: Vec<(bool, &Way)> = (0..AT_ONCE).filter_map(|_| draw(&random, &mut left, &genuine, &ways)).collect();
        let seen = futures_join(batch.iter().map(|(_, way)| attest(&world, way))).await;
        for ((passes, _), seen) in batch.iter().zip(seen) {
            if *passes { &mut passed } else { &mut failed }.push(seen);
        }
    }
    assert_eq!((passed.len(), failed.len()), (SAMPLE, SAMPLE));

    let shapes = |seen: &[Seen]| seen.iter().map(|seen| seen.shape.clone()).collect::<BTreeSet<_>>();
    assert_eq!(shapes(&passed).len(), 1, "one shape for all that pass: {:?}", shapes(&passed));
    assert_eq!(shapes(&passed), shapes(&failed));

    for (part, name) in ["signature", "arc", "asv", "jti"].iter().enumerate() {
        let bytes = |seen: &[Seen]| seen.iter().map(|seen| seen.random[part].clone()).collect::<Vec<_>>();
        let score = statistics::chi_squared(&bytes(&passed), &bytes(&failed));
        assert!(score < CRITICAL_OF_MANY, "{name}: {score}");
        let again: BTreeSet<_> = bytes(&passed).into_iter().chain(bytes(&failed)).collect();
        assert_eq!(again.len(), 2 * SAMPLE, "{name}: no value comes twice");
    }
    let times = |seen: &[Seen]| seen.iter().map(|seen| seen.seconds).collect::<Vec<_>>();
    let score = statistics::rank_sum(&times(&failed), &times(&passed));
    assert!(score.abs() < CRITICAL, "times: {score}");

    // What a gateway makes of them, so that it is known that one side passed and the other failed.
    let text = world.handle.metrics_text();
    let count = |outcome: &str| -> usize {
        let of = |line: &&str| line.starts_with("assay_attestations_total{") && line.contains(outcome);
        text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
    };
    assert!(count("passed") >= SAMPLE && count("failed") >= SAMPLE / 2, "{text}");
    for reason in [
        "unknown_app",
        "unknown_build",
        "retired_build",
        "measurement_mismatch",
        "tracer",
        "banned",
        "forced_fail",
        "evidence_malformed",
        "bad_device_signature",
        "measurement_missing",
    ] {
        assert!(text.contains(&format!("reason=\"{reason}\"")), "{reason} in {text}");
    }
}

/// One of those who are left, pass and fail as likely as there are of them.
fn draw<'a>(
    random: &SeededRandom,
    left: &mut [usize; 2],
    genuine: &'a Way,
    ways: &'a [Way],
) -> Option<(bool, &'a Way)> {
    let total = left[0] + left[1];
    if total == 0 {
        return None;
    }
    let number = usize::try_from(u64::from_be_bytes(array(random).unwrap()) >> 8).unwrap();
    let passes = number % total < left[0];
    left[usize::from(!passes)] -= 1;
    Some((passes, if passes { genuine } else { &ways[number / total % ways.len()] }))
}

fn bound(request: &mut AttestRequest) {
    request.binding = Some([3; 32]);
}

/// Every way to fail; names and versions as long as the genuine ones, for what the client says is echoed to it.
async fn ways_to_fail(world: &World<'_>) -> Vec<Way> {
    let ways: [Way; 10] = [
        (Attester::patched(), bound),
        (Attester::genuine(), |request| (bound(request), request.app = "elpmas".to_owned()).1),
        (Attester::genuine(), |request| (bound(request), request.version = "1.1".to_owned()).1),
        (Attester { measurement: RETIRED, ..Attester::genuine() }, |request| {
            (bound(request), request.version = "0.9".to_owned()).1
        }),
        (Attester::genuine(), |request| (bound(request), request.findings = vec!["tracer:gdb".to_owned()]).1),
        (Attester::genuine(), |request| (bound(request), request.evidence.clear()).1),
        // These two are made to fail below, the others by `attest`, after they were signed.
        (Attester::genuine(), bound),
        (Attester::genuine(), bound),
        (Attester::genuine(), |request| (bound(request), request.build = CUT_EVIDENCE.to_owned()).1),
        (Attester::genuine(), |request| (bound(request), request.build = WRONG_SIGNATURE.to_owned()).1),
    ];
    for (number, state) in [(6, DeviceState::Banned), (7, DeviceState::ForcedFail)] {
        let token = ways[number].0.attest(world).await.token();
        let device: DeviceId = claims(&token)["did"].as_str().unwrap().parse().unwrap();
        world.mark(device, state, None).await;
    }
    ways.into()
}

/// Marks for [`attest`]: what is changed after signing. The build they name is not sent.
const CUT_EVIDENCE: &str = "cut-evidence";
const WRONG_SIGNATURE: &str = "wrong-signature";

async fn attest(world: &World<'_>, (attester, say): &Way) -> Seen {
    let challenge = world.challenge().await;
    let mut mark = String::new();
    let mut request = attester.request(&challenge, |request| {
        say(request);
        mark = std::mem::take(&mut request.build);
    });
    match mark.as_str() {
        CUT_EVIDENCE => request.evidence[0].data.truncate(31),
        WRONG_SIGNATURE => request.signature[40] ^= 1,
        _ => {}
    }
    let body = request.to_json().to_string();
    let began = Instant::now();
    let reply = world.post("/attest", body).await;
    let seconds = began.elapsed().as_secs_f64();
    let token = reply.token();
    let claims = claims(&token);
    let text = |name: &str| claims[name].as_str().unwrap().as_bytes().to_vec();
    let decoded = |text: &[u8]| b64u::decode(text, 1024).unwrap();
    let signature = decoded(token.rsplit('.').next().unwrap().as_bytes());
    Seen {
        shape: shape(&reply, &token, &claims),
        random: [signature, text("arc"), decoded(&text("asv")), decoded(&text("jti"))],
        seconds,
    }
}

fn claims(token: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_slice(&b64u::decode(token.split('.').nth(1).unwrap().as_bytes(), 8192).unwrap()).unwrap()
}

/// All that a client sees of an answer, but what is random or tells the time. What it said itself counts by its length.
fn shape(reply: &Reply, token: &str, claims: &serde_json::Map<String, serde_json::Value>) -> String {
    let claims: Vec<_> = claims
        .iter()
        .map(|(name, value)| match name.as_str() {
            "jti" | "asv" | "arc" | "did" | "cnf" | "app" | "ver" => format!("{name}:{}", value.to_string().len()),
            _ => format!("{name}:{value}"),
        })
        .collect();
    let headers: Vec<_> = reply
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}:{}", value.to_str().unwrap()))
        .collect();
    let parts: Vec<_> = token.split('.').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    let body: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&reply.body).unwrap();
    let members: Vec<_> = body.keys().cloned().collect();
    format!("{} {headers:?} {} {members:?} {} {claims:?} {lengths:?}", reply.status, reply.body.len(), parts[0])
}
