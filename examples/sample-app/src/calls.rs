//! The app's real work: calls through the gateway. Comes in: URLs. Goes out: one reported line each.
//! Proven between: each request carries the client's present token; a gateway that wants a fresher one is asked once more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use attest_client::{Client, Reaction, Token, reaction};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Response, redirect};
use serde_json::{Value, json};

use crate::options::Options;
use crate::report::Report;

/// What all calls share.
pub(crate) struct Calls<'a> {
    client: Client,
    http: reqwest::Client,
    header: HeaderName,
    options: &'a Options,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(client: Client, options: &'a Options) -> Result<Self, Box<dyn std::error::Error>> {
        // No proxy: in the demo and the tests the gateway is on this machine.
        let http =
            reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(CALL_TIMEOUT).no_proxy().build()?;
        let header = options.header.parse().map_err(|_| format!("--header {}: not a header name", options.header))?;
        Ok(Self { client, http, header, options })
    }

    /// Makes every call in order, or without any just shows a token where that was asked for; true when each was answered, whatever the answer was.
    pub(crate) async fn make_all(&self, report: &Report) -> bool {
        let mut answered = true;
        if self.options.calls.is_empty() && self.options.show_token {
            let line = match self.client.fetch_token().await {
                Ok(token) => json!({ "token": token.as_str(), "token_status": token.status().as_str() }),
                Err(problem) => failed("", problem.status().as_str(), &problem.to_string()),
            };
            answered &= line.get("error").is_none();
            report.line(&line);
        }
        for _ in 0..self.options.repeat {
            for url in &self.options.calls {
                let line = self.make(url).await;
                answered &= line.get("error").is_none();
                report.line(&line);
            }
        }
        answered
    }

    async fn make(&self, url: &str) -> Value {
        let mut attempt = 1;
        loop {
            let token = match self.client.fetch_token().await {
                Ok(token) => token,
                Err(problem) => return failed(url, problem.status().as_str(), &problem.to_string()),
            };
            let Ok(mut value) = HeaderValue::from_str(token.as_str()) else {
                return failed(url, "INTERNAL_ERROR", "the token does not fit a header");
            };
            value.set_sensitive(true);
            let started = Instant::now();
            let answer = match self.send(url, value).await {
                Ok(answer) => answer,
                Err(problem) => return failed(url, "CALL_FAILED", &problem.without_url().to_string()),
            };
            let code = reaction::problem_code(answer.body.as_bytes());
            match self.client.on_response(&token, answer.status, code.as_deref()) {
                Reaction::Retry if attempt == 1 => attempt += 1,
                _ => return self.line(url, &answer, &token, started.elapsed()),
            }
        }
    }

    async fn send(&self, url: &str, token: HeaderValue) -> reqwest::Result<Answer> {
        Answer::read(self.http.get(url).header(&self.header, token).send().await?).await
    }

    fn line(&self, url: &str, answer: &Answer, token: &Token, took: Duration) -> Value {
        // Absent unless asked for: a null would look as if there had been none.
        let shown = self.options.show_token.then(|| ("token".to_owned(), Value::from(token.as_str())));
        let mut line = json!({
            "url": url,
            "status": answer.status,
            "headers": answer.headers,
            "body": answer.body,
            "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "token_status": token.status().as_str(),
        });
        if let Some(members) = line.as_object_mut() {
            members.extend(shown);
        }
        line
    }
}

/// An answer, read whole.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    /// To 1 MiB; what is longer is cut, since this app only shows it.
    async fn read(mut response: Response) -> reqwest::Result<Self> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY {
                body.truncate(MAX_BODY);
                break;
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Self { status: response.status().as_u16(), headers, body })
    }
}

fn failed(url: &str, error: &str, what: &str) -> Value {
    json!({ "url": url, "status": null, "error": error, "what": what })
}

const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY: usize = 1024 * 1024;
