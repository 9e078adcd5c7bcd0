//! What comes of a request: the right to go on, or a refusal.
//!
//! In: nothing from outside. Out: [`Permit`] and [`Refused`], made by
//! [`ResultPolicy::decide`](crate::ResultPolicy::decide) alone. A [`Permit`] holds the right to open the route's key, if there is such a
//! right; a permit that comes of monitoring, of a percentage or of a fault of ours never has one.
//!
//! ```compile_fail,E0451
//! # fn forge(real: policies::Permit) {
//! // No field can be named from outside: nobody writes a permit.
//! let forged = policies::Permit { class: policies::Class::Critical, ..real };
//! # }
//! ```

use std::sync::Arc;

use attest_core::token::verify::{UnsealRight, Verified};

use crate::class::{Action, Class};
use crate::facts::Mode;
use crate::limit::Limit;
use crate::result_policy::Compiled;

/// The outcome of stage `decide`.
#[derive(Debug)]
pub enum Decision {
    /// It may go on, to be admitted by capacity.
    Permit(Permit),
    /// It may not.
    Refuse(Refused),
}

impl Decision {
    /// What both kinds can tell.
    #[must_use]
    pub fn verified(&self) -> &Verified {
        match self {
            Self::Permit(permit) => &permit.verified,
            Self::Refuse(refused) => &refused.verified,
        }
    }

    /// Why: rule, action, bucket and what was only counted.
    #[must_use]
    pub fn why(&self) -> &Why {
        match self {
            Self::Permit(permit) => &permit.why,
            Self::Refuse(refused) => &refused.why,
        }
    }
}

/// The right of one request to go on. Only [`ResultPolicy::decide`](crate::ResultPolicy::decide) makes one.
#[derive(Debug)]
pub struct Permit {
    pub(crate) verified: Verified,
    pub(crate) class: Class,
    pub(crate) unseal: Option<UnsealRight>,
    pub(crate) why: Why,
}

impl Permit {
    /// The proof of the stage before.
    #[must_use]
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// How urgent it is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The limits it counts against, all of them; empty when it was let through only by monitoring.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        if self.why.would.is_some() {
            return &[];
        }
        self.why.deciding_rule().map_or(&[], |rule| &rule.limits)
    }

    /// The right to open the route's key; always there when the route adds a key.
    #[must_use]
    pub fn unseal(&self) -> Option<&UnsealRight> {
        self.unseal.as_ref()
    }

    /// Why: rule, action, bucket and what was only counted.
    #[must_use]
    pub fn why(&self) -> &Why {
        &self.why
    }
}

/// A refusal. The client learns nothing of what it holds.
#[derive(Debug)]
pub struct Refused {
    pub(crate) verified: Verified,
    pub(crate) cannot_verify: bool,
    pub(crate) why: Why,
}

impl Refused {
    /// The proof of the stage before.
    #[must_use]
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// Whether the fault is ours (no usable key set): 503 and not 403.
    #[must_use]
    pub fn cannot_verify(&self) -> bool {
        self.cannot_verify
    }

    /// Why: rule, action, bucket and what was only counted.
    #[must_use]
    pub fn why(&self) -> &Why {
        &self.why
    }
}

/// What log and metrics tell about a decision.
#[derive(Clone, Debug)]
pub struct Why {
    pub(crate) policy: Arc<Compiled>,
    pub(crate) rule: Chosen,
    pub(crate) action: Action,
    pub(crate) would: Option<Action>,
    pub(crate) bucket: Option<u8>,
    pub(crate) key_withheld: bool,
    pub(crate) monitored: u128,
    pub(crate) mode: Mode,
    pub(crate) locked_down: bool,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The rule with this number.
    Rule(u32),
    /// No rule matched.
    Default,
    /// `unverifiable` does not reach the rules.
    FailSafe,
}

impl Why {
    /// Name of the policy.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy.name
    }

    /// Name of the rule that decided; `default` when none matched, `cannot_verify` for the fail-safe.
    #[must_use]
    pub fn rule(&self) -> &str {
        self.policy.name_of(self.rule)
    }

    /// What happens.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// What would have happened, had the refusal taken effect; absent when it is what happened.
    #[must_use]
    pub fn would(&self) -> Option<Action> {
        self.would
    }

    /// The sender's bucket, 0 to 99, where a share was asked for.
    #[must_use]
    pub fn bucket(&self) -> Option<u8> {
        self.bucket
    }

    /// Whether a rule let it through, and it was refused because the route adds a key that it has no right to.
    #[must_use]
    pub fn key_withheld(&self) -> bool {
        self.key_withheld
    }

    /// In what mode the route was.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the policy let it through, and a lockdown refused it.
    #[must_use]
    pub fn locked_down(&self) -> bool {
        self.locked_down
    }

    /// Names and actions of the monitored rules that matched on the way.
    pub fn monitored(&self) -> impl Iterator<Item = (&str, Action)> {
        self.policy.monitored_rules(self.monitored)
    }

    fn deciding_rule(&self) -> Option<&crate::rule::Rule> {
        match self.rule {
            Chosen::Rule(id) => self.policy.rule(id),
            Chosen::Default | Chosen::FailSafe => None,
        }
    }
}
