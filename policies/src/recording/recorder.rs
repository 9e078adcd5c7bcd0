//! Makes records of one policy's decisions.
//!
//! In: a decision and what it was made of. Out: a [`Record`]. Made once for each policy, so that a record costs a few copies.

use std::collections::BTreeMap;

use attest_core::token::verify::Verified;

use super::pseudonyms::coarse;
use super::{Pseudonyms, Record, VERSION};
use crate::class::Class;
use crate::decision::Why;
use crate::facts::RequestFacts;
use crate::result_policy::{ResultPolicy, subject_of};

/// Writes down decisions of one policy.
#[derive(Clone, Debug)]
pub struct Recorder {
    policy: ResultPolicy,
}

/// One decision, as the gateway has it at hand.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The decision's id.
    pub id: &'a str,
    /// Which configuration decided.
    pub generation: u64,
    /// The proof about the sender.
    pub who: &'a Verified,
    /// The request, as the policy saw it: headers included.
    pub what: &'a RequestFacts<'a>,
    /// Why it was decided so.
    pub why: &'a Why,
    /// The class, where it may go on.
    pub class: Option<Class>,
}

impl Recorder {
    /// For decisions of `policy`.
    #[must_use]
    pub fn new(policy: &ResultPolicy) -> Self {
        Self { policy: policy.clone() }
    }

    /// Writes one down. `names` turns devices into what may be written.
    #[must_use]
    pub fn record(&self, facts: &Facts<'_>, names: &Pseudonyms) -> Record {
        let Facts { id, generation, who, what, why, class } = *facts;
        let subject = subject_of(who);
        let text = |text: Option<&str>| text.map(str::to_owned);
        let device = subject.genuine.then(|| who.device()).flatten();
        let port = what.target.port().map_or_else(String::new, |port| format!(":{port}"));
        Record {
            v: VERSION,
            id: id.to_owned(),
            at: what.now.secs(),
            route: what.route.to_owned(),
            policy: self.policy.name().to_owned(),
            generation,
            verdict: subject.verdict,
            genuine: subject.genuine,
            may_unseal: subject.may_unseal,
            tier: subject.genuine.then_some(subject.tier),
            kinds: subject.kinds,
            app: text(subject.app),
            version: text(subject.version),
            expired_for: subject.expired_for.map(|age| age.as_secs()),
            device: device.map(|device| format!("{:016x}", names.device(device))),
            device_state: None,
            device_age: None,
            annotations: 0,
            caller: None,
            user_issuer: None,
            method: what.target.method().as_str().to_owned(),
            host: format!("{}{port}", what.target.host()),
            path: what.target.path().to_owned(),
            network: coarse(what.address).to_string(),
            injects: what.injects,
            headers: BTreeMap::new(),
            answers: BTreeMap::new(),
            rule: why.rule().to_owned(),
            action: why.action(),
            class,
            would: why.would(),
            bucket: why.bucket(),
            withheld: why.key_withheld(),
            monitored: why.monitored().map(|(rule, action)| (rule.to_owned(), action.as_str().to_owned())).collect(),
            mode: None,
        }
    }
}
