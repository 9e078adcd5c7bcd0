//! Which rules an address falls under.
//!
//! In: ranges of addresses, each with a rule. Out: for an address, the rules of all ranges that hold it, by one binary search.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::lists::number_of;

/// Rules by range of addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct NetworkIndex {
    /// First address, last address, rule; until it is built.
    added: Vec<(u128, u128, u32)>,
    /// Where each piece of the address space begins, sorted; it ends where the next begins.
    starts: Box<[u128]>,
    /// The rules of each piece, sorted.
    rules: Box<[Box<[u32]>]>,
}

/// Rules over all pieces: ranges that lie inside each other by the thousand are not worth the memory.
const MAX_HELD: usize = 500_000;

impl NetworkIndex {
    /// Adds a range; the ranges of one rule don't overlap, and rules come in the order of their numbers.
    pub(super) fn add(&mut self, first: u128, last: u128, rule: u32) {
        self.added.push((first, last, rule));
    }

    /// Makes it ready; gives back the rules that it has no room for.
    pub(super) fn build(&mut self) -> Vec<u32> {
        let added = std::mem::take(&mut self.added);
        let mut starts = BTreeSet::new();
        for (first, last, _) in &added {
            starts.insert(*first);
            starts.extend(last.checked_add(1));
        }
        let starts: Box<[u128]> = starts.into_iter().collect();
        let mut rules: Vec<Vec<u32>> = vec![Vec::new(); starts.len()];
        let mut held = 0;
        for (first, last, rule) in &added {
            let from = starts.partition_point(|start| start < first);
            let to = last.checked_add(1).map_or(starts.len(), |end| starts.partition_point(|start| *start < end));
            held += to.saturating_sub(from);
            if held > MAX_HELD {
                return added.into_iter().map(|(_, _, rule)| rule).collect();
            }
            for piece in rules.get_mut(from..to).unwrap_or_default() {
                piece.push(*rule);
            }
        }
        self.starts = starts;
        self.rules = rules.into_iter().map(Vec::into_boxed_slice).collect();
        Vec::new()
    }

    /// The rules of the ranges that hold `address`. Allocates nothing.
    pub(super) fn of(&self, address: IpAddr) -> &[u32] {
        if self.starts.is_empty() {
            return &[];
        }
        let number = number_of(address);
        let after = self.starts.partition_point(|start| *start <= number);
        after.checked_sub(1).and_then(|at| self.rules.get(at)).map_or(&[], |rules| rules)
    }
}
