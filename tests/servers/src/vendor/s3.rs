//! Amazon S3, path-style. Source: its API reference: `PutObject`, `GetObject`, `HeadObject`, `DeleteObject`, `ListObjectsV2`
//! and the multipart upload. Objects live as long as the server.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::sigv4::{self, Issued};
use super::{Call, Reply, Vendor, lock};

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
}

/// The API, for one credential, one region and any bucket.
#[must_use]
pub fn start(issued: Issued, region: &str) -> Vendor {
    let region = region.to_owned();
    let buckets: Mutex<BTreeMap<String, Bucket>> = Mutex::default();
    Vendor::serving(move |call| {
        if let Err(code) = sigv4::check(call, &issued, &region, "s3", now()) {
            return error(403, code);
        }
        let mut parts = call.path().trim_start_matches('/').splitn(2, '/');
        let bucket = parts.next().unwrap_or_default();
        let key = sigv4::unescaped(parts.next().unwrap_or_default());
        let query = call.query();
        let mut buckets = lock(&buckets);
        let bucket = buckets.entry(bucket.to_owned()).or_default();
        if key.is_empty() {
            return list(bucket, call, &query);
        }
        if ["acl", "policy", "tagging", "retention"].iter().any(|name| query.iter().any(|(own, _)| own == name)) {
            // What a credential opens beside objects: a test that gets here has found a hole.
            return Reply::whole(200, "application/xml", "<AccessControlPolicy/>");
        }
        object(bucket, call, &query, key)
    })
}

fn object(bucket: &mut Bucket, call: &Call, query: &[(String, String)], key: String) -> Reply {
    let parameter = |name: &str| query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    match (call.method.as_str(), parameter("uploadId"), parameter("uploads").is_some()) {
        ("POST", None, true) => {
            let id = format!("upload-{}", bucket.uploads.len() + 1);
            bucket.uploads.insert(id.clone(), BTreeMap::new());
            let answer = format!(
                "<InitiateMultipartUploadResult><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            Reply::whole(200, "application/xml", answer)
        }
        ("PUT", Some(id), _) => {
            match (bucket.uploads.get_mut(id), parameter("partNumber").and_then(|n| n.parse().ok())) {
                (Some(parts), Some(number)) => {
                    parts.insert(number, content(call));
                    Reply::whole(200, "application/xml", "").with("ETag", &format!("\"part-{number}\""))
                }
                _ => error(404, "NoSuchUpload"),
            }
        }
        ("POST", Some(id), _) => match bucket.uploads.remove(id) {
            Some(parts) => {
                bucket.objects.insert(key.clone(), parts.into_values().flatten().collect());
                let answer = format!(
                    "<CompleteMultipartUploadResult><Key>{key}</Key><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>"
                );
                Reply::whole(200, "application/xml", answer)
            }
            None => error(404, "NoSuchUpload"),
        },
        ("DELETE", Some(id), _) => {
            bucket.uploads.remove(id);
            Reply::whole(204, "application/xml", "")
        }
        ("PUT", None, _) => {
            bucket.objects.insert(key, content(call));
            Reply::whole(200, "application/xml", "").with("ETag", "\"whole\"")
        }
        ("GET" | "HEAD", None, _) => match bucket.objects.get(&key) {
            Some(body) => Reply::whole(200, "binary/octet-stream", body.clone())
                .with("ETag", "\"whole\"")
                .with("Last-Modified", "Wed, 12 Oct 2022 17:50:00 GMT"),
            None => error(404, "NoSuchKey"),
        },
        ("DELETE", None, _) => {
            bucket.objects.remove(&key);
            Reply::whole(204, "application/xml", "")
        }
        _ => error(405, "MethodNotAllowed"),
    }
}

fn list(bucket: &Bucket, call: &Call, query: &[(String, String)]) -> Reply {
    if call.method != "GET" || !query.iter().any(|(name, value)| name == "list-type" && value == "2") {
        return error(405, "MethodNotAllowed");
    }
    let escapes = query.iter().any(|(name, value)| name == "encoding-type" && value == "url");
    let shown = |key: &str| if escapes { sigv4::escaped(key) } else { key.to_owned() };
    let prefix = query.iter().find(|(name, _)| name == "prefix").map_or("", |(_, value)| value.as_str());
    let found: String = bucket
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(key, body)| {
            let (key, size) = (shown(key), body.len());
            format!("<Contents><Key>{key}</Key><LastModified>2022-10-12T17:50:00.000Z</LastModified><Size>{size}</Size></Contents>")
        })
        .collect();
    Reply::whole(
        200,
        "application/xml",
        format!("<ListBucketResult>{found}<IsTruncated>false</IsTruncated></ListBucketResult>"),
    )
}

/// The object's bytes: AWS SDKs frame an upload that they checksum while it goes out.
fn content(call: &Call) -> Vec<u8> {
    match call.header("x-amz-content-sha256") {
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => sigv4::unchunked(&call.body).unwrap_or_default(),
        _ => call.body.clone(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a server of its own, with a clock of its own")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn error(status: u16, code: &str) -> Reply {
    Reply::whole(status, "application/xml", format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"))
}
