//! Credential slots: the request headers that a client may not bring to a route that injects. In: a header name, as
//! received. Out: whether it has to go; names are compared as lenient servers do, in any case, `_` as `-`.
//!
//! Two kinds have to go: what proves a caller (his own key beside ours would choose whose account is used), and what
//! chooses an account under our key (`Stripe-Account`). On a route that injects they come from the gateway or not at all.

use http::HeaderName;

/// Whether a client's header of this name has to be removed where the key goes into `recipe_header`.
pub fn is_credential_slot(name: &str, recipe_header: &HeaderName) -> bool {
    let mut folded = [0; LONGEST];
    match fold(name, &mut folded) {
        Some(folded) if is_well_known(folded) => true,
        _ => is_same_slot(name, recipe_header.as_str()),
    }
}

/// Whether two header names are one slot to a lenient server: `X_API_Key` and `x-api-key`.
pub fn is_same_slot(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(one, other)| fold_byte(one) == fold_byte(other))
}

/// Headers that prove a caller or choose an account, in folded form, at well-known APIs, clouds and proxies.
fn is_well_known(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "proxy-authorization"
            | "x-authorization"
            | "x-forwarded-authorization"
            | "cookie"
            | "cookie2"
            | "api-key"
            | "apikey"
            | "x-api-key"
            | "x-apikey"
            | "x-api-token"
            | "x-api-secret"
            | "x-auth"
            | "x-auth-key"
            | "x-auth-email"
            | "x-auth-token"
            | "x-access-token"
            | "access-token"
            | "auth-token"
            | "x-secret-key"
            | "x-client-secret"
            | "private-token"
            | "job-token"
            | "deploy-token"
            | "x-token"
            | "x-goog-api-key"
            | "x-goog-iam-authorization-token"
            | "x-goog-user-project"
            | "x-goog-authenticated-user-email"
            | "x-amz-security-token"
            | "x-amz-target-account"
            | "x-ms-client-principal"
            | "x-ms-token-aad-access-token"
            | "ocp-apim-subscription-key"
            | "x-functions-key"
            | "aeg-sas-key"
            | "x-rapidapi-key"
            | "x-subscription-token"
            | "x-shopify-access-token"
            | "x-github-token"
            | "x-gitlab-token"
            | "x-vault-token"
            | "x-consul-token"
            | "x-figma-token"
            | "x-square-token"
            | "dd-api-key"
            | "dd-application-key"
            | "x-honeycomb-team"
            | "x-algolia-api-key"
            | "x-algolia-application-id"
            | "x-parse-rest-api-key"
            | "x-parse-master-key"
            | "x-app-key"
            | "x-app-token"
            | "xi-api-key"
            | "x-key"
            | "openai-organization"
            | "openai-project"
            | "anthropic-organization"
            | "stripe-account"
            | "stripe-context"
            | "paypal-auth-assertion"
            | "x-twilio-signature"
            | "dpop"
            | "signature"
            | "signature-input"
    )
}

/// Longer than any well-known name: longer ones are none.
const LONGEST: usize = 48;

/// The folded form in `buffer`; `None` for a name that is longer than any well-known one.
fn fold<'a>(name: &str, buffer: &'a mut [u8; LONGEST]) -> Option<&'a str> {
    let folded = buffer.get_mut(..name.len())?;
    folded.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = fold_byte(from));
    std::str::from_utf8(folded).ok()
}

fn fold_byte(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUSTOM: HeaderName = HeaderName::from_static("x-vendor-pass");

    #[test]
    fn a_second_slot_beside_the_recipe_s_own_has_to_go() {
        for name in [
            "Authorization",
            "AUTHORIZATION",
            "x-api-key",
            "X_API_KEY",
            "x_api-Key",
            "Cookie",
            "x-goog-api-key",
            "API-Key",
        ] {
            assert!(is_credential_slot(name, &CUSTOM), "{name}");
        }
    }

    #[test]
    fn what_chooses_an_account_under_our_key_has_to_go() {
        for name in ["Stripe-Account", "stripe_context", "OpenAI-Organization", "x-goog-user-project"] {
            assert!(is_credential_slot(name, &CUSTOM), "{name}");
        }
    }

    #[test]
    fn the_recipe_s_own_slot_has_to_go_in_every_spelling() {
        for name in ["x-vendor-pass", "X_Vendor_Pass", "x_vendor-pass"] {
            assert!(is_credential_slot(name, &CUSTOM), "{name}");
        }
        let long = HeaderName::from_bytes(&[b'a'; 100]).unwrap();
        assert!(is_credential_slot(&"A".repeat(100), &long));
    }

    #[test]
    fn ordinary_headers_stay() {
        for name in [
            "accept",
            "content-type",
            "user-agent",
            "x-vendor-passes",
            "traceparent",
            "x-request-id",
            &"b".repeat(200),
            "é",
        ] {
            assert!(!is_credential_slot(name, &CUSTOM), "{name}");
        }
    }
}
