//! Settlements on their way to the state that machines share.
//!
//! In: what requests used, from wherever they end. Out: each charged once, or counted as lost. Nobody waits for it: a
//! request has been answered by then. The queue is bounded; a settlement that finds it full, or no server for as long as
//! the server would remember it, is lost, and then its reservation stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use shared_state::{SETTLEMENT_MEMORY, Settlement, SharedState};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Settlements that may wait.
const MOST_WAITING: usize = 8192;
/// Asked at once.
const AT_ONCE: usize = 64;
/// Between two attempts while there is no answer.
const REST: Duration = Duration::from_millis(250);

/// Where requests leave what they used.
pub(super) struct Settler {
    queue: Sender<Settlement>,
    open: Arc<AtomicUsize>,
    lost: Counter,
}

impl Settler {
    /// Settles in `state`, on the runtime of the caller, for as long as there is anybody to leave something.
    pub(super) fn start(state: Arc<SharedState>, lost: Counter) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let open = Arc::new(AtomicUsize::new(0));
        tokio::spawn(work(waiting, state, open.clone(), lost.clone()));
        Self { queue, open, lost }
    }

    pub(super) fn settle(&self, settlement: Settlement) {
        if settlement.is_settled_as_reserved() {
            return;
        }
        self.open.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(settlement).is_err() {
            self.open.fetch_sub(1, Ordering::AcqRel);
            self.lost.inc();
        }
    }

    /// Waits until all is settled, for at most `patience`.
    pub(super) async fn finish(&self, patience: Duration) {
        let since = Instant::now();
        while self.open.load(Ordering::Acquire) > 0 && since.elapsed() < patience {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn work(mut waiting: Receiver<Settlement>, state: Arc<SharedState>, open: Arc<AtomicUsize>, lost: Counter) {
    let mut hand: Vec<(Settlement, Instant)> = Vec::new();
    loop {
        if hand.is_empty() {
            let Some(next) = waiting.recv().await else { return };
            hand.push((next, Instant::now()));
        }
        while hand.len() < AT_ONCE
            && let Ok(next) = waiting.try_recv()
        {
            hand.push((next, Instant::now()));
        }
        let mut asked = JoinSet::new();
        for (settlement, since) in hand.drain(..) {
            let state = state.clone();
            asked.spawn(async move {
                let settled = state.settle(&settlement).await;
                settled.is_err().then_some((settlement, since))
            });
        }
        for outcome in asked.join_all().await {
            match outcome {
                Some((settlement, since)) if since.elapsed() < SETTLEMENT_MEMORY / 2 => hand.push((settlement, since)),
                outcome => {
                    if outcome.is_some() {
                        lost.inc();
                    }
                    open.fetch_sub(1, Ordering::AcqRel);
                }
            }
        }
        if !hand.is_empty() {
            sleep(REST).await;
        }
    }
}
