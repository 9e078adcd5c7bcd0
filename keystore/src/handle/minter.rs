//! Minting tokens with a key. In: the time, and what an endpoint answered. Out: the request to send to it, and a token;
//! proven between: it is the endpoint that the key's bounds name, behind the roots that they name.

use std::fmt;
use std::sync::Arc;

use attest_core::random::Random;
use attest_core::target::Scheme;
use attest_core::time::UnixTime;
use recipes::{Changes, Credential, MintedToken, TokenRequest};

use super::{Inner, KeyError, Version};
use crate::bounds::Trust;

/// Mints tokens with one version of a key, at the token endpoint that its bounds name: for a task that outlives the
/// request that opened the key.
#[derive(Clone)]
pub struct Minter {
    pub(super) inner: Arc<Inner>,
    pub(super) at: usize,
}

impl Minter {
    /// The request that mints a token. It goes to the endpoint that the key's bounds name, over a connection that is
    /// verified against `trust`: both are looked at each time.
    ///
    /// # Errors
    /// Endpoint or roots are others; the recipe mints no tokens; the assertion could not be signed.
    pub fn request(&self, trust: Trust, now: UnixTime, random: &dyn Random) -> Result<TokenRequest, KeyError> {
        let (version, credential) = self.parts()?;
        let not_minted = |why| KeyError::NotMinted { key: self.inner.name().clone(), why };
        let request = credential.token_request(now, random).map_err(not_minted)?;
        let request = request.ok_or_else(|| self.inner.unsealable())?;
        let bounds = &version.record.bounds;
        let trusted = request.endpoint.scheme() == Scheme::Http || bounds.trust() == trust;
        if bounds.token_endpoint() != Some(&request.endpoint) || !trusted {
            return Err(KeyError::OtherEndpoint { key: self.inner.name().clone() });
        }
        Ok(request)
    }

    /// The token in what the endpoint answered.
    ///
    /// # Errors
    /// It refused, or its answer holds no token.
    pub fn read(&self, status: u16, body: &[u8], now: UnixTime) -> Result<MintedToken, KeyError> {
        let (version, _) = self.parts()?;
        let not_minted = |why| KeyError::NotMinted { key: self.inner.name().clone(), why };
        version.record.bounds.recipe().read_token_answer(status, body, now).map_err(not_minted)
    }

    /// What a token changes in a request. Allocates nothing.
    pub fn apply(&self, token: &MintedToken) -> Result<Changes, KeyError> {
        Ok(self.parts()?.1.apply_minted(token))
    }

    fn parts(&self) -> Result<(&Version, &Credential), KeyError> {
        let version = self.inner.versions.get(self.at).ok_or_else(|| self.inner.unsealable())?;
        let credential = self.inner.opened()?.credentials.get(self.at).ok_or_else(|| self.inner.unsealable())?;
        Ok((version, credential))
    }
}

impl fmt::Debug for Minter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Minter({})", self.inner.name())
    }
}
