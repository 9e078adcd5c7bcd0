//! Where the main program lies in memory. Comes in: the kernel's auxiliary vector, the memory map, and memory.
//! Goes out: the address of the ELF header and the bytes of each measured segment.
//! Proven between: the header found in memory names the very program headers that the kernel started from.

use std::io;

use attest_core::measurement::{Hasher, Measurement, SegmentPlan, plan};

use super::MeasureError;
use crate::procfs::Mapping;

/// Memory that can be read by address. The real one is `/proc/pid/mem`; tests have one made of vectors.
pub(super) trait Memory {
    fn read_exact_at(&self, out: &mut [u8], address: u64) -> io::Result<()>;
}

/// The address of the main program's first byte, whether it was placed by the kernel (PIE) or by its linker.
///
/// `AT_PHDR` says where the program headers are; the mapping that holds them says where the file begins. A name
/// (`/proc/self/exe`) is not asked: a file can be replaced or renamed under a running program.
pub(super) fn header_address(auxv: &[u8], maps: &[Mapping<'_>]) -> Result<(u64, u64), MeasureError> {
    let program_headers = auxiliary(auxv, AT_PHDR).ok_or(MeasureError::NoAuxiliaryVector)?;
    let mapping = maps.iter().find(|mapping| mapping.contains(program_headers)).ok_or(MeasureError::NotMapped)?;
    let address = mapping.start.checked_sub(mapping.offset).ok_or(MeasureError::NotMapped)?;
    Ok((address, program_headers))
}

/// Reads the headers at `address` and plans what to measure.
pub(super) fn plan_in_memory(
    memory: &impl Memory,
    address: u64,
    program_headers: u64,
) -> Result<SegmentPlan, MeasureError> {
    // One page: it is mapped whole, and holds all the headers that linkers write.
    let mut headers = vec![0; PAGE];
    memory.read_exact_at(&mut headers, address)?;
    let offset = headers.get(E_PHOFF..).and_then(<[u8]>::first_chunk).map(|bytes| u64::from_le_bytes(*bytes));
    if offset.and_then(|offset| address.checked_add(offset)) != Some(program_headers) {
        return Err(MeasureError::HeaderMoved);
    }
    Ok(plan(&headers)?)
}

/// Hashes every planned segment from memory, in chunks, so that a large image costs no large buffer.
pub(super) fn measure(memory: &impl Memory, address: u64, segments: &SegmentPlan) -> Result<Measurement, MeasureError> {
    // The segment that maps the file's first byte ties link-time addresses to where we found that byte.
    let first = segments.segments().iter().find(|segment| segment.offset == 0).ok_or(MeasureError::HeaderMoved)?;
    let bias = address.wrapping_sub(first.vaddr);
    let mut hasher = Hasher::new(segments);
    let mut buffer = vec![0; CHUNK];
    for segment in segments.segments() {
        let mut at = bias.wrapping_add(segment.vaddr);
        let mut left = segment.size;
        while left > 0 {
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
            let Some(chunk) = buffer.get_mut(..take) else { break };
            memory.read_exact_at(chunk, at)?;
            hasher.update(chunk)?;
            at = at.wrapping_add(take as u64);
            left = left.saturating_sub(take as u64);
        }
    }
    Ok(hasher.finish()?)
}

/// The value of `key` in the kernel's list of pairs of 64-bit words.
fn auxiliary(auxv: &[u8], key: u64) -> Option<u64> {
    let (words, _) = auxv.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().find(|[name, _]| u64::from_le_bytes(*name) == key).map(|[_, value]| u64::from_le_bytes(*value))
}

/// getauxval(3): where the program headers of the executable are.
const AT_PHDR: u64 = 3;
/// elf(5): where the ELF header says where the program headers are.
const E_PHOFF: usize = 32;
pub(super) const PAGE: usize = 4096;
const CHUNK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::parse_maps;

    fn header_address(auxv: &[u8], maps: &str) -> Result<(u64, u64), MeasureError> {
        super::header_address(auxv, &parse_maps(maps))
    }

    fn auxv(pairs: &[(u64, u64)]) -> Vec<u8> {
        pairs.iter().flat_map(|(key, value)| [key.to_le_bytes(), value.to_le_bytes()].concat()).collect()
    }

    const MAPS: &str = "\
00400000-00401000 r--p 00000000 fe:00 247030                     /opt/app
00401000-00405000 r-xp 00001000 fe:00 247030                     /opt/app
7fe567a08000-7fe567a2a000 rw-p 00000000 00:00 0 
";

    #[test]
    fn refuses_a_vector_without_program_headers() {
        assert!(matches!(header_address(&auxv(&[(9, 0x401000), (0, 0)]), MAPS), Err(MeasureError::NoAuxiliaryVector)));
        assert!(matches!(header_address(&[3, 0, 0], MAPS), Err(MeasureError::NoAuxiliaryVector)));
    }

    #[test]
    fn refuses_program_headers_outside_every_mapping() {
        assert!(matches!(header_address(&auxv(&[(3, 0x900000)]), MAPS), Err(MeasureError::NotMapped)));
        assert!(matches!(header_address(&auxv(&[(3, 0x400040)]), "nonsense\n\n-\n"), Err(MeasureError::NotMapped)));
    }

    #[test]
    fn finds_the_first_byte_from_whichever_mapping_holds_the_headers() {
        assert_eq!(header_address(&auxv(&[(6, 4096), (3, 0x400040)]), MAPS).unwrap(), (0x400000, 0x400040));
        assert_eq!(header_address(&auxv(&[(3, 0x401040)]), MAPS).unwrap(), (0x400000, 0x401040));
    }

    /// Bytes that begin at an address.
    struct Bytes(u64, Vec<u8>);

    impl Memory for Bytes {
        fn read_exact_at(&self, out: &mut [u8], address: u64) -> io::Result<()> {
            let start = usize::try_from(address - self.0).unwrap();
            let found = self.1.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(found);
            Ok(())
        }
    }

    #[test]
    fn refuses_a_header_that_names_other_program_headers() {
        let mut image = vec![0; 4096];
        image[32] = 64;
        let memory = Bytes(0x400000, image);
        assert!(matches!(plan_in_memory(&memory, 0x400000, 0x400080), Err(MeasureError::HeaderMoved)));
        // The right place, but nothing of an ELF file there.
        assert!(matches!(plan_in_memory(&memory, 0x400000, 0x400040), Err(MeasureError::Elf(_))));
    }
}
