//! `assay token check`: the verdict that a gateway would give, for tokens of many makers.

use std::ffi::OsStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use aws_lc_rs::{digest, hmac};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use e2e::attester::Attester;
use e2e::command::{Ran, assay, assay_fed};
use e2e::files::Files;
use e2e::house::{APPROOV_SECRET, House};
use e2e::upstream::Recorder;
use serde_json::{Value, json};

fn signed(header: &Value, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(header.to_string().as_bytes()),
        BASE64URL_NOPAD.encode(claims.as_bytes())
    );
    let signature = sign(input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn hs256(header: &Value, claims: &str, secret: &[u8]) -> String {
    signed(header, claims, |input| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input).as_ref().to_vec())
}

fn approov(claims: &Value) -> String {
    hs256(
        &json!({ "alg": "HS256", "typ": "JWT" }),
        &claims.to_string(),
        &BASE64.decode(APPROOV_SECRET.as_bytes()).unwrap(),
    )
}

/// `token check` with the published dummy secret.
fn check(token: &str, more: &[&dyn AsRef<OsStr>]) -> Ran {
    let words: Vec<&dyn AsRef<OsStr>> =
        [&"--json" as &dyn AsRef<OsStr>, &"token", &"check", &token, &"--secret-base64", &APPROOV_SECRET]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
    assay(&words)
}

#[track_caller]
fn verdict(ran: Ran, wanted: &str) -> Value {
    let answer = ran.json();
    assert_eq!(answer["verdict"], wanted, "{answer:#}");
    assert!(answer["reason"].is_string(), "{answer}");
    ran.ends(i32::from(wanted != "attested"));
    answer
}

#[test]
fn each_fault_of_a_token_has_its_verdict_and_only_attested_is_0() {
    let at: [&dyn AsRef<OsStr>; 2] = [&"--at", &"1700000000"];
    let good = approov(&json!({ "exp": 1_700_000_100.75 }));
    let told = verdict(check(&good, &at), "attested");
    assert_eq!(told["claims"]["exp"], 1_700_000_100.75);
    assert_eq!(told["signature"], "genuine");
    check(&good, &at).complains(&["warning", "--secret-base64"]);
    assert!(!check(&good, &at).err.contains(APPROOV_SECRET), "the secret is repeated");

    verdict(check(&good, &[&"--at", &"1700000131"]), "expired");
    verdict(check(&good, &[&"--at", &"1700000129"]), "attested");
    verdict(check(&approov(&json!({ "exp": 1_700_000_100, "nbf": 1_700_000_050 })), &at), "not_yet_valid");
    verdict(check(&approov(&json!({ "iss": "nobody" })), &at), "malformed");
    verdict(check(&approov(&json!({ "exp": "" })), &at), "malformed");
    verdict(check(&approov(&json!({ "exp": "1700000100" })), &at), "malformed");
    verdict(check("adasdasdsadasd", &at), "malformed");
    verdict(check("", &at), "missing");
    let other_end = if good.ends_with('A') { "Q" } else { "A" };
    let broken = format!("{}{other_end}{}", &good[..good.len() - 9], &good[good.len() - 8..]);
    assert_eq!(verdict(check(&broken, &at), "bad_signature")["signature"], "bad");
    let secret = BASE64.decode(APPROOV_SECRET.as_bytes()).unwrap();
    verdict(
        check(&hs256(&json!({ "alg": "HS256", "crit": ["x"], "x": 1 }), "{\"exp\":1700000100}", &secret), &at),
        "malformed",
    );
    verdict(
        check(&hs256(&json!({ "alg": "HS256" }), "{\"exp\":1700000100,\"exp\":1800000000}", &secret), &at),
        "malformed",
    );
    verdict(check(&signed(&json!({ "alg": "none" }), "{\"exp\":1700000100}", |_| Vec::new()), &at), "malformed");
    verdict(check(&approov(&json!({ "exp": 1_700_000_100, "sub": "x".repeat(9000) })), &at), "malformed");

    let named = approov(&json!({ "exp": 1_700_000_100, "iss": "me", "aud": ["here", "there"] }));
    let expect = |issuer: &str, audience: &str| {
        check(&named, &[&"--at", &"1700000000", &"--issuer", &issuer, &"--audience", &audience])
    };
    verdict(expect("me", "there"), "attested");
    verdict(expect("you", "there"), "wrong_issuer");
    verdict(expect("me", "elsewhere"), "wrong_audience");
    verdict(check(&good, &[&"--at", &"1700000000", &"--audience", &"here"]), "wrong_audience");
}

#[test]
fn a_token_is_held_against_what_it_is_bound_to() {
    let value = "Bearer a.b.c";
    let pay = BASE64.encode(digest::digest(&digest::SHA256, value.as_bytes()).as_ref());
    let bound = approov(&json!({ "exp": 4_000_000_000_i64, "pay": pay }));
    let free = approov(&json!({ "exp": 4_000_000_000_i64 }));
    verdict(check(&bound, &[&"--bind", &format!("Authorization: {value}")]), "attested");
    verdict(check(&bound, &[&"--bind", &"Authorization: Bearer a.b.d"]), "binding_mismatch");
    verdict(check(&free, &[&"--bind", &format!("Authorization: {value}")]), "binding_mismatch");
    check(&bound, &[&"--bind", &"no colon"]).ends(2).complains(&["--bind"]);
}

#[test]
fn public_keys_verify_what_they_signed_and_nothing_else() {
    let files = Files::new();
    let rng = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let point = pair.public_key().as_ref();
    // SubjectPublicKeyInfo of P-256, RFC 5480: a fixed prefix before the point.
    let prefix = data_encoding::HEXLOWER.decode(b"3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
    let body = BASE64.encode(&[&prefix, point].concat());
    let pem = files.write("key.pem", format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"));
    let coordinate = |range| BASE64URL_NOPAD.encode(&point[range]);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "one", "alg": "ES256", "use": "sig", "x": coordinate(1..33), "y": coordinate(33..65) });
    let jwks = files.write("keys.json", json!({ "keys": [jwk] }).to_string());

    let claims = "{\"exp\":4000000000}";
    let es256 = |header: &Value| signed(header, claims, |input| pair.sign(&rng, input).unwrap().as_ref().to_vec());
    let (named, nameless) = (es256(&json!({ "alg": "ES256", "kid": "one" })), es256(&json!({ "alg": "ES256" })));
    let with_pem =
        |token: &str, alg: &str| assay(&[&"--json", &"token", &"check", &token, &"--pem", &pem, &"--alg", &alg]);
    let with_jwks = |token: &str| assay(&[&"--json", &"token", &"check", &token, &"--jwks", &jwks]);
    verdict(with_pem(&nameless, "ES256"), "attested");
    verdict(with_jwks(&named), "attested");
    verdict(with_jwks(&es256(&json!({ "alg": "ES256", "kid": "two" }))), "unknown_key");

    // The public key's text as an HMAC secret: the oldest confusion.
    let text = std::fs::read(&pem).unwrap();
    let confused = |header: &Value| hs256(header, claims, &text);
    for ran in [
        with_pem(&confused(&json!({ "alg": "HS256" })), "ES256"),
        with_jwks(&confused(&json!({ "alg": "HS256", "kid": "one" }))),
    ] {
        let answer = ran.json();
        assert!(answer["verdict"] != "attested" && answer["signature"] != "genuine", "{answer}");
        ran.ends(1);
    }
    // An algorithm that is not the key's own, and one that is none.
    with_pem(&nameless, "HS256").ends(1).complains(&["no usable key"]);
    with_pem(&nameless, "ROT13").ends(2).complains(&["ROT13"]);
    assay(&[&"token", &"check", &nameless, &"--pem", &pem]).ends(2).complains(&["--alg"]);
    let wrong = files.write("wrong.json", "{\"keys\":{}}");
    let ran = assay(&[&"--json", &"token", &"check", &named, &"--jwks", &wrong]);
    assert_eq!(verdict(ran, "unverifiable")["signature"], "unchecked");
}

#[test]
fn usage_is_checked_and_the_token_may_come_by_stdin() {
    let good = approov(&json!({ "exp": 4_000_000_000_i64 }));
    for line_end in ["", "\n", "\r\n"] {
        let input = format!("{good}{line_end}");
        assay_fed(&[&"token", &"check", &"-", &"--secret-base64", &APPROOV_SECRET], input.as_bytes()).ends(0);
    }
    let plain = assay(&[&"token", &"check", &good, &"--secret-base64", &APPROOV_SECRET]).ends(0).out;
    assert!(plain.starts_with("attested") && plain.contains("4000000000"), "{plain}");
    assay(&[&"token", &"check", &good]).ends(2).complains(&["--secret-file"]);
    assay(&[&"token", &"check", &good, &"--secret-base64", &"***"]).ends(2).complains(&["--secret-base64"]);
    assay(&[&"token", &"check", &good, &"--secret-base64", &APPROOV_SECRET, &"--jwks", &"k.json"]).ends(2);
    assay(&[&"token", &"check", &good, &"--secret-file", &"/nowhere/secret"]).ends(2).complains(&["/nowhere/secret"]);
    // The same bytes, told in the three ways there are.
    let files = Files::new();
    let raw = BASE64.decode(APPROOV_SECRET.as_bytes()).unwrap();
    let file = files.private("secret", &raw);
    assay(&[&"token", &"check", &good, &"--secret-file", &file]).ends(0);
    assay(&[&"token", &"check", &good, &"--secret-base64url", &BASE64URL_NOPAD.encode(&raw)]).ends(0);
    // A weak secret verifies nothing.
    let weak = hs256(&json!({ "alg": "HS256" }), "{\"exp\":4000000000}", b"short");
    verdict(
        assay(&[&"--json", &"token", &"check", &weak, &"--secret-base64", &BASE64.encode(b"short")]),
        "unverifiable",
    );
}

#[test]
fn a_route_checks_as_its_gateway_does_without_asking_it() {
    let files = Files::new();
    let api = Recorder::start();
    let house = House::together(files, &api.address, "sk_live_0123456789abcdef");
    let (genuine, patched) = (house.token(), Attester::patched().token(&house.service));
    let check = |token: &str, more: &[&dyn AsRef<OsStr>]| {
        let config = house.config();
        let words: Vec<&dyn AsRef<OsStr>> =
            [&"--json" as &dyn AsRef<OsStr>, &"token", &"check", &token, &"-c", &config]
                .into_iter()
                .chain(more.iter().copied())
                .collect();
        assay(&words)
    };
    let told = verdict(check(&genuine, &[&"--route", &"paid"]), "attested");
    assert_eq!((&told["claims"]["app"], &told["tier"]), (&"shop".into(), &"affirming".into()));
    let told = verdict(check(&patched, &[&"--route", &"paid"]), "failed");
    assert_eq!(told["signature"], "decoy");
    // The gateway says the same.
    assert_eq!(house.log_of(&house.get_as(&patched, "/paid/v1/paid"))["verdict"], "failed");
    let later = (attest_core::time::Clock::now(&attest_core::time::SystemClock).secs() + 400).to_string();
    verdict(check(&genuine, &[&"--route", &"paid", &"--at", &later]), "expired");
    let bound = Attester::genuine().bound_token(&house.service, "Bearer me");
    verdict(check(&bound, &[&"--route", &"bound", &"--bind", &"Authorization: Bearer me"]), "attested");
    verdict(check(&bound, &[&"--route", &"bound", &"--bind", &"Authorization: Bearer you"]), "binding_mismatch");
    verdict(check(&genuine, &[&"--route", &"bound"]), "binding_mismatch");
    check(&genuine, &[&"--route", &"payd"]).ends(2).complains(&["payd"]);
    // What the service found, and the app can't read.
    let arc = |token: &str| {
        let claims: Value =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap())
                .unwrap();
        assay(&[&"--json", &"arc", &"decode", &claims["arc"].as_str().unwrap(), &"-c", &house.config()]).ends(0).json()
            ["reasons"]
            .clone()
    };
    assert_eq!(arc(&genuine), json!([]));
    assert!(arc(&patched).as_array().unwrap().contains(&"measurement_mismatch".into()));
    assay(&[&"arc", &"decode", &"A".repeat(26), &"-c", &house.config()]).ends(1);
}

/// Published vectors, where somebody put them.
fn published(name: &str) -> Option<Value> {
    let folder =
        std::env::var_os("ASSAY_VECTORS").map_or_else(|| e2e::programs::root().join("../shared/vectors"), Into::into);
    let found = std::fs::read(folder.join(name)).ok();
    if found.is_none() {
        println!("skipped: no {name} in ASSAY_VECTORS");
    }
    found.map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn the_examples_of_rfc_7515_are_genuine_and_expired_since_2011() {
    let Some(vectors) = published("03-rfc7515-7519/vectors.json") else { return };
    let files = Files::new();
    for case in vectors["cases"].as_array().unwrap() {
        let token = case["token"].as_str().unwrap();
        let check = |at: &str| match (case["jwk"]["kty"].as_str(), case["id"].as_str()) {
            (Some("oct"), _) => assay(&[
                &"--json",
                &"token",
                &"check",
                &token,
                &"--secret-base64url",
                &case["jwk"]["k"].as_str().unwrap(),
                &"--at",
                &at,
                &"--issuer",
                &"joe",
            ]),
            (Some(_), Some(id)) => {
                let mut jwk = case["jwk"].clone();
                jwk["alg"] = id.rsplit('-').next().unwrap().into();
                let file = files.write("jwks.json", json!({ "keys": [jwk] }).to_string());
                assay(&[&"--json", &"token", &"check", &token, &"--jwks", &file, &"--at", &at, &"--issuer", &"joe"])
            }
            _ => assay(&[&"--json", &"token", &"check", &token, &"--secret-base64", &APPROOV_SECRET, &"--at", &at]),
        };
        if case["signature"] == "valid" {
            verdict(check("1300819379"), "attested");
            verdict(check("1300819411"), "expired");
        } else {
            verdict(check("1300819379"), "malformed");
        }
    }
}

#[test]
fn the_published_approov_tokens_fare_as_published() {
    let Some(collection) = published("05-approov-tokens/hello-world.postman_collection.json") else { return };
    let mut counted = (0, 0);
    for (folder, bound) in [("Approov Token Protected Server", false), ("Approov Token Binding Protected Server", true)]
    {
        let folder = collection["item"].as_array().unwrap().iter().find(|item| item["name"] == folder).unwrap();
        for group in folder["item"].as_array().unwrap() {
            let valid = group["name"].as_str().unwrap().starts_with("valid");
            for example in group["item"].as_array().unwrap() {
                let headers = example["request"]["header"].as_array().unwrap();
                let value = |name: &str| headers.iter().find(|h| h["key"] == name).and_then(|h| h["value"].as_str());
                let token = value("Approov-Token").unwrap_or_default();
                let ran = match (bound, value("Authorization")) {
                    (true, Some(value)) => check(token, &[&"--bind", &format!("Authorization: {value}")]),
                    // Without the header there is nothing to hold a bound token against: a gateway's route refuses it.
                    (true, None) if example["name"].as_str().unwrap().contains("Missing the Authorization") => continue,
                    _ => check(token, &[]),
                };
                assert_eq!(ran.code == 0, valid, "{}: {}", example["name"], ran.out);
                if valid { counted.0 += 1 } else { counted.1 += 1 }
            }
        }
    }
    assert!(counted.0 >= 2 && counted.1 >= 10, "{counted:?}");
}
