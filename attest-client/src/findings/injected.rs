//! Libraries that the app did not bring. In: the environment the program was *started* with (an agent that removes its own
//! variable afterwards is still seen), the memory map, the names of threads. Out: findings.
//! Can't see: a tool whose file and threads were renamed, a library added to the program's own list (the measurement sees
//! that) or put in the place of a system library.

use super::{Around, Finding};
use crate::procfs::{Mapping, field};

const PRELOAD_VARIABLES: [&[u8]; 2] = [b"LD_PRELOAD=", b"LD_AUDIT="];
const TOOL_FILES: [&str; 9] =
    ["frida", "gum-js", "gumjs", "gdbserver", "xposed", "lspd", "lsposed", "substrate", "zygisk"];
/// Threads that Frida's agent starts whatever its file is called.
const TOOL_THREADS: [&str; 4] = ["gum-js-loop", "pool-frida", "linjector", "frida"];
/// Preloads for the whole system.
const PRELOAD_FILE: &str = "/etc/ld.so.preload";

pub(super) fn look(around: &Around, maps: &[Mapping<'_>], threads: &[String]) -> Vec<Finding> {
    let environ = around.process.read("environ").unwrap_or_default();
    let is_tool_thread = |status: &String| field(status, "Name").is_some_and(is_tool_thread);
    [
        (is_preloaded(&environ) || has_entries(&around.text(PRELOAD_FILE)), Finding::Preload),
        (threads.iter().any(is_tool_thread), Finding::ToolThread),
        (maps.iter().any(|mapping| is_tool_file(mapping.file_name())), Finding::ToolFile),
    ]
    .into_iter()
    .filter_map(|(is, finding)| is.then_some(finding))
    .collect()
}

fn is_preloaded(environ: &[u8]) -> bool {
    environ.split(|byte| *byte == 0).any(|entry| {
        PRELOAD_VARIABLES.iter().any(|name| entry.strip_prefix(*name).is_some_and(|value| !value.is_empty()))
    })
}

fn has_entries(preload_file: &str) -> bool {
    preload_file.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

/// A mapped file whose *file name* begins with a tool's name (`lib` put aside). Folders are not looked at: an app that
/// lives in `/home/frida/` is not an attack.
fn is_tool_file(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let bare = name.strip_prefix("lib").unwrap_or(&name);
    TOOL_FILES.iter().any(|tool| bare.starts_with(tool))
}

fn is_tool_thread(name: &str) -> bool {
    TOOL_THREADS.iter().any(|tool| name.starts_with(tool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::parse_maps;

    #[test]
    fn a_preloaded_library_is_found_and_an_empty_variable_is_not() {
        assert!(is_preloaded(b"HOME=/root\0LD_PRELOAD=/tmp/hook.so\0"));
        assert!(is_preloaded(b"LD_AUDIT=/tmp/audit.so"));
        assert!(!is_preloaded(b"LD_PRELOAD=\0LD_LIBRARY_PATH=/opt\0"));
        assert!(!is_preloaded(b"MY_LD_PRELOAD=/tmp/hook.so"));
        assert!(has_entries("# ours\n/usr/lib/hook.so\n"));
        assert!(!has_entries("# none\n\n"));
    }

    #[test]
    fn a_tool_is_found_by_file_name_not_by_folder() {
        let is_tool = |path: &str| {
            let line = format!("7f00-7f10 r-xp 00000000 fe:00 316534                     {path}\n");
            parse_maps(&line).iter().any(|mapping| is_tool_file(mapping.file_name()))
        };
        for bad in ["/data/local/tmp/libfrida-gadget.so", "/memfd:frida-agent-64.so (deleted)", "/x/XposedBridge.jar"] {
            assert!(is_tool(bad), "{bad}");
        }
        for good in ["/home/frida/app", "/usr/lib/libc.so.6", "[heap]", "", "/opt/my gdbserver notes/app"] {
            assert!(!is_tool(good), "{good}");
        }
    }

    #[test]
    fn a_frida_thread_is_found_whatever_its_library_is_called() {
        assert!(is_tool_thread("gum-js-loop"));
        assert!(!is_tool_thread("tokio-rt-worker"));
    }
}
