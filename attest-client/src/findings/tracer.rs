//! A debugger or tracer. In: the `status` of every thread, for a debugger may hold only one; and, where it is asked for,
//! what the kernel answers when somebody else wants to trace us. Out: a finding.
//! Can't see: a tracer that attaches only between two looks, a kernel that lies, and breakpoints that a tracer left
//! behind (the measurement sees those).

mod child;

use std::sync::{Mutex, PoisonError};

use super::{Around, Finding};
use crate::procfs::{Process, field};

/// One look at a time: while the self-check's child holds us, we are traced.
static LOOKING: Mutex<()> = Mutex::new(());

pub(super) fn look(around: &Around, threads: &[String]) -> Option<Finding> {
    let _looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
    if !threads.iter().any(|status| is_traced(status)) {
        return None;
    }
    // The threads' files were read before: a self-check may have been under way then.
    let now = around.process.threads();
    now.iter().any(|status| is_traced(status)).then_some(Finding::Tracer)
}

fn is_traced(status: &str) -> bool {
    field(status, "TracerPid").is_some_and(|pid| pid != "0")
}

/// Whether the kernel lets a child of ours trace another child, and not us.
pub(super) fn self_check(process: &Process) -> bool {
    let status = process.text("status").unwrap_or_default();
    if !may_have_children(&status) || !is_plain(&status) {
        return false;
    }
    let _looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
    child::answers(std::process::id()).is_some_and(|answers| answers == child::Answers { other: true, us: false })
}

/// A program that catches or ignores `SIGCHLD` waits for its children itself: ours would be in its way.
fn may_have_children(status: &str) -> bool {
    const SIGCHLD: u64 = 1 << (17 - 1);
    let mask = |name| field(status, name).and_then(|mask| u64::from_str_radix(mask, 16).ok());
    matches!((mask("SigCgt"), mask("SigIgn")), (Some(caught), Some(ignored)) if (caught | ignored) & SIGCHLD == 0)
}

/// Whether a child has our rights: without them the kernel refuses it, traced or not. Capabilities of a user that is not
/// root do not outlive `exec`.
fn is_plain(status: &str) -> bool {
    let is_root = field(status, "Uid").is_some_and(|ids| ids.split_ascii_whitespace().all(|id| id == "0"));
    is_root || field(status, "CapPrm").is_some_and(|mask| mask.bytes().all(|digit| digit == b'0'))
}

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
    fn the_self_check_keeps_out_of_the_way_of_programs_with_children_and_odd_rights() {
        assert!(may_have_children("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000440\n"));
        assert!(!may_have_children("SigIgn:\t0000000000000000\nSigCgt:\t0000000000010440\n"));
        assert!(!may_have_children("SigIgn:\t0000000000010000\nSigCgt:\t0000000000000000\n"));
        assert!(!may_have_children(""));
        assert!(is_plain("Uid:\t0\t0\t0\t0\nCapPrm:\t000001ffffffffff\n"));
        assert!(is_plain("Uid:\t7\t7\t7\t7\nCapPrm:\t0000000000000000\n"));
        assert!(!is_plain("Uid:\t7\t7\t7\t7\nCapPrm:\t0000000000000400\n"));
        assert!(!is_plain(""));
    }
}
