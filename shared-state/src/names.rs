//! In: a prefix, and what a name is of. Out: the name. All share one hash tag; what clients choose is in them as a digest
//! alone, so that a name has one length and tells no address.

use aws_lc_rs::digest;

use crate::epoch::Epoch;

/// The names of one installation.
#[derive(Debug)]
pub(crate) struct Names {
    /// `{prefix}:`
    tag: String,
}

impl Names {
    /// The names under `prefix`, which has no braces (the settings see to that).
    pub(crate) fn under(prefix: &str) -> Self {
        Self { tag: format!("{{{prefix}}}:") }
    }

    pub(crate) fn epoch(&self) -> Vec<u8> {
        self.of(b"epoch")
    }

    /// Of an epoch: what an earlier one left behind takes no room in this one, and ends by itself.
    pub(crate) fn spent(&self, epoch: Epoch) -> Vec<u8> {
        self.of(&[b"spent:", epoch.as_slice()].concat())
    }

    pub(crate) fn network(&self, epoch: Epoch, network: &[u8]) -> Vec<u8> {
        self.hashed(b"net:", &[epoch.as_slice(), network].concat())
    }

    pub(crate) fn answer(&self, transcript: &[u8; 32]) -> Vec<u8> {
        [self.tag.as_bytes(), b"answer:", transcript].concat()
    }

    /// Of a rate or a budget: cells of two kinds are never one.
    pub(crate) fn limit(&self, kind: &str, subject: &[u8]) -> Vec<u8> {
        self.hashed(&[b"limit:", kind.as_bytes(), b":"].concat(), subject)
    }

    pub(crate) fn newcomers(&self, kind: &str, limit: &[u8]) -> Vec<u8> {
        self.hashed(&[b"newcomers:", kind.as_bytes(), b":"].concat(), limit)
    }

    pub(crate) fn settlement(&self, id: &[u8; 16]) -> Vec<u8> {
        self.of(&[b"settled:", id.as_slice()].concat())
    }

    fn of(&self, what: &[u8]) -> Vec<u8> {
        [self.tag.as_bytes(), what].concat()
    }

    fn hashed(&self, what: &[u8], text: &[u8]) -> Vec<u8> {
        let digest = digest::digest(&digest::SHA256, text);
        let short = digest.as_ref().get(..16).unwrap_or_default();
        [self.tag.as_bytes(), what, short].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_share_the_tag_and_none_shows_what_a_client_chose() {
        let names = Names::under("shop");
        let address = b"192.0.2.7";
        for name in [
            names.epoch(),
            names.spent([1; 8]),
            names.network([1; 8], address),
            names.limit("rate", address),
            names.newcomers("budget", address),
            names.settlement(&[7; 16]),
        ] {
            assert!(name.starts_with(b"{shop}:"));
            assert!(!name.windows(9).any(|part| part == b"192.0.2.7"));
        }
        assert_ne!(names.limit("rate", b"a"), names.limit("rate", b"b"));
        assert_ne!(names.limit("rate", b"a"), names.limit("budget", b"a"));
        assert_ne!(names.network([1; 8], b"a"), names.network([2; 8], b"a"));
        assert_eq!(names.limit("rate", b"").len(), names.limit("rate", &[7; 1000]).len());
    }
}
