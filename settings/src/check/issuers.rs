//! `issuers:` checked, and their key sets built.

use std::{path::Path, sync::Arc};

use attest_core::token::{
    Algorithm,
    key_set::{Concealment, KeySet, KeySetDraft, KeySetError, KeySetKind, VerificationKey, parse_jwks},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use policies::yaml::Place;
use zeroize::Zeroizing;

use super::{Check, Kind, secs};
use crate::{
    file::attestation::{AlgorithmWord, EncodingWord, ProfileWord, RawIssuer, RawIssuerKeys},
    files::Content,
    model::{IssuerKeys, IssuerProfile, IssuerSettings, SecretEncoding},
    shape::Fault,
};

impl Check<'_, '_> {
    pub(crate) fn issuer(&self, name: &str, raw: &RawIssuer, owner: Place) -> Option<IssuerSettings> {
        let profile = self.need(&raw.profile, owner, "profile", "approov, or jwt").map(|(word, _)| match word {
            ProfileWord::Approov => IssuerProfile::Approov,
            ProfileWord::Jwt => IssuerProfile::Jwt,
        });
        let text = |field: &crate::shape::Field<crate::file::names::ClaimText>| {
            field.value.as_ref().map(|text| text.0.clone())
        };
        let (issuer, audience) = (text(&raw.issuer), text(&raw.audience));
        let longest = self
            .need(&raw.max_lifetime, owner, "max_lifetime", "1h")
            .map(|_| self.span(&raw.max_lifetime, "max_lifetime", (secs(1), secs(150 * 366 * 86_400)), secs(3600)));
        let leeway = self.span(&raw.leeway, "leeway", (secs(1), secs(300)), secs(30));
        let (keys, at) =
            self.need(&raw.keys, owner, "keys", "{ secret_file: …, encoding: base64, algorithm: HS256 }")?;
        let (keys, verification, keys_at) = self.issuer_keys(keys, at)?;
        let (profile, max_lifetime) = (profile?, longest?);
        let draft = KeySetDraft {
            name: name.to_owned(),
            kind: match profile {
                IssuerProfile::Approov => KeySetKind::Approov,
                IssuerProfile::Jwt => KeySetKind::Imported,
            },
            issuer: issuer.clone(),
            audience: audience.clone(),
            concealment: Concealment::Open,
            keys: verification,
            verdict_key: None,
            max_lifetime: Some(max_lifetime),
        };
        match KeySet::new(draft) {
            Ok(key_set) => Some(IssuerSettings {
                name: name.to_owned(),
                profile,
                keys,
                issuer,
                audience,
                max_lifetime,
                leeway,
                key_set: Arc::new(key_set),
            }),
            Err(error) => {
                self.refuse(keys_at, "unusable_keys", Fault::new(format!("these keys can't be used: {error}")));
                None
            }
        }
    }

    fn issuer_keys(&self, raw: &RawIssuerKeys, owner: Place) -> Option<(IssuerKeys, Vec<VerificationKey>, Place)> {
        let given = [&raw.secret_file, &raw.jwks_file, &raw.pem_file].iter().filter(|field| !field.is_absent()).count();
        if given != 1 {
            let fault = Fault::new(if given == 0 { "no keys are named here" } else { "more than one source of keys" });
            self.refuse(owner, "keys_source", fault.hint("write exactly one of secret_file, jwks_file and pem_file"));
            return None;
        }
        if let (true, Some(at)) = (raw.secret_file.is_absent(), raw.encoding.at) {
            self.refuse(at, "does_nothing", Fault::new("`encoding` is for secret_file").hint("take the line out"));
        }
        if let Some((path, content, at)) = self.file(&raw.jwks_file, Kind::Text, 256 * 1024) {
            if let Some(at) = raw.algorithm.at {
                self.refuse(
                    at,
                    "does_nothing",
                    Fault::new("each key of a JWK set names its own algorithm").hint("take the line out"),
                );
            }
            let keys = self.usable(parse_jwks(&content.bytes), &path, at)?;
            return Some((IssuerKeys::Jwks(path), keys, at));
        }
        if !raw.jwks_file.is_absent() {
            return None;
        }
        let algorithm = self.need(&raw.algorithm, owner, "algorithm", "HS256, or what the issuer signs with");
        if let Some((path, content, at)) = self.file(&raw.pem_file, Kind::Text, 64 * 1024) {
            let (algorithm, algorithm_at) = (algorithm_of(*algorithm?.0), algorithm?.1);
            if algorithm.is_hmac() {
                let fault = Fault::new(format!("{} has a shared secret and no public key", algorithm.as_str()));
                self.refuse(
                    algorithm_at,
                    "wrong_algorithm",
                    fault.hint("write ES256, ES384, RS256, PS256 or EdDSA; for a shared secret, secret_file"),
                );
                return None;
            }
            let key = self.usable(VerificationKey::from_pem(None, algorithm, &content.bytes), &path, at)?;
            return Some((IssuerKeys::Pem { path, algorithm }, vec![key], at));
        }
        let encoding = match (&raw.secret_file.at, raw.pem_file.at) {
            (Some(_), None) => self.need(&raw.encoding, owner, "encoding", "base64, base64url or raw"),
            _ => None,
        };
        let (path, content, at) = self.file(&raw.secret_file, Kind::Private, 4096)?;
        let (algorithm, algorithm_at) = (algorithm_of(*algorithm?.0), algorithm?.1);
        if !algorithm.is_hmac() {
            let fault = Fault::new(format!("{} has a public key and no shared secret", algorithm.as_str()));
            self.refuse(
                algorithm_at,
                "wrong_algorithm",
                fault.hint("write HS256, HS384 or HS512; for a public key, pem_file or jwks_file"),
            );
            return None;
        }
        let encoding = encoding_of(*encoding?.0);
        let secret = match decode(&content, encoding) {
            Ok(secret) => secret,
            Err(fault) => {
                let mut fault = fault;
                fault.message = format!("`{}` {}", path.display(), fault.message);
                self.refuse(at, "wrong_encoding", fault);
                return None;
            }
        };
        let key = self.usable(VerificationKey::hmac(None, algorithm, &secret, None), &path, at)?;
        Some((IssuerKeys::SecretFile { path, encoding, algorithm }, vec![key], at))
    }

    fn usable<T>(&self, keys: Result<T, KeySetError>, path: &Path, at: Place) -> Option<T> {
        keys.map_err(|error| {
            let fault = Fault::new(format!("`{}`: {error}", path.display()));
            self.refuse(
                at,
                "unusable_keys",
                match error {
                    KeySetError::PrivateKey => {
                        fault.hint("take the private key off this machine, and export its public half")
                    }
                    KeySetError::NotAPemKey => fault.hint("openssl pkey -pubin -in FILE -text shows what it is"),
                    KeySetError::Weak(_) => {
                        fault.hint("ask the issuer for a stronger key; a wrong `encoding` also shortens a secret")
                    }
                    _ => fault,
                },
            );
        })
        .ok()
    }
}

/// The bytes of a secret file. Says which encoding would have fitted, never what the file holds.
fn decode(content: &Content, encoding: SecretEncoding) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let standard = |line: &str| BASE64.decode(line.as_bytes()).ok();
    let url = |line: &str| BASE64URL_NOPAD.decode(line.as_bytes()).ok();
    let line = || {
        content.line().ok_or_else(|| Fault::new("is not text").hint("if its bytes are the secret, write encoding: raw"))
    };
    let decoded = match encoding {
        SecretEncoding::Raw => return Ok(content.bytes.clone()),
        SecretEncoding::Base64 => {
            let line = line()?;
            standard(line).ok_or_else(|| {
                let fault = Fault::new("is not base64 (RFC 4648 section 4, padded)");
                if url(line).is_some() {
                    fault.hint("it is base64url: write encoding: base64url")
                } else if line.contains('\n') || line.contains(' ') {
                    fault.hint("one line without spaces")
                } else {
                    fault.hint("if its text is the secret as it stands, write encoding: raw")
                }
            })?
        }
        SecretEncoding::Base64Url => {
            let line = line()?;
            url(line).ok_or_else(|| {
                let fault = Fault::new("is not base64url (RFC 4648 section 5, without padding)");
                if url(line.trim_end_matches('=')).is_some() {
                    fault.hint("take the `=` off its end")
                } else if standard(line).is_some() {
                    fault.hint("it is base64: write encoding: base64")
                } else {
                    fault.hint("if its text is the secret as it stands, write encoding: raw")
                }
            })?
        }
    };
    Ok(Zeroizing::new(decoded))
}

/// The same word in the language of tokens.
pub(super) fn algorithm_of(word: AlgorithmWord) -> Algorithm {
    match word {
        AlgorithmWord::HS256 => Algorithm::HS256,
        AlgorithmWord::HS384 => Algorithm::HS384,
        AlgorithmWord::HS512 => Algorithm::HS512,
        AlgorithmWord::ES256 => Algorithm::ES256,
        AlgorithmWord::ES384 => Algorithm::ES384,
        AlgorithmWord::RS256 => Algorithm::RS256,
        AlgorithmWord::PS256 => Algorithm::PS256,
        AlgorithmWord::EdDSA => Algorithm::EdDSA,
    }
}

fn encoding_of(word: EncodingWord) -> SecretEncoding {
    match word {
        EncodingWord::Base64 => SecretEncoding::Base64,
        EncodingWord::Base64url => SecretEncoding::Base64Url,
        EncodingWord::Raw => SecretEncoding::Raw,
    }
}
