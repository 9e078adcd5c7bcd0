//! Which bytes of a program are measured: from its ELF headers alone.
//!
//! In: the first bytes of the file, or of its image in memory, program headers included. Out: the loadable segments
//! that are readable and not writable, by rising address. What the loader changes (relocations, RELRO, GOT) lies in
//! writable segments and is left out.

/// Segments of one program that are measured at most.
const MAX_SEGMENTS: u16 = 64;

const HEADER_BYTES: usize = 64;
const ENTRY_BYTES: usize = 56;

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;

/// Why it can't be measured.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum ElfError {
    /// Not a 64-bit little-endian ELF program or library.
    #[error("not a 64-bit little-endian ELF program")]
    NotElf,
    /// The headers or segments go on past the end.
    #[error("the file ends before its segments do")]
    Truncated,
    /// Program headers that no linker writes: wrong size, too many, overlapping or out of order.
    #[error("program headers that no loader would take")]
    BadHeaders,
    /// Executable code that is writable too, or not readable: it could not be measured.
    #[error("an executable segment that is writable, or not readable, can't be measured")]
    UnmeasurableCode,
    /// Nothing in it to measure.
    #[error("no read-only or executable segment")]
    NothingToMeasure,
}

/// One measured segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its address, relative to where the program is loaded.
    pub vaddr: u64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its bytes, in the file as in memory.
    pub size: u64,
    /// `PF_R`, and `PF_X` when it is executable.
    pub flags: u32,
}

/// What to measure, by rising address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPlan(Vec<Segment>);

impl SegmentPlan {
    /// The segments: at least one, none overlapping.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

/// Reads the plan from a program's headers.
///
/// `headers`: the first bytes of file or image; one page is always enough for what linkers write.
///
/// # Errors
/// [`ElfError`].
///
/// # Source
/// System V ABI, generic, chapters 4 (ELF header) and 5 (program header).
pub fn plan(headers: &[u8]) -> Result<SegmentPlan, ElfError> {
    let header = headers.get(..HEADER_BYTES).ok_or(ElfError::NotElf)?;
    // Magic, 64-bit, little endian, version 1.
    if !header.starts_with(&[0x7f, b'E', b'L', b'F', 2, 1, 1]) || !matches!(u16_at(header, 16), Some(2 | 3)) {
        return Err(ElfError::NotElf);
    }
    let table = u64_at(header, 32).ok_or(ElfError::NotElf)?;
    let count = u16_at(header, 56).filter(|count| (1..=MAX_SEGMENTS).contains(count)).ok_or(ElfError::BadHeaders)?;
    if u16_at(header, 54).map(usize::from) != Some(ENTRY_BYTES) {
        return Err(ElfError::BadHeaders);
    }
    let entries = usize::try_from(table).ok().and_then(|table| headers.get(table..)).ok_or(ElfError::Truncated)?;
    let entries = entries.get(..ENTRY_BYTES * usize::from(count)).ok_or(ElfError::Truncated)?;

    let mut segments = Vec::new();
    let mut free_from = 0_u64;
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        let entry = Entry::parse(entry).ok_or(ElfError::Truncated)?;
        if entry.kind != PT_LOAD {
            continue;
        }
        let end = entry.vaddr.checked_add(entry.memory_size).ok_or(ElfError::BadHeaders)?;
        if entry.vaddr < free_from || entry.offset.checked_add(entry.file_size).is_none() {
            return Err(ElfError::BadHeaders);
        }
        free_from = end;
        if entry.flags & PF_R == 0 || entry.flags & PF_W != 0 || entry.file_size == 0 {
            if entry.flags & PF_X != 0 && entry.memory_size != 0 {
                return Err(ElfError::UnmeasurableCode);
            }
            continue;
        }
        // Zeroes behind the file's bytes could not be told from a patch in the file.
        if entry.file_size != entry.memory_size {
            return Err(ElfError::BadHeaders);
        }
        let Entry { vaddr, offset, file_size: size, flags, .. } = entry;
        segments.push(Segment { vaddr, offset, size, flags });
    }
    if segments.is_empty() { Err(ElfError::NothingToMeasure) } else { Ok(SegmentPlan(segments)) }
}

struct Entry {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    file_size: u64,
    memory_size: u64,
}

impl Entry {
    fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            kind: u32_at(bytes, 0)?,
            flags: u32_at(bytes, 4)?,
            offset: u64_at(bytes, 8)?,
            vaddr: u64_at(bytes, 16)?,
            file_size: u64_at(bytes, 32)?,
            memory_size: u64_at(bytes, 40)?,
        })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}
