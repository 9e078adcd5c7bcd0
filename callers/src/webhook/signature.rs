//! The texts of signatures, strictly read: bytes from anybody, before anything is proven.
//!
//! In: the value of a header. Out: the MACs that it claims, and the time where it carries one; or nothing, where two
//! readers could read it differently or where it is longer than any genuine one.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use smallvec::SmallVec;

/// An HMAC-SHA-256.
pub type Mac = [u8; 32];

/// The longest value that is looked at, in bytes.
pub const MAX_BYTES: usize = 2048;

/// Signatures that one header may carry: a provider that rolls secrets signs with each.
pub const MAX_MACS: usize = 8;

/// What a signature header of Stripe's says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// When it was signed.
    pub timestamp: Timestamp,
    /// The signatures; one at least.
    pub macs: SmallVec<[Mac; 2]>,
}

/// Seconds since 1970 in decimal digits, kept as they were written: it is the text that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    text: SmallVec<[u8; 12]>,
    secs: i64,
}

impl Timestamp {
    /// Reads 1 to 12 digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > 12 || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let secs = text.iter().fold(0_i64, |secs, digit| secs * 10 + i64::from(digit - b'0'));
        Some(Self { text: SmallVec::from_slice(text), secs })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// As a number.
    #[must_use]
    pub const fn secs(&self) -> i64 {
        self.secs
    }
}

/// `t=1492774577,v1=hex,v1=hex,v0=hex`: exactly one `t`, one `v1` at least. Other schemes are passed over, as Stripe asks.
#[must_use]
pub fn stripe(text: &[u8]) -> Option<Claimed> {
    let mut timestamp = None;
    let mut macs = SmallVec::new();
    for item in items(text, b',')? {
        let equals = item.iter().position(|byte| *byte == b'=')?;
        let (name, value) = item.split_at_checked(equals)?;
        let value = value.get(1..)?;
        match name {
            b"t" if timestamp.is_some() => return None,
            b"t" => timestamp = Some(Timestamp::parse(value)?),
            b"v1" => macs.push(hex(value)?),
            _ => {}
        }
    }
    bounded(macs).map(|macs| timestamp.map(|timestamp| Claimed { timestamp, macs }))?
}

/// `sha256=hex`.
#[must_use]
pub fn github(text: &[u8]) -> Option<Mac> {
    hex(text.strip_prefix(b"sha256=")?)
}

/// `v1,base64 v1,base64`, one at least. Other versions (`v1a`, signed with a private key) are passed over.
#[must_use]
pub fn standard(text: &[u8]) -> Option<SmallVec<[Mac; 2]>> {
    let mut macs = SmallVec::new();
    for item in items(text, b' ')? {
        let comma = item.iter().position(|byte| *byte == b',')?;
        let (version, value) = item.split_at_checked(comma)?;
        if version == b"v1" {
            macs.push(base64(value.get(1..)?)?);
        }
    }
    bounded(macs)
}

/// Exactly 64 hexadecimal digits.
#[must_use]
pub fn hex(text: &[u8]) -> Option<Mac> {
    let mut mac = [0; 32];
    (text.len() == 64).then(|| HEXLOWER_PERMISSIVE.decode_mut(text, &mut mac).ok())??;
    Some(mac)
}

/// Exactly 32 bytes in base64 with padding (RFC 4648 section 4), in their one spelling.
#[must_use]
pub fn base64(text: &[u8]) -> Option<Mac> {
    // 33 bytes are what 44 characters could be without their padding.
    let mut bytes = [0; 33];
    let length = (text.len() == 44).then(|| BASE64.decode_mut(text, &mut bytes).ok())??;
    let (mac, _) = bytes.split_first_chunk::<32>()?;
    (length == mac.len()).then_some(*mac)
}

/// The items of a list, if there are not too many: as many others as MACs may stand among them.
fn items(text: &[u8], separator: u8) -> Option<impl Iterator<Item = &[u8]>> {
    let separators = text.iter().filter(|byte| **byte == separator).count();
    (text.len() <= MAX_BYTES && separators < 2 * MAX_MACS).then(|| text.split(move |byte| *byte == separator))
}

fn bounded(macs: SmallVec<[Mac; 2]>) -> Option<SmallVec<[Mac; 2]>> {
    (1..=MAX_MACS).contains(&macs.len()).then_some(macs)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    const A: &str = "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd";

    #[test]
    fn a_header_that_can_be_read_in_two_ways_is_none() {
        let short = A.get(1..).unwrap();
        for text in [
            "".to_owned(),
            "t=1".to_owned(),
            format!("v1={A}"),
            format!("t=1,t=2,v1={A}"),
            format!("t=1,t=1,v1={A}"),
            format!("t=1, v1={A}"),
            format!("t= 1,v1={A}"),
            format!("t=-1,v1={A}"),
            format!("t=1.5,v1={A}"),
            format!("t=,v1={A}"),
            format!("t=1234567890123,v1={A}"),
            format!("t=1,v1={short}"),
            format!("t=1,v1={A}0"),
            format!("t=1,v1={A},v1=zz"),
            format!("t=1,v1={A},"),
            format!("t=1,,v1={A}"),
            format!("t=1{}", format!(",v1={A}").repeat(9)),
            format!("t=1,v1={A}{}", ",v9=1".repeat(20)),
        ] {
            assert_eq!(stripe(text.as_bytes()), None, "{text}");
        }
        for text in ["", "sha256=", A, &format!("sha1={A}"), &format!("sha256={A} "), &format!("sha256={A},sha256={A}")]
        {
            assert_eq!(github(text.as_bytes()), None, "{text}");
        }
        for text in [
            "",
            "v1",
            "v1,",
            "v1,AA==",
            "v1a,AAAA",
            &format!("v1,{A}"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=",
        ] {
            assert_eq!(standard(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_stripe_publishes_is_read() {
        let v0 = "6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";
        let claimed = stripe(format!("t=1492774577,v1={A},v0={v0}").as_bytes()).unwrap();
        assert_eq!((claimed.timestamp.secs(), claimed.timestamp.text()), (1_492_774_577, &b"1492774577"[..]));
        assert_eq!(claimed.macs.iter().map(|mac| HEXLOWER.encode(mac)).collect::<Vec<_>>(), [A]);
        let rolled = stripe(format!("v1={A},t=0001,v1={v0}").as_bytes()).unwrap();
        assert_eq!((rolled.macs.len(), rolled.timestamp.text()), (2, &b"0001"[..]));
    }

    proptest! {
        #[test]
        fn bytes_of_anybody_are_read_or_not_and_nothing_breaks(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (stripe(&text), github(&text), standard(&text), hex(&text), base64(&text), Timestamp::parse(&text));
        }

        #[test]
        fn near_misses_too(text in "(t=[0-9]{0,14}|v1=[0-9a-f]{62,66}|v0=x|,|=| |v1,[A-Za-z0-9+/]{42,44}={0,2}){0,12}") {
            let bytes = text.as_bytes();
            if let Some(claimed) = stripe(bytes) {
                // One `t` only, and every `v1` was taken.
                prop_assert_eq!(text.split(',').filter(|item| item.starts_with("t=")).count(), 1);
                prop_assert_eq!(text.split(',').filter(|item| item.starts_with("v1=")).count(), claimed.macs.len());
            }
            if let Some(macs) = standard(bytes) {
                prop_assert!(!macs.is_empty() && macs.len() <= MAX_MACS);
            }
        }

        #[test]
        fn what_was_written_is_read_back(secs in 0..1_000_000_000_000_i64, macs in proptest::collection::vec(any::<Mac>(), 1..=MAX_MACS)) {
            let mut text = format!("t={secs}");
            macs.iter().for_each(|mac| text.push_str(&format!(",v1={}", HEXLOWER.encode(mac))));
            let claimed = stripe(text.as_bytes()).unwrap();
            prop_assert_eq!(claimed.timestamp.secs(), secs);
            prop_assert_eq!(claimed.macs.as_slice(), macs.as_slice());
            let list: Vec<String> = macs.iter().map(|mac| format!("v1,{}", BASE64.encode(mac))).collect();
            let read = standard(list.join(" ").as_bytes()).unwrap();
            prop_assert_eq!(read.as_slice(), macs.as_slice());
        }
    }
}
