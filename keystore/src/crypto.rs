//! The three primitives of this crate, each with one shape: HKDF-SHA-256 to 32 bytes, AES-256-GCM, SHA-256 over a
//! length-prefixed encoding. In: keys and bytes. Out: keys and bytes; what opens was sealed under the same key and data.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use aws_lc_rs::{digest, hmac};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

/// A key of 256 bits, wiped when dropped.
pub(crate) type Key256 = Zeroizing<[u8; 32]>;

/// Width of an AES-GCM nonce, in bytes (96 bits: the width for which the mode is specified).
pub(crate) const NONCE_LEN: usize = 12;
/// Width of an AES-GCM tag, in bytes.
pub(crate) const TAG_LEN: usize = 16;

/// What was to be opened was sealed under another key, with other associated data, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not open with this key")]
pub(crate) struct DoesNotOpen;

/// HKDF-SHA-256 with an output of one block, which makes it infallible: `T(1) = HMAC(HMAC(salt, ikm), info | 0x01)`.
///
/// # Source
/// RFC 5869, sections 2.2 and 2.3.
pub(crate) fn hkdf32(ikm: &[u8], salt: &[u8], label: &str) -> Key256 {
    let prk = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), ikm);
    let mut expand = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, prk.as_ref()));
    expand.update(label.as_bytes());
    expand.update(&[1]);
    to_key(expand.sign().as_ref())
}

/// HMAC-SHA-256.
pub(crate) fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    *to_key(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref())
}

/// Whether `tag` is the HMAC-SHA-256 of `message`, in constant time.
pub(crate) fn mac_is(key: &[u8; 32], message: &[u8], tag: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), message, tag).is_ok()
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    *to_key(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Seals `plaintext`: `nonce | ciphertext | tag`.
///
/// # Errors
/// Only for inputs near 64 GiB, the mode's own limit.
pub(crate) fn seal(
    key: &[u8; 32],
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, DoesNotOpen> {
    let sealed =
        Aes256Gcm::new(key.into()).encrypt(&nonce.into(), Payload { msg: plaintext, aad }).map_err(|_| DoesNotOpen)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens `nonce | ciphertext | tag`.
///
/// # Errors
/// Another key, other associated data, a changed or shortened text: one and the same answer.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(DoesNotOpen)?;
    let opened = Aes256Gcm::new(key.into()).decrypt(&(*nonce).into(), Payload { msg: text, aad });
    opened.map(Zeroizing::new).map_err(|_| DoesNotOpen)
}

/// Opens a sealed key of 32 bytes.
///
/// # Errors
/// As [`open`], and where it is not 32 bytes.
pub(crate) fn open32(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Key256, DoesNotOpen> {
    let opened = open(key, aad, sealed)?;
    if opened.len() == 32 { Ok(to_key(&opened)) } else { Err(DoesNotOpen) }
}

/// An encoding that two different lists of fields can't share: a domain, then every field behind its length.
///
/// Lengths and counts are four bytes, big-endian.
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    /// Begins with the domain string and a zero byte.
    pub(crate) fn new(domain: &str) -> Self {
        let mut bytes = domain.as_bytes().to_vec();
        bytes.push(0);
        Self(bytes)
    }

    /// Appends one field.
    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        // No field comes near 4 GiB: the file is read with a limit of a few MiB.
        self.0.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends a list: how many, then each as a field.
    pub(crate) fn list<T: AsRef<str>>(mut self, members: &[T]) -> Self {
        self.0.extend_from_slice(&u32::try_from(members.len()).unwrap_or(u32::MAX).to_be_bytes());
        members.iter().fold(self, |encoding, member| encoding.field(member.as_ref().as_bytes()))
    }

    /// The encoding.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Exactly `N` bytes of strict base64url: no padding, no stray bits.
pub(crate) fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// JSON with one spelling: no spaces, members sorted by the bytes of their names, strings and numbers as `serde_json`
/// writes them.
///
/// # Errors
/// The value does not serialize, which no type of this crate does.
pub(crate) fn canonical_json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    write_canonical(&serde_json::to_value(value)?, &mut out)?;
    Ok(out)
}

/// Sorted here and not by the map, whose order is another crate's choice.
fn write_canonical(value: &Value, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let between = |first: bool, out: &mut Vec<u8>| {
        if !first {
            out.push(b',')
        }
    };
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| name.as_bytes());
            out.push(b'{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                between(index == 0, out);
                serde_json::to_writer(&mut *out, name)?;
                out.push(b':');
                write_canonical(member, out)?;
            }
            out.push(b'}');
        }
        Value::Array(members) => {
            out.push(b'[');
            for (index, member) in members.iter().enumerate() {
                between(index == 0, out);
                write_canonical(member, out)?;
            }
            out.push(b']');
        }
        other => serde_json::to_writer(out, other)?,
    }
    Ok(())
}

/// The first 32 bytes of an output that has exactly so many.
fn to_key(bytes: &[u8]) -> Key256 {
    let mut key = Zeroizing::new([0; 32]);
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn hkdf_of_one_block_is_the_hkdf_of_the_library() {
        for (ikm, salt, label) in
            [(&[0x0b_u8; 22][..], &b"salt"[..], "label"), (b"", b"", ""), (&[7; 100], &[9; 100], "a")]
        {
            let theirs = aws_lc_rs::hkdf::Salt::new(aws_lc_rs::hkdf::HKDF_SHA256, salt).extract(ikm);
            let mut expected = [0; 32];
            theirs.expand(&[label.as_bytes()], aws_lc_rs::hkdf::HKDF_SHA256).unwrap().fill(&mut expected).unwrap();
            assert_eq!(*hkdf32(ikm, salt, label), expected);
        }
    }

    #[test]
    fn refuses_other_data_another_key_and_every_shortening() {
        let sealed = seal(&[7; 32], [1; NONCE_LEN], b"bounds", b"secret").unwrap();
        assert_eq!(open(&[7; 32], b"bounds", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(open(&[7; 32], b"other", &sealed), Err(DoesNotOpen));
        assert_eq!(open(&[8; 32], b"bounds", &sealed), Err(DoesNotOpen));
        for cut in 0..sealed.len() {
            assert_eq!(open(&[7; 32], b"bounds", &sealed[..cut]), Err(DoesNotOpen));
        }
    }

    #[test]
    fn sha256_is_sha256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(HEXLOWER.encode(&sha256(b"abc")), expected);
    }

    #[test]
    fn moving_a_byte_between_two_fields_changes_the_encoding() {
        let one = Canonical::new("d").field(b"ab").field(b"c").bytes();
        let two = Canonical::new("d").field(b"a").field(b"bc").bytes();
        assert_ne!(one, two);
        assert_ne!(Canonical::new("d").list(&["a", "b"]).bytes(), Canonical::new("d").field(b"a").field(b"b").bytes());
    }

    #[test]
    fn json_has_one_spelling_and_two_values_never_share_it() {
        let spelled = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            String::from_utf8(canonical_json(&value).unwrap()).unwrap()
        };
        let one = spelled(r#"{ "b": [1, "x,y", {"d": null, "c": true}], "a": "\u00e9\"" }"#);
        assert_eq!(one, r#"{"a":"é\"","b":[1,"x,y",{"c":true,"d":null}]}"#);
        assert_eq!(one, spelled(&one));
        let all = [
            r#"{}"#,
            r#"[]"#,
            r#"[[]]"#,
            r#"["a,b"]"#,
            r#"["a","b"]"#,
            r#"{"a":"b"}"#,
            r#"{"a":{"b":1}}"#,
            r#"1"#,
            r#"1.0"#,
            r#""1""#,
        ];
        for (index, text) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| spelled(text) != spelled(other)), "{text}");
        }
    }
}
