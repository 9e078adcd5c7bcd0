//! Amazon's own vectors, in the form of its C library: each signed in the header and in the query.

use std::path::{Path, PathBuf};

use attest_core::target::{Scheme, Target, TargetOptions};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::canonical::{self, Query, SignedHeaders};
use super::key::AwsKey;
use super::sign::{Request, Signer};
use super::{CONTENT_SHA256, DATE};
use crate::slots::Slots;

const TIME: &str = "20150830T123600Z";

fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("ASSAY_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")), PathBuf::from);
    let folder = root.join("15-aws-sigv4/v4");
    if !folder.is_dir() {
        println!("skipped: no vectors at {} (set ASSAY_VECTORS)", folder.display());
        return None;
    }
    Some(folder)
}

struct Vector {
    folder: PathBuf,
    context: Value,
    method: Method,
    path: String,
    query: String,
    host: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
}

impl Vector {
    fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("request.txt")).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        // A line that begins with a space goes on with the one before.
        let head = head.replace("\n ", " ");
        let mut lines = head.lines();
        let line = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap();
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers: Vec<(HeaderName, HeaderValue)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value.trim()).unwrap()))
            .collect();
        let host = headers.iter().position(|(name, _)| name == "host").unwrap();
        let host = headers.remove(host).1.to_str().unwrap().to_owned();
        Self {
            context: serde_json::from_slice(&std::fs::read(folder.join("context.json")).unwrap()).unwrap(),
            folder: folder.to_owned(),
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            host,
            headers,
            body: body.to_owned(),
        }
    }

    fn expected(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap().trim_end_matches('\n').replace("\r\n", "\n")
    }

    fn is(&self, setting: &str) -> bool {
        self.context[setting] == true
    }

    fn signer(&self) -> Signer {
        let part = |name: &str| self.context["credentials"][name].as_str();
        let mut text = format!("{}:{}", part("access_key_id").unwrap(), part("secret_access_key").unwrap());
        if let Some(token) = part("token").filter(|_| !self.is("omit_session_token")) {
            text = format!("{text}:{token}");
        }
        let (key, _) = AwsKey::parse(text.as_bytes()).unwrap();
        Signer::new(key, self.context["region"].as_str().unwrap(), self.context["service"].as_str().unwrap())
    }

    /// What the service would make of the path. No such path comes this far in the gateway: targets with dot segments or
    /// empty ones are refused.
    fn path(&self) -> String {
        let normal = if self.is("normalize") { normalized(&self.path) } else { self.path.clone() };
        if normal != self.path {
            let target: PathAndQuery = self.path.parse().unwrap();
            let options = TargetOptions { allow_encoded_slash: true };
            assert!(Target::parse(&self.method, Scheme::Https, &self.host, &target, options).is_err(), "{}", self.path);
        }
        canonical::path(&normal).into_owned()
    }

    fn signed(&self, more: &[(HeaderName, HeaderValue)]) -> SignedHeaders {
        let mut signed = SignedHeaders::new(&self.host);
        let mut names: Vec<&HeaderName> = self.headers.iter().map(|(name, _)| name).collect();
        names.dedup();
        for name in names {
            signed.push(name, self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value));
        }
        more.iter().for_each(|(name, value)| signed.push(name, [value]));
        signed.finish();
        signed
    }

    fn payload(&self) -> String {
        data_encoding::HEXLOWER
            .encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.body.as_bytes()).as_ref())
    }
}

/// RFC 3986 section 5.2.4, and empty segments away.
fn normalized(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let end = if kept.is_empty() || !path.ends_with('/') { "" } else { "/" };
    format!("/{}{end}", kept.join("/"))
}

fn all() -> Vec<Vector> {
    let Some(folder) = folder() else { return Vec::new() };
    let mut folders: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert_eq!(folders.len(), 28);
    folders.iter().map(|folder| Vector::read(folder)).collect()
}

#[test]
fn every_vector_is_signed_in_the_header_as_published() {
    for vector in all() {
        let name = vector.folder.display();
        let (signer, payload, path) = (vector.signer(), vector.payload(), vector.path());
        let mut more = vec![(DATE, HeaderValue::from_static(TIME))];
        if vector.is("sign_body") {
            more.push((CONTENT_SHA256, HeaderValue::from_str(&payload).unwrap()));
        }
        let signed = vector.signed(&more);
        let query = Query::parse(&vector.query, &Slots::default());
        let request = Request { method: &vector.method, path: &path, headers: &signed, payload: &payload };
        let canonical = request.canonical(&query);
        assert_eq!(String::from_utf8_lossy(&canonical), vector.expected("header-canonical-request.txt"), "{name}");
        let scope = signer.scope("20150830");
        assert_eq!(scope.string_to_sign(TIME, &canonical), vector.expected("header-string-to-sign.txt"), "{name}");
        let signature = signer.sign(&request, &query, &scope, TIME).unwrap();
        assert_eq!(signature, vector.expected("header-signature.txt"), "{name}");
        let value = signer.authorization(&scope, &signed, &signature);
        let line = format!("\nAuthorization:{}\n", String::from_utf8_lossy(&value));
        assert!(vector.expected("header-signed-request.txt").contains(line.trim_end()), "{name}: {line}");
    }
}

#[test]
fn every_vector_is_signed_in_the_query_as_published() {
    for vector in all() {
        let name = vector.folder.display();
        let (signer, payload, path) = (vector.signer(), vector.payload(), vector.path());
        let signed = vector.signed(&[]);
        let scope = signer.scope("20150830");
        let mut query = Query::parse(&vector.query, &Slots::default());
        signer.presign(&mut query, &scope, TIME, 3_600, &signed);
        let request = Request { method: &vector.method, path: &path, headers: &signed, payload: &payload };
        let canonical = request.canonical(&query);
        assert_eq!(String::from_utf8_lossy(&canonical), vector.expected("query-canonical-request.txt"), "{name}");
        assert_eq!(scope.string_to_sign(TIME, &canonical), vector.expected("query-string-to-sign.txt"), "{name}");
        let signature = signer.sign(&request, &query, &scope, TIME).unwrap();
        assert_eq!(signature, vector.expected("query-signature.txt"), "{name}");
        query.push("X-Amz-Signature", &signature);
        let line = format!("{} {}?{} HTTP/1.1", vector.method, vector.path, query.as_sent());
        // The one vector with a token sends it unsigned, as a single service asks for it; ours signs it.
        if !vector.is("omit_session_token") {
            assert_eq!(vector.expected("query-signed-request.txt").lines().next().unwrap(), line, "{name}");
        }
    }
}
