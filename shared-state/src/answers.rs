//! In: a transcript. Out: who makes its answer, and the answer for those who ask again, whichever machine they reach. The
//! answer comes sealed and is not looked into.

use std::time::Duration;

use redis::cmd;

use crate::state::{Away, SharedState};

/// The longest answer that is kept.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Who makes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The caller.
    First,
    /// Somebody else, now or before.
    Again,
}

/// What is there for a transcript.
#[derive(Clone, PartialEq, Eq)]
pub enum Stored {
    /// The answer, sealed as it was put.
    Answer(Vec<u8>),
    /// Somebody makes it.
    Claimed,
    /// Neither.
    Nothing,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Answer(_) => "Answer",
            Self::Claimed => "Claimed",
            Self::Nothing => "Nothing",
        })
    }
}

impl SharedState {
    /// Claims the answer of `transcript`: one caller among all machines is the first, until `keep` is over.
    ///
    /// # Errors
    /// [`Away`]; the claim may stand then, until `keep` is over.
    pub async fn answer_claim(&self, transcript: [u8; 32], keep: Duration) -> Result<Claim, Away> {
        let inner = self.inner();
        let mut claim = inner.scripts.claim.key(inner.names.answer(&transcript));
        claim.arg(millis(keep));
        Ok(if inner.run::<bool>(&claim).await? { Claim::First } else { Claim::Again })
    }

    /// Keeps an answer for `keep`: `sealed` is 1 to [`MAX_ANSWER_BYTES`] bytes, that only machines of this installation can open.
    ///
    /// # Errors
    /// [`Away`], also for an answer of another length: it is not kept.
    pub async fn answer_put(&self, transcript: [u8; 32], sealed: &[u8], keep: Duration) -> Result<(), Away> {
        if sealed.is_empty() || sealed.len() > MAX_ANSWER_BYTES {
            return Err(Away);
        }
        let mut put = cmd("SET");
        put.arg(self.inner().names.answer(&transcript)).arg(sealed).arg("PX").arg(millis(keep));
        self.inner().within(async |link| put.query_async(&mut link.connection()).await).await
    }

    /// What is there for `transcript`.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn answer_get(&self, transcript: [u8; 32]) -> Result<Stored, Away> {
        let mut get = cmd("GET");
        get.arg(self.inner().names.answer(&transcript));
        let found: Option<Vec<u8>> =
            self.inner().within(async |link| get.query_async(&mut link.connection()).await).await?;
        Ok(match found {
            None => Stored::Nothing,
            Some(claim) if claim.is_empty() => Stored::Claimed,
            Some(answer) => Stored::Answer(answer),
        })
    }

    /// Gives a claim up; an answer that was put stays.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn answer_release(&self, transcript: [u8; 32]) -> Result<(), Away> {
        let inner = self.inner();
        let release = inner.scripts.release.key(inner.names.answer(&transcript));
        inner.run(&release).await
    }
}

fn millis(keep: Duration) -> u64 {
    u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).clamp(1, 86_400_000)
}
