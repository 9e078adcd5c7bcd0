//! Findings, each provoked for real: this test program is started again under what is to be found, and says what it sees.

use std::process::{Command, Stdio};

use attest_client::{findings, findings_with_self_check};

use crate::programs::build;

const CHILD: &str = "ASSAY_TEST_SAYS_FINDINGS";

/// Not a test of its own: what the others start.
#[test]
fn child() {
    match std::env::var(CHILD).as_deref() {
        Ok("look") => say(&findings()),
        Ok("self-check") => say(&findings_with_self_check()),
        Ok("named-thread") => {
            let look = || say(&findings());
            std::thread::Builder::new().name("gum-js-loop".into()).spawn(look).unwrap().join().unwrap();
        }
        _ => {}
    }
}

fn say(found: &[attest_client::Finding]) {
    let words: Vec<_> = found.iter().map(|finding| finding.as_str()).collect();
    println!("\nfindings: {}", words.join(" "));
}

/// What the child said, started by `command` as its first arguments, or as itself.
fn found(before: &[&str], how: &str, prepare: impl FnOnce(&mut Command)) -> Vec<String> {
    let own = std::env::current_exe().unwrap();
    let mut command = match before {
        [] => Command::new(&own),
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(&own);
            command
        }
    };
    command.args(["--exact", "findings::child", "--nocapture", "--test-threads=1"]);
    command.env_clear().env(CHILD, how).stdin(Stdio::null());
    prepare(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("findings:"));
    let line = line.unwrap_or_else(|| panic!("nothing said: {output:?}"));
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: needs {program}");
    }
    there
}

fn has(found: &[String], word: &str) -> bool {
    found.iter().any(|finding| finding == word)
}

/// What this machine itself gives rise to: nothing, but on a desk's virtual machine.
fn only_the_machine(found: &[String]) -> bool {
    found.iter().all(|finding| finding == "emulator:vm")
}

#[test]
fn a_program_started_plainly_has_no_findings() {
    for how in ["look", "self-check"] {
        let found = found(&[], how, |_| {});
        assert!(only_the_machine(&found), "{how}: {found:?}");
    }
}

/// A library that does as `constructor` says when it is loaded.
fn preload(constructor: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("{PRELUDE}\n__attribute__((constructor)) static void begin(void) {{ {constructor} }}");
    let library = build(&folder, "libhook.so", &source, "cc", &["-shared", "-fPIC", "-ldl"]).unwrap();
    found(&[], "look", |command| {
        command.env("LD_PRELOAD", &library);
    })
}

const PRELUDE: &str = r"
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <unistd.h>
";

#[test]
fn a_preloaded_library_is_found_though_it_hides_its_variable() {
    let found = preload("unsetenv(\"LD_PRELOAD\");");
    assert!(has(&found, "injected-library:preload"), "{found:?}");
}

#[test]
fn an_audit_library_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let source = "unsigned la_version(unsigned v) { return v; }";
    let library = build(&folder, "libaudit.so", source, "cc", &["-shared", "-fPIC"]).unwrap();
    let found = found(&[], "look", |command| {
        command.env("LD_AUDIT", &library);
    });
    assert!(has(&found, "injected-library:preload"), "{found:?}");
}

/// The hook answers `open` of `/proc/self/environ` with an empty file: the SDK does not come by that way.
#[test]
fn a_library_that_wraps_open_is_found_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdarg.h>
        #include <string.h>
        typedef int (*opens)(const char *, int, int);
        static int lie(const char *name, const char *path, int flags, int mode) {
            return ((opens)dlsym(RTLD_NEXT, name))(strncmp(path, "/proc/self/", 11) ? path : "/dev/null", flags, mode);
        }
        int open(const char *path, int flags, ...) { return lie("open", path, flags, 0); }
        int open64(const char *path, int flags, ...) { return lie("open64", path, flags, 0); }
    "#;
    let library = build(&folder, "libliar.so", source, "cc", &["-shared", "-fPIC", "-ldl"]).unwrap();
    let found = found(&[], "look", |command| {
        command.env("LD_PRELOAD", &library);
    });
    assert!(has(&found, "injected-library:preload"), "{found:?}");
}

#[test]
fn code_that_the_loader_did_not_bring_is_found() {
    let anonymous = "mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);";
    let found = preload(anonymous);
    assert!(has(&found, "unexpected-code:anonymous"), "{found:?}");

    let memfd = "int f = memfd_create(\"x\", 0); ftruncate(f, 4096); \
                 mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, f, 0);";
    let found = preload(memfd);
    assert!(has(&found, "unexpected-code:memfd") && !has(&found, "injected-library:tool"), "{found:?}");

    let frida = memfd.replace("\"x\"", "\"frida-agent-64.so\"");
    let found = preload(&frida);
    assert!(has(&found, "unexpected-code:memfd") && has(&found, "injected-library:tool"), "{found:?}");

    let deleted = "char n[] = \"/tmp/assay-XXXXXX\"; int f = mkstemp(n); ftruncate(f, 4096); unlink(n); \
                   mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, f, 0);";
    let found = preload(deleted);
    assert!(has(&found, "unexpected-code:deleted"), "{found:?}");
}

#[test]
fn the_programs_own_code_made_writable_is_found() {
    let found =
        preload("mprotect((void *)((unsigned long)begin & ~4095ul), 4096, PROT_READ | PROT_WRITE | PROT_EXEC);");
    assert!(has(&found, "unexpected-code:writable"), "{found:?}");
}

#[test]
fn a_tools_thread_is_found() {
    let found = found(&[], "named-thread", |_| {});
    assert!(has(&found, "injected-library:thread"), "{found:?}");
}

#[test]
fn a_tracer_is_found() {
    if !is_there("strace") {
        return;
    }
    let found = found(&["strace", "-f", "-o", "/dev/null"], "look", |_| {});
    assert!(has(&found, "tracer"), "{found:?}");
}

/// A tracer of the child alone: it leaves the self-check's own children alone.
#[test]
fn the_kernel_tells_of_a_tracer_where_it_may_be_asked() {
    if !is_there("strace") || !cfg!(target_arch = "x86_64") {
        return;
    }
    let found = found(&["strace", "-o", "/dev/null", "-e", "trace=none"], "self-check", |_| {});
    // Yama lets only ancestors trace: then nothing can be learned, and nothing is said.
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let may_ask = matches!(yama.trim(), "" | "0");
    assert_eq!(has(&found, "tracer:self-check"), may_ask, "{found:?}");
    assert!(has(&found, "tracer"), "{found:?}");
}

#[test]
fn user_mode_qemu_is_found() {
    if !cfg!(target_arch = "x86_64") || !is_there("qemu-x86_64") {
        return;
    }
    let found = found(&["qemu-x86_64"], "look", |_| {});
    assert!(has(&found, "emulator:qemu-user"), "{found:?}");
}
