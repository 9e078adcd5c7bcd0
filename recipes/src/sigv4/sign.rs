//! The signature itself. In: a canonical request, a scope, a time. Out: 64 hex digits; proven between: the key is the one of
//! that day, region and service alone.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use http::{HeaderValue, Method};
use zeroize::Zeroizing;

use super::canonical::{Query, SignedHeaders};
use super::key::AwsKey;
use crate::draft::ApplyError;
use crate::wiped;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Day, region and service.
pub(super) struct Scope {
    day: String,
    text: String,
}

/// All that is signed but the query.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    /// Canonical.
    pub(super) path: &'a str,
    pub(super) headers: &'a SignedHeaders,
    /// The hash of the body in hex, or a word that stands for it.
    pub(super) payload: &'a str,
}

/// A key for one region and service.
pub(super) struct Signer {
    key: AwsKey,
    region: String,
    service: String,
    /// The key of the day, and which day.
    of_the_day: Mutex<Option<(String, hmac::Key)>>,
}

impl Request<'_> {
    /// The canonical request.
    pub(super) fn canonical(&self, query: &Query) -> Vec<u8> {
        let mut out = Vec::with_capacity(1_024);
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.path.as_bytes());
        out.push(b'\n');
        query.canonical_into(&mut out);
        out.push(b'\n');
        self.headers.canonical_into(&mut out);
        out.push(b'\n');
        out.extend_from_slice(self.headers.names().as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.payload.as_bytes());
        out
    }
}

impl Scope {
    /// The string to sign.
    pub(super) fn string_to_sign(&self, time: &str, canonical: &[u8]) -> String {
        let hash = HEXLOWER.encode(digest::digest(&digest::SHA256, canonical).as_ref());
        [ALGORITHM, time, &self.text, &hash].join("\n")
    }
}

impl Signer {
    pub(super) fn new(key: AwsKey, region: &str, service: &str) -> Self {
        let (region, service) = (region.to_owned(), service.to_owned());
        Self { key, region, service, of_the_day: Mutex::new(None) }
    }

    /// The scope of a day, written `20150830`.
    pub(super) fn scope(&self, day: &str) -> Scope {
        Scope { day: day.to_owned(), text: [day, &self.region, &self.service, "aws4_request"].join("/") }
    }

    /// The session token as a header value.
    pub(super) fn token(&self) -> Result<Option<HeaderValue>, ApplyError> {
        let value = |token: &Zeroizing<String>| wiped::header_value(Zeroizing::new(token.as_bytes().to_vec()));
        self.key.token.as_ref().map(|token| value(token).ok_or(ApplyError::Signing)).transpose()
    }

    /// Adds what a presigned query says, all but the signature.
    pub(super) fn presign(&self, query: &mut Query, scope: &Scope, time: &str, expires: u32, signed: &SignedHeaders) {
        query.push("X-Amz-Algorithm", ALGORITHM);
        query.push("X-Amz-Credential", &[&self.key.id, "/", &scope.text].concat());
        query.push("X-Amz-Date", time);
        query.push("X-Amz-SignedHeaders", signed.names());
        query.push("X-Amz-Expires", &expires.to_string());
        if let Some(token) = &self.key.token {
            query.push("X-Amz-Security-Token", token);
        }
    }

    /// The signature, in hex.
    pub(super) fn sign(
        &self,
        request: &Request<'_>,
        query: &Query,
        scope: &Scope,
        time: &str,
    ) -> Result<String, ApplyError> {
        let message = scope.string_to_sign(time, &request.canonical(query));
        let mut of_the_day = self.of_the_day.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, key) = match of_the_day.take().filter(|(day, _)| *day == scope.day) {
            Some(known) => of_the_day.insert(known),
            None => of_the_day.insert((scope.day.clone(), self.derive(&scope.day))),
        };
        Ok(HEXLOWER.encode(hmac::sign(key, message.as_bytes()).as_ref()))
    }

    /// The value of `Authorization`.
    pub(super) fn authorization(&self, scope: &Scope, signed: &SignedHeaders, signature: &str) -> Zeroizing<Vec<u8>> {
        let (id, scope, names) = (&self.key.id, &scope.text, signed.names());
        let text = format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
        Zeroizing::new(text.into_bytes())
    }

    fn derive(&self, day: &str) -> hmac::Key {
        let first = Zeroizing::new(["AWS4", &self.key.secret].concat());
        let first = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
        [day, &self.region, &self.service, "aws4_request"]
            .into_iter()
            .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
    }
}
