//! `ceilings:` as they are written: how much of a key may be used, whatever the policy says.

use std::num::NonZeroU64;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    text::text_type,
    units::{Size, duration, shown, size},
};
use crate::shape::{Fault, Field};

/// The most that a key is used on this route. No policy, mode or command lifts it. Past it the answer is 429.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ceilings")]
pub(crate) struct RawCeilings {
    /// For each device on this route; where the platform doesn't vouch for it, for each network.
    #[serde(default)]
    pub(crate) device: Field<RawAmounts>,
    /// For the key, over all routes that use it and have a ceiling of this unit and window.
    #[serde(default)]
    pub(crate) key: Field<RawAmounts>,
    /// What one request takes until its answer tells what it used. A request whose answer never tells costs that.
    #[serde(default)]
    pub(crate) reserve: Field<RawReserve>,
}

/// Amounts in windows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CeilingAmounts")]
pub(crate) struct RawAmounts {
    /// Requests: 60/1h.
    #[serde(default)]
    pub(crate) requests: Field<CountIn>,
    /// Tokens of a language model, as the API tells them: 20000/1d.
    #[serde(default)]
    pub(crate) tokens: Field<CountIn>,
    /// Bytes of both bodies: 10MiB/1d.
    #[serde(default)]
    pub(crate) bytes: Field<SizeIn>,
}

/// What one request takes beforehand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CeilingReserve")]
pub(crate) struct RawReserve {
    /// Best what a request costs at most: its prompt and the length of answer that the route allows. Default: 2000, or the
    /// largest `cap` of an operation on a field of tokens if that is more; the smallest ceiling of tokens if that is less.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(crate) tokens: Field<u64>,
    /// Default: 64KiB, or the smallest ceiling of bytes if that is less.
    #[serde(default)]
    pub(crate) bytes: Field<Size>,
}

text_type!(
    /// A count in a window: `60/1h`. Never zero.
    CountIn((NonZeroU64, Duration)), "a count in a window such as `60/1h`",
    {
        "type": "string",
        "pattern": "^[1-9][0-9]*/([1-9][0-9]*(ms|s|m|h|d))+$",
        "description": "How many in which window: 60/1h, 20000/1d. Windows are parts of a day or whole days, in UTC.",
        "examples": ["60/1h", "20000/1d"],
    },
    count_in
);

text_type!(
    /// A size in a window: `10MiB/1d`. Never zero.
    SizeIn((NonZeroU64, Duration)), "a size in a window such as `10MiB/1d`",
    {
        "type": "string",
        "pattern": "^[1-9][0-9]*(B|KiB|MiB|GiB)/([1-9][0-9]*(ms|s|m|h|d))+$",
        "description": "How much in which window: 10MiB/1d. Windows are parts of a day or whole days, in UTC.",
        "examples": ["10MiB/1d"],
    },
    size_in
);

/// Parses a count, a slash and a duration.
fn count_in(text: &str) -> Result<(NonZeroU64, Duration), Fault> {
    let (count, window) = halves(text, "60/1h")?;
    let wrong = || Fault::new(format!("`{}` is not a count in a window", shown(text)));
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong().hint("write a whole number, a slash and a window: 60/1h"));
    }
    let count: u64 = count.parse().map_err(|_| Fault::new(format!("`{}` is too large", shown(text))))?;
    let zero = || wrong().hint("zero would let nothing pass; take the route's operations out instead");
    Ok((NonZeroU64::new(count).ok_or_else(zero)?, duration(window)?))
}

/// Parses a size, a slash and a duration.
fn size_in(text: &str) -> Result<(NonZeroU64, Duration), Fault> {
    let (bytes, window) = halves(text, "10MiB/1d")?;
    let wrong = || Fault::new(format!("`{}` is not a size in a window", shown(text)));
    Ok((NonZeroU64::new(size(bytes)?).ok_or_else(wrong)?, duration(window)?))
}

fn halves<'a>(text: &'a str, example: &str) -> Result<(&'a str, &'a str), Fault> {
    text.split_once('/').ok_or_else(|| {
        Fault::new(format!("`{}` has no window", shown(text)))
            .hint(format!("a ceiling is so much in a window: write {example}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_has_no_window_no_unit_or_nothing_in_it() {
        for text in [
            "",
            "60",
            "60/",
            "/1h",
            "0/1h",
            "-1/1h",
            "60/0h",
            "60 / 1h",
            "60/1h/2",
            "6e1/1h",
            "60/h",
            "99999999999999999999/1d",
        ] {
            assert!(count_in(text).is_err(), "{text:?}");
        }
        for text in ["", "10MiB", "10/1d", "0MiB/1d", "MiB/1d", "10MiB/", "1.5MiB/1d"] {
            assert!(size_in(text).is_err(), "{text:?}");
        }
        assert_eq!(count_in("60").unwrap_err().hint.unwrap(), "a ceiling is so much in a window: write 60/1h");
        assert_eq!(size_in("10MB/1d").unwrap_err().hint.unwrap(), "write 10MiB (1024 KiB)");
    }

    #[test]
    fn reads_what_the_documentation_shows() {
        let read = |(amount, window): (NonZeroU64, Duration)| (amount.get(), window.as_secs());
        assert_eq!(read(count_in("60/1h").unwrap()), (60, 3_600));
        assert_eq!(read(count_in("20000/1d").unwrap()), (20_000, 86_400));
        assert_eq!(read(size_in("10MiB/1d").unwrap()), (10 << 20, 86_400));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = count_in(&text);
            let _ = size_in(&text);
        }
    }
}
