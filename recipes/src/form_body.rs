//! Bodies of token requests. In: names and values. Out: one form, in memory that is wiped.

use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::endpoint::TokenEndpoint;
use crate::minted::TokenRequest;
use crate::target::pair;

/// A form in the making.
pub(crate) struct FormBody(Vec<Zeroizing<Vec<u8>>>);

impl FormBody {
    pub(crate) fn new(grant_type: &str) -> Self {
        Self(vec![pair("grant_type", grant_type.as_bytes())])
    }

    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push(pair(name, value.as_bytes()));
        self
    }

    pub(crate) fn and_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.and(name, value),
            None => self,
        }
    }

    /// The request that carries it.
    pub(crate) fn to(self, endpoint: &TokenEndpoint, authorization: Option<HeaderValue>) -> TokenRequest {
        let room = self.0.iter().map(|pair| pair.len() + 1).sum();
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        for pair in &self.0 {
            if !body.is_empty() {
                body.push(b'&');
            }
            body.extend_from_slice(pair);
        }
        let fixed = |name: HeaderName, text| (name, HeaderValue::from_static(text));
        let mut headers = vec![
            fixed(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            fixed(header::ACCEPT, "application/json"),
        ];
        headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        TokenRequest { endpoint: endpoint.clone(), headers, body }
    }
}
