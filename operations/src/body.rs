//! What a request body may be.
//!
//! In: the head's words about it, and the body, whole. Out: what is sent instead. Proven between: size and type are those
//! that the operator named; with rules, it is uncompressed UTF-8 JSON (or a form) without a field twice, each rule holds,
//! and what goes out was written from the tree that was judged.

mod compile;
mod document;
mod form;
mod tree;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::json::{Json, NotJson, Number};
use crate::mistake::Mistake;
use crate::pointer::Pointer;
use crate::refusal::Refusal;

/// The largest body that is judged whole: what the gateway can hold and play again.
pub const MOST_JUDGED: u64 = 64 * 1024;

/// Rules for a body, as they are written. Fields are named by JSON pointers, see [`Pointer`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyText {
    /// Bytes that are taken, at least 1; with rules at most [`MOST_JUDGED`].
    pub limit: u64,
    /// Its type.
    pub kind: BodyType,
    /// Fields that a client has to send.
    pub required: Vec<String>,
    /// Fields that every request has with this value, whatever the client sent.
    pub fixed: Vec<(String, Json)>,
    /// Numbers: a larger one is lowered to this, one that is absent or null becomes this; anything else is refused.
    pub cap: Vec<(String, u64)>,
    /// Fields with one of these values. With `null` among them the field may be absent.
    pub one_of: Vec<(String, Vec<Json>)>,
    /// Fields that are refused, whatever they hold.
    pub forbid: Vec<String>,
    /// The members of the body that a client may send beside those in `fixed`; absent: any.
    pub only: Option<Vec<String>>,
    /// What is fixed for some requests.
    pub conditional: Vec<Condition>,
}

/// What is fixed where fields have certain values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// All of these fields have these values; `null` is absent too. A field of another type is refused, since some servers
    /// take `1` or `"true"` for `true`.
    pub when: Vec<(String, Json)>,
    /// Then these fields have these values.
    pub fixed: Vec<(String, Json)>,
}

/// The type of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyType {
    /// Any, or none.
    #[default]
    Any,
    /// `application/json`, UTF-8.
    Json,
    /// `application/x-www-form-urlencoded`, UTF-8.
    Form,
}

/// Rules for a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    limit: Option<u64>,
    kind: BodyType,
    rules: Option<Box<Rules>>,
}

/// [`BodyText`], compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rules {
    required: Vec<Pointer>,
    fixed: Vec<(Pointer, Json)>,
    cap: Vec<(Pointer, u64)>,
    one_of: Vec<(Pointer, Vec<Json>)>,
    forbid: Vec<Pointer>,
    only: Option<Vec<String>>,
    conditional: Vec<Compiled>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Compiled {
    when: Vec<(Pointer, Json)>,
    fixed: Vec<(Pointer, Json)>,
}

impl Body {
    /// Checks rules.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(text: BodyText) -> Result<Self, Vec<Mistake>> {
        compile::compile(text)
    }

    /// No body at all.
    #[must_use]
    pub fn none() -> Self {
        Self { limit: Some(0), kind: BodyType::Any, rules: None }
    }

    /// Any body, of any size.
    #[must_use]
    pub fn unbounded() -> Self {
        Self { limit: None, kind: BodyType::Any, rules: None }
    }

    /// Bytes that are taken; absent: not bounded here.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> BodyType {
        self.kind
    }

    /// Whether it is judged whole: [`judge`](Self::judge) has to be asked before anything of it is sent.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Numbers that are capped: where, as a JSON pointer, and at what.
    pub fn caps(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.iter().flat_map(|rules| &rules.cap).map(|(pointer, cap)| (pointer.as_str(), *cap))
    }

    /// Looks at what a head says of its body. `has_body`: whether one follows.
    ///
    /// # Errors
    /// [`Refusal::Type`] and [`Refusal::Encoding`].
    pub fn check_head(&self, headers: &HeaderMap, has_body: bool) -> Result<(), Refusal> {
        let wanted = match self.kind {
            BodyType::Any => return Ok(()),
            BodyType::Json => "application/json",
            BodyType::Form => "application/x-www-form-urlencoded",
        };
        if self.rules.is_none() && !has_body {
            return Ok(());
        }
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if self.rules.is_some() && encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Refusal::Encoding);
        }
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        match (types.next().and_then(|one| one.to_str().ok()), types.next()) {
            (Some(sent), None) if is_type(sent, wanted) => Ok(()),
            _ => Err(Refusal::Type),
        }
    }

    /// The body that is sent instead of `bytes`, which are all of it. Without rules: nothing, it is sent as it is.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn judge(&self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(rules) = &self.rules else { return Ok(None) };
        if u64::try_from(bytes.len()).is_ok_and(|length| self.limit.is_some_and(|limit| length > limit)) {
            return Err(Refusal::TooLarge);
        }
        let written = match self.kind {
            BodyType::Form => {
                let mut form = form::Form::parse(bytes)?;
                document::apply(rules, &mut form)?;
                form.to_text()
            }
            BodyType::Json | BodyType::Any => {
                let mut tree = Json::parse(bytes).map_err(Refusal::NotJson)?;
                if !matches!(tree, Json::Object(_)) {
                    return Err(Refusal::NotJson(NotJson::NotAnObject));
                }
                document::apply(rules, &mut tree)?;
                tree.to_text()
            }
        };
        if bytes.is_empty() && !written.is_empty() {
            // The request says that it has none, and over HTTP/2 it has ended already.
            return Err(Refusal::NotAForm);
        }
        Ok(Some(written.into_bytes()))
    }
}

/// Whether a `Content-Type` is `wanted`, and in UTF-8 where it says so.
fn is_type(sent: &str, wanted: &str) -> bool {
    let mut parts = sent.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case(wanted)
        && parts.all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string().into())
    }
}

#[cfg(test)]
mod tests;
