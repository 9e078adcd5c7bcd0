//! What stands in for a provider that was left out of this build: a refusal that names it.

use keystore::MasterKey;
use keystore::kek::KekProvider;

use super::UnlockError;
use crate::Around;

macro_rules! left_out {
    ($feature:literal, $unwrap:ident, $wrap:ident, $settings:ty) => {
        #[cfg(not(feature = $feature))]
        pub(super) async fn $unwrap(_: &$settings, _: &str, _: &Around) -> Result<MasterKey, UnlockError> {
            Err(UnlockError::NotBuilt { feature: $feature })
        }

        #[cfg(not(feature = $feature))]
        pub(super) async fn $wrap(_: &$settings, _: &Around) -> Result<(MasterKey, KekProvider), UnlockError> {
            Err(UnlockError::NotBuilt { feature: $feature })
        }
    };
}

left_out!("vault", unwrap_by_vault, wrap_by_vault, settings::VaultUnlock);
left_out!("aws-kms", unwrap_by_kms, wrap_by_kms, settings::AwsKmsUnlock);
