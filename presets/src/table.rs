//! The shapes that the data is written in: constants, so that a preset costs nothing until it is asked for.
//!
//! In a path, `{name}` stands for a parameter's value.

use operations::{BodyText, BodyType, Condition, Json};

/// One operation.
pub(crate) struct Call {
    /// Its name in `operations:`.
    pub(crate) name: &'static str,
    /// What it does, in a few words.
    pub(crate) what: &'static str,
    /// Method and path, as the vendor sees them.
    pub(crate) call: &'static str,
    /// Query parameters that a client may send.
    pub(crate) query: &'static [&'static str],
    /// Query parameters that every request has.
    pub(crate) query_fixed: &'static [(&'static str, &'static str)],
    /// Request headers that a client may send beside the harmless ones.
    pub(crate) headers: &'static [&'static str],
    /// What its body may be.
    pub(crate) body: Body,
}

/// A call without anything beside it; written as the base of others.
pub(crate) const GET: Call =
    Call { name: "", what: "", call: "", query: &[], query_fixed: &[], headers: &[], body: Body::None };

/// What a body may be.
pub(crate) enum Body {
    /// None.
    None,
    /// Anything of up to so many bytes.
    Any(u64),
    /// JSON, judged whole.
    Json(Rules),
    /// A form, judged whole.
    Form(Rules),
}

/// Rules for a body.
pub(crate) struct Rules {
    /// Bytes; at most what can be judged.
    pub(crate) limit: u64,
    /// Fields that a client has to send.
    pub(crate) required: &'static [&'static str],
    /// Fields that every request has with this value.
    pub(crate) fixed: &'static [(&'static str, Value)],
    /// The largest value of a number.
    pub(crate) cap: &'static [(&'static str, u64)],
    /// Fields that are refused.
    pub(crate) forbid: &'static [&'static str],
    /// The only members of the body; empty: any.
    pub(crate) only: &'static [&'static str],
    /// What is fixed in streams.
    pub(crate) in_streams: &'static [(&'static str, Value)],
}

/// Rules that allow any body of up to 64 KiB; written as the base of others.
pub(crate) const RULES: Rules = Rules {
    limit: operations::body::MOST_JUDGED,
    required: &[],
    fixed: &[],
    cap: &[],
    forbid: &[],
    only: &[],
    in_streams: &[],
};

/// A value of a field.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    True,
    False,
}

impl Body {
    /// The same as rules are given to [`operations::Body::new`]; nothing: no body at all.
    pub(crate) fn text(&self) -> Option<BodyText> {
        let (kind, rules) = match self {
            Self::None => return None,
            Self::Any(limit) => return Some(BodyText { limit: *limit, ..BodyText::default() }),
            Self::Json(rules) => (BodyType::Json, rules),
            Self::Form(rules) => (BodyType::Form, rules),
        };
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let streams =
            Condition { when: vec![("/stream".to_owned(), Json::Bool(true))], fixed: fields(rules.in_streams) };
        Some(BodyText {
            limit: rules.limit,
            kind,
            required: owned(rules.required),
            fixed: fields(rules.fixed),
            cap: rules.cap.iter().map(|(field, most)| ((*field).to_owned(), *most)).collect(),
            one_of: Vec::new(),
            forbid: owned(rules.forbid),
            only: (!rules.only.is_empty()).then(|| owned(rules.only)),
            conditional: if rules.in_streams.is_empty() { Vec::new() } else { vec![streams] },
        })
    }
}

fn fields(list: &[(&str, Value)]) -> Vec<(String, Json)> {
    let json = |value: Value| Json::Bool(matches!(value, Value::True));
    list.iter().map(|(field, value)| ((*field).to_owned(), json(*value))).collect()
}
