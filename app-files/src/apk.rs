//! An Android package. Comes in: its archive. Goes out: package, version, who signed it, and one build for each ABI.
//! Proven between: the signing block's signatures are genuine and cover every byte that Android reads; an unsigned
//! file, one signed by the oldest scheme alone, and one that was changed afterwards give nothing.
//!
//! What is measured is native code. Code in DEX is not: in a running app it exists as what the runtime made of it, on
//! that device. The signer vouches for it, through the platform's own Evidence.

mod axml;
mod digest;
mod manifest;
mod native;
mod signers;
mod signing;

use attest_core::reference::{PackageFacts, Platform};

use crate::app_file::{AndroidFacts, AppFile, Kind};
use crate::error::AppFileError;
use crate::progress::Progress;
use crate::zip::Archive;

/// Where the manifest lies.
pub(crate) const MANIFEST: &str = "AndroidManifest.xml";
const MAX_MANIFEST: u64 = 8 << 20;

pub(crate) fn read(
    archive: &Archive<'_>,
    libraries: &[String],
    progress: &Progress<'_>,
) -> Result<AppFile, AppFileError> {
    let signers = signing::verify(archive, progress)?;
    let entry = archive.entry(MANIFEST).ok_or(AppFileError::NotAnApp)?;
    let manifest = manifest::parse(&archive.unpack(entry, MAX_MANIFEST)?)?;
    let native = native::measure(archive, libraries, progress)?;
    let mut notes = native.notes;
    if archive.entries().iter().any(|entry| entry.name.ends_with(".dex") && !entry.name.contains('/')) {
        notes.push(
            "code in DEX (Kotlin, Java) is not measured: whoever repackages the app with other DEX code and the same \
             native libraries has the same measurement"
                .into(),
        );
    }
    Ok(AppFile {
        platform: Platform::Android,
        kind: Kind::Apk,
        package: PackageFacts { id: Some(manifest.package), team: None, signers },
        version: manifest.version_name,
        builds: native.builds,
        android: Some(AndroidFacts { version_code: manifest.version_code, min_sdk: manifest.min_sdk }),
        notes,
    })
}
