//! A configuration that was kept, loaded again when its files are bad.

use settings::{Bundle, Loaded, Overrides, Report, load_bundle};

use crate::folder::{Folder, GOOD, SECRETS, with};

fn again(folder: &Folder, bundle: &Bundle) -> Result<Loaded, Report> {
    load_bundle(&folder.path("assay.yaml"), bundle, &Overrides::default())
}

/// A configuration with an include and a list, each in a file.
fn full(folder: &Folder) -> String {
    folder.write(
        "policies/old.yaml",
        "default: block\nrules:\n  - include: common.yaml\n  - { name: genuine, when: { verdict: attested }, then: allow }\n",
        0o644,
    );
    folder.write(
        "policies/common.yaml",
        "rules:\n  - { name: bots, when: { verdict: any, network: { list: bots } }, then: block }\n",
        0o644,
    );
    folder.write("bots.txt", "203.0.113.0/24\n", 0o644);
    with("state: { dir: state }", "state: { dir: state }\nlists: { bots: { networks: bots.txt } }")
}

#[test]
fn every_text_is_in_it_and_no_secret() {
    let folder = Folder::new();
    let (settings, _) = folder.takes(full(&folder));
    let names: Vec<_> = settings.bundle.files().map(|(name, _)| name.to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["assay.yaml", "bots.txt", "policies/old.yaml", "policies/common.yaml"]);
    let bytes = settings.bundle.to_bytes();
    for secret in
        SECRETS.iter().map(|secret| secret.as_bytes()).chain([&b"PRIVATE KEY"[..], b"not opened by the loader"])
    {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[test]
fn a_secret_that_is_also_named_as_a_text_is_left_out() {
    let folder = Folder::new();
    let list = with("state: { dir: state }", "state: { dir: state }\nlists: { odd: { devices: secrets/admin.token } }");
    let (settings, warnings) = folder.takes(list);
    assert_eq!(warnings, ["unused"]);
    assert_eq!(
        settings.bundle.files().map(|(name, _)| name.to_owned()).collect::<Vec<_>>(),
        [std::path::Path::new("assay.yaml"), "policies/old.yaml".as_ref()]
    );
    again(&folder, &settings.bundle).unwrap_or_else(|report| panic!("it is read where it is: {report}"));
}

#[test]
fn it_loads_when_every_text_is_gone_or_bad() {
    let folder = Folder::new();
    let text = full(&folder);
    let (good, _) = folder.takes(&text);
    let bundle = Bundle::from_bytes(&good.bundle.to_bytes()).unwrap();
    folder.write("assay.yaml", "assay: [", 0o644);
    folder.write("bots.txt", "nonsense", 0o644);
    std::fs::remove_dir_all(folder.path("policies")).unwrap();
    let loaded = again(&folder, &bundle).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.settings.digest, good.digest, "the same configuration");
    assert_eq!(loaded.settings.sources, good.sources, "the files are watched until they are mended");
    assert_eq!(loaded.settings.bundle, bundle);
    let rules: Vec<_> = loaded.settings.route("old-shop").unwrap().policy.rule_names().map(str::to_owned).collect();
    assert_eq!(rules, ["bots", "genuine"]);
}

#[test]
fn secrets_and_certificates_are_those_of_now() {
    let folder = Folder::new();
    let (good, _) = folder.takes(GOOD);
    folder.write("secrets/admin.token", SECRETS[1], 0o644);
    let told = again(&folder, &good.bundle).err().unwrap().to_string();
    assert!(told.contains("chmod 600"), "a secret that others can read is refused here too: {told}");
    folder.write("secrets/admin.token", SECRETS[1], 0o600);
    folder.write("tls/cert.pem", "garbage", 0o644);
    let told = again(&folder, &good.bundle).err().unwrap().to_string();
    assert!(told.contains("holds no certificate"), "{told}");
}

#[test]
fn it_is_of_one_file_and_goes_where_its_folder_goes() {
    let folder = Folder::new();
    let (good, _) = folder.takes(GOOD);
    let other = load_bundle(&folder.path("other.yaml"), &good.bundle, &Overrides::default()).err().unwrap();
    assert!(other.to_string().contains("not part of the kept configuration"), "{other}");
    let moved = Folder::new();
    let loaded = load_bundle(&moved.path("assay.yaml"), &good.bundle, &Overrides::default())
        .unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.settings.state.dir, moved.path("state"));
    assert_eq!(loaded.settings.listeners.public.unwrap().tls.unwrap().key, moved.path("tls/key.pem"));
}

#[test]
fn checks_of_today_hold_for_what_was_kept() {
    let folder = Folder::new();
    let (good, _) = folder.takes(GOOD);
    // As if an older version had taken it.
    let bytes = good.bundle.to_bytes();
    let at = bytes.windows(16).position(|window| window == b"concurrency: 100").unwrap();
    let mut changed = bytes[..bytes.len() - 32].to_vec();
    changed[at..at + 16].copy_from_slice(b"concurrency: 000");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &changed);
    changed.extend_from_slice(digest.as_ref());
    let told = again(&folder, &Bundle::from_bytes(&changed).unwrap()).err().unwrap();
    assert!(told.to_string().contains("concurrency: 000"), "its own text is shown: {told}");
}
