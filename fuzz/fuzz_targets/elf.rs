//! Attacks: the reader of ELF headers, with what an operator registers or a process finds in its own memory.
//!
//! Holds: a plan names ordered, disjoint, readable and never writable segments; measuring in pieces is measuring at once;
//! a byte changed inside a segment changes the measurement, and one behind all of them doesn't.
#![no_main]

use assay_fuzz::pieces;
use attest_core::measurement::{Hasher, SegmentPlan, measure_file, plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(([place, cut], file)) = data.split_first_chunk::<2>() else { return };
    let planned = plan(file);
    let measured = measure_file(file);
    let Ok(planned) = planned else { return assert!(measured.is_err()) };
    is_sound(&planned);
    let Ok(measured) = measured else { return };

    let mut hasher = Hasher::new(&planned);
    for segment in planned.segments() {
        let bytes = &file[segment.offset as usize..][..segment.size as usize];
        pieces(bytes, &[*cut]).for_each(|piece| hasher.update(piece).expect("as planned"));
    }
    assert_eq!(hasher.finish(), Ok(measured));

    let end = planned.segments().iter().map(|segment| segment.offset + segment.size).max().unwrap_or_default() as usize;
    let headers =
        64 + usize::try_from(u64::from_le_bytes(file[32..40].try_into().expect("8 bytes"))).unwrap_or(0) + 56 * 128;
    assert_eq!(measure_file(&[file, b"more"].concat()), Ok(measured), "what is behind is not measured");
    let segment = planned.segments()[usize::from(*place) % planned.segments().len()];
    let at = segment.offset as usize + usize::from(*place) % segment.size as usize;
    // A change in the headers may well make it another program.
    if at >= headers && at < end {
        let mut patched = file.to_vec();
        patched[at] ^= 0x20;
        assert_ne!(measure_file(&patched), Ok(measured), "a patch at {at} is not seen");
    }
});

fn is_sound(plan: &SegmentPlan) {
    assert!(!plan.segments().is_empty());
    let mut free_from = 0;
    for segment in plan.segments() {
        assert!(segment.vaddr >= free_from && segment.size > 0);
        free_from = segment.vaddr.checked_add(segment.size).expect("no wrap");
        segment.offset.checked_add(segment.size).expect("no wrap");
        assert_eq!(segment.flags & 0b110, 0b100, "readable, not writable");
    }
}
