//! The measurement of this very test program (position-independent; the sample app's tests do a fixed one).

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;

use attest_client::measure;

/// Bytes of this program's read-only segment, to be written over by [`what_is_in_memory_counts_not_what_is_on_disk`].
static TARGET: [u8; 16] = *b"a place to patch";

#[test]
fn what_is_in_memory_counts_not_what_is_on_disk() {
    let program = std::env::current_exe().unwrap();
    let mut head = [0; 18];
    File::open(&program).unwrap().read_exact(&mut head).unwrap();
    assert_eq!(head[16], 3, "ET_DYN, elf(5): a position-independent program");

    let _image = crate::IMAGE.blocking_write();
    let on_disk = measure::file(&program).unwrap().to_text();
    assert_eq!(measure::self_image().unwrap().to_text(), on_disk);

    // As a debugger writes: through the kernel, past the page's protection, into a private copy of it.
    let memory = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let address = std::hint::black_box(&TARGET).as_ptr().addr() as u64;
    memory.write_all_at(&[0xCC], address).unwrap();
    assert_ne!(measure::self_image().unwrap().to_text(), on_disk);
    assert_eq!(measure::file(&program).unwrap().to_text(), on_disk, "the file is untouched");

    memory.write_all_at(b"a", address).unwrap();
    assert_eq!(measure::self_image().unwrap().to_text(), on_disk, "measured anew each time");
}

#[test]
fn one_changed_byte_of_the_file_changes_its_measurement() {
    let _image = crate::IMAGE.blocking_read();
    let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("program");
    std::fs::write(&copy, &bytes).unwrap();
    let before = measure::file(&copy).unwrap().to_text();
    let at = bytes.windows(TARGET.len()).position(|window| window == TARGET).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&copy, &bytes).unwrap();
    assert_ne!(measure::file(&copy).unwrap().to_text(), before);
}

#[test]
fn what_is_no_program_is_refused() {
    assert!(measure::file("/proc/self/cmdline").is_err());
    assert!(measure::file("/nonexistent").unwrap_err().to_string().starts_with("cannot read"));
}
