//! Calls into C. Comes in: the app's functions and the pointer they were set with. Goes out: what they said.
//! Proven between: nothing unwinds further than here (a panic of a function in Rust is a fault told, a C++ exception ends the
//! process); the pointer is released exactly once, after its last use; a thread knows when it is inside a callback, so that
//! nothing waits for itself there.

use std::cell::Cell;
use std::ffi::c_void;

use crate::guard::guard;

/// `assay_release_fn`. `C-unwind` here and below: what a C++ or Rust callback throws must not be undefined on its way
/// to the wall, where Rust catches its own and aborts at what is foreign.
pub(crate) type ReleaseFn = Option<unsafe extern "C-unwind" fn(user: *mut c_void)>;

/// The app's pointer, and how to let go of it.
pub(crate) struct User {
    pointer: *mut c_void,
    release: ReleaseFn,
}

// SAFETY: the pointer is never followed here, only handed back; the header says that callbacks run on threads of the SDK,
// several at once.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl User {
    pub(crate) fn new(pointer: *mut c_void, release: ReleaseFn) -> Self {
        Self { pointer, release }
    }

    /// Runs `call` with the pointer; `None` where it unwound.
    pub(crate) fn call<T>(&self, call: impl FnOnce(*mut c_void) -> T) -> Option<T> {
        let _inside = Inside::enter();
        guard(|| None, || Some(call(self.pointer)))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the app's function, with the pointer that it was set with; nobody holds this value any more.
            self.call(|pointer| unsafe { release(pointer) });
        }
    }
}

/// Whether this thread is inside one of the app's functions.
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}

struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    unsafe extern "C-unwind" fn release(user: *mut c_void) {
        // SAFETY: the tests hand in this type.
        unsafe { &*user.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
        panic!("on its way out");
    }

    #[test]
    fn is_released_once_and_unwinds_nowhere() {
        let count = AtomicUsize::new(0);
        let user = User::new((&raw const count).cast_mut().cast(), Some(release));
        assert_eq!(user.call(|_| is_inside()), Some(true));
        assert_eq!(user.call(|_| panic!("thrown")), None::<()>);
        assert!(!is_inside(), "also after a panic");
        drop(user);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
