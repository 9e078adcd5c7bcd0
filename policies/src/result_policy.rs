//! Stage `decide`: a proof about the sender and the facts of the request -> [`Decision`].
//!
//! In: [`Verified`] (stage verify) and [`RequestFacts`]. Out: a [`Decision`], whose [`Permit`] the next stage
//! demands. Proven between: the first rule that matches and is enforced decides; a monitored rule changes nothing; on a route that adds a
//! key, no request goes on without the right to open it. Allocates nothing.

use std::sync::Arc;

use attest_core::token::danger::{DangerInjectUnattested, unseal_unattested};
use attest_core::token::key_set::KeySetKind;
use attest_core::token::verify::Verified;
use attest_core::verdict::Verdict;

use crate::class::{Action, Class};
use crate::condition::Met;
use crate::decision::{Chosen, Decision, Permit, Refused, Why};
use crate::enforcement::Shares;
use crate::facts::{FailSafe, Mode, RequestFacts, Subject};
use crate::index::Index;
use crate::refusals::{Group, RefusalBody, Refusals};
use crate::rule::Rule;

/// A compiled policy of one route. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ResultPolicy(pub(crate) Arc<Compiled>);

/// What a policy would decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged<'a> {
    /// The rule that decides; `default` when none matches, `cannot_verify` for the fail-safe.
    pub rule: &'a str,
    /// What happens.
    pub action: Action,
    /// How urgent it is, where it is let through.
    pub class: Class,
    /// What would happen, had the refusal taken effect; absent when it is what happens.
    pub would: Option<Action>,
}

/// What [`crate::compile()`] makes.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) name: Box<str>,
    pub(crate) default: Action,
    pub(crate) shares: Shares,
    pub(crate) injects: bool,
    /// Present: rules of this route may let what is not attested have the key.
    pub(crate) danger_inject_unattested: Option<DangerInjectUnattested>,
    pub(crate) rules: Box<[Rule]>,
    /// The rules by their bit in [`Why::monitored`].
    pub(crate) monitored: Box<[u32]>,
    pub(crate) index: Index,
    pub(crate) refusals: Refusals,
}

/// How many rules of a policy may be monitored at the same time.
pub(crate) const MAX_MONITORED: usize = u128::BITS as usize;

/// What the rules say, before it is known whether the key may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) rule: Chosen,
    pub(crate) action: Action,
    pub(crate) would: Option<Action>,
    pub(crate) class: Class,
    pub(crate) bucket: Option<u8>,
    pub(crate) monitored: u128,
    pub(crate) key: KeyRight,
    pub(crate) key_withheld: bool,
    pub(crate) locked_down: bool,
}

/// Where the right to open the route's key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyRight {
    /// The token.
    Token,
    /// A rule, on a route with `danger_inject_unattested`.
    Danger,
    /// The route adds none.
    NotAsked,
}

impl ResultPolicy {
    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Which refusals take effect: `enforce` (all), `monitor` (none) or `shares`.
    #[must_use]
    pub fn enforcement(&self) -> &'static str {
        self.0.shares.word()
    }

    /// The names of its rules that are not disabled, in order; metrics are registered by them.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.0.rules.iter().map(|rule| &*rule.name)
    }

    /// All limits of its rules.
    pub fn limits(&self) -> impl Iterator<Item = &crate::Limit> {
        self.0.rules.iter().flat_map(|rule| rule.limits.iter())
    }

    /// Whether a rule that is not disabled looks into the list of this name.
    #[must_use]
    pub fn uses_list(&self, name: &str) -> bool {
        self.0.rules.iter().flat_map(|rule| &rule.conditions).any(|condition| condition.names_list(name))
    }

    /// The answer of the API's own for refusals of this group; absent: the gateway's words.
    #[must_use]
    pub fn refusal(&self, group: Group) -> Option<&RefusalBody> {
        self.0.refusals.get(group)
    }

    /// Whether it lets nothing through: no rule that decides does, nor the default.
    #[must_use]
    pub fn permits_nothing(&self) -> bool {
        self.0.default == Action::Block
            && !self.0.rules.iter().any(|rule| rule.monitored.is_none() && rule.action != Action::Block)
    }

    /// What it would decide, without a right to go on: for a candidate that runs in the shadow of another policy.
    #[must_use]
    pub fn judge(&self, who: &Verified, what: &RequestFacts<'_>) -> Judged<'_> {
        let judged = self.0.judge(&subject_of(who), what, &mut || {});
        let Judgement { action, class, would, .. } = judged;
        Judged { rule: self.0.name_of(judged.rule), action, class, would }
    }

    /// Decides about one request. Allocates nothing; its cost does not grow with rules that cannot match.
    #[must_use]
    pub fn decide(&self, who: Verified, what: &RequestFacts<'_>) -> Decision {
        let judged = self.0.judge(&subject_of(&who), what, &mut || {});
        let why = Why {
            policy: Arc::clone(&self.0),
            rule: judged.rule,
            action: judged.action,
            would: judged.would,
            bucket: judged.bucket,
            key_withheld: judged.key_withheld,
            monitored: judged.monitored,
            mode: what.mode,
            locked_down: judged.locked_down,
        };
        let cannot_verify = who.verdict() == Verdict::Unverifiable;
        let unseal = match (judged.key, self.0.danger_inject_unattested) {
            (KeyRight::Token, _) => who.unseal_right(),
            (KeyRight::Danger, Some(asked_for)) => Some(unseal_unattested(asked_for)),
            (KeyRight::Danger, None) | (KeyRight::NotAsked, _) => None,
        };
        if judged.action == Action::Block {
            return Decision::Refuse(Refused { verified: who, cannot_verify, why });
        }
        if unseal.is_none() && judged.key != KeyRight::NotAsked {
            // `judge` has looked already; this is the type's word for it.
            let why = Why { action: Action::Block, would: None, key_withheld: true, ..why };
            return Decision::Refuse(Refused { verified: who, cannot_verify, why });
        }
        Decision::Permit(Permit { verified: who, class: judged.class, unseal, why })
    }
}

impl Compiled {
    /// What the rules say about `who` with `what`.
    ///
    /// `looked` is called for each condition that is looked at.
    pub(crate) fn judge(&self, who: &Subject<'_>, what: &RequestFacts<'_>, looked: &mut impl FnMut()) -> Judgement {
        if who.verdict == Verdict::Unverifiable {
            let spared = what.fail_safe == FailSafe::Deprioritize && !self.adds_key(what);
            let locked_down = spared && what.mode == Mode::Lockdown;
            let action = if spared && !locked_down { Action::Deprioritize } else { Action::Block };
            return Judgement { locked_down, ..Judgement::plain(Chosen::FailSafe, action, 0) };
        }
        let (found, monitored) = self.first_match(who, what, looked);
        self.settle(found, monitored, who, what)
    }

    /// What comes of the rule that matches first, or of none.
    pub(crate) fn settle(
        &self,
        found: Option<(u32, &Rule)>,
        monitored: u128,
        who: &Subject<'_>,
        what: &RequestFacts<'_>,
    ) -> Judgement {
        let attested = who.verdict == Verdict::Attested;
        let (rule, action, class) = match found {
            Some((id, rule)) => (Chosen::Rule(id), rule.action, rule.class),
            None => (Chosen::Default, self.default, None),
        };
        let mut judged = Judgement::plain(rule, action, monitored);
        let closed = what.mode == Mode::Lockdown && !attested;
        judged.class = class.unwrap_or_else(|| Class::by_default(action, attested));
        if action == Action::Block {
            judged.bucket = self.shares.bucket(who, what);
            let percent = self.shares.percent(who.verdict);
            let takes_effect = judged.bucket.map_or(percent > 0, |bucket| bucket < percent);
            let takes_effect = takes_effect && !matches!(what.mode, Mode::Monitor(_));
            judged.locked_down = !takes_effect && closed && !self.adds_key(what);
            // On a route that adds a key nothing but a rule lets anybody through.
            if !takes_effect && !self.adds_key(what) && !closed {
                judged.would = Some(Action::Block);
                judged.action = Action::Allow;
                judged.class = Class::by_default(Action::Allow, attested);
            }
            return judged;
        }
        let named = what.caller.is_some() && found.is_some_and(|(_, rule)| rule.asks_for_caller());
        // Not even with `danger_inject_unattested` does a lockdown leave a key to who is not attested.
        if closed && (!named || self.adds_key(what)) {
            judged.action = Action::Block;
            judged.locked_down = true;
            return judged;
        }
        if self.adds_key(what) {
            let by_rule = matches!(rule, Chosen::Rule(_));
            if who.may_unseal {
                judged.key = KeyRight::Token;
            } else if by_rule && !attested && self.danger_inject_unattested.is_some() {
                judged.key = KeyRight::Danger;
            } else {
                judged.action = Action::Block;
                judged.key_withheld = true;
            }
        }
        judged
    }

    /// The first rule that decides, and the bits of the monitored ones that matched before it.
    fn first_match(
        &self,
        who: &Subject<'_>,
        what: &RequestFacts<'_>,
        looked: &mut impl FnMut(),
    ) -> (Option<(u32, &Rule)>, u128) {
        let mut monitored = 0_u128;
        for id in self.index.candidates(who, what) {
            let Some(rule) = self.rule(id) else { continue };
            if !rule.is_alive(what.now) {
                continue;
            }
            let matches = rule.conditions.iter().all(|condition| {
                looked();
                condition.met(who, what) == Met::Yes
            });
            if !matches {
                continue;
            }
            match rule.monitored {
                Some(bit) => monitored |= 1 << bit,
                None => return (Some((id, rule)), monitored),
            }
        }
        (None, monitored)
    }

    pub(crate) fn adds_key(&self, what: &RequestFacts<'_>) -> bool {
        self.injects || what.injects
    }

    pub(crate) fn rule(&self, id: u32) -> Option<&Rule> {
        usize::try_from(id).ok().and_then(|id| self.rules.get(id))
    }

    pub(crate) fn name_of(&self, chosen: Chosen) -> &str {
        match chosen {
            Chosen::Rule(id) => self.rule(id).map_or("", |rule| &rule.name),
            Chosen::Default => DEFAULT,
            Chosen::FailSafe => CANNOT_VERIFY,
        }
    }

    pub(crate) fn monitored_rules(&self, bits: u128) -> impl Iterator<Item = (&str, Action)> {
        self.monitored
            .iter()
            .enumerate()
            .filter(move |(bit, _)| bits >> bit & 1 == 1)
            .filter_map(|(_, id)| self.rule(*id))
            .map(|rule| (&*rule.name, rule.action))
    }
}

impl Judgement {
    fn plain(rule: Chosen, action: Action, monitored: u128) -> Self {
        Self {
            rule,
            action,
            would: None,
            class: Class::Unattested,
            bucket: None,
            monitored,
            key: KeyRight::NotAsked,
            key_withheld: false,
            locked_down: false,
        }
    }
}

/// What rules may see of a proof.
pub(crate) fn subject_of(who: &Verified) -> Subject<'_> {
    let claims = who.claims();
    let signed_by_us = who.authenticated().is_some_and(|token| token.kind() == KeySetKind::Own);
    Subject {
        verdict: who.verdict(),
        genuine: claims.is_some(),
        tier: who.tier(),
        kinds: who.kinds(),
        app: claims.and_then(|claims| claims.app()),
        version: claims.and_then(|claims| claims.ver()),
        expired_for: who.expired_for(),
        may_unseal: who.unseal_right().is_some(),
        own_device: signed_by_us.then(|| who.device()).flatten().map(str::as_bytes),
        device_state: who.device_state(),
        device_age: who.device_age(),
        annotations: u32::from(who.annotations()),
        device: claims.and_then(|claims| claims.did()),
    }
}

/// What log and metrics call the policy's default.
pub(crate) const DEFAULT: &str = "default";

/// What they call the fail-safe for `unverifiable`.
pub(crate) const CANNOT_VERIFY: &str = "cannot_verify";

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
