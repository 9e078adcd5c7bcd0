//! One thing that may be called.
//!
//! In: method, path, query, a header's name, a body. Out: what goes upstream of each. The rules of each part are in
//! [`crate::query`], [`crate::headers`] and [`crate::body`].

use attest_core::target::PathGlob;
use http::Method;

use crate::body::Body;
use crate::headers::Headers;
use crate::mistake::{Mistake, Rule, Why};
use crate::query::Query;
use crate::refusal::Refusal;

/// One thing that may be called, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    method: Method,
    path: PathGlob,
    to: Option<PathGlob>,
    query: Query,
    headers: Headers,
    body: Body,
}

impl Operation {
    /// This call and nothing beside it: no query, no header beyond the harmless, no body. `path` is as the upstream sees it:
    /// after the route's `rewrite`.
    #[must_use]
    pub fn closed(method: Method, path: PathGlob) -> Self {
        Self { method, path, to: None, query: Query::none(), headers: Headers::harmless(), body: Body::none() }
    }

    /// This call, with everything that a client puts beside it.
    #[must_use]
    pub fn open(method: Method, path: PathGlob) -> Self {
        Self { method, path, to: None, query: Query::any(), headers: Headers::Any, body: Body::unbounded() }
    }

    /// Sends it to another path: one, where the call's is one; or another beginning, where both end in `/**`.
    ///
    /// # Errors
    /// Other patterns, of which nobody knows what becomes what.
    pub fn sent_to(mut self, to: PathGlob) -> Result<Self, Mistake> {
        let plain = |glob: &PathGlob| glob.as_str().strip_suffix("/**").is_some_and(|start| !start.contains('*'));
        let fits = (self.path.is_literal() && to.is_literal()) || (plain(&self.path) && plain(&to));
        if !fits {
            return Err(Mistake::new(Rule::To, 0, Why::To));
        }
        self.to = Some(to);
        Ok(self)
    }

    /// With these rules for the query.
    #[must_use]
    pub fn with_query(self, query: Query) -> Self {
        Self { query, ..self }
    }

    /// With these headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }

    /// With this body.
    #[must_use]
    pub fn with_body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// Its method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The paths that are called, after the route's `rewrite`.
    #[must_use]
    pub fn path(&self) -> &PathGlob {
        &self.path
    }

    /// The paths that are sent: what a key's bounds have to allow.
    #[must_use]
    pub fn sent_path(&self) -> &PathGlob {
        self.to.as_ref().unwrap_or(&self.path)
    }

    /// The rules for its query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The headers that it lets through.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The rules for its body.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Whether a request is this call. `path`: canonical, after the route's `rewrite`.
    #[must_use]
    pub fn is(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path.matches(path)
    }

    /// Path and query as they are sent, where they differ from those called; `None`: as they are.
    ///
    /// `path` is one that [`is`](Self::is) this operation's.
    ///
    /// # Errors
    /// A query that is not allowed.
    pub fn target(&self, path: &str, query: Option<&str>) -> Result<Option<String>, Refusal> {
        if self.to.is_none() && (self.query.is_open() || (query.is_none() && self.query.text().fixed.is_empty())) {
            return Ok(None);
        }
        let mut target = self.moved(path);
        let query = if self.query.is_open() { query.map(str::to_owned) } else { self.query.judge(query)? };
        if let Some(query) = query {
            target.push('?');
            target.push_str(&query);
        }
        Ok(Some(target))
    }

    fn moved(&self, path: &str) -> String {
        let Some(to) = &self.to else { return path.to_owned() };
        if to.is_literal() {
            return to.as_str().to_owned();
        }
        // Both end in `/**` and have no other star.
        let start = |glob: &PathGlob| glob.as_str().trim_end_matches("/**").len();
        let rest = path.get(start(&self.path)..).unwrap_or_default();
        let base = to.as_str().get(..start(to)).unwrap_or_default();
        if base.is_empty() && rest.is_empty() { "/".to_owned() } else { format!("{base}{rest}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::QueryText;

    fn glob(text: &str) -> PathGlob {
        PathGlob::parse(text).unwrap()
    }

    #[test]
    fn a_path_goes_where_it_is_sent() {
        let closed = |path: &str| Operation::closed(Method::GET, glob(path));
        let one = closed("/v1/x").sent_to(glob("/v2/y")).unwrap();
        assert_eq!(one.target("/v1/x", None), Ok(Some("/v2/y".to_owned())));
        assert_eq!(one.sent_path().as_str(), "/v2/y");
        let many = closed("/v1/files/**").sent_to(glob("/v2/**")).unwrap();
        assert_eq!(many.target("/v1/files/a/b", None), Ok(Some("/v2/a/b".to_owned())));
        assert_eq!(many.target("/v1/files", None), Ok(Some("/v2".to_owned())));
        let root = closed("/v1/**").sent_to(glob("/**")).unwrap();
        assert_eq!(root.target("/v1", None), Ok(Some("/".to_owned())));
        for (from, to) in [("/v1/*", "/v2"), ("/v1/*", "/v2/*"), ("/v1", "/v2/**"), ("/*/a/**", "/**")] {
            assert_eq!(closed(from).sent_to(glob(to)).unwrap_err().why, Why::To, "{from} {to}");
        }
    }

    #[test]
    fn a_closed_operation_takes_nothing_beside_the_call() {
        let closed = Operation::closed(Method::GET, glob("/v1/x"));
        assert!(closed.is(&Method::GET, "/v1/x"));
        assert!(!closed.is(&Method::HEAD, "/v1/x") && !closed.is(&Method::GET, "/v1/x/y"));
        assert_eq!(closed.target("/v1/x", None), Ok(None));
        assert!(closed.target("/v1/x", Some("a=1")).is_err());
        assert_eq!(closed.body().limit(), Some(0));
        let open = Operation::open(Method::GET, glob("/v1/x"));
        assert_eq!(open.target("/v1/x", Some("a=1;b")), Ok(None));
        assert_eq!(open.body().limit(), None);
    }

    #[test]
    fn what_is_fixed_is_there_without_a_query() {
        let mut text = QueryText::none();
        text.fixed.insert("v".to_owned(), "1".to_owned());
        let fixed = Operation::closed(Method::GET, glob("/x")).with_query(Query::new(text).unwrap());
        assert_eq!(fixed.target("/x", None), Ok(Some("/x?v=1".to_owned())));
        assert_eq!(fixed.target("/x", Some("v=2")), Ok(Some("/x?v=1".to_owned())));
    }
}
