//! Memory of credentials that leave this crate inside types of `http` and `bytes`. In: clear bytes. Out: a value over
//! memory that is wiped when its last clone is dropped.

use bytes::Bytes;
use http::HeaderValue;
use http::uri::PathAndQuery;
use zeroize::Zeroizing;

/// A header value, marked sensitive: kept out of `Debug` and of header compression tables. `None`: not one.
pub(crate) fn header_value(text: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(shared(text)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A request target, whole. `None`: not one, or one that ends at a `#`, which the parser takes for a fragment and drops.
pub(crate) fn target(text: Zeroizing<Vec<u8>>) -> Option<PathAndQuery> {
    let len = text.len();
    PathAndQuery::from_maybe_shared(shared(text)).ok().filter(|target| target.as_str().len() == len)
}

/// Bytes that many may share.
pub(crate) fn shared(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    struct Wiped(Zeroizing<Vec<u8>>);
    impl AsRef<[u8]> for Wiped {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Wiped(bytes))
}
