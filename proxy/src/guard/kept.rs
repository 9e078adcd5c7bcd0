//! What guards remember over a restart: who was let through lately, and which guard has tripped.
//!
//! In and out: two files of the state folder, for its owner alone. A damaged one is passed over with a warning: then devices need
//! some hours to be known again, and a policy that is bad is held against nothing meanwhile.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use attest_core::time::UnixTime;
use serde_json::{Value, json};

use super::history::History;
use super::{RouteGuard, State, Trip};
use crate::whole_file;

const HISTORY: &str = "devices.history";
const GUARDS: &str = "guards.json";
const MAGIC: &[u8; 8] = b"assaydh1";
/// Bytes of a word with its place.
const ENTRY: usize = 12;
const MOST: u64 = 16 << 20;

/// Writes down who was let through lately.
pub(crate) fn save_history(folder: &Path, history: &History) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    for (at, word) in history.words() {
        bytes.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    whole_file::replace(&folder.join(HISTORY), &bytes)
}

/// Reads what an earlier process wrote.
pub(crate) fn load_history(folder: &Path, history: &History) {
    let path = folder.join(HISTORY);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(why) if why.kind() == io::ErrorKind::NotFound => return,
        Err(why) => tracing::warn!(file = %path.display(), "devices have to be known anew: {why}"),
    }
    let entries = bytes.strip_prefix(MAGIC).filter(|rest| rest.len() % ENTRY == 0);
    let Some(entries) = entries else {
        tracing::warn!(file = %path.display(), "devices have to be known anew: it is not what a gateway writes");
        return;
    };
    for entry in entries.as_chunks::<ENTRY>().0 {
        let [a, b, c, d, word @ ..] = *entry;
        let at = u32::from_be_bytes([a, b, c, d]);
        history.put_back(usize::try_from(at).unwrap_or(usize::MAX), u64::from_be_bytes(word));
    }
}

/// Writes down which guards have tripped, and which an operator has ended.
pub(crate) fn save_guards<'a>(
    folder: &Path,
    guards: impl Iterator<Item = (&'a str, &'a Arc<RouteGuard>)>,
) -> io::Result<()> {
    let told: BTreeMap<&str, Value> = guards
        .filter(|(_, guard)| guard.state() != State::Watching)
        .map(|(route, guard)| {
            let trip = guard.trip();
            let told = json!({
                "policy": hex(guard.digest()),
                "state": guard.state().as_str(),
                "at": trip.map(|trip| trip.at.secs()),
                "regressed": trip.map(|trip| trip.regressed),
                "active": trip.map(|trip| trip.active),
            });
            (route, told)
        })
        .collect();
    let path = folder.join(GUARDS);
    if told.is_empty() && !path.exists() {
        return Ok(());
    }
    whole_file::replace(&path, json!(told).to_string().as_bytes())
}

/// How the guards of an earlier process stood, for policies that are the same still.
pub(crate) struct KeptGuards(Value);

impl KeptGuards {
    /// Those of this state folder.
    pub(crate) fn load(folder: &Path) -> Self {
        let path = folder.join(GUARDS);
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(MOST).read_to_string(&mut text));
        match read.map(|_| serde_json::from_str(&text)) {
            Ok(Ok(value)) => Self(value),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Self(Value::Null),
            _ => {
                tracing::warn!(file = %path.display(), "it can't be read: every guard watches");
                Self(Value::Null)
            }
        }
    }

    /// How the guard of this route stood, if it had the same policy.
    pub(crate) fn of(&self, route: &str, policy: &[u8; 32]) -> Option<(State, Option<Trip>)> {
        let told = self.0.get(route)?;
        if told.get("policy")?.as_str()? != hex(policy) {
            return None;
        }
        let number = |name| told.get(name).and_then(Value::as_u64);
        let at = told.get("at").and_then(Value::as_i64).map(UnixTime::from_secs);
        let trip = at.zip(number("regressed")).zip(number("active"));
        let trip = trip.map(|((at, regressed), active)| Trip { at, regressed, active });
        match told.get("state")?.as_str()? {
            "tripped" => Some((State::Tripped, trip)),
            "ended" => Some((State::Ended, trip)),
            _ => None,
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
