//! Another key-encryption key.

use super::*;
use crate::bounds::{BoundsText, RecipeText};
use crate::kek::KekProvider;
use crate::master_key::next_to;

fn rotated(sample: &Sample) -> MasterKey {
    let next = MasterKey::generate(&SystemRandom).unwrap();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let provider = KekProvider::Vault { mount: "transit".into(), key: "assay".into(), wrapped: "vault:v1:AAAA".into() };
    editor.rotate_kek(KekHeader::new(&next, provider).unwrap(), &next, &SystemRandom).unwrap();
    editor.commit(&sample.memory).unwrap();
    next
}

fn fingerprints(store: &Keystore) -> Vec<String> {
    store.list().iter().flat_map(|info| info.versions.iter().map(|version| version.fingerprint.clone())).collect()
}

#[test]
fn after_a_rotation_only_the_new_key_opens_the_store_and_nothing_of_the_old_wrapping_is_left() {
    let sample = Sample::new();
    let (old_text, before) = (sample.text(), sample.open().unwrap());
    let next = rotated(&sample);
    assert!(matches!(sample.open(), Err(StoreError::WrongKey { .. })));
    let after = Keystore::open(&sample.path, &next, &sample.memory).unwrap();
    assert_eq!((after.generation(), after.kek().provider().kind()), (4, "vault"));
    assert_eq!(fingerprints(&after), fingerprints(&before), "the secrets are the same");
    assert_eq!(after.audit_key(), before.audit_key());
    assert_ne!(after.public_key(), before.public_key(), "the old private half was in the old file");
    let (old, new): (Value, Value) =
        (serde_json::from_str(&old_text).unwrap(), serde_json::from_str(&sample.text()).unwrap());
    for record in 0..2 {
        let field = |file: &Value, name: &str| file["records"][record][name].clone();
        assert_ne!(field(&old, "wrapped_key"), field(&new, "wrapped_key"));
        assert_eq!(field(&old, "sealed"), field(&new, "sealed"), "the secret stays under its own data key");
    }
    assert_ne!(old["inner_key"], new["inner_key"]);
}

#[test]
fn refuses_a_head_for_another_key_the_key_in_use_and_pending_records() {
    let sample = Sample::new();
    let next = MasterKey::generate(&SystemRandom).unwrap();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let other = editor.rotate_kek(KekHeader::file(&sample.master), &next, &SystemRandom);
    assert!(matches!(other, Err(StoreError::OtherKek { .. })));
    let same = editor.rotate_kek(KekHeader::file(&sample.master), &sample.master, &SystemRandom);
    assert!(matches!(same, Err(StoreError::SameKek { .. })));
    drop(editor);

    super::pending::append(&sample, &super::pending::sealed(&sample, "third", "sk-third-0123456789abcdef"));
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let pending = editor.rotate_kek(KekHeader::file(&next), &next, &SystemRandom);
    assert!(matches!(pending, Err(StoreError::PendingInTheWay { count: 1 })));
    editor.reject(&name_of("third"), None).unwrap();
    editor.rotate_kek(KekHeader::file(&next), &next, &SystemRandom).unwrap();
}

#[test]
fn what_was_accepted_is_sealed_anew() {
    let sample = Sample::new();
    super::pending::append(&sample, &super::pending::sealed(&sample, "third", "sk-third-0123456789abcdef"));
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    editor.accept(&name_of("third"), None).unwrap();
    let before = editor.commit(&sample.memory).unwrap();
    assert!(sample.text().contains("\"enc\""));
    let next = rotated(&sample);
    assert!(!sample.text().contains("\"enc\""), "its private half is gone");
    let after = Keystore::open(&sample.path, &next, &sample.memory).unwrap();
    assert_eq!(fingerprints(&after), fingerprints(&before));
}

#[test]
fn in_place_the_file_has_the_new_key_and_keeps_its_readers() {
    use std::os::unix::fs::PermissionsExt;
    let sample = Sample::new();
    let key_file = sample.dir.path().join("kek.key");
    let first = MasterKey::create_file(&key_file, &SystemRandom).unwrap();
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o400)).unwrap();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    editor.rotate_kek(KekHeader::file(&first), &first, &SystemRandom).unwrap();
    editor.commit(&sample.memory).unwrap();

    let document = FileDocument::to_write(&sample.path).unwrap();
    let done = rotate_kek_in_place(Box::new(document), &key_file, &sample.memory, &SystemRandom).unwrap();
    let now = MasterKey::from_file(&key_file).unwrap();
    assert_eq!(done, KekRotated { id: now.id(), before: Some(first.id()), resumed: false });
    assert_ne!(now.id(), first.id());
    assert_eq!(std::fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o400);
    assert!(!next_to(&key_file).exists());
    assert!(Keystore::open(&sample.path, &now, &sample.memory).is_ok());
}

#[test]
fn in_place_a_store_that_neither_key_opens_is_left_alone() {
    let sample = Sample::new();
    let key_file = sample.dir.path().join("kek.key");
    MasterKey::create_file(&key_file, &SystemRandom).unwrap();
    let before = (sample.text(), std::fs::read(&key_file).unwrap());
    let rotate = || {
        let document = FileDocument::to_write(&sample.path).unwrap();
        rotate_kek_in_place(Box::new(document), &key_file, &sample.memory, &SystemRandom)
    };
    assert!(matches!(rotate(), Err(StoreError::WrongKey { .. })));
    assert!(!next_to(&key_file).exists());
    let next = MasterKey::create_file(&next_to(&key_file), &SystemRandom).unwrap();
    assert!(matches!(rotate(), Err(StoreError::WrongKey { .. })), "nor does a key that was left there open it");
    assert_eq!((sample.text(), std::fs::read(&key_file).unwrap()), before);
    // A head is a word: with the id of `NAME.next` in it the store still has to open with that key.
    sample.write(sample.text().replace(&sample.master.id(), &next.id()));
    assert!(matches!(rotate(), Err(StoreError::ManifestChanged { .. })));
    assert_eq!(std::fs::read(&key_file).unwrap(), before.1);
}

#[test]
fn in_place_a_refused_rotation_leaves_nothing_behind() {
    let sample = Sample::new();
    let key_file = sample.dir.path().join("kek.key");
    let master = MasterKey::create_file(&key_file, &SystemRandom).unwrap();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    editor.rotate_kek(KekHeader::file(&master), &master, &SystemRandom).unwrap();
    editor.commit(&sample.memory).unwrap();
    super::pending::append(&sample, &super::pending::sealed(&sample, "third", "sk-third-0123456789abcdef"));
    let document = FileDocument::to_write(&sample.path).unwrap();
    let refused = rotate_kek_in_place(Box::new(document), &key_file, &sample.memory, &SystemRandom);
    assert!(matches!(refused, Err(StoreError::PendingInTheWay { count: 1 })));
    assert!(!next_to(&key_file).exists());
}

#[test]
fn every_kind_of_recipe_is_part_of_what_is_bound() {
    let sample = Sample::new();
    let text = |recipe| BoundsText { recipe, ..bounds("api.example.com") };
    let minted = |endpoint: &str| RecipeText::Oauth2ClientCredentials {
        token_endpoint: endpoint.into(),
        client_id: "client".into(),
        authentication: recipes::ClientAuthentication::Basic,
        algorithm: None,
        key_id: None,
        scope: None,
        audience: None,
        parameters: BTreeMap::new(),
        name: "authorization".into(),
        template: "Bearer {token}".into(),
    };
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let secret = ApiKey::parse(b"client-secret-0123456789abcdef").unwrap();
    let bounds = Bounds::parse(&text(minted("https://login.example.com/token"))).unwrap();
    editor.put(&name_of("minted"), &secret, bounds, &SystemRandom).unwrap();
    let store = editor.commit(&sample.memory).unwrap();
    let endpoint = store.key("minted").unwrap().bounds().token_endpoint().unwrap().to_string();
    assert_eq!(endpoint, "https://login.example.com/token");
    sample.write(sample.text().replace("https://login.example.com/token", "https://login.evil.example/token"));
    let error = sample.open().unwrap_err();
    assert!(matches!(&error, StoreError::RecordChanged { name, .. } if name.as_str() == "minted"), "{error}");
}
