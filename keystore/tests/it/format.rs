//! The file read by `docs/keystore-format.md` alone, without this crate: whoever changes the format learns it here.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use aws_lc_rs::{digest, hkdf, hmac};
use data_encoding::{BASE64, BASE64URL_NOPAD as B64, HEXLOWER};
use serde_json::Value;

use crate::Place;

const SECRET: &str = "sk-proj-0123456789abcdefghij";

#[test]
fn a_reader_written_from_the_page_alone_opens_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::in_directory(directory.path());
    place.create();
    place.put("openai", SECRET);
    let kek = BASE64.decode(std::fs::read_to_string(&place.key).unwrap().trim().as_bytes()).unwrap();
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&place.store).unwrap()).unwrap();
    let store = bytes(&file["store"], 16);
    assert_eq!(
        (&file["format"], &file["format_version"], &file["generation"]),
        (&"assay-keystore".into(), &1.into(), &2.into())
    );
    assert_eq!(text(&file["kek"]), HEXLOWER.encode(&derive(&kek, b"", "assay-kek-id-v1")[..8]));

    let record = &file["records"][0];
    let bounds = &record["bounds"];
    let about = [
        domain("assay-keystore-record-v1"),
        field(&1_u32.to_be_bytes()),
        field(&bytes(&record["id"], 16)),
        field(b"openai"),
        field(&1_u32.to_be_bytes()),
        list(&bounds["schemes"]),
        list(&bounds["hosts"]),
        list(&bounds["methods"]),
        list(&bounds["paths"]),
        list(&Value::from(vec![
            Value::from("header"),
            bounds["recipe"]["name"].clone(),
            bounds["recipe"]["template"].clone(),
        ])),
        field(text(&bounds["trust"]).as_bytes()),
        field(&HEXLOWER.decode(text(&record["fingerprint"]).as_bytes()).unwrap()),
    ]
    .concat();
    let labelled = |label: &str| [domain(label), field(&about)].concat();

    let (wrapped, sealed) = (bytes(&record["wrapped_key"], 60), bytes(&record["sealed"], 28 + SECRET.len()));
    let wrap_key = derive(&kek, &store, "assay-keystore-wrap-v1");
    let data_key = open(&wrap_key, &wrapped, &labelled("assay-keystore-wrapped-key-v1"));
    assert_eq!(open(&data_key, &sealed, &labelled("assay-keystore-secret-v1")), SECRET.as_bytes());
    let fingerprint = mac(&derive(&kek, &store, "assay-keystore-fingerprint-v1"), SECRET.as_bytes());
    assert_eq!(text(&record["fingerprint"]), HEXLOWER.encode(&fingerprint[..8]));

    let whole = [domain("assay-keystore-record-hash-v1"), field(&about), field(&wrapped), field(&sealed)].concat();
    let hash = digest::digest(&digest::SHA256, &whole);
    let entry = &file["manifest"]["entries"][0];
    assert_eq!(bytes(&entry["hash"], 32), hash.as_ref());
    let manifest = [
        domain("assay-keystore-manifest-v1"),
        field(&1_u32.to_be_bytes()),
        field(&store),
        field(text(&file["kek"]).as_bytes()),
        field(&2_u64.to_be_bytes()),
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
        mac(&derive(&kek, &store, "assay-keystore-manifest-v1"), &manifest)
    );
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
