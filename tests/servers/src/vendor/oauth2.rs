//! An API behind OAuth2 client credentials. Source: RFC 6749 sections 2.3.1, 4.4, 5.1 and 5.2; RFC 7523 sections 2.2 and 3 for a
//! client that proves itself by a signed assertion.
//!
//! One server is both: `POST /token` mints, everything else asks for a token that it minted and that has not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::google_cloud::now;
use super::{Call, Reply, Vendor, lock};

/// Who the client is. The space is there to be escaped.
pub const CLIENT: &str = "assay gateway";

/// What a token has to be asked for.
pub const SCOPE: &str = "orders:read orders:export";

/// A parameter that the endpoint asks for beside those of the RFC.
pub const RESOURCE: &str = "https://orders.example.com/";

/// How the client proves itself. Nothing but this way is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `Authorization: Basic`.
    Basic,
    /// `client_id` and `client_secret` in the body.
    Body,
    /// A signed assertion.
    PrivateKeyJwt,
}

/// What the client shows.
enum Known {
    Secret(String),
    /// An uncompressed point of P-256.
    PublicKey(Vec<u8>),
}

/// The API and the secret that its client was given: a text full of what has to be escaped, or a private key in PEM. Tokens
/// live for so many seconds.
#[must_use]
pub fn start(proof: Proof, lifetime: u64) -> (Vendor, String) {
    let (known, secret) = if proof == Proof::PrivateKeyJwt {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let private = pair.to_pkcs8v1().unwrap();
        (Known::PublicKey(pair.public_key().as_ref().to_vec()), super::google_cloud::pem(private.as_ref()))
    } else {
        let secret = format!("s3cret:+/&= %{}", super::google_cloud::random());
        (Known::Secret(secret.clone()), secret)
    };
    let minted: Mutex<BTreeMap<String, i64>> = Mutex::default();
    let used: Mutex<BTreeSet<String>> = Mutex::default();
    let vendor = Vendor::with_address(|address| {
        let endpoint = format!("http://{address}/token");
        move |call: &Call| match (call.method.as_str(), call.path()) {
            ("POST", "/token") => match granted(call, proof, &known, &endpoint, &used) {
                Ok(()) => {
                    let token = format!("minted-{}", super::google_cloud::random());
                    lock(&minted).insert(token.clone(), now() + i64::try_from(lifetime).unwrap_or(i64::MAX));
                    Reply::json(200, &json!({ "access_token": token, "token_type": "bearer", "expires_in": lifetime }))
                        .with("Cache-Control", "no-store")
                }
                Err(code) => Reply::json(if code == "invalid_client" { 401 } else { 400 }, &json!({ "error": code })),
            },
            _ if call.bearer().is_none_or(|token| lock(&minted).get(token).is_none_or(|end| now() >= *end)) => {
                Reply::json(401, &json!({ "error": "invalid_token" }))
                    .with("WWW-Authenticate", "Bearer error=\"invalid_token\"")
            }
            ("GET", "/v1/orders") => Reply::json(200, &json!({ "orders": [{ "id": 7 }] })),
            ("POST", "/v1/export") => {
                Reply::events((1..=5).map(|id| format!("data: {}\n\n", json!({ "id": id, "of": call.body.len() }))))
            }
            // What gets here has found a hole: every user's orders.
            ("DELETE", _) => Reply::json(200, &json!({ "deleted": true })),
            _ => Reply::json(404, &json!({ "error": "not_found" })),
        }
    });
    (vendor, secret)
}

/// Whether a token request may have a token; otherwise the code of RFC 6749 section 5.2.
fn granted(
    call: &Call,
    proof: Proof,
    known: &Known,
    endpoint: &str,
    used: &Mutex<BTreeSet<String>>,
) -> Result<(), &'static str> {
    let form = call.form();
    let names: BTreeSet<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
    // "Request and response parameters MUST NOT be included more than once", section 3.2.
    if names.len() != form.len() || call.header("content-type") != Some("application/x-www-form-urlencoded") {
        return Err("invalid_request");
    }
    let field = |name: &str| form.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let shown = match (call.basic(), field("client_secret"), field("client_assertion")) {
        (Some((id, secret)), None, None) if proof == Proof::Basic => {
            // Both are escaped as in a form, section 2.3.1.
            decoded(&id) == CLIENT && matches!(known, Known::Secret(own) if decoded(&secret) == *own)
        }
        (None, Some(secret), None) if proof == Proof::Body => {
            field("client_id") == Some(CLIENT) && matches!(known, Known::Secret(own) if secret == own)
        }
        (None, None, Some(assertion)) if proof == Proof::PrivateKeyJwt => {
            let kind = field("client_assertion_type");
            kind == Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                && matches!(known, Known::PublicKey(point) if is_asserted(assertion, point, endpoint, used).is_some())
        }
        _ => false,
    };
    if !shown {
        return Err("invalid_client");
    }
    if field("grant_type") != Some("client_credentials") {
        return Err("unsupported_grant_type");
    }
    if field("scope") != Some(SCOPE) {
        return Err("invalid_scope");
    }
    if field("resource") == Some(RESOURCE) { Ok(()) } else { Err("invalid_request") }
}

/// The claims of RFC 7523 section 3, signed with ES256 and never seen before.
fn is_asserted(assertion: &str, point: &[u8], endpoint: &str, used: &Mutex<BTreeSet<String>>) -> Option<()> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (head, claims) = signed.split_once('.')?;
    let part = |text: &str| data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    let head: Value = serde_json::from_slice(&part(head)?).ok()?;
    let claims: Value = serde_json::from_slice(&part(claims)?).ok()?;
    let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &part(signature)?).ok()?;
    let (issued, expires) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
    let in_time = issued <= now() && now() < expires && expires - issued <= 600;
    let is_ours = head["alg"] == "ES256" && head["kid"] == "k1" && claims["iss"] == CLIENT && claims["sub"] == CLIENT;
    let is_new = lock(used).insert(claims["jti"].as_str()?.to_owned());
    (in_time && is_ours && is_new && claims["aud"] == endpoint).then_some(())
}

fn decoded(text: &str) -> String {
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(authorization: &str, body: &str) -> Call {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", authorization)];
        let headers = headers.iter().filter(|(_, value)| !value.is_empty());
        Call {
            method: "POST".to_owned(),
            target: "/token".to_owned(),
            headers: headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn asked(proof: Proof, authorization: &str, body: &str) -> Result<(), &'static str> {
        let known = Known::Secret("a:b c".to_owned());
        granted(&call(authorization, body), proof, &known, "http://a/token", &Mutex::default())
    }

    const REST: &str =
        "grant_type=client_credentials&scope=orders:read+orders:export&resource=https://orders.example.com/";

    fn basic(text: &str) -> String {
        format!("Basic {}", data_encoding::BASE64.encode(text.as_bytes()))
    }

    #[test]
    fn refuses_proofs_of_another_kind_two_at_once_and_what_is_not_escaped() {
        let body = |more: &str| format!("{REST}&client_id=assay+gateway&{more}");
        assert_eq!(asked(Proof::Basic, "", &body("client_secret=a:b+c")), Err("invalid_client"));
        assert_eq!(asked(Proof::Body, &basic("assay+gateway:a%3Ab+c"), REST), Err("invalid_client"));
        assert_eq!(
            asked(Proof::Body, &basic("assay+gateway:a%3Ab+c"), &body("client_secret=a:b+c")),
            Err("invalid_client")
        );
        assert_eq!(asked(Proof::Basic, &basic("assay+gateway:a%3Ab%2Bc"), REST), Err("invalid_client"));
        assert_eq!(asked(Proof::PrivateKeyJwt, "", &body("client_assertion=a.b.c")), Err("invalid_client"));
        assert_eq!(asked(Proof::Body, "", &body("client_secret=a:b+c&client_secret=x")), Err("invalid_request"));
    }

    #[test]
    fn takes_the_secret_as_the_rfc_has_it_and_asks_for_scope_and_resource() {
        let proof = basic("assay%20gateway:a%3Ab%20c");
        assert_eq!(asked(Proof::Basic, &proof, REST), Ok(()));
        assert_eq!(asked(Proof::Basic, &proof, "grant_type=password"), Err("unsupported_grant_type"));
        assert_eq!(asked(Proof::Basic, &proof, "grant_type=client_credentials&scope=all"), Err("invalid_scope"));
        let without = REST.split("&resource").next().unwrap();
        assert_eq!(asked(Proof::Basic, &proof, without), Err("invalid_request"));
    }
}
