//! `callers:` and `routes.*.user:` as they are written.

use std::fmt;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use super::{
    names::{ClaimText, FilePath, Name},
    requests::{Header, header, place},
    text::text_type,
    units::{Size, Span, shown},
};
use crate::{
    model::{AltName, ClaimValue, CredentialSource, Source},
    shape::{Either, Fault, Field, Table},
};

/// A caller that is no app, and what it has to show. Exactly one of the four.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Caller")]
pub(crate) struct RawCaller {
    /// A secret that it sends with every request. Only the hash stands here.
    #[serde(default)]
    pub(crate) bearer: Field<RawBearer>,
    /// A certificate of its own. Needs listeners.public.tls.client_ca_file.
    #[serde(default)]
    pub(crate) client_certificate: Field<RawClientCertificate>,
    /// A JWT of another issuer.
    #[serde(default)]
    pub(crate) jwt: Field<RawCallerJwt>,
    /// A body signed with a shared secret.
    #[serde(default)]
    pub(crate) webhook: Field<RawWebhook>,
}

/// A secret of which only the hash is known. Exactly one of `sha256` and `sha256_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CallerBearer")]
pub(crate) struct RawBearer {
    /// SHA-256 of the secret as 64 hexadecimal digits, never the secret: printf %s "$SECRET" | sha256sum. Up to 16; two while
    /// one is being replaced.
    #[serde(default)]
    pub(crate) sha256: Field<Vec<Field<HashText>>>,
    /// A file with the same, one a line.
    #[serde(default)]
    pub(crate) sha256_file: Field<FilePath>,
    /// Where the secret may stand: bearer, or headers. Default: `[bearer]`.
    #[serde(default)]
    pub(crate) from: Field<Vec<Field<CredentialPlace>>>,
}

/// A certificate that chains to listeners.public.tls.client_ca_file. Exactly one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CallerCertificate")]
pub(crate) struct RawClientCertificate {
    /// SHA-256 of the certificate (DER) as 64 hexadecimal digits: openssl x509 -noout -fingerprint -sha256. Up to 64.
    #[serde(default)]
    pub(crate) sha256: Field<Vec<Field<Fingerprint>>>,
    /// Names, of which the certificate has one: dns:partner.example.com, uri:spiffe://example.com/orders. Up to 64, compared
    /// whole.
    #[serde(default)]
    pub(crate) subject_alt_name: Field<Vec<Field<AltNameText>>>,
}

/// A JWT of another issuer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CallerJwt")]
pub(crate) struct RawCallerJwt {
    /// Its issuer: a name among `issuers`, with profile jwt.
    pub(crate) issuer: Field<Name>,
    /// `sub` has to be one of these. Default: any, and then whoever has a token of this issuer is this caller.
    #[serde(default)]
    pub(crate) subject: Field<Vec<Field<ClaimText>>>,
    /// Claims that it has to carry, each with the value, or one of the values, that stand here. Default: none.
    #[serde(default)]
    pub(crate) claims: Field<Table<ClaimValues>>,
    /// Where it may stand: bearer, or headers. Default: `[bearer]`.
    #[serde(default)]
    pub(crate) from: Field<Vec<Field<CredentialPlace>>>,
}

/// A body signed with a shared secret (HMAC with SHA-256). Exactly one of `secret_file` and `secret_files`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CallerWebhook")]
pub(crate) struct RawWebhook {
    /// How it is signed. stripe: Stripe-Signature. github: X-Hub-Signature-256. standard: Webhook-Signature, as Standard
    /// Webhooks has it. hmac: as the other fields say.
    pub(crate) scheme: Field<SchemeWord>,
    /// File with the secret in one line, 16 to 512 characters; not readable by others.
    #[serde(default)]
    pub(crate) secret_file: Field<FilePath>,
    /// Up to four of them, while one is being replaced.
    #[serde(default)]
    pub(crate) secret_files: Field<Vec<Field<FilePath>>>,
    /// How far the time of the signature may be from ours: 10s to 1h. Default: 5m. Not for github, which signs no time.
    #[serde(default)]
    pub(crate) tolerance: Field<Span>,
    /// hmac: the header with the signature.
    #[serde(default)]
    pub(crate) header: Field<Header>,
    /// hmac: how the signature is written. Default: hex.
    #[serde(default)]
    pub(crate) encoding: Field<SignatureWord>,
    /// hmac: what stands before the signature, as sha256=. Default: nothing.
    #[serde(default)]
    pub(crate) prefix: Field<SignaturePrefix>,
    /// hmac: the header with the time in Unix seconds. Default: none, and no time is signed.
    #[serde(default)]
    pub(crate) timestamp_header: Field<Header>,
    /// hmac: what is signed, with {body}, {timestamp} and {header:Name} in it. Default: "{body}", with timestamp_header
    /// "{timestamp}.{body}".
    #[serde(default)]
    pub(crate) signed: Field<SignedText>,
    /// The largest body; more is 413: 1KiB to 64KiB. Default: 64KiB.
    #[serde(default)]
    pub(crate) max_body: Field<Size>,
}

/// How a webhook signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum SchemeWord {
    Stripe,
    Github,
    Standard,
    Hmac,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum SignatureWord {
    Hex,
    Base64,
}

/// A user's own JWT, verified beside the app's token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RouteUser")]
pub(crate) struct RawUser {
    /// Its issuer: a name among `issuers`, with profile jwt.
    pub(crate) issuer: Field<Name>,
    /// Where it may stand: bearer, or headers; not where the app's token does. Default: `[bearer]`.
    #[serde(default)]
    pub(crate) from: Field<Vec<Field<CredentialPlace>>>,
    /// Refuses requests without a good one, whatever the policy says; proven callers need none. Default: false; rules ask
    /// with `user:`.
    #[serde(default)]
    pub(crate) required: Field<bool>,
}

text_type!(
    /// The hash of a secret, judged in `check::callers`: what is wrong with it must not be shown, it may be the secret itself.
    HashText(String), "a hash",
    {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "SHA-256 of the secret: 64 hexadecimal digits. Never the secret itself.",
    },
    hash_text
);

text_type!(
    /// SHA-256 of a certificate.
    Fingerprint([u8; 32]), "a fingerprint",
    {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "SHA-256 of the certificate: 64 hexadecimal digits.",
    },
    fingerprint
);

text_type!(
    /// A name in a certificate.
    AltNameText(AltName), "a name such as `dns:partner.example.com`",
    {
        "type": "string",
        "pattern": "^(dns:|uri:)",
        "description": "A subject alternative name: dns:partner.example.com, uri:spiffe://example.com/orders.",
        "examples": ["dns:partner.example.com", "uri:spiffe://example.com/orders"],
    },
    alt_name
);

text_type!(
    /// One place where a caller's secret or a JWT may be.
    CredentialPlace(CredentialSource), "a header name, or `bearer`",
    {
        "type": "string",
        "minLength": 1,
        "description": "The name of a header, or `bearer` for Authorization: Bearer.",
        "examples": ["bearer", "Partner-Key"],
    },
    credential_place
);

text_type!(
    /// What stands before a signature.
    SignaturePrefix(String), "a text such as `sha256=`",
    { "type": "string", "minLength": 1, "maxLength": 32, "pattern": "^[!-~]+$" },
    signature_prefix
);

text_type!(
    /// What is signed.
    SignedText(String), "a text such as \"{timestamp}.{body}\"",
    {
        "type": "string",
        "pattern": "\\{body\\}",
        "maxLength": 256,
        "description": "A text with {body} once, {timestamp} and {header:Name}.",
        "examples": ["{timestamp}.{body}", "v0:{timestamp}:{body}"],
    },
    signed
);

/// One value of a claim, or several.
pub(crate) type ClaimValues = Either<ClaimScalar, Vec<Field<ClaimScalar>>>;

/// A value of a claim: a text, a whole number, `true` or `false`.
#[derive(Clone, Debug)]
pub(crate) struct ClaimScalar(pub(crate) ClaimValue);

impl<'de> Deserialize<'de> for ClaimScalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = ClaimScalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, true or false")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<ClaimScalar, E> {
                Ok(ClaimScalar(ClaimValue::Bool(value)))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<ClaimScalar, E> {
                let number =
                    i64::try_from(value).map_err(|_| E::custom(Fault::new(format!("`{value}` is too large"))))?;
                Ok(ClaimScalar(ClaimValue::Number(number)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ClaimScalar, E> {
                if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
                    let fault = Fault::new(format!("`{}` can't be the value of a claim", shown(text)));
                    return Err(E::custom(fault.hint("1 to 256 characters")));
                }
                Ok(ClaimScalar(ClaimValue::Text(text.to_owned())))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

impl JsonSchema for ClaimScalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClaimScalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}

fn hash_text(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

fn fingerprint(text: &str) -> Result<[u8; 32], Fault> {
    if let Some(bytes) = hash(text) {
        return Ok(bytes);
    }
    let fault = Fault::new(format!("`{}` is not the SHA-256 of a certificate", shown(text)));
    // As openssl prints it.
    let printed = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
    let printed = printed.strip_prefix("sha256:").unwrap_or(printed);
    let digits = printed.replace(':', "").to_ascii_lowercase();
    Err(if hash(&digits).is_some() {
        fault.hint(format!("write {digits}"))
    } else {
        fault.hint("64 hexadecimal digits: openssl x509 -in FILE -noout -fingerprint -sha256")
    })
}

/// 64 lower-case hexadecimal digits.
pub(crate) fn hash(text: &str) -> Option<[u8; 32]> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn alt_name(text: &str) -> Result<AltName, Fault> {
    let fault = || Fault::new(format!("`{}` is not a name in a certificate", shown(text)));
    if let Some(name) = text.strip_prefix("dns:") {
        if name.contains('*') {
            return Err(fault().hint("names are compared whole: write each of them"));
        }
        return match attest_core::target::canonical_host(name) {
            Ok(host) if host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[') => Ok(AltName::Dns(host)),
            _ => Err(fault().hint("write dns:partner.example.com")),
        };
    }
    if let Some(uri) = text.strip_prefix("uri:") {
        let scheme = uri.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        if scheme && uri.len() <= 1024 && uri.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(AltName::Uri(uri.to_owned()));
        }
        return Err(fault().hint("write uri:spiffe://example.com/orders"));
    }
    Err(if text.contains("://") {
        fault().hint(format!("write uri:{}", shown(text)))
    } else {
        fault().hint(format!(
            "write dns:{}",
            shown(text.strip_prefix("DNS:").or_else(|| text.strip_prefix("CN=")).unwrap_or(text))
        ))
    })
}

fn credential_place(text: &str) -> Result<CredentialSource, Fault> {
    if text.starts_with("query:") || text == "query" {
        return Err(Fault::new("a secret or JWT can't be in the query: URLs are logged everywhere")
            .hint("write bearer, or the name of a header"));
    }
    match place(text)? {
        Source::Bearer => Ok(CredentialSource::Bearer),
        Source::Header(name) => Ok(CredentialSource::Header(name)),
        Source::Query(_) => Err(Fault::new("a secret or JWT can't be in the query")),
    }
}

fn signature_prefix(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.len() > 32 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Fault::new(format!("`{}` can't stand before a signature", shown(text)))
            .hint("1 to 32 printable characters, as sha256="));
    }
    Ok(text.to_owned())
}

/// What is signed: the body once, and nothing in braces that is not known.
fn signed(text: &str) -> Result<String, Fault> {
    let fault = || Fault::new(format!("`{}` can't be what is signed", shown(text)));
    let words = "in braces stand {body}, {timestamp} or {header:Name}";
    if text.matches("{body}").count() != 1 {
        return Err(fault().hint("{body} stands in it exactly once: anything else leaves the body to whoever sends it"));
    }
    if text.len() > 256 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(fault().hint("at most 256 printable characters, without spaces"));
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let (word, after) = after.split_once('}').ok_or_else(|| fault().hint(words))?;
        match word.strip_prefix("header:") {
            Some(name) => drop(header(name)?),
            None if matches!(word, "body" | "timestamp") => {}
            None => return Err(fault().hint(words)),
        }
        rest = after;
    }
    if rest.contains('}') { Err(fault().hint(words)) } else { Ok(text.to_owned()) }
}

/// The headers in which the known schemes sign.
pub(crate) const STRIPE_HEADER: HeaderName = HeaderName::from_static("stripe-signature");
pub(crate) const GITHUB_HEADER: HeaderName = HeaderName::from_static("x-hub-signature-256");
pub(crate) const STANDARD_HEADER: HeaderName = HeaderName::from_static("webhook-signature");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fingerprints_as_openssl_prints_them_are_told_how_to_write_them() {
        let colons = vec!["AB"; 32].join(":");
        let digits = "ab".repeat(32);
        for printed in [colons.clone(), format!("sha256 Fingerprint={colons}"), format!("sha256:{digits}")] {
            assert_eq!(fingerprint(&printed).unwrap_err().hint.unwrap(), format!("write {digits}"), "{printed}");
        }
        for bad in ["", "ab", &"ab".repeat(31), &"ab".repeat(33), &"zz".repeat(32)] {
            assert!(fingerprint(bad).is_err(), "{bad:?}");
        }
        assert_eq!(fingerprint(&digits).unwrap(), [0xab; 32]);
    }

    #[test]
    fn names_in_certificates_are_whole_and_have_their_kind() {
        assert!(alt_name("partner.example.com").unwrap_err().hint.unwrap().contains("dns:partner.example.com"));
        assert!(alt_name("spiffe://a/b").unwrap_err().hint.unwrap().contains("uri:spiffe://a/b"));
        assert!(alt_name("CN=partner").unwrap_err().hint.unwrap().contains("dns:partner"));
        for bad in
            ["", "dns:", "dns:*.example.com", "dns:10.0.0.1", "dns:a b", "uri:", "uri:x", "uri:a:b c", "ip:10.0.0.1"]
        {
            assert!(alt_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(alt_name("dns:Partner.Example.com").unwrap(), AltName::Dns("partner.example.com".into()));
        assert_eq!(alt_name("uri:spiffe://Example/x").unwrap(), AltName::Uri("spiffe://Example/x".into()));
    }

    #[test]
    fn what_is_signed_has_the_body_once() {
        for bad in
            ["", "{timestamp}", "{body}{body}", "{body", "{body}{time}", "{body}{header:a b}", "{body}}", "v0 {body}"]
        {
            assert!(signed(bad).is_err(), "{bad:?}");
        }
        for good in ["{body}", "v0:{timestamp}:{body}", "{header:Webhook-Id}.{timestamp}.{body}"] {
            assert_eq!(signed(good).unwrap(), good);
        }
    }

    #[test]
    fn credentials_stand_in_headers() {
        assert!(credential_place("query:key").unwrap_err().message.contains("URLs are logged"));
        assert!(credential_place("Authorization").unwrap_err().hint.unwrap().contains("write bearer"));
        for bad in ["", "cookie", "X-Assay-User", "Partner-Key: x", "host"] {
            assert!(credential_place(bad).is_err(), "{bad:?}");
        }
        assert_eq!(credential_place("bearer").unwrap(), CredentialSource::Bearer);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = (signed(&text), fingerprint(&text), alt_name(&text), credential_place(&text), signature_prefix(&text), hash(&text));
        }
    }
}
