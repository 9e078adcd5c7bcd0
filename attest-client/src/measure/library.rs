//! Where a loaded library lies in memory. Comes in: the memory map, memory, and the library's name. Goes out: the address
//! of its ELF header and what to measure of it.
//! Proven between: its executable segments are mapped executable, from the file that the header is mapped from. A copy
//! that somebody mapped only to read it is not the library that runs.

use attest_core::measurement::{SegmentPlan, plan};

use super::MeasureError;
use super::image::{Memory, PAGE};
use crate::procfs::Mapping;

const PF_X: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PROGRAM_HEADER: usize = 56;
/// elf(5): entries of the dynamic section.
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
/// A dynamic section has some dozens of entries of 16 bytes.
const MAX_DYNAMIC: u64 = 16 * 1024;

/// The one loaded library with this file name, or else the one that calls itself so.
pub(super) fn find(memory: &impl Memory, maps: &[Mapping<'_>], name: &str) -> Result<(u64, SegmentPlan), MeasureError> {
    let readable = maps.iter().filter(|mapping| mapping.file.1 != 0 && mapping.permissions.starts_with('r'));
    let of_name = readable.clone().filter(|mapping| mapping.offset == 0 && mapping.file_name() == name);
    let by_name = only(of_name.filter_map(|mapping| loaded(memory, maps, mapping)), name)?;
    if let Some((library, _)) = by_name {
        return Ok((library.address, library.plan));
    }
    // Out of an APK a library is mapped at some offset of the archive, which is all that the map names.
    let calls_itself = |library: &Library| soname_is(memory, library, name).unwrap_or(false);
    let by_soname = readable.filter_map(|mapping| loaded(memory, maps, mapping)).filter(|(l, _)| calls_itself(l));
    let found = only(by_soname, name)?.map(|(library, _)| (library.address, library.plan));
    found.ok_or_else(|| MeasureError::NotLoaded { name: name.to_owned() })
}

/// A library in memory.
struct Library {
    address: u64,
    plan: SegmentPlan,
    headers: Vec<u8>,
}

impl Library {
    /// What is added to link-time addresses.
    fn bias(&self) -> Option<u64> {
        let first = self.plan.segments().iter().find(|segment| segment.offset == 0)?;
        Some(self.address.wrapping_sub(first.vaddr))
    }
}

fn only<'a>(
    mut found: impl Iterator<Item = (Library, &'a Mapping<'a>)>,
    name: &str,
) -> Result<Option<(Library, &'a Mapping<'a>)>, MeasureError> {
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(MeasureError::LoadedTwice { name: name.to_owned() }),
    }
}

/// The library whose first byte this mapping holds, if that is what it is, and its code can run.
fn loaded<'a>(
    memory: &impl Memory,
    maps: &'a [Mapping<'a>],
    mapping: &'a Mapping<'a>,
) -> Option<(Library, &'a Mapping<'a>)> {
    let mut headers = vec![0; PAGE];
    memory.read_exact_at(&mut headers, mapping.start).ok()?;
    let plan = plan(&headers).ok()?;
    let library = Library { address: mapping.start, plan, headers };
    let bias = library.bias()?;
    let runs = |address: u64| {
        maps.iter().any(|other| other.contains(address) && other.is_executable() && other.file == mapping.file)
    };
    let mut code = library.plan.segments().iter().filter(|segment| segment.flags & PF_X != 0).peekable();
    let is_code = code.peek().is_some() && code.all(|segment| runs(bias.wrapping_add(segment.vaddr)));
    is_code.then_some((library, mapping))
}

/// Whether the library's own name for itself is `name`.
fn soname_is(memory: &impl Memory, library: &Library, name: &str) -> Option<bool> {
    let bias = library.bias()?;
    let headers = library.headers.as_slice();
    let table = usize::try_from(word(headers, 32)?).ok()?;
    let count = usize::from(u16::from_le_bytes(*headers.get(56..)?.first_chunk()?));
    let entries = headers.get(table..)?.chunks_exact(PROGRAM_HEADER).take(count);
    let mut dynamic =
        entries.filter(|entry| entry.first_chunk().map(|kind| u32::from_le_bytes(*kind)) == Some(PT_DYNAMIC));
    let dynamic = dynamic.next()?;
    let (place, size) = (bias.wrapping_add(word(dynamic, 16)?), word(dynamic, 40)?.min(MAX_DYNAMIC));
    let mut section = vec![0; usize::try_from(size).ok()?];
    memory.read_exact_at(&mut section, place).ok()?;
    let value = |tag: u64| {
        let mut entries = section.chunks_exact(16);
        entries.find(|entry| word(entry, 0) == Some(tag)).and_then(|entry| word(entry, 8))
    };
    // Some loaders write the address in memory over the link-time one.
    let strings = value(DT_STRTAB)?;
    let strings = if strings >= bias { strings } else { bias.wrapping_add(strings) };
    let mut own = vec![0; name.len() + 1];
    memory.read_exact_at(&mut own, strings.wrapping_add(value(DT_SONAME)?)).ok()?;
    Some(own.strip_suffix(&[0]) == Some(name.as_bytes()))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
