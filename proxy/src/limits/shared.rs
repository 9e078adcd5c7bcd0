//! Counts that machines share.
use std::convert::Infallible;
use std::net::IpAddr;

use policies::Permit;

use crate::refusal::Limited;
use crate::route::Route;

pub(crate) struct Away;
pub(crate) struct SharedLimits(Infallible);
impl SharedLimits {
    pub(crate) fn is_up(&self) -> bool {
        match self.0 {}
    }
    pub(crate) async fn used_up(&self, _: &Permit, _: &Route, _: Option<IpAddr>) -> Result<Option<Limited>, Away> {
        match self.0 {}
    }
}
