//! What this process holds in memory stays there: no core dumps, and no debugger of the same user.
//!
//! In: whether the configuration wants it otherwise. Out: nothing; proven after [`shut`]: the kernel neither writes a core of
//! this process nor gives one to a program that collects them, and only root may look into its memory.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

use crate::output::note;

/// Before anything secret is read. What the system allowed can be had again with [`open`].
pub(crate) fn shut() {
    // Programs that collect cores are called whatever the limit is; files are written whatever they are told. So both.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        note(&format!("warning: core dumps can't be switched off: {error}"));
    }
    let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    if let Err(error) = setrlimit(Resource::Core, limit) {
        note(&format!("warning: the size of core dumps can't be set to 0: {error}"));
    }
}

/// For as long as the process runs: nothing in it raises the limit again.
pub(crate) fn seal() {
    // Failing, it stays as `shut` left it.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// As the system would have it: `danger_core_dumps`.
pub(crate) fn open() {
    let limit = getrlimit(Resource::Core);
    let opened = set_dumpable_behavior(DumpableBehavior::Dumpable)
        .and_then(|()| setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit }));
    match opened {
        Ok(()) => {
            tracing::warn!(target: "assay", "danger_core_dumps: a core dump of this process shows every secret in it")
        }
        Err(error) => tracing::warn!(target: "assay", "danger_core_dumps: core dumps can't be switched on: {error}"),
    }
}
