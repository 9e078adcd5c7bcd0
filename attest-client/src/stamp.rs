//! Requests with a token in them. Comes in: a request's headers and how the app's HTTP client sends. Goes out: the
//! answer. Proven between: every attempt carries a token that is good now, bound to that request's own headers; the
//! answers table is followed, and no request is sent more than twice.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response};

use crate::cache::Binding;
use crate::client::{Client, binding_of};
use crate::reaction::{self, Reaction};
use crate::status::FetchError;
use crate::token::Token;

/// Where tokens go, and what they are bound to.
pub(crate) struct Stamping {
    pub(crate) header: HeaderName,
    pub(crate) bind: Vec<HeaderName>,
}

impl Stamping {
    /// The binding of a request with these headers: none where one of them is absent or there twice. A gateway that
    /// binds refuses such a request whatever its token says.
    fn binding(&self, headers: &HeaderMap) -> Binding {
        let only = |name| {
            let mut values = headers.get_all(name).iter();
            let first: &HeaderValue = values.next()?;
            values.next().is_none().then(|| first.as_bytes())
        };
        let values = self.bind.iter().map(only).collect::<Option<Vec<_>>>()?;
        (!values.is_empty()).then(|| binding_of(&values))
    }
}

/// An answer as far as attestation is concerned. `http::Response` with a body of bytes has it; implement it for
/// your HTTP client's own.
pub trait Answer {
    /// The HTTP status.
    fn status(&self) -> u16;

    /// `Retry-After`, where it is text.
    fn retry_after(&self) -> Option<&str>;

    /// The `code` of a problem body ([`reaction::problem_code`]). Asked for 401, 403 and 503 only.
    fn code(&self) -> Option<String>;
}

impl<B: AsRef<[u8]>> Answer for Response<B> {
    fn status(&self) -> u16 {
        self.status().as_u16()
    }

    fn retry_after(&self) -> Option<&str> {
        self.headers().get(RETRY_AFTER)?.to_str().ok()
    }

    fn code(&self) -> Option<String> {
        reaction::problem_code(self.body().as_ref())
    }
}

/// Why a stamped request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E> {
    /// There was no token to send it with; it was not sent.
    #[error(transparent)]
    Token(FetchError),
    /// The app's own HTTP client failed.
    #[error("the request failed")]
    Send(#[source] E),
}

impl Client {
    /// Puts a fresh token into `headers`, bound to those of them that [`crate::Builder::bind_to`] names. Call it for
    /// every attempt; the value is marked sensitive. Keep the token for [`Client::on_response`].
    ///
    /// # Errors
    /// As [`Client::fetch_token`]; `headers` then carry no token, not even one that was there before.
    pub async fn stamp(&self, headers: &mut HeaderMap) -> Result<Token, FetchError> {
        let stamping = self.stamping();
        headers.remove(&stamping.header);
        let token = self.fetch(stamping.binding(headers)).await?;
        // A token is printable ASCII: that was checked when it came.
        let unfit = |_| FetchError::Protocol { status: 200, what: "not a token" };
        let mut value = HeaderValue::from_str(token.as_str()).map_err(unfit)?;
        value.set_sensitive(true);
        headers.insert(stamping.header.clone(), value);
        Ok(token)
    }

    /// Sends a request whose headers are stamped, and follows the answers table: after a 401 that wants a token it is
    /// sent once more with a new one; after a 429 or 503 that asks for no more than
    /// [`crate::Retry::longest_pause`] (4 s) it waits that long and is sent once more. It is never sent a third time.
    ///
    /// `send` gets the headers and sends a request whose body it can make again.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<A, E, F>(&self, headers: &HeaderMap, send: impl Fn(HeaderMap) -> F) -> Result<A, CallError<E>>
    where
        A: Answer,
        F: Future<Output = Result<A, E>>,
    {
        let mut stamped = headers.clone();
        let mut token = self.stamp(&mut stamped).await.map_err(CallError::Token)?;
        let answer = send(stamped.clone()).await.map_err(CallError::Send)?;
        match self.react(&token, &answer) {
            (Reaction::Retry, _) => token = self.stamp(&mut stamped).await.map_err(CallError::Token)?,
            (Reaction::Wait, Some(pause)) if pause <= self.longest_pause() => tokio::time::sleep(pause).await,
            _ => return Ok(answer),
        }
        let answer = send(stamped).await.map_err(CallError::Send)?;
        // What it says about the token is for the next request.
        let _ = self.react(&token, &answer);
        Ok(answer)
    }

    /// The reaction, and the pause where the answer itself asks for one.
    fn react(&self, token: &Token, answer: &impl Answer) -> (Reaction, Option<Duration>) {
        let code = matches!(answer.status(), 401 | 403 | 503).then(|| answer.code()).flatten();
        let pause = answer.retry_after().map(|text| self.pause(Some(text)));
        (self.on_response(token, answer.status(), code.as_deref()), pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamping(bind: &[&'static str]) -> Stamping {
        let bind = bind.iter().map(|name| HeaderName::from_static(name)).collect();
        Stamping { header: HeaderName::from_static("assay-token"), bind }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_header_that_is_absent_or_there_twice_binds_nothing() {
        let bound = stamping(&["authorization"]);
        assert_eq!(bound.binding(&headers(&[])), None);
        assert_eq!(bound.binding(&headers(&[("authorization", "a"), ("authorization", "b")])), None);
        assert_eq!(stamping(&[]).binding(&headers(&[("authorization", "a")])), None);
    }

    #[test]
    fn the_binding_is_that_of_the_values_in_the_routes_order() {
        let sent = headers(&[("x-user", "7"), ("authorization", "Bearer a")]);
        let bound = stamping(&["authorization", "x-user"]);
        assert_eq!(bound.binding(&sent), Some(binding_of(&[b"Bearer a", b"7"])));
        assert_ne!(bound.binding(&sent), stamping(&["x-user", "authorization"]).binding(&sent));
    }
}
