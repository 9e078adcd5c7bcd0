//! Budgets counted in this process.
//!
//! In: what a request reserves, and later what it used. Out: room for all of it, or how long until the next window. Of a
//! window there is one number, what is *spent*: reservations and settled usage together. So a reservation that nobody
//! settles stands by itself, and a crash between the two steps can't free it.
//!
//! **The invariant.** At every instant, for each subject and window,
//!
//! `spent <= amount + the sum, over requests settled in it, of what each used beyond its reservation`
//!
//! and nothing is reserved unless `spent + reserve <= amount` held in the same step. Where no request uses more than it
//! reserved, a budget is never exceeded by a single unit, whatever runs at once. Where one does, all of its usage is
//! charged, and once that reaches the amount the window is closed. What is used beyond a reservation whose window is
//! over is charged to the window of that moment: nothing goes uncharged.
//!
//! The map is bounded to [`MOST`] live subjects. Windows that are over are swept; while it is full of live ones,
//! newcomers to one budget share a cell.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use attest_core::time::UnixTime;
use dashmap::DashMap;

use crate::budget::{Budget, Subject, millis};

/// Live subjects at most, 40 bytes each and as much again for the table.
pub const MOST: usize = 1 << 18;
/// How often a full map may be swept, in milliseconds: a sweep walks all cells.
const SWEEP_EVERY: u64 = 100;

/// The budgets of all routes. One for the life of a process: spending survives a reload, since a subject is found by
/// the limit's name.
#[derive(Debug)]
pub struct Ledger {
    cells: DashMap<Subject, Cell>,
    /// Cells in the map; it may be off by the requests that are counting right now.
    live: AtomicUsize,
    most: usize,
    swept: AtomicU64,
    /// Windows that began before this moment (milliseconds) count as used up.
    closed_before: AtomicU64,
    changed: AtomicBool,
}

/// One subject's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Milliseconds.
    pub(crate) window: u64,
    /// Which window: [`Budget::number`].
    pub(crate) number: u64,
    pub(crate) spent: u64,
}

/// What one request reserved in one budget. Dropping it lets the reservation stand. It can't be copied, so it is settled
/// once.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    place: Subject,
    budget: Budget,
    number: u64,
    reserved: u64,
    /// Units that are left in the window.
    pub remaining: u64,
    /// Until the window is over.
    pub ends_in: Duration,
}

/// A budget without room for a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Units that are left in the window: fewer than were asked for.
    pub remaining: u64,
    /// Until the next window.
    pub retry_after: Duration,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// Nothing is spent.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room_for(MOST)
    }

    pub(crate) fn with_room_for(most: usize) -> Self {
        Self {
            cells: DashMap::new(),
            live: AtomicUsize::new(0),
            most,
            swept: AtomicU64::new(0),
            closed_before: AtomicU64::new(0),
            changed: AtomicBool::new(false),
        }
    }

    /// From now on every window that began before `now` counts as used up: what was spent in it is not known.
    pub fn close_windows_of(&self, now: UnixTime) {
        self.closed_before.store(millis(now), Ordering::Release);
    }

    /// Reserves `reserve` units (at least one) of `subject` in the window of `now`.
    ///
    /// # Errors
    /// [`Exhausted`]; nothing is reserved.
    pub fn reserve(&self, subject: Subject, budget: Budget, reserve: u64, now: UnixTime) -> Result<Held, Exhausted> {
        let reserve = reserve.max(1);
        let place = self.place_of(subject, budget, now);
        // The entry's lock is held from the look to the change: in between nobody else spends.
        let mut cell = self.cells.entry(place).or_insert_with(|| {
            self.live.fetch_add(1, Ordering::Relaxed);
            Cell::fresh(budget, now)
        });
        cell.move_to(budget, now);
        let number = cell.number;
        let ends_in = budget.ends_in(number, now);
        let left = if self.is_closed(budget, number) { 0 } else { budget.amount().saturating_sub(cell.spent) };
        if left < reserve {
            return Err(Exhausted { remaining: left, retry_after: ends_in });
        }
        cell.spent = cell.spent.saturating_add(reserve);
        drop(cell);
        self.changed.store(true, Ordering::Release);
        Ok(Held { place, budget, number, reserved: reserve, remaining: left - reserve, ends_in })
    }

    /// Charges `more` on top of a reservation at once: it is used already, and others must not spend it meanwhile. The
    /// reservation grows by as much, so settling goes on from there.
    pub fn grow(&self, held: &mut Held, more: u64, now: UnixTime) {
        let grown = held.reserved.saturating_add(more);
        self.charge(held, grown, now);
        held.reserved = grown;
    }

    /// Charges what the request used, instead of what it reserved. `used` of 0 gives the whole reservation back.
    pub fn settle(&self, held: Held, used: u64, now: UnixTime) {
        self.charge(&held, used, now);
    }

    fn charge(&self, held: &Held, used: u64, now: UnixTime) {
        if used == held.reserved {
            return;
        }
        let fresh = Cell { number: held.number, ..Cell::fresh(held.budget, now) };
        let mut cell = self.cells.entry(held.place).or_insert_with(|| {
            self.live.fetch_add(1, Ordering::Relaxed);
            fresh
        });
        cell.move_to(held.budget, now);
        cell.spent = if cell.number == held.number {
            cell.spent.saturating_sub(held.reserved).saturating_add(used)
        } else {
            cell.spent.saturating_add(used.saturating_sub(held.reserved))
        };
        drop(cell);
        self.changed.store(true, Ordering::Release);
    }

    /// Live subjects.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Whether anything was spent or settled since this was last asked.
    #[must_use]
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// What changed was not written down: it is asked for once more.
    pub fn mark_changed(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// The subject's own cell, or that of newcomers while there is no room.
    fn place_of(&self, subject: Subject, budget: Budget, now: UnixTime) -> Subject {
        let has_room = self.live.load(Ordering::Relaxed) < self.most;
        if has_room || self.cells.contains_key(&subject) || self.sweep(now) { subject } else { newcomers(budget) }
    }

    fn is_closed(&self, budget: Budget, number: u64) -> bool {
        let begin = number.saturating_mul(u64::try_from(budget.window().as_millis()).unwrap_or(u64::MAX));
        begin < self.closed_before.load(Ordering::Acquire)
    }

    /// Makes room in a full map, at most ten times a second; tells whether there is some.
    fn sweep(&self, now: UnixTime) -> bool {
        let now = millis(now);
        let last = self.swept.load(Ordering::Relaxed);
        let due = now >= last.saturating_add(SWEEP_EVERY) || now < last;
        if !due || self.swept.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        self.cells.retain(|_, cell| !cell.is_over(now) && cell.spent > 0);
        let live = self.cells.len();
        self.live.store(live, Ordering::Relaxed);
        live < self.most
    }

    pub(crate) fn for_each_live(&self, now: UnixTime, mut see: impl FnMut(&Subject, Cell)) {
        let now = millis(now);
        for entry in self.cells.iter().filter(|entry| !entry.is_over(now) && entry.spent > 0) {
            see(entry.key(), *entry.value());
        }
    }

    /// Puts back what was kept; false when there is no more room.
    pub(crate) fn put_back(&self, subject: Subject, cell: Cell) -> bool {
        if self.live.load(Ordering::Relaxed) >= self.most {
            return false;
        }
        if self.cells.insert(subject, cell).is_none() {
            self.live.fetch_add(1, Ordering::Relaxed);
        }
        true
    }
}

impl Held {
    /// What was reserved.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.reserved
    }
}

impl Cell {
    fn fresh(budget: Budget, now: UnixTime) -> Self {
        let window = u64::try_from(budget.window().as_millis()).unwrap_or(u64::MAX);
        Self { window, number: budget.number(now), spent: 0 }
    }

    /// Begins the window of `now`, if this one is over. A clock that was set back by less than a window gives no second
    /// budget; one that had been far ahead locks nobody out for that long.
    fn move_to(&mut self, budget: Budget, now: UnixTime) {
        let fresh = Self::fresh(budget, now);
        let same = self.window == fresh.window && (self.number == fresh.number || self.number == fresh.number + 1);
        if !same {
            // The operator made the window another: what was spent moves along, unless its time is over.
            let kept = if self.window != fresh.window && !self.is_over(millis(now)) { self.spent } else { 0 };
            *self = Self { spent: kept, ..fresh };
        }
    }

    fn is_over(&self, now: u64) -> bool {
        self.number.saturating_add(1).saturating_mul(self.window) <= now
    }
}

/// The cell that newcomers to one budget share while the map is full. Budgets are the operator's: there are few, so
/// these cells are beyond the bound and need none.
fn newcomers(budget: Budget) -> Subject {
    let mut hash = DefaultHasher::new();
    ("newcomers", budget).hash(&mut hash);
    let mut place = *b"newcomers-------";
    let [.., a, b, c, d, e, f, g, h] = &mut place;
    for (to, from) in [a, b, c, d, e, f, g, h].into_iter().zip(hash.finish().to_be_bytes()) {
        *to = from;
    }
    place
}

#[cfg(test)]
mod tests;
