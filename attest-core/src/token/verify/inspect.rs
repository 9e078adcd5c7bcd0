//! A token laid open for the person who asks about it: the checks of [`super::authenticate`], without stopping at the
//! first.

use std::sync::Arc;

use serde_json::Value;

use super::{Authenticated, conclude, malformed, verify_signature};
use crate::b64u;
use crate::token::claims::Claims;
use crate::token::jws::Compact;
use crate::token::key_set::{KeySet, SignatureState};
use crate::token::{MAX_TOKEN_BYTES, Reason};
use crate::verdict::Verdict;

/// All that can be said about a token. Not for the request path, and never for the client.
#[derive(Debug)]
pub struct Inspection {
    /// What [`super::authenticate`] says.
    pub outcome: Result<Arc<Authenticated>, (Verdict, Reason)>,
    /// What the signature is, also where the claims are malformed.
    pub signature: SignatureState,
    /// The header, if it is JSON at all.
    pub header: Option<Value>,
    /// The payload, if it is JSON at all; nothing is proven about it.
    pub claims: Option<Value>,
}

/// Inspects one token.
#[must_use]
pub fn inspect(text: &[u8], keys: &KeySet) -> Inspection {
    let mut parts = text.split(|byte| *byte == b'.');
    let (header, claims) = (parts.next().and_then(show), parts.next().and_then(show));
    let compact = match Compact::parse(text) {
        Ok(compact) => compact,
        Err(error) => {
            return Inspection { outcome: Err(malformed(error)), signature: SignatureState::Unchecked, header, claims };
        }
    };
    let signed = verify_signature(&compact, keys);
    let signature = match &signed {
        Ok(signed) if signed.by_decoy => SignatureState::Decoy,
        Ok(_) => SignatureState::Genuine,
        Err((Verdict::BadSignature, _)) => SignatureState::Bad,
        Err(_) => SignatureState::Unchecked,
    };
    let outcome = match (Claims::parse(compact.payload()), signed) {
        (Err(error), _) => Err(malformed(error)),
        (Ok(_), Err(refusal)) => Err(refusal),
        (Ok(claims), Ok(signed)) => conclude(claims, &signed, keys).map(Arc::new),
    };
    Inspection { outcome, signature, header, claims }
}

fn show(part: &[u8]) -> Option<Value> {
    serde_json::from_slice(&b64u::decode(part, MAX_TOKEN_BYTES).ok()?).ok()
}
