//! Files that somebody made to be read differently by two readers, to fill memory, or to pass for another.

use app_files::{AppFileError, SignatureProblem};
use proptest::prelude::*;

use crate::writer::{ECDSA_SHA256, Entry, Key, Signing, V2, V3, V31, block, deflated, parts, prefixed, stored, v2, v3};
use crate::{bytes, fixture};

pub(crate) fn manifest() -> Vec<u8> {
    std::fs::read(fixture("AndroidManifest.xml")).unwrap()
}

fn apk() -> Vec<Entry> {
    vec![deflated("AndroidManifest.xml", &manifest()), stored("classes.dex", b"dex\n035\0")]
}

/// Why the archive with this more in it was refused.
fn refusal(entries: Vec<Entry>) -> String {
    bytes(&parts(&[apk(), entries].concat()).plain()).unwrap_err().to_string()
}

#[test]
fn entries_that_two_readers_would_see_differently_are_refused() {
    let good = || stored("assets/a", b"some bytes");
    let hidden = parts(&[stored("assets/hidden", b"x")]).contents;
    let cases: Vec<(Entry, &str)> = vec![
        (stored("classes.dex", b"another"), "is in the archive twice"),
        (Entry { local_name: b"assets/b".to_vec(), ..good() }, "another name there"),
        (Entry { before: hidden, ..good() }, "belong to none"),
        (Entry { before: b"\x7fELF".to_vec(), ..good() }, "belong to none"),
        (Entry { place: Some(0), ..stored("AndroidManifest.xml2", b"") }, "overlaps another"),
        (Entry { place: Some(u32::MAX - 7), ..good() }, "belong to none"),
        (Entry { place: Some(u32::MAX), ..good() }, "zip64"),
        (Entry { size: u32::MAX, packed_size: u32::MAX, ..good() }, "zip64"),
        (Entry { extra: vec![1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0], ..good() }, "zip64"),
        (Entry { flags: 1, ..good() }, "encrypted"),
        (Entry { flags: 1 << 13, ..good() }, "encrypted"),
        (Entry { flags: 8, ..good() }, "no sizes behind it"),
        (Entry { method: 12, ..good() }, "something else than deflate"),
        (Entry { size: 11, ..good() }, "sizes can't be true"),
        (Entry { packed_size: 1 << 20, size: 1 << 20, ..good() }, "goes on into the directory"),
        (stored("../etc/passwd", b""), "no plain path"),
        (stored("/etc/passwd", b""), "no plain path"),
        (stored("assets//a", b""), "no plain path"),
        (stored("assets/./a", b""), "no plain path"),
        (stored("assets\\a", b""), "no plain path"),
        (stored("assets/\u{1b}[2J", b""), "no plain path"),
        (stored("", b""), "no plain path"),
        (stored(&"a".repeat(1025), b""), "longer than 1024"),
        (Entry { name: vec![0xff], local_name: vec![0xff], ..good() }, "not UTF-8"),
    ];
    for (entry, says) in cases {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let problem = refusal(vec![entry]);
        assert!(problem.contains(says), "{name:?}: {problem}, not {says}");
    }
}

#[test]
fn archives_whose_end_two_readers_would_see_differently_are_refused() {
    let good = || parts(&apk());
    let refused = |file: &[u8], says: &str| {
        let problem = bytes(file).unwrap_err().to_string();
        assert!(problem.contains(says), "{problem}, not {says}");
    };
    refused(&[good().plain(), b"x".to_vec()].concat(), "bytes follow it");
    let mut twice = good();
    twice.comment = [b"PK\x05\x06".to_vec(), vec![0; 18]].concat();
    refused(&twice.plain(), "two end records");
    let mut more = good();
    more.count -= 1;
    refused(&more.plain(), "more bytes than entries");
    more.count += 2;
    refused(&more.plain(), "directory is cut off");
    let mut wide = good();
    wide.directory.extend([b"PK\x06\x07".to_vec(), vec![0; 16]].concat());
    refused(&wide.plain(), "zip64");
    let mut gap = good();
    gap.contents.extend(b"hidden");
    assert!(bytes(&gap.plain()).is_err());
    refused(&good().plain()[..60], "no end record");
    refused(b"PK\x03\x04", "no end record");
    // What an aligning tool leaves is no obstacle: the file gets as far as its signature.
    let mut aligned = apk();
    aligned[1].before = vec![0; 3];
    refused(&parts(&aligned).plain(), "not signed");
    let mut streamed = apk();
    let entry = &mut streamed[1];
    entry.flags = 8;
    entry.behind = [entry.crc, entry.packed_size, entry.size].map(u32::to_le_bytes).concat();
    refused(&parts(&streamed).plain(), "not signed");
}

/// A signed APK of these entries.
pub(crate) fn signed(entries: &[Entry]) -> Vec<u8> {
    let (key, parts) = (Key::new(), parts(entries));
    parts.with_block(&block(&[(V2, v2(&key, &parts).signer())]))
}

#[test]
fn entries_that_unpack_to_something_else_than_they_say_are_refused() {
    let zeros = vec![0; 1 << 20];
    let bomb = deflated("AndroidManifest.xml", &zeros);
    for (entry, says) in [
        (Entry { size: 1000, ..bomb.clone() }, "another size than the directory says"),
        (Entry { size: (1 << 20) + 1, packed_size: bomb.packed_size, ..bomb.clone() }, "another size"),
        (Entry { size: 3 << 30, ..bomb.clone() }, "sizes can't be true"),
        (Entry { crc: 7, ..bomb.clone() }, "checksum is wrong"),
        (deflated("AndroidManifest.xml", &vec![0; 9 << 20]), "larger than 8388608"),
        (Entry { packed: b"\xff\xff\xff".to_vec(), packed_size: 3, size: 3, ..bomb.clone() }, "does not unpack"),
    ] {
        let problem = bytes(&signed(&[entry])).unwrap_err().to_string();
        assert!(problem.contains(says), "{problem}, not {says}");
    }
    let mut trailing = bomb;
    trailing.packed.push(0);
    trailing.packed_size += 1;
    assert!(bytes(&signed(&[trailing])).unwrap_err().to_string().contains("go on behind their end"));
}

/// What a v3 signer says when v3.1 signed too: from which Android version on another key counts.
fn rotation_from(version: u32) -> Vec<u8> {
    prefixed(&[0x559f_8b02_u32.to_le_bytes(), version.to_le_bytes()].concat())
}

/// A scheme's number and its signers.
type Scheme = (u32, Vec<u8>);

fn problem(file: &[u8]) -> (&'static str, SignatureProblem) {
    match bytes(file) {
        Err(AppFileError::Signature { scheme, problem }) => (scheme, problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn blocks_of_every_scheme_are_read_the_newest_signers_first() {
    let (old, new, newest) = (Key::new(), Key::new(), Key::new());
    let parts = parts(&apk());
    let all = block(&[
        (V2, v2(&old, &parts).signer()),
        (V3, Signing { attributes: rotation_from(33), ..v3(&new, &parts) }.signer()),
        (V31, Signing { range: Some(([33, 99], [33, 99])), ..v3(&newest, &parts) }.signer()),
        (0x4272_6577, vec![0; 100]),
    ]);
    let app = bytes(&parts.with_block(&all)).unwrap();
    assert_eq!(app.package.signers, [newest.digest(), new.digest(), old.digest()]);
    assert_eq!((app.builds.len(), app.builds[0].measurement), (1, None));
    assert!(app.notes.iter().any(|note| note.contains("no native libraries")));
    // The older scheme's block taken away: the newer one's signers alone are named.
    let newer = block(&[(V3, v3(&new, &parts).signer())]);
    assert_eq!(bytes(&parts.with_block(&newer)).unwrap().package.signers, [new.digest()]);
}

#[test]
fn blocks_that_do_not_hold_are_refused_by_name() {
    use SignatureProblem::{Algorithm, Certificate, Changed, Digests, Forged, Malformed, Signers, Stripped};
    let (key, other) = (Key::new(), Key::new());
    let parts = parts(&apk());
    let of = |signing: Signing<'_>| (V2, signing.signer());
    let good = || v2(&key, &parts);
    let stripping = || prefixed(&[0xbeef_f00d_u32.to_le_bytes(), 3_u32.to_le_bytes()].concat());
    let says_v31 = |from| Signing { attributes: rotation_from(from), ..v3(&key, &parts) };
    let v31 = |from| Signing { range: Some(([from, 99], [from, 99])), ..v3(&other, &parts) };
    let mut forged = good().signer();
    let at = forged.windows(3).rposition(|bytes| bytes[0] == 0x30 && bytes[2] == 0x02).unwrap();
    forged[at + 8] ^= 1;
    let cases: Vec<(Vec<Scheme>, &str, SignatureProblem)> = vec![
        (vec![of(Signing { digest: vec![0; 32], ..good() })], "v2", Changed),
        (vec![of(Signing { digest: Vec::new(), ..good() })], "v2", Changed),
        (vec![of(Signing { digest_algorithm: 0x0202, ..good() })], "v2", Digests),
        (vec![of(Signing { certificate: &other.certificate, ..good() })], "v2", Certificate),
        (vec![of(Signing { certificate: b"none", ..good() })], "v2", Certificate),
        // Signed, but only the digest of fs-verity, or by an algorithm that is not checked.
        (vec![of(Signing { digest_algorithm: 0x0423, signature_algorithm: 0x0423, ..good() })], "v2", Algorithm),
        (vec![of(Signing { digest_algorithm: 0x0301, signature_algorithm: 0x0301, ..good() })], "v2", Algorithm),
        (vec![of(Signing { digest_algorithm: 0x0103, signature_algorithm: 0x0103, ..good() })], "v2", Forged),
        (vec![of(Signing { attributes: stripping(), ..good() })], "v2", Stripped),
        (vec![(V31, v3(&key, &parts).signer())], "v2", Stripped),
        (vec![(V3, says_v31(33).signer())], "v3", Stripped),
        (vec![(V31, v31(34).signer()), (V3, says_v31(33).signer())], "v3", Stripped),
        (vec![(V3, Signing { range: Some(([28, 99], [24, 99])), ..good() }.signer())], "v3", Malformed),
        (vec![(V3, good().signer())], "v3", Malformed),
        (vec![of(good()), of(good())], "v2", Malformed),
        (vec![(V2, Vec::new())], "v2", Signers),
        (vec![(V2, vec![0; 44])], "v2", Malformed),
        (vec![(V2, good().signer().repeat(11))], "v2", Signers),
        (vec![(V2, good().signer()[..50].to_vec())], "v2", Malformed),
        (vec![(V2, forged)], "v2", Forged),
    ];
    for (number, (schemes, scheme, expected)) in cases.into_iter().enumerate() {
        assert_eq!(problem(&parts.with_block(&block(&schemes))), (scheme, expected), "case {number}");
    }
    let mut sizes = block(&[of(good())]);
    sizes[0] ^= 1;
    assert_eq!(problem(&parts.with_block(&sizes)), ("block", Malformed));
    // Taken away, or put where nobody looks: not signed.
    assert!(matches!(bytes(&parts.plain()), Err(AppFileError::Unsigned)));
    assert_eq!(ECDSA_SHA256, good().signature_algorithm);
}

#[test]
fn other_archives_are_named_with_the_way_out() {
    for (entries, says) in [
        (vec![stored("BundleConfig.pb", b""), stored("base/dex/classes.dex", b"")], "Android App Bundle"),
        (vec![stored("base.apk", b""), stored("split_config.arm64_v8a.apk", b"")], "universal APK"),
        (vec![stored("readme.txt", b"")], "not an app"),
    ] {
        let problem = bytes(&parts(&entries).plain()).unwrap_err().to_string();
        assert!(problem.contains(says), "{problem}");
    }
    assert!(matches!(bytes(b"#!/bin/sh\n"), Err(AppFileError::NotAnApp)));
    assert!(matches!(bytes(b""), Err(AppFileError::NotAnApp)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any bytes of the file changed, cut or added: it says the same as before, or nothing.
    #[test]
    fn a_changed_file_says_the_same_or_nothing(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let good = std::fs::read(fixture("good_v2_rsa.apk")).unwrap();
        let app = bytes(&good).unwrap();
        let mut bad = good.clone();
        for (place, value) in changes {
            bad[place.index(good.len())] = value;
        }
        if let Some(cut) = cut {
            bad.truncate(cut.index(bad.len()));
        }
        if let Ok(read) = bytes(&bad) {
            prop_assert_eq!(read, app);
        }
    }

    /// Genuinely signed, but what is inside is anything.
    #[test]
    fn any_manifest_gives_an_answer(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut changed = manifest();
        let len = changed.len();
        changes.into_iter().for_each(|(place, value)| changed[place.index(len)] = value);
        let _ = bytes(&signed(&[deflated("AndroidManifest.xml", &changed)]));
    }

    #[test]
    fn any_bytes_behind_the_magic_give_an_answer(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = bytes(&[&b"PK\x03\x04"[..], &tail].concat());
        let _ = bytes(&[&b"\x7fELF\x02\x01\x01"[..], &tail].concat());
    }
}
