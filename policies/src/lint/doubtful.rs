//! Rules that go by what proves little: headers and addresses.

use super::Policy;
use crate::compile::RouteContext;
use crate::condition::Condition;
use crate::problem::Problem;
use crate::shape::conditions::HeaderTest;
use crate::verdicts::Verdicts;

/// Rules that trust what a client writes itself.
pub(super) fn doubtful(policy: &Policy<'_>, about: &RouteContext<'_>, found: &mut Vec<Problem>) {
    for rule in policy.rules {
        let forged = rule.conditions.iter().find_map(|condition| match condition {
            Condition::Header { name, test } if *test != HeaderTest::Present(false) => Some(name),
            _ => None,
        });
        if let Some(name) = forged
            && rule.loosens()
            && !rule.verdicts.both(Verdicts::UNPROVEN).is_empty()
        {
            found.push(
                Problem::warning(
                    rule.place,
                    "forgeable",
                    format!("rule `{}` lets through who sends the header {name}, and anybody can", rule.name),
                )
                .with_hint("a header may tighten a rule, it proves nothing; add a limit `per: address` at least"),
            );
        }
        if !about.trusts_proxies && rule.conditions.iter().any(looks_at_network) {
            found.push(
                Problem::note(rule.place, "network_of_peer", format!("rule `{}` compares the address of the connection: `trusted_proxies` is empty", rule.name))
                    .with_hint("behind a load balancer that is the balancer's own address; name it under listeners.public.trusted_proxies"),
            );
        }
    }
}

fn looks_at_network(condition: &Condition) -> bool {
    match condition {
        Condition::Network { .. } => true,
        Condition::Not(inner) => inner.iter().any(looks_at_network),
        _ => false,
    }
}
