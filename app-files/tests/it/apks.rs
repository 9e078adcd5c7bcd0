//! APKs that Android's own tools made and signed.

use std::cell::RefCell;
use std::fmt::Write;

use app_files::{AppFileError, Kind, Options, SignatureProblem, read};
use attest_core::measurement::{combine, measure_file};
use attest_core::reference::Platform;

use crate::{bytes, fixture, read_fixture};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Each fixture and the certificates that apksigner names for it.
fn expected() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(fixture("expected")).unwrap();
    let line = |line: &str| {
        let mut words = line.split_whitespace().map(ToOwned::to_owned);
        (words.next().unwrap(), words.collect())
    };
    text.lines().map(line).collect()
}

#[test]
fn what_apksigner_says_of_each_scheme_and_key_is_what_is_read() {
    let expected = expected();
    assert_eq!(expected.len(), 7);
    for (name, certificates) in expected {
        let app = read_fixture(&name, &[]).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        assert_eq!((app.platform, app.kind), (Platform::Android, Kind::Apk));
        assert_eq!(app.package.id.as_deref(), Some("com.example.shop"));
        assert_eq!(app.version.as_deref(), Some("3.2.0"));
        let android = app.android.unwrap();
        assert_eq!((android.version_code, android.min_sdk), (Some(302), Some(24)));
        let mut found: Vec<_> = app.package.signers.iter().map(|signer| hex(signer)).collect();
        // apksigner names the signers of the newest scheme; the older scheme's certificate stands behind.
        assert!(certificates.contains(&found[0]), "{name}");
        found.sort();
        assert!(certificates.iter().all(|certificate| found.contains(certificate)), "{name}: {found:?}");
        assert_eq!(found.len(), if name.contains("rotated") || name.contains("two") { 2 } else { 1 }, "{name}");
        assert!(app.notes.iter().any(|note| note.contains("DEX")), "{:?}", app.notes);
    }
}

#[test]
fn each_abi_is_a_build_measured_by_its_libraries_sorted() {
    let library =
        |abi: &str, name: &str| measure_file(&std::fs::read(fixture(&format!("{abi}_{name}"))).unwrap()).unwrap();
    let app = read_fixture("good_v2_rsa.apk", &[]).unwrap();
    let labels: Vec<_> = app.builds.iter().map(|build| build.label.as_str()).collect();
    assert_eq!(labels, ["arm64-v8a", "x86_64"]);
    for (build, abi) in app.builds.iter().zip(["arm64", "x86_64"]) {
        assert_eq!(build.libraries, ["libpay.so", "libshop.so"]);
        let (main, other) = (library(abi, "libpay.so"), library(abi, "libshop.so"));
        assert_eq!(build.measurement, Some(combine(&main, &[("libshop.so".into(), other)])));
    }
    let one = read_fixture("good_v2_rsa.apk", &["libshop.so"]).unwrap();
    assert_eq!(one.builds[1].libraries, ["libshop.so"]);
    assert_eq!(one.builds[1].measurement, Some(library("x86_64", "libshop.so")));
    let named_all = read_fixture("good_v2_rsa.apk", &["libshop.so", "libpay.so"]).unwrap();
    assert_eq!(named_all.builds, app.builds, "in any order");

    for (libraries, says) in [
        (vec!["libnone.so"], "no library libnone.so: lib/arm64-v8a/libnone.so is not there"),
        (vec!["libshop.so", "libshop.so"], "named twice"),
        (vec!["libshop.so=/x"], "without a path"),
        (vec!["../libshop.so"], "without its folder"),
    ] {
        let problem = read_fixture("good_v2_rsa.apk", &libraries).unwrap_err().to_string();
        assert!(problem.contains(says), "{problem}");
    }
}

#[test]
fn unsigned_and_v1_are_refused_with_the_way_out() {
    let problem = read_fixture("bad_v1_only.apk", &[]).unwrap_err();
    assert!(matches!(problem, AppFileError::OnlyV1) && problem.to_string().contains("--v2-signing-enabled true"));
    let problem = read_fixture("bad_unsigned.apk", &[]).unwrap_err();
    assert!(matches!(problem, AppFileError::Unsigned) && problem.to_string().contains("apksigner"));
}

/// One byte at a time through the whole of a file, a few of them skipped to be quick: contents, signing block, directory, end.
#[test]
fn no_changed_byte_is_taken_for_the_signed_file() {
    let good = std::fs::read(fixture("good_v2_v3_ec.apk")).unwrap();
    let app = bytes(&good).unwrap();
    let mut changed_and_named = 0;
    for at in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        match bytes(&bad) {
            // In the signing block there are bytes that nothing depends on: padding, and blocks that are not known.
            Ok(read) => assert_eq!(read, app, "byte {at}"),
            Err(AppFileError::Signature { problem: SignatureProblem::Changed, .. }) => changed_and_named += 1,
            Err(_) => {}
        }
    }
    assert!(changed_and_named > 100, "{changed_and_named}");
}

#[test]
fn progress_comes_to_its_end_and_never_goes_back() {
    let told = RefCell::new(Vec::new());
    let tell = |done, total| told.borrow_mut().push((done, total));
    read(&fixture("good_v2_rsa.apk"), &Options::new(&tell)).unwrap();
    let told = told.into_inner();
    assert!(told.iter().all(|(done, total)| done <= total) && told.is_sorted_by_key(|(done, _)| *done));
    let last = told.last().unwrap();
    assert_eq!(last.0, last.1);
}
