//! The rules, on a tree or a form alike.
//!
//! In: a body that was read. Out: the same, as the rules want it, or the first that does not hold. The order: what may not be
//! there is refused before anything is set, so that nothing of ours hides it.

use super::Rules;
use crate::json::Json;
use crate::pointer::Pointer;
use crate::refusal::{Refusal, Shown};

/// A body whose fields can be looked at and set.
pub(super) trait Document {
    /// The members of the body itself.
    fn tops(&self) -> impl Iterator<Item = &str>;

    /// Whether a name on the way to this field, or its own, stands there in another spelling.
    fn is_misspelled(&self, at: &Pointer) -> bool;

    /// What is known of this field.
    fn look(&self, at: &Pointer) -> Found<'_>;

    /// Whether a field that was found has the operator's value.
    fn is(&self, found: &Json, value: &Json) -> bool;

    /// Whether a field that was found is of the type of the operator's value.
    fn is_like(&self, found: &Json, value: &Json) -> bool;

    /// The number that a field is.
    fn number(&self, found: &Json) -> Option<f64>;

    /// Gives a field a value, in the place of whatever was there. `false`: there is no place for it.
    fn set(&mut self, at: &Pointer, value: &Json) -> bool;
}

/// A field, looked for.
pub(super) enum Found<'a> {
    /// Not there.
    Absent,
    /// There, with this value.
    Value(std::borrow::Cow<'a, Json>),
    /// There, and not one value (a form's `a[b]`, asked for `a`).
    Several,
}

impl Found<'_> {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value; nothing where the field is not there, or null.
    fn given(&self) -> Option<&Json> {
        match self {
            Self::Value(value) if !matches!(**value, Json::Null) => Some(value),
            Self::Value(_) | Self::Absent | Self::Several => None,
        }
    }
}

pub(super) fn apply<D: Document>(rules: &Rules, body: &mut D) -> Result<(), Refusal> {
    if let Some(only) = &rules.only
        && let Some(other) = body.tops().find(|top| !only.iter().any(|one| one == top))
    {
        return Err(Refusal::Unlisted(Shown::new(other)));
    }
    if let Some(at) = rules.pointers().find(|at| body.is_misspelled(at)) {
        return Err(Refusal::Spelling(at.as_str().into()));
    }
    if let Some(at) = rules.forbid.iter().find(|at| !body.look(at).is_absent()) {
        return Err(Refusal::Forbidden(at.as_str().into()));
    }
    if let Some(at) = rules.required.iter().find(|at| body.look(at).is_absent()) {
        return Err(Refusal::Missing(at.as_str().into()));
    }
    for (at, values) in &rules.one_of {
        let good = match body.look(at) {
            Found::Several => false,
            found => match found.given() {
                None => values.contains(&Json::Null),
                Some(given) => values.iter().any(|value| body.is(given, value)),
            },
        };
        if !good {
            return Err(Refusal::NotOneOf(at.as_str().into()));
        }
    }
    for (at, most) in &rules.cap {
        cap(body, at, *most)?;
    }
    for (at, value) in &rules.fixed {
        set(body, at, value)?;
    }
    for condition in &rules.conditional {
        // Each field is looked at, also past one that differs: its type may be refused.
        let mut holds = true;
        for (at, value) in &condition.when {
            holds &= has(body, at, value)?;
        }
        if holds {
            for (at, value) in &condition.fixed {
                set(body, at, value)?;
            }
        }
    }
    Ok(())
}

fn cap<D: Document>(body: &mut D, at: &Pointer, most: u64) -> Result<(), Refusal> {
    let refused = || Refusal::NotANumber(at.as_str().into());
    let found = body.look(at);
    if matches!(found, Found::Several) {
        return Err(refused());
    }
    let number = found.given().map(|given| body.number(given).ok_or_else(refused)).transpose()?;
    match number {
        // -1 means "no limit" to some. `is_sign_negative` would refuse -0 too, which is as it should be.
        Some(number) if number.is_sign_negative() => Err(refused()),
        Some(number) if number <= most as f64 => Ok(()),
        Some(_) | None => set(body, at, &Json::from(most)),
    }
}

fn has<D: Document>(body: &D, at: &Pointer, value: &Json) -> Result<bool, Refusal> {
    let refused = || Refusal::Condition(at.as_str().into());
    let found = body.look(at);
    if matches!(found, Found::Several) {
        return Err(refused());
    }
    match found.given() {
        None => Ok(*value == Json::Null),
        Some(_) if *value == Json::Null => Ok(false),
        Some(given) if !body.is_like(given, value) => Err(refused()),
        Some(given) => Ok(body.is(given, value)),
    }
}

fn set<D: Document>(body: &mut D, at: &Pointer, value: &Json) -> Result<(), Refusal> {
    if body.set(at, value) { Ok(()) } else { Err(Refusal::NoPlace(at.as_str().into())) }
}

impl Rules {
    /// Every field that some rule is about.
    fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        let conditional = self.conditional.iter().flat_map(|one| one.when.iter().chain(&one.fixed));
        let with_values = self.fixed.iter().chain(conditional).map(|(at, _)| at);
        let caps = self.cap.iter().map(|(at, _)| at);
        let lists = self.one_of.iter().map(|(at, _)| at);
        self.required.iter().chain(&self.forbid).chain(with_values).chain(caps).chain(lists)
    }
}
