//! `callers:` checked: what each has to show is whole, and nothing that is secret stands in the file.

mod webhook;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use policies::yaml::{Place, listed, nearest};

use super::{Check, Kind};
use crate::{
    file::{
        callers::{
            AltNameText, ClaimScalar, ClaimValues, CredentialPlace, Fingerprint, HashText, RawBearer, RawCaller,
            RawCallerJwt, RawClientCertificate, hash,
        },
        names::{ClaimText, Name},
        units::shown,
    },
    model::{
        BearerProof, CallerProof, CallerSettings, CertificateProof, ClaimValue, CredentialSource, IssuerProfile,
        IssuerSettings, JwtProof,
    },
    shape::{Either, Fault, Field, Row, Table},
};

/// What a caller may refer to.
pub(crate) struct Around<'a> {
    /// Names of the issuers in the file, and what is known of each.
    pub(crate) issuers: &'a [(&'a str, Option<&'a IssuerSettings>)],
    /// Whether clients are asked for certificates.
    pub(crate) asks_for_certificates: bool,
}

/// Hashes that one caller may have.
const MAX_HASHES: usize = 16;
/// Fingerprints or names that one caller may have, and subjects.
const MAX_NAMES: usize = 64;
/// Claims that one caller has to carry.
const MAX_CLAIMS: usize = 16;
/// Claims that the verification of a token looks at itself.
const CHECKED: [&str; 5] = ["iss", "aud", "exp", "nbf", "sub"];

impl Check<'_, '_> {
    pub(crate) fn caller(
        &self,
        name: &str,
        raw: &RawCaller,
        owner: Place,
        around: &Around<'_>,
    ) -> Option<CallerSettings> {
        if matches!(name, "any" | "none") {
            let fault = Fault::new(format!("`{name}` is a word of policies and can't be a caller"));
            self.refuse(owner, "bad_name", fault.hint("choose another name"));
        }
        let given = [
            ("bearer", raw.bearer.is_absent()),
            ("client_certificate", raw.client_certificate.is_absent()),
            ("jwt", raw.jwt.is_absent()),
            ("webhook", raw.webhook.is_absent()),
        ];
        let count = given.iter().filter(|(_, absent)| !absent).count();
        if count != 1 {
            let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
            let fault = Fault::new(format!("caller `{name}` needs exactly one of {}", listed(&names)));
            self.refuse(
                owner,
                "caller_proof",
                fault.hint(match count {
                    0 => "write bearer: { sha256: [HASH] } for a partner, webhook: { scheme: …, secret_file: … } for a webhook",
                    _ => "a caller that may prove itself in two ways is two callers; rules can name both",
                }),
            );
            return None;
        }
        let proof = if let Some((raw, at)) = raw.bearer.good() {
            CallerProof::Bearer(self.caller_bearer(raw, at)?)
        } else if let Some((raw, at)) = raw.client_certificate.good() {
            if !around.asks_for_certificates {
                let fault = Fault::new("no client is asked for a certificate: `client_ca_file` is missing");
                let hint = "write listeners: { public: { tls: { …, client_ca_file: tls/partners-ca.pem } } }";
                self.refuse(at, "no_client_ca", fault.hint(hint));
            }
            CallerProof::ClientCertificate(self.caller_certificate(raw, at)?)
        } else if let Some((raw, at)) = raw.jwt.good() {
            CallerProof::Jwt(self.caller_jwt(raw, at, around)?)
        } else if let Some((raw, at)) = raw.webhook.good() {
            CallerProof::Webhook(self.caller_webhook(raw, at)?)
        } else {
            return None;
        };
        Some(CallerSettings { name: name.to_owned(), proof })
    }

    fn caller_bearer(&self, raw: &RawBearer, owner: Place) -> Option<BearerProof> {
        let from = self.credentials(&raw.from);
        let sha256 = match (raw.sha256.at, raw.sha256_file.at) {
            (Some(_), None) => {
                let (texts, at) = raw.sha256.good()?;
                // One that is wrong may be the secret itself, whatever else is wrong in its line.
                for (HashText(text), at) in texts.iter().filter_map(Field::good) {
                    if hash(text).is_none() {
                        self.notes.hide(at.line);
                    }
                }
                let texts: Vec<_> =
                    texts.iter().filter_map(Field::good).map(|(HashText(text), at)| (text, at)).collect();
                let lines = texts.iter().map(|(text, at)| (text.as_str(), at.line));
                self.hashes(lines, &self.notes.file, at)
            }
            (None, Some(_)) => {
                let (path, content, at) = self.file(&raw.sha256_file, Kind::Text, 64 * 1024)?;
                let text = String::from_utf8_lossy(&content.bytes);
                let lines = (1..).zip(text.lines()).map(|(line, text)| {
                    let text = text.split_once('#').map_or(text, |(text, _)| text);
                    (text.trim(), line)
                });
                self.hashes(lines.filter(|(text, _)| !text.is_empty()), &path.display().to_string(), at)
            }
            _ => {
                let fault = Fault::new("a bearer needs exactly one of `sha256` and `sha256_file`");
                let hint = "write sha256: [HASH], with what `printf %s \"$SECRET\" | sha256sum` prints";
                self.refuse(owner, "missing_field", fault.hint(hint));
                None
            }
        };
        Some(BearerProof { sha256: sha256?, from })
    }

    /// Hashes of secrets with their lines in `file`. A text that is none may be the secret itself: no report shows it.
    fn hashes<'t>(
        &self,
        texts: impl Iterator<Item = (&'t str, usize)>,
        file: &str,
        owner: Place,
    ) -> Option<Vec<[u8; 32]>> {
        let mut hashes: Vec<([u8; 32], &str)> = Vec::new();
        let mut wrong = false;
        for (text, line) in texts {
            let Some(bytes) = hash(text) else {
                wrong = true;
                let fault = Fault::new(format!("line {line} of `{file}` has something that is no SHA-256"));
                let digits = text.strip_prefix("sha256:").unwrap_or(text).replace(':', "").to_ascii_lowercase();
                // Without a place: it may be the secret itself.
                self.refuse(
                    Place::default(),
                    "not_a_hash",
                    if hash(&digits).is_some() {
                        fault.hint("64 hexadecimal digits in lower case, with nothing before and between them")
                    } else {
                        fault.hint(
                            "64 hexadecimal digits: printf %s \"$SECRET\" | sha256sum; if it is the secret itself, it has to be changed: it has stood in this file",
                        )
                    },
                );
                continue;
            };
            if let Some(why) = no_secret(&bytes) {
                wrong = true;
                let fault = Fault::new(format!("line {line} of `{file}` has {why}"));
                let hint = "openssl rand -hex 32 makes a secret, and printf %s \"$SECRET\" | sha256sum its hash";
                self.refuse(owner, "not_a_hash", fault.hint(hint));
                continue;
            }
            hashes.push((bytes, text));
        }
        if let Some((_, _)) = hashes.iter().find(|(_, text)| {
            let of_text = digest::digest(&digest::SHA256, text.as_bytes());
            hashes.iter().any(|(bytes, _)| bytes == of_text.as_ref())
        }) {
            let fault = Fault::new(format!("`{file}` has a secret beside its own hash"));
            let hint = "change the secret, and write the hash of the new one alone";
            self.refuse(Place::default(), "inline_secret", fault.hint(hint));
            return None;
        }
        if wrong {
            return None;
        }
        let count = hashes.len();
        let unique: BTreeSet<[u8; 32]> = hashes.into_iter().map(|(bytes, _)| bytes).collect();
        if unique.len() != count {
            self.refuse(owner, "duplicate", Fault::new("a hash stands twice here").hint("take one of them out"));
        }
        self.some_of(count, MAX_HASHES, "hash", owner).then(|| unique.into_iter().collect())
    }

    /// Whether there is one and not too many.
    fn some_of(&self, count: usize, most: usize, what: &str, at: Place) -> bool {
        match count {
            0 => {
                let fault = Fault::new(format!("no {what} stands here: nobody could be this caller"));
                self.refuse(at, "empty_list", fault.hint(format!("name 1 to {most}")));
                false
            }
            count if count > most => {
                let fault = Fault::new(format!("{count} stand here, more than the {most} that are compared"));
                self.refuse(at, "too_many", fault.hint("make several callers of it"));
                false
            }
            _ => true,
        }
    }

    fn caller_certificate(&self, raw: &RawClientCertificate, owner: Place) -> Option<CertificateProof> {
        match (raw.sha256.at, raw.subject_alt_name.at) {
            (Some(_), None) => {
                let (texts, at) = raw.sha256.good()?;
                let prints: Vec<_> =
                    texts.iter().filter_map(|field| field.value.as_ref()).map(|Fingerprint(print)| *print).collect();
                self.refuse_twice(&prints, "fingerprint", at);
                (prints.len() == texts.len() && self.some_of(prints.len(), MAX_NAMES, "fingerprint", at))
                    .then_some(CertificateProof::Sha256(prints))
            }
            (None, Some(_)) => {
                let (texts, at) = raw.subject_alt_name.good()?;
                let names: Vec<_> = texts
                    .iter()
                    .filter_map(|field| field.value.as_ref())
                    .map(|AltNameText(name)| name.clone())
                    .collect();
                self.refuse_twice(&names, "name", at);
                (names.len() == texts.len() && self.some_of(names.len(), MAX_NAMES, "name", at))
                    .then_some(CertificateProof::SubjectAltName(names))
            }
            _ => {
                let fault = Fault::new("a certificate is known by exactly one of `sha256` and `subject_alt_name`");
                self.refuse(
                    owner,
                    "missing_field",
                    fault.hint("write subject_alt_name: [\"dns:partner.example.com\"], or sha256: [FINGERPRINT]"),
                );
                None
            }
        }
    }

    fn caller_jwt(&self, raw: &RawCallerJwt, owner: Place, around: &Around<'_>) -> Option<JwtProof> {
        let from = self.credentials(&raw.from);
        let issuer = self.need(&raw.issuer, owner, "issuer", "the name of one of `issuers`").map(|(Name(name), at)| {
            self.jwt_issuer(name, at, around.issuers);
            name.clone()
        });
        let subject = self.subjects(&raw.subject);
        let claims = raw.claims.good().map_or_else(BTreeMap::new, |(claims, at)| self.claims_of(claims, at));
        if let (true, true, Some(at)) = (raw.subject.is_absent(), raw.claims.is_absent(), raw.issuer.at) {
            let fault = Fault::new("whoever has a token of this issuer is this caller");
            self.warn(at, "any_subject", fault.hint("add subject: [\"…\"], or claims: { … }"));
        }
        Some(JwtProof { issuer: issuer?, subject, claims, from })
    }

    fn subjects(&self, field: &Field<Vec<Field<ClaimText>>>) -> Vec<String> {
        let Some((texts, at)) = field.good() else { return Vec::new() };
        let subjects: Vec<String> =
            texts.iter().filter_map(|field| field.value.as_ref()).map(|ClaimText(text)| text.clone()).collect();
        self.refuse_twice(&subjects, "subject", at);
        self.some_of(texts.len(), MAX_NAMES, "subject", at);
        subjects
    }

    fn claims_of(&self, raw: &Table<ClaimValues>, at: Place) -> BTreeMap<String, Vec<ClaimValue>> {
        self.some_of(raw.0.len(), MAX_CLAIMS, "claim", at);
        let mut claims = BTreeMap::new();
        for Row { name, at, value } in &raw.0 {
            if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
                self.refuse(*at, "bad_name", Fault::new(format!("`{}` can't be the name of a claim", shown(name))));
            }
            if CHECKED.contains(&name.as_str()) {
                let fault = Fault::new(format!("`{name}` can't stand here: it is looked at in another place"));
                self.refuse(
                    *at,
                    "bad_name",
                    fault.hint(if name == "sub" {
                        "write subject: [\"…\"]"
                    } else {
                        "`iss`, `aud`, `exp` and `nbf` are checked as the issuer under `issuers` says"
                    }),
                );
            }
            let values: Vec<ClaimValue> = match value {
                Some(Either::Plain(ClaimScalar(value))) => vec![value.clone()],
                Some(Either::Structured(values)) => {
                    self.some_of(values.len(), MAX_NAMES, "value", *at);
                    values
                        .iter()
                        .filter_map(|field| field.value.as_ref())
                        .map(|ClaimScalar(value)| value.clone())
                        .collect()
                }
                None => continue,
            };
            self.refuse_twice(&values, "value", *at);
            claims.insert(name.clone(), values);
        }
        claims
    }

    /// An issuer whose JWTs say who somebody is: it exists, its tokens are plain JWTs, and they are made for us.
    pub(crate) fn jwt_issuer(&self, name: &str, at: Place, issuers: &[(&str, Option<&IssuerSettings>)]) {
        let names: Vec<&str> = issuers.iter().map(|(name, _)| *name).collect();
        match issuers.iter().find(|(known, _)| *known == name) {
            // Wrong itself, which has been told.
            Some((_, None)) => {}
            Some((_, Some(issuer))) if issuer.profile == IssuerProfile::Approov => {
                let fault = Fault::new(format!(
                    "the tokens of `{name}` say something about an app, and nothing about who calls"
                ));
                self.refuse(at, "not_a_jwt_issuer", fault.hint("name an issuer with profile: jwt"));
            }
            Some((_, Some(issuer))) => {
                if issuer.issuer.is_none() || issuer.audience.is_none() {
                    let fault = Fault::new(format!(
                        "issuer `{name}` names no `issuer` and `audience`: a token that was made for another API would pass here"
                    ));
                    let hint = format!("write issuers: {{ {name}: {{ issuer: https://…, audience: …, … }} }}");
                    self.refuse(at, "any_audience", fault.hint(hint));
                }
            }
            None => {
                let fault = Fault::new(format!("there is no issuer `{name}`"));
                self.refuse(
                    at,
                    "unknown_name",
                    match nearest(name, &names) {
                        Some(near) => fault.hint(format!("did you mean `{near}`?")),
                        None if name == "own" => fault.hint("our own tokens are for apps; name one of `issuers`"),
                        None if names.is_empty() => fault.hint("add it under `issuers`"),
                        None => fault.hint(format!("there are {}; or add it under `issuers`", listed(&names))),
                    },
                );
            }
        }
    }

    /// The places of a secret or JWT; `bearer` where none is named.
    pub(crate) fn credentials(&self, field: &Field<Vec<Field<CredentialPlace>>>) -> Vec<CredentialSource> {
        let Some((from, at)) = field.good() else { return vec![CredentialSource::Bearer] };
        let places: Vec<_> =
            from.iter().filter_map(|field| field.value.as_ref()).map(|CredentialPlace(place)| place.clone()).collect();
        for (index, place) in places.iter().enumerate() {
            if places.iter().take(index).any(|other| other == place) {
                self.refuse(at, "duplicate", Fault::new("a place stands twice in `from`").hint("take one of them out"));
            }
        }
        if from.is_empty() || from.len() > 8 {
            let fault = Fault::new("`from` names 1 to 8 places");
            self.refuse(at, "empty_list", fault.hint("write [bearer], or take the line out"));
        }
        places
    }

    fn refuse_twice<T: Ord>(&self, values: &[T], what: &str, at: Place) {
        if values.iter().collect::<BTreeSet<_>>().len() != values.len() {
            self.refuse(
                at,
                "duplicate",
                Fault::new(format!("a {what} stands twice here")).hint("take one of them out"),
            );
        }
    }

    /// What proves two callers proves neither.
    pub(crate) fn refuse_same_proof(&self, callers: &BTreeMap<String, CallerSettings>, raw: &Field<Table<RawCaller>>) {
        let rows = || raw.value.iter().flat_map(|table| &table.0);
        let in_order: Vec<_> = rows().filter_map(|row| Some((row, callers.get(&row.name)?))).collect();
        for (index, (row, caller)) in in_order.iter().enumerate() {
            let mut before = in_order.iter().take(index);
            if let Some((_, other)) = before.find(|(_, other)| same_proof(&caller.proof, &other.proof)) {
                let fault = Fault::new(format!("what proves `{}` proves `{}` too", caller.name, other.name));
                self.refuse(row.at, "same_proof", fault.hint("give each its own secret, certificate or subject"));
            }
        }
    }
}

/// Whether one request could be both by the same secret, certificate or rule about a token.
fn same_proof(one: &CallerProof, other: &CallerProof) -> bool {
    fn share<T: PartialEq>(one: &[T], other: &[T]) -> bool {
        one.iter().any(|value| other.contains(value))
    }
    match (one, other) {
        (CallerProof::Bearer(one), CallerProof::Bearer(other)) => share(&one.sha256, &other.sha256),
        (CallerProof::ClientCertificate(one), CallerProof::ClientCertificate(other)) => match (one, other) {
            (CertificateProof::Sha256(one), CertificateProof::Sha256(other)) => share(one, other),
            (CertificateProof::SubjectAltName(one), CertificateProof::SubjectAltName(other)) => share(one, other),
            _ => false,
        },
        (CallerProof::Jwt(one), CallerProof::Jwt(other)) => {
            one.issuer == other.issuer
                && one.claims == other.claims
                && (one.subject == other.subject || share(&one.subject, &other.subject))
        }
        (CallerProof::Webhook(one), CallerProof::Webhook(other)) => {
            one.header == other.header
                && one.secrets.iter().any(|secret| other.secrets.iter().any(|s| s.bytes == secret.bytes))
        }
        _ => false,
    }
}

/// What a hash is that no secret has.
fn no_secret(hash: &[u8; 32]) -> Option<&'static str> {
    let is = |text: &[u8]| digest::digest(&digest::SHA256, text).as_ref() == hash;
    if hash.iter().all(|byte| Some(byte) == hash.first()) {
        Some("a placeholder instead of a hash")
    } else if is(b"") {
        Some("the hash of nothing")
    } else if is(b"\n") {
        Some("the hash of a line end alone")
    } else {
        None
    }
}
