//! Whether one condition is as wide as another: for telling rules that can't be reached.
//!
//! In: two conditions. Out: yes, or "not as far as can be told".

use std::sync::Arc;

use super::{Condition, Listed};
use crate::lists::Networks;

impl Condition {
    /// Whether every request that meets `inner` meets this one too. May say `false` where a closer look would say `true`.
    pub(crate) fn covers(&self, inner: &Self) -> bool {
        match (self, inner) {
            (Self::Verdict(outer), Self::Verdict(inner)) => inner.without(*outer).is_empty(),
            (Self::Method(outer), Self::Method(inner)) => inner.iter().all(|method| outer.contains(method)),
            (Self::Host(outer), Self::Host(inner)) => {
                inner.iter().all(|host| outer.iter().any(|bound| bound.covers(host)))
            }
            (Self::Path { globs, lists }, Self::Path { globs: inner, lists: inner_lists }) => {
                inner.iter().all(|path| {
                    globs.iter().any(|bound| path.is_within(bound))
                        || lists.iter().any(|listed| listed.list.covers_glob(path))
                }) && inner_lists.iter().all(|inner| listed_within(lists, inner, |outer, inner| outer.covers(inner)))
            }
            (Self::Route(outer), Self::Route(inner)) | (Self::App(outer), Self::App(inner)) => {
                inner.iter().all(|name| outer.contains(name))
            }
            (Self::Tier(outer), Self::Tier(inner)) => inner.0 & !outer.0 == 0,
            (Self::Evidence(outer), Self::Evidence(inner)) => outer.contains_all(*inner),
            (Self::AppVersion { min, below }, Self::AppVersion { min: inner_min, below: inner_below }) => {
                min.is_none_or(|min| inner_min.is_some_and(|inner| inner >= min))
                    && below.is_none_or(|below| inner_below.is_some_and(|inner| inner <= below))
            }
            (Self::ExpiredFor { max }, Self::ExpiredFor { max: inner }) => inner <= max,
            (Self::DeviceState(outer), Self::DeviceState(inner)) => inner.0 & !outer.0 == 0,
            (Self::DeviceAge { min, below }, Self::DeviceAge { min: inner_min, below: inner_below }) => {
                min.is_none_or(|min| inner_min.is_some_and(|inner| inner >= min))
                    && below.is_none_or(|below| inner_below.is_some_and(|inner| inner <= below))
            }
            (Self::Device(outer), Self::Device(inner)) => {
                inner.iter().all(|inner| listed_within(outer, inner, |outer, inner| outer.covers(inner)))
            }
            (Self::Annotation(outer), Self::Annotation(inner)) => inner & !outer == 0,
            (Self::Caller(None), Self::Caller(_)) => true,
            (Self::Caller(Some(outer)), Self::Caller(Some(inner))) => inner.iter().all(|name| outer.contains(name)),
            (Self::User(outer), Self::User(inner)) => outer.covers(inner),
            (Self::Network { own, lists, .. }, Self::Network { own: inner, lists: inner_lists, .. }) => {
                let covered = |inner: &Networks| {
                    inner.is_empty() || own.covers(inner) || lists.iter().any(|outer| outer.list.covers(inner))
                };
                covered(inner)
                    && inner_lists.iter().all(|inner| {
                        listed_within(lists, inner, |outer, inner| outer.covers(inner)) || own.covers(&inner.list)
                    })
            }
            // Each rule deals its own buckets: only all of them cover some.
            (Self::Percentage { percent, .. }, Self::Percentage { .. }) => *percent == 100,
            _ => self == inner,
        }
    }

    /// How many comparisons [`Self::covers`] makes at most, about.
    pub(crate) fn cost_of_covering(&self, inner: &Self) -> usize {
        fn listed<T>(outer: &[Listed<T>], inner: &[Listed<T>], len: impl Fn(&T) -> usize) -> usize {
            let other = |one: &Listed<T>| !outer.iter().any(|outer| Arc::ptr_eq(&outer.list, &one.list));
            inner.iter().filter(|one| other(one)).map(|one| len(&one.list)).sum::<usize>().saturating_mul(outer.len())
        }
        1 + match (self, inner) {
            (Self::Method(outer), Self::Method(inner)) => outer.len() * inner.len(),
            (Self::Host(outer), Self::Host(inner)) => outer.len() * inner.len(),
            (Self::Path { globs, lists }, Self::Path { globs: inner, lists: others }) => {
                (globs.len() + lists.len()) * inner.len() + listed(lists, others, |list| list.len())
            }
            (Self::Route(outer), Self::Route(inner)) | (Self::App(outer), Self::App(inner)) => {
                outer.len() * inner.len()
            }
            (Self::Device(outer), Self::Device(inner)) => listed(outer, inner, |list| list.len()),
            (Self::Network { own, lists, .. }, Self::Network { own: inner, lists: others, .. }) => {
                // Its own networks are looked up in each list, and each list in its own networks.
                let alone = if own.is_empty() { 0 } else { others.iter().map(|other| other.list.len()).sum() };
                inner.len() * (1 + lists.len()) + alone + listed(lists, others, |list| list.len())
            }
            _ => 0,
        }
    }
}

/// Whether one of `outer` holds all that `inner` does.
fn listed_within<T>(outer: &[Listed<T>], inner: &Listed<T>, covers: impl Fn(&T, &T) -> bool) -> bool {
    outer.iter().any(|outer| Arc::ptr_eq(&outer.list, &inner.list))
        || outer.iter().any(|outer| covers(&outer.list, &inner.list))
}
