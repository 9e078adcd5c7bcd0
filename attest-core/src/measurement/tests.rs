use super::*;
use crate::transcript::TranscriptHash;
use proptest::prelude::*;

/// A program of these segments: (flags, vaddr, bytes); the headers lie in front, as linkers put them.
fn elf(segments: &[(u32, u64, &[u8])]) -> Vec<u8> {
    let mut file = vec![0_u8; 64];
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    file[16] = 3;
    file[32] = 64;
    file[54] = 56;
    file[56] = segments.len() as u8;
    let mut offset = 64 + 56 * segments.len() as u64;
    for (flags, vaddr, bytes) in segments {
        let size = bytes.len() as u64;
        file.extend(1_u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for number in [offset, *vaddr, *vaddr, size, size, 4096] {
            file.extend(number.to_le_bytes());
        }
        offset += size;
    }
    for (_, _, bytes) in segments {
        file.extend_from_slice(bytes);
    }
    file
}

fn sample() -> Vec<u8> {
    elf(&[(4, 0, b"read only"), (5, 4096, b"program text"), (6, 8192, b"data")])
}

#[test]
fn every_byte_of_read_only_and_executable_segments_counts_and_no_other() {
    let good = measure_file(&sample()).unwrap();
    let bodies = 64 + 3 * 56;
    for at in bodies..sample().len() {
        let mut changed = sample();
        changed[at] ^= 1;
        let in_data = at >= bodies + b"read only".len() + b"program text".len();
        assert_eq!(measure_file(&changed).unwrap() == good, in_data, "byte {at}");
    }
    let moved = elf(&[(4, 0, b"read only"), (5, 4097, b"program text")]);
    let split = elf(&[(4, 0, b"read onlyprogram"), (5, 4096, b" text")]);
    let executable = elf(&[(5, 0, b"read only"), (5, 4096, b"program text")]);
    for other in [moved, split, executable] {
        assert_ne!(measure_file(&other).unwrap(), good);
    }
}

#[test]
fn refuses_what_a_loader_would_not_take() {
    assert_eq!(measure_file(b""), Err(ElfError::NotElf));
    assert_eq!(measure_file(&[0; 64]), Err(ElfError::NotElf));
    for (at, value, error) in [
        (4, 1, ElfError::NotElf),
        (5, 2, ElfError::NotElf),
        (16, 1, ElfError::NotElf),
        (54, 32, ElfError::BadHeaders),
        (56, 0, ElfError::BadHeaders),
        (56, 65, ElfError::BadHeaders),
        (39, 1, ElfError::Truncated),
        (33, 0xff, ElfError::Truncated),
    ] {
        let mut file = sample();
        file[at] = value;
        assert_eq!(measure_file(&file), Err(error), "byte {at}");
    }
    let short = sample();
    assert_eq!(measure_file(&short[..64 + 3 * 56 + 12]), Err(ElfError::Truncated));
    assert_eq!(measure_file(&elf(&[(5, 10, b"aaaa"), (5, 12, b"bbbb")])), Err(ElfError::BadHeaders));
    assert_eq!(measure_file(&elf(&[(5, u64::MAX, b"aaaa")])), Err(ElfError::BadHeaders));
    assert_eq!(measure_file(&elf(&[(6, 0, b"aaaa"), (2, 8, b"a")])), Err(ElfError::NothingToMeasure));
    assert_eq!(measure_file(&elf(&[(4, 0, b"aaaa"), (7, 8, b"a")])), Err(ElfError::UnmeasurableCode));
    assert_eq!(measure_file(&elf(&[(4, 0, b"aaaa"), (1, 8, b"a")])), Err(ElfError::UnmeasurableCode));
    let mut grows = elf(&[(5, 0, b"aaaa")]);
    grows[64 + 40] += 1;
    assert_eq!(measure_file(&grows), Err(ElfError::BadHeaders));
}

#[test]
fn pieces_of_any_size_measure_the_same_and_a_wrong_number_of_bytes_does_not() {
    let file = sample();
    let plan = plan(&file).unwrap();
    let bytes: &[u8] = b"read onlyprogram text";
    for size in 1..=bytes.len() {
        let mut hasher = Hasher::new(&plan);
        bytes.chunks(size).for_each(|piece| hasher.update(piece).unwrap());
        assert_eq!(hasher.finish(), measure_file(&file).map_err(|_| NotAsPlanned));
    }
    let mut few = Hasher::new(&plan);
    few.update(b"read only").unwrap();
    assert_eq!(few.finish(), Err(NotAsPlanned));
    let mut many = Hasher::new(&plan);
    assert_eq!(many.update(b"read onlyprogram text!"), Err(NotAsPlanned));
}

#[test]
fn this_test_program_can_be_measured() {
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let whole = measure_file(&file).unwrap();
    assert_eq!(plan(&file[..4096]).unwrap(), plan(&file).unwrap());
    assert!(whole.to_text().starts_with("sha256:"));
}

#[test]
fn the_mac_is_tied_to_challenge_and_transcript() {
    let measurement = Measurement::from_bytes([1; 32]);
    let (one, two) = (TranscriptHash::from_bytes([1; 32]), TranscriptHash::from_bytes([2; 32]));
    let good = mac(&measurement, b"challenge", &one);
    assert!(verify_mac(&measurement, b"challenge", &one, &good));
    assert!(!verify_mac(&measurement, b"challenge", &two, &good));
    assert!(!verify_mac(&measurement, b"another", &one, &good));
    assert!(!verify_mac(&Measurement::from_bytes([2; 32]), b"challenge", &one, &good));
}

proptest! {
    #[test]
    fn never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), magic: bool) {
        if magic && bytes.len() > 64 {
            bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
            bytes[16..18].copy_from_slice(&[3, 0]);
            bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
            bytes[54..58].copy_from_slice(&[56, 0, 2, 0]);
        }
        let _ = measure_file(&bytes);
    }
}

#[test]
fn libraries_count_by_name_and_content_in_any_order() {
    let m = |byte| Measurement::from_bytes([byte; 32]);
    let libraries =
        |all: &[(&str, u8)]| all.iter().map(|(name, byte)| ((*name).to_owned(), m(*byte))).collect::<Vec<_>>();
    let combined = |all: &[(&str, u8)]| combine(&m(1), &libraries(all));
    assert_eq!(combined(&[]), m(1), "a program alone keeps its measurement");
    let both = combined(&[("liba.so", 2), ("libb.so", 3)]);
    assert_eq!(both, combined(&[("libb.so", 3), ("liba.so", 2)]));
    let others = [
        combined(&[("liba.so", 2)]),
        combined(&[("liba.so", 3), ("libb.so", 2)]),
        combined(&[("liba.so", 2), ("libb.so", 4)]),
        combined(&[("liba.so", 2), ("libb.so", 3), ("libb.so", 3)]),
        combined(&[("liba.s", 2), ("olibb.so", 3)]),
        combine(&m(9), &libraries(&[("liba.so", 2), ("libb.so", 3)])),
    ];
    assert!(others.iter().all(|other| *other != both));
}

#[test]
fn the_combination_is_the_documented_bytes() {
    let mut bytes = b"assay-measurement-v2\0".to_vec();
    bytes.extend([0, 0, 0, 2, 0, 0, 0, 0]);
    bytes.extend([1; 32]);
    bytes.extend([0, 0, 0, 1, b'a']);
    bytes.extend([2; 32]);
    let combined = combine(&Measurement::from_bytes([1; 32]), &[("a".to_owned(), Measurement::from_bytes([2; 32]))]);
    assert_eq!(*combined.as_bytes(), crate::crypto::sha256(&[&bytes]));
}
