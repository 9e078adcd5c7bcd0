//! Google Cloud, as a service account meets it. Source: "Using OAuth 2.0 for server to server applications" (the claims, RS256,
//! one hour at most), RFC 7523 section 3, and Vertex AI's `generateContent`.

use std::collections::BTreeSet;
use std::sync::Mutex;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _};
use serde_json::{Value, json};

use super::{Call, Reply, Vendor, lock};

/// Who the account is.
pub const ACCOUNT: &str = "assay@my-project.iam.gserviceaccount.com";

/// What tokens are good for.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Tokens that every answer reports.
pub const TOKENS: u64 = 18;

/// The API with its token endpoint (`/token`), and the JSON key of its one service account, as Google hands it out.
#[must_use]
pub fn start() -> (Vendor, String) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let tokens: Mutex<BTreeSet<String>> = Mutex::default();
    let vendor = Vendor::with_address(|address| {
        let audience = format!("http://{address}/token");
        move |call: &Call| match (call.method.as_str(), call.path()) {
            ("POST", "/token") => match granted(call, &audience, &public) {
                Ok(()) => {
                    let mut tokens = lock(&tokens);
                    let token = format!("ya29.{}-{}", tokens.len() + 1, random());
                    tokens.insert(token.clone());
                    Reply::json(200, &json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
                }
                Err(why) => Reply::json(400, &json!({ "error": "invalid_grant", "error_description": why })),
            },
            _ if !call.bearer().is_some_and(|token| lock(&tokens).contains(token)) => {
                error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            }
            ("POST", path) if path.ends_with(":generateContent") => Reply::json(200, &answer("Sealed, not hidden.")),
            ("POST", path) if path.ends_with(":streamGenerateContent") => {
                Reply::events(["Sealed,", " not", " hidden."].map(|word| format!("data: {}\r\n\r\n", answer(word))))
            }
            ("POST", path) if path.ends_with(":countTokens") => Reply::json(200, &json!({ "totalTokens": 6 })),
            // What the scope opens beside these: a test that gets here has found a hole.
            ("GET", path) if path.contains("/endpoints") => Reply::json(200, &json!({ "endpoints": [{}] })),
            _ => error(404, "NOT_FOUND", "Not Found"),
        }
    });
    let key = json!({
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": pem(private.as_ref()),
        "client_email": ACCOUNT,
        "client_id": "100000000000000000000",
        "token_uri": format!("{}/token", vendor.url()),
    });
    (vendor, format!("{key:#}"))
}

/// Whether a token request shows a good assertion.
fn granted(call: &Call, audience: &str, public: &[u8]) -> Result<(), &'static str> {
    let form = call.form();
    let field = |name: &str| form.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    if field("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return Err("Invalid grant type");
    }
    let assertion = field("assertion").ok_or("Missing assertion")?;
    let (signed, signature) = assertion.rsplit_once('.').ok_or("Not a JWT")?;
    let decoded = |part: &str| data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| "Not a JWT");
    let (head, claims) = signed.split_once('.').ok_or("Not a JWT")?;
    let head: Value = serde_json::from_slice(&decoded(head)?).map_err(|_| "Not a JWT")?;
    let claims: Value = serde_json::from_slice(&decoded(claims)?).map_err(|_| "Not a JWT")?;
    if head["alg"] != "RS256" {
        return Err("Invalid JWT: alg");
    }
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &decoded(signature)?)
        .map_err(|_| "Invalid JWT Signature.")?;
    let (issued, expires) = (claims["iat"].as_i64().ok_or("iat")?, claims["exp"].as_i64().ok_or("exp")?);
    let now = now();
    if claims["iss"] != ACCOUNT || claims["aud"] != audience {
        return Err("Invalid JWT: iss or aud");
    }
    if claims["scope"] != SCOPE {
        return Err("Invalid JWT: scope");
    }
    if issued > now + 60 || expires <= now || expires - issued > 3600 {
        return Err("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.");
    }
    Ok(())
}

fn answer(text: &str) -> Value {
    json!({
        "candidates": [{ "content": { "role": "model", "parts": [{ "text": text }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 6, "candidatesTokenCount": TOKENS - 6, "totalTokenCount": TOKENS },
    })
}

fn error(status: u16, name: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "code": status, "message": message, "status": name } }))
}

/// A PKCS #8 key in PEM.
pub(super) fn pem(der: &[u8]) -> String {
    let lines = data_encoding::BASE64.encode(der);
    let lines: Vec<&str> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// 32 hex digits.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    data_encoding::HEXLOWER.encode(&bytes)
}

#[expect(clippy::disallowed_methods, reason = "a server of its own, with a clock of its own")]
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
