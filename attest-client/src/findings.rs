//! What looks wrong around the program. Comes in: the process's own `/proc` files, and a few of the system's. Goes out: a
//! sorted list of words.
//! Proven between: nothing. Findings are the Attester's own testimony: a bad one counts against it, a clean list
//! counts for nothing, and what cannot be read is not a finding. How much each weighs is the service's policy: as
//! it comes, `tracer` and `injected-library` fail an app; `root`, `emulator` and `unexpected-code` lower its tier.

mod code;
mod emulator;
mod injected;
mod root;
mod tracer;

use std::path::PathBuf;

use crate::procfs::Process;

/// One thing that was found. Ordered as the words are, which is how the transcript wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// The Android emulator.
    AndroidEmulator,
    /// Every instruction is translated by user-mode QEMU.
    QemuUser,
    /// A virtual machine of the kind that people have on their desks. Cloud machines are no finding.
    DesktopMachine,
    /// Libraries were loaded by `LD_PRELOAD` or `LD_AUDIT`.
    Preload,
    /// A hooking tool's thread.
    ToolThread,
    /// A hooking tool's file is in memory.
    ToolFile,
    /// An Android build signed with test keys: somebody's own system image.
    TestKeys,
    /// A `su` or Magisk program where Android has none.
    Su,
    /// An Android app that runs as uid 0. Elsewhere uid 0 is no finding: in containers it is the rule.
    RootUser,
    /// Another process traces this one, or one of its threads.
    Tracer,
    /// The kernel would let no other process trace this one, as if one did.
    TracerBySelfCheck,
    /// Executable memory that belongs to no file. Compilers at run time (JavaScript, .NET, Java) have it, too.
    AnonymousCode,
    /// Executable memory of a file that is gone or was replaced. An update under a running program does that, too.
    DeletedCode,
    /// Executable memory of a file that was never on disk (`memfd_create`).
    MemfdCode,
    /// Code that can be written to while it runs.
    WritableCode,
}

impl Finding {
    /// All of them, sorted.
    pub const ALL: [Self; 15] = [
        Self::AndroidEmulator,
        Self::QemuUser,
        Self::DesktopMachine,
        Self::Preload,
        Self::ToolThread,
        Self::ToolFile,
        Self::TestKeys,
        Self::Su,
        Self::RootUser,
        Self::Tracer,
        Self::TracerBySelfCheck,
        Self::AnonymousCode,
        Self::DeletedCode,
        Self::MemfdCode,
        Self::WritableCode,
    ];

    /// The word on the wire: a name, which is what the service's policy weighs, and behind a colon the detail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AndroidEmulator => "emulator:android",
            Self::QemuUser => "emulator:qemu-user",
            Self::DesktopMachine => "emulator:vm",
            Self::Preload => "injected-library:preload",
            Self::ToolThread => "injected-library:thread",
            Self::ToolFile => "injected-library:tool",
            Self::TestKeys => "root:keys",
            Self::Su => "root:su",
            Self::RootUser => "root:uid",
            Self::Tracer => "tracer",
            Self::TracerBySelfCheck => "tracer:self-check",
            Self::AnonymousCode => "unexpected-code:anonymous",
            Self::DeletedCode => "unexpected-code:deleted",
            Self::MemfdCode => "unexpected-code:memfd",
            Self::WritableCode => "unexpected-code:writable",
        }
    }

    /// The name without the detail: `emulator`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.as_str().split(':').next().unwrap_or_default()
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Looks, now, and tells what was found: sorted, each at most once.
///
/// Reads some small files, and one for each thread; call it off the threads that must not wait.
#[must_use]
pub fn findings() -> Vec<Finding> {
    look(&Around::this_process())
}

/// The same, and asks the kernel besides: a child process tries to trace this one for a moment, and another child. If it
/// can have the other and not this one, somebody else traces this one (`tracer:self-check`).
///
/// It sees a tracer that hides from `/proc`. It costs two short processes, run from memory; where ptrace is forbidden
/// (Yama, seccomp, containers), on other processors than x86-64, and in a program that handles `SIGCHLD` itself it says
/// nothing. Intrusion detection may report a program that is run from memory: that is why it is asked for.
#[must_use]
pub fn findings_with_self_check() -> Vec<Finding> {
    let mut found = findings();
    if tracer::self_check(&Process::current()) {
        found.push(Finding::TracerBySelfCheck);
        found.sort_unstable();
    }
    found
}

/// What there is to look at.
struct Around {
    process: Process,
    /// `/`; a folder in tests.
    root: PathBuf,
    is_android: bool,
}

impl Around {
    fn this_process() -> Self {
        Self { process: Process::current(), root: "/".into(), is_android: cfg!(target_os = "android") }
    }

    /// Whether this absolute path is there.
    fn has(&self, path: &str) -> bool {
        self.root.join(path.trim_start_matches('/')).exists()
    }

    /// A file of the system's as text, or nothing.
    fn text(&self, path: &str) -> String {
        let bytes = crate::procfs::read(self.root.join(path.trim_start_matches('/'))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn look(around: &Around) -> Vec<Finding> {
    let maps = around.process.text("maps").unwrap_or_default();
    let maps = crate::procfs::parse_maps(&maps);
    let threads = around.process.threads();
    let mut found = Vec::new();
    found.extend(emulator::look(around));
    found.extend(injected::look(around, &maps, &threads));
    found.extend(root::look(around));
    found.extend(tracer::look(around, &threads));
    found.extend(code::look(around, &maps));
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enums_order_is_the_words_order() {
        assert!(Finding::ALL.is_sorted());
        assert!(Finding::ALL.map(Finding::as_str).is_sorted());
        assert_eq!(Finding::QemuUser.name(), "emulator");
    }

    #[test]
    fn looking_at_oneself_gives_a_sorted_list() {
        assert!(findings().is_sorted());
    }
}
