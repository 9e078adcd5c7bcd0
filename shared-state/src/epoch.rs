//! In: a new connection, or one that is a second older. Out: the epoch of the server behind it. What is proven: the server
//! is the one that made this epoch and has kept it; a server that started anew, was flushed, or took over from another
//! begins its own.

use redis::{RedisError, RedisResult, aio::MultiplexedConnection};

use crate::state::Inner;

/// A random id.
pub(crate) type Epoch = [u8; 8];

impl Inner {
    /// The epoch of the server behind `connection`, begun where it has none of its own.
    pub(crate) async fn epoch_of(&self, connection: &mut MultiplexedConnection) -> RedisResult<Epoch> {
        let fresh = self.random_epoch().ok_or_else(|| broken("no random bytes"))?;
        let id: Vec<u8> =
            self.scripts.epoch.key(self.names.epoch()).arg(fresh.as_slice()).invoke_async(connection).await?;
        id.try_into().map_err(|_| broken("the epoch is not ours"))
    }
}

fn broken(what: &'static str) -> RedisError {
    RedisError::from((redis::ErrorKind::UnexpectedReturnType, what))
}
