//! A form, read strictly, as rules look at it, and written again.
//!
//! In: the bytes of `application/x-www-form-urlencoded`. Out: fields by name and value. Proven between: every name is plain
//! with whole brackets, `card[number]`; none stands twice but those of lists, `expand[]`.

use std::borrow::Cow;

use form_urlencoded::byte_serialize;

use super::document::{Document, Found};
use crate::folded::alike;
use crate::json::Json;
use crate::pointer::Pointer;
use crate::refusal::{Refusal, Shown};

/// A form's fields, in their order.
pub(super) struct Form {
    fields: Vec<Field>,
}

struct Field {
    /// `card[number]` is `card`, `number`; `expand[]` is `expand` and nothing.
    segments: Vec<String>,
    value: String,
}

/// The most fields; 64 KiB could hold thirty thousand.
const MOST_FIELDS: usize = 4096;
/// The deepest name.
const MOST_SEGMENTS: usize = 32;

impl Form {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refusal::NotAForm)?;
        let mut fields = Vec::new();
        if text.is_empty() {
            return Ok(Self { fields });
        }
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').ok_or(Refusal::NotAForm)?;
            let (name, value) = (decoded(name)?, decoded(value)?);
            let segments = segments(&name).ok_or(Refusal::NotAForm)?;
            fields.push(Field { segments, value });
            if fields.len() > MOST_FIELDS {
                return Err(Refusal::NotAForm);
            }
        }
        let mut names: Vec<&[String]> = fields.iter().map(|field| field.segments.as_slice()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find_map(|pair| match pair {
            [one, two] if one == two && !one.iter().any(String::is_empty) => one.first(),
            _ => None,
        });
        match twice {
            Some(name) => Err(Refusal::Twice(Shown::new(name))),
            None => Ok(Self { fields }),
        }
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for field in &self.fields {
            if !text.is_empty() {
                text.push('&');
            }
            text.extend(byte_serialize(name(&field.segments).as_bytes()));
            text.push('=');
            text.extend(byte_serialize(field.value.as_bytes()));
        }
        text
    }

    /// The fields at this place or below it.
    fn below<'a>(&'a self, at: &'a Pointer) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(|field| field.segments.starts_with(at.segments()))
    }
}

impl Document for Form {
    fn tops(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter_map(|field| field.segments.first()).map(String::as_str)
    }

    fn is_misspelled(&self, at: &Pointer) -> bool {
        self.fields.iter().any(|field| {
            let other = field.segments.iter().zip(at.segments()).find(|(sent, ruled)| sent != ruled);
            other.is_some_and(|(sent, ruled)| alike(sent, ruled) || may_be_index(sent, ruled)) || is_dotted(field, at)
        })
    }

    fn look(&self, at: &Pointer) -> Found<'_> {
        let mut below = self.below(at);
        match (below.next(), below.next()) {
            (None, _) => Found::Absent,
            (Some(field), None) if field.segments.len() == at.segments().len() => {
                Found::Value(Cow::Owned(Json::Text(field.value.clone())))
            }
            _ => Found::Several,
        }
    }

    fn is(&self, found: &Json, value: &Json) -> bool {
        match found {
            Json::Text(text) => plain(value).is_some_and(|value| value == *text),
            _ => false,
        }
    }

    fn is_like(&self, found: &Json, value: &Json) -> bool {
        // All is text here; but who means a yes or no has to write it.
        !matches!(value, Json::Bool(_)) || matches!(found, Json::Text(text) if text == "true" || text == "false")
    }

    fn number(&self, found: &Json) -> Option<f64> {
        let Json::Text(text) = found else { return None };
        match Json::parse(text.as_bytes()) {
            // As written: no blanks around it.
            Ok(Json::Number(number)) if number.as_str() == text => Some(number.as_f64()),
            _ => None,
        }
    }

    fn set(&mut self, at: &Pointer, value: &Json) -> bool {
        let Some(value) = plain(value) else { return false };
        // `a=1` beside `a[b]=2` is one to one server and the other to the next.
        let blocked = |field: &Field| {
            field.segments.len() < at.segments().len() && at.segments().starts_with(field.segments.as_slice())
        };
        if self.fields.iter().any(blocked) {
            return false;
        }
        let is_below = |field: &Field| field.segments.starts_with(at.segments());
        let place = self.fields.iter().position(is_below).unwrap_or(self.fields.len());
        self.fields.retain(|field| !is_below(field));
        // All that was there before the first of them is there still.
        self.fields.insert(place, Field { segments: at.segments().to_vec(), value: value.into_owned() });
        true
    }
}

/// Whether a segment stands, to some reader, for the element of a list that a rule is about: `items[]` is the next one,
/// whichever that is, and `items[00]` may be the first.
fn may_be_index(sent: &str, ruled: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let same = || sent.trim_start_matches('0') == ruled.trim_start_matches('0');
    !ruled.is_empty() && digits(ruled) && digits(sent) && (sent.is_empty() || same())
}

/// Whether a name with dots in it, read as a path, is a field that a rule is about, or one below it: `card.number` is
/// `card[number]` to some readers.
fn is_dotted(field: &Field, at: &Pointer) -> bool {
    if field.segments.starts_with(at.segments()) || !field.segments.iter().any(|segment| segment.contains('.')) {
        return false;
    }
    let mut sent = field.segments.iter().flat_map(|segment| segment.split('.')).filter(|segment| !segment.is_empty());
    at.segments().iter().all(|ruled| sent.next().is_some_and(|sent| sent == ruled || alike(sent, ruled)))
}

/// A value as a form has it.
fn plain(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::Text(text) => Some(text.as_str().into()),
        Json::Number(number) => Some(number.as_str().into()),
        Json::Bool(true) => Some("true".into()),
        Json::Bool(false) => Some("false".into()),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    }
}

fn name(segments: &[String]) -> String {
    let mut name = String::new();
    for (index, segment) in segments.iter().enumerate() {
        if index == 0 {
            name.push_str(segment);
        } else {
            name.extend(["[", segment, "]"]);
        }
    }
    name
}

/// Of a decoded name; nothing where readers could differ in what it means.
fn segments(name: &str) -> Option<Vec<String>> {
    let (first, mut rest) = match name.find('[') {
        Some(at) => name.split_at(at),
        None => (name, ""),
    };
    if first.is_empty() || !is_plain(first) {
        return None;
    }
    let mut segments = vec![first.to_owned()];
    while !rest.is_empty() {
        let (segment, after) = rest.strip_prefix('[')?.split_once(']')?;
        if !is_plain(segment) || segments.len() >= MOST_SEGMENTS {
            return None;
        }
        segments.push(segment.to_owned());
        rest = after;
    }
    Some(segments)
}

fn is_plain(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':' | b'.'))
}

fn decoded(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
                let (high, low) = (digit().ok_or(Refusal::NotAForm)?, digit().ok_or(Refusal::NotAForm)?);
                (high << 4) | low
            }
            // Some readers end a pair there.
            b';' => return Err(Refusal::NotAForm),
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| Refusal::NotAForm)
}
