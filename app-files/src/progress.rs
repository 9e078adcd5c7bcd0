//! How far reading has come. Comes in: bytes that were read. Goes out: done and total, to the caller.

use std::cell::Cell;

/// Counts bytes towards a total that grows as work is found.
pub(crate) struct Progress<'a> {
    done: Cell<u64>,
    total: Cell<u64>,
    tell: &'a dyn Fn(u64, u64),
}

impl<'a> Progress<'a> {
    pub(crate) fn new(tell: &'a dyn Fn(u64, u64)) -> Self {
        Self { done: Cell::new(0), total: Cell::new(0), tell }
    }

    /// There are `bytes` more to read than was known.
    pub(crate) fn expect(&self, bytes: u64) {
        self.total.set(self.total.get().saturating_add(bytes));
    }

    /// `bytes` more were read.
    pub(crate) fn advance(&self, bytes: u64) {
        self.done.set(self.done.get().saturating_add(bytes).min(self.total.get()));
        (self.tell)(self.done.get(), self.total.get());
    }
}
