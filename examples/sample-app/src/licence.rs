//! The app's "licence": a number in the program text, for those who show what patching does.
//!
//! On x86-64 it is the immediate of one `movabs`, so its eight bytes lie in an executable segment and can be changed
//! without breaking an instruction. Only `--check-licence` asks for it: a patched app runs as before, but it is no
//! longer the app that was registered.

/// Read as text, big end first: `ASSAYLIC`.
const LICENCE: u64 = 0x4153_5341_594C_4943;

/// The sum of its letters; any one of them changed gives another.
const SUM: u32 = 601;

/// Whether the number is the one that was compiled in.
pub(crate) fn holds() -> bool {
    number().to_be_bytes().iter().map(|letter| u32::from(*letter)).sum::<u32>() == SUM
}

/// Kept whole and in one place: inlined or folded, the bytes could be anywhere, or nowhere.
#[inline(never)]
fn number() -> u64 {
    std::hint::black_box(LICENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_that_was_compiled_in_holds() {
        assert!(holds());
        assert_eq!(&LICENCE.to_be_bytes(), b"ASSAYLIC");
    }
}
