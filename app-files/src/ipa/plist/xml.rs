//! XML property lists. In: bytes. Out: the value.
//! As much of XML as Apple's tools write: no entities but the five of XML and numbers, no CDATA, no document type with
//! declarations of its own.

use std::collections::BTreeMap;

use super::{MAX_DEPTH, MAX_VALUES, Value};

pub(super) fn parse(document: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(document).ok()?;
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), left: MAX_VALUES };
    let Tag::Open(name) = reader.tag()? else { return None };
    if name != "plist" {
        return None;
    }
    let Tag::Open(first) = reader.tag()? else { return None };
    let value = reader.value(first, 0)?;
    if reader.tag()? != Tag::Close("plist") || !reader.skip()?.is_empty() {
        return None;
    }
    Some(value)
}

#[derive(Debug, PartialEq, Eq)]
enum Tag<'a> {
    Open(&'a str),
    Close(&'a str),
    /// `<true/>`
    Empty(&'a str),
}

struct Reader<'a> {
    rest: &'a str,
    left: usize,
}

impl<'a> Reader<'a> {
    /// The value whose opening tag was read.
    fn value(&mut self, name: &'a str, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        match name {
            "string" => self.text("string").map(Value::Text),
            "integer" | "real" | "date" | "data" => self.text(name).map(|_| Value::Other),
            "array" | "dict" if depth == MAX_DEPTH => None,
            "array" => {
                let mut items = Vec::new();
                while let Some(item) = self.item("array", depth)? {
                    items.push(item);
                }
                Some(Value::Array(items))
            }
            "dict" => {
                let mut members = BTreeMap::new();
                loop {
                    match self.tag()? {
                        Tag::Open("key") => {}
                        Tag::Close("dict") => return Some(Value::Dictionary(members)),
                        _ => return None,
                    }
                    let key = self.text("key")?;
                    let value = self.item("dict", depth)??;
                    if members.insert(key, value).is_some() {
                        return None;
                    }
                }
            }
            _ => None,
        }
    }

    /// The next value inside of `parent`; `Some(None)` at its end.
    #[expect(clippy::option_option, reason = "malformed, at the end, a value: three outcomes")]
    fn item(&mut self, parent: &str, depth: usize) -> Option<Option<Value>> {
        match self.tag()? {
            Tag::Open(name) => self.value(name, depth + 1).map(Some),
            Tag::Empty(name) => {
                self.left = self.left.checked_sub(1)?;
                Some(Some(match name {
                    "true" | "false" | "data" => Value::Other,
                    "string" => Value::Text(String::new()),
                    "array" => Value::Array(Vec::new()),
                    "dict" => Value::Dictionary(BTreeMap::new()),
                    _ => return None,
                }))
            }
            Tag::Close(name) => (name == parent).then_some(None),
        }
    }

    /// The next tag, whatever white space, comments and declarations come before it.
    fn tag(&mut self) -> Option<Tag<'a>> {
        let inside = self.skip()?.strip_prefix('<')?;
        let (tag, rest) = inside.split_once('>')?;
        self.rest = rest;
        if let Some(name) = tag.strip_prefix('/') {
            return Some(Tag::Close(name.trim_end()));
        }
        if let Some(name) = tag.strip_suffix('/') {
            return Some(Tag::Empty(name.trim_end()));
        }
        // `<plist version="1.0">`; nothing else has attributes, and none of them matter.
        Some(Tag::Open(tag.split_ascii_whitespace().next()?))
    }

    /// Goes over white space, comments, and the declarations at the start.
    fn skip(&mut self) -> Option<&'a str> {
        loop {
            self.rest = self.rest.trim_start();
            let behind = if let Some(comment) = self.rest.strip_prefix("<!--") {
                comment.split_once("-->")?.1
            } else if let Some(declaration) = self.rest.strip_prefix("<?") {
                declaration.split_once("?>")?.1
            } else if let Some(doctype) = self.rest.strip_prefix("<!DOCTYPE") {
                let (doctype, behind) = doctype.split_once('>')?;
                if doctype.contains('[') {
                    return None;
                }
                behind
            } else {
                return Some(self.rest);
            };
            self.rest = behind;
        }
    }

    /// Text up to the closing tag.
    fn text(&mut self, name: &str) -> Option<String> {
        let (text, rest) = self.rest.split_once('<')?;
        let (close, rest) = rest.split_once('>')?;
        if close.strip_prefix('/')?.trim_end() != name {
            return None;
        }
        self.rest = rest;
        let mut parts = text.split('&');
        let mut out = parts.next()?.to_owned();
        for part in parts {
            let (entity, behind) = part.split_once(';')?;
            out.push(entity_of(entity)?);
            out.push_str(behind);
        }
        Some(out)
    }
}

fn entity_of(entity: &str) -> Option<char> {
    Some(match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        number => {
            let digits = number.strip_prefix('#')?;
            let code = match digits.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}
