//! Scenes 5 and 6: tokens that are wrong in one thing, and an issuer whose tokens are taken as they are.

use super::{Seen, Stage, told};
use crate::demo::Trouble;
use crate::demo::house::APPROOV_SECRET;
use crate::demo::mint::{Mint, Wrong};
use crate::demo::table::Row;
use attest_core::b64u;
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use std::path::Path;

const PAID: &str = "/paid/v1/paid";
const APPROOV: &str = "/approov/open/hello";

impl Stage<'_> {
    /// 5: each bad token has its own verdict in the log, and one refusal for the client.
    pub(super) async fn bad_tokens(&self) -> Result<Vec<Row>, Trouble> {
        let mint = Mint::open(self.house).await?;
        let genuine = self.token()?;
        let cases = [
            ("a token for another audience", mint.token(Wrong::Audience)?, "wrong_audience"),
            ("a token with one character changed", one_character_changed(&genuine)?, "bad_signature"),
            ("a token signed by somebody else", signed_by_somebody_else(&genuine)?, "bad_signature"),
        ];
        let mut rows = Vec::new();
        let mut refusals: Vec<(String, Seen)> = Vec::new();
        for (tried, token, verdict) in cases {
            let seen = self.get(PAID, &[("assay-token", &token)]).await?;
            rows.push(Row::new(
                5,
                tried,
                seen.answer(),
                told(&seen.log),
                seen.status == 403 && seen.verdict() == verdict,
            ));
            refusals.push((client_view(&seen), seen));
        }
        let same = refusals.windows(2).all(|pair| matches!(pair, [(one, _), (other, _)] if one == other));
        rows.push(Row::new(
            5,
            "what the client can tell those three apart by",
            if same { "nothing" } else { "SOMETHING" },
            "same status, code, headers and length; the reasons are in the log alone",
            same,
        ));
        let expired = self.get(PAID, &[("assay-token", &mint.token(Wrong::Expired)?)]).await?;
        rows.push(Row::new(
            5,
            "an expired token",
            expired.answer(),
            format!("{}; its exp is readable by anybody, so it may be told: fetch again", told(&expired.log)),
            expired.status == 401 && expired.verdict() == "expired",
        ));
        Ok(rows)
    }

    /// 6: Approov's published tokens, on a route for that issuer.
    pub(super) async fn approov(&self) -> Result<Vec<Row>, Trouble> {
        let (examples, whose) = match &self.vectors {
            Some(file) => (published(file)?, "published by Approov"),
            None => (own_examples()?, "made here after Approov's published ones"),
        };
        let (mut taken, mut good, mut refused, mut bad) = (0, 0, 0, 0);
        let mut fractional = false;
        let mut wrong = Vec::new();
        for example in &examples {
            let headers: Vec<(&str, &str)> = example.token.iter().map(|t| ("approov-token", t.as_str())).collect();
            let seen = self.get(APPROOV, &headers).await?;
            let (count, right) = if example.valid { (&mut good, &mut taken) } else { (&mut bad, &mut refused) };
            *count += 1;
            if (seen.status == 200) == example.valid {
                *right += 1;
                fractional |= example.valid && example.fractional;
            } else {
                wrong.push(format!("{}: {}", example.name, told(&seen.log)));
            }
        }
        // The published set has a fractional `exp` in another collection; one is always made here as well.
        let own = self.get(APPROOV, &[("approov-token", &sign(&json!({ "exp": 4_708_683_205.891_912_f64 }))?)]).await?;
        fractional |= own.status == 200;
        Ok(vec![Row::new(
            6,
            format!("{} Approov tokens, {whose}, header Approov-Token", examples.len()),
            format!("{taken} of {good} valid taken, {refused} of {bad} invalid refused"),
            if wrong.is_empty() {
                "a fractional exp is an exp; none, or an empty one, is not".to_owned()
            } else {
                wrong.join("; ")
            },
            wrong.is_empty() && good > 0 && bad > 0 && fractional,
        )])
    }
}

/// All that a client sees of a refusal, with what differs by design (the decision id, the date) taken out.
fn client_view(seen: &Seen) -> String {
    let mut headers: Vec<String> = seen
        .headers
        .iter()
        .filter(|(name, _)| name.as_str() != "date")
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    let decision = serde_json::from_str::<Value>(&seen.body)
        .ok()
        .and_then(|v| v.get("decision").and_then(Value::as_str).map(str::to_owned));
    let body = decision.map_or(seen.body.clone(), |id| seen.body.replace(&id, "·"));
    format!("{} {} {}\n{body}", seen.status, seen.body.len(), headers.join("\n"))
}

/// Another character in the middle of the signature, so that it still is base64url.
fn one_character_changed(token: &str) -> Result<String, Trouble> {
    let (rest, signature) = token.rsplit_once('.').ok_or_else(|| Trouble::new("a token without parts"))?;
    let (head, tail) = signature.split_at_checked(10).ok_or_else(|| Trouble::new("a token without signature"))?;
    let other = if tail.starts_with('A') { 'B' } else { 'A' };
    let tail = tail.get(1..).unwrap_or_default();
    Ok(format!("{rest}.{head}{other}{tail}"))
}

/// The same claims under a key that nobody knows.
fn signed_by_somebody_else(token: &str) -> Result<String, Trouble> {
    let (input, _) = token.rsplit_once('.').ok_or_else(|| Trouble::new("a token without parts"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"somebody else's secret, 32 bytes or more");
    Ok(format!("{input}.{}", b64u::encode(hmac::sign(&key, input.as_bytes()).as_ref())))
}

/// One example token, and whether it is to be taken.
struct Example {
    name: String,
    token: Option<String>,
    valid: bool,
    fractional: bool,
}

/// The requests of the published collection that carry no binding.
fn published(file: &Path) -> Result<Vec<Example>, Trouble> {
    let wrong = |e: &dyn std::fmt::Display| Trouble::new(format!("{}: {e}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(&e))?;
    let collection: Value = serde_json::from_str(&text).map_err(|e| wrong(&e))?;
    let mut examples = Vec::new();
    let groups = collection.get("item").and_then(Value::as_array).into_iter().flatten();
    for group in groups.filter(|g| name_of(g).starts_with("Approov Token Protected")) {
        for kind in group.get("item").and_then(Value::as_array).into_iter().flatten() {
            let valid = name_of(kind).starts_with("valid");
            for request in kind.get("item").and_then(Value::as_array).into_iter().flatten() {
                let headers = request.pointer("/request/header").and_then(Value::as_array).into_iter().flatten();
                let token = headers.filter(|h| h.get("key").and_then(Value::as_str) == Some("Approov-Token"));
                let token = token.filter_map(|h| h.get("value")?.as_str().map(str::to_owned)).next();
                examples.push(Example { name: name_of(request).to_owned(), token, valid, fractional: false });
            }
        }
    }
    if examples.is_empty() { Err(wrong(&"no example requests in it")) } else { Ok(examples) }
}

fn name_of(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Stand-ins where the published collection is absent, under the published dummy secret.
fn own_examples() -> Result<Vec<Example>, Trouble> {
    let good = sign(&json!({ "exp": 4_708_683_205.891_912_f64 }))?;
    let example = |name: &str, token: Option<String>, valid: bool| Example {
        name: name.to_owned(),
        token,
        valid,
        fractional: valid,
    };
    Ok(vec![
        example("valid, fractional exp", Some(good.clone()), true),
        example("no token", None, false),
        example("not a token", Some("adasdasdsadasd".into()), false),
        example("wrong signature", Some(one_character_changed(&good)?), false),
        example("empty exp", Some(sign(&json!({ "exp": "" }))?), false),
        example("no exp", Some(sign(&json!({ "iss": "api.example.com" }))?), false),
        example("expired", Some(sign(&json!({ "exp": 1_550_302_816 }))?), false),
    ])
}

fn sign(claims: &Value) -> Result<String, Trouble> {
    let secret = data_encoding::BASE64.decode(APPROOV_SECRET.as_bytes()).map_err(|e| Trouble::new(e.to_string()))?;
    let input =
        format!("{}.{}", b64u::encode(br#"{"alg":"HS256","typ":"JWT"}"#), b64u::encode(claims.to_string().as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes());
    Ok(format!("{input}.{}", b64u::encode(signature.as_ref())))
}
