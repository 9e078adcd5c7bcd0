use super::*;
use proptest::prelude::*;

fn bundle() -> Bundle {
    Bundle::new(vec![
        (PathBuf::from("assay.yaml"), Arc::from(&b"assay: 1\n"[..])),
        (PathBuf::from("lists/empty.txt"), Arc::from(&b""[..])),
        (PathBuf::from("/etc/assay/policies/shop.yaml"), Arc::from(&b"default: block\n"[..])),
    ])
}

/// With the digest of what it is now: what gets past the first check.
fn signed(mut body: Vec<u8>) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, &body);
    body.extend_from_slice(digest.as_ref());
    body
}

fn body() -> Vec<u8> {
    let bytes = bundle().to_bytes();
    bytes[..bytes.len() - DIGEST].to_vec()
}

#[test]
fn what_is_cut_off_anywhere_is_refused() {
    let bytes = bundle().to_bytes();
    for end in 0..bytes.len() {
        let refused = Bundle::from_bytes(&bytes[..end]).unwrap_err();
        assert!(matches!(refused, BundleError::NotABundle | BundleError::Changed), "{end}: {refused:?}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Bundle::from_bytes(&longer), Err(BundleError::Changed));
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let bytes = bundle().to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(Bundle::from_bytes(&changed).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn another_version_is_named() {
    let mut other = body();
    other[9] = 2;
    let refused = Bundle::from_bytes(&signed(other)).unwrap_err();
    assert_eq!(refused, BundleError::Version(2));
    assert!(refused.to_string().contains("format 2") && refused.to_string().contains("reads format 1"));
}

#[test]
fn a_good_digest_over_nonsense_is_no_bundle() {
    let header = [&MAGIC[..], &VERSION.to_be_bytes()].concat();
    let with = |rest: &[&[u8]]| Bundle::from_bytes(&signed([&header[..], &rest.concat()].concat()));
    let (one, name) = (&length(1)[..], &[&length(1)[..], b"a"].concat()[..]);
    assert_eq!(with(&[]), Err(BundleError::Malformed), "no count");
    assert_eq!(with(&[&length(0)]), Err(BundleError::Malformed), "no file");
    assert_eq!(with(&[one, name]), Err(BundleError::Malformed), "a name without content");
    assert_eq!(with(&[one, name, &length(2), b"x"]), Err(BundleError::Malformed), "less than it says");
    assert_eq!(with(&[one, name, &length(1), b"xy"]), Err(BundleError::Malformed), "more than it says");
    assert_eq!(with(&[one, &length(0), &length(1), b"x"]), Err(BundleError::Malformed), "no name");
    assert_eq!(with(&[one, one, b"\0", &length(1), b"x"]), Err(BundleError::Malformed), "not a name");
    let twice = [name, &length(0)].concat();
    assert_eq!(with(&[&length(2), &twice, &twice]), Err(BundleError::Malformed), "one name twice");
    assert_eq!(with(&[&length(MAX_FILES + 1)]), Err(BundleError::TooLarge));
    assert_eq!(with(&[&u32::MAX.to_be_bytes()]), Err(BundleError::TooLarge));
    let long = vec![b'a'; MAX_NAME + 1];
    assert_eq!(with(&[one, &length(long.len()), &long, &length(0)]), Err(BundleError::TooLarge));
    assert!(with(&[one, name, &length(1), b"x"]).is_ok());
}

#[test]
fn what_is_written_reads_back_and_prints_no_content() {
    let bundle = bundle();
    assert_eq!(Bundle::from_bytes(&bundle.to_bytes()).unwrap(), bundle);
    assert_eq!(bundle.main(), Path::new("assay.yaml"));
    assert_eq!(bundle.by_name().len(), 3);
    assert!(!format!("{bundle:?}").contains("default"));
}

proptest! {
    #[test]
    fn any_files_read_back(files in prop::collection::btree_map("[a-z/.]{1,20}", prop::collection::vec(any::<u8>(), 0..80), 1..6)) {
        let files = files.into_iter().map(|(name, bytes)| (PathBuf::from(name), Arc::from(bytes))).collect();
        let bundle = Bundle::new(files);
        prop_assert_eq!(Bundle::from_bytes(&bundle.to_bytes()).unwrap(), bundle);
    }

    #[test]
    fn no_bytes_panic_or_are_taken(mut bytes in prop::collection::vec(any::<u8>(), 0..200), digested in any::<bool>()) {
        if digested {
            bytes = signed([&MAGIC[..], &VERSION.to_be_bytes(), &bytes].concat());
        }
        if let Ok(bundle) = Bundle::from_bytes(&bytes) {
            prop_assert_eq!(bundle.to_bytes(), bytes);
        }
    }
}
