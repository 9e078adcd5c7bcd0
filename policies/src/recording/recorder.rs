//! Makes records of one policy's decisions.
//!
//! In: a decision and what it was made of. Out: a [`Record`]. Made once for each policy, so that a record costs a few copies and the conditions
//! that can't be asked again.

use std::collections::BTreeMap;

use attest_core::token::verify::Verified;
use http::HeaderName;

use super::fingerprint::{MAX_ANSWERS, questions};
use super::pseudonyms::coarse;
use super::{Pseudonyms, Record, VERSION};
use crate::class::Class;
use crate::condition::{Condition, Met};
use crate::decision::Why;
use crate::facts::{Mode, RequestFacts};
use crate::result_policy::{ResultPolicy, subject_of};

/// Writes down decisions of one policy.
#[derive(Clone, Debug)]
pub struct Recorder {
    policy: Box<str>,
    /// What can't be asked again of a record, each with its fingerprint.
    questions: Box<[(String, Condition)]>,
    headers: Box<[HeaderName]>,
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
    /// For decisions of `policy`. Of its conditions that can't be asked again the first [`MAX_ANSWERS`] different ones are answered in records.
    #[must_use]
    pub fn new(policy: &ResultPolicy) -> Self {
        let mut found = BTreeMap::new();
        let mut headers: Vec<HeaderName> = Vec::new();
        for condition in policy.0.rules.iter().flat_map(|rule| &rule.conditions) {
            questions(condition, &mut |fingerprint, condition| {
                if let Condition::Header { name, .. } = condition
                    && headers.len() < MAX_ANSWERS
                    && !headers.contains(name)
                {
                    headers.push(name.clone());
                }
                if found.len() < MAX_ANSWERS {
                    found.entry(fingerprint).or_insert_with(|| condition.clone());
                }
            });
        }
        Self { policy: policy.name().into(), questions: found.into_iter().collect(), headers: headers.into() }
    }

    /// Writes one down. `names` turns devices into what may be written.
    #[must_use]
    pub fn record(&self, facts: &Facts<'_>, names: &Pseudonyms) -> Record {
        let Facts { id, generation, who, what, why, class } = *facts;
        let subject = subject_of(who);
        let text = |text: Option<&str>| text.map(str::to_owned);
        let port = what.target.port().map_or_else(String::new, |port| format!(":{port}"));
        let answers = self.questions.iter().map(|(fingerprint, condition)| {
            let answer = match condition.met(&subject, what) {
                Met::Yes => Some(true),
                Met::No => Some(false),
                Met::Unknown => None,
            };
            (fingerprint.clone(), answer)
        });
        let there = |name: &HeaderName| what.headers.any(name, &mut |_| true);
        Record {
            v: VERSION,
            id: id.to_owned(),
            at: what.now.secs(),
            route: what.route.to_owned(),
            policy: self.policy.to_string(),
            generation,
            verdict: subject.verdict,
            genuine: subject.genuine,
            may_unseal: subject.may_unseal,
            tier: subject.genuine.then_some(subject.tier),
            kinds: subject.kinds,
            app: text(subject.app),
            version: text(subject.version),
            expired_for: subject.expired_for.map(|age| age.as_secs()),
            device: subject.device.map(|device| format!("{:016x}", names.device(device))),
            device_state: subject.genuine.then_some(subject.device_state),
            device_age: subject.device_age.map(|age| age.as_secs()),
            annotations: subject.annotations,
            caller: text(what.caller),
            user_issuer: what.user.map(|user| user.issuer.to_owned()),
            method: what.target.method().as_str().to_owned(),
            host: format!("{}{port}", what.target.host()),
            path: what.target.path().to_owned(),
            network: coarse(what.address).to_string(),
            injects: what.injects,
            headers: self.headers.iter().map(|name| (name.as_str().to_owned(), there(name))).collect(),
            answers: answers.collect(),
            rule: why.rule().to_owned(),
            action: why.action(),
            class,
            would: why.would(),
            bucket: why.bucket(),
            withheld: why.key_withheld(),
            monitored: why.monitored().map(|(rule, action)| (rule.to_owned(), action.as_str().to_owned())).collect(),
            mode: (what.mode != Mode::Normal).then(|| what.mode.as_str().to_owned()),
        }
    }
}
