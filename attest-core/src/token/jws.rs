//! The outer form of a token: JWS in compact serialisation, read strictly.
//!
//! In: bytes. Out: a [`Compact`] whose three parts decoded, whose header is one JSON object without duplicates, asks
//! for nothing that we don't understand, and names an algorithm that is not `none`. Nothing is proven about who
//! signed it.

use serde_json::{Map, Value};

use super::{Algorithm, MAX_TOKEN_BYTES, Reason};
use crate::b64u;
use crate::json::{self, JsonError, Limits};

/// The token is not one that we read. Needs no key to find out.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("malformed token: {reason}")]
pub struct Malformed {
    /// The stable code of the reason.
    pub reason: Reason,
}

impl Malformed {
    pub(super) const fn because(reason: Reason) -> Self {
        Self { reason }
    }
}

/// A JWS in compact serialisation, decoded and not yet verified.
pub struct Compact<'a> {
    signing_input: &'a [u8],
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The protected header, as far as it decides anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm, when it is one that a key of ours may have.
    pub alg: Option<Algorithm>,
    /// The name of the key.
    pub kid: Option<Box<str>>,
    /// The media type of the whole.
    pub typ: Option<Box<str>>,
    /// Whether it is a sealed token: `alg` with its prefix, `crit: ["asv"]`, and the `typ` of these tokens.
    pub sealed: bool,
}

impl<'a> Compact<'a> {
    /// Parses `text`, at most [`MAX_TOKEN_BYTES`].
    ///
    /// # Errors
    /// [`Malformed`] with one of: `empty`, `too_long`, `not_three_parts`, `encrypted` (five parts, or `enc`),
    /// `not_base64url`, `header_not_json`, `duplicate_member`, `alg_missing`, `alg_none`, `unknown_crit`,
    /// `b64_not_supported`, `kid_not_text`, `kid_too_long`, `typ_not_text`, `sealed_form` (some marks of a sealed token,
    /// and not all).
    ///
    /// # Source
    /// RFC 7515 sections 4.1, 5.2 and 7.1; RFC 8725 sections 3.1 to 3.11.
    pub fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        if text.is_empty() {
            return Err(Malformed::because("empty"));
        }
        if text.len() > MAX_TOKEN_BYTES {
            return Err(Malformed::because("too_long"));
        }
        let (header, payload, signature, signing_input) = split(text)?;
        let header = Header::from_json(&decode(header)?)?;
        Ok(Self { signing_input, header, payload: decode(payload)?, signature: decode(signature)? })
    }

    /// What the signature is over.
    #[must_use]
    pub const fn signing_input(&self) -> &'a [u8] {
        self.signing_input
    }

    /// The protected header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload, whatever it is.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// Header, payload, signature, and the first two with their dot.
type Parts<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8]);

fn split(text: &[u8]) -> Result<Parts<'_>, Malformed> {
    let mut dots = text.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
    let parts = match (dots.next(), dots.next(), dots.count()) {
        (Some(first), Some(second), 0) => {
            let payload = text.get(first + 1..second);
            Some((text.get(..first), payload, text.get(second + 1..), text.get(..second)))
        }
        // The compact form of JWE has five parts.
        (Some(_), Some(_), 2) => return Err(Malformed::because("encrypted")),
        _ => None,
    };
    match parts {
        Some((Some(header), Some(payload), Some(signature), Some(input))) => Ok((header, payload, signature, input)),
        _ => Err(Malformed::because("not_three_parts")),
    }
}

fn decode(part: &[u8]) -> Result<Vec<u8>, Malformed> {
    b64u::decode(part, MAX_TOKEN_BYTES).map_err(|_| Malformed::because("not_base64url"))
}

impl Header {
    fn from_json(text: &[u8]) -> Result<Self, Malformed> {
        let limits = Limits { max_bytes: MAX_TOKEN_BYTES, max_depth: 8, max_members: 64 };
        let members = json::parse_object(text, limits).map_err(|error| {
            Malformed::because(match error {
                JsonError::DuplicateMember => "duplicate_member",
                _ => "header_not_json",
            })
        })?;
        // RFC 7515 4.1.11: what is critical must be understood, and all that we understand is a sealed verdict.
        let crit_asv = match members.get("crit") {
            None => false,
            Some(Value::Array(names)) if matches!(names.as_slice(), [Value::String(only)] if only == "asv") => true,
            Some(_) => return Err(Malformed::because("unknown_crit")),
        };
        if members.contains_key("b64") {
            return Err(Malformed::because("b64_not_supported"));
        }
        if members.contains_key("enc") {
            return Err(Malformed::because("encrypted"));
        }
        let (alg, alg_sealed) = match members.get("alg") {
            Some(Value::String(name)) if name.eq_ignore_ascii_case("none") => {
                return Err(Malformed::because("alg_none"));
            }
            Some(Value::String(name)) => match name.strip_prefix(SEALED_ALG_PREFIX) {
                Some(inner) => (inner.parse().ok(), true),
                None => (name.parse().ok(), false),
            },
            _ => return Err(Malformed::because("alg_missing")),
        };
        let kid = text_member(&members, "kid", "kid_not_text")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > 256) {
            return Err(Malformed::because("kid_too_long"));
        }
        let typ = text_member(&members, "typ", "typ_not_text")?;
        let marks = [alg_sealed, crit_asv, typ.as_deref() == Some(SEALED_TYP)];
        match marks {
            [false, false, false] => Ok(Self { alg, kid, typ, sealed: false }),
            [true, true, true] => Ok(Self { alg, kid, typ, sealed: true }),
            _ => Err(Malformed::because("sealed_form")),
        }
    }
}

/// In front of the algorithm's name in a sealed token: an algorithm that no JWT library has.
pub(super) const SEALED_ALG_PREFIX: &str = "ASSAY-";

/// The `typ` of a sealed token.
pub(super) const SEALED_TYP: &str = "assay-sealed+jwt";

/// In front of what a sealed token's signature is over, so that none of its signatures is good for another token.
pub(super) const SEALED_DOMAIN: &[u8] = b"assay-sealed-v1\0";

fn text_member(members: &Map<String, Value>, name: &str, reason: Reason) -> Result<Option<Box<str>>, Malformed> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str().into())),
        Some(_) => Err(Malformed::because(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(header: &str) -> Reason {
        let text = format!("{}.e30.AA", b64u::encode(header.as_bytes()));
        match Compact::parse(text.as_bytes()) {
            Ok(_) => "accepted",
            Err(malformed) => malformed.reason,
        }
    }

    #[test]
    fn refuses_headers_that_ask_for_more_than_we_understand() {
        for (header, reason) in [
            (r#"{"alg":"none"}"#, "alg_none"),
            (r#"{"alg":"nOnE"}"#, "alg_none"),
            (r#"{}"#, "alg_missing"),
            (r#"{"alg":7}"#, "alg_missing"),
            (r#"{"alg":"HS256","alg":"HS256"}"#, "duplicate_member"),
            (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, "unknown_crit"),
            (r#"{"alg":"HS256","crit":[]}"#, "unknown_crit"),
            (r#"{"alg":"ASSAY-ES256","crit":["asv","exp"],"typ":"assay-sealed+jwt"}"#, "unknown_crit"),
            (r#"{"alg":"ASSAY-ES256","crit":"asv","typ":"assay-sealed+jwt"}"#, "unknown_crit"),
            (r#"{"alg":"ASSAY-ES256","typ":"assay-sealed+jwt"}"#, "sealed_form"),
            (r#"{"alg":"ASSAY-ES256","crit":["asv"],"typ":"JWT"}"#, "sealed_form"),
            (r#"{"alg":"ES256","crit":["asv"],"typ":"assay-sealed+jwt"}"#, "sealed_form"),
            (r#"{"alg":"HS256","crit":["asv"]}"#, "sealed_form"),
            (r#"{"alg":"ES256","typ":"assay-sealed+jwt"}"#, "sealed_form"),
            (r#"{"alg":"HS256","b64":false}"#, "b64_not_supported"),
            (r#"{"alg":"HS256","enc":"A256GCM"}"#, "encrypted"),
            (r#"{"alg":"HS256","kid":1}"#, "kid_not_text"),
            (r#"{"alg":"HS256","typ":null}"#, "typ_not_text"),
            (r#"["HS256"]"#, "header_not_json"),
            ("", "header_not_json"),
            (r#"{"alg":"HS256"} x"#, "header_not_json"),
        ] {
            assert_eq!(refused(header), reason, "{header}");
        }
        assert_eq!(refused(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(257))), "kid_too_long");
        assert_eq!(refused("{\"alg\":\"HS256\",\r\n \"typ\":\"JWT\"}"), "accepted");
    }

    #[test]
    fn refuses_forms_other_than_three_canonical_parts() {
        for (text, reason) in [
            ("", "empty"),
            ("adasdasdsadasd", "not_three_parts"),
            ("a.b", "not_three_parts"),
            ("e30.e30.AA.AA", "not_three_parts"),
            ("e30.e30.AA.AA.AA", "encrypted"),
            ("e30=.e30.AA", "not_base64url"),
            ("eyJhbGciOiJIUzI1NiJ9.e30.AB", "not_base64url"),
            ("eyJhbGciOiJIUzI1NiJ9.e30 .AA", "not_base64url"),
            ("eyJhbGciOiJIUzI1NiJ9.e30.AA\n", "not_base64url"),
            ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.AA", "not_base64url"),
        ] {
            assert_eq!(Compact::parse(text.as_bytes()).err().map(|error| error.reason), Some(reason), "{text}");
        }
        let long = "a".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!(Compact::parse(long.as_bytes()).err(), Some(Malformed::because("too_long")));
    }

    #[test]
    fn an_algorithm_that_no_key_has_is_read_and_left_to_key_selection() {
        let text = format!("{}..", b64u::encode(br#"{"alg":"RS1","kid":"k","typ":"JWT"}"#));
        let compact = Compact::parse(text.as_bytes()).unwrap();
        assert_eq!(
            *compact.header(),
            Header { alg: None, kid: Some("k".into()), typ: Some("JWT".into()), sealed: false }
        );
        assert!(compact.payload().is_empty() && compact.signature().is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Compact::parse(&text);
        }

        #[test]
        fn what_parses_has_one_text(
            payload in proptest::collection::vec(any::<u8>(), 0..50),
            signature in proptest::collection::vec(any::<u8>(), 0..70),
        ) {
            let text = format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", b64u::encode(&payload), b64u::encode(&signature));
            let compact = Compact::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(compact.payload(), payload);
            prop_assert_eq!(compact.signature(), signature);
            prop_assert!(text.as_bytes().starts_with(compact.signing_input()));
        }
    }
}
