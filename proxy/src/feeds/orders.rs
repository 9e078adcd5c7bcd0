//! Orders of operators, as they reach this gateway and as it keeps them.
//!
//! In come verified revocation documents; out go the orders that hold. Proven between: orders come from no older document
//! than those in use, whichever of them arrives later, and none is dropped because the service can't be asked: each ends
//! by itself.
//!
//! The document that brought them is kept in the state folder as it was signed, and judged anew when the process starts:
//! a lockdown outlives a restart of the gateway while the service is away, and nobody who can write that file can make an
//! order.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use attest_core::feed::{FeedPublicKey, MAX_DOCUMENT_BYTES, Order, RevocationDocument, SignedDocument};
use attest_core::orders::Orders;
use attest_core::time::UnixTime;

use crate::whole_file;

/// Replicas' clocks may be apart by so much before a document counts as the older one.
const LENIENCE: Duration = Duration::from_secs(60);
/// Name of the file in the state folder.
pub(super) const FILE: &str = "orders.json";

/// The orders of one publisher.
pub(super) struct OwnOrders {
    current: ArcSwap<Orders>,
    newest: Mutex<Newest>,
    file: Option<PathBuf>,
    /// The last ones could not be written down: they are tried again with the next document.
    unwritten: AtomicBool,
}

/// The newest document that told orders.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    latest: u64,
    issued: UnixTime,
}

impl OwnOrders {
    /// No orders yet, or those of `file`, where `pinned` signed it. `now`: this gateway's own clock.
    pub(super) fn new(file: Option<PathBuf>, pinned: &FeedPublicKey, now: UnixTime) -> Self {
        let kept = file.as_deref().and_then(|file| read(file, pinned));
        let (newest, unwritten) = (Mutex::default(), AtomicBool::new(false));
        let orders = Self { current: ArcSwap::default(), newest, file, unwritten };
        if let Some(document) = kept {
            // A store that was restored has lower numbers and a later date: the number is forgotten with the process.
            *orders.newest() = Newest { latest: 0, issued: document.issued().min(now) };
            let kept: Vec<Order> = document.orders.unwrap_or_default();
            let kept = Orders::new(kept);
            for order in kept.in_force(now) {
                tell("in force since before the start", order);
            }
            orders.current.store(Arc::new(kept));
        }
        orders
    }

    /// The orders in use, ended ones included: they know when they end.
    pub(super) fn current(&self) -> Guard<Arc<Orders>> {
        self.current.load()
    }

    /// Begins with what another feed of the same publisher has.
    pub(super) fn adopt(&self, other: &Self) {
        *self.newest() = *other.newest();
        self.current.store(other.current.load_full());
    }

    /// Takes the orders of a verified document; gives what is to be kept on disk, where they differ from those in use.
    pub(super) fn take(&self, document: &RevocationDocument, signed: &SignedDocument, now: UnixTime) -> Option<Keep> {
        // A service of before orders says nothing about them: those that are known go on until they end.
        let told = document.orders.as_ref()?;
        let mut newest = self.newest();
        let older = document.latest < newest.latest || document.issued().plus(LENIENCE) < newest.issued;
        if older {
            return None;
        }
        // A date in our future would keep out what comes after it.
        *newest = Newest { latest: document.latest, issued: newest.issued.max(document.issued().min(now)) };
        let before = self.current.load_full();
        if before.all() == told && !self.unwritten.swap(false, Ordering::AcqRel) {
            return None;
        }
        self.current.store(Arc::new(Orders::new(told.clone())));
        drop(newest);
        for order in told.iter().filter(|order| !before.all().contains(order)) {
            tell("an order holds from now on", order);
        }
        for order in before.all().iter().filter(|order| !told.contains(order)) {
            tell("an order is over", order);
        }
        Some(Keep { file: self.file.clone()?, text: signed.to_json() })
    }

    /// What [`Self::take`] gave did not reach the disk.
    pub(super) fn not_kept(&self) {
        self.unwritten.store(true, Ordering::Release);
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A document on its way to the disk.
#[derive(Debug)]
pub(super) struct Keep {
    file: PathBuf,
    text: String,
}

impl Keep {
    /// Writes it, on a thread where that disturbs no request. False: it is not on disk.
    pub(super) async fn write(self) -> bool {
        let Self { file, text } = self;
        let path = file.clone();
        let written = tokio::task::spawn_blocking(move || whole_file::replace(&path, text.as_bytes())).await;
        if let Ok(Err(why)) = &written {
            tracing::error!(
                "operators' orders hold, and would not outlive a restart without the service: {}: {why}",
                file.display()
            );
        }
        matches!(written, Ok(Ok(())))
    }
}

fn read(file: &Path, pinned: &FeedPublicKey) -> Option<RevocationDocument> {
    let bytes = match whole_file::read(file, MAX_DOCUMENT_BYTES) {
        Ok(bytes) => bytes?,
        Err(why) => {
            tracing::error!("the orders that were kept can't be read: {}: {why}", file.display());
            return None;
        }
    };
    let document = SignedDocument::parse(&bytes)
        .and_then(|signed| pinned.verify_revocations(&signed))
        .and_then(|payload| RevocationDocument::parse(&payload));
    match document {
        Ok(document) => Some(document),
        Err(why) => {
            tracing::error!("the orders that were kept are not used: {}: {why}", file.display());
            None
        }
    }
}

fn tell(what: &str, order: &Order) {
    let routes = if order.routes.is_empty() { "all".to_owned() } else { order.routes.join(",") };
    tracing::warn!(
        order = order.id, kind = %order.kind, %routes, until = order.until, by = %order.by, reason = %order.reason, "{what}"
    );
}

#[cfg(test)]
mod tests;
