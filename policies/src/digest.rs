//! What tells one policy from another.
//!
//! In: a compiled policy. Out: 32 bytes that are equal for policies that decide alike because they say the same: rules in their order with
//! all they look at, lists included, default and enforcement. How a refusal looks is no part of it.

use std::fmt::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

use crate::ResultPolicy;
use crate::rule::Rule;

impl ResultPolicy {
    /// Identity of what the policy says; the same over reloads and restarts of one version of the program. Costs as much as
    /// printing it: for when a policy is taken, not for requests.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let policy = &self.0;
        let mut hash = Hash(Context::new(&SHA256));
        let parts = (&policy.default, &policy.shares, policy.injects, &policy.danger_inject_unattested);
        // Hashing does not fail, and all parts print themselves.
        let _ = write!(hash, "assay-policy-v1 {parts:?}");
        for rule in &policy.rules {
            // All of it but its place: a comment above moves that.
            let Rule { name, place: _, verdicts, conditions, action, class, limits, monitored, until } = rule;
            let parts = (name, verdicts, conditions, action, class, limits, monitored, until);
            let _ = write!(hash, "{parts:?}");
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.0.finish().as_ref());
        digest
    }
}

struct Hash(Context);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{RouteContext, compile, parse_file};

    fn digest(text: &str) -> [u8; 32] {
        compile(parse_file("p", text).unwrap(), "p", &RouteContext::new("shop")).unwrap().0.digest()
    }

    #[test]
    fn it_follows_every_word_that_decides_and_no_other() {
        let one = "default: block\nrules:\n  - { name: a, when: { verdict: attested, app_version: { min: \"1.2\" } }, then: allow }\n";
        assert_eq!(digest(one), digest(one));
        assert_eq!(digest(one), digest(&format!("# a note\n{one}")));
        for (from, to) in
            [("block", "deprioritize"), ("1.2", "1.3"), ("then: allow", "then: deprioritize"), ("name: a", "name: b")]
        {
            assert_ne!(digest(one), digest(&one.replacen(from, to, 1)), "{from}");
        }
        assert_ne!(digest(one), digest(&format!("enforcement: monitor\n{one}")));
    }
}
