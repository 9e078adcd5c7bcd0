//! The values of conditions: hosts, paths, methods, networks, versions, durations, moments.
//!
//! In: the text of one value. Out: a value that can be compared with a request, in the same normal form.

use std::borrow::Cow;
use std::time::Duration;

use attest_core::target::{PathGlob, canonical_host};
use attest_core::time::UnixTime;
use http::Method;
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Read, text_schema};
use crate::lists::parse_network;
use crate::problem::Problem;
use crate::version::Version;
use crate::yaml::{self, Node, scalar};

/// A method of HTTP, in capitals.
#[derive(Clone, Debug)]
pub(crate) struct MethodName(pub(crate) Method);
text_schema!(MethodName, "A method of HTTP, in capitals. GET does not stand for HEAD.", "GET");

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

impl Read for MethodName {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let text = yaml::text(node, what, problems)?;
        let refused = |hint: String| {
            Problem::error(node.place, "unknown_method", format!("`{text}` is not a method of HTTP")).with_hint(hint)
        };
        if METHODS.contains(&text) {
            return Method::from_bytes(text.as_bytes()).ok().map(Self);
        }
        let upper = text.to_ascii_uppercase();
        let hint = match yaml::nearest(&upper, &METHODS) {
            Some(near) => format!("did you mean `{near}`?"),
            None if upper == text && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') => {
                return Method::from_bytes(text.as_bytes()).ok().map(Self);
            }
            None => "leave `method` out for all of them".to_owned(),
        };
        problems.push(refused(hint));
        None
    }
}

/// A host, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    Exact(Box<str>),
    /// Of `*.example.com`: `.example.com`.
    Below(Box<str>),
}
text_schema!(HostPattern, "A host, or \"*.example.com\" (in quotes) for every name below it.", "*.example.com");

impl HostPattern {
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *host,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
        }
    }

    /// Whether every host that `other` matches is matched by this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(host)) => self.matches(host),
            (Self::Below(outer), Self::Below(inner)) => inner.ends_with(&**outer),
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl Read for HostPattern {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let text = yaml::text(node, what, problems)?;
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        match canonical_host(name) {
            Ok(host) if below => Some(Self::Below(format!(".{host}").into())),
            Ok(host) => Some(Self::Exact(host.into())),
            Err(_) => {
                let hint = if text == "*" {
                    "leave `host` out: then every host matches"
                } else if text.contains("://") || text.contains('/') {
                    "write the host alone, without scheme and path: api.example.com"
                } else if text.contains(':') {
                    "write the host without its port"
                } else if text.contains('*') {
                    "a `*` stands only first, before a dot: \"*.example.com\""
                } else {
                    "write a host name or address: api.example.com"
                };
                problems
                    .push(Problem::error(node.place, "bad_host", format!("`{text}` is not a host")).with_hint(hint));
                None
            }
        }
    }
}

/// A pattern of canonical paths.
#[derive(Clone, Debug)]
pub(crate) struct PathPattern(pub(crate) PathGlob);
text_schema!(
    PathPattern,
    "A path. `*` is one segment or a part of one; `/**` at the end is the path itself and everything below.",
    "/v1/catalogue/**"
);

impl Read for PathPattern {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let text = yaml::text(node, what, problems)?;
        match PathGlob::parse(text) {
            Ok(glob) => Some(Self(glob)),
            Err(error) => {
                let hint = if text.contains("://") {
                    "write the path alone; hosts go under `host`".to_owned()
                } else if text == "*" || text == "**" {
                    "leave `path` out: then every path matches".to_owned()
                } else if text.contains('?') {
                    "leave the query out: rules look at the path only".to_owned()
                } else if !text.starts_with('/') {
                    format!("write \"/{text}\"")
                } else if text.contains("/./") || text.contains("/../") || text.ends_with("/.") || text.ends_with("/..")
                {
                    "write the path without `.` and `..`".to_owned()
                } else if text.contains("//") {
                    "write a single `/`".to_owned()
                } else {
                    "patterns look like \"/v1/items\", \"/v1/*/photo\", \"/img-*\" and \"/v1/**\"; there are no regular expressions".to_owned()
                };
                problems.push(
                    Problem::error(node.place, "bad_path", format!("`{text}` is not a pattern of paths: {error}"))
                        .with_hint(hint),
                );
                None
            }
        }
    }
}

/// A network, or one address.
#[derive(Clone, Debug)]
pub(crate) struct Network(pub(crate) IpNet);
text_schema!(Network, "A network in CIDR form, or one address.", "203.0.113.0/24");

impl Read for Network {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        match parse_network(yaml::text(node, what, problems)?) {
            Ok(net) => Some(Self(net)),
            Err((message, hint)) => {
                problems.push(Problem::error(node.place, "bad_network", message).with_hint(hint));
                None
            }
        }
    }
}

/// Name of a list: `{ list: NAME }`.
#[derive(Clone, Debug)]
pub(crate) struct ListName(pub(crate) String);

impl Read for ListName {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if let yaml::Value::Text(text) = &node.value {
            problems.push(
                Problem::error(node.place, "wrong_type", format!("`{what}` names a list, not {}", node.described()))
                    .with_hint(format!("write {{ list: NAME }}, and put `{text}` into the list of that name")),
            );
            return None;
        }
        let name = yaml::Fields::open(
            node,
            "a named list",
            &["list"],
            &[("lists", "it is called `list`, for one name")],
            problems,
        )?
        .require("list", "write { list: NAME }", problems)?;
        yaml::text(name, "list", problems).map(|name| Self(name.to_owned()))
    }
}

impl JsonSchema for ListName {
    fn schema_name() -> Cow<'static, str> {
        "ListName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": { "list": { "type": "string", "description": "Name of a list in the configuration." } },
            "required": ["list"],
            "additionalProperties": false
        })
    }
}

/// A value, or a list of such.
#[derive(Clone, Debug)]
pub(crate) enum OrList<T> {
    Value(T),
    List(ListName),
}

impl<T: Read> Read for OrList<T> {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        match node.value {
            yaml::Value::Map(_) => ListName::read(node, what, problems).map(Self::List),
            _ => T::read(node, what, problems).map(Self::Value),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OrList<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_list", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (value, list) = (generator.subschema_for::<T>(), generator.subschema_for::<ListName>());
        json_schema!({ "anyOf": [value, list] })
    }
}

/// So many of a hundred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Percent(pub(crate) u8);

impl Read for Percent {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        yaml::number(node, what, 0, 100, problems).and_then(|number| u8::try_from(number).ok()).map(Self)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": 100 })
    }
}

text_schema!(Version, "A version, in quotes: unquoted, 3.10 is 3.1 to many tools.", "3.2");

impl Read for Version {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if matches!(node.value, yaml::Value::Int(_) | yaml::Value::Float(_)) {
            let spelled = node.spelled();
            let why = if spelled.contains('.') && spelled.ends_with('0') {
                format!(
                    " (unquoted, `{spelled}` is `{}` to tools that read it as a number)",
                    spelled.trim_end_matches('0')
                )
            } else {
                String::new()
            };
            problems.push(
                Problem::error(node.place, "unquoted_version", format!("the version `{spelled}` must be in quotes"))
                    .with_hint(format!("write \"{spelled}\"{why}")),
            );
            return None;
        }
        let text = yaml::text(node, what, problems)?;
        let parsed = Self::parse(text);
        if parsed.is_none() {
            let bare = text.trim_start_matches(['>', '<', '=', '~', '^', 'v', ' ']);
            let hint = match (text.chars().next(), Self::parse(bare)) {
                (Some('<'), Some(_)) => format!("write {{ below: \"{bare}\" }}"),
                (Some('>' | '=' | '~' | '^'), Some(_)) => format!("write {{ min: \"{bare}\" }}"),
                (_, Some(_)) => format!("write \"{bare}\""),
                _ => "write numbers with dots between: \"3.2\" or \"3.2.1\"".to_owned(),
            };
            problems
                .push(Problem::error(node.place, "bad_version", format!("`{text}` is not a version")).with_hint(hint));
        }
        parsed
    }
}

/// A length of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub(crate) Duration);

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time with its unit: 250ms, 30s, 5m, 1h30m, 7d.",
            "examples": ["1m"],
            "pattern": "^([0-9]+(ms|s|m|h|d))+$"
        })
    }
}

impl Read for Span {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let refused = |hint| {
            Problem::error(node.place, "bad_duration", format!("`{what}` can't be {}", node.described()))
                .with_hint(hint)
        };
        if let yaml::Value::Int(number) = node.value {
            problems.push(refused(format!("a unit is missing: {number}s, {number}m or {number}h?")));
            return None;
        }
        let text = yaml::text(node, what, problems)?;
        match scalar::duration(text) {
            Ok(duration) => Some(Self(duration)),
            Err(_) if yaml::is_sexagesimal(text) => {
                problems.push(refused(format!("write hours, minutes and seconds with their units, such as 12h30m: to YAML 1.1 `{text}` is a number in base 60")));
                None
            }
            Err(hint) => {
                problems.push(refused(hint));
                None
            }
        }
    }
}

/// A moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) UnixTime);
text_schema!(Moment, "Date, time and offset of RFC 3339.", "2027-03-01T00:00:00Z");

impl Read for Moment {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let text = yaml::text(node, what, problems)?;
        match scalar::moment(text) {
            Ok(moment) => Some(Self(moment)),
            Err(hint) => {
                problems.push(
                    Problem::error(node.place, "bad_moment", format!("`{text}` is not a moment")).with_hint(hint),
                );
                None
            }
        }
    }
}
