//! Field by field, and nothing left over.

use serde_json::{Map, Value};

use super::{AttestRequest, EnvelopeError, Evidence, MAX_DEVICE_FACTS, MAX_ENVELOPE_BYTES, MAX_FINDINGS, PreviousKey};
use crate::b64u;
use crate::device_key::DevicePublicKey;
use crate::evidence_kind::EvidenceKind;
use crate::json::{self, JsonError, Limits};

type Members = Map<String, Value>;

pub(super) fn request(bytes: &[u8]) -> Result<AttestRequest, EnvelopeError> {
    let limits = Limits { max_bytes: MAX_ENVELOPE_BYTES, max_depth: 3, max_members: 128 };
    let mut members = json::parse_object(bytes, limits).map_err(not_json)?;
    let request = AttestRequest {
        challenge: decoded(&mut members, "challenge", 128)?,
        app: word(&mut members, "app")?,
        version: word(&mut members, "version")?,
        platform: text(&mut members, "platform")?
            .parse()
            .map_err(|_| wrong("platform", "one of linux, android, ios"))?,
        build: label(&mut members)?,
        device_key: DevicePublicKey::parse(&decoded(&mut members, "device_key", 65)?)
            .map_err(|_| wrong("device_key", "a P-256 point, uncompressed, 65 bytes"))?,
        device: device(&mut members)?,
        findings: findings(&mut members)?,
        binding: match members.remove("binding") {
            None => None,
            Some(value) => Some(exactly(value, "binding", "32 bytes in base64url")?),
        },
        evidence: evidence(&mut members)?,
        signature: {
            let value = members.remove("signature").unwrap_or_default();
            exactly(value, "signature", "64 bytes in base64url")?
        },
        previous: previous(&mut members)?,
    };
    if members.is_empty() { Ok(request) } else { Err(wrong("body", "no member beside those documented")) }
}

const fn wrong(place: &'static str, what: &'static str) -> EnvelopeError {
    EnvelopeError { place, what }
}

const fn not_json(error: JsonError) -> EnvelopeError {
    wrong(
        "body",
        match error {
            JsonError::TooLong => "at most 64 KiB",
            JsonError::DuplicateMember => "each member once",
            JsonError::TooDeep | JsonError::TooManyMembers => "no more depth and members than documented",
            JsonError::NotJson | JsonError::NotAnObject | JsonError::NumberOutOfRange => "a JSON object",
        },
    )
}

fn text(members: &mut Members, place: &'static str) -> Result<String, EnvelopeError> {
    match members.remove(place) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(wrong(place, "a text")),
    }
}

fn decoded(members: &mut Members, place: &'static str, max: usize) -> Result<Vec<u8>, EnvelopeError> {
    b64u::decode(text(members, place)?.as_bytes(), max).map_err(|_| wrong(place, "base64url without padding"))
}

fn exactly<const N: usize>(value: Value, place: &'static str, what: &'static str) -> Result<[u8; N], EnvelopeError> {
    let text = value.as_str().ok_or(wrong(place, what))?;
    b64u::decode_array(text.as_bytes()).map_err(|_| wrong(place, what))
}

fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

fn is_printable(text: &str, max: usize) -> bool {
    text.len() <= max && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn word(members: &mut Members, place: &'static str) -> Result<String, EnvelopeError> {
    let text = text(members, place)?;
    if is_word(&text) { Ok(text) } else { Err(wrong(place, "1 to 64 of A-Z a-z 0-9 . _ + -")) }
}

fn label(members: &mut Members) -> Result<String, EnvelopeError> {
    match members.remove("build") {
        None => Ok(String::new()),
        Some(Value::String(text)) if text.is_empty() || is_word(&text) => Ok(text),
        Some(_) => Err(wrong("build", "up to 64 of A-Z a-z 0-9 . _ + -")),
    }
}

fn device(members: &mut Members) -> Result<Vec<(String, String)>, EnvelopeError> {
    const WHAT: EnvelopeError = wrong("device", "at most 16 names with printable texts of at most 128 characters");
    let facts = match members.remove("device") {
        None => return Ok(Vec::new()),
        Some(Value::Object(facts)) if facts.len() <= MAX_DEVICE_FACTS => facts,
        Some(_) => return Err(WHAT),
    };
    facts
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) if is_word(&name) && is_printable(&text, 128) => Ok((name, text)),
            _ => Err(WHAT),
        })
        .collect()
}

fn findings(members: &mut Members) -> Result<Vec<String>, EnvelopeError> {
    const WHAT: EnvelopeError = wrong("findings", "at most 32 printable texts of 1 to 128 characters");
    let findings = match members.remove("findings") {
        None => return Ok(Vec::new()),
        Some(Value::Array(findings)) if findings.len() <= MAX_FINDINGS => findings,
        Some(_) => return Err(WHAT),
    };
    findings
        .into_iter()
        .map(|finding| match finding {
            Value::String(text) if !text.is_empty() && is_printable(&text, 128) => Ok(text),
            _ => Err(WHAT),
        })
        .collect()
}

fn previous(members: &mut Members) -> Result<Option<PreviousKey>, EnvelopeError> {
    const WHAT: EnvelopeError = wrong("previous", "a device key and its signature, and nothing else");
    let mut previous = match members.remove("previous") {
        None => return Ok(None),
        Some(Value::Object(previous)) => previous,
        Some(_) => return Err(WHAT),
    };
    let point = decoded(&mut previous, "device_key", 65).map_err(|_| WHAT)?;
    let signature = exactly(previous.remove("signature").unwrap_or_default(), WHAT.place, WHAT.what)?;
    let device_key = DevicePublicKey::parse(&point).map_err(|_| WHAT)?;
    if previous.is_empty() { Ok(Some(PreviousKey { device_key, signature })) } else { Err(WHAT) }
}

fn evidence(members: &mut Members) -> Result<Vec<Evidence>, EnvelopeError> {
    const WHAT: EnvelopeError = wrong("evidence", "a list with at most one piece of each kind");
    let Some(Value::Array(pieces)) = members.remove("evidence") else { return Err(WHAT) };
    let mut out: Vec<Evidence> = Vec::new();
    for piece in pieces {
        let Value::Object(mut piece) = piece else { return Err(WHAT) };
        let kind: EvidenceKind =
            text(&mut piece, "kind")?.parse().map_err(|_| wrong("evidence[].kind", "a known kind of Evidence"))?;
        let data = decoded(&mut piece, "data", MAX_ENVELOPE_BYTES)?;
        if !piece.is_empty() || out.iter().any(|other| other.kind == kind) {
            return Err(WHAT);
        }
        out.push(Evidence { kind, data });
    }
    Ok(out)
}
