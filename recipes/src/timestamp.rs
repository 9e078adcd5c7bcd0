//! Times as text. In: a [`UnixTime`]. Out: one of the forms that signatures use; `None` outside of the years 1970 to 9999.

use attest_core::time::UnixTime;

use crate::text::TimestampForm;

/// A moment as calendars have it, UTC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// 0 is Sunday.
    weekday: usize,
}

impl Calendar {
    /// # Source
    /// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    pub(crate) fn of(time: UnixTime) -> Option<Self> {
        // 9999-12-31T23:59:59Z
        let secs = Some(time.secs()).filter(|secs| (0..=253_402_300_799).contains(secs))?;
        let (days, rest) = (secs / 86_400, secs % 86_400);
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Some(Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: usize::try_from((days + 4) % 7).ok()?,
        })
    }

    /// `20150830T123600Z`
    pub(crate) fn compact(&self) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }

    fn rfc3339(&self) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// RFC 9110 section 5.6.7.
    fn http_date(&self) -> Option<String> {
        let Self { year, month, day, hour, minute, second, weekday } = self;
        let weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].get(*weekday)?;
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = months.get(usize::try_from(month - 1).ok()?)?;
        Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
    }
}

/// `time` in this form.
pub(crate) fn write(form: TimestampForm, time: UnixTime) -> Option<String> {
    let calendar = Calendar::of(time)?;
    match form {
        TimestampForm::Unix => Some(time.secs().to_string()),
        TimestampForm::UnixMs => Some(time.millis().to_string()),
        TimestampForm::Rfc3339 => Some(calendar.rfc3339()),
        TimestampForm::HttpDate => calendar.http_date(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(form: TimestampForm, secs: i64) -> Option<String> {
        write(form, UnixTime::from_secs(secs))
    }

    #[test]
    fn there_is_no_time_before_1970_or_after_9999() {
        assert_eq!(at(TimestampForm::Unix, -1), None);
        assert_eq!(at(TimestampForm::HttpDate, 253_402_300_800), None);
        assert_eq!(at(TimestampForm::Rfc3339, 253_402_300_799).unwrap(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn leap_days_and_ends_of_years_are_where_they_are() {
        let forms = [(0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z")];
        let more = [(951_868_800, "2000-03-01T00:00:00Z"), (1_709_251_199, "2024-02-29T23:59:59Z")];
        let last = [(4_107_542_400, "2100-03-01T00:00:00Z"), (1_735_689_599, "2024-12-31T23:59:59Z")];
        for (secs, text) in forms.into_iter().chain(more).chain(last) {
            assert_eq!(at(TimestampForm::Rfc3339, secs).unwrap(), text);
        }
    }

    #[test]
    fn one_moment_in_every_form() {
        let time = UnixTime::from_millis(784_111_777_123);
        // RFC 9110's own example.
        assert_eq!(write(TimestampForm::HttpDate, time).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(write(TimestampForm::Unix, time).unwrap(), "784111777");
        assert_eq!(write(TimestampForm::UnixMs, time).unwrap(), "784111777123");
        assert_eq!(Calendar::of(time).unwrap().compact(), "19941106T084937Z");
    }
}
