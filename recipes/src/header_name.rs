//! Headers that a credential may stand in. In: a name. Out: a [`HeaderName`]; proven between: it neither frames, routes
//! nor describes the message, and is none of the gateway's own.

use http::HeaderName;

use crate::error::RecipeError;

/// Parses the name of a header for a credential.
pub(crate) fn for_credential(text: &str) -> Result<HeaderName, RecipeError> {
    let name = any(text)?;
    if name.as_str().starts_with("x-assay-") || FRAMING.contains(&name.as_str()) {
        return Err(RecipeError::NotForKeys { name });
    }
    Ok(name)
}

/// Parses the name of a header that a signature covers. `member`: the recipe's member that it stands in.
pub(crate) fn for_signature(member: &'static str, text: &str) -> Result<HeaderName, RecipeError> {
    let name = any(text)?;
    let forwarded = name.as_str().starts_with("x-forwarded-") || name.as_str().starts_with("x-assay-");
    if forwarded || CHANGED_ON_THE_WAY.contains(&name.as_str()) { Err(not_signed(member)) } else { Ok(name) }
}

/// Why a header is not signed.
pub(crate) fn not_signed(member: &'static str) -> RecipeError {
    let why = "a header that hops set or change can't be signed: the API would see another one";
    RecipeError::Member { member, why }
}

/// Set by proxies, connections or the signature itself; `host` is signed in other ways.
const CHANGED_ON_THE_WAY: [&str; 17] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Parses any name.
pub(crate) fn any(text: &str) -> Result<HeaderName, RecipeError> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| RecipeError::NotAHeader { text: text.to_owned() })
}

/// Headers that say where a message ends, where it goes, or what it is: RFC 9110 sections 7.2, 7.6, 7.8, 8.6, 10.1.1.
const FRAMING: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_header_and_what_frames_the_message() {
        for text in ["", "a b", "a:b", "a\r\nb", "é"] {
            assert!(matches!(for_credential(text), Err(RecipeError::NotAHeader { .. })), "{text:?}");
        }
        for text in ["Host", "content-length", "TRANSFER-ENCODING", "X-Assay-Verdict", "Range"] {
            assert!(matches!(for_credential(text), Err(RecipeError::NotForKeys { .. })), "{text}");
        }
        assert_eq!(for_credential("X-API-Key").unwrap(), "x-api-key");
    }
}
