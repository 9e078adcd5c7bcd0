//! Which questions of a policy a record can't answer again, and the names of such questions.
//!
//! In: a condition. Out: a fingerprint: the same for the same question in another policy, and nothing in it that a header held. The
//! answer to "does header X equal Y" stands in a record under that fingerprint; whoever has the policy can make it, nobody can read it back.

use aws_lc_rs::digest;

use crate::condition::Condition;

/// Answers in one record, at most.
pub const MAX_ANSWERS: usize = 64;

/// Calls `each` for every such question in `condition`, those inside `not` too.
pub(super) fn questions(condition: &Condition, each: &mut impl FnMut(String, &Condition)) {
    if let Condition::Not(inner) = condition {
        inner.iter().for_each(|condition| questions(condition, each));
    } else if let Some(fingerprint) = fingerprint(condition) {
        each(fingerprint, condition);
    }
}

/// The name of the question; `None`: the record itself can be asked.
pub(super) fn fingerprint(condition: &Condition) -> Option<String> {
    let names = |names: &mut dyn Iterator<Item = &Box<str>>| names.map(|name| &**name).collect::<Vec<_>>().join(" ");
    let question = match condition {
        Condition::Header { name, test } => format!("header {name} {test:?}"),
        // By the names of lists: what stands in them changes from day to day.
        Condition::Network { written, lists, .. } => {
            let written: Vec<String> = written.iter().map(ToString::to_string).collect();
            format!("network {} lists {}", written.join(" "), names(&mut lists.iter().map(|listed| &listed.name)))
        }
        Condition::Device(lists) => format!("device {}", names(&mut lists.iter().map(|listed| &listed.name))),
        Condition::User(test) => format!("user {test:?}"),
        Condition::Percentage { percent, dealer } => format!("percentage {percent} {}", dealer.mark()),
        _ => return None,
    };
    let hash = digest::digest(&digest::SHA256, format!("assay-question-v1\0{question}").as_bytes());
    let short: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{}:{short}", condition.field()))
}
