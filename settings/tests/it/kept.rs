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

/// Its bytes would stand in reports, in logs, in what is kept, and as the body of a refusal in the hands of everybody.
#[test]
fn a_secret_is_no_text_by_whatever_name() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("../secrets/admin.token", folder.path("policies/alias.txt")).unwrap();
    std::fs::hard_link(folder.path("secrets/admin.token"), folder.path("policies/twin.txt")).unwrap();
    let names = ["secrets/admin.token", "policies/../secrets/admin.token", "policies/alias.txt", "policies/twin.txt"];
    for name in names {
        let policy = |rest: &str| with("policy: policies/old.yaml", &format!("policy: {rest}"));
        let body = format!("refusals: {{ refused: {{ body_file: {name}, content_type: text/plain }} }}");
        let rules = "rules: [{ name: genuine, when: { verdict: attested }, then: allow }";
        let lists = |kind: &str| {
            with("state: { dir: state }", &format!("state: {{ dir: state }}\nlists: {{ odd: {{ {kind}: {name} }} }}"))
        };
        for text in [
            lists("devices"),
            lists("networks"),
            policy(name),
            policy(&format!("{{ default: block, {rules}], {body} }}")),
            policy(&format!("{{ default: block, {rules}, {{ include: {name} }}] }}")),
        ] {
            let told = folder.refuses(&text, "unreadable_file", "");
            assert!(told.contains("holds a secret"), "{told}");
            assert!(!told.contains(SECRETS[1]), "{told}");
        }
    }
    // Also where the secret is named after the text.
    let hash = "e".repeat(63);
    let callers = "callers:
  a: { bearer: { sha256_file: secrets/hook } }
  b: { webhook: { scheme: github, secret_file: secrets/hook } }
";
    folder.write("secrets/hook", format!("{hash}1\n"), 0o600);
    let told = folder.refuses(format!("{GOOD}{callers}"), "unreadable_file", "name another file");
    assert!(told.contains("holds a secret") && !told.contains(&hash), "{told}");
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
