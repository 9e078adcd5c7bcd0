//! The wall that panics stop at. Comes in: the body of an ABI function, or a call into C. Goes out: its value, or the
//! stand-in. Proven between: nothing unwinds into a caller that knows nothing of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// `body`, or `instead` where it panicked.
///
/// Unwind safety: whatever the SDK shares sits behind mutexes that are taken whole or recovered; a half-made local is
/// dropped with the panic.
pub(crate) fn guard<T>(instead: impl FnOnce() -> T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // Not dropped: a payload whose own drop panics would unwind out of here.
        std::mem::forget(payload);
        instead()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_stand_in() {
        assert_eq!(guard(|| 2, || 1), 1);
        assert_eq!(guard(|| 2, || panic!("a fault")), 2);
    }

    struct Worse;

    impl Drop for Worse {
        fn drop(&mut self) {
            panic!("while it is thrown away");
        }
    }

    #[test]
    fn a_payload_that_panics_in_its_own_drop_stays_inside() {
        assert_eq!(guard(|| 2, || std::panic::panic_any(Worse)), 2);
    }
}
