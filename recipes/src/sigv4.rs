//! AWS Signature Version 4. In: the recipe's members, then the key and the draft. Out: the headers or the query that sign it;
//! proven between: what is signed is what is sent, over a list of headers that no hop in between changes.
//!
//! # Source
//! "Create a signed AWS API request",
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>; for S3 also
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.

mod canonical;
mod key;
mod sign;

use std::borrow::Cow;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::draft::{ApplyError, Changes, Draft, DraftBody, MAX_BODY};
use crate::error::{RecipeError, SecretError};
use crate::header_name;
use crate::percent;
use crate::secret::Secrets;
use crate::slots::Slots;
use crate::text::{LargeBody, Sigv4Place};
use crate::timestamp::Calendar;
use crate::wiped;
use canonical::{Query, SignedHeaders};
use key::AwsKey;
use sign::{Request, Signer};

/// Where the signature goes and what is under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sigv4 {
    pub(crate) region: String,
    pub(crate) service: String,
    place: Sigv4Place,
    /// Sorted; beside `host` and all of `x-amz-*`.
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) large_body: LargeBody,
}

impl Sigv4 {
    pub(crate) fn parse(
        region: &str,
        service: &str,
        place: Sigv4Place,
        headers: &[String],
        large_body: LargeBody,
    ) -> Result<Self, RecipeError> {
        check_name("region", region)?;
        check_name("service", service)?;
        if let Sigv4Place::Query { expires_secs } = place {
            if !(1..=604_800).contains(&expires_secs) {
                return Err(RecipeError::Member { member: "expires_secs", why: "1 second to 7 days: 1 to 604800" });
            }
            if is_s3(service) && large_body == LargeBody::Refuse {
                let why = "S3 takes no hash of the body beside a signature in the query: it has to be unsigned";
                return Err(RecipeError::Member { member: "large_body", why });
            }
        }
        if headers.len() > 32 {
            return Err(RecipeError::Member { member: "headers", why: "at most 32" });
        }
        let mut headers = headers.iter().map(|name| signed_header(name)).collect::<Result<Vec<_>, _>>()?;
        headers.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        headers.dedup();
        Ok(Self { region: region.to_owned(), service: service.to_owned(), place, headers, large_body })
    }

    /// Whether the head alone is signed.
    pub(crate) fn never_hashes(&self) -> bool {
        is_s3(&self.service) && matches!(self.place, Sigv4Place::Query { .. })
    }

    pub(crate) fn slots(&self) -> Slots {
        let headers = [header::AUTHORIZATION, DATE, SECURITY_TOKEN];
        Slots::new(headers, &QUERY_SLOTS)
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(SigningAwsKey, Secrets), SecretError> {
        let (key, secrets) = AwsKey::parse(secret)?;
        let signer = Signer::new(key, &self.region, &self.service);
        Ok((SigningAwsKey { recipe: self.clone(), slots: self.slots(), signer }, secrets))
    }
}

/// A key that signs requests.
pub(crate) struct SigningAwsKey {
    recipe: Sigv4,
    slots: Slots,
    signer: Signer,
}

impl SigningAwsKey {
    pub(crate) fn apply(&self, draft: &Draft<'_>) -> Result<Changes, ApplyError> {
        let calendar = Calendar::of(draft.now).ok_or(ApplyError::Signing)?;
        let time = calendar.compact();
        let scope = self.signer.scope(time.get(..8).unwrap_or_default());
        let payload = self.payload(draft)?;
        let path = self.path(draft.path);
        let mut query = Query::parse(draft.query.unwrap_or_default(), &self.slots);
        let mut set: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(4);
        let in_header = self.recipe.place == Sigv4Place::Header;
        if in_header || draft.headers.contains_key(&CONTENT_SHA256) {
            set.push((CONTENT_SHA256, HeaderValue::from_str(&payload).map_err(|_| ApplyError::Signing)?));
        }
        if in_header {
            set.push((DATE, HeaderValue::from_str(&time).map_err(|_| ApplyError::Signing)?));
            set.extend(self.signer.token()?.map(|token| (SECURITY_TOKEN, token)));
        }
        let signed = self.signed_headers(draft, &set)?;
        if let Sigv4Place::Query { expires_secs } = self.recipe.place {
            self.signer.presign(&mut query, &scope, &time, expires_secs, &signed);
        }
        let canonical_path = if is_s3(&self.recipe.service) { Cow::Borrowed(&*path) } else { canonical::path(&path) };
        let request = Request { method: draft.method, path: &canonical_path, headers: &signed, payload: &payload };
        let signature = self.signer.sign(&request, &query, &scope, &time)?;
        if in_header {
            let value = self.signer.authorization(&scope, &signed, &signature);
            set.push((header::AUTHORIZATION, wiped::header_value(value).ok_or(ApplyError::Signing)?));
        } else {
            query.push("X-Amz-Signature", &signature);
        }
        let target = target(draft, &path, &query)?;
        Ok(Changes::Many { headers: set, target, body: None, derived: vec![Zeroizing::new(signature.into_bytes())] })
    }

    /// What stands for the body under the signature.
    fn payload(&self, draft: &Draft<'_>) -> Result<Cow<'static, str>, ApplyError> {
        let streaming = draft.headers.get_all(&CONTENT_SHA256).iter().map(HeaderValue::as_bytes);
        let streaming = streaming.filter(|value| value.starts_with(b"STREAMING-")).collect::<Vec<_>>();
        match (streaming.as_slice(), self.recipe.large_body) {
            ([], _) if self.recipe.never_hashes() => return Ok(Cow::Borrowed(UNSIGNED)),
            ([], _) => {}
            ([UNSIGNED_CHUNKS], LargeBody::Unsigned) => return Ok(Cow::Borrowed("STREAMING-UNSIGNED-PAYLOAD-TRAILER")),
            ([UNSIGNED_CHUNKS], LargeBody::Refuse) => return Err(ApplyError::UnsignedBody),
            _ => return Err(ApplyError::SignedChunks),
        }
        let body = match (draft.body, self.recipe.large_body) {
            (DraftBody::Empty, _) => b"",
            (DraftBody::Whole(body), _) if body.len() <= MAX_BODY => body,
            (_, LargeBody::Unsigned) => return Ok(Cow::Borrowed(UNSIGNED)),
            (_, LargeBody::Refuse) => return Err(ApplyError::BodyTooLarge),
        };
        Ok(Cow::Owned(HEXLOWER.encode(digest::digest(&digest::SHA256, body).as_ref())))
    }

    /// The path to send. S3 signs it decoded and escaped anew: it is sent so, and two readings of `+` can't differ.
    fn path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if !is_s3(&self.recipe.service) || percent::is_plain(path, b"/") {
            return Cow::Borrowed(path);
        }
        let mut escaped = Vec::with_capacity(path.len());
        percent::encode_into(&mut escaped, percent::decode(path, false), b"/");
        match String::from_utf8(escaped) {
            Ok(escaped) if escaped != path => Cow::Owned(escaped),
            _ => Cow::Borrowed(path),
        }
    }

    fn signed_headers(
        &self,
        draft: &Draft<'_>,
        set: &[(HeaderName, HeaderValue)],
    ) -> Result<SignedHeaders, ApplyError> {
        let mut signed = SignedHeaders::new(draft.host);
        for (name, value) in set {
            signed.push(name, [value]);
        }
        let is_set = |name: &HeaderName| set.iter().any(|(own, _)| own == name);
        let goes = |name: &HeaderName| is_set(name) || *name == DATE || *name == SECURITY_TOKEN;
        for name in draft.headers.keys() {
            let is_listed = name.as_str().starts_with("x-amz-") || self.recipe.headers.contains(name);
            if is_listed && !goes(name) {
                signed.push(name, draft.headers.get_all(name));
            }
        }
        signed.finish();
        Ok(signed)
    }
}

/// The target to send, where it is not the draft's.
fn target(draft: &Draft<'_>, path: &str, query: &Query) -> Result<Option<http::uri::PathAndQuery>, ApplyError> {
    let sent = query.as_sent();
    if path == draft.path && sent == draft.query.unwrap_or_default() {
        return Ok(None);
    }
    let mut text = Zeroizing::new(Vec::with_capacity(path.len() + 1 + sent.len()));
    text.extend_from_slice(path.as_bytes());
    if !sent.is_empty() {
        text.push(b'?');
        text.extend_from_slice(sent.as_bytes());
    }
    wiped::target(text).map(Some).ok_or(ApplyError::Target)
}

fn is_s3(service: &str) -> bool {
    service == "s3" || service.starts_with("s3-") || service == "s3express"
}

fn check_name(member: &'static str, text: &str) -> Result<(), RecipeError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        return Err(RecipeError::Member { member, why: "1 to 64 lower-case letters, digits and hyphens" });
    }
    Ok(())
}

/// AWS's own SDKs leave these two out beside what no signature covers.
fn signed_header(text: &str) -> Result<HeaderName, RecipeError> {
    let name = header_name::for_signature("headers", text)?;
    if ["user-agent", "x-amzn-trace-id"].contains(&name.as_str()) {
        return Err(header_name::not_signed("headers"));
    }
    Ok(name)
}

/// Folded: what a presigned URL carries, of this version of signatures and the one before.
const QUERY_SLOTS: [&str; 9] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
    "awsaccesskeyid",
    "signature",
];

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// What AWS SDKs send by default since 2025, with a checksum behind the body.
const UNSIGNED_CHUNKS: &[u8] = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER";

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
