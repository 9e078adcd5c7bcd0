//! Code that the loader did not bring. In: the memory map. Out: findings.
//! Can't see: code that was written into a mapping of the program's own files (the measurement sees that), and code that
//! is mapped from an ordinary file under an ordinary name.

use super::{Around, Finding};
use crate::procfs::Mapping;

/// The kernel's own pages.
const KERNEL: [&str; 5] = ["[vdso]", "[vsyscall]", "[vectors]", "[sigpage]", "[uprobes]"];
/// Android's runtime compiles the app on the device, into memory of these names.
const ANDROID_RUNTIME: [&str; 4] = ["[anon:dalvik-", "[anon_shmem:dalvik-", "/memfd:jit-", "/dev/ashmem/dalvik-"];

pub(super) fn look(around: &Around, maps: &[Mapping<'_>]) -> Vec<Finding> {
    let is_known = |mapping: &Mapping<'_>| {
        KERNEL.contains(&mapping.path)
            || (around.is_android && ANDROID_RUNTIME.iter().any(|name| mapping.path.starts_with(name)))
    };
    maps.iter().filter(|mapping| mapping.is_executable() && !is_known(mapping)).filter_map(judge).collect()
}

fn judge(mapping: &Mapping<'_>) -> Option<Finding> {
    if mapping.path.starts_with("/memfd:") {
        return Some(Finding::MemfdCode);
    }
    // Shared anonymous memory goes by the name of a device that is never "there".
    if mapping.file.1 == 0 || mapping.path.is_empty() || mapping.path.starts_with("/dev/zero") {
        return Some(Finding::AnonymousCode);
    }
    if mapping.is_writable() {
        return Some(Finding::WritableCode);
    }
    mapping.is_deleted().then_some(Finding::DeletedCode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::{Process, parse_maps};

    fn found(is_android: bool, line: &str) -> Vec<Finding> {
        let around = Around { process: Process::current(), root: "/".into(), is_android };
        look(&around, &parse_maps(line))
    }

    #[test]
    fn code_without_a_lasting_file_is_found() {
        for (line, finding) in [
            ("7f00-7f10 rwxp 00000000 00:00 0 \n", Finding::AnonymousCode),
            ("7f00-7f10 r-xp 00000000 00:00 0 [heap]\n", Finding::AnonymousCode),
            ("7f00-7f10 r-xs 00000000 00:01 5 /dev/zero (deleted)\n", Finding::AnonymousCode),
            ("7f00-7f10 r-xp 00000000 00:01 5 /memfd:x (deleted)\n", Finding::MemfdCode),
            ("7f00-7f10 r-xp 00000000 fe:00 5 /usr/lib/x.so (deleted)\n", Finding::DeletedCode),
            ("7f00-7f10 rwxp 00000000 fe:00 5 /usr/lib/x.so\n", Finding::WritableCode),
        ] {
            assert_eq!(found(false, line), [finding], "{line}");
        }
    }

    #[test]
    fn what_every_program_has_is_no_finding() {
        for line in [
            "7f00-7f10 r-xp 00000000 fe:00 5 /usr/lib/x.so\n",
            "7f00-7f10 rw-p 00000000 00:00 0 \n",
            "7f00-7f10 r-xp 00000000 00:00 0 [vdso]\n",
            "7f00-7f10 --xp 00000000 00:00 0 [vsyscall]\n",
            "7f00-7f10 r--p 00000000 fe:00 5 /usr/share/locale (deleted)\n",
        ] {
            assert_eq!(found(false, line), [], "{line}");
        }
        let jit = "7f00-7f10 r-xp 00000000 00:01 5 /memfd:jit-cache (deleted)\n";
        assert_eq!((found(true, jit), found(false, jit)), (vec![], vec![Finding::MemfdCode]));
    }
}
