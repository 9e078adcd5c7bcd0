//! One line. In: an event, its number and the hash of the line before. Out: JSON that ends in a MAC over every byte in front
//! of it; the MAC is over bytes as written, so that no two readings of a line can differ.

use attest_core::time::UnixTime;
use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::key::AuditKey;

/// SHA-256 of a line, without its line feed.
pub(crate) type LineHash = [u8; 32];

/// The hash before the first line.
pub(crate) const START: LineHash = [0; 32];

#[derive(Serialize)]
struct Written<'a> {
    number: u64,
    at: i64,
    writer: &'a str,
    #[serde(flatten)]
    event: &'a Event,
    before: String,
}

/// A line as it was read: authentic only once [`Line::is_by`] says so.
pub(crate) struct Line<'a> {
    pub(crate) number: u64,
    pub(crate) writer: String,
    pub(crate) event: Event,
    pub(crate) before: LineHash,
    authenticated: &'a [u8],
    mac: [u8; 32],
}

#[derive(Deserialize)]
struct Read {
    number: u64,
    writer: String,
    #[serde(flatten)]
    event: Event,
    before: String,
}

/// The line, without its line feed.
pub(crate) fn write(
    key: &AuditKey,
    writer: &str,
    (number, at): (u64, UnixTime),
    event: &Event,
    before: &LineHash,
) -> Result<Vec<u8>, serde_json::Error> {
    let written = Written { number, at: at.millis(), writer, event, before: HEXLOWER.encode(before) };
    let mut line = serde_json::to_vec(&written)?;
    // The MAC is the last member: it takes the place of the closing brace.
    line.pop();
    let mac = key.mac_of_line(&line);
    line.extend_from_slice(MAC);
    line.extend_from_slice(HEXLOWER.encode(&mac).as_bytes());
    line.extend_from_slice(END);
    Ok(line)
}

/// The hash of a line, for the next one.
pub(crate) fn hash(line: &[u8]) -> LineHash {
    digest::digest(&digest::SHA256, line).as_ref().try_into().unwrap_or(START)
}

impl<'a> Line<'a> {
    /// Takes a line apart; `None` for what no writer wrote.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let (head, end) = line.split_at_checked(line.len().checked_sub(MAC.len() + 64 + END.len())?)?;
        let hex = end.strip_prefix(MAC)?.strip_suffix(END)?;
        let mac = HEXLOWER.decode(hex).ok()?.try_into().ok()?;
        let read: Read = serde_json::from_slice(&[head, b"}"].concat()).ok()?;
        let before = HEXLOWER.decode(read.before.as_bytes()).ok()?.try_into().ok()?;
        let Read { number, writer, event, .. } = read;
        Some(Self { number, writer, event, before, authenticated: head, mac })
    }

    /// Whether `key` authenticated it, in constant time.
    pub(crate) fn is_by(&self, key: &AuditKey) -> bool {
        key.made_line(self.authenticated, &self.mac)
    }
}

const MAC: &[u8] = br#","mac":""#;
const END: &[u8] = br#""}"#;
