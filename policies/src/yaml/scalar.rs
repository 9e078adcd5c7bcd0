//! The small values that operators write: durations, moments, versions.
//!
//! In: the text of one value. Out: a number that can't be misread, or what to write instead. No clock is read.

use std::time::Duration;

use attest_core::time::UnixTime;

/// Reads `250ms`, `5s`, `1m`, `1h30m`, `7d`. Zero is refused.
///
/// # Errors
/// What is wrong and what to write.
pub fn duration(text: &str) -> Result<Duration, String> {
    let usage = || "write a number and a unit: 250ms, 30s, 5m, 1h30m or 7d".to_owned();
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err(format!("a unit is missing: {text}s, {text}m or {text}h?"));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits).ok_or_else(usage)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(letters).ok_or_else(usage)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(usage()),
        };
        if millis >= last_unit {
            return Err("larger units come first, each once: 1h30m".to_owned());
        }
        last_unit = millis;
        let number: u64 = number.parse().map_err(|_| usage())?;
        let part = number.checked_mul(millis).ok_or("that is too long")?;
        total = total.checked_add(Duration::from_millis(part)).ok_or("that is too long")?;
        rest = tail;
    }
    if total.is_zero() {
        return Err("it must be longer than nothing; leave the field out for the default".to_owned());
    }
    Ok(total)
}

/// Reads `512B`, `64KiB`, `10MiB`, `1GiB`, at most 8 PiB. Zero is refused.
///
/// # Errors
/// What is wrong and what to write.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let usage = || "write a number and a unit: 512B, 64KiB, 10MiB or 1GiB".to_owned();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(usage)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "k" | "K" | "kB" | "KB" | "kb" | "kib" => return Err(format!("write {number}KiB (1024 bytes)")),
        "m" | "M" | "MB" | "mb" | "mib" => return Err(format!("write {number}MiB (1024 KiB)")),
        "g" | "G" | "GB" | "gb" | "gib" => return Err(format!("write {number}GiB (1024 MiB)")),
        "" if !number.is_empty() => return Err(format!("write {number}, without quotes, or {number}KiB")),
        _ => return Err(usage()),
    };
    let number: u64 = number.parse().map_err(|_| usage())?;
    match number.checked_mul(1 << shift) {
        Some(0) => Err("it must be more than nothing; leave the limit out for none".to_owned()),
        Some(size) if size <= 1 << 53 => Ok(size),
        _ => Err("that is too much".to_owned()),
    }
}

/// Reads a moment of RFC 3339 with its offset: `2027-03-01T00:00:00Z`, `2027-03-01T00:00:00+01:00`.
///
/// # Errors
/// What is wrong and what to write.
pub fn moment(text: &str) -> Result<UnixTime, String> {
    let usage = || "write date, time and offset: 2027-03-01T00:00:00Z or 2027-03-01T00:00:00+01:00".to_owned();
    let (date, rest) = match text.split_once(['T', 't', ' ']) {
        Some(parts) => parts,
        None if date_days(text).is_some() => {
            return Err(format!("a date alone ends at a different moment in each time zone: write {text}T00:00:00Z"));
        }
        None => return Err(usage()),
    };
    let days = date_days(date).ok_or_else(usage)?;
    let cut = rest
        .find(['Z', 'z', '+', '-'])
        .ok_or_else(|| format!("the offset is missing: write {date}T{rest}Z for UTC"))?;
    let (time, offset) = rest.split_at_checked(cut).ok_or_else(usage)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(usage());
    }
    let mut parts = clock.split(':').map(|part| two_digits(part, 60));
    let (Some(Some(hour)), Some(Some(minute)), Some(Some(second)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(usage());
    };
    if hour > 23 || minute > 59 || second > 60 {
        return Err(usage());
    }
    let shift = match offset {
        "Z" | "z" => 0,
        _ => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset.get(1..).and_then(|rest| rest.split_once(':')).ok_or_else(usage)?;
            let hours = two_digits(hours, 23).ok_or_else(usage)?;
            let minutes = two_digits(minutes, 59).ok_or_else(usage)?;
            sign * (hours * 3_600 + minutes * 60)
        }
    };
    Ok(UnixTime::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second - shift))
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, by Howard Hinnant's civil calendar algorithm.
fn date_days(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i64 = year.parse().ok()?;
    let month = two_digits(month, 12)?;
    let day = two_digits(day, 31)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    if month == 0 || day == 0 || day > longest || year < 1970 {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted / 400;
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn two_digits(text: &str, most: i64) -> Option<i64> {
    if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|value| *value <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_durations_that_could_be_misread() {
        for bad in ["", "0s", "0h0m", "60", "1.5s", "1 h", "1m1h", "1h1h", "-1s", "1w", "99999999999999999999s", "s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(duration("60").unwrap_err().contains("60s"));
    }

    #[test]
    fn reads_durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
    }

    #[test]
    fn refuses_moments_that_mean_different_things_in_different_places() {
        for bad in [
            "2027-03-01",
            "2027-03-01T00:00:00",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-3-1T00:00:00Z",
            "2027-03-01T24:00:00Z",
            "2027-03-01T00:00Z",
            "tomorrow",
            "",
            "2027-03-01T00:00:00+1:00",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(moment(bad).is_err(), "{bad}");
        }
        assert!(moment("2027-03-01").unwrap_err().contains("2027-03-01T00:00:00Z"));
    }

    #[test]
    fn reads_moments_with_their_offset() {
        assert_eq!(moment("1970-01-01T00:00:00Z").map(UnixTime::secs), Ok(0));
        assert_eq!(moment("2027-03-01T00:00:00Z").map(UnixTime::secs), Ok(1_803_859_200));
        assert_eq!(moment("2027-03-01T01:30:00+01:30").map(UnixTime::secs), Ok(1_803_859_200));
        assert_eq!(moment("2024-02-29T23:59:59.5Z").map(UnixTime::secs), Ok(1_709_251_199));
    }
}
