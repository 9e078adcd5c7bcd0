//! Binary property lists. In: bytes. Out: the value.
//!
//! Source: CoreFoundation `CFBinaryPList.c`: header, objects, offset table, trailer of 32 bytes.

use std::collections::BTreeMap;

use super::{MAX_DEPTH, MAX_VALUES, Value};

const TRAILER_BYTES: usize = 32;

pub(super) fn parse(document: &[u8]) -> Option<Value> {
    let (body, trailer) = document.split_at_checked(document.len().checked_sub(TRAILER_BYTES)?)?;
    let (offset_size, reference_size) = (usize::from(*trailer.get(6)?), usize::from(*trailer.get(7)?));
    let count = number(trailer.get(8..16)?)?;
    let root = number(trailer.get(16..24)?)?;
    let table = number(trailer.get(24..32)?)?;
    let offsets = body.get(table..)?.get(..count.checked_mul(offset_size)?)?;
    if !(1..=8).contains(&offset_size) || !(1..=8).contains(&reference_size) {
        return None;
    }
    let mut reader = Reader { objects: body.get(..table)?, offsets, offset_size, reference_size, left: MAX_VALUES };
    reader.value(root, 0)
}

struct Reader<'a> {
    objects: &'a [u8],
    offsets: &'a [u8],
    offset_size: usize,
    reference_size: usize,
    /// Objects may be named many times: this bounds what that can grow to.
    left: usize,
}

impl Reader<'_> {
    fn value(&mut self, object: usize, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let offset = number(self.offsets.get(object.checked_mul(self.offset_size)?..)?.get(..self.offset_size)?)?;
        let bytes = self.objects.get(offset..)?;
        let marker = *bytes.first()?;
        let is_counted = matches!(marker >> 4, 0x4..=0x7 | 0xa..=0xd);
        let (count, bytes) = if is_counted { counted(marker, bytes.get(1..)?)? } else { (0, bytes) };
        Some(match marker >> 4 {
            0x5 => Value::Text(std::str::from_utf8(bytes.get(..count)?).ok()?.to_owned()),
            0x6 => {
                let (units, _) = bytes.get(..count.checked_mul(2)?)?.as_chunks::<2>();
                let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
                Value::Text(String::from_utf16(&units).ok()?)
            }
            0xa | 0xd if depth == MAX_DEPTH => return None,
            0xa => Value::Array(
                self.references(bytes, count)?.map(|item| self.value(item?, depth + 1)).collect::<Option<_>>()?,
            ),
            0xd => {
                let keys: Vec<_> = self.references(bytes, count)?.collect::<Option<_>>()?;
                let values: Vec<_> =
                    self.references(bytes.get(keys.len() * self.reference_size..)?, count)?.collect::<Option<_>>()?;
                let mut members = BTreeMap::new();
                for (key, value) in keys.into_iter().zip(values) {
                    let Value::Text(key) = self.value(key, depth + 1)? else { return None };
                    if members.insert(key, self.value(value, depth + 1)?).is_some() {
                        return None;
                    }
                }
                Value::Dictionary(members)
            }
            _ => Value::Other,
        })
    }

    fn references<'b>(&self, bytes: &'b [u8], count: usize) -> Option<impl Iterator<Item = Option<usize>> + use<'b>> {
        let bytes = bytes.get(..count.checked_mul(self.reference_size)?)?;
        Some(bytes.chunks_exact(self.reference_size).map(number))
    }
}

/// How many items an object has: in the marker, or as an integer behind it. Gives what follows, too.
fn counted(marker: u8, bytes: &[u8]) -> Option<(usize, &[u8])> {
    if marker & 0x0f != 0x0f {
        return Some((usize::from(marker & 0x0f), bytes));
    }
    let size = bytes.first().filter(|marker| **marker & 0xf0 == 0x10).map(|marker| 1_usize << (marker & 0x0f))?;
    if size > 8 {
        return None;
    }
    let (count, rest) = bytes.get(1..)?.split_at_checked(size)?;
    Some((number(count)?, rest))
}

/// Big endian, of up to eight bytes.
fn number(bytes: &[u8]) -> Option<usize> {
    let number = bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    usize::try_from(number).ok()
}
