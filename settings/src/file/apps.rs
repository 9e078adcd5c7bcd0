//! `attestation.apps:` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{text::text_type, units::shown};
use crate::shape::{Fault, Field};

/// One app, by the platforms it exists on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "App")]
pub(crate) struct RawApp {
    /// The oldest version that passes, in quotes. Platforms may override it. Default: any.
    #[serde(default)]
    pub(crate) min_version: Field<VersionText>,
    /// Linux.
    #[serde(default)]
    pub(crate) linux: Field<RawAppPlatform>,
    /// Android.
    #[serde(default)]
    pub(crate) android: Field<RawAppPlatform>,
    /// iOS. A measurement says nothing there, so only enrolled and forced devices pass.
    #[serde(default)]
    pub(crate) ios: Field<RawAppPlatform>,
}

/// What is asked of an app on one platform.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppPlatform")]
pub(crate) struct RawAppPlatform {
    /// Who it is to the platform: com.example.shop on Android, TEAM.com.example.shop on iOS. A file with another can't be
    /// registered. Default: any.
    #[serde(default)]
    pub(crate) id: Field<AppId>,
    /// Android: SHA-256 of the certificates that may sign it, as `sha256:` and 64 hexadecimal digits. A file signed by
    /// another can't be registered. Default: any.
    #[serde(default)]
    pub(crate) signers: Field<Vec<Field<Signer>>>,
    /// Evidence without which a device fails; nothing outweighs it. Not empty, and not on iOS.
    #[serde(default)]
    pub(crate) require: Field<Vec<Field<EvidenceWord>>>,
    /// Evidence that counts where it comes, beside what is required. Default: none.
    #[serde(default)]
    pub(crate) accept: Field<Vec<Field<EvidenceWord>>>,
    /// The most that a kind of evidence is worth.
    #[serde(default)]
    pub(crate) weigh: Field<RawWeigh>,
    /// What each finding of the SDK costs. Clean findings count for nothing.
    #[serde(default)]
    pub(crate) findings: Field<RawFindings>,
    /// The oldest version that passes, in quotes. Default: the app's.
    #[serde(default)]
    pub(crate) min_version: Field<VersionText>,
    /// Lets measurement alone vouch for an app (tier affirming). Measurement is tamper evidence, not proof: whoever holds the
    /// app's file can compute it. For demonstrations and development. Default: false.
    #[serde(default)]
    pub(crate) danger_affirm_measurement_alone: Field<bool>,
}

/// The most that each kind of evidence is worth.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Weigh")]
pub(crate) struct RawWeigh {
    /// affirming needs danger_affirm_measurement_alone. Default: warning, with that key affirming.
    #[serde(default)]
    pub(crate) measurement: Field<TierWord>,
}

/// What each finding of the SDK costs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Findings")]
pub(crate) struct RawFindings {
    /// A debugger or tracer is attached. Default: fail.
    #[serde(default)]
    pub(crate) tracer: Field<FindingWord>,
    /// A library that does not belong. Default: fail.
    #[serde(default)]
    pub(crate) injected_library: Field<FindingWord>,
    /// The package is not the one that was built, or not signed by who built it. Default: fail.
    #[serde(default)]
    pub(crate) repackaged: Field<FindingWord>,
    /// It runs in an emulator. Default: warn.
    #[serde(default)]
    pub(crate) emulator: Field<FindingWord>,
    /// The device is rooted. Default: warn.
    #[serde(default)]
    pub(crate) root: Field<FindingWord>,
    /// Any other finding. Default: warn.
    #[serde(default)]
    pub(crate) other: Field<FindingWord>,
}

/// A kind of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum EvidenceWord {
    Measurement,
    DeviceKey,
}

/// How much evidence can be worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum TierWord {
    Warning,
    Affirming,
}

/// What a finding costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum FindingWord {
    /// The app fails.
    Fail,
    /// At most tier warning.
    Warn,
    /// Nothing; it is still told to the operator.
    Ignore,
}

text_type!(
    /// A version that others can be compared with.
    VersionText(String), "a version in quotes such as \"3.2\"",
    {
        "type": "string",
        "pattern": "^[0-9]+(\\.[0-9]+){0,5}([-+].+)?$",
        "description": "A version, in quotes: \"3.2\", \"3.2.0-rc1\". Numbers with dots between; 3.10 comes after 3.9.",
        "examples": ["3.2"],
    },
    version
);

text_type!(
    /// A package name, or a team and a bundle identifier.
    AppId(String), "an identifier such as `com.example.shop`",
    {
        "type": "string",
        "pattern": "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9])?$",
        "description": "Android: com.example.shop. iOS: ABCDE12345.com.example.shop, the team first.",
    },
    app_id
);

text_type!(
    /// SHA-256 of a signing certificate.
    Signer([u8; 32]), "a fingerprint such as `sha256:…`",
    {
        "type": "string",
        "pattern": "^sha256:[0-9a-f]{64}$",
        "description": "SHA-256 of the signing certificate: sha256: and 64 hexadecimal digits.",
    },
    signer
);

fn version(text: &str) -> Result<String, Fault> {
    if text.len() <= 64 && attest_core::version::Version::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{}` is not a version that others can be compared with", shown(text)))
        .hint("write \"3.2\": up to six numbers with dots between, then perhaps -rc1"))
}

fn app_id(text: &str) -> Result<String, Fault> {
    let segment =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if text.len() <= 255 && text.contains('.') && text.split('.').all(segment) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{}` can't be the identifier of an app", shown(text)))
        .hint("write com.example.shop (Android), or ABCDE12345.com.example.shop (iOS)"))
}

fn signer(text: &str) -> Result<[u8; 32], Fault> {
    let fault = || Fault::new(format!("`{}` is not the fingerprint of a certificate", shown(text)));
    let bare: String = text.strip_prefix("sha256:").unwrap_or(text).chars().filter(|c| *c != ':').collect();
    let digits = bare.to_ascii_lowercase();
    let bytes =
        data_encoding::HEXLOWER.decode(digits.as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    match bytes {
        Some(bytes) if text.strip_prefix("sha256:") == Some(digits.as_str()) => Ok(bytes),
        // As keytool and apksigner print it.
        Some(_) => Err(fault().hint(format!("write sha256:{digits}"))),
        None => {
            Err(fault().hint("write sha256: and 64 hexadecimal digits, as `apksigner verify --print-certs` tells them"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fingerprint_as_keytool_prints_it_is_told_how_to_write_it() {
        let printed = ["AB"; 32].join(":");
        assert_eq!(signer(&printed).unwrap_err().hint.unwrap(), format!("write sha256:{}", "ab".repeat(32)));
        assert_eq!(signer(&format!("sha256:{}", "ab".repeat(32))).unwrap(), [0xab; 32]);
        for bad in ["", "sha256:", "sha256:ab", "sha1:00", &"ab".repeat(33), "sha256:zz"] {
            assert!(signer(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identifiers_have_segments_and_versions_numbers() {
        for bad in ["", "shop", "com..shop", ".com.shop", "com.shop.", "com.exa mple", "com/shop.x"] {
            assert!(app_id(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "v3", "3.", "3.x", "1.2.3.4.5.6.7", "3-"] {
            assert!(version(bad).is_err(), "{bad:?}");
        }
        assert!(app_id("ABCDE12345.com.example.shop").is_ok() && version("3.10.0-rc1+7").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = (signer(&text), app_id(&text), version(&text));
        }
    }
}
