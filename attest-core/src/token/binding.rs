//! What a token is bound to: the hash of one or several header values of the request that carries it.
//!
//! In: the values. Out: the hash that the claim `pay` must hold. With it, a token stolen without the bound value is
//! worthless.

use smallvec::SmallVec;
use subtle::ConstantTimeEq;

use super::Reason;
use super::claims::Pay;
use crate::crypto::{length_prefix, sha256_at_once};

/// How several values become one hash. One value alone is hashed as it is, in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingStyle {
    /// Each value with its length in front (u32, big endian), so that `a` + `bc` is not `ab` + `c`. Our own tokens.
    LengthPrefixed,
    /// Trimmed, one after the other, as Approov's published checks do.
    Concatenated,
}

/// SHA-256 over the values. Allocates nothing for up to 2 KiB of them.
#[must_use]
pub fn binding_hash(values: &[&[u8]], style: BindingStyle) -> [u8; 32] {
    let mut message: SmallVec<[u8; 2048]> = SmallVec::new();
    match (values, style) {
        ([only], BindingStyle::LengthPrefixed) => return sha256_at_once(only),
        ([only], BindingStyle::Concatenated) => return sha256_at_once(only.trim_ascii()),
        (_, BindingStyle::LengthPrefixed) => {
            for value in values {
                message.extend_from_slice(&length_prefix(value.len()));
                message.extend_from_slice(value);
            }
        }
        (_, BindingStyle::Concatenated) => {
            for value in values {
                message.extend_from_slice(value.trim_ascii());
            }
        }
    }
    sha256_at_once(&message)
}

/// The text of the claim `pay` for this hash: standard base64 with padding, 44 characters.
#[must_use]
pub fn pay_text(hash: &[u8; 32]) -> String {
    data_encoding::BASE64.encode(hash)
}

/// What a bound route found in the request.
#[derive(Clone, Copy)]
pub enum BindingValue<'a> {
    /// A header that the route binds is absent, or there twice.
    HeaderMissing,
    /// The values, in the order in which the route names the headers.
    Present {
        /// Whole header values.
        values: &'a [&'a [u8]],
        /// How they become one hash.
        style: BindingStyle,
    },
}

/// Whether the token is bound to what the request carries; the reason if not. `pay_optional`: a token without `pay`
/// passes.
pub(super) fn check(pay: Pay, value: BindingValue<'_>, pay_optional: bool) -> Result<(), Reason> {
    match (pay, value) {
        (Pay::Absent, _) if pay_optional => Ok(()),
        (Pay::Absent, _) => Err("pay_missing"),
        (Pay::Unreadable, _) => Err("pay_unreadable"),
        (Pay::Hash(_), BindingValue::HeaderMissing) => Err("bound_header_missing"),
        (Pay::Hash(hash), BindingValue::Present { values, style }) => {
            let fits: bool = hash.ct_eq(&binding_hash(values, style)).into();
            if fits { Ok(()) } else { Err("bound_to_another_value") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BindingStyle::{Concatenated, LengthPrefixed};

    #[test]
    fn refuses_another_value_an_absent_header_and_an_unreadable_pay() {
        let hash = Pay::Hash(binding_hash(&[b"Bearer a"], LengthPrefixed));
        let present = |values| BindingValue::Present { values, style: LengthPrefixed };
        assert_eq!(check(hash, present(&[b"Bearer b"]), false), Err("bound_to_another_value"));
        assert_eq!(check(hash, BindingValue::HeaderMissing, true), Err("bound_header_missing"));
        assert_eq!(check(Pay::Unreadable, present(&[b"Bearer a"]), true), Err("pay_unreadable"));
        assert_eq!(check(Pay::Absent, present(&[b"Bearer a"]), false), Err("pay_missing"));
        assert_eq!(check(Pay::Absent, present(&[b"Bearer a"]), true), Ok(()));
        assert_eq!(check(hash, present(&[b"Bearer a"]), false), Ok(()));
    }

    #[test]
    fn lengths_keep_several_values_apart_where_concatenation_does_not() {
        let (one, other): ([&[u8]; 2], [&[u8]; 2]) = ([b"Bearer a", b"bc"], [b"Bearer ab", b"c"]);
        assert_ne!(binding_hash(&one, LengthPrefixed), binding_hash(&other, LengthPrefixed));
        assert_eq!(binding_hash(&one, Concatenated), binding_hash(&other, Concatenated));
    }

    #[test]
    fn agrees_with_approovs_published_values() {
        let several = binding_hash(&[b"Bearer myauth_token", b" my-device-id "], Concatenated);
        assert_eq!(pay_text(&several), "71tnS3rSq2lanEWrKz4MoexiOMtv7w0fspfM8BAQKNU=");
    }
}
