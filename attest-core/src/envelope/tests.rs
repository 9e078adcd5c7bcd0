use super::*;
use crate::device_key::DevicePrivateKey;
use proptest::prelude::*;

fn sample() -> AttestRequest {
    let key = DevicePrivateKey::generate().unwrap();
    let mut request = AttestRequest {
        challenge: vec![1; 73],
        app: "shop".into(),
        version: "3.2.1".into(),
        platform: Platform::Linux,
        build: String::new(),
        device_key: key.public_key().unwrap(),
        device: vec![("os".into(), "Linux 6.8".into())],
        findings: vec!["tracer".into()],
        binding: Some([7; 32]),
        evidence: vec![Evidence { kind: EvidenceKind::Measurement, data: vec![9; 32] }],
        signature: [0; 64],
        previous: None,
    };
    request.signature = key.sign(&request.transcript("default")).unwrap();
    request
}

fn place_of(change: impl Fn(&mut serde_json::Map<String, Value>)) -> &'static str {
    let mut json = sample().to_json();
    change(json.as_object_mut().unwrap());
    AttestRequest::parse(json.to_string().as_bytes()).map_or_else(|error| error.place, |_| "accepted")
}

#[test]
fn refuses_each_field_by_its_name() {
    let put =
        |name: &'static str, value: Value| place_of(move |members| drop(members.insert(name.into(), value.clone())));
    for name in ["challenge", "app", "version", "platform", "device_key", "evidence", "signature"] {
        assert_eq!(place_of(|members| drop(members.remove(name))), name);
        assert_eq!(put(name, json!(7)), name);
    }
    for (name, value) in [
        ("challenge", json!("AA==")),
        ("challenge", json!("A".repeat(200))),
        ("app", json!("")),
        ("app", json!("a b")),
        ("app", json!("ä")),
        ("version", json!("v".repeat(65))),
        ("platform", json!("windows")),
        ("build", json!("a/b")),
        ("build", json!(null)),
        ("device_key", json!(b64u::encode(&[4; 65]))),
        ("device", json!({"os": 1})),
        ("device", json!({"o s": "x"})),
        ("device", json!({"os": "x\n"})),
        ("device", json!((0..17).map(|n| (n.to_string(), Value::from("x"))).collect::<serde_json::Map<_, _>>())),
        ("findings", json!([""])),
        ("findings", json!(vec!["x"; 33])),
        ("findings", json!("tracer")),
        ("binding", json!("AA")),
        ("binding", json!(null)),
        ("evidence", json!([{"kind": "measurement", "data": ""}, {"kind": "measurement", "data": ""}])),
        ("evidence", json!([{"kind": "measurement", "data": "", "more": 1}])),
        ("evidence", json!([1])),
        ("signature", json!(b64u::encode(&[0; 63]))),
    ] {
        assert_eq!(put(name, value.clone()), name, "{value}");
    }
    assert_eq!(put("evidence", json!([{"kind": "hearsay", "data": ""}])), "evidence[].kind");
    assert_eq!(put("evidence", json!([{"kind": "measurement", "data": "="}])), "data");
    assert_eq!(put("extra", json!(1)), "body");
    assert_eq!(AttestRequest::parse(b"[]").map(|_| ()).map_err(|error| error.place), Err("body"));
}

#[test]
fn refuses_more_than_64_kib_before_reading_it() {
    let long = format!("{{\"app\":\"{}\"}}", "a".repeat(MAX_ENVELOPE_BYTES));
    assert_eq!(
        AttestRequest::parse(long.as_bytes()).map(|_| ()),
        Err(EnvelopeError { place: "body", what: "at most 64 KiB" })
    );
}

#[test]
fn errors_repeat_nothing_of_the_input() {
    let error = AttestRequest::parse(br#"{"secret":"secret"}"#).unwrap_err();
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn a_request_comes_back_and_its_transcript_covers_all_but_signature_and_evidence_bytes() {
    let request = sample();
    let again = AttestRequest::parse(request.to_json().to_string().as_bytes()).unwrap();
    assert_eq!(again.to_json(), request.to_json());
    let t = again.transcript("default");
    assert!(again.device_key.verify(&t, &again.signature).is_ok());
    assert_ne!(t, again.transcript("other"));
    let mut other = again.clone();
    other.evidence[0].data = vec![];
    other.signature = [1; 64];
    assert_eq!(other.transcript("default"), t);
    other.evidence[0].kind = EvidenceKind::AndroidKey;
    assert_ne!(other.transcript("default"), t);
}

#[test]
fn a_previous_key_comes_back_and_changes_the_transcript() {
    let plain = sample();
    assert!(!plain.to_json().to_string().contains("previous"));
    let (old, other) = (DevicePrivateKey::generate().unwrap(), DevicePrivateKey::generate().unwrap());
    let with = |key: &DevicePrivateKey| {
        let device_key = key.public_key().unwrap();
        AttestRequest { previous: Some(PreviousKey { device_key, signature: [3; 64] }), ..plain.clone() }
    };
    let renewed = with(&old);
    let t = renewed.transcript("default");
    assert_ne!(t, plain.transcript("default"));
    assert_ne!(t, with(&other).transcript("default"));
    let again = AttestRequest::parse(renewed.to_json().to_string().as_bytes()).unwrap();
    assert_eq!((again.transcript("default"), again.to_json()), (t, renewed.to_json()));
}

#[test]
fn refuses_a_previous_key_that_is_not_whole() {
    let key = b64u::encode(sample().device_key.as_bytes());
    let signature = b64u::encode(&[1; 64]);
    for value in [
        json!(null),
        json!("x"),
        json!({}),
        json!({"device_key": key}),
        json!({"signature": signature}),
        json!({"device_key": b64u::encode(&[4; 65]), "signature": signature}),
        json!({"device_key": key, "signature": b64u::encode(&[1; 63])}),
        json!({"device_key": key, "signature": signature, "more": 1}),
    ] {
        assert_eq!(place_of(|members| drop(members.insert("previous".into(), value.clone()))), "previous", "{value}");
    }
    let whole = json!({"device_key": key, "signature": signature});
    assert_eq!(place_of(|members| drop(members.insert("previous".into(), whole.clone()))), "accepted");
}

#[test]
fn debug_shows_no_token() {
    let shown = format!("{:?}", AttestResponse { token: "eyJ.secret".into(), expires_in: 300 });
    assert!(!shown.contains("eyJ"));
}

proptest! {
    /// Any two requests that differ in the key before this one, or in its absence, have different transcripts.
    #[test]
    fn the_previous_key_is_always_part_of_the_transcript(seed in 0_u8..4, other in 0_u8..4) {
        let plain = sample();
        let keys: Vec<_> = (0..3).map(|_| DevicePrivateKey::generate().unwrap().public_key().unwrap()).collect();
        let with = |which: u8| {
            let previous = keys.get(usize::from(which)).cloned();
            let previous = previous.map(|device_key| PreviousKey { device_key, signature: [which; 64] });
            AttestRequest { previous, ..plain.clone() }.transcript("default")
        };
        prop_assert_eq!(with(seed) == with(other), seed == other);
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,40}") {
        let _ = AttestRequest::parse(&bytes);
        for name in ["challenge", "app", "device_key", "binding", "signature", "build"] {
            place_of(|members| drop(members.insert(name.into(), json!(text))));
        }
    }
}
