//! In: what can be seen of our own state. Out: whether tokens can be issued. A fault here is ours and is said aloud
//! (503); it never turns into a verdict about an app.

/// Whether tokens can be issued, and what stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether the database can be read.
    pub store: bool,
    /// Generation of the registry in use.
    pub registry_generation: i64,
    /// Number of the key-set document in use.
    pub key_set_number: u64,
}

impl Health {
    /// Whether tokens are issued now.
    #[must_use]
    pub const fn can_issue(self) -> bool {
        self.store
    }

    /// As the health endpoint says it.
    #[must_use]
    pub fn to_json(self) -> String {
        serde_json::json!({
            "status": if self.can_issue() { "ok" } else { "unavailable" },
            "store": if self.store { "ok" } else { "unreadable" },
            "registry_generation": self.registry_generation,
            "key_set_number": self.key_set_number,
        })
        .to_string()
    }
}
