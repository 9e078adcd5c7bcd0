//! Refusals with a body of the API's own.
//!
//! In: `refusals:` of a policy. Out: for each group of answers, body, content type and headers. Proven: at most 16 KiB; the same for
//! the whole group, whatever the reason, so that nothing tells forgers how far they got; the status, and the headers that
//! clients of the protocol go by, are not the policy's to set.

use http::{HeaderName, HeaderValue};

use crate::compile::RouteContext;
use crate::problem::Problem;
use crate::shape::At;
use crate::shape::refusals::{RefusalShape, RefusalsShape};

/// Bytes of a body at most, before and after its places are filled in.
pub const MAX_BODY: usize = 16 * 1024;

/// Answers that look alike: which of them a request gets depends on nothing that needs a key to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// 401: no token, or one whose own time has passed.
    Required,
    /// 403: every other token that is not let through.
    Refused,
    /// 429: a limit or a budget.
    Limited,
    /// 503: no capacity to spare.
    Overloaded,
    /// 503: the fault is ours.
    Unavailable,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Required, Self::Refused, Self::Limited, Self::Overloaded, Self::Unavailable];

    /// The word, as it stands in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The body of one group, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalBody {
    content_type: HeaderValue,
    headers: Box<[(HeaderName, HeaderValue)]>,
    parts: Box<[Part]>,
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// `{decision}`
    Decision,
    /// `{code}`
    Code,
}

impl RefusalBody {
    /// Its media type.
    #[must_use]
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// More headers; none that frames the message, and none that the gateway sets itself.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The body, with the id of the decision and the code of the answer in their places.
    ///
    /// Both are plain: letters, digits, `-` and `_`. Other characters are left out, so that neither can end a text that it
    /// stands in.
    #[must_use]
    pub fn render(&self, decision: &str, code: &str) -> String {
        let mut out = String::new();
        for part in &self.parts {
            let put = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Decision => decision,
                Part::Code => code,
            };
            out.extend(put.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
        }
        out
    }
}

/// The bodies of a policy, by group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals([Option<RefusalBody>; Group::ALL.len()]);

impl Refusals {
    pub(crate) fn get(&self, group: Group) -> Option<&RefusalBody> {
        self.0.get(group as usize).and_then(Option::as_ref)
    }

    /// Checks what was written; what is wrong is told and absent.
    pub(crate) fn new(written: Option<&RefusalsShape>, about: &RouteContext<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut all = Self::default();
        let Some(written) = written else { return all };
        let groups = [
            (Group::Required, &written.required),
            (Group::Refused, &written.refused),
            (Group::Limited, &written.limited),
            (Group::Overloaded, &written.overloaded),
            (Group::Unavailable, &written.unavailable),
        ];
        for (group, shape) in groups {
            let body = shape.as_ref().and_then(|shape| body_of(shape, about, problems));
            if let Some(slot) = all.0.get_mut(group as usize) {
                *slot = body;
            }
        }
        all
    }
}

fn body_of(shape: &At<RefusalShape>, about: &RouteContext<'_>, problems: &mut Vec<Problem>) -> Option<RefusalBody> {
    let RefusalShape { body, body_file, content_type, headers } = &shape.value;
    let (text, place) =
        match (body, body_file) {
            (Some(body), None) => (body.value.clone(), body.place),
            (None, Some(path)) => match about.files.read(&path.value) {
                Ok((_, text)) => (text, path.place),
                Err(why) => {
                    problems.push(Problem::error(path.place, "unreadable_file", why).with_hint(
                        "the path is relative to the policy's file; a short body can also stand under `body`",
                    ));
                    return None;
                }
            },
            _ => {
                problems.push(
                    Problem::error(shape.place, "one_body", "a refusal has either `body` or `body_file`")
                        .with_hint("write, for example, body: '{\"error\":\"refused\",\"id\":\"{decision}\"}'"),
                );
                return None;
            }
        };
    if text.len() > MAX_BODY {
        problems.push(
            Problem::error(place, "body_too_large", format!("a body of {} bytes, more than {MAX_BODY}", text.len()))
                .with_hint("a refusal must stay cheaper than what it refuses"),
        );
        return None;
    }
    let parts = parts_of(&text);
    if let Some(unknown) = unknown_place(&text) {
        problems.push(
            Problem::warning(place, "unknown_placeholder", format!("`{{{unknown}}}` is sent as it stands")).with_hint(
                "only `{decision}` and `{code}` are filled in: anything else could tell one reason from another",
            ),
        );
    }
    let content_type = content_type.0.as_ref()?;
    let media = HeaderValue::from_str(&content_type.value).ok().filter(|_| {
        content_type.value.split(';').next().is_some_and(|media| {
            let mut halves = media.trim().split('/').map(is_token);
            (halves.next(), halves.next(), halves.next()) == (Some(true), Some(true), None)
        })
    });
    let Some(media) = media else {
        problems.push(
            Problem::error(
                content_type.place,
                "bad_content_type",
                format!("`{}` is not a media type", content_type.value),
            )
            .with_hint("write, for example, content_type: application/json"),
        );
        return None;
    };
    let headers = headers.iter().flat_map(|headers| &headers.value.0).map(|header| header.value.clone()).collect();
    Some(RefusalBody { content_type: media, headers, parts })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

fn parts_of(text: &str) -> Box<[Part]> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let next = [("{decision}", Part::Decision), ("{code}", Part::Code)]
            .into_iter()
            .filter_map(|(word, part)| rest.split_once(word).map(|(before, after)| (before, part, after)))
            .min_by_key(|(before, ..)| before.len());
        match next {
            Some((before, part, after)) => {
                parts.extend((!before.is_empty()).then(|| Part::Text(before.into())));
                parts.push(part);
                rest = after;
            }
            None => {
                parts.extend((!rest.is_empty()).then(|| Part::Text(rest.into())));
                return parts.into();
            }
        }
    }
}

/// A `{word}` that looks as if it were to be filled in, and isn't.
fn unknown_place(text: &str) -> Option<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(word, _)| word)).find(|word| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            && !matches!(*word, "decision" | "code")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::check_text;
    use crate::{compile, parse_file};

    fn policy(refusals: &str) -> String {
        format!(
            "default: block\nrules: [{{ name: r, when: {{ verdict: attested }}, then: allow }}]\nrefusals: {{ {refusals} }}\n"
        )
    }

    fn codes(refusals: &str) -> Vec<&'static str> {
        check_text("t", &policy(refusals), &RouteContext::new("r")).into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn refuses_what_would_tell_reasons_apart_or_break_the_message() {
        let with = |rest: &str| codes(&format!("refused: {{ body: x, content_type: text/plain, {rest} }}"));
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "WWW-Authenticate",
            "Retry-After",
            "Date",
            "content-type",
            "RateLimit",
            "X-Assay-Verdict",
            "Set-Cookie",
        ] {
            assert_eq!(with(&format!("headers: {{ {name}: x }}")), ["bad_header"], "{name}");
        }
        assert_eq!(with("headers: { \"a b\": x }"), ["bad_header"]);
        assert_eq!(with("headers: { X-A: \"a\\r\\nb\" }"), ["bad_header"]);
        assert_eq!(with("status: 404"), ["unknown_field"]);
        assert_eq!(codes("refused: { content_type: text/plain }"), ["one_body"]);
        assert_eq!(codes("refused: { body: a, body_file: b, content_type: text/plain }"), ["one_body"]);
        assert_eq!(codes("refused: { body: a }"), ["missing_field"]);
        assert_eq!(codes("refused: { body: a, content_type: json }"), ["bad_content_type"]);
        assert_eq!(codes("refused: { body: \"{reason}\", content_type: text/plain }"), ["unknown_placeholder"]);
        assert_eq!(codes("failed: { body: a, content_type: text/plain }"), ["unknown_field"]);
        let long = "x".repeat(MAX_BODY + 1);
        assert_eq!(codes(&format!("refused: {{ body: {long}, content_type: text/plain }}")), ["body_too_large"]);
        assert_eq!(codes("refused: { body_file: b.json, content_type: text/plain }"), ["unreadable_file"]);
    }

    #[test]
    fn fills_in_its_two_places_and_nothing_that_could_end_a_text() {
        let text = policy(
            "refused: { body: '{\"id\":\"{decision}\",\"error\":\"{code}\",\"x\":{}}', content_type: application/json, headers: { X-Api: v1 } }",
        );
        let (policy, _) = compile(parse_file("t", &text).unwrap(), "t", &RouteContext::new("r")).unwrap();
        let body = policy.refusal(Group::Refused).unwrap();
        assert_eq!(body.render("01J-a_b", "refused"), r#"{"id":"01J-a_b","error":"refused","x":{}}"#);
        assert_eq!(body.render("a\",\"b", "{decision}"), r#"{"id":"ab","error":"decision","x":{}}"#);
        assert_eq!((body.content_type().as_bytes(), body.headers().len()), (b"application/json".as_slice(), 1));
        assert!(policy.refusal(Group::Required).is_none());
    }
}
