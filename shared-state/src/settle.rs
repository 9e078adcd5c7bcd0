//! In: what a request reserved in budgets, and what it used. Out: that it is charged so. What is proven: a settlement
//! happens once, however often it is asked: an answer that was lost may be asked for again.

use std::time::Duration;

use crate::limits::Held;
use crate::state::{Away, SharedState};

/// For how long a settlement is remembered: who asks again does so within half of this.
pub const SETTLEMENT_MEMORY: Duration = Duration::from_secs(60);

/// One request's budgets, to be charged.
#[derive(Debug)]
pub struct Settlement {
    id: [u8; 16],
    parts: Vec<(Held, u64)>,
}

impl Settlement {
    /// What was held, and what was used of it: 0 gives a reservation back. `id` is this request's alone, at random.
    #[must_use]
    pub fn new(id: [u8; 16], parts: Vec<(Held, u64)>) -> Self {
        Self { id, parts }
    }

    /// Whether there is nothing to change: all of it was used as it was reserved.
    #[must_use]
    pub fn is_settled_as_reserved(&self) -> bool {
        self.parts.iter().all(|(held, used)| held.reserved == *used)
    }
}

impl SharedState {
    /// Charges what was used instead of what was reserved. Asked again with the same id it changes nothing.
    ///
    /// # Errors
    /// [`Away`]; it may be settled then. Until it is, the reservation stands.
    pub async fn settle(&self, settlement: &Settlement) -> Result<(), Away> {
        let inner = self.inner();
        let changed = || settlement.parts.iter().filter(|(held, used)| held.reserved != *used);
        let mut settle = inner.scripts.settle.key(inner.names.settlement(&settlement.id));
        for (held, _) in changed() {
            settle.key(held.cell.as_slice());
        }
        settle.arg(SETTLEMENT_MEMORY.as_millis().to_string());
        for (held, used) in changed() {
            let window = held.budget.window().as_millis().to_string();
            let used = (*used).min(metering::Budget::MOST);
            settle.arg(window).arg(held.number).arg(held.reserved).arg(used);
        }
        inner.run::<u64>(&settle).await.map(drop)
    }
}
