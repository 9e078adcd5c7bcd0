//! The shape of `when:`: which requests a rule is about.

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::people::{CallerWord, UserRule};
use super::values::{HostPattern, ListName, MethodName, Network, OrList, PathPattern, Percent, Span};
use super::words::{AnnotationWord, DeviceStateWord, EvidenceWord, TierWord, VerdictWord};
use super::{At, Many, NonEmpty, Read, Required, Tried, shape};
use crate::problem::Problem;
use crate::version::Version;
use crate::yaml::{self, Node, Value};

shape! {
    /// Which requests the rule is about: all of its conditions together.
    struct When: "`when`", elsewhere NOT_CONDITIONS;
    /// What is known about the token: a verdict, several, the group `invalid`, or `any`. Every rule names it.
    verdict: Option<Tried<Many<VerdictWord>>>;
    /// Method or methods.
    method: Option<At<Many<MethodName>>>;
    /// Path or paths, in the normal form in which they go upstream, or lists of them.
    path: Option<At<Many<OrList<PathPattern>>>>;
    /// Host or hosts, without port.
    host: Option<At<Many<HostPattern>>>;
    /// Name of a route, or names; for policies that several routes share.
    route: Option<At<Many<String>>>;
    /// Tier of the appraisal. True only for a genuine signature.
    tier: Option<At<Many<TierWord>>>;
    /// Kinds of Evidence that were accepted, any of them; `platform` is any that the maker of the platform vouches for.
    evidence: Option<At<Many<EvidenceWord>>>;
    /// The app's name in its token. True only for a genuine signature.
    app: Option<At<Many<String>>>;
    /// The app's version in its token. True only for a genuine signature.
    app_version: Option<At<NonEmpty<VersionRange>>>;
    /// How long the token has been expired. True only for a genuine signature.
    expired_for: Option<At<ExpiredFor>>;
    /// What an operator said about the device. True only for a genuine signature.
    device_state: Option<At<Many<DeviceStateWord>>>;
    /// How long ago the device was first seen. True only for a genuine signature that tells it.
    device_age: Option<At<NonEmpty<AgeRange>>>;
    /// The device, in a named list. True only for a genuine signature.
    device: Option<At<Many<ListName>>>;
    /// What the token is marked with. True only for a genuine signature.
    annotation: Option<At<Many<AnnotationWord>>>;
    /// A caller that is not an app and has proven who it is, by name; or `any`.
    caller: Option<At<Many<CallerWord>>>;
    /// The user, whose own token was verified beside the app's.
    user: Option<At<NonEmpty<UserRule>>>;
    /// The client's address: networks, or lists of them.
    network: Option<At<Many<OrList<Network>>>>;
    /// For so many percent of senders, always the same ones.
    percentage: Option<At<Percent>>;
    /// Headers and what their values must be; all of them.
    header: Option<At<Headers>>;
    /// Conditions that must not all be true.
    not: Option<NonEmpty<Box<When>>>;
}

/// What people try, and what it is called here.
const NOT_CONDITIONS: &[(&str, &str)] = &[
    ("ver", "it is called `app_version`: { min: \"3.2\" }"),
    ("version", "it is called `app_version`: { min: \"3.2\" }"),
    ("methods", "it is called `method`, also for several"),
    ("paths", "it is called `path`, also for several"),
    ("url", "use `path`, `host` and `method`"),
    ("uri", "use `path`, `host` and `method`"),
    ("hosts", "it is called `host`, also for several"),
    ("ip", "it is called `network`"),
    ("address", "it is called `network`"),
    ("cidr", "it is called `network`"),
    ("headers", "it is called `header`"),
    ("query", "rules look at method, host, path and headers, not at the query"),
    ("regex", "there are no regular expressions; use `path` with `*` and `/**`"),
    (
        "percent",
        "it is called `percentage`; a share of the refusals is set for the whole policy: enforcement: { missing: 10 }",
    ),
    ("share", "it is called `percentage`"),
    ("callers", "it is called `caller`, also for several"),
    ("partner", "it is called `caller`"),
    ("users", "it is called `user`: { subject: [ … ] }"),
    ("jwt", "it is called `user`: { issuer: …, claims: { … } }"),
    ("age", "it is called `device_age`: { min: 24h }"),
    ("devices", "it is called `device`: { list: NAME }"),
    ("annotations", "it is called `annotation`"),
    ("state", "it is called `device_state`"),
];

shape! {
    /// From `min` on, and before `below`.
    struct VersionRange: "`app_version`", elsewhere &[
        ("max", "it is called `below`, and the version itself is not part of the range"),
        ("from", "it is called `min`"),
        ("equals", "write min and below: { min: \"3.2\", below: \"3.3\" }"),
    ];
    /// The first version that matches.
    min: Option<Tried<Version>>;
    /// The first version that no longer matches.
    below: Option<Tried<Version>>;
}

shape! {
    /// For how long at most.
    struct ExpiredFor: "`expired_for`", elsewhere &[("min", "only `max` is known: the time since the token expired")];
    /// The longest time since it expired.
    max: Required<Span>, or "write how long at most: expired_for: { max: 15m }";
}

shape! {
    /// From `min` on, and before `below`; in whole hours.
    struct AgeRange: "`device_age`", elsewhere &[
        ("max", "it is called `below`"),
        ("over", "it is called `min`"),
        ("above", "it is called `min`"),
    ];
    /// The first age that matches.
    min: Option<Tried<Span>>;
    /// The first age that no longer matches.
    below: Option<Tried<Span>>;
}

/// Header names, each with what its value must be.
#[derive(Clone, Debug)]
pub(crate) struct Headers(pub(crate) Vec<At<(HeaderName, HeaderTest)>>);

/// What the value of a header must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderTest {
    Present(bool),
    Equals(Box<str>),
    Prefix(Box<str>),
}

shape! {
    /// One of `present`, `equals`, `prefix`.
    struct HeaderRule: "the condition on a header", elsewhere &[
        ("contains", "there is `present`, `equals` and `prefix`"),
        ("regex", "there are no regular expressions; there is `present`, `equals` and `prefix`"),
        ("value", "it is called `equals`"),
    ];
    /// Whether the header is there at all.
    present: Option<At<bool>>;
    /// The whole value.
    equals: Option<At<String>>;
    /// How the value begins.
    prefix: Option<At<String>>;
}

impl Read for HeaderTest {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if !matches!(node.value, Value::Map(_)) {
            return yaml::text(node, what, problems).map(|text| Self::Equals(text.into()));
        }
        let rule = HeaderRule::read(node, what, problems)?;
        match (rule.present, rule.equals, rule.prefix) {
            (Some(present), None, None) => Some(Self::Present(present.value)),
            (None, Some(text), None) => Some(Self::Equals(text.value.into())),
            (None, None, Some(text)) => Some(Self::Prefix(text.value.into())),
            (present, equals, prefix) => {
                // When a field was there and unreadable, that has been told.
                if present.is_some()
                    || equals.is_some()
                    || prefix.is_some()
                    || matches!(&node.value, Value::Map(entries) if entries.is_empty())
                {
                    problems.push(
                        Problem::error(
                            node.place,
                            "bad_header",
                            format!("the condition on `{what}` must be one of `present`, `equals` and `prefix`"),
                        )
                        .with_hint("write { present: true }, { equals: \"…\" } or { prefix: \"…\" }"),
                    );
                }
                None
            }
        }
    }
}

impl Read for Headers {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            problems.push(
                Problem::error(node.place, "wrong_type", format!("`{what}` must be a map, not {}", node.described()))
                    .with_hint("write header: { X-Name: { present: true } }"),
            );
            return None;
        };
        let mut tests = Vec::new();
        for entry in entries {
            let test = HeaderTest::read(&entry.value, &entry.key, problems);
            let Ok(name) = HeaderName::from_bytes(entry.key.as_bytes()) else {
                problems.push(
                    Problem::error(entry.place, "bad_header", format!("`{}` is not the name of a header", entry.key))
                        .with_hint("letters, digits and `-`"),
                );
                continue;
            };
            if looks_like_a_credential(name.as_str()) {
                problems.push(
                    Problem::error(entry.place, "credential_header", format!("`{}` carries a credential, which a condition would write into this file and compare unsafely", entry.key))
                        .with_hint("name who sends it under `callers:` of the configuration, which keeps a hash; rules see `caller: NAME`")
                        .hiding_line(),
                );
                continue;
            }
            if name.as_str().starts_with("x-assay-") {
                problems.push(
                    Problem::error(
                        entry.place,
                        "bad_header",
                        format!("`{}` never arrives: what a client sends under X-Assay- is removed", entry.key),
                    )
                    .with_hint("use `verdict`, `app`, `app_version` or `tier`"),
                );
                continue;
            }
            if let Some(HeaderTest::Equals(text) | HeaderTest::Prefix(text)) = &test
                && looks_like_a_secret(text)
            {
                problems.push(
                    Problem::error(entry.value.place, "credential_header", format!("the value for `{}` looks like a secret, which would stand readable in this file", entry.key))
                        .with_hint("name who sends it under `callers:` of the configuration, which keeps a hash, and change the secret: it has been in a file")
                        .hiding_line(),
                );
                continue;
            }
            tests.extend(test.map(|test| At { value: (name, test), place: entry.place }));
        }
        if entries.is_empty() {
            problems.push(
                Problem::error(node.place, "empty_list", "`header` names no header")
                    .with_hint("name one, or leave the field out"),
            );
        }
        Some(Self(tests))
    }
}

impl JsonSchema for HeaderTest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderTest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<HeaderRule>();
        json_schema!({ "anyOf": [{ "type": "string" }, rule] })
    }
}

impl JsonSchema for Headers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let test = generator.subschema_for::<HeaderTest>();
        json_schema!({ "type": "object", "additionalProperties": test, "minProperties": 1 })
    }
}

/// Whether a value has the form of a credential: a known beginning, or long and of nothing but mixed letters and digits.
fn looks_like_a_secret(value: &str) -> bool {
    const BEGINNINGS: [&str; 18] = [
        "Bearer ",
        "Basic ",
        "bearer ",
        "basic ",
        "eyJ",
        "sk-",
        "sk_",
        "pk_live_",
        "rk_live_",
        "whsec_",
        "ghp_",
        "gho_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "AIza",
    ];
    let random = || {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_');
        let count = |of: fn(&u8) -> bool| value.bytes().filter(of).count();
        let (digits, upper, lower) =
            (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
        value.len() >= 24
            && value.bytes().all(plain)
            && (digits >= 4 && upper + lower >= 4 || digits >= 2 && upper >= 3 && lower >= 3)
    };
    BEGINNINGS.iter().any(|beginning| value.starts_with(beginning)) || random()
}

/// Whether a header of this name (in lower case) usually carries a secret.
fn looks_like_a_credential(name: &str) -> bool {
    const WHOLE: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token"];
    const PARTS: [&str; 12] = [
        "token",
        "secret",
        "password",
        "passwd",
        "credential",
        "apikey",
        "signature",
        "session",
        "jwt",
        "bearer",
        "auth",
        "key",
    ];
    const HARMLESS: [&str; 3] = ["idempotency-key", "x-idempotency-key", "sec-websocket-key"];
    if HARMLESS.contains(&name) {
        return false;
    }
    WHOLE.contains(&name) || name.split(['-', '_']).any(|part| PARTS.contains(&part))
}
