//! Stage 7 for credentials that are made for each request: AWS Signature Version 4 and an HMAC, beside the hashing that the
//! former can't be had without: the body, a canonical request of usual length, and one MAC under the key of the day.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench: criterion's own functions have no docs, a panic stops it"
)]

use std::hint::black_box;

use attest_core::target::Scheme;
use attest_core::time::UnixTime;
use aws_lc_rs::{digest, hmac};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use recipes::{
    Credential, Draft, DraftBody, HmacAlgorithm, LargeBody, MAX_BODY, Recipe, RecipeText, SecretEncoding,
    SignatureEncoding, Sigv4Place, TimestampForm,
};

const SECRET: &[u8] = b"AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn sigv4() -> RecipeText {
    RecipeText::AwsSigv4 {
        region: "eu-central-1".into(),
        service: "s3".into(),
        place: Sigv4Place::Header,
        headers: vec!["content-type".into()],
        large_body: LargeBody::Unsigned,
    }
}

fn hmac_of_parts() -> RecipeText {
    RecipeText::Hmac {
        algorithm: HmacAlgorithm::Sha256,
        secret: SecretEncoding::Text,
        encoding: SignatureEncoding::Hex,
        message: "{timestamp}.{method}.{path}.{body_sha256}".into(),
        timestamp: TimestampForm::Unix,
        timestamp_header: None,
        name: "x-signature".into(),
        template: "t={timestamp},v1={signature}".into(),
    }
}

fn credential(text: &RecipeText) -> Credential {
    Recipe::parse(text).expect("a recipe").credential(SECRET).expect("its secret")
}

fn sign(c: &mut Criterion) {
    let (sigv4, parts) = (credential(&sigv4()), credential(&hmac_of_parts()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
    headers.insert("x-amz-acl", HeaderValue::from_static("private"));
    let mut group = c.benchmark_group("sign");
    for size in [0, 4 << 10, MAX_BODY] {
        let body = vec![7; size];
        let draft = Draft {
            method: &Method::PUT,
            scheme: Scheme::Https,
            host: "bucket.s3.eu-central-1.amazonaws.com",
            path: "/folder/object.txt",
            query: Some("partNumber=1&uploadId=abc"),
            headers: &headers,
            body: DraftBody::Whole(&body),
            now: UnixTime::from_secs(1_800_000_000),
        };
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_with_input(BenchmarkId::new("hashing_alone", size), &body, |b, body| {
            b.iter(|| {
                black_box(digest::digest(&digest::SHA256, black_box(body)));
                black_box(digest::digest(&digest::SHA256, black_box(&[b'c'; 400])));
                hmac::sign(&key, black_box(&[b's'; 140]))
            });
        });
        for (name, credential) in [("sigv4", &sigv4), ("hmac", &parts)] {
            group.bench_with_input(BenchmarkId::new(name, size), &draft, |b, draft| {
                b.iter(|| credential.apply(black_box(draft)).expect("a signature"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, sign);
criterion_main!(benches);
