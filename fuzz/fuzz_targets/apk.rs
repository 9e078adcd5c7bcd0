//! Attacks: the reader of APKs, with what an operator is made to register.
//!
//! Holds: a signed file that was changed says the same as before (of its signers perhaps fewer), or nothing; behind a genuine signature any manifest and
//! any library give an answer, and the same one twice.
#![no_main]

#[path = "../../app-files/tests/it/writer.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests' own writer, of which this needs a part")]
mod writer;

use std::sync::LazyLock;

use app_files::{AppFile, AppFileError, Options, read_bytes};
use assay_fuzz::edited;
use libfuzzer_sys::fuzz_target;
use writer::{Entry, Key, V2, block, deflated, parts, stored, v2};

static SIGNED: &[u8] = include_bytes!("../../app-files/tests/fixtures/good_v2_v3_rotated.apk");
static MANIFEST: &[u8] = include_bytes!("../../app-files/tests/fixtures/AndroidManifest.xml");
static LIBRARY: &[u8] = include_bytes!("../../app-files/tests/fixtures/arm64_libshop.so");
static ORIGINAL: LazyLock<AppFile> = LazyLock::new(|| read(SIGNED).expect("good"));
static KEY: LazyLock<Key> = LazyLock::new(Key::new);

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    match mode % 4 {
        0 => drop(read(&[b"PK\x03\x04", data].concat())),
        1 => {
            if let Ok(mut app) = read(&edited(SIGNED, data)) {
                // A whole block of the older scheme can be taken away: then only the newer one's signers are named.
                let signers = std::mem::replace(&mut app.package.signers, ORIGINAL.package.signers.clone());
                assert_eq!(app, *ORIGINAL, "another file, as if it was signed");
                assert!(!signers.is_empty() && signers.iter().all(|signer| ORIGINAL.package.signers.contains(signer)));
            }
        }
        2 => same_twice(&signed(&[deflated("AndroidManifest.xml", &edited(MANIFEST, data))])),
        _ => {
            let library = stored("lib/arm64-v8a/libshop.so", &edited(LIBRARY, data));
            same_twice(&signed(&[stored("AndroidManifest.xml", MANIFEST), library]));
        }
    }
});

fn read(file: &[u8]) -> Result<AppFile, AppFileError> {
    read_bytes(file, &Options::new(&|done, total| assert!(done <= total)))
}

fn signed(entries: &[Entry]) -> Vec<u8> {
    let parts = parts(entries);
    parts.with_block(&block(&[(V2, v2(&KEY, &parts).signer())]))
}

fn same_twice(file: &[u8]) {
    match (read(file), read(file)) {
        (Ok(one), Ok(two)) => {
            assert_eq!(one, two);
            assert_eq!(one.package.signers, [KEY.digest()]);
            assert!(one.package.id.is_some_and(|id| id.contains('.')) && !one.builds.is_empty());
        }
        (Err(one), Err(two)) => {
            assert_eq!(one.to_string(), two.to_string());
            let behind = !matches!(one, AppFileError::Signature { .. } | AppFileError::Unsigned | AppFileError::OnlyV1);
            assert!(behind, "the signature is genuine: {one}");
        }
        _ => panic!("taken once and refused once"),
    }
}
