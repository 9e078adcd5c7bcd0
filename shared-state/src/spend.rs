//! In: a challenge that came back. Out: whether it is the first time, under the epoch that it was made in. What is proven:
//! looking it up and setting it are one step on the server, in which the epoch was compared too.

use crate::{
    epoch::LEAP_MS,
    state::{Away, SharedState},
};

/// What became of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// It is the caller's, and nobody else's.
    First,
    /// It was used before.
    Again,
    /// It was made before the server forgot.
    OldEpoch,
    /// No room to remember it, for this network or at all.
    Full,
}

impl SharedState {
    /// Uses the challenge `nonce` up, which was made under `epoch` and is remembered for `left_ms` (the rest of its life,
    /// and as much as the clocks of machines may differ, and the server's leap: half a minute; 1 ms to a day).
    ///
    /// `network` is where the request came from, by which room is shared out: of `capacity` live challenges a quarter,
    /// and once three quarters are taken a 4096th. Live ones are never dropped.
    ///
    /// # Errors
    /// [`Away`]; the challenge may be spent then.
    pub async fn spend(
        &self,
        nonce: [u8; 16],
        epoch: [u8; 8],
        left_ms: u64,
        network: &[u8],
        capacity: u64,
    ) -> Result<Spend, Away> {
        let inner = self.inner();
        let names = &inner.names;
        let mut spend = inner.scripts.spend.prepare_invoke();
        spend.key(names.epoch()).key(names.spent(epoch)).key(names.network(epoch, network));
        spend
            .arg(epoch.as_slice())
            .arg(nonce.as_slice())
            .arg(left_ms.clamp(1, DAY_MS))
            .arg(capacity.max(1))
            .arg(LEAP_MS);
        match inner.run(&spend).await? {
            0_u8 => Ok(Spend::First),
            1 => Ok(Spend::Again),
            2 => {
                // Perhaps the server was flushed, and the keeper does not know yet.
                inner.doubted.notify_one();
                Ok(Spend::OldEpoch)
            }
            3 => Ok(Spend::Full),
            _ => Err(Away),
        }
    }
}

const DAY_MS: u64 = 86_400_000;
