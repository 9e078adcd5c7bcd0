//! A store whose key Vault's transit engine has wrapped, against a server that checks what Vault checks.

use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use data_encoding::BASE64;
use key_sources::{KeySource, SourceError, UnlockError};
use serde_json::{Value, json};
use settings::{Scheme, Unlock, VaultUnlock};

use crate::http::{Request, Server, closed_port};
use crate::support::{Folder, around, names, put, server};

const TOKEN: &str = "hvs.CAESIJ-canary-of-the-token";

/// The transit engine: the key `assay` at `transit`, which encrypts for whoever shows the token.
fn transit(request: &Request) -> (u16, String) {
    let refuse = |status, why: &str| (status, json!({ "errors": [why] }).to_string());
    if request.header("x-vault-token") != Some(TOKEN) {
        return refuse(403, "permission denied");
    }
    if request.header("x-vault-namespace").is_some_and(|namespace| namespace != "teams/api") {
        return refuse(404, "no handler for route");
    }
    if request.method != "POST" || request.header("x-vault-request") != Some("true") {
        return refuse(405, "unsupported operation");
    }
    let Ok(asked) = serde_json::from_slice::<Value>(&request.body) else {
        return refuse(400, "failed to parse JSON input");
    };
    let text = |name: &str| asked[name].as_str().map(str::to_owned);
    // `transit/keys/assay`, never told to anybody; the nonce is not of interest here.
    let cipher = Aes256Gcm::new(&[7; 32].into());
    match request.target.as_str() {
        "/v1/transit/encrypt/assay" => {
            let Some(plain) = text("plaintext").and_then(|text| BASE64.decode(text.as_bytes()).ok()) else {
                return refuse(400, "failed to base64-decode plaintext");
            };
            let sealed = cipher.encrypt(&[1; 12].into(), Payload { msg: &plain, aad: b"" }).unwrap();
            let ciphertext = format!("vault:v1:{}", BASE64.encode(&sealed));
            (200, json!({ "data": { "ciphertext": ciphertext, "key_version": 1 }, "lease_duration": 0 }).to_string())
        }
        "/v1/transit/decrypt/assay" => {
            let sealed = text("ciphertext").and_then(|text| text.strip_prefix("vault:v1:").map(str::to_owned));
            let Some(sealed) = sealed.and_then(|text| BASE64.decode(text.as_bytes()).ok()) else {
                return refuse(400, "invalid ciphertext: no prefix");
            };
            match cipher.decrypt(&[1; 12].into(), Payload { msg: &sealed, aad: b"" }) {
                Ok(plain) => (200, json!({ "data": { "plaintext": BASE64.encode(&plain) } }).to_string()),
                Err(_) => refuse(400, "cipher: message authentication failed"),
            }
        }
        _ => refuse(404, "encryption key not found"),
    }
}

fn unlock(folder: &Folder, port: u16) -> VaultUnlock {
    VaultUnlock {
        server: server(Scheme::Http, port, None),
        mount: "transit".to_owned(),
        key: "assay".to_owned(),
        token_file: folder.private("vault.token", format!("{TOKEN}\n")),
        namespace: None,
    }
}

async fn refusal(folder: &Folder, vault: VaultUnlock) -> UnlockError {
    let source = KeySource::with(&folder.settings(Unlock::Vault(vault)), around());
    match source.open(&source.memory()).await {
        Err(SourceError::Unlock(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_store_is_made_opened_and_opened_again_without_asking_twice() {
    let (folder, vault) = (Folder::new(), Server::plain(transit));
    let source = KeySource::with(&folder.settings(Unlock::Vault(unlock(&folder, vault.port))), around());
    let memory = source.memory();
    source.create(&memory).await.unwrap();
    put(&source, &memory, "openai").await;
    assert_eq!(names(&source.open(&memory).await.unwrap()), ["openai"]);
    // Once to wrap, once to unwrap: the head has not changed since.
    assert_eq!(vault.asked(), 2);
    source.open(&memory).await.unwrap();
    assert_eq!(vault.asked(), 2);
    // Another process asks again, and has the same key.
    let other = KeySource::with(source.settings(), around());
    assert_eq!(names(&other.open(&memory).await.unwrap()), ["openai"]);
    assert_eq!(vault.asked(), 3);
    let document = std::fs::read_to_string(folder.path("keys.sealed")).unwrap();
    assert!(document.contains("vault:v1:") && !document.contains(TOKEN), "{document}");
}

#[tokio::test]
async fn over_tls_the_certificate_has_to_chain_to_the_named_authority() {
    let (folder, vault) = (Folder::new(), Server::tls(transit));
    let ca_file = folder.private("ca.pem", vault.ca.clone().unwrap());
    let mut trusted = unlock(&folder, vault.port);
    trusted.server = server(Scheme::Https, vault.port, Some(ca_file));
    trusted.namespace = Some("teams/api".to_owned());
    let source = KeySource::with(&folder.settings(Unlock::Vault(trusted.clone())), around());
    source.create(&source.memory()).await.unwrap();
    KeySource::with(source.settings(), around()).open(&source.memory()).await.unwrap();

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    trusted.server.ca_file = Some(folder.private("other.pem", other.cert.pem()));
    assert!(matches!(refusal(&folder, trusted).await, UnlockError::Away { .. }));
}

#[tokio::test]
async fn what_vault_refuses_is_told_in_its_own_words_without_the_token() {
    let (folder, vault) = (Folder::new(), Server::plain(transit));
    let good = unlock(&folder, vault.port);
    let source = KeySource::with(&folder.settings(Unlock::Vault(good.clone())), around());
    source.create(&source.memory()).await.unwrap();

    let other_token = VaultUnlock { token_file: folder.private("other.token", "hvs.another"), ..good.clone() };
    let other_key = VaultUnlock { key: "elsewhere".to_owned(), ..good.clone() };
    let other_namespace = VaultUnlock { namespace: Some("teams/shop".to_owned()), ..good.clone() };
    for (wrong, status, words) in [
        (other_token, 403, "permission denied"),
        (other_key, 404, "encryption key not found"),
        (other_namespace, 404, "no handler for route"),
    ] {
        let why = refusal(&folder, wrong).await;
        assert!(
            matches!(&why, UnlockError::Refused { status: found, said, .. } if *found == status && said == words),
            "{why:?}"
        );
        assert!(!format!("{why} {why:?}").contains("hvs."), "{why:?}");
    }
    // Sealed, as Vault is after it was started.
    vault.answer(|_| (503, json!({ "errors": ["Vault is sealed"] }).to_string()));
    assert!(refusal(&folder, good.clone()).await.to_string().contains("Vault is sealed"));
    // A redirect would take the token elsewhere.
    vault.answer(|_| (307, String::new()));
    assert!(matches!(refusal(&folder, good.clone()).await, UnlockError::Away { .. }));
    let nobody = VaultUnlock { server: server(Scheme::Http, closed_port(), None), ..good.clone() };
    assert!(matches!(refusal(&folder, nobody).await, UnlockError::Away { .. }));
    let mut unlisted = good;
    unlisted.server.private_addresses = Vec::new();
    let asked = vault.asked();
    assert!(matches!(refusal(&folder, unlisted).await, UnlockError::Away { .. }));
    assert_eq!(vault.asked(), asked, "a private address that is not listed is not dialled");
}

#[tokio::test]
async fn an_answer_that_is_none_opens_nothing() {
    let (folder, vault) = (Folder::new(), Server::plain(transit));
    let good = unlock(&folder, vault.port);
    let source = KeySource::with(&folder.settings(Unlock::Vault(good.clone())), around());
    source.create(&source.memory()).await.unwrap();
    let short = BASE64.encode(&[1; 31]);
    let same = BASE64.encode(&[0; 32]);
    for bad in [
        "{}".to_owned(),
        "not JSON".to_owned(),
        json!({ "data": {} }).to_string(),
        json!({ "data": { "plaintext": "%%%" } }).to_string(),
        json!({ "data": { "plaintext": short } }).to_string(),
        json!({ "data": { "plaintext": same } }).to_string(),
    ] {
        let answer = Arc::new(bad.clone());
        vault.answer(move |_| (200, answer.to_string()));
        let why = refusal(&folder, good.clone()).await;
        assert!(matches!(why, UnlockError::BadAnswer { .. } | UnlockError::NotAKey { .. }), "{bad}: {why:?}");
    }
    // A key, and not the store's: the store itself says so, by name, and it is asked for anew each time.
    let other = BASE64.encode(b"0123456789abcdefghijklmnopqrstuv");
    vault.answer(move |_| (200, json!({ "data": { "plaintext": other } }).to_string()));
    let why = KeySource::with(source.settings(), around()).open(&source.memory()).await.unwrap_err();
    assert!(matches!(why, SourceError::Store(keystore::StoreError::WrongKey { .. })), "{why:?}");
}
