//! In: what can be seen of our own state. Out: whether tokens can be issued. A fault here is ours and is said aloud
//! (503); it never turns into a verdict about an app.

/// Whether tokens can be issued, and what stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether the database can be read.
    pub store: bool,
    /// Whether the shared store answers; nothing where none is configured.
    pub shared_state: Option<bool>,
    /// Whether the clock can be trusted: nobody has set it by more than a minute just now.
    pub clock: bool,
    /// Generation of the registry in use.
    pub registry_generation: i64,
    /// Number of the key-set document in use.
    pub key_set_number: u64,
    /// Number of the revocations in use.
    pub revocation_number: u64,
}

impl Health {
    /// Whether tokens are issued now.
    #[must_use]
    pub const fn can_issue(self) -> bool {
        self.store && self.clock && !matches!(self.shared_state, Some(false))
    }

    /// As the health endpoint says it, to anybody: no number in it may rise with what an attestation found. The generation
    /// and the revocations' do, where a ban goes along with a renewed device key; they are in the metrics.
    #[must_use]
    pub fn to_json(self) -> String {
        serde_json::json!({
            "status": if self.can_issue() { "ok" } else { "unavailable" },
            "store": if self.store { "ok" } else { "unreadable" },
            "shared_state": self.shared_state.map_or("none", |up| if up { "ok" } else { "away" }),
            "clock": if self.clock { "ok" } else { "jumped" },
            "key_set_number": self.key_set_number,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Health = Health {
        store: true,
        shared_state: None,
        clock: true,
        registry_generation: 1,
        key_set_number: 1,
        revocation_number: 1,
    };

    #[test]
    fn any_fault_of_ours_stops_issuing() {
        assert!(WELL.can_issue() && Health { shared_state: Some(true), ..WELL }.can_issue());
        let ill = [
            Health { store: false, ..WELL },
            Health { shared_state: Some(false), ..WELL },
            Health { clock: false, ..WELL },
        ];
        for health in ill {
            assert!(!health.can_issue() && health.to_json().contains("unavailable"), "{health:?}");
        }
    }
}
