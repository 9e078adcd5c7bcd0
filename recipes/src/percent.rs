//! Percent escapes. In: bytes or escaped text. Out: the other one; everything but unreserved characters is escaped, in
//! upper case: RFC 3986 section 2.3.

/// Appends `bytes`, escaped; those in `keep` stand as they are beside the unreserved ones.
pub(crate) fn encode_into(out: &mut Vec<u8>, bytes: impl IntoIterator<Item = u8>, keep: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(byte);
        } else {
            out.extend([b'%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
}

/// Whether [`encode_into`] would leave `text` as it is.
pub(crate) fn is_plain(text: &str, keep: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte))
}

/// How many bytes [`encode_into`] adds at most.
pub(crate) const fn longest(len: usize) -> usize {
    len.saturating_mul(3)
}

/// The bytes that escaped text stands for. A `%` without two digits stands for itself.
pub(crate) struct Decode<I: Iterator<Item = u8> + Clone> {
    inner: I,
    plus_is_space: bool,
}

/// Decodes `text`; with `plus_is_space` as in queries and forms.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Decode<std::str::Bytes<'_>> {
    Decode { inner: text.bytes(), plus_is_space }
}

impl<I: Iterator<Item = u8> + Clone> Decode<I> {
    /// The same, decoded once more.
    pub(crate) fn again(self) -> Decode<Self> {
        Decode { inner: self, plus_is_space: false }
    }
}

impl<I: Iterator<Item = u8> + Clone> Clone for Decode<I> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), plus_is_space: self.plus_is_space }
    }
}

impl<I: Iterator<Item = u8> + Clone> Iterator for Decode<I> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        match self.inner.next()? {
            b'%' => {
                let mut ahead = self.inner.clone();
                let digits = ahead.next().and_then(hex_value).zip(ahead.next().and_then(hex_value));
                let Some((high, low)) = digits else { return Some(b'%') };
                self.inner = ahead;
                Some(high << 4 | low)
            }
            b'+' if self.plus_is_space => Some(b' '),
            byte => Some(byte),
        }
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode_into(&mut out, bytes.iter().copied(), b"");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_broken_escape_stands_for_itself() {
        for text in ["%", "%4", "%zz", "a%"] {
            assert_eq!(decode(text, false).collect::<Vec<_>>(), text.as_bytes());
        }
        assert_eq!(decode("%41%6b+%2b", true).collect::<Vec<_>>(), b"Ak +");
        assert_eq!(decode("%256bey", true).again().collect::<Vec<_>>(), b"key");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = encoded(&bytes);
            prop_assert!(text.len() <= longest(bytes.len()));
            prop_assert_eq!(std::str::from_utf8(&bytes).is_ok_and(|bytes| is_plain(bytes, b"")), text.as_bytes() == bytes);
            prop_assert_eq!(decode(&text, true).collect::<Vec<_>>(), bytes);
        }
    }
}
