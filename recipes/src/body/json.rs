//! One member of a JSON object. In: an object as the client sent it. Out: the same with that member, in place of the
//! client's own in any spelling; all else stays as it was written, numbers and spaces too.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{changed, whole};
use crate::draft::{ApplyError, Changes, Draft};
use crate::error::{RecipeError, SecretError};
use crate::secret::{Secrets, text_secret};
use crate::template::Template;

/// Where the member goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonField {
    /// The names from the outside in; at least one.
    path: Vec<Name>,
    template: Template,
}

/// A member's name: as JSON, and folded.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    plain: String,
    quoted: String,
    folded: String,
}

impl JsonField {
    /// # Source
    /// RFC 6901 section 3.
    pub(crate) fn parse(pointer: &str, template: &str) -> Result<Self, RecipeError> {
        let why = "1 to 8 names of objects, each of 1 to 64 printable characters, as in /auth/api_key (RFC 6901)";
        let bad = || RecipeError::Member { member: "pointer", why };
        let path = pointer.strip_prefix('/').ok_or_else(bad)?.split('/').map(Name::parse);
        let path = path.collect::<Option<Vec<_>>>().filter(|path| path.len() <= 8).ok_or_else(bad)?;
        Ok(Self { path, template: Template::parse(template, "key")? })
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(JsonMember, Secrets), SecretError> {
        let text = self.template.fill(text_secret(secret)?.as_bytes());
        // Room for every character escaped, so that no half of it stays behind in memory.
        let mut value = Zeroizing::new(Vec::with_capacity(text.len() * 2 + 2));
        let text = std::str::from_utf8(&text).map_err(|_| SecretError::NotAscii)?;
        serde_json::to_writer(&mut *value, text).map_err(|_| SecretError::DoesNotFit)?;
        Ok((JsonMember { path: self.path.clone(), value }, Secrets::of(secret)))
    }
}

impl Name {
    fn parse(token: &str) -> Option<Self> {
        let mut plain = String::new();
        let mut rest = token.chars();
        while let Some(character) = rest.next() {
            plain.push(match character {
                '~' => match rest.next()? {
                    '0' => '~',
                    '1' => '/',
                    _ => return None,
                },
                other => other,
            });
        }
        let printable = plain.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if plain.is_empty() || plain.len() > 64 || !printable {
            return None;
        }
        Some(Self { quoted: serde_json::to_string(&plain).ok()?, folded: folded(&plain), plain })
    }

    /// Whether a client's member is this one to some reader.
    fn is(&self, member: &str) -> bool {
        // Names of signs alone have nothing else to compare by.
        member == self.plain || (!self.folded.is_empty() && folded(member) == self.folded)
    }
}

/// A name as the most lenient readers compare it: without case, as Go's does; letters and digits alone, since protobuf's takes
/// `apiKey` for `api_key`; up to a bracket or NUL.
fn folded(name: &str) -> String {
    let name = name.chars().take_while(|c| *c != '[' && *c != '\0');
    // Up, then down: the long s and the Kelvin sign are letters to readers that fold.
    name.filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// The member's value as JSON.
pub(crate) struct JsonMember {
    path: Vec<Name>,
    value: Zeroizing<Vec<u8>>,
}

impl JsonMember {
    pub(crate) fn apply(&self, draft: &Draft<'_>) -> Result<Changes, ApplyError> {
        let body = whole(draft, |media_type| media_type == "application/json" || media_type.ends_with("+json"))?;
        let text = std::str::from_utf8(body.unwrap_or(b"{}")).map_err(|_| ApplyError::BodyForm)?;
        let names: usize = self.path.iter().map(|name| name.quoted.len() + 4).sum();
        // What is written anew of the body is never longer than it was: only names are, and they were quoted before.
        let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 2 + names + self.value.len()));
        self.write(&mut out, text, &self.path)?;
        Ok(changed(out, body.is_none().then_some("application/json")))
    }

    /// Writes `object` with the member at `path` in it.
    fn write(&self, out: &mut Vec<u8>, object: &str, path: &[Name]) -> Result<(), ApplyError> {
        let Some((name, inner)) = path.split_first() else {
            out.extend_from_slice(&self.value);
            return Ok(());
        };
        let Members(members) = serde_json::from_str(object).map_err(|_| ApplyError::BodyForm)?;
        out.push(b'{');
        let mut child = None;
        for (member, value) in &members {
            if *member == name.plain && !inner.is_empty() {
                child = Some(value.get());
            }
            if name.is(member) {
                continue;
            }
            serde_json::to_writer(&mut *out, member).map_err(|_| ApplyError::BodyForm)?;
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
            out.push(b',');
        }
        out.extend_from_slice(name.quoted.as_bytes());
        out.push(b':');
        self.write(out, child.unwrap_or("{}"), inner)?;
        out.push(b'}');
        Ok(())
    }
}

/// The members of one object in the order and with the text that they have. A second member of one name is an error.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                let mut names = std::collections::HashSet::new();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    if !names.insert(name.clone().into_owned()) {
                        return Err(serde::de::Error::custom("a member occurs twice"));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
