//! A JSON tree, as rules look at it.

use std::borrow::Cow;

use super::document::{Document, Found};
use crate::folded::alike;
use crate::json::Json;
use crate::pointer::Pointer;

impl Document for Json {
    fn tops(&self) -> impl Iterator<Item = &str> {
        members(self).iter().map(|(name, _)| name.as_str())
    }

    fn is_misspelled(&self, at: &Pointer) -> bool {
        let mut here = Some(self);
        for segment in at.segments() {
            let Some(value) = here else { return false };
            if members(value).iter().any(|(name, _)| name != segment && alike(name, segment)) {
                return true;
            }
            here = child(value, segment);
        }
        false
    }

    fn look(&self, at: &Pointer) -> Found<'_> {
        let found = at.segments().iter().try_fold(self, |value, segment| child(value, segment));
        found.map_or(Found::Absent, |value| Found::Value(Cow::Borrowed(value)))
    }

    fn is(&self, found: &Json, value: &Json) -> bool {
        found.is_same(value)
    }

    fn is_like(&self, found: &Json, value: &Json) -> bool {
        Json::is_like(found, value)
    }

    fn number(&self, found: &Json) -> Option<f64> {
        match found {
            Json::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    fn set(&mut self, at: &Pointer, value: &Json) -> bool {
        match at.segments().split_last() {
            Some((last, way)) => {
                let mut here = self;
                for segment in way {
                    match place(here, segment) {
                        Some(next) => here = next,
                        None => return false,
                    }
                }
                place(here, last).is_some_and(|place| {
                    *place = value.clone();
                    true
                })
            }
            None => false,
        }
    }
}

fn members(value: &Json) -> &[(String, Json)] {
    match value {
        Json::Object(members) => members,
        _ => &[],
    }
}

fn child<'a>(value: &'a Json, segment: &str) -> Option<&'a Json> {
    match value {
        Json::Object(members) => members.iter().find(|(name, _)| name == segment).map(|(_, value)| value),
        Json::List(items) => items.get(index(segment)?),
        _ => None,
    }
}

/// The place of a member, made where it is not there; what is null or absent above it becomes an object.
fn place<'a>(value: &'a mut Json, segment: &str) -> Option<&'a mut Json> {
    if matches!(value, Json::Null) {
        *value = Json::Object(Vec::new());
    }
    match value {
        Json::Object(members) => {
            let at = members.iter().position(|(name, _)| name == segment).unwrap_or_else(|| {
                members.push((segment.to_owned(), Json::Null));
                members.len() - 1
            });
            members.get_mut(at).map(|(_, value)| value)
        }
        Json::List(items) => items.get_mut(index(segment)?),
        _ => None,
    }
}

/// RFC 6901, section 4: digits without a zero before them.
fn index(segment: &str) -> Option<usize> {
    let plain = segment == "0" || (!segment.starts_with('0') && segment.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { segment.parse().ok() } else { None }
}
