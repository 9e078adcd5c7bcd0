//! What the tests of this crate share: drafts that are easy to write, and keys of every kind.

use attest_core::target::Scheme;
use attest_core::time::UnixTime;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::{ApplyError, Changes, Draft, DraftBody, Recipe, RecipeText};

/// 2015-08-30T12:36:00Z
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_440_938_160);
pub(crate) const SECRET: &[u8] = b"sk-0123456789abcdef";

/// A request to be.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) is_read: bool,
    pub(crate) now: UnixTime,
}

impl Sample {
    pub(crate) fn get(target: &str) -> Self {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers: HeaderMap::new(),
            body: None,
            is_read: true,
            now: NOW,
        }
    }

    pub(crate) fn post(target: &str, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let sample = Self { method: Method::POST, body: Some(body.as_ref().to_vec()), ..Self::get(target) };
        sample.header("content-type", content_type)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn unread(self) -> Self {
        Self { is_read: false, ..self }
    }

    pub(crate) fn draft(&self) -> Draft<'_> {
        let body = match &self.body {
            _ if !self.is_read => DraftBody::Unread,
            Some(body) => DraftBody::Whole(body),
            None => DraftBody::Empty,
        };
        Draft {
            method: &self.method,
            scheme: Scheme::Https,
            host: "api.example.com",
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            body,
            now: self.now,
        }
    }

    pub(crate) fn with(&self, text: &RecipeText, secret: &[u8]) -> Result<Seen, ApplyError> {
        let credential = Recipe::parse(text).unwrap().credential(secret).unwrap();
        credential.apply(&self.draft()).map(|changes| Seen::of(&changes))
    }
}

/// Changes, as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) target: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) derived: Vec<String>,
}

impl Seen {
    pub(crate) fn of(changes: &Changes) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let header = |(name, value): &(HeaderName, HeaderValue)| (name.to_string(), text(value.as_bytes()));
        match changes {
            Changes::Nothing => Self::default(),
            Changes::Header(name, value) => {
                assert!(value.is_sensitive());
                Self { headers: vec![(name.to_string(), text(value.as_bytes()))], ..Self::default() }
            }
            Changes::Many { headers, target, body, derived } => Self {
                headers: headers.iter().map(header).collect(),
                target: target.as_ref().map(ToString::to_string),
                body: body.as_deref().map(text),
                derived: derived.iter().map(|part| text(part)).collect(),
            },
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(own, _)| own == name).unwrap_or_else(|| panic!("no {name}: {self:?}")).1
    }
}

/// DER as PEM.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// An RSA key of 2048 bits, PKCS #8 in PEM, with its public half as PKCS #1. Made once: it takes a while.
pub(crate) fn rsa() -> &'static (String, Vec<u8>) {
    static KEY: std::sync::LazyLock<(String, Vec<u8>)> = std::sync::LazyLock::new(|| {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
        use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
        let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        (pem("PRIVATE KEY", der.as_ref()), key.public_key().as_ref().to_vec())
    });
    &KEY
}

/// A P-256 key, with its public half as a point.
pub(crate) fn p256() -> (String, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    (key.serialize_pem(), rcgen::PublicKeyData::der_bytes(&key).to_vec())
}
