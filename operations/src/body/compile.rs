//! Rules as they were written, compiled; everything wrong with them at once.

use super::{Body, BodyText, BodyType, Compiled, MOST_JUDGED, Rules};
use crate::json::{Json, MOST_EXACT};
use crate::mistake::{Mistake, Rule, Why};
use crate::pointer::Pointer;

/// The most entries of one list.
const MOST_RULES: usize = 128;
/// The longest text among the values.
const MOST_VALUE: usize = 1024;

pub(super) fn compile(text: BodyText) -> Result<Body, Vec<Mistake>> {
    let mut compiler = Compiler { mistakes: Vec::new(), form: text.kind == BodyType::Form };
    let (limit, kind) = (text.limit, text.kind);
    let has_rules = text.has_rules();
    if limit == 0 {
        compiler.mistake(Rule::Limit, 0, Why::ZeroLimit);
    }
    if has_rules && limit > MOST_JUDGED {
        compiler.mistake(Rule::Limit, 0, Why::TooLargeToJudge);
    }
    if has_rules && kind == BodyType::Any {
        compiler.mistake(Rule::Type, 0, Why::RulesOfAnyType);
    }
    let rules = compiler.rules(text);
    if compiler.mistakes.is_empty() {
        Ok(Body { limit: Some(limit), kind, rules: has_rules.then(|| Box::new(rules)) })
    } else {
        Err(compiler.mistakes)
    }
}

impl BodyText {
    /// Whether anything is said about fields.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.only.is_some()
            || !(self.required.is_empty()
                && self.fixed.is_empty()
                && self.cap.is_empty()
                && self.one_of.is_empty()
                && self.forbid.is_empty()
                && self.conditional.is_empty())
    }
}

struct Compiler {
    mistakes: Vec<Mistake>,
    form: bool,
}

impl Compiler {
    fn mistake(&mut self, rule: Rule, index: usize, why: Why) {
        self.mistakes.push(Mistake::new(rule, index, why));
    }

    fn pointer(&mut self, rule: Rule, index: usize, text: &str) -> Option<Pointer> {
        match Pointer::parse(text) {
            Ok(pointer) => Some(pointer),
            Err(why) => {
                self.mistake(rule, index, Why::Pointer { pointer: text.to_owned(), why });
                None
            }
        }
    }

    fn pointers(&mut self, rule: Rule, texts: &[String]) -> Vec<Pointer> {
        self.count(rule, texts.len());
        let all = texts.iter().take(MOST_RULES).enumerate();
        all.filter_map(|(index, text)| self.pointer(rule, index, text)).collect()
    }

    fn count(&mut self, rule: Rule, length: usize) {
        if length > MOST_RULES {
            self.mistake(rule, MOST_RULES, Why::TooMany(MOST_RULES));
        }
    }

    /// Pairs of one list. `of`: the entry that a pair stands for, where the list is inside of another.
    fn values(&mut self, rule: Rule, of: Option<usize>, pairs: Vec<(String, Json)>) -> Vec<(Pointer, Json)> {
        self.count(rule, pairs.len());
        let mut good = Vec::new();
        for (index, (text, value)) in pairs.into_iter().take(MOST_RULES).enumerate() {
            let index = of.unwrap_or(index);
            self.value(rule, index, &value, of.is_some());
            if let Some(pointer) = self.pointer(rule, index, &text) {
                good.push((pointer, value));
            }
        }
        good
    }

    fn value(&mut self, rule: Rule, index: usize, value: &Json, null: bool) {
        let nested = matches!(value, Json::List(_) | Json::Object(_));
        if self.form && (nested || (*value == Json::Null && !null)) {
            self.mistake(rule, index, Why::NotInAForm);
        }
        if !fits(value, 0) {
            self.mistake(rule, index, Why::Value);
        }
    }

    fn rules(&mut self, text: BodyText) -> Rules {
        let required = self.pointers(Rule::Required, &text.required);
        let forbid = self.pointers(Rule::Forbid, &text.forbid);
        let fixed = self.values(Rule::Fixed, None, text.fixed);
        self.count(Rule::Cap, text.cap.len());
        let mut cap = Vec::new();
        for (index, (at, most)) in text.cap.into_iter().take(MOST_RULES).enumerate() {
            if most > MOST_EXACT {
                self.mistake(Rule::Cap, index, Why::Cap);
            }
            cap.extend(self.pointer(Rule::Cap, index, &at).map(|at| (at, most)));
        }
        self.count(Rule::OneOf, text.one_of.len());
        let mut one_of = Vec::new();
        for (index, (at, values)) in text.one_of.into_iter().take(MOST_RULES).enumerate() {
            if values.is_empty() {
                self.mistake(Rule::OneOf, index, Why::Empty);
            }
            self.count(Rule::OneOf, values.len());
            for value in &values {
                self.value(Rule::OneOf, index, value, true);
            }
            one_of.extend(self.pointer(Rule::OneOf, index, &at).map(|at| (at, values)));
        }
        self.count(Rule::Conditional, text.conditional.len());
        let mut conditional = Vec::new();
        for (index, condition) in text.conditional.into_iter().take(MOST_RULES).enumerate() {
            if condition.when.is_empty() || condition.fixed.is_empty() {
                self.mistake(Rule::Conditional, index, Why::Empty);
            }
            let when = self.values(Rule::Conditional, Some(index), condition.when);
            let fixed = self.values(Rule::Conditional, Some(index), condition.fixed);
            conditional.push(Compiled { when, fixed });
        }
        let mut rules = Rules { required, fixed, cap, one_of, forbid, only: None, conditional };
        self.refuse_conflicts(&rules);
        rules.only = text.only.map(|only| self.only(&only, &rules));
        rules
    }

    /// `only`, with the members that are fixed whole: whatever a client sends there is replaced.
    fn only(&mut self, texts: &[String], rules: &Rules) -> Vec<String> {
        if texts.is_empty() {
            self.mistake(Rule::Only, 0, Why::Empty);
        }
        let pointers = self.pointers(Rule::Only, texts);
        if let Some(index) = pointers.iter().position(|pointer| pointer.segments().len() > 1) {
            self.mistake(Rule::Only, index, Why::OnlyTop);
        }
        let mut only: Vec<String> = pointers.iter().map(|pointer| pointer.top().to_owned()).collect();
        let within = |pointer: &Pointer| only.iter().any(|top| top == pointer.top());
        let mut outside = Vec::new();
        for (index, at) in rules.forbid.iter().enumerate() {
            if !within(at) {
                outside.push((Rule::Forbid, index, Why::Idle(at.as_str().to_owned())));
            }
        }
        let required = rules.required.iter().map(|at| (Rule::Required, at));
        let caps = rules.cap.iter().map(|(at, _)| (Rule::Cap, at));
        let lists = rules.one_of.iter().map(|(at, _)| (Rule::OneOf, at));
        let fixed_whole = |at: &Pointer| rules.fixed.iter().any(|(fixed, _)| fixed == at);
        let asked = rules.conditional.iter().flat_map(|one| &one.when).map(|(at, _)| (Rule::Conditional, at));
        for (rule, at) in required.chain(caps).chain(lists).chain(asked) {
            if !within(at) && !fixed_whole(at) {
                outside.push((rule, rules.index_of(rule, at), Why::OutsideOnly(at.as_str().to_owned())));
            }
        }
        for (rule, index, why) in outside {
            self.mistake(rule, index, why);
        }
        let whole = rules.fixed.iter().filter(|(at, _)| at.segments().len() == 1);
        only.extend(whole.map(|(at, _)| at.top().to_owned()));
        only
    }

    /// Two rules about one field, or one about a field that another replaces or refuses whole.
    fn refuse_conflicts(&mut self, rules: &Rules) {
        let mut ruled: Vec<(Rule, usize, &Pointer)> = Vec::new();
        let decisive = rules.decisive();
        for (rule, index, at) in decisive.iter().copied() {
            let other = ruled.iter().find(|(first, first_index, other)| {
                let same_list = *first == Rule::Conditional && rule == Rule::Conditional && *first_index != index;
                !same_list && (*other == at || other.is_above(at) || at.is_above(other))
            });
            if let Some((first, ..)) = other {
                let why = Why::Conflict { one: at.as_str().to_owned(), first: first.key(), second: rule.key() };
                self.mistake(rule, index, why);
            }
            ruled.push((rule, index, at));
        }
        for (index, at) in rules.required.iter().enumerate() {
            let idle = decisive.iter().find(|(rule, _, other)| match rule {
                Rule::Forbid => *other == at || other.is_above(at),
                Rule::Fixed => *other == at,
                _ => false,
            });
            if let Some((first, ..)) = idle {
                let why = Why::Conflict { one: at.as_str().to_owned(), first: first.key(), second: "required" };
                self.mistake(Rule::Required, index, why);
            }
        }
    }
}

impl Rules {
    /// The rules of which one field can have one only.
    fn decisive(&self) -> Vec<(Rule, usize, &Pointer)> {
        let fixed = self.fixed.iter().enumerate().map(|(index, (at, _))| (Rule::Fixed, index, at));
        let cap = self.cap.iter().enumerate().map(|(index, (at, _))| (Rule::Cap, index, at));
        let one_of = self.one_of.iter().enumerate().map(|(index, (at, _))| (Rule::OneOf, index, at));
        let forbid = self.forbid.iter().enumerate().map(|(index, at)| (Rule::Forbid, index, at));
        let conditional = self.conditional.iter().enumerate();
        let conditional =
            conditional.flat_map(|(index, one)| one.fixed.iter().map(move |(at, _)| (Rule::Conditional, index, at)));
        fixed.chain(cap).chain(one_of).chain(forbid).chain(conditional).collect()
    }

    fn index_of(&self, rule: Rule, at: &Pointer) -> usize {
        let found = match rule {
            Rule::Required => self.required.iter().position(|other| other == at),
            Rule::Cap => self.cap.iter().position(|(other, _)| other == at),
            Rule::OneOf => self.one_of.iter().position(|(other, _)| other == at),
            Rule::Conditional => self.conditional.iter().position(|one| one.when.iter().any(|(other, _)| other == at)),
            _ => None,
        };
        found.unwrap_or_default()
    }
}

/// Whether a value is small enough to be the operator's, and deep enough to be read again.
fn fits(value: &Json, depth: usize) -> bool {
    match value {
        Json::Text(text) => text.len() <= MOST_VALUE && !text.chars().any(char::is_control),
        Json::List(items) => depth < 8 && items.len() <= MOST_RULES && items.iter().all(|item| fits(item, depth + 1)),
        Json::Object(members) => {
            let good = |(name, member): &(String, Json)| name.len() <= MOST_VALUE && fits(member, depth + 1);
            depth < 8 && members.len() <= MOST_RULES && members.iter().all(good)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => true,
    }
}
