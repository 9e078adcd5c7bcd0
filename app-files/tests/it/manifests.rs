//! Manifests that Android and another reader could read differently. The fixture's attributes are where `aapt2` put them.

use app_files::{AppFile, AppFileError};

use crate::bytes;
use crate::hostile::{manifest, signed};
use crate::writer::deflated;

fn with(manifest: &[u8]) -> Result<AppFile, AppFileError> {
    bytes(&signed(&[deflated("AndroidManifest.xml", manifest)]))
}

fn refusal(manifest: &[u8]) -> String {
    match with(manifest) {
        Err(AppFileError::Manifest(problem)) => problem.to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The place of the fixture's `<manifest>` attribute of this number: namespace, name, raw text, size, type, value.
const fn attribute(number: usize) -> usize {
    824 + 20 * number
}

fn set(manifest: &mut [u8], at: usize, value: u32) {
    manifest[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Texts of the fixture.
const SHOP: u32 = 20;
const OTHER_VERSION: u32 = 16;

#[test]
fn manifests_that_android_would_not_take_are_refused() {
    assert!(with(&manifest()).is_ok());
    for bad in [&b""[..], b"<manifest package='com.example'/>", &manifest()[..500], &[manifest(), vec![0]].concat()] {
        assert!(matches!(with(bad), Err(AppFileError::Manifest(_))));
    }
    // "com.example.shop" in UTF-16, with a character that is none of a package's.
    let shop: Vec<u8> = "shop".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut odd = manifest();
    let at = odd.windows(shop.len()).rposition(|window| window == shop).unwrap();
    odd[at] = b'/';
    assert!(matches!(with(&odd), Err(AppFileError::Manifest(_))));
}

/// Android takes the raw text where it asks for a text, and the value where it asks for a typed one.
#[test]
fn a_text_whose_raw_form_is_another_is_refused() {
    let (version, package) = (attribute(1), attribute(4));
    for (at, other) in [(version, OTHER_VERSION), (package, SHOP)] {
        let mut two = manifest();
        set(&mut two, at + 8, other);
        refusal(&two);
    }
    // A resource is not looked up, whatever text stands beside it.
    let mut reference = manifest();
    reference[version + 15] = 1;
    assert_eq!(with(&reference).unwrap().version, None);
    // No raw text is what later tools leave.
    let mut typed = manifest();
    set(&mut typed, version + 8, u32::MAX);
    assert_eq!(with(&typed).unwrap().version.as_deref(), Some("3.2.0"));
}

/// Android finds `package` by its name alone: a number for that name hides nothing from it.
#[test]
fn a_second_package_behind_a_frameworks_number_is_refused() {
    let mut two = manifest();
    // The text of number 0, which has the number of `versionCode`, is that of number 10: "package".
    let package = two[36 + 4 * 10..36 + 4 * 11].to_vec();
    two[36..40].copy_from_slice(&package);
    let first = attribute(0);
    set(&mut two, first, u32::MAX);
    set(&mut two, first + 8, SHOP);
    two[first + 15] = 3;
    set(&mut two, first + 16, SHOP);
    assert_eq!(refusal(&two), "it has an attribute twice");
}
