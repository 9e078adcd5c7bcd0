//! What a client may not send upstream.
//!
//! In: a route. Out: the names of headers that its requests lose on their way, found by one comparison for most.

use callers::caller::RouteCallers;
use settings::{CredentialSource, RouteSettings, Source};

/// Header names that do not go upstream, compared with `_` read as `-`: servers that speak CGI fold them.
#[derive(Debug, Default)]
pub(crate) struct Stripped {
    /// The names of each length; the last place is for all longer ones. Most headers are told apart by their
    /// length alone.
    by_length: Vec<Vec<Box<str>>>,
}

impl Stripped {
    /// The set of these names.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut by_length = vec![Vec::new(); LENGTHS];
        for name in names {
            let name = folded(name);
            if let Some(same) = by_length.get_mut(length_place(&name))
                && !same.contains(&name)
            {
                same.push(name);
            }
        }
        Self { by_length }
    }

    /// Whether a header of this name is taken out.
    pub(crate) fn contains(&self, name: &str) -> bool {
        // Ours alone, on every route.
        if is_ours(name) {
            return true;
        }
        self.by_length.get(length_place(name)).is_some_and(|same| same.iter().any(|stripped| eq_folded(stripped, name)))
    }
}

/// Lengths told apart.
const LENGTHS: usize = 64;

fn length_place(name: &str) -> usize {
    name.len().min(LENGTHS - 1)
}

fn folded(name: &str) -> Box<str> {
    name.to_ascii_lowercase().replace('_', "-").into()
}

/// Equal, with `_` in `name` read as `-`. Header names in hand are lower case already.
fn eq_folded(folded: &str, name: &str) -> bool {
    folded.len() == name.len() && folded.bytes().zip(name.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
}

/// `x-assay-…`, in any spelling: what we tell upstreams about a request, and clients may not.
fn is_ours(name: &str) -> bool {
    match name.as_bytes() {
        [b'x', dash, b'a', b's', b's', b'a', b'y', ..] => matches!(dash, b'-' | b'_'),
        _ => false,
    }
}

/// Headers by which a client asks for another method, path or host than those that policy saw: frameworks
/// take them for what a proxy before them rewrote.
const OVERRIDES: [&str; 15] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-forwarded-method",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-prefix",
    "x-http-path-override",
    "x-envoy-original-path",
    "x-original-host",
    "x-host",
    "x-forwarded-server",
];

/// What shows the attestation service who forwards, and for whom: nobody else's to say.
const INTERNAL: [&str; 2] = ["assay-internal", "assay-client-address"];

/// Who says where a request came from: on their way to our own upstreams we write them, third parties
/// have no business with them.
const FORWARDING: [&str; 20] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-url-scheme",
    "front-end-https",
    "x-real-ip",
    "true-client-ip",
    "client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-remote-addr",
    "x-remote-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
];

/// On guarded routes: pieces of a response could each hold less of a key than can be recognised, and a
/// compressed one can't be read.
const GUARDED: [&str; 4] = ["range", "if-range", "accept-encoding", "sec-websocket-extensions"];

/// Which trace a request is in, and what its sender tells whoever is below: no business of third parties.
const TRACING: [&str; 3] = ["traceparent", "tracestate", "baggage"];

impl Stripped {
    /// What this route takes out of a client's head.
    pub(crate) fn of(route: &RouteSettings, callers: &RouteCallers) -> Self {
        let mut names: Vec<String> = Vec::new();
        names.extend(OVERRIDES.map(str::to_owned));
        names.extend(INTERNAL.map(str::to_owned));
        names.extend(FORWARDING.map(str::to_owned));
        if !route.token.forward {
            names.extend(route.token.from.iter().filter_map(|source| match source {
                Source::Header(name) => Some(name.as_str().to_owned()),
                Source::Bearer => Some("authorization".to_owned()),
                Source::Query(_) => None,
            }));
        }
        // Proven or not: a secret of yesterday is still nobody else's business.
        names.extend(callers.credential_headers().map(|name| name.as_str().to_owned()));
        if route.key.is_some() {
            names.extend(TRACING.map(str::to_owned));
            // Users are ours, and what is called with a key is not.
            names.extend(route.user.iter().flat_map(|user| &user.from).map(|place| match place {
                CredentialSource::Header(name) => name.as_str().to_owned(),
                CredentialSource::Bearer => "authorization".to_owned(),
            }));
        }
        if route.guard_body {
            names.extend(GUARDED.map(str::to_owned));
        }
        Self::new(names.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_in_every_spelling_that_a_lenient_server_folds() {
        let stripped = Stripped::new(["Assay-Token", "x-forwarded-for"]);
        for name in ["assay-token", "assay_token", "x_forwarded-for", "x-assay-anything", "x_assay_verdict"] {
            assert!(stripped.contains(name), "{name}");
        }
        for name in ["assay-tokens", "x-forwarded", "assay", "accept", "x-assa", &"a".repeat(100)] {
            assert!(!stripped.contains(name), "{name}");
        }
        let long = "b".repeat(80);
        assert!(Stripped::new([long.as_str()]).contains(&long));
    }
}
