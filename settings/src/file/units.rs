//! Durations, sizes and shares: a number never stands without its unit.

use std::time::Duration;

use policies::yaml::scalar;

use super::text::text_type;
use crate::shape::Fault;

text_type!(
    /// A duration: `250ms`, `5m`, `1h30m`. Never zero.
    Span(Duration), "a duration such as `5m`",
    {
        "type": "string",
        "pattern": "^([1-9][0-9]*(ms|s|m|h|d))+$",
        "description": "A duration: 250ms, 30s, 5m, 1h30m, 1d.",
        "examples": ["30s", "5m", "1h30m"],
    },
    duration
);

text_type!(
    /// A size: `512B`, `64KiB`, `1MiB`. Never zero.
    Size(u64), "a size such as `64KiB`",
    {
        "type": "string",
        "pattern": "^[1-9][0-9]*(B|KiB|MiB|GiB)$",
        "description": "A size: 512B, 64KiB, 1MiB.",
        "examples": ["64KiB", "1MiB"],
    },
    size
);

text_type!(
    /// A share in millionths: `1%`, `0.1%`, `100%`. Never zero, never above all.
    Percent(u32), "a percentage such as `1%`",
    {
        "type": "string",
        "pattern": "^[0-9]{1,3}(\\.[0-9]{1,4})?%$",
        "description": "A percentage above 0, at most 100: 1%, 0.1%, 100%.",
        "examples": ["1%", "0.1%", "100%"],
    },
    percent
);

/// Parses a duration by the rules of policies, so that the two never differ.
pub(crate) fn duration(text: &str) -> Result<Duration, Fault> {
    let wrong = || Fault::new(format!("`{}` is not a duration", shown(text)));
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong().hint(if text.bytes().all(|b| b == b'0') {
            "zero is not a duration; to have none, take the line out".to_owned()
        } else {
            format!("a duration has a unit: write {text}m or {text}s")
        }));
    }
    scalar::duration(text).map_err(|hint| wrong().hint(hint))
}

/// Parses a number and a binary unit.
pub(crate) fn size(text: &str) -> Result<u64, Fault> {
    let wrong = || Fault::new(format!("`{}` is not a size", shown(text)));
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let scale = match unit {
        "B" => 1_u64,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" if !number.is_empty() => {
            return Err(wrong().hint(format!("a size has a unit: write {number}KiB or {number}B")));
        }
        _ => {
            return Err(wrong().hint(match unit.trim().to_lowercase().as_str() {
                "k" | "kb" | "kib" => format!("write {number}KiB (1024 bytes)"),
                "m" | "mb" | "mib" => format!("write {number}MiB (1024 KiB)"),
                "g" | "gb" | "gib" => format!("write {number}GiB (1024 MiB)"),
                _ => "the units are B, KiB, MiB and GiB, without spaces or fractions: 64KiB".to_owned(),
            }));
        }
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale)) {
        Some(0) => Err(wrong().hint("zero is not a size; to have no bound here, take the line out")),
        Some(bytes) => Ok(bytes),
        None if number.is_empty() => Err(wrong().hint("write a number and its unit: 64KiB")),
        None => Err(Fault::new(format!("`{}` is too large", shown(text)))),
    }
}

/// Parses a percentage with at most four digits behind the point; gives millionths.
pub(crate) fn percent(text: &str) -> Result<u32, Fault> {
    let wrong = || Fault::new(format!("`{}` is not a percentage", shown(text)));
    let form = "write a number and its sign, as 1% or 0.1%, with at most four digits behind the point";
    let Some(number) = text.strip_suffix('%') else {
        let number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        return Err(wrong().hint(match text {
            _ if number => format!("a percentage has its sign: write {text}%"),
            "0.1" => "write 10%".to_owned(),
            "0.01" => "write 1%".to_owned(),
            "0.001" => "write 0.1%".to_owned(),
            "1.0" => "write 100%".to_owned(),
            _ => form.to_owned(),
        }));
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 3) || !digits(part, 4) {
        return Err(wrong().hint(form));
    }
    let millionths = format!("{whole}{part:0<4}").parse::<u32>().map_err(|_| wrong().hint(form))?;
    match millionths {
        0 => Err(wrong().hint("zero is not a share; to have none, take the section out")),
        1..=1_000_000 => Ok(millionths),
        _ => Err(wrong().hint("all there is is 100%")),
    }
}

/// A duration the way the file writes it.
pub(crate) fn spell(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, scale) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if millis >= scale {
            text.push_str(&format!("{}{unit}", millis / scale));
            millis %= scale;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// At most forty characters of what was written, for a message.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_without_a_unit_is_told_which_to_write() {
        assert_eq!(duration("5").unwrap_err().hint.unwrap(), "a duration has a unit: write 5m or 5s");
        assert_eq!(size("64").unwrap_err().hint.unwrap(), "a size has a unit: write 64KiB or 64B");
    }

    #[test]
    fn refuses_zero_fractions_signs_spaces_and_foreign_units() {
        for text in [
            "",
            "0",
            "0s",
            "0ms",
            "-5s",
            "+5s",
            "1.5h",
            "5 m",
            " 5m",
            "5m ",
            "m",
            "5m5m",
            "5s1m",
            "5x",
            "5M",
            "99999999999999999999d",
            "5٣s",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        for text in
            ["", "0", "0B", "0KiB", "-1B", "1.5MiB", "64 KiB", "KiB", "64kb", "64K", "99999999999999999999GiB", "1TiB"]
        {
            assert!(size(text).is_err(), "{text:?}");
        }
        assert_eq!(size("64kb").unwrap_err().hint.unwrap(), "write 64KiB (1024 bytes)");
    }

    #[test]
    fn reads_what_the_documentation_shows() {
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("5m").unwrap(), Duration::from_secs(300));
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5_400));
        assert_eq!(duration("1d").unwrap(), Duration::from_secs(86_400));
        assert_eq!(size("512B").unwrap(), 512);
        assert_eq!(size("64KiB").unwrap(), 65_536);
    }

    #[test]
    fn percentages_have_a_sign_and_are_above_zero_and_at_most_all() {
        assert_eq!(percent("1").unwrap_err().hint.unwrap(), "a percentage has its sign: write 1%");
        assert!(percent("0%").unwrap_err().hint.unwrap().contains("take the section out"));
        assert!(percent("101%").unwrap_err().hint.unwrap().contains("100%"));
        for text in ["", "%", "0.0000%", "-1%", "+1%", "1 %", " 1%", "1.%", ".1%", "0.00001%", "1e1%", "1,5%", "1%%"] {
            assert!(percent(text).is_err(), "{text:?}");
        }
        assert_eq!(percent("1%").unwrap(), 10_000);
        assert_eq!(percent("0.1%").unwrap(), 1_000);
        assert_eq!(percent("0.0001%").unwrap(), 1);
        assert_eq!((percent("12.5%").unwrap(), percent("100%").unwrap()), (125_000, 1_000_000));
    }

    proptest! {
        #[test]
        fn what_is_spelled_reads_back(millis in 1_u64..10_000_000_000) {
            let duration_of = Duration::from_millis(millis);
            prop_assert_eq!(duration(&spell(duration_of)).unwrap(), duration_of);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = duration(&text);
            let _ = size(&text);
            let _ = percent(&text);
        }
    }
}
