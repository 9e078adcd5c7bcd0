//! From a name to addresses. What comes out is not checked yet: [`Dialer`](crate::Dialer) does that.

use std::fmt;
use std::io;
use std::net::IpAddr;

use async_trait::async_trait;

/// Who answers for names.
#[async_trait]
pub trait Resolve: Send + Sync + fmt::Debug {
    /// All addresses of `host`, a name without port; in the order in which they are to be tried.
    ///
    /// # Errors
    /// No such name, or nobody who could say.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect())
    }
}
