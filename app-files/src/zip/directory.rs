//! Which entries there are. Comes in: the file. Goes out: the entries, their bytes' places, and where the last one ends.

use std::ops::Range;

use super::{Entry, Method, u16_at, u32_at};
use crate::error::AppFileError;
use crate::source::Source;

/// The record that ends an archive, without its comment.
const END_BYTES: usize = 22;
const END: [u8; 4] = *b"PK\x05\x06";
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const LISTED: &[u8] = b"PK\x01\x02";
const LISTED_BYTES: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// A directory of 65,535 entries with names of a few hundred bytes.
const MAX_DIRECTORY: u64 = 64 << 20;
const MAX_NAME: usize = 1024;
/// What all entries unpack to, at most. Nothing is unpacked whole; the bound is against nonsense.
const MAX_TOTAL: u64 = 16 << 30;
/// Deflate makes at most 1032 bytes of one (RFC 1951: 258 of two bits).
const MAX_RATIO: u64 = 1032;

/// Encrypted, or of another directory's kind (bits 0, 6, 13), or a patch (bit 5).
const BAD_FLAGS: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;
/// Checksum and sizes stand behind the data.
const STREAMED: u16 = 1 << 3;
/// In an extra field: the 64-bit sizes.
const EXTRA_64: u16 = 1;

/// Where the directory lies and how many entries it has.
pub(super) struct Directory {
    pub(super) place: Range<u64>,
    count: u16,
}

const fn archive(problem: &'static str) -> AppFileError {
    AppFileError::Archive(problem)
}

/// Finds the one record that ends the archive.
pub(super) fn find(source: &Source<'_>) -> Result<Directory, AppFileError> {
    let tail_len = source.len().min((END_BYTES + usize::from(u16::MAX) + 20) as u64);
    let tail_at = source.len() - tail_len;
    let tail = source.take(tail_at, usize::try_from(tail_len).unwrap_or(0))?;
    let ends_here = |at: &usize| {
        tail.get(*at..).is_some_and(|record| {
            record.starts_with(&END)
                && u16_at(record, 20).is_some_and(|comment| END_BYTES + usize::from(comment) == record.len())
        })
    };
    let mut found = (0..tail.len()).filter(ends_here);
    let at = found.next().ok_or(archive("it has no end record, or bytes follow it"))?;
    if found.next().is_some() {
        return Err(archive("it has two end records"));
    }
    let record = tail.get(at..).unwrap_or_default();
    let before = at.checked_sub(20).and_then(|before| tail.get(before..at));
    let field = |place| u16_at(record, place).ok_or(archive("its end record is cut off"));
    let size = u32_at(record, 12).map(u64::from).unwrap_or_default();
    let start = u32_at(record, 16).map(u64::from).unwrap_or_default();
    let count = field(10)?;
    if before.is_some_and(|locator| locator.starts_with(END_64_LOCATOR)) || count == u16::MAX {
        return Err(archive("it uses 64-bit fields (zip64)"));
    }
    if field(4)? != 0 || field(6)? != 0 || field(8)? != count {
        return Err(archive("it is one part of several"));
    }
    if size > MAX_DIRECTORY {
        return Err(archive("its directory is larger than 64 MiB"));
    }
    if start.checked_add(size) != Some(tail_at + at as u64) {
        return Err(archive("its directory does not end where the end record begins"));
    }
    Ok(Directory { place: start..start + size, count })
}

/// An entry as the directory has it.
struct Listed {
    entry: Entry,
    flags: u16,
    header: u64,
    packed: u64,
}

/// Reads the directory and compares it with the entries' own headers.
pub(super) fn read(source: &Source<'_>, directory: &Directory) -> Result<(Vec<Entry>, u64), AppFileError> {
    let len = usize::try_from(directory.place.end - directory.place.start).unwrap_or(0);
    let bytes = source.take(directory.place.start, len)?;
    let mut rest = bytes.as_slice();
    let mut listed = Vec::new();
    let mut total = 0_u64;
    for _ in 0..directory.count {
        let entry = parse(&mut rest)?;
        total = total.saturating_add(entry.entry.size);
        listed.push(entry);
    }
    if !rest.is_empty() {
        return Err(archive("its directory has more bytes than entries"));
    }
    if total > MAX_TOTAL {
        return Err(archive("it unpacks to more than 16 GiB"));
    }
    let mut by_place: Vec<usize> = (0..listed.len()).collect();
    by_place.sort_by_key(|number| listed.get(*number).map(|entry| entry.header));
    let mut free_from = 0;
    for number in by_place {
        let Some(entry) = listed.get_mut(number) else { continue };
        if entry.header < free_from {
            return Err(AppFileError::Entry { name: entry.entry.name.clone(), problem: "overlaps another" });
        }
        refuse_hidden(source, free_from, entry.header)?;
        free_from = locate(source, entry, directory.place.start)?;
    }
    Ok((listed.into_iter().map(|listed| listed.entry).collect(), free_from))
}

/// One entry of the directory.
fn parse(rest: &mut &[u8]) -> Result<Listed, AppFileError> {
    const CUT: AppFileError = archive("its directory is cut off, or not one");
    let fixed = rest.get(..LISTED_BYTES).filter(|fixed| fixed.starts_with(LISTED)).ok_or(CUT)?;
    let half = |at| u16_at(fixed, at).unwrap_or_default();
    let word = |at| u32_at(fixed, at).unwrap_or_default();
    let (name_len, extra_len, comment_len) = (usize::from(half(28)), usize::from(half(30)), usize::from(half(32)));
    let name_end = LISTED_BYTES + name_len;
    let name = name(rest.get(LISTED_BYTES..name_end).ok_or(CUT)?)?;
    let extra = rest.get(name_end..name_end + extra_len).ok_or(CUT)?;
    *rest = rest.get(name_end + extra_len + comment_len..).ok_or(CUT)?;

    let wrong = |problem| AppFileError::Entry { name: name.clone(), problem };
    let (flags, packed, size, header) = (half(8), u64::from(word(20)), u64::from(word(24)), u64::from(word(42)));
    if flags & BAD_FLAGS != 0 {
        return Err(wrong("is encrypted, or a patch"));
    }
    if [word(20), word(24), word(42)].contains(&u32::MAX) || has_extra_64(extra) {
        return Err(wrong("uses 64-bit fields (zip64)"));
    }
    if half(34) != 0 {
        return Err(wrong("lies in another part"));
    }
    let method = match half(10) {
        0 if packed == size => Method::Stored,
        8 if size <= packed.saturating_mul(MAX_RATIO) => Method::Deflated,
        0 | 8 => return Err(wrong("its sizes can't be true")),
        _ => return Err(wrong("is packed with something else than deflate")),
    };
    let entry = Entry { name, size, method, crc: word(16), data: 0..0 };
    Ok(Listed { entry, flags, header, packed })
}

/// A name that means one place, wherever the archive is unpacked.
fn name(bytes: &[u8]) -> Result<String, AppFileError> {
    let name = std::str::from_utf8(bytes).map_err(|_| archive("an entry's name is not UTF-8"))?;
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.len() > MAX_NAME {
        return Err(archive("an entry's name is longer than 1024 bytes"));
    }
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if name.contains(|c: char| c.is_control() || c == '\\') || path.split('/').any(odd) {
        return Err(archive("an entry's name is no plain path"));
    }
    Ok(name.to_owned())
}

fn has_extra_64(mut extra: &[u8]) -> bool {
    while let (Some(id), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        if id == EXTRA_64 {
            return true;
        }
        // Aligning tools pad with what is no field: that ends the list, as it does for Android.
        extra = extra.get(4 + usize::from(len)..).unwrap_or_default();
    }
    false
}

/// Reads the entry's own header, which must say the same; sets where its bytes lie and gives where it ends.
fn locate(source: &Source<'_>, listed: &mut Listed, limit: u64) -> Result<u64, AppFileError> {
    let wrong = |problem| AppFileError::Entry { name: listed.entry.name.clone(), problem };
    let header = source.take_up_to(listed.header, LOCAL_BYTES + MAX_NAME + 1)?;
    let half = |at| u16_at(&header, at).unwrap_or_default();
    let word = |at| u32_at(&header, at).unwrap_or_default();
    let name_len = usize::from(half(26));
    let own_name = header.get(LOCAL_BYTES..LOCAL_BYTES + name_len);
    if !header.starts_with(LOCAL) || own_name != Some(listed.entry.name.as_bytes()) {
        return Err(wrong("is not where the directory says, or has another name there"));
    }
    let method = if listed.entry.method == Method::Stored { 0 } else { 8 };
    let streamed = listed.flags & STREAMED != 0;
    let sizes = [word(14), word(18), word(22)];
    let listed_sizes =
        [listed.entry.crc, u32::try_from(listed.packed).unwrap_or(0), u32::try_from(listed.entry.size).unwrap_or(0)];
    if half(8) != method
        || (half(6) ^ listed.flags) & (STREAMED | BAD_FLAGS) != 0
        || !(sizes == listed_sizes || (streamed && sizes == [0; 3]))
    {
        return Err(wrong("its own header says something else than the directory"));
    }
    let start = listed.header + (LOCAL_BYTES + name_len) as u64 + u64::from(half(28));
    let end = start.saturating_add(listed.packed);
    if end > limit {
        return Err(wrong("goes on into the directory"));
    }
    let behind = if streamed {
        descriptor(source, end, &listed_sizes).ok_or_else(|| wrong("has no sizes behind it"))?
    } else {
        0
    };
    listed.entry.data = start..end;
    Ok(end + behind)
}

/// The length of the sizes behind an entry, if they are there and the directory's.
fn descriptor(source: &Source<'_>, at: u64, sizes: &[u32; 3]) -> Option<u64> {
    let bytes = source.take_up_to(at, 16).ok()?;
    let same = |from: usize| (0..3).all(|number| u32_at(&bytes, from + 4 * number) == sizes.get(number).copied());
    if bytes.starts_with(DESCRIPTOR) && same(4) {
        return Some(16);
    }
    same(0).then_some(12)
}

/// Between entries there may be zeros, and the nameless padding entries that Android's build tools leave there; nothing
/// that a reader without directory would take for a file.
fn refuse_hidden(source: &Source<'_>, from: u64, to: u64) -> Result<(), AppFileError> {
    const HIDDEN: AppFileError = archive("there are bytes between its entries that belong to none");
    let mut at = from;
    while to - at >= LOCAL_BYTES as u64 {
        let header = source.take(at, LOCAL_BYTES)?;
        if !header.starts_with(LOCAL) {
            break;
        }
        let empty = [18, 22].map(|place| u32_at(&header, place)) == [Some(0); 2] && u16_at(&header, 26) == Some(0);
        at += LOCAL_BYTES as u64 + u16_at(&header, 28).map(u64::from).unwrap_or_default();
        if !empty || at > to {
            return Err(HIDDEN);
        }
    }
    source.stream(at, to, &mut |bytes| if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(HIDDEN) })
}
