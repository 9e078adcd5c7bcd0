//! Answers for a person: columns that line up, times as distances from now.

use attest_core::time::UnixTime;

/// Rows under a head, each column as wide as its widest cell; the last one as it comes.
pub(crate) fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(head)).chain(rows).collect::<Vec<_>>().join("\n")
}

/// A moment (Unix seconds) as its distance from `now`: `3 min ago`, `in 2 days`.
pub(crate) fn moment(at: i64, now: UnixTime) -> String {
    let distance = at.saturating_sub(now.secs());
    match distance {
        0 => "now".to_owned(),
        1.. => format!("in {}", lasting(distance.unsigned_abs())),
        _ => format!("{} ago", lasting(distance.unsigned_abs())),
    }
}

/// The same, or a dash.
pub(crate) fn maybe_moment(at: Option<i64>, now: UnixTime) -> String {
    at.map_or_else(|| "-".to_owned(), |at| moment(at, now))
}

/// A text, or a dash.
pub(crate) fn maybe(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// Seconds as a person says them.
pub(crate) fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How a list goes on, as the line to type.
pub(crate) fn more(next: Option<&str>) -> String {
    next.map(|next| format!("\nmore: the same with --after {next}")).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_leave_no_space_behind() {
        let rows = [["a".to_owned(), "banned".to_owned()], ["longer".to_owned(), String::new()]];
        assert_eq!(columns(["ID", "STATE"], &rows), "ID      STATE\na       banned\nlonger");
    }

    #[test]
    fn times_are_told_from_now() {
        let now = UnixTime::from_secs(1_000_000);
        assert_eq!(moment(999_940, now), "60 s ago");
        assert_eq!(moment(1_000_000 + 3 * 86_400, now), "in 3 days");
        assert_eq!(moment(1_000_000, now), "now");
        assert!(moment(i64::MIN, now).contains("days ago"));
        assert_eq!(maybe_moment(None, now), "-");
    }
}
