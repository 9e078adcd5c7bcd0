//! Operations of a preset, by name.
//!
//! In: names, perhaps with further rules. Out: [`Operation`]s. An operator can narrow what a preset allows, and never widen
//! it: what is to be wider is written out as a call.

use operations::{Body, BodyType, Operation};
use policies::yaml::{Place, listed, nearest};
use presets::{Configured, OperationText};

use super::{super::Check, Placed};
use crate::{
    file::{
        names::Name,
        operations::{NoneWord, RawOperation},
    },
    shape::{Either, Fault},
};

/// What an operation by its name alone may be one of.
#[derive(Clone, Copy)]
pub(crate) enum Vocabulary<'a> {
    /// The upstream's preset.
    Preset(&'a Configured),
    /// The upstream has none.
    Empty,
    /// The upstream itself is wrong, or not there; that was told.
    Unknown,
}

impl Check<'_, '_> {
    /// The operation of this name.
    pub(super) fn named(&self, name: &str, at: Place, vocabulary: Vocabulary<'_>) -> Option<OperationText> {
        match vocabulary {
            Vocabulary::Unknown => None,
            Vocabulary::Empty => {
                let fault = Fault::new(format!("there is no operation `{name}`: the route's upstream has no preset"));
                self.refuse(at, "unknown_name", fault.hint("write it out: { call: POST /v1/embeddings }"));
                None
            }
            Vocabulary::Preset(preset) => preset.operation(name).or_else(|| {
                let names: Vec<&str> = preset.preset().operations().map(|(name, _)| name).collect();
                let fault = Fault::new(format!("the preset `{}` has no operation `{name}`", preset.preset().name()));
                let hint = match nearest(name, &names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}; or write it out: {{ call: … }}", listed(&names)),
                };
                self.refuse(at, "unknown_name", fault.hint(hint));
                None
            }),
        }
    }

    /// `{ use: chat, body: { … } }`: the preset's operation, with further rules for its body.
    pub(super) fn narrowed(&self, raw: &RawOperation, vocabulary: Vocabulary<'_>) -> Option<Operation> {
        let (Name(name), at) = raw.preset.good()?;
        let others = [("call", raw.call.at), ("to", raw.to.at), ("query", raw.query.at), ("headers", raw.headers.at)];
        for (other, place) in others.into_iter().filter_map(|(other, place)| Some((other, place?))) {
            let fault = Fault::new(format!("`{other}` is the preset's own in an operation of its"));
            self.refuse(
                place,
                "does_nothing",
                fault.hint("take the line out; or take `use` out and write the whole call"),
            );
        }
        let text = self.named(name, at, vocabulary)?;
        let Some((body, body_at)) = raw.body.good() else {
            return if raw.body.is_absent() { self.compiled(text, at) } else { None };
        };
        let further = match body {
            Either::Structured(body) => body,
            Either::Plain(NoneWord::None) => {
                let fault = Fault::new("an operation of a preset has the body that the API asks for");
                self.refuse(body_at, "does_nothing", fault.hint("take the line out"));
                return None;
            }
        };
        let Some(own) = &text.body else {
            let fault = Fault::new(format!("`{name}` takes no body"));
            self.refuse(body_at, "does_nothing", fault.hint("take the line out"));
            return None;
        };
        if let Some(place) = further.kind.at {
            let kind = match own.kind {
                BodyType::Json => "json",
                BodyType::Form => "form",
                BodyType::Any => "any",
            };
            let fault = Fault::new(format!("the type of `{name}` is {kind}"));
            self.refuse(place, "does_nothing", fault.hint("take the line out"));
        }
        let (rules, places) = self.rules(further, 0);
        if let (true, Some(place)) = (rules.limit > own.limit, further.limit.at) {
            let fault = Fault::new(format!("`{name}` takes less than that, and its rules are only narrowed here"));
            self.refuse(place, "bad_rule", fault.hint(format!("write limit: {}, or less", in_units(own.limit))));
            return None;
        }
        let narrowed = text.narrowed(rules);
        let operation = Operation::closed(narrowed.method, narrowed.path)
            .with_query(operations::Query::new(narrowed.query).ok()?)
            .with_headers(operations::Headers::Listed(narrowed.headers));
        let body = self.placed(Body::new(narrowed.body?), &places, body_at)?;
        Some(operation.with_body(body))
    }

    /// An operation as the preset has it.
    pub(super) fn compiled(&self, text: OperationText, at: Place) -> Option<Operation> {
        match text.compile() {
            Ok(operation) => Some(operation),
            Err(mistakes) => {
                for mistake in mistakes {
                    self.refuse_rule(&mistake, at);
                }
                None
            }
        }
    }

    /// `operations: all` over a preset: all of its operations, said aloud.
    pub(super) fn all_of(&self, preset: &Configured, at: Place) -> Vec<Placed> {
        let names: Vec<&str> = preset.preset().operations().map(|(name, _)| name).collect();
        if !preset.preset().may_allow_all() {
            let fault = Fault::new(format!("`{}` spends money with each of its operations", preset.preset().name()));
            self.refuse(
                at,
                "all_operations",
                fault.hint(format!("name those that the app needs, of {}", listed(&names))),
            );
            return Vec::new();
        }
        let fault = Fault::new(format!("this is all that the preset `{}` knows", preset.preset().name()));
        self.warn(at, "all_operations", fault.hint(format!("name those that the app needs, of {}", listed(&names))));
        preset.operations().filter_map(|(_, text)| Some((self.compiled(text, at)?, at))).collect()
    }
}

/// A size as the file has it; those of presets are whole.
fn in_units(bytes: u64) -> String {
    match bytes {
        whole if whole % (1 << 20) == 0 => format!("{}MiB", whole >> 20),
        whole => format!("{}KiB", whole >> 10),
    }
}
