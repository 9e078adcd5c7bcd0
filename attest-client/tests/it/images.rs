//! Programs of every kind, measured from memory by the code that measures this process: what comes out is what
//! registration computes from the files.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use attest_client::measure::{self, MeasureError};
use attest_core::measurement::{combine, plan};
use tempfile::TempDir;

use crate::programs::{Paused, WAITS, build};

const NONE: [&str; 0] = [];

/// Writes one byte into the process as a debugger does: past the page's protection, into a private copy of it.
fn patch(pid: u32, address: u64) {
    let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap();
    let mut byte = [0];
    memory.read_exact_at(&mut byte, address).unwrap();
    memory.write_all_at(&[byte[0] ^ 1], address).unwrap();
}

/// The address, from the first byte on, of the middle of each measured segment.
fn places(file: &Path) -> Vec<u64> {
    let bytes = std::fs::read(file).unwrap();
    let plan = plan(&bytes).unwrap();
    let first = plan.segments().iter().find(|segment| segment.offset == 0).unwrap().vaddr;
    plan.segments().iter().map(|segment| segment.vaddr - first + segment.size / 2).collect()
}

#[test]
fn every_kind_of_program_measures_in_memory_as_in_its_file_and_a_changed_byte_shows() {
    let folder = tempfile::tempdir().unwrap();
    let kinds: [(&str, &str, &[&str]); 10] = [
        ("pie", "cc", &["-fPIE", "-pie"]),
        ("pie-stripped", "cc", &["-fPIE", "-pie", "-s"]),
        ("fixed", "cc", &["-fno-pie", "-no-pie"]),
        ("fixed-stripped", "cc", &["-fno-pie", "-no-pie", "-s"]),
        ("static", "cc", &["-static", "-no-pie"]),
        ("static-pie", "cc", &["-static-pie"]),
        ("one-segment", "cc", &["-fPIE", "-pie", "-Wl,-z,noseparate-code"]),
        ("no-relro", "cc", &["-fPIE", "-pie", "-Wl,-z,norelro", "-Wl,-z,lazy"]),
        ("musl", "musl-gcc", &["-fPIE", "-pie"]),
        ("musl-static", "musl-gcc", &["-static", "-s"]),
    ];
    for (name, compiler, arguments) in kinds {
        let Some(file) = build(&folder, name, WAITS, compiler, arguments) else { continue };
        let program = Paused::start(&file, &[]);
        let on_disk = measure::file(&file).unwrap();
        assert_eq!(measure::process_image(program.id(), &NONE).unwrap(), on_disk, "{name}");
        // Each segment has its byte: headers and constants are measured like code.
        for place in places(&file) {
            let address = program.base(name) + place;
            patch(program.id(), address);
            assert_ne!(measure::process_image(program.id(), &NONE).unwrap(), on_disk, "{name} at {place:#x}");
            patch(program.id(), address);
        }
        assert_eq!(measure::process_image(program.id(), &NONE).unwrap(), on_disk, "{name}, mended");
    }
}

/// Loads what it is given, and waits.
const LOADS: &str = r#"
    #include <dlfcn.h>
    #include <stdio.h>
    int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++) if (!dlopen(argv[i], RTLD_NOW)) { fprintf(stderr, "%s\n", dlerror()); return 1; }
        puts("ready"); fflush(stdout); getchar(); return 0;
    }
"#;
const LIBRARY: &str = "int secret(int x) { return x * 3 + 7; }";

fn library(folder: &TempDir, name: &str, soname: &str) -> std::path::PathBuf {
    build(folder, name, LIBRARY, "cc", &["-shared", "-fPIC", &format!("-Wl,-soname,{soname}")]).unwrap()
}

#[test]
fn named_libraries_are_measured_in_any_order_and_a_changed_byte_of_one_shows() {
    let folder = tempfile::tempdir().unwrap();
    let main = build(&folder, "loads", LOADS, "cc", &["-ldl"]).unwrap();
    let (one, two) = (library(&folder, "libone.so", "libone.so.1"), library(&folder, "libtwo.so", "libtwo.so.1"));
    let program = Paused::start(&main, &[&one, &two]);

    let of = |path: &Path| measure::file(path).unwrap();
    let expected = combine(&of(&main), &[("libone.so".into(), of(&one)), ("libtwo.so".into(), of(&two))]);
    let measured = |names: &[&str]| measure::process_image(program.id(), names).unwrap();
    assert_eq!(measured(&["libone.so", "libtwo.so"]), expected);
    assert_eq!(measured(&["libtwo.so", "libone.so", "libtwo.so"]), expected);
    assert_eq!(measured(&[]), of(&main), "no library: the program's own");
    assert_ne!(measured(&["libone.so"]), expected);
    let by_soname = combine(&of(&main), &[("libone.so.1".into(), of(&one))]);
    assert_eq!(measured(&["libone.so.1"]), by_soname, "found by what it calls itself");

    for place in places(&two) {
        patch(program.id(), program.base("libtwo.so") + place);
        assert_ne!(measured(&["libone.so", "libtwo.so"]), expected);
        assert_eq!(measured(&["libone.so.1"]), by_soname, "the other library is as it was");
        patch(program.id(), program.base("libtwo.so") + place);
    }
    // Where the library's file was replaced (an update), what runs is measured still.
    std::fs::remove_file(&two).unwrap();
    assert_eq!(measured(&["libone.so", "libtwo.so"]), expected);
}

#[test]
fn a_library_that_is_not_loaded_or_twice_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir_in(folder.path()).unwrap();
    let main = build(&folder, "loads", LOADS, "cc", &["-ldl"]).unwrap();
    let (one, again) = (library(&folder, "libone.so", "libone.so"), library(&other, "libone.so", "libagain.so"));
    let program = Paused::start(&main, &[&one, &again]);
    let problem = |name: &str| measure::process_image(program.id(), &[name]).unwrap_err();
    assert!(matches!(problem("libnone.so"), MeasureError::NotLoaded { name } if name == "libnone.so"));
    assert!(matches!(problem("libone.so"), MeasureError::LoadedTwice { name } if name == "libone.so"));
}

/// As Android does it: the library is mapped out of an archive, whose name is all that the memory map has.
const MAPS_ARCHIVE: &str = r#"
    #define _GNU_SOURCE
    #include <elf.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        int file = open(argv[1], O_RDONLY);
        off_t start = 3 * 4096;
        Elf64_Ehdr head;
        pread(file, &head, sizeof head, start);
        Elf64_Phdr parts[16];
        pread(file, parts, head.e_phnum * sizeof *parts, start + head.e_phoff);
        char *base = mmap(0, 1 << 24, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < head.e_phnum; i++) {
            Elf64_Phdr *p = parts + i;
            if (p->p_type != PT_LOAD) continue;
            size_t page = p->p_vaddr & ~4095ul, skip = p->p_vaddr - page;
            int how = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) | (p->p_flags & PF_X ? PROT_EXEC : 0);
            if (mmap(base + page, p->p_filesz + skip, how, MAP_PRIVATE | MAP_FIXED, file, start + p->p_offset - skip) == MAP_FAILED) return 1;
        }
        puts("ready"); fflush(stdout); getchar(); return 0;
    }
"#;

#[test]
fn a_library_mapped_out_of_an_archive_is_found_by_what_it_calls_itself() {
    let folder = tempfile::tempdir().unwrap();
    let main = build(&folder, "maps", MAPS_ARCHIVE, "cc", &[]).unwrap();
    let file = library(&folder, "libapp.so", "libapp.so");
    let archive = folder.path().join("base.apk");
    std::fs::write(&archive, [vec![b'P'; 3 * 4096], std::fs::read(&file).unwrap()].concat()).unwrap();
    std::fs::remove_file(folder.path().join("libapp.so.c")).unwrap();
    let program = Paused::start(&main, &[&archive]);
    let expected = combine(&measure::file(&main).unwrap(), &[("libapp.so".into(), measure::file(&file).unwrap())]);
    assert_eq!(measure::process_image(program.id(), &["libapp.so"]).unwrap(), expected);
    assert!(matches!(measure::process_image(program.id(), &["base.apk"]), Err(MeasureError::NotLoaded { .. })));
}

#[test]
fn a_process_that_is_not_there_is_an_error() {
    assert!(matches!(measure::process_image(u32::MAX, &NONE), Err(MeasureError::Read(_))));
}
