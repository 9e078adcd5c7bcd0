//! The message of an HMAC: text with places. In: the text, then a draft. Out: the bytes to sign, part by part; proven
//! between: each place is a known one, and what stands for it is there.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use http::HeaderName;

use crate::draft::{ApplyError, Draft, DraftBody, MAX_BODY};
use crate::error::RecipeError;
use crate::header_name;

/// Text and places, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Method,
    Path,
    Query,
    Host,
    Timestamp,
    Body,
    BodySha256,
    Header(HeaderName),
}

impl Message {
    /// Parses a message: at most 1 KiB of printable ASCII, at most 32 places.
    pub(crate) fn parse(text: &str) -> Result<Self, RecipeError> {
        let bad = |why| RecipeError::Member { member: "message", why };
        if text.is_empty() || text.len() > 1_024 || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(bad("1 byte to 1 KiB of printable ASCII; {nl} is a line feed"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            let (place, after) = from.split_once('}').ok_or(bad("a brace is not closed"))?;
            push_text(&mut parts, before);
            match Part::parse(place)? {
                Part::Text(fixed) => push_text(&mut parts, &fixed),
                part => parts.push(part),
            }
            rest = after;
        }
        push_text(&mut parts, rest);
        if parts.iter().filter(|part| !matches!(part, Part::Text(_))).count() > 32 {
            return Err(bad("at most 32 places"));
        }
        Ok(Self(parts))
    }

    /// The headers in it.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().filter_map(|part| match part {
            Part::Header(name) => Some(name),
            _ => None,
        })
    }

    /// Whether what is asked for or sent is part of it.
    pub(crate) fn has_request_in_it(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Method | Part::Path | Part::Body | Part::BodySha256))
    }

    /// Whether the body is part of it.
    pub(crate) fn has_body_in_it(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Body | Part::BodySha256))
    }

    /// Hands out the message part by part.
    pub(crate) fn write(&self, draft: &Draft<'_>, time: &str, mut out: impl FnMut(&[u8])) -> Result<(), ApplyError> {
        for part in &self.0 {
            match part {
                Part::Text(text) => out(text.as_bytes()),
                Part::Method => out(draft.method.as_str().as_bytes()),
                Part::Path => out(draft.path.as_bytes()),
                Part::Query => out(draft.query.unwrap_or_default().as_bytes()),
                Part::Host => out(draft.host.as_bytes()),
                Part::Timestamp => out(time.as_bytes()),
                Part::Body => out(body(draft)?),
                Part::BodySha256 => {
                    out(HEXLOWER.encode(digest::digest(&digest::SHA256, body(draft)?).as_ref()).as_bytes());
                }
                Part::Header(name) => {
                    let mut values = draft.headers.get_all(name).iter();
                    let (Some(value), None) = (values.next(), values.next()) else {
                        return Err(ApplyError::SignedHeader);
                    };
                    out(value.as_bytes().trim_ascii());
                }
            }
        }
        Ok(())
    }
}

impl Part {
    fn parse(place: &str) -> Result<Self, RecipeError> {
        Ok(match place {
            "method" => Self::Method,
            "path" => Self::Path,
            "query" => Self::Query,
            "host" => Self::Host,
            "timestamp" => Self::Timestamp,
            "body" => Self::Body,
            "body_sha256" => Self::BodySha256,
            "nl" => Self::Text("\n".to_owned()),
            other => match other.strip_prefix("header:") {
                // `host` has a place of its own: the header is written by the connection.
                Some(name) if !name.eq_ignore_ascii_case("host") => {
                    Self::Header(header_name::for_signature("message", name)?)
                }
                _ => return Err(RecipeError::NotAPlace { place: other.to_owned() }),
            },
        })
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

fn body<'a>(draft: &Draft<'a>) -> Result<&'a [u8], ApplyError> {
    match draft.body {
        DraftBody::Empty => Ok(b""),
        DraftBody::Whole(body) if body.len() <= MAX_BODY => Ok(body),
        DraftBody::Whole(_) | DraftBody::Unread => Err(ApplyError::BodyTooLarge),
    }
}
