//! One operation of a preset, as rules that an operator may narrow.

use attest_core::target::PathGlob;
use http::{HeaderName, Method};
use operations::{Body, BodyText, Headers, Mistake, Operation, Query, QueryText};

/// An operation before it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationText {
    /// Its method.
    pub method: Method,
    /// Its paths, as the vendor sees them.
    pub path: PathGlob,
    /// Its query.
    pub query: QueryText,
    /// Headers beside the harmless ones.
    pub headers: Vec<HeaderName>,
    /// Its body; absent: none at all.
    pub body: Option<BodyText>,
}

impl OperationText {
    /// With these rules for the body beside its own: all of both hold. A limit of 0, or a larger one, keeps its own; of two `only` the fields
    /// that both have are left. The order is: first `further`, then its own.
    #[must_use]
    pub fn narrowed(self, further: BodyText) -> Self {
        let own = self.body.unwrap_or_default();
        let joined = BodyText {
            limit: if further.limit == 0 { own.limit } else { further.limit.min(own.limit) },
            kind: own.kind,
            required: join(further.required, own.required),
            fixed: join(further.fixed, own.fixed),
            cap: lowest(further.cap, own.cap),
            one_of: join(further.one_of, own.one_of),
            forbid: join(further.forbid, own.forbid),
            only: match (further.only, own.only) {
                (Some(further), Some(own)) => Some(further.into_iter().filter(|field| own.contains(field)).collect()),
                (further, own) => further.or(own),
            },
            conditional: join(further.conditional, own.conditional),
        };
        Self { body: Some(joined), ..self }
    }

    /// Compiles it.
    ///
    /// # Errors
    /// Rules that can't hold together. Without [`narrowed`](Self::narrowed) there are none: a test compiles every operation.
    pub fn compile(self) -> Result<Operation, Vec<Mistake>> {
        let body = match self.body {
            Some(text) => Body::new(text)?,
            None => Body::none(),
        };
        Ok(Operation::closed(self.method, self.path)
            .with_query(Query::new(self.query)?)
            .with_headers(Headers::Listed(self.headers))
            .with_body(body))
    }
}

fn join<T: PartialEq>(mut first: Vec<T>, then: Vec<T>) -> Vec<T> {
    let new: Vec<T> = then.into_iter().filter(|one| !first.contains(one)).collect();
    first.extend(new);
    first
}

/// Of two caps on one field the lower holds.
fn lowest(mut first: Vec<(String, u64)>, then: Vec<(String, u64)>) -> Vec<(String, u64)> {
    for (field, most) in then {
        match first.iter_mut().find(|(own, _)| *own == field) {
            Some((_, own)) => *own = most.min(*own),
            None => first.push((field, most)),
        }
    }
    first
}
