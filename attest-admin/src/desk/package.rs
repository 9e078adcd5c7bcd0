//! In: what a build's package says of itself, and what the configuration says of the app. Out: whether both speak of the
//! same app. A repackaged app measures well against its own registration: what must not happen is that registration.

use attest_core::reference::PackageFacts;
use data_encoding::HEXLOWER_PERMISSIVE;
use settings::AppPlatform;

use crate::{problem::Problem, types::Package};

/// What stands before a hash.
const SIGNER: &str = "sha256:";

/// Reads what came over the wire.
///
/// # Errors
/// `invalid`, naming the member.
pub(super) fn read(package: &Package) -> Result<PackageFacts, Problem> {
    let signers = package.signers.iter().map(|text| {
        sha256(text).ok_or_else(|| Problem::invalid("package.signers", "sha256: and 64 hexadecimal digits each"))
    });
    Ok(PackageFacts { id: package.id.clone(), team: package.team.clone(), signers: signers.collect::<Result<_, _>>()? })
}

/// Reads `sha256:` and 64 hexadecimal digits.
pub(super) fn sha256(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix(SIGNER)?;
    HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// Writes it for the wire.
pub(super) fn told(package: &PackageFacts) -> Package {
    Package {
        id: package.id.clone(),
        team: package.team.clone(),
        signers: package.signers.iter().map(signer).collect(),
    }
}

/// Holds the package against the configuration.
///
/// # Errors
/// `conflict`, naming the member and both sides.
pub(super) fn agree(package: &PackageFacts, configured: &AppPlatform) -> Result<(), Problem> {
    if let Some(expected) = &configured.id {
        // `TEAM.bundle` on iOS, the package's name elsewhere.
        let named = match (&package.team, &package.id) {
            (Some(team), Some(id)) => Some(format!("{team}.{id}")),
            (_, id) => id.clone(),
        };
        if named.as_ref().is_some_and(|named| named != expected) {
            let named = named.unwrap_or_default();
            return Err(
                Problem::conflict(format!("the file is {named}, the configuration says {expected}")).at("package.id")
            );
        }
        if named.is_none() {
            return Err(Problem::conflict(format!("the file names no package, the configuration says {expected}"))
                .at("package.id"));
        }
    }
    if configured.signers.is_empty() {
        return Ok(());
    }
    if package.signers.is_empty() {
        return Err(
            Problem::conflict("the file is not signed, the configuration names its signers").at("package.signers")
        );
    }
    match package.signers.iter().find(|signer| !configured.signers.contains(*signer)) {
        None => Ok(()),
        Some(stranger) => Err(Problem::conflict(format!(
            "the file is signed by {}, which is none of the configuration's signers",
            signer(stranger)
        ))
        .at("package.signers")),
    }
}

fn signer(hash: &[u8; 32]) -> String {
    format!("{SIGNER}{}", data_encoding::HEXLOWER.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn facts(id: Option<&str>, team: Option<&str>, signers: &[u8]) -> PackageFacts {
        PackageFacts {
            id: id.map(str::to_owned),
            team: team.map(str::to_owned),
            signers: signers.iter().map(|byte| [*byte; 32]).collect(),
        }
    }

    fn configured(id: Option<&str>, signers: &[u8]) -> AppPlatform {
        AppPlatform {
            id: id.map(str::to_owned),
            signers: signers.iter().map(|byte| [*byte; 32]).collect(),
            ..AppPlatform::default()
        }
    }

    #[test]
    fn refuses_another_app_under_this_name() {
        let id = configured(Some("com.example.shop"), &[]);
        for other in [
            facts(Some("com.evil.shop"), None, &[]),
            facts(None, None, &[]),
            facts(Some("com.example.shop"), Some("TEAM"), &[]),
        ] {
            let problem = agree(&other, &id).unwrap_err();
            assert_eq!((problem.code, problem.field.as_deref()), (Code::Conflict, Some("package.id")));
        }
        let signed = configured(None, &[1, 2]);
        for other in [facts(None, None, &[]), facts(None, None, &[3]), facts(None, None, &[1, 3])] {
            assert_eq!(agree(&other, &signed).unwrap_err().field.as_deref(), Some("package.signers"));
        }
    }

    #[test]
    fn takes_what_the_configuration_names_and_what_it_leaves_open() {
        assert_eq!(agree(&facts(Some("a.b"), None, &[1]), &configured(Some("a.b"), &[1, 2])), Ok(()));
        assert_eq!(agree(&facts(Some("a.b"), Some("TEAM"), &[]), &configured(Some("TEAM.a.b"), &[])), Ok(()));
        assert_eq!(agree(&facts(None, None, &[]), &configured(None, &[])), Ok(()));
    }

    #[test]
    fn signers_have_one_form() {
        let package = |text: &str| Package { signers: vec![text.to_owned()], ..Package::default() };
        for bad in ["", "00", "sha256:00", &format!("SHA256:{}", "0".repeat(64)), &format!("sha256:{}", "g".repeat(64))]
        {
            assert_eq!(read(&package(bad)).unwrap_err().field.as_deref(), Some("package.signers"), "{bad}");
        }
        let text = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(told(&read(&package(&text)).unwrap()).signers, [text]);
    }
}
