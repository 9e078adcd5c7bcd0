//! The file read by `docs/keystore-format.md` alone, without this crate: whoever changes the format learns it here.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use attest_core::random::SystemRandom;
use attest_core::time::UnixTime;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use aws_lc_rs::{digest, hkdf, hmac};
use data_encoding::{BASE64, BASE64URL_NOPAD as B64, HEXLOWER};
use keystore::store::PendingState;
use keystore::{KeyName, Keystore, OperatorKey, OperatorPublicKey};
use rustls::crypto::hpke::{Hpke, HpkePublicKey};
use serde_json::Value;

use crate::Place;

const SECRET: &str = "sk-proj-0123456789abcdefghij";

#[test]
fn a_reader_written_from_the_page_alone_opens_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::in_directory(directory.path());
    place.create();
    place.put("openai", SECRET);
    let operator = OperatorKey::create_file(&directory.path().join("ann.key"), &SystemRandom).unwrap();
    let (openai, ann) = (KeyName::parse("openai").unwrap(), KeyName::parse("ann").unwrap());
    let mut editor = Keystore::edit(&place.store, &place.master(), &place.memory()).unwrap();
    editor.add_operator(&ann, operator.public()).unwrap();
    editor.disable(&openai, Some(UnixTime::from_secs(1_900_000_000))).unwrap();
    editor.commit(&place.memory()).unwrap();

    let kek = BASE64.decode(std::fs::read_to_string(&place.key).unwrap().trim().as_bytes()).unwrap();
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&place.store).unwrap()).unwrap();
    let store = bytes(&file["store"], 16);
    assert_eq!(
        (&file["format"], &file["format_version"], &file["generation"]),
        (&"assay-keystore".into(), &2.into(), &3.into())
    );
    assert_eq!(text(&file["kek"]["id"]), HEXLOWER.encode(&derive(&kek, b"", "assay-kek-id-v1")[..8]));

    let wrap_key = derive(&kek, &store, "assay-keystore-wrap-v2");
    let sealed_inner_key = bytes(&file["inner_key"], 60);
    let inner_about = [domain("assay-keystore-inner-key-v2"), field(&store)].concat();
    let inner_key = open(&wrap_key, &sealed_inner_key, &inner_about);
    let (public, sealed_private) =
        (bytes(&file["recipient"]["public_key"], 32), bytes(&file["recipient"]["private_key"], 60));
    let recipient_about = [domain("assay-keystore-recipient-key-v2"), field(&store), field(&public)].concat();
    assert_eq!(open(&wrap_key, &sealed_private, &recipient_about).len(), 32);

    let record = &file["records"][0];
    let about = [
        domain("assay-keystore-record-v2"),
        field(&2_u32.to_be_bytes()),
        field(&bytes(&record["id"], 16)),
        field(b"openai"),
        field(&1_u32.to_be_bytes()),
        field(&HEXLOWER.decode(text(&record["fingerprint"]).as_bytes()).unwrap()),
        bounds(&record["bounds"]),
    ]
    .concat();
    let labelled = |label: &str| [domain(label), field(&about)].concat();
    let (wrapped, sealed) = (bytes(&record["wrapped_key"], 60), bytes(&record["sealed"], 28 + SECRET.len()));
    let data_key = open(&wrap_key, &wrapped, &labelled("assay-keystore-wrapped-key-v2"));
    assert_eq!(open(&data_key, &sealed, &labelled("assay-keystore-secret-v2")), SECRET.as_bytes());
    let fingerprint = mac(&derive(&inner_key, &store, "assay-keystore-fingerprint-v2"), SECRET.as_bytes());
    assert_eq!(text(&record["fingerprint"]), HEXLOWER.encode(&fingerprint[..8]));

    let whole =
        [domain("assay-keystore-record-hash-v2"), field(&about), field(b"wrapped"), field(&wrapped), field(&sealed)]
            .concat();
    let hash = digest::digest(&digest::SHA256, &whole);
    let entry = &file["manifest"]["entries"][0];
    assert_eq!(bytes(&entry["hash"], 32), hash.as_ref());
    let manifest = [
        domain("assay-keystore-manifest-v2"),
        field(&2_u32.to_be_bytes()),
        field(&store),
        field(&3_u64.to_be_bytes()),
        field(format!("{{\"id\":{},\"provider\":{{\"kind\":\"file\"}}}}", file["kek"]["id"]).as_bytes()),
        field(&sealed_inner_key),
        field(&public),
        field(&sealed_private),
        field(&1_u32.to_be_bytes()),
        field(b"ann"),
        field(&bytes(&file["operators"][0]["public_key"], 32)),
        field(&1_u32.to_be_bytes()),
        field(b"openai"),
        field(&1_900_000_000_i64.to_be_bytes()),
        field(&1_u32.to_be_bytes()),
        field(&bytes(&entry["id"], 16)),
        field(b"openai"),
        field(&1_u32.to_be_bytes()),
        field(b"current"),
        field(hash.as_ref()),
    ]
    .concat();
    assert_eq!(
        bytes(&file["manifest"]["mac"], 32),
        mac(&derive(&kek, &store, "assay-keystore-manifest-v2"), &manifest)
    );
    let audit_key = place.open().audit_key();
    assert_eq!(audit_key.as_slice(), derive(&inner_key, &store, "assay-audit-v1"));
}

#[test]
fn a_sealer_written_from_the_page_alone_is_understood() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::in_directory(directory.path());
    place.create();
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(&place.store).unwrap()).unwrap();
    let public = bytes(&file["recipient"]["public_key"], 32);
    let text = serde_json::to_value(crate::bounds().to_text()).unwrap();
    let about = [
        domain("assay-keystore-pending-v2"),
        field(&2_u32.to_be_bytes()),
        field(&public),
        field(b"openai"),
        bounds(&text),
    ]
    .concat();
    let suite = rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
    let (enc, sealed) =
        suite.seal(b"assay-keystore-pending-v2", &about, SECRET.as_bytes(), &HpkePublicKey(public.clone())).unwrap();
    let hash = digest::digest(
        &digest::SHA256,
        &[domain("assay-keystore-pending-hash-v2"), field(&about), field(&enc.0), field(&sealed)].concat(),
    );
    let operator = Ed25519KeyPair::generate().unwrap();
    let listed = checked("assay-operator-", operator.public_key().as_ref());
    let mut editor = Keystore::edit(&place.store, &place.master(), &place.memory()).unwrap();
    editor.add_operator(&KeyName::parse("ann").unwrap(), OperatorPublicKey::parse(&listed).unwrap()).unwrap();
    let store = editor.commit(&place.memory()).unwrap();
    assert_eq!(store.public_key().to_string(), checked("assay-seal-", &public));

    file = serde_json::from_str(&std::fs::read_to_string(&place.store).unwrap()).unwrap();
    file["pending"] = serde_json::json!([{
        "name": "openai",
        "bounds": text,
        "recipient": B64.encode(&public),
        "enc": B64.encode(&enc.0),
        "sealed": B64.encode(&sealed),
    }]);
    std::fs::write(&place.store, format!("{file:#}\n")).unwrap();
    let info = place.open().pending()[0].clone();
    assert_eq!((info.fingerprint, info.state), (HEXLOWER.encode(&hash.as_ref()[..16]), PendingState::Waiting));

    let mac = bytes(&file["manifest"]["mac"], 32);
    let signed =
        [domain("assay-keystore-operator-v2"), field(&bytes(&file["store"], 16)), field(&mac), field(hash.as_ref())]
            .concat();
    file["pending"][0]["signature"] = serde_json::json!({
        "operator": B64.encode(operator.public_key().as_ref()),
        "manifest": B64.encode(&mac),
        "signature": B64.encode(operator.sign(&signed).as_ref()),
    });
    std::fs::write(&place.store, format!("{file:#}\n")).unwrap();
    assert!(place.open().key("openai").is_some());
}

/// A public key as people copy it.
fn checked(prefix: &str, key: &[u8]) -> String {
    let check = digest::digest(&digest::SHA256, key);
    format!("{prefix}{}", B64.encode(&[key, &check.as_ref()[..4]].concat()))
}

/// The encoding of bounds. The recipe of these tests has one member in the order of names already.
fn bounds(bounds: &Value) -> Vec<u8> {
    let recipe = format!(
        "{{\"kind\":\"header\",\"name\":{},\"template\":{}}}",
        bounds["recipe"]["name"], bounds["recipe"]["template"]
    );
    [
        list(&bounds["schemes"]),
        list(&bounds["hosts"]),
        list(&bounds["methods"]),
        list(&bounds["paths"]),
        field(recipe.as_bytes()),
        field(text(&bounds["trust"]).as_bytes()),
    ]
    .concat()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value, len: usize) -> Vec<u8> {
    let bytes = B64.decode(text(value).as_bytes()).unwrap();
    assert_eq!(bytes.len(), len);
    bytes
}

fn domain(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn field(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn list(members: &Value) -> Vec<u8> {
    let members = members.as_array().unwrap();
    let fields = members.iter().flat_map(|member| field(text(member).as_bytes()));
    u32::try_from(members.len()).unwrap().to_be_bytes().into_iter().chain(fields).collect()
}

fn derive(kek: &[u8], salt: &[u8], label: &str) -> Vec<u8> {
    let mut key = vec![0; 32];
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(kek);
    secret.expand(&[label.as_bytes()], hkdf::HKDF_SHA256).unwrap().fill(&mut key).unwrap();
    key
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

fn open(key: &[u8], sealed: &[u8], aad: &[u8]) -> Vec<u8> {
    let nonce: [u8; 12] = sealed[..12].try_into().unwrap();
    let cipher = Aes256Gcm::new_from_slice(key).unwrap();
    cipher.decrypt(&nonce.into(), Payload { msg: &sealed[12..], aad }).unwrap()
}
