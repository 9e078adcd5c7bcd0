//! The canonical request, part by part. In: a path, a query, headers as they are sent. Out: the one form of each that both
//! sides hash.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use crate::percent;
use crate::slots::Slots;

/// The path under the signature of every service but S3: as it is sent, escaped once more.
pub(super) fn path(sent: &str) -> Cow<'_, str> {
    if percent::is_plain(sent, b"/") {
        return Cow::Borrowed(sent);
    }
    let mut out = Vec::with_capacity(percent::longest(sent.len()));
    percent::encode_into(&mut out, sent.bytes(), b"/");
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// A query: as it is sent, and its parameters in canonical form.
pub(super) struct Query {
    sent: String,
    /// `name=value`, escaped anew. The name ends at the one `=` in it.
    parameters: Vec<(String, String)>,
}

impl Query {
    /// Parses a query without what stands in slots. `+` is sent as `%20`: it means a space, and AWS reads it as itself.
    pub(super) fn parse(query: &str, slots: &Slots) -> Self {
        let stripped = slots.strip_query(query);
        let mut parsed = Self { sent: String::with_capacity(query.len()), parameters: Vec::new() };
        for part in stripped.as_deref().unwrap_or(query).split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            // Most names and values are words.
            let escaped = |text: &str| {
                if percent::is_plain(text, b"") {
                    return text.to_owned();
                }
                let mut out = Vec::with_capacity(part.len());
                percent::encode_into(&mut out, percent::decode(text, true), b"");
                String::from_utf8_lossy(&out).into_owned()
            };
            parsed.parameters.push((escaped(name), escaped(value)));
            if part.contains('+') {
                parsed.append(&part.replace('+', "%20"));
            } else {
                parsed.append(part);
            }
        }
        parsed
    }

    /// Adds a parameter at the end.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        let mut escaped = Vec::with_capacity(percent::longest(value.len()));
        percent::encode_into(&mut escaped, value.bytes(), b"");
        let escaped = String::from_utf8_lossy(&escaped).into_owned();
        self.append(&format!("{name}={escaped}"));
        self.parameters.push((name.to_owned(), escaped));
    }

    /// The query to send.
    pub(super) fn as_sent(&self) -> &str {
        &self.sent
    }

    /// Appends the query as it is signed: parameters in the order of their bytes.
    pub(super) fn canonical_into(&self, out: &mut Vec<u8>) {
        let mut sorted: Vec<_> = self.parameters.iter().collect();
        sorted.sort();
        for (at, (name, value)) in sorted.into_iter().enumerate() {
            if at > 0 {
                out.push(b'&');
            }
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
    }

    fn append(&mut self, part: &str) {
        if !self.sent.is_empty() {
            self.sent.push('&');
        }
        self.sent.push_str(part);
    }
}

/// The headers under a signature.
pub(super) struct SignedHeaders {
    /// Name, and values joined.
    lines: Vec<(String, Vec<u8>)>,
    names: String,
}

impl SignedHeaders {
    /// `host` alone, in lower case as names of hosts are.
    pub(super) fn new(host: &str) -> Self {
        Self { lines: vec![("host".to_owned(), host.as_bytes().to_ascii_lowercase())], names: String::new() }
    }

    /// Adds a header with all of its values.
    pub(super) fn push<'a>(&mut self, name: &HeaderName, values: impl IntoIterator<Item = &'a HeaderValue>) {
        let mut joined = Vec::new();
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                joined.push(b',');
            }
            let words = value.as_bytes().split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            for (at, word) in words.enumerate() {
                if at > 0 {
                    joined.push(b' ');
                }
                joined.extend_from_slice(word);
            }
        }
        self.lines.push((name.as_str().to_owned(), joined));
    }

    /// Brings them into order, after the last one.
    pub(super) fn finish(&mut self) {
        self.lines.sort();
        self.names = self.lines.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    }

    /// Their names: `host;x-amz-date`.
    pub(super) fn names(&self) -> &str {
        &self.names
    }

    /// Appends their lines.
    pub(super) fn canonical_into(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.lines {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            out.extend_from_slice(value);
            out.push(b'\n');
        }
    }
}
