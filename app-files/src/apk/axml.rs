//! Android's binary XML. Comes in: the bytes of a compiled manifest. Goes out: its elements, with depth and attributes,
//! in order. Sizes, counts and depth are bounded by the input and by [`MAX_DEPTH`]; nothing recurses.
//!
//! Source: AOSP `frameworks/base/libs/androidfw/include/androidfw/ResourceTypes.h`.

use crate::zip::{u16_at, u32_at};

const XML: u16 = 0x0003;
const STRING_POOL: u16 = 0x0001;
const RESOURCE_MAP: u16 = 0x0180;
const START_ELEMENT: u16 = 0x0102;
const END_ELEMENT: u16 = 0x0103;
const UTF8: u32 = 1 << 8;
const NONE: u32 = u32::MAX;

const MAX_DEPTH: usize = 64;
const MAX_STRINGS: u32 = 1 << 18;
/// Texts that are asked for: names, versions.
const MAX_TEXT: usize = 1024;

/// An attribute's value, as far as manifests are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u32),
    /// A reference to a resource, or a type that is not asked for.
    Other,
}

/// One attribute.
pub(super) struct Attribute {
    /// The framework's number of it (`android:versionCode`), which is what Android goes by; 0 where it has none.
    pub(super) resource: u32,
    /// Its name where it has no namespace. Android finds such a one by its name alone, whatever its number is.
    pub(super) name: Option<String>,
    pub(super) value: Value,
}

/// One element that was opened.
pub(super) struct Element {
    /// 1 for the outermost.
    pub(super) depth: usize,
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
}

/// All elements of `document` for which `wanted` says so, given depth and name.
pub(super) fn elements(document: &[u8], wanted: impl Fn(usize, &str) -> bool) -> Option<Vec<Element>> {
    let (header, chunk, rest) = chunk(document)?;
    if u16_at(document, 0)? != XML || !rest.is_empty() {
        return None;
    }
    let mut rest = chunk.get(header..)?;
    let (mut strings, mut resources) = (None, None);
    let mut depth = 0_usize;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let kind = u16_at(rest, 0)?;
        let (header, body, behind) = self::chunk(rest)?;
        match kind {
            STRING_POOL if strings.is_none() => strings = Some(Strings::parse(body, header)?),
            RESOURCE_MAP if resources.is_none() => resources = body.get(header..),
            STRING_POOL | RESOURCE_MAP => return None,
            START_ELEMENT => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return None;
                }
                let (strings, element) = (strings.as_ref()?, body.get(header..)?);
                let name = strings.text(u32_at(element, 4)?)?;
                if wanted(depth, &name) {
                    let attributes = attributes(element, strings, resources.unwrap_or_default())?;
                    found.push(Element { depth, name, attributes });
                }
            }
            END_ELEMENT => depth = depth.checked_sub(1)?,
            _ => {}
        }
        rest = behind;
    }
    (depth == 0).then_some(found)
}

/// Splits off one chunk: the length of its header, the chunk, and what follows.
fn chunk(bytes: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let header = usize::from(u16_at(bytes, 2)?);
    let size = usize::try_from(u32_at(bytes, 4)?).ok()?;
    if header < 8 || header > size {
        return None;
    }
    let (chunk, rest) = bytes.split_at_checked(size)?;
    Some((header, chunk, rest))
}

fn attributes(element: &[u8], strings: &Strings<'_>, resources: &[u8]) -> Option<Vec<Attribute>> {
    let start = usize::from(u16_at(element, 8)?);
    let size = usize::from(u16_at(element, 10)?);
    let count = usize::from(u16_at(element, 12)?);
    if size < 20 {
        return None;
    }
    let mut found = Vec::new();
    for number in 0..count {
        let attribute = element.get(start.checked_add(number.checked_mul(size)?)?..)?.get(..size)?;
        let (namespace, name, raw) = (u32_at(attribute, 0)?, u32_at(attribute, 4)?, u32_at(attribute, 8)?);
        let place = usize::try_from(name).ok()?.checked_mul(4)?;
        let resource = u32_at(resources, place).unwrap_or(0);
        let name = if namespace == NONE { Some(strings.text(name)?) } else { None };
        let data = u32_at(attribute, 16)?;
        let value = match attribute.get(15)? {
            // TYPE_STRING. Some of Android's readers take the raw text instead: another one there is a trap.
            0x03 => {
                let text = strings.text(data)?;
                if raw != NONE && raw != data && strings.text(raw)? != text {
                    return None;
                }
                Value::Text(text)
            }
            // TYPE_INT_DEC, TYPE_INT_HEX
            0x10 | 0x11 => Value::Number(data),
            // TYPE_REFERENCE, TYPE_ATTRIBUTE, and their dynamic forms: what they name lies elsewhere.
            0x01 | 0x02 | 0x07 | 0x08 => Value::Other,
            _ => Value::Other,
        };
        found.push(Attribute { resource, name, value });
    }
    Some(found)
}

/// The document's texts, decoded only when asked for.
struct Strings<'a> {
    offsets: &'a [u8],
    data: &'a [u8],
    is_utf8: bool,
}

impl<'a> Strings<'a> {
    fn parse(chunk: &'a [u8], header: usize) -> Option<Self> {
        let count = u32_at(chunk, 8).filter(|count| *count <= MAX_STRINGS)?;
        let end = header.checked_add(usize::try_from(count).ok()?.checked_mul(4)?)?;
        let data = usize::try_from(u32_at(chunk, 20)?).ok()?;
        Some(Self {
            offsets: chunk.get(header..end)?,
            data: if count == 0 { &[] } else { chunk.get(data..)? },
            is_utf8: u32_at(chunk, 16)? & UTF8 != 0,
        })
    }

    fn text(&self, number: u32) -> Option<String> {
        let place = usize::try_from(number).ok()?.checked_mul(4)?;
        let bytes = self.data.get(usize::try_from(u32_at(self.offsets, place)?).ok()?..)?;
        if self.is_utf8 {
            // Length in UTF-16 units, then in bytes; two bytes each when the first has its high bit.
            let long = |at: usize| bytes.get(at).map(|first| first & 0x80 != 0);
            let at = if long(0)? { 2 } else { 1 };
            let (len, at) = match (long(at)?, bytes.get(at)?, bytes.get(at + 1)) {
                (false, len, _) => (usize::from(*len), at + 1),
                (true, high, Some(low)) => ((usize::from(high & 0x7f) << 8) | usize::from(*low), at + 2),
                (true, _, None) => return None,
            };
            let text = bytes.get(at..)?.get(..len).filter(|text| text.len() <= MAX_TEXT)?;
            return std::str::from_utf8(text).ok().map(ToOwned::to_owned);
        }
        let len = usize::from(u16_at(bytes, 0).filter(|len| len & 0x8000 == 0)?);
        let (units, _) = bytes.get(2..)?.get(..len.checked_mul(2)?).filter(|_| len <= MAX_TEXT)?.as_chunks::<2>();
        String::from_utf16(&units.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<_>>()).ok()
    }
}
