//! In: how attestations ended. Out: rows, one transaction for a batch of them, so that the rate of attestations is not bound
//! by the disk's. What is proven: memory and the transaction are bounded, and a crash loses this batch at most; what
//! the device key did not sign is not laid at the device's door, and a device belongs to the app that it last passed as.

use std::{collections::HashMap, fmt::Write as _};

use attest_core::{device_key::DeviceId, reasons::Reasons, reference::Platform};

use super::{MAX_ROWS, Seen, family};
use crate::{
    error::StoreError,
    sql::{Value, values},
    store::{Change, count_up, counter},
};

/// Devices in a full batch.
const FULL_BATCH: usize = 1024;
/// Renewed keys in a full batch: each takes some statements, and operators wait for the transaction.
const FULL_OF_RENEWED: usize = 64;
/// Rows in one statement: its parameters stay within what both engines take.
const AT_ONCE: usize = 128;
/// Bytes of findings that are kept.
const MAX_FINDINGS: usize = 1024;

/// Attestations of one device that are not written yet.
struct Tally {
    passed: u32,
    failed: u32,
    last: Seen,
    /// What it was when it last passed: a failed one may say that it is anything.
    proven: Option<Proven>,
}

struct Proven {
    app: String,
    version: String,
    platform: Platform,
}

/// Tallies by device.
#[derive(Default)]
pub(crate) struct Batch {
    tallies: HashMap<DeviceId, Tally>,
    renewed: usize,
}

impl Batch {
    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    /// Whether it has to be written now.
    pub(crate) fn is_full(&self) -> bool {
        self.tallies.len() >= FULL_BATCH || self.renewed >= FULL_OF_RENEWED
    }

    /// Counts one attestation.
    pub(crate) fn count(&mut self, seen: Seen) {
        // Anybody can send a device's public key; only its holder can sign.
        if seen.reasons.contains(Reasons::BAD_DEVICE_SIGNATURE) {
            return;
        }
        self.renewed += usize::from(seen.renewed_from.is_some());
        let (passed, failed) = if seen.passed { (1, 0) } else { (0, 1) };
        let proven = seen.passed.then(|| Proven {
            app: seen.app.clone(),
            version: seen.version.clone(),
            platform: seen.platform,
        });
        match self.tallies.get_mut(&seen.device) {
            Some(tally) => {
                tally.passed = tally.passed.saturating_add(passed);
                tally.failed = tally.failed.saturating_add(failed);
                // A link that was proven is not lost to a later sighting without one.
                let renewed_from = seen.renewed_from.or(tally.last.renewed_from);
                tally.proven = proven.or(tally.proven.take());
                if seen.at >= tally.last.at {
                    tally.last = seen;
                }
                tally.last.renewed_from = renewed_from;
            }
            None => {
                self.tallies.insert(seen.device, Tally { passed, failed, last: seen, proven });
            }
        }
    }

    /// Writes all tallies.
    pub(crate) fn write(&self, change: &Change<'_>) -> Result<(), StoreError> {
        let tallies: Vec<&Tally> = self.tallies.values().collect();
        for some in tallies.chunks(AT_ONCE) {
            let known = update(change, some)?;
            let new: Vec<&Tally> =
                some.iter().filter(|tally| tally.passed > 0 && !known.contains(&tally.last.device)).copied().collect();
            insert(change, &new)?;
        }
        for tally in tallies {
            if let Some(old) = &tally.last.renewed_from {
                family::link(change, (&tally.last.device, tally.passed > 0), old, tally.last.at)?;
            }
        }
        Ok(())
    }
}

/// Adds to the rows that are there; their devices.
fn update(change: &Change<'_>, tallies: &[&Tally]) -> Result<Vec<DeviceId>, StoreError> {
    let key_set = change.inner.token.key_set.as_str();
    let mut values = Vec::with_capacity(tallies.len() * COLUMNS);
    for tally in tallies {
        push(&mut values, tally, key_set);
    }
    let rows = change.tx.rows(&update_sql(tallies.len()), &values)?;
    rows.iter().map(|row| Ok(DeviceId::from_bytes(row.bytes(0)?))).collect()
}

fn update_sql(rows: usize) -> String {
    // Both engines name the columns of VALUES so.
    format!(
        "UPDATE devices SET passed = devices.passed + v.column2, failed = devices.failed + v.column3,
                last_seen = CASE WHEN devices.last_seen > v.column4 THEN devices.last_seen ELSE v.column4 END,
                app = CASE WHEN v.column2 > 0 THEN v.column5 ELSE devices.app END,
                version = CASE WHEN v.column2 > 0 THEN v.column6 ELSE devices.version END,
                platform = CASE WHEN v.column2 > 0 THEN v.column7 ELSE devices.platform END, last_reasons = v.column8,
                last_findings = v.column9, key_set = v.column10
         FROM (VALUES {}) AS v WHERE devices.id = v.column1 RETURNING devices.id",
        places(rows, COLUMNS)
    )
}

/// Adds rows for devices that passed for the first time, as far as there is room.
fn insert(change: &Change<'_>, tallies: &[&Tally]) -> Result<(), StoreError> {
    let room = usize::try_from(MAX_ROWS - counter(change.tx, "device_rows")?).unwrap_or(0);
    let tallies = tallies.get(..tallies.len().min(room)).unwrap_or_default();
    if tallies.is_empty() {
        return Ok(());
    }
    let key_set = change.inner.token.key_set.as_str();
    let count = i64::try_from(tallies.len()).unwrap_or(0);
    let mut place = count_up(change.tx, "device_order", count)? - count;
    let mut values = Vec::with_capacity(tallies.len() * (COLUMNS + 2));
    for tally in tallies {
        place += 1;
        push(&mut values, tally, key_set);
        values.extend_from_slice(values![place, tally.last.at]);
    }
    change.tx.execute(
        &format!(
            "INSERT INTO devices (id, passed, failed, last_seen, app, version, platform, last_reasons, last_findings,
                                  key_set, place, first_seen)
             VALUES {}",
            places(tallies.len(), COLUMNS + 2)
        ),
        &values,
    )?;
    count_up(change.tx, "device_rows", count)?;
    Ok(())
}

/// Values of one tally.
const COLUMNS: usize = 10;

fn push(values: &mut Vec<Value>, tally: &Tally, key_set: &str) {
    let (last, proven) = (&tally.last, tally.proven.as_ref());
    values.extend_from_slice(values![
        *last.device.as_bytes(),
        tally.passed,
        tally.failed,
        last.at,
        proven.map_or("", |proven| proven.app.as_str()),
        proven.map_or("", |proven| proven.version.as_str()),
        proven.map_or("", |proven| proven.platform.as_str()),
        i64::try_from(last.reasons.bits()).unwrap_or(i64::MAX),
        findings(&last.findings),
        key_set
    ]);
}

/// `($1, $2), ($3, $4)`: `rows` rows of `columns` parameters.
fn places(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for place in 0..rows * columns {
        let before = match (place % columns, place) {
            (0, 0) => "(",
            (0, _) => "), (",
            _ => ", ",
        };
        let _ = write!(text, "{before}${}", place + 1);
    }
    text.push(')');
    text
}

/// One a line, as many whole ones as are kept.
fn findings(findings: &[String]) -> String {
    let mut text = String::new();
    for finding in findings {
        if text.len() + finding.len() >= MAX_FINDINGS {
            break;
        }
        // The database takes no zero byte, and a line is a line.
        text.extend(finding.chars().filter(|c| !c.is_control()));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Connection, Sqlite, migrations};

    #[test]
    fn a_batch_looks_its_devices_up_and_never_walks_through_all_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::Sqlite(Sqlite::open(folder.path()).unwrap());
        migrations::migrate(&connection).unwrap();
        let unbound = vec![Value::Null; AT_ONCE * COLUMNS];
        let plan =
            connection.read(|tx| tx.rows(&format!("EXPLAIN QUERY PLAN {}", update_sql(AT_ONCE)), &unbound)).unwrap();
        let plan: Vec<_> = plan.iter().map(|row| row.text(3).unwrap()).collect();
        assert!(plan.iter().any(|step| step.starts_with("SEARCH devices USING")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN devices")), "{plan:?}");
    }

    #[test]
    fn a_batch_is_full_of_few_renewed_keys_for_each_takes_long() {
        let id = |number: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            DeviceId::from_bytes(id)
        };
        let seen = |number, renewed_from| Seen {
            device: id(number),
            app: "shop".to_owned(),
            version: "1".to_owned(),
            platform: Platform::Linux,
            passed: true,
            reasons: Reasons::NONE,
            findings: Vec::new(),
            renewed_from,
            at: attest_core::time::UnixTime::default(),
        };
        let full = |renewed_from: Option<DeviceId>| {
            let mut batch = Batch::default();
            (0..)
                .take_while(|number| {
                    batch.count(seen(*number, renewed_from));
                    !batch.is_full()
                })
                .count()
                + 1
        };
        assert_eq!((full(None), full(Some(id(7)))), (FULL_BATCH, FULL_OF_RENEWED));
    }

    #[test]
    fn parameters_are_numbered_through() {
        assert_eq!(places(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }

    #[test]
    fn findings_are_cut_between_lines_and_hold_no_control_character() {
        let many: Vec<String> = (0..200).map(|n| format!("injected-library:\u{0}lib{n}.so\n")).collect();
        let text = findings(&many);
        assert!(
            text.len() <= MAX_FINDINGS && text.lines().all(|line| line.ends_with(".so") && !line.contains('\u{0}'))
        );
    }
}
