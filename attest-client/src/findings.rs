//! What looks wrong around the program. Comes in: the process's own `/proc` files. Goes out: a sorted list of words.
//! Proven between: nothing. Findings are the Attester's own testimony: a bad one counts against it, a clean list
//! counts for nothing, and what cannot be read is not a finding. How much each weighs is the service's policy: as
//! it comes, `tracer` and `injected-library` fail an app, `root` and `emulator` lower its tier.

use crate::procfs;

/// One thing that was found. Ordered as the words are, which is how the transcript wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// The program runs inside an emulator: user-mode QEMU, the Android emulator, a desktop virtual machine.
    Emulator,
    /// A library that the app did not bring: preloaded, an audit library, or of a known hooking tool.
    InjectedLibrary,
    /// A rooted device: a `su` or Magisk program where Android has none, or an Android app with uid 0. Elsewhere uid
    /// 0 is no finding: in containers it is the rule, and it says nothing about the device.
    Root,
    /// Another process traces this one.
    Tracer,
}

impl Finding {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emulator => "emulator",
            Self::InjectedLibrary => "injected-library",
            Self::Root => "root",
            Self::Tracer => "tracer",
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Looks, now, and tells what was found: sorted, each at most once.
///
/// Reads a handful of small files; call it off the threads that must not wait.
#[must_use]
pub fn findings() -> Vec<Finding> {
    let mut found = Vec::new();
    let status = procfs::read_text("/proc/self/status").unwrap_or_default();
    if is_emulated(&status) || is_known_machine() {
        found.push(Finding::Emulator);
    }
    if is_preloaded(&procfs::read("/proc/self/environ").unwrap_or_default())
        || has_tool_mapping(&procfs::read_text("/proc/self/maps").unwrap_or_default())
        || has_tool_thread()
    {
        found.push(Finding::InjectedLibrary);
    }
    if (cfg!(target_os = "android") && is_superuser(&status))
        || SU_PROGRAMS.iter().any(|path| std::path::Path::new(path).exists())
    {
        found.push(Finding::Root);
    }
    if is_traced(&status) {
        found.push(Finding::Tracer);
    }
    found
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn is_traced(status: &str) -> bool {
    field(status, "TracerPid").is_some_and(|pid| pid != "0")
}

/// `Uid: real effective saved filesystem`; the effective one decides.
fn is_superuser(status: &str) -> bool {
    field(status, "Uid").and_then(|ids| ids.split_ascii_whitespace().nth(1)).is_some_and(|uid| uid == "0")
}

/// Under user-mode QEMU the kernel sees QEMU, and says so where QEMU does not rewrite the file.
fn is_emulated(status: &str) -> bool {
    field(status, "Name").is_some_and(|name| name.starts_with("qemu-"))
}

fn is_known_machine() -> bool {
    if EMULATOR_DEVICES.iter().any(|path| std::path::Path::new(path).exists()) {
        return true;
    }
    let product = procfs::read_text("/sys/class/dmi/id/product_name").unwrap_or_default();
    DESKTOP_MACHINES.iter().any(|name| product.trim().starts_with(name))
}

/// The environment the program was *started* with: an agent that removes its own variable afterwards is still seen.
fn is_preloaded(environ: &[u8]) -> bool {
    environ.split(|byte| *byte == 0).any(|entry| {
        PRELOAD_VARIABLES.iter().any(|name| entry.strip_prefix(*name).is_some_and(|value| !value.is_empty()))
    })
}

/// A mapped file whose *file name* begins with a tool's name (`lib` put aside). Folders are not looked at: an app that
/// lives in `/home/frida/` is not an attack.
fn has_tool_mapping(maps: &str) -> bool {
    maps.lines().filter_map(mapped_name).any(|name| {
        let name = name.to_ascii_lowercase();
        let bare = name.strip_prefix("lib").unwrap_or(&name);
        TOOL_FILES.iter().any(|tool| bare.starts_with(tool))
    })
}

/// The last component of the sixth column, where there is one; `/memfd:name` is the kernel's way to say "no file".
fn mapped_name(line: &str) -> Option<&str> {
    let mut rest = line;
    for _ in 0..5 {
        rest = rest.trim_start().split_once(' ')?.1;
    }
    let path = rest.trim();
    path.rsplit(['/', ':']).next().filter(|name| !name.is_empty())
}

fn has_tool_thread() -> bool {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return false };
    threads.flatten().take(MAX_THREADS).any(|thread| {
        let path = thread.path().join("comm");
        path.to_str().and_then(|path| procfs::read_text(path).ok()).is_some_and(|name| is_tool_thread(name.trim()))
    })
}

fn is_tool_thread(name: &str) -> bool {
    TOOL_THREADS.iter().any(|tool| name.starts_with(tool))
}

const PRELOAD_VARIABLES: [&[u8]; 2] = [b"LD_PRELOAD=", b"LD_AUDIT="];
const TOOL_FILES: [&str; 9] =
    ["frida", "gum-js", "gumjs", "gdbserver", "xposed", "lspd", "lsposed", "substrate", "zygisk"];
/// Threads that Frida's agent starts whatever its file is called.
const TOOL_THREADS: [&str; 4] = ["gum-js-loop", "pool-frida", "linjector", "frida"];
const EMULATOR_DEVICES: [&str; 4] = ["/dev/qemu_pipe", "/dev/goldfish_pipe", "/dev/vboxguest", "/dev/vboxuser"];
/// Desktop machines, where people take apps apart. Cloud machines (KVM, Nitro) are where services run: no hint.
const DESKTOP_MACHINES: [&str; 3] = ["VirtualBox", "VMware Virtual Platform", "Parallels Virtual Platform"];
const SU_PROGRAMS: [&str; 3] = ["/system/bin/su", "/system/xbin/su", "/data/adb/magisk"];
/// Enough for any app; the bound is for a process that somebody filled with threads.
const MAX_THREADS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracer_is_found_by_its_process_number() {
        assert!(is_traced("Name:\tapp\nTracerPid:\t4711\n"));
        assert!(!is_traced("Name:\tapp\nTracerPid:\t0\n"));
        assert!(!is_traced(""));
    }

    #[test]
    fn a_preloaded_library_is_found_and_an_empty_variable_is_not() {
        assert!(is_preloaded(b"HOME=/root\0LD_PRELOAD=/tmp/hook.so\0"));
        assert!(is_preloaded(b"LD_AUDIT=/tmp/audit.so"));
        assert!(!is_preloaded(b"LD_PRELOAD=\0LD_LIBRARY_PATH=/opt\0"));
        assert!(!is_preloaded(b"MY_LD_PRELOAD=/tmp/hook.so"));
    }

    #[test]
    fn a_tool_is_found_by_file_name_not_by_folder() {
        let line = |path: &str| format!("7f00-7f10 r-xp 00000000 fe:00 316534                     {path}\n");
        for bad in ["/data/local/tmp/libfrida-gadget.so", "/memfd:frida-agent-64.so (deleted)", "/x/XposedBridge.jar"] {
            assert!(has_tool_mapping(&line(bad)), "{bad}");
        }
        for good in ["/home/frida/app", "/usr/lib/libc.so.6", "[heap]", "", "/opt/my gdbserver notes/app"] {
            assert!(!has_tool_mapping(&line(good)), "{good}");
        }
    }

    #[test]
    fn a_frida_thread_is_found_whatever_its_library_is_called() {
        assert!(is_tool_thread("gum-js-loop"));
        assert!(!is_tool_thread("tokio-rt-worker"));
    }

    #[test]
    fn the_effective_user_decides() {
        assert!(is_superuser("Uid:\t1000\t0\t0\t0\n"));
        assert!(!is_superuser("Uid:\t0\t1000\t1000\t1000\n"));
    }

    #[test]
    fn qemu_is_found_by_the_name_the_kernel_gives_the_process() {
        assert!(is_emulated("Name:\tqemu-aarch64-st\n"));
        assert!(!is_emulated("Name:\tsample-app\n"));
    }

    #[test]
    fn looking_at_oneself_gives_a_sorted_list() {
        let found = findings();
        assert!(found.is_sorted());
        let words: Vec<_> = found.iter().map(|finding| finding.as_str()).collect();
        assert!(words.is_sorted(), "the enum's order is the words' order");
    }
}
