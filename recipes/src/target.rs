//! Credentials in the request target: a query parameter, a segment of the path. In: the recipe's members, then the secret
//! and the draft. Out: another target; proven between: the secret is escaped, and ends where it should.

use http::uri::PathAndQuery;
use zeroize::Zeroizing;

use crate::draft::{ApplyError, Changes, Draft};
use crate::error::{RecipeError, SecretError};
use crate::percent;
use crate::secret::{Secrets, text_secret};
use crate::slots::Slots;
use crate::template::Template;
use crate::wiped;

/// One query parameter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query {
    name: String,
    template: Template,
}

impl Query {
    pub(crate) fn parse(name: &str, template: &str) -> Result<Self, RecipeError> {
        Ok(Self { name: parameter_name(name)?.to_owned(), template: Template::parse(template, "key")? })
    }

    pub(crate) fn ready(&self, secret: &[u8], slots: &Slots) -> Result<(QueryParameter, Secrets), SecretError> {
        let pair = pair(&self.name, &self.template.fill(text_secret(secret)?.as_bytes()));
        Ok((QueryParameter { pair, slots: slots.clone() }, Secrets::of(secret)))
    }
}

/// One segment of the path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathSegment {
    at: usize,
    template: Template,
}

impl PathSegment {
    pub(crate) fn parse(at: u8, template: &str) -> Result<Self, RecipeError> {
        if !(1..=16).contains(&at) {
            return Err(RecipeError::Member { member: "at", why: "segments are counted from 1 to 16" });
        }
        Ok(Self { at: usize::from(at), template: Template::parse(template, "key")? })
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(Segment, Secrets), SecretError> {
        let text = self.template.fill(text_secret(secret)?.as_bytes());
        let mut escaped = Zeroizing::new(Vec::with_capacity(1 + percent::longest(text.len())));
        escaped.push(b'/');
        // `:` stands as it is: it does so in the one API that is known for this, and means nothing in a path.
        percent::encode_into(&mut escaped, text.iter().copied(), b":");
        Ok((Segment { at: self.at, escaped }, Secrets::of(secret)))
    }
}

/// `name=value`, escaped.
pub(crate) struct QueryParameter {
    pair: Zeroizing<Vec<u8>>,
    slots: Slots,
}

impl QueryParameter {
    /// Behind the request's own parameters, without those that stand in a slot.
    pub(crate) fn apply(&self, draft: &Draft<'_>) -> Result<Changes, ApplyError> {
        let stripped = draft.query.and_then(|query| self.slots.strip_query(query));
        let query = stripped.as_deref().or(draft.query).unwrap_or_default();
        let mut text = Zeroizing::new(Vec::with_capacity(draft.path.len() + query.len() + self.pair.len() + 2));
        text.extend_from_slice(draft.path.as_bytes());
        text.push(b'?');
        if !query.is_empty() {
            text.extend_from_slice(query.as_bytes());
            text.push(b'&');
        }
        text.extend_from_slice(&self.pair);
        Ok(to(wiped::target(text).ok_or(ApplyError::Target)?))
    }
}

/// `/` and the segment, escaped.
pub(crate) struct Segment {
    at: usize,
    escaped: Zeroizing<Vec<u8>>,
}

impl Segment {
    pub(crate) fn apply(&self, draft: &Draft<'_>) -> Result<Changes, ApplyError> {
        let path = if draft.path == "/" { "" } else { draft.path };
        // In front of segment `at`; behind the last one, where that is the one before and not an empty one.
        let end = (!path.ends_with('/')).then_some(path.len());
        let starts = path.match_indices('/').map(|(start, _)| start);
        let start = starts.chain(end).nth(self.at - 1).ok_or(ApplyError::PathTooShort)?;
        let (before, after) = path.split_at_checked(start).ok_or(ApplyError::PathTooShort)?;
        let query = draft.query.unwrap_or_default();
        let mut text = Zeroizing::new(Vec::with_capacity(draft.path.len() + self.escaped.len() + query.len() + 1));
        text.extend_from_slice(before.as_bytes());
        text.extend_from_slice(&self.escaped);
        text.extend_from_slice(after.as_bytes());
        if draft.query.is_some() {
            text.push(b'?');
            text.extend_from_slice(query.as_bytes());
        }
        Ok(to(wiped::target(text).ok_or(ApplyError::Target)?))
    }
}

/// `name=value`, both escaped, for a query or a form.
pub(crate) fn pair(name: &str, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(percent::longest(name.len() + value.len()) + 1));
    percent::encode_into(&mut out, name.bytes(), b"");
    out.push(b'=');
    percent::encode_into(&mut out, value.iter().copied(), b"");
    out
}

/// The name of a parameter or field: 1 to 64 printable characters without a bracket, which would be an index.
pub(crate) fn parameter_name(name: &str) -> Result<&str, RecipeError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"[]&;=%+".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        let why = "the name of a parameter is 1 to 64 printable characters without []&;=%+";
        return Err(RecipeError::Member { member: "name", why });
    }
    Ok(name)
}

fn to(target: PathAndQuery) -> Changes {
    Changes::Many { headers: Vec::new(), target: Some(target), body: None, derived: Vec::new() }
}

#[cfg(test)]
mod tests;
