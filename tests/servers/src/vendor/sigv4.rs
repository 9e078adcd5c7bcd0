//! AWS Signature Version 4, as the service checks it. Source: "Create a signed AWS API request" and "Authenticating requests:
//! using the Authorization header / query parameters (AWS Signature Version 4)" of the S3 API reference.
//!
//! In: a request as it arrived and the secret that was issued. Out: whether the signature is the one that this very request
//! has. The canonical request is built from the bytes that arrived; nothing of the signing side is used.

use aws_lc_rs::{digest, hmac};

use super::Call;

/// The parts of an AWS credential.
#[derive(Clone)]
pub struct Issued {
    /// Access key id: `AKIA…`.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token, for temporary credentials.
    pub session: Option<String>,
}

/// Why a request is refused, in the words of S3's error codes.
pub type Code = &'static str;

/// Seconds by which the clocks may differ.
const SKEW: i64 = 15 * 60;

struct Claimed {
    credential: String,
    signed: String,
    signature: String,
    date: String,
    payload: String,
    /// The query without the signature, decoded.
    query: Vec<(String, String)>,
}

/// Checks the request for a region and a service.
///
/// # Errors
/// The code that S3 answers with.
pub fn check(call: &Call, issued: &Issued, region: &str, service: &str, now: i64) -> Result<(), Code> {
    let claimed = claimed(call, now)?;
    let [id, day, own_region, own_service, "aws4_request"] = claimed.credential.split('/').collect::<Vec<_>>()[..]
    else {
        return Err("AuthorizationHeaderMalformed");
    };
    if id != issued.id {
        return Err("InvalidAccessKeyId");
    }
    if own_region != region || own_service != service || !claimed.date.starts_with(day) {
        return Err("AuthorizationHeaderMalformed");
    }
    let names: Vec<&str> = claimed.signed.split(';').collect();
    let must_be_signed = |name: &str| name == "host" || name.starts_with("x-amz-");
    if !names.is_sorted()
        || call.headers.iter().any(|(name, _)| must_be_signed(name) && !names.contains(&name.as_str()))
    {
        return Err("AccessDenied");
    }
    let session =
        claimed.query.iter().find(|(name, _)| name == "X-Amz-Security-Token").map(|(_, value)| value.as_str());
    if session.or(call.header("x-amz-security-token")) != issued.session.as_deref() {
        return Err("InvalidToken");
    }
    body_is_as_claimed(call, &claimed.payload)?;
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let request = canonical(call, &claimed, &names);
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", claimed.date, hex(&sha256(request.as_bytes())));
    let mut key = mac(format!("AWS4{}", issued.secret).as_bytes(), day);
    for part in [region, service, "aws4_request"] {
        key = mac(&key, part);
    }
    if hex(&mac(&key, &text)) == claimed.signature { Ok(()) } else { Err("SignatureDoesNotMatch") }
}

/// What the request says of itself, from its header or its query, and never from both.
fn claimed(call: &Call, now: i64) -> Result<Claimed, Code> {
    let mut query = call.query();
    let presigned = query.iter().any(|(name, _)| name == "X-Amz-Signature");
    let authorization = call.values("authorization");
    let claimed = match (presigned, &authorization[..]) {
        (false, [one]) => {
            let fields = one.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("AuthorizationHeaderMalformed")?;
            let field = |name: &str| {
                let found =
                    fields.split(',').filter_map(|field| field.trim().split_once('=')).find(|(own, _)| *own == name);
                found.map(|(_, value)| value.to_owned()).ok_or("AuthorizationHeaderMalformed")
            };
            Claimed {
                credential: field("Credential")?,
                signed: field("SignedHeaders")?,
                signature: field("Signature")?,
                date: call.header("x-amz-date").ok_or("AccessDenied")?.to_owned(),
                payload: call.header("x-amz-content-sha256").ok_or("MissingSecurityHeader")?.to_owned(),
                query,
            }
        }
        (true, []) => {
            let take = |name: &str| {
                let mut found: Vec<String> = Vec::new();
                query.iter().filter(|(own, _)| own == name).for_each(|(_, value)| found.push(value.clone()));
                if found.len() == 1 {
                    found.pop().ok_or("AccessDenied")
                } else {
                    Err("AuthorizationQueryParametersError")
                }
            };
            let (credential, signed) = (take("X-Amz-Credential")?, take("X-Amz-SignedHeaders")?);
            let (signature, date) = (take("X-Amz-Signature")?, take("X-Amz-Date")?);
            let expires: i64 = take("X-Amz-Expires")?.parse().map_err(|_| "AuthorizationQueryParametersError")?;
            if take("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" || !(1..=604_800).contains(&expires) {
                return Err("AuthorizationQueryParametersError");
            }
            if now > seconds(&date).ok_or("AccessDenied")? + expires {
                return Err("AccessDenied");
            }
            query.retain(|(name, _)| name != "X-Amz-Signature");
            Claimed { credential, signed, signature, date, payload: "UNSIGNED-PAYLOAD".to_owned(), query }
        }
        (false, []) => return Err("AccessDenied"),
        _ => return Err("InvalidArgument"),
    };
    let at = seconds(&claimed.date).ok_or("AccessDenied")?;
    if !presigned && (at - now).abs() > SKEW {
        return Err("RequestTimeTooSkewed");
    }
    Ok(claimed)
}

fn body_is_as_claimed(call: &Call, payload: &str) -> Result<(), Code> {
    match payload {
        "UNSIGNED-PAYLOAD" => Ok(()),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => {
            let length = call.header("x-amz-decoded-content-length").and_then(|length| length.parse::<usize>().ok());
            let whole = unchunked(&call.body).is_some_and(|body| Some(body.len()) == length);
            if whole { Ok(()) } else { Err("IncompleteBody") }
        }
        hash if hash == hex(&sha256(&call.body)) => Ok(()),
        _ => Err("XAmzContentSHA256Mismatch"),
    }
}

/// The body of an `aws-chunked` upload, its trailers left out.
#[must_use]
pub fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&body[..line]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        body = &body[line + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(body.get(..size)?);
        body = body.get(size + 2..)?;
    }
}

/// The canonical request. S3 takes the path as it arrived; its segments are escaped once.
fn canonical(call: &Call, claimed: &Claimed, names: &[&str]) -> String {
    let mut query: Vec<String> =
        claimed.query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    query.sort();
    let path: Vec<String> = call.path().split('/').map(|segment| escaped(&unescaped(segment))).collect();
    let headers: String = names
        .iter()
        .map(|name| {
            let values: Vec<String> = call
                .values(name)
                .iter()
                .map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            format!("{name}:{}\n", values.join(","))
        })
        .collect();
    let (path, query, signed) = (path.join("/"), query.join("&"), names.join(";"));
    format!("{}\n{path}\n{query}\n{headers}\n{signed}\n{}", call.method, claimed.payload)
}

/// As AWS escapes: all but the unreserved characters of RFC 3986.
pub(super) fn escaped(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The text that a segment stands for.
pub(super) fn unescaped(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `20150830T123600Z` as seconds since 1970: days from the civil calendar.
fn seconds(date: &str) -> Option<i64> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<i64>().ok();
    if date.len() != 16 || date.get(8..9) != Some("T") || date.get(15..) != Some("Z") {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (shifted, moved) = (if month > 2 { year } else { year - 1 }, (month + 9) % 12);
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (moved * 306 + 5) / 10 + day - 1 - 719_468;
    Some(days * 86_400 + number(9, 11)? * 3600 + number(11, 13)? * 60 + number(13, 15)?)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Example: GET Object" of the S3 API reference, "Signature Calculations for the Authorization Header".
    fn published() -> (Call, Issued) {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
            SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
            Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("authorization", authorization),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", empty),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let call = Call { method: "GET".to_owned(), target: "/test.txt".to_owned(), headers, body: Vec::new() };
        let issued = Issued {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session: None,
        };
        (call, issued)
    }

    const THEN: i64 = 1_369_353_600;

    #[test]
    fn takes_the_signature_that_amazon_publishes() {
        let (call, issued) = published();
        assert_eq!(check(&call, &issued, "us-east-1", "s3", THEN), Ok(()));
    }

    #[test]
    fn refuses_it_over_anything_else() {
        let (good, issued) = published();
        let refused = |change: &dyn Fn(&mut Call)| {
            let mut call = good.clone();
            change(&mut call);
            check(&call, &issued, "us-east-1", "s3", THEN).unwrap_err()
        };
        assert_eq!(refused(&|call| call.target = "/other.txt".to_owned()), "SignatureDoesNotMatch");
        assert_eq!(refused(&|call| call.target = "/test.txt?acl".to_owned()), "SignatureDoesNotMatch");
        assert_eq!(refused(&|call| call.method = "PUT".to_owned()), "SignatureDoesNotMatch");
        assert_eq!(refused(&|call| call.body = b"x".to_vec()), "XAmzContentSHA256Mismatch");
        assert_eq!(
            refused(&|call| call.headers.push(("x-amz-acl".to_owned(), "public-read".to_owned()))),
            "AccessDenied"
        );
        assert_eq!(
            refused(&|call| call.headers.push(("authorization".to_owned(), "Bearer x".to_owned()))),
            "InvalidArgument"
        );
        assert_eq!(check(&good, &issued, "us-east-1", "s3", THEN + 901), Err("RequestTimeTooSkewed"));
        assert_eq!(check(&good, &issued, "eu-west-1", "s3", THEN), Err("AuthorizationHeaderMalformed"));
        let other = Issued { secret: "another".to_owned(), ..issued };
        assert_eq!(check(&good, &other, "us-east-1", "s3", THEN), Err("SignatureDoesNotMatch"));
    }
}
