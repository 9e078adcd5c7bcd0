//! The transcript T: one hash over everything an attest request says, which the device key signs and all Evidence
//! carries.
//!
//! What is not bound to T counts as absent, so Evidence can't be moved to another device key, app, version or binding.

use std::fmt;

use crate::crypto::{Sha256, length_prefix};
use crate::evidence_kind::EvidenceKind;

const DOMAIN: &[u8] = b"assay-transcript-v1\0";

/// SHA-256 of a transcript.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TranscriptHash([u8; 32]);

impl TranscriptHash {
    /// The hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TranscriptHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TranscriptHash({})", crate::b64u::encode(&self.0))
    }
}

/// What goes into T. Lists may come in any order: they are hashed in theirs.
#[derive(Clone, Copy)]
pub struct Transcript<'a> {
    /// The challenge's bytes.
    pub challenge: &'a [u8],
    /// The key set that the token is asked from.
    pub key_set: &'a str,
    /// The app.
    pub app: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The platform, as on the wire.
    pub platform: &'a str,
    /// The build's label; may be empty.
    pub build: &'a str,
    /// Facts about the device, by name.
    pub device_facts: &'a [(String, String)],
    /// What the app found about its surroundings.
    pub findings: &'a [String],
    /// SHA-256 of what the token shall be bound to.
    pub binding: Option<[u8; 32]>,
    /// The device's public key, 65 bytes.
    pub device_key: &'a [u8],
    /// The kinds of Evidence offered.
    pub kinds: &'a [EvidenceKind],
    /// The public key that this one takes over from, 65 bytes.
    pub previous_key: Option<&'a [u8]>,
}

impl Transcript<'_> {
    /// T.
    ///
    /// The domain string, then each field with its length in front (u32, big endian). A list is its number of entries
    /// (u32), then each entry with its length, in the order of their bytes. An absent binding is an empty field. A
    /// previous key is one field more, at the end; without one there is none.
    #[must_use]
    pub fn digest(&self) -> TranscriptHash {
        self.digest_with(self.device_key)
    }

    /// T with an empty device key: the challenge of `android-key`, which is fixed before the key exists.
    #[must_use]
    pub fn digest_without_device_key(&self) -> TranscriptHash {
        self.digest_with(&[])
    }

    fn digest_with(&self, device_key: &[u8]) -> TranscriptHash {
        let mut facts: Vec<(&[u8], &[u8])> =
            self.device_facts.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        facts.sort_unstable();
        let mut findings: Vec<&[u8]> = self.findings.iter().map(String::as_bytes).collect();
        findings.sort_unstable();
        let mut kinds: Vec<&[u8]> = self.kinds.iter().map(|kind| kind.as_str().as_bytes()).collect();
        kinds.sort_unstable();

        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update_field(self.challenge);
        for text in [self.key_set, self.app, self.version, self.platform, self.build] {
            hash.update_field(text.as_bytes());
        }
        hash.update(&length_prefix(facts.len()));
        for (name, value) in facts {
            hash.update_field(name);
            hash.update_field(value);
        }
        update_list(&mut hash, &findings);
        hash.update_field(self.binding.as_ref().map_or(&[], <[u8; 32]>::as_slice));
        hash.update_field(device_key);
        update_list(&mut hash, &kinds);
        if let Some(previous) = self.previous_key {
            hash.update_field(previous);
        }
        TranscriptHash(hash.finish())
    }
}

fn update_list(hash: &mut Sha256, entries: &[&[u8]]) {
    hash.update(&length_prefix(entries.len()));
    for entry in entries {
        hash.update_field(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn every_field_changes_the_hash_and_no_two_swap() {
        let (facts, other_facts) = (vec![("os".into(), "linux".into())], vec![("o".into(), "slinux".into())]);
        let (findings, other_findings) = (strings(&["ab"]), strings(&["a", "b"]));
        let base = Transcript {
            challenge: b"challenge",
            key_set: "default",
            app: "shop",
            version: "1",
            platform: "linux",
            build: "",
            device_facts: &facts,
            findings: &findings,
            binding: None,
            device_key: &[4; 65],
            kinds: &[EvidenceKind::Measurement],
            previous_key: None,
        };
        let variants = [
            base,
            Transcript { challenge: b"challengf", ..base },
            Transcript { key_set: "defaul", app: "tshop", ..base },
            Transcript { app: "shop1", version: "", ..base },
            Transcript { version: "2", ..base },
            Transcript { platform: "ios", ..base },
            Transcript { build: "x", ..base },
            Transcript { device_facts: &other_facts, ..base },
            Transcript { findings: &other_findings, ..base },
            Transcript { findings: &[], ..base },
            Transcript { binding: Some([0; 32]), ..base },
            Transcript { device_key: &[5; 65], ..base },
            Transcript { kinds: &[], ..base },
            Transcript { kinds: &[EvidenceKind::Measurement, EvidenceKind::AndroidKey], ..base },
            Transcript { previous_key: Some(&[4; 65]), ..base },
            Transcript { previous_key: Some(&[5; 65]), ..base },
            Transcript { previous_key: Some(&[]), ..base },
        ];
        for (at, one) in variants.iter().enumerate() {
            for other in &variants[..at] {
                assert_ne!(one.digest(), other.digest(), "variant {at}");
            }
        }
        assert_ne!(base.digest(), base.digest_without_device_key());
        let other_key = Transcript { device_key: &[5; 65], ..base };
        assert_eq!(base.digest_without_device_key(), other_key.digest_without_device_key());
    }

    #[test]
    fn the_order_of_lists_does_not_matter() {
        let (one, two) = (strings(&["b", "a"]), strings(&["a", "b"]));
        let base = Transcript {
            challenge: b"",
            key_set: "",
            app: "",
            version: "",
            platform: "",
            build: "",
            device_facts: &[],
            findings: &one,
            binding: None,
            device_key: b"",
            kinds: &[],
            previous_key: None,
        };
        assert_eq!(base.digest(), Transcript { findings: &two, ..base }.digest());
    }
}
