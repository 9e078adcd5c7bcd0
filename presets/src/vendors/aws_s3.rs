//! Amazon S3, one bucket, path-style. Source: the service description of S3 that AWS's SDKs are made from (2006-03-01), and
//! "Authenticating Requests (AWS Signature Version 4)".
//!
//! One method and path are many calls in S3, told apart by the query (`?acl`, `?policy`, `?tagging`) and by headers
//! (`x-amz-acl: public-read`, `x-amz-copy-source`). None of those is listed.

use recipes::{LargeBody, RecipeText, Sigv4Place};

use crate::preset::{Kind, Parameter, Preset};
use crate::table::{Body, Call, GET};

/// What an SDK sends with an object: checksums, and how it is framed.
const UPLOAD: &[&str] = &[
    "content-disposition",
    "content-md5",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-content-sha256",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
];

const DOWNLOAD: &[&str] = &["x-amz-checksum-mode"];

/// The part of an upload, and which call it is: SDKs name it for their logs.
const PART: &[&str] = &["partNumber", "uploadId", "x-id"];

pub(super) static AWS_S3: Preset = Preset {
    name: "aws-s3",
    vendor: "Amazon S3",
    parameters: &[
        Parameter { name: "bucket", what: "the bucket", example: "my-bucket", default: None, kind: Kind::Word },
        Parameter { name: "region", what: "its region", example: "eu-central-1", default: None, kind: Kind::Word },
    ],
    origin: |values| format!("https://s3.{}.amazonaws.com", values.of("region")),
    recipe: |values| RecipeText::AwsSigv4 {
        region: values.of("region").to_owned(),
        service: "s3".to_owned(),
        place: Sigv4Place::Header,
        headers: vec!["content-md5".to_owned(), "content-type".to_owned()],
        large_body: LargeBody::Unsigned,
    },
    secret: "what `aws configure export-credentials` prints, of a user with s3:GetObject and s3:PutObject on this bucket",
    calls: &[
        // `*` before `**`: without a key in the path, GET lists the bucket and PUT makes one.
        Call {
            name: "get_object",
            what: "an object, whole",
            call: "GET /{bucket}/*/**",
            query: &["x-id"],
            headers: DOWNLOAD,
            ..GET
        },
        Call {
            name: "head_object",
            what: "whether there is an object, and how large",
            call: "HEAD /{bucket}/*/**",
            headers: DOWNLOAD,
            ..GET
        },
        Call {
            name: "put_object",
            what: "an object of up to 100 MiB, or a part of one",
            call: "PUT /{bucket}/*/**",
            query: PART,
            headers: UPLOAD,
            body: Body::Any(100 * 1024 * 1024),
            ..GET
        },
        Call {
            name: "multipart_upload",
            what: "beginning and end of an upload in parts (beside put_object)",
            call: "POST /{bucket}/*/**",
            query: &["uploads", "uploadId", "x-id"],
            headers: &[
                "content-disposition",
                "x-amz-checksum-algorithm",
                "x-amz-checksum-crc32",
                "x-amz-checksum-crc32c",
                "x-amz-checksum-crc64nvme",
                "x-amz-checksum-sha1",
                "x-amz-checksum-sha256",
                "x-amz-checksum-type",
                "x-amz-mp-object-size",
            ],
            // The list of at most 10,000 parts.
            body: Body::Any(4 * 1024 * 1024),
            ..GET
        },
        Call {
            name: "delete_object",
            what: "takes an object away, or an upload that was given up",
            call: "DELETE /{bucket}/*/**",
            query: &["uploadId", "x-id"],
            ..GET
        },
        Call {
            name: "list_objects",
            what: "names of objects: of all users, if they share the bucket",
            call: "GET /{bucket}",
            query: &["prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type"],
            query_fixed: &[("list-type", "2")],
            ..GET
        },
    ],
    may_allow_all: true,
};
