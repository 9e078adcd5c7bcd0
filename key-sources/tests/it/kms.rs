//! A store whose key AWS KMS has wrapped, against a server that recomputes every signature, apart from the code under test.

use std::collections::BTreeMap;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use aws_lc_rs::{digest, hmac};
use data_encoding::{BASE64, HEXLOWER};
use key_sources::{Around, KeySource, SourceError, UnlockError};
use serde_json::{Value, json};
use settings::{AwsCredentials, AwsKmsUnlock, Scheme, Unlock};

use crate::http::{Request, Server};
use crate::support::{Folder, around, around_with_variables, names, put, server};

pub(crate) const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE-canary-of-the-session";
const DATE: &str = "20150830";
const TIME: &str = "20150830T123600Z";

/// KMS in eu-central-1, with one key.
fn kms(request: &Request) -> (u16, String) {
    let refuse = |kind: &str| (400, json!({ "__type": kind, "message": "not shown" }).to_string());
    if let Err(kind) = signed(request) {
        return refuse(kind);
    }
    if request.header("content-type") != Some("application/x-amz-json-1.1") {
        return refuse("SerializationException");
    }
    let Ok(asked) = serde_json::from_slice::<Value>(&request.body) else { return refuse("SerializationException") };
    if asked["KeyId"] != "alias/assay" {
        return refuse("com.amazonaws.kms#NotFoundException");
    }
    // The encryption context is associated data: what was encrypted under another does not open.
    let context: BTreeMap<String, String> =
        serde_json::from_value(asked["EncryptionContext"].clone()).unwrap_or_default();
    let aad = format!("{context:?}");
    let cipher = Aes256Gcm::new(&[9; 32].into());
    let bytes = |name: &str| asked[name].as_str().and_then(|text| BASE64.decode(text.as_bytes()).ok());
    match request.header("x-amz-target") {
        Some("TrentService.Encrypt") => {
            let Some(plain) = bytes("Plaintext").filter(|plain| plain.len() <= 4096) else {
                return refuse("ValidationException");
            };
            let sealed = cipher.encrypt(&[2; 12].into(), Payload { msg: &plain, aad: aad.as_bytes() }).unwrap();
            let answer = json!({ "CiphertextBlob": BASE64.encode(&sealed), "KeyId": "arn:aws:kms:eu-central-1:1:key/a", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT" });
            (200, answer.to_string())
        }
        Some("TrentService.Decrypt") => {
            let sealed = bytes("CiphertextBlob").unwrap_or_default();
            match cipher.decrypt(&[2; 12].into(), Payload { msg: &sealed, aad: aad.as_bytes() }) {
                Ok(plain) => (200, json!({ "Plaintext": BASE64.encode(&plain) }).to_string()),
                Err(_) => refuse("InvalidCiphertextException"),
            }
        }
        _ => refuse("UnknownOperationException"),
    }
}

/// Signature Version 4 as AWS describes it, over the headers that the request names.
fn signed(request: &Request) -> Result<(), &'static str> {
    let authorization = request.header("authorization").ok_or("MissingAuthenticationTokenException")?;
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("IncompleteSignatureException")?;
    let fields: BTreeMap<&str, &str> = fields.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let scope = format!("{DATE}/eu-central-1/kms/aws4_request");
    if fields.get("Credential") != Some(&format!("{ACCESS_KEY}/{scope}").as_str()) {
        return Err("UnrecognizedClientException");
    }
    if request.header("x-amz-date") != Some(TIME) {
        return Err("RequestExpired");
    }
    let names: Vec<&str> = fields.get("SignedHeaders").ok_or("IncompleteSignatureException")?.split(';').collect();
    if !["host", "x-amz-date", "x-amz-target"].iter().all(|name| names.contains(name)) {
        return Err("IncompleteSignatureException");
    }
    if request.header("x-amz-security-token").is_some_and(|token| token != SESSION_TOKEN) {
        return Err("ExpiredTokenException");
    }
    let headers: String =
        names.iter().map(|name| format!("{name}:{}\n", request.header(name).unwrap_or_default())).collect();
    let body = HEXLOWER.encode(digest::digest(&digest::SHA256, &request.body).as_ref());
    let canonical = format!("{}\n{}\n\n{headers}\n{}\n{body}", request.method, request.target, names.join(";"));
    let hash = HEXLOWER.encode(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{TIME}\n{scope}\n{hash}");
    let mac =
        |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let key = [DATE, "eu-central-1", "kms", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET_KEY}").into_bytes(), |key, part| mac(&key, part));
    let right = HEXLOWER.encode(&mac(&key, &to_sign));
    if fields.get("Signature") == Some(&right.as_str()) { Ok(()) } else { Err("InvalidSignatureException") }
}

fn unlock(folder: &Folder, port: u16) -> AwsKmsUnlock {
    let credentials = json!({ "Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "SessionToken": SESSION_TOKEN });
    AwsKmsUnlock {
        server: server(Scheme::Http, port, None),
        key_id: "alias/assay".to_owned(),
        region: "eu-central-1".to_owned(),
        credentials: AwsCredentials::File(folder.private("aws.json", format!("{credentials}\n"))),
    }
}

fn source(folder: &Folder, kms: AwsKmsUnlock, around: Around) -> KeySource {
    KeySource::with(&folder.settings(Unlock::AwsKms(kms)), around)
}

async fn refusal(folder: &Folder, kms: AwsKmsUnlock) -> UnlockError {
    let source = source(folder, kms, around());
    match source.open(&source.memory()).await {
        Err(SourceError::Unlock(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_store_is_made_and_opened_with_requests_that_aws_would_take() {
    let (folder, aws) = (Folder::new(), Server::plain(kms));
    let one = source(&folder, unlock(&folder, aws.port), around());
    let memory = one.memory();
    one.create(&memory).await.unwrap();
    put(&one, &memory, "openai").await;
    assert_eq!(names(&one.open(&memory).await.unwrap()), ["openai"]);
    assert_eq!(aws.asked(), 2, "once to wrap, once to unwrap");
    // The same from the environment.
    let environment = AwsKmsUnlock { credentials: AwsCredentials::Environment, ..unlock(&folder, aws.port) };
    let other = source(&folder, environment.clone(), around_with_variables());
    assert_eq!(names(&other.open(&memory).await.unwrap()), ["openai"]);
    assert!(
        matches!(refusal(&folder, environment).await, UnlockError::NoVariable { name } if name == "AWS_ACCESS_KEY_ID")
    );
    let document = std::fs::read_to_string(folder.path("keys.sealed")).unwrap();
    assert!(!document.contains(SECRET_KEY) && !document.contains(SESSION_TOKEN));
}

#[tokio::test]
async fn what_aws_refuses_is_told_by_its_name_without_the_credentials() {
    let (folder, aws) = (Folder::new(), Server::plain(kms));
    let good = unlock(&folder, aws.port);
    let made = source(&folder, good.clone(), around());
    made.create(&made.memory()).await.unwrap();

    let credentials = |name: &str, text: &str| AwsCredentials::File(folder.private(name, text));
    let wrong_secret = credentials("wrong.txt", "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEz");
    let unknown_id = credentials("unknown.txt", "AKIDANOTHER:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let why = refusal(&folder, AwsKmsUnlock { credentials: unknown_id, ..good.clone() }).await;
    assert!(why.to_string().contains("UnrecognizedClientException"), "{why}");
    let why = refusal(&folder, AwsKmsUnlock { credentials: wrong_secret, ..good.clone() }).await;
    assert!(why.to_string().contains("InvalidSignatureException"), "{why}");
    assert!(!format!("{why} {why:?}").contains("wJalr"), "{why:?}");
    let why = refusal(&folder, AwsKmsUnlock { region: "us-east-1".to_owned(), ..good.clone() }).await;
    assert!(why.to_string().contains("UnrecognizedClientException"), "{why}");
    let why = refusal(&folder, AwsKmsUnlock { key_id: "alias/other".to_owned(), ..good.clone() }).await;
    assert!(why.to_string().contains("NotFoundException") && !why.to_string().contains("com.amazonaws"), "{why}");

    let none = credentials("none.txt", "no credentials at all");
    assert!(matches!(
        refusal(&folder, AwsKmsUnlock { credentials: none, ..good }).await,
        UnlockError::Credentials { .. }
    ));
}
