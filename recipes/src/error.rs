//! Why a recipe, a secret or a token answer was not taken. The texts are for operators; none holds a secret.

use http::HeaderName;

use crate::secret::SecretInput;

/// Why a recipe was not taken. The texts are the operator's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Not a header name.
    #[error("{text:?} is not the name of a header")]
    NotAHeader {
        /// What was written.
        text: String,
    },
    /// A header with a meaning of its own.
    #[error("{name} frames, routes or describes the message; a key can't stand in it")]
    NotForKeys {
        /// Which.
        name: HeaderName,
    },
    /// Control bytes, non-ASCII, or over 256 bytes.
    #[error("the template is not up to 256 bytes of printable ASCII")]
    NotPrintable,
    /// A space at an end, which parsers drop.
    #[error("the template begins or ends with a space")]
    OuterSpace,
    /// The place is absent or there twice.
    #[error(
        "the template has {times} places for the {what}; it needs exactly one {{{what}}}, as in \"Bearer {{{what}}}\""
    )]
    NotOnePlace {
        /// What is put there: `key`, `token` or `signature`.
        what: &'static str,
        /// How often it is there.
        times: usize,
    },
    /// A member that is none, with what it has to be.
    #[error("{member}: {why}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not a token endpoint.
    #[error("token_endpoint: {text:?}: {why}")]
    NotAnEndpoint {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A place in an HMAC message that is none.
    #[error(
        "message: {{{place}}} is not one of {{method}}, {{path}}, {{query}}, {{host}}, {{timestamp}}, {{body}}, {{body_sha256}}, {{header:NAME}}, {{nl}}"
    )]
    NotAPlace {
        /// What stands between the braces.
        place: String,
    },
}

/// Why a secret was not taken. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Under 16 bytes.
    #[error("the secret has {len} bytes; at least {} are needed", SecretInput::MIN_BYTES)]
    TooShort {
        /// How many there were.
        len: usize,
    },
    /// Over 8 KiB.
    #[error("the secret has {len} bytes; at most {} are taken", SecretInput::MAX_BYTES)]
    TooLong {
        /// How many there were.
        len: usize,
    },
    /// A line ending, tab, NUL or other control byte.
    #[error("the secret contains a control byte (a line ending, tab or NUL); pass the key alone, on one line")]
    ControlByte,
    /// A byte over 0x7E.
    #[error("the secret contains a byte that is not ASCII; API keys are printable ASCII")]
    NotAscii,
    /// A space at either end, which header parsers drop.
    #[error("the secret begins or ends with a space; pass the key alone")]
    OuterSpace,
    /// A user of basic authentication with a colon, RFC 7617 section 2.
    #[error("the secret contains a colon, and the user of basic authentication can't")]
    Colon,
    /// A character that a cookie can't carry, RFC 6265 section 4.1.1.
    #[error("the secret contains a quote, comma, semicolon, backslash or space, and a cookie can't carry them")]
    NotACookie,
    /// Not in the stated encoding.
    #[error("the secret is not in the encoding that the recipe states")]
    Encoding,
    /// Not a private key that the algorithm can use.
    #[error("the secret is not a private key for {algorithm} in PEM: {why}")]
    PrivateKey {
        /// The algorithm.
        algorithm: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// A service account's JSON key with a member that is absent or at odds with the recipe.
    #[error("the service account's JSON key: {why}")]
    ServiceAccount {
        /// What is wrong.
        why: &'static str,
    },
    /// Neither of the two forms of an AWS key.
    #[error(
        "the secret is no AWS key: {why}; pass what `aws configure export-credentials` prints, or ID:SECRET[:TOKEN]"
    )]
    AwsKey {
        /// What is wrong.
        why: &'static str,
    },
    /// Not a certificate with its key.
    #[error("the secret is no client certificate: {why}; pass the PEM chain, then the private key")]
    Certificate {
        /// What is wrong.
        why: &'static str,
    },
    /// It can't be rendered by this recipe.
    #[error("the secret does not fit where the recipe puts it")]
    DoesNotFit,
}

/// Why a token endpoint's answer gave no token. Holds nothing that it said but the codes of RFC 6749 section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It refused.
    #[error("the token endpoint answered {status}{}{}", if code.is_some() { ": " } else { "" }, code.unwrap_or(""))]
    Refused {
        /// The status.
        status: u16,
        /// The error code, where it is a registered one.
        code: Option<&'static str>,
    },
    /// Not a JSON object with a token in it.
    #[error("the token endpoint's answer is {why}")]
    NotAToken {
        /// What it is instead.
        why: &'static str,
    },
    /// The recipe mints none.
    #[error("the key's recipe mints no tokens")]
    NotMinted,
    /// The request could not be made.
    #[error("the token request could not be signed")]
    Signing,
}
