//! Credentials in the body: a member of a JSON object, a field of a form. In: the recipe's members, then the secret and a
//! whole body. Out: another body; proven between: it is of the stated type, uncompressed, and the client's own value is gone.

mod form;
mod json;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use zeroize::Zeroizing;

use crate::draft::{ApplyError, Changes, Draft, DraftBody, MAX_BODY};
use crate::wiped;

pub(crate) use form::{FormField, FormPair};
pub(crate) use json::{JsonField, JsonMember};

/// The body to change; `None` where the request has none and may have one.
fn whole<'a>(draft: &Draft<'a>, is_type: impl Fn(&str) -> bool) -> Result<Option<&'a [u8]>, ApplyError> {
    let body = match draft.body {
        DraftBody::Unread => return Err(ApplyError::BodyTooLarge),
        DraftBody::Whole(body) if body.len() > MAX_BODY => return Err(ApplyError::BodyTooLarge),
        DraftBody::Whole(body) if !body.is_empty() => body,
        _ if [Method::POST, Method::PUT, Method::PATCH].contains(draft.method) => return Ok(None),
        _ => return Err(ApplyError::NoBody),
    };
    let encoding = draft.headers.get_all(header::CONTENT_ENCODING).iter();
    if encoding.map(HeaderValue::as_bytes).any(|value| !value.eq_ignore_ascii_case(b"identity")) {
        return Err(ApplyError::BodyType);
    }
    let media_type = content_type(draft.headers).ok_or(ApplyError::BodyType)?;
    if is_type(&media_type) { Ok(Some(body)) } else { Err(ApplyError::BodyType) }
}

/// The media type in lower case; `None` unless there is exactly one, in UTF-8.
fn content_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next()?.to_owned();
    let utf8 = |part: &str| match part.split_once('=') {
        Some((name, value)) if name.trim() == "charset" => value.trim().trim_matches('"') == "utf-8",
        _ => true,
    };
    parts.all(utf8).then_some(media_type)
}

/// The changed body; with its type, where the request had none.
fn changed(body: Zeroizing<Vec<u8>>, new_type: Option<&'static str>) -> Changes {
    let typed = |text| (header::CONTENT_TYPE, HeaderValue::from_static(text));
    let headers: Vec<(HeaderName, HeaderValue)> = new_type.map(typed).into_iter().collect();
    Changes::Many { headers, target: None, body: Some(wiped::shared(body)), derived: Vec::new() }
}

#[cfg(test)]
mod tests;
