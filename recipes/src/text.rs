//! A recipe as it is written: by an operator in YAML or JSON, in the store in canonical form. In: text. Out:
//! [`RecipeText`], which proves nothing yet; [`crate::Recipe::parse`] does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A recipe as it is written. Members that are absent take the default that their line states.
///
/// In a template, `{key}` stands for the secret, `{token}` for what was minted with it, `{signature}` for what was
/// computed with it; each exactly once. Templates are at most 256 bytes of printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RecipeText {
    /// One header.
    Header {
        /// Its name, in any case.
        name: String,
        /// Its value: `Bearer {key}`.
        template: String,
    },
    /// One query parameter.
    Query {
        /// Its name, unescaped.
        name: String,
        /// Its value, unescaped: `{key}`.
        template: String,
    },
    /// One segment of the path. Bounds and operations name the path without it.
    PathSegment {
        /// Which segment it becomes, from 1: with 1 and `bot{key}`, `/getMe` is sent as `/bot…/getMe`. 1 to 16.
        at: u8,
        /// The segment, unescaped.
        template: String,
    },
    /// Basic authentication, RFC 7617. `{key}` stands in one of the two.
    Basic {
        /// The user: `{key}`, or an account id.
        user: String,
        /// The password: `{key}`, or nothing.
        password: String,
    },
    /// One cookie, beside those that the request carries.
    Cookie {
        /// Its name.
        name: String,
        /// Its value: `{key}`.
        template: String,
    },
    /// One member of a JSON object in the body.
    JsonField {
        /// Where, RFC 6901: `/auth/api_key`. 1 to 8 names of objects, never through an array.
        pointer: String,
        /// Its value, a string: `{key}`.
        template: String,
    },
    /// One field of an `application/x-www-form-urlencoded` body.
    FormField {
        /// Its name, unescaped.
        name: String,
        /// Its value, unescaped: `{key}`.
        template: String,
    },
    /// An access token by client credentials: RFC 6749 section 4.4; with `private_key_jwt`, RFC 7523 section 2.2.
    Oauth2ClientCredentials {
        /// `https://host[:port]/path`; `http` for loopback hosts alone.
        token_endpoint: String,
        /// The client.
        client_id: String,
        /// How the client proves itself. The secret is the client secret, or a PEM private key.
        authentication: ClientAuthentication,
        /// `private_key_jwt`: how the assertion is signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        algorithm: Option<JwtAlgorithm>,
        /// `private_key_jwt`: the `kid` of the assertion.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        /// `scope`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// `audience`, as a parameter of the token request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// Further parameters of the token request: up to 16, none that the others state.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        parameters: BTreeMap<String, String>,
        /// The header that the access token goes into.
        name: String,
        /// Its value: `Bearer {token}`.
        template: String,
    },
    /// A signed JWT: changed for an access token at `token_endpoint` (RFC 7523 section 2.1), or without one sent itself.
    /// The secret is a PEM private key, a Google service account's JSON key, or for HS algorithms the shared bytes.
    JwtBearer {
        /// `https://host[:port]/path`; `http` for loopback hosts alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_endpoint: Option<String>,
        /// `iss`. Absent: the service account's address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
        /// `sub`. Absent: the issuer where the JWT itself is sent to a Google API, otherwise none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// `aud`. Absent: the token endpoint.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// `scope`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// Further claims: up to 16, at most 2 KiB as JSON, none that the others state.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        claims: BTreeMap<String, Value>,
        /// How it is signed.
        algorithm: JwtAlgorithm,
        /// `kid`. Absent: the service account's, otherwise none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        /// `exp` less `iat`, in seconds: 60 to 3600.
        lifetime_secs: u32,
        /// The header that the token goes into.
        name: String,
        /// Its value: `Bearer {token}`.
        template: String,
    },
    /// An HMAC over chosen parts of the request.
    Hmac {
        /// The hash.
        algorithm: HmacAlgorithm,
        /// How the secret's text stands for the key's bytes.
        #[serde(default)]
        secret: SecretEncoding,
        /// How the signature is written.
        encoding: SignatureEncoding,
        /// What is signed: text with `{method}`, `{path}`, `{query}`, `{host}`, `{timestamp}`, `{body}`,
        /// `{body_sha256}` (hex), `{header:NAME}`, `{nl}` (a line feed). At most 1 KiB and 32 places.
        message: String,
        /// How the time is written, wherever it stands.
        timestamp: TimestampForm,
        /// A header for the time, beside the one for the signature.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_header: Option<String>,
        /// The header that the signature goes into.
        name: String,
        /// Its value: `{signature}` once, `{timestamp}` at most once: `t={timestamp},v1={signature}`.
        template: String,
    },
    /// AWS Signature Version 4. The secret is what `aws configure export-credentials` prints, or `ID:SECRET[:TOKEN]`.
    AwsSigv4 {
        /// `eu-central-1`.
        region: String,
        /// `s3`, `bedrock`, `execute-api`.
        service: String,
        /// Where the signature stands.
        place: Sigv4Place,
        /// Headers to sign where they are present, beside `host` and all of `x-amz-*`: up to 32.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<String>,
        /// What happens with a body of more than 64 KiB.
        large_body: LargeBody,
    },
    /// A certificate in the TLS handshake. The secret is its PEM chain and private key, one after the other.
    ClientCertificate {},
}

/// How an OAuth2 client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// `Authorization: Basic`, RFC 6749 section 2.3.1.
    Basic,
    /// `client_id` and `client_secret` in the body, the same section.
    Body,
    /// A signed assertion, RFC 7523 section 2.2.
    PrivateKeyJwt,
}

/// Signature algorithms of JWTs, RFC 7518 section 3.1 and RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum JwtAlgorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// The hash of an HMAC recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
    /// HMAC-SHA-1, where an API knows nothing newer.
    Sha1,
}

/// How the text of an HMAC secret stands for the bytes of the key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretEncoding {
    /// The text's own bytes.
    #[default]
    Text,
    /// Base64, with padding.
    Base64,
    /// Hexadecimal.
    Hex,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Lower-case hexadecimal.
    Hex,
    /// RFC 4648 section 4, with padding.
    Base64,
    /// RFC 4648 section 5, without padding.
    Base64url,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampForm {
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// `2015-08-30T12:36:00Z`
    Rfc3339,
    /// `Sun, 30 Aug 2015 12:36:00 GMT`
    HttpDate,
}

/// Where an AWS signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sigv4Place {
    /// The `Authorization` header.
    Header,
    /// Query parameters, as in presigned URLs.
    Query {
        /// How long the signature is good, in seconds: 1 to 604800.
        expires_secs: u32,
    },
}

/// What a signing recipe does with a body over 64 KiB, which the gateway does not hold whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LargeBody {
    /// It is sent unsigned (`UNSIGNED-PAYLOAD`, which S3 takes and most services do not).
    Unsigned,
    /// It is refused.
    Refuse,
}
