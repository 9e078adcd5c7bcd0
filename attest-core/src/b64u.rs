//! base64url without padding (RFC 4648 section 5), exactly one text for each value.
//!
//! Padding, the `+/` alphabet, white space and non-zero trailing bits are refused: two texts for one value would let a
//! changed token pass as the same (RFC 7515 section 2, appendix C).

use data_encoding::BASE64URL_NOPAD;

/// The text is not canonical base64url, or holds more than was allowed.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not base64url without padding, or too long")]
pub struct NotBase64Url;

/// The one base64url text of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// Decodes at most `max` bytes.
///
/// # Errors
/// [`NotBase64Url`] for any text that [`encode`] would not have made, and for more than `max` bytes.
pub fn decode(text: &[u8], max: usize) -> Result<Vec<u8>, NotBase64Url> {
    // Before any allocation: 4 characters carry 3 bytes.
    if text.len() / 4 * 3 > max {
        return Err(NotBase64Url);
    }
    let bytes = BASE64URL_NOPAD.decode(text).map_err(|_| NotBase64Url)?;
    if bytes.len() > max { Err(NotBase64Url) } else { Ok(bytes) }
}

/// Decodes exactly `N` bytes. Allocates nothing.
///
/// # Errors
/// [`NotBase64Url`] for any other text, and for any other length.
pub fn decode_array<const N: usize>(text: &[u8]) -> Result<[u8; N], NotBase64Url> {
    let mut out = [0; N];
    // A length that no text has is an error of its own in `decode_len`.
    if BASE64URL_NOPAD.decode_len(text.len()) != Ok(N) {
        return Err(NotBase64Url);
    }
    BASE64URL_NOPAD.decode_mut(text, &mut out).map_err(|_| NotBase64Url)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_padding_stray_bits_the_other_alphabet_and_white_space() {
        for text in ["AA==", "AB", "AAC", "+A", "/A", "A", "AA AA", "AAAA\n", "AAAAA"] {
            assert_eq!(decode(text.as_bytes(), 100), Err(NotBase64Url), "{text:?}");
        }
        assert_eq!(decode(b"AA", 100), Ok(vec![0]));
        assert_eq!(decode(b"", 0), Ok(vec![]));
    }

    #[test]
    fn refuses_more_than_allowed() {
        assert_eq!(decode(encode(&[7; 33]).as_bytes(), 32), Err(NotBase64Url));
        assert_eq!(decode_array::<32>(encode(&[7; 31]).as_bytes()), Err(NotBase64Url));
        assert_eq!(decode_array::<32>(encode(&[7; 32]).as_bytes()), Ok([7; 32]));
    }

    proptest! {
        #[test]
        fn each_value_has_one_text(text in "[A-Za-z0-9_=+/-]{0,24}") {
            if let Ok(bytes) = decode(text.as_bytes(), 64) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }

        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes(), 80), Ok(bytes));
        }
    }
}
