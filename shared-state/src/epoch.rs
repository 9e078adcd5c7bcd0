//! In: a new connection, or one that is a second older. Out: the epoch of the server behind it. What is proven: the server
//! is the one that made this epoch and has kept it; a server that started anew, was flushed, took over from another, or
//! whose clock was moved begins its own.

use redis::{RedisError, RedisResult, aio::MultiplexedConnection};

use crate::state::Inner;

/// A random id.
pub(crate) type Epoch = [u8; 8];

/// How far the server's clock may leap between two looks, which are a second apart. It ends entries by that clock: one
/// that was set forward forgets before its time. Within this, callers who ask for some more time than they need lose nothing.
pub(crate) const LEAP_MS: u64 = 30_000;

impl Inner {
    /// The epoch of the server behind `connection`, begun where it has none of its own.
    pub(crate) async fn epoch_of(&self, connection: &mut MultiplexedConnection) -> RedisResult<Epoch> {
        let fresh = self.random_epoch().ok_or_else(|| broken("no random bytes"))?;
        let mut look = self.scripts.epoch.key(self.names.epoch());
        look.arg(fresh.as_slice()).arg(LEAP_MS);
        let id: Vec<u8> = look.invoke_async(connection).await?;
        id.try_into().map_err(|_| broken("the epoch is not ours"))
    }
}

fn broken(what: &'static str) -> RedisError {
    RedisError::from((redis::ErrorKind::UnexpectedReturnType, what))
}
