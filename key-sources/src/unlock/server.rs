//! A server that is asked for a key. In: its address and one JSON document. Out: the JSON document that it answers;
//! proven between: dialled as checked, over TLS with its name verified, no redirect, a bounded answer in bounded time.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use keystore::MasterKey;
use outbound::{AddressRules, Client, Place, Request, Tls, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use settings::KeyServer;
use zeroize::Zeroizing;

use super::UnlockError;
use crate::Around;

/// For one answer, from the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// A name of a key and a wrapped one, both as long as they can be.
const MOST_QUESTION: usize = 8 * 1024;

/// How much of a server's own words goes into an error.
const MOST_WORDS: usize = 300;

/// A server, ready to be asked.
pub(super) struct Server {
    what: &'static str,
    client: Client,
    place: Place,
}

impl Server {
    pub(super) fn new(what: &'static str, settings: &KeyServer, around: &Around) -> Result<Self, UnlockError> {
        let away = |why: String| UnlockError::Away { what, why };
        let tls = match &settings.ca_file {
            None => Tls::public(),
            Some(path) => {
                let pem = std::fs::read(path).map_err(|why| away(format!("{}: {why}", path.display())))?;
                Tls::pem(&pem)
            }
        };
        let place = Place::new(settings.scheme, &settings.host, settings.port).map_err(|why| away(why.to_string()))?;
        let rules = AddressRules::listed(&settings.private_addresses);
        let client = Client::new(around.dialer.clone(), rules, tls.map_err(|why| away(why.to_string()))?);
        Ok(Self { what, client, place })
    }

    /// What a signature is made over.
    #[cfg(feature = "aws-kms")]
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Posts `body` as JSON and reads the answer.
    ///
    /// `words`: where in a refusal the server says why.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        mut headers: HeaderMap,
        body: Zeroizing<Vec<u8>>,
        words: fn(&serde_json::Value) -> Option<&str>,
    ) -> Result<T, UnlockError> {
        let target = path.parse().map_err(|_| self.bad("its path can't be one"))?;
        let url = Url { place: self.place.clone(), target };
        headers.entry(header::CONTENT_TYPE).or_insert(http::HeaderValue::from_static("application/json"));
        let request = Request { method: Method::POST, url, headers, body };
        let answer = self.client.send(request, PATIENCE).await;
        let answer = answer.map_err(|why| UnlockError::Away { what: self.what, why: why.to_string() })?;
        if answer.status != StatusCode::OK {
            let told = serde_json::from_slice(&answer.body).ok();
            let said = told.as_ref().and_then(words).map_or_else(|| "no reason".to_owned(), shortened);
            return Err(UnlockError::Refused {
                what: self.what,
                host: self.place.bare_host().to_owned(),
                status: answer.status.as_u16(),
                said,
            });
        }
        serde_json::from_slice(&answer.body).map_err(|_| self.bad("not the JSON that its API promises"))
    }

    /// A question as JSON. It may hold a key, so the room for it is taken at once: a vector that grows leaves copies behind.
    pub(super) fn written(&self, question: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, UnlockError> {
        let mut body = Zeroizing::new(Vec::with_capacity(MOST_QUESTION));
        serde_json::to_writer(&mut *body, question).map_err(|_| self.bad("no question can be written"))?;
        Ok(body)
    }

    pub(super) fn bad(&self, why: &'static str) -> UnlockError {
        UnlockError::BadAnswer { what: self.what, host: self.place.bare_host().to_owned(), why }
    }

    /// The key that an answer holds.
    pub(super) fn key(&self, text: &KeyText) -> Result<MasterKey, UnlockError> {
        let not_a_key = || UnlockError::NotAKey { at: self.place.bare_host().to_owned() };
        let bytes = data_encoding::BASE64.decode(text.0.as_bytes()).map(Zeroizing::new).map_err(|_| not_a_key())?;
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| not_a_key())?;
        MasterKey::from_bytes(Zeroizing::new(bytes)).map_err(|_| not_a_key())
    }
}

/// A key as base64, in a request or an answer. Wiped when dropped.
pub(super) struct KeyText(Zeroizing<String>);

impl KeyText {
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(data_encoding::BASE64.encode(bytes)))
    }
}

impl Serialize for KeyText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// One line of printable text.
fn shortened(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_WORDS).collect::<String>().trim().to_owned()
}
