//! The labels of the figures: fixed words and names from the configuration, never what a client sent.

use prometheus_client::encoding::EncodeLabelSet;

/// A fixed word or a name from the configuration.
type Word = std::sync::Arc<str>;

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($label:ident: $kind:ty),+ })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(crate) struct $name { $(pub $label: $kind),+ }
    )+ };
}

labels! {
    /// What was decided.
    RequestLabels { route: Word, verdict: &'static str, action: &'static str }
    /// Which rule matched and what came of it.
    RuleLabels { route: Word, rule: Word, outcome: &'static str }
    /// How it ended for the client.
    AnswerLabels { route: Word, answered_by: &'static str, status: u16 }
    /// What a candidate policy would have decided otherwise.
    DifferenceLabels {
        route: Word,
        rule: Word,
        action: &'static str,
        candidate_rule: Word,
        candidate_action: &'static str
    }
    /// The mode of a route.
    ModeLabels { route: Word, mode: &'static str }
    /// One route.
    RouteLabels { route: Word }
    /// One unit of a route's budgets.
    UnitLabels { route: Word, unit: &'static str }
    /// One limit of a route.
    LimitLabels { route: Word, limit: Word }
    /// One ceiling of a key.
    CeilingLabels { route: Word, key: Word, ceiling: Word }
    /// One upstream.
    UpstreamLabels { upstream: Word }
    /// One class of an upstream.
    ClassLabels { upstream: Word, class: &'static str }
    /// Why a class got no seat.
    ShedLabels { upstream: Word, class: &'static str, why: &'static str }
    /// One version of a key.
    KeyLabels { key: Word, version: u32 }
    /// What an API answered to a version of a key.
    KeyAnswerLabels { key: Word, version: u32, status: u16 }
    /// What came of asking a token endpoint.
    MintLabels { key: Word, outcome: &'static str }
    /// A reason of ours.
    WhyLabels { why: &'static str }
}
