//! `body:` of an operation checked: its rules, and the values in them.

use operations::{Body, BodyText, BodyType, Condition, Json, Mistake, Rule, Why};
use policies::yaml::{Node, Place, Value};

use super::Check;
use crate::{
    file::{
        operations::{FieldPath, FieldValue, RawBody, TypeWord},
        units::shown,
    },
    shape::{Fault, Field, Table},
};

/// Where the entries of each list stand.
pub(super) type Places = Vec<(Rule, Vec<Place>)>;

impl Check<'_, '_> {
    pub(super) fn body(&self, raw: &RawBody, at: Place) -> Option<Body> {
        self.need(&raw.limit, at, "limit", "64KiB");
        let (text, places) = self.rules(raw, 1);
        let body = self.placed(Body::new(text), &places, at);
        raw.limit.good().and(body)
    }

    /// The rules as they are written, and where. `limit`: what stands in where none is written.
    pub(super) fn rules(&self, raw: &RawBody, limit: u64) -> (BodyText, Places) {
        let size = self.size(&raw.limit, "limit", (1, 1 << 30));
        let mut places: Places =
            vec![(Rule::Limit, raw.limit.at.into_iter().collect()), (Rule::Type, raw.kind.at.into_iter().collect())];
        let mut text = BodyText {
            limit: size.unwrap_or(limit),
            kind: BodyType::Any,
            required: paths(Rule::Required, &raw.required, &mut places),
            fixed: self.values(Rule::Fixed, &raw.fixed, &mut places),
            cap: Vec::new(),
            one_of: self.lists(raw, &mut places),
            forbid: paths(Rule::Forbid, &raw.forbid, &mut places),
            only: raw.only.good().map(|_| paths(Rule::Only, &raw.only, &mut places)),
            conditional: self.conditions(raw, &mut places),
        };
        let caps = raw.cap.value.iter().flat_map(|table| &table.0);
        let caps = caps.filter_map(|row| row.value.map(|most| ((row.name.clone(), most), row.at)));
        let (caps, at_caps) = caps.unzip();
        text.cap = caps;
        places.push((Rule::Cap, at_caps));
        text.kind = match raw.kind.value {
            Some(TypeWord::Json) => BodyType::Json,
            Some(TypeWord::Form) => BodyType::Form,
            Some(TypeWord::Any) => BodyType::Any,
            None if text.has_rules() => BodyType::Json,
            None => BodyType::Any,
        };
        (text, places)
    }

    /// What came of the rules; mistakes are told at their places.
    pub(super) fn placed(&self, made: Result<Body, Vec<Mistake>>, places: &Places, at: Place) -> Option<Body> {
        let refuse = |mistakes: Vec<Mistake>| {
            for mistake in mistakes {
                let list = places.iter().find(|(rule, _)| *rule == mistake.rule);
                let place = list.and_then(|(_, places)| places.get(mistake.index).or(places.last()));
                self.refuse_rule(&mistake, place.copied().unwrap_or(at));
            }
        };
        made.map_err(refuse).ok()
    }

    fn values(&self, rule: Rule, table: &Field<Table<FieldValue>>, places: &mut Places) -> Vec<(String, Json)> {
        let rows = table.value.iter().flat_map(|table| &table.0);
        let good = rows.filter_map(|row| Some(((row.name.clone(), self.value(row.value?)?), row.at)));
        let (values, at) = good.unzip();
        places.push((rule, at));
        values
    }

    fn lists(&self, raw: &RawBody, places: &mut Places) -> Vec<(String, Vec<Json>)> {
        let rows = raw.one_of.value.iter().flat_map(|table| &table.0);
        let good = rows.filter_map(|row| {
            let values = row.value.as_ref()?.iter().filter_map(|field| self.value(field.value?)).collect();
            Some(((row.name.clone(), values), row.at))
        });
        let (lists, at) = good.unzip();
        places.push((Rule::OneOf, at));
        lists
    }

    fn conditions(&self, raw: &RawBody, places: &mut Places) -> Vec<Condition> {
        let mut at_conditions = Vec::new();
        let mut conditions = Vec::new();
        for (condition, at) in raw.conditional.value.iter().flatten().filter_map(Field::good) {
            self.need(&condition.when, at, "when", "{ /stream: true }");
            self.need(&condition.fixed, at, "fixed", "{ /stream_options/include_usage: true }");
            if condition.when.value.is_none() || condition.fixed.value.is_none() {
                // Told already; half a condition would be told once more.
                continue;
            }
            // Their places are that of the whole condition.
            let mut inner = Places::new();
            conditions.push(Condition {
                when: self.values(Rule::Conditional, &condition.when, &mut inner),
                fixed: self.values(Rule::Conditional, &condition.fixed, &mut inner),
            });
            at_conditions.push(at);
        }
        places.push((Rule::Conditional, at_conditions));
        conditions
    }

    fn value(&self, FieldValue(subtree): FieldValue) -> Option<Json> {
        let node = self.notes.subtrees.borrow().get(subtree.0).copied()?;
        json(node).map_err(|(at, fault)| self.refuse(at, "invalid_value", fault)).ok()
    }
}

fn paths(rule: Rule, listed: &Field<Vec<Field<FieldPath>>>, places: &mut Places) -> Vec<String> {
    let good = listed.value.iter().flatten().filter_map(Field::good);
    let (texts, at) = good.map(|(FieldPath(path), at)| (path.clone(), at)).unzip();
    places.push((rule, at));
    texts
}

/// A value of the file as JSON. Numbers stay as they are spelled.
fn json(node: &Node) -> Result<Json, (Place, Fault)> {
    Ok(match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Text(text) => Json::Text(text.clone()),
        Value::Int(_) | Value::Float(_) => {
            let spelled = node.spelled();
            match Json::parse(spelled.as_bytes()) {
                Ok(number @ Json::Number(_)) => number,
                _ => {
                    let fault = Fault::new(format!("`{}` is not a number as JSON has them", shown(&spelled)));
                    return Err((node.place, fault.hint("write it plainly, as 1024 or 0.5; or in quotes, for a text")));
                }
            }
        }
        Value::List(items) => Json::List(items.iter().map(json).collect::<Result<_, _>>()?),
        Value::Map(entries) => {
            let member = |entry: &policies::yaml::Entry| Ok((entry.key.clone(), json(&entry.value)?));
            Json::Object(entries.iter().map(member).collect::<Result<_, _>>()?)
        }
    })
}

/// What to write instead.
pub(super) fn remedy(mistake: &Mistake) -> String {
    match &mistake.why {
        Why::TooLargeToJudge => {
            "write limit: 64KiB; or take the rules out: what is larger is passed on without being looked into".to_owned()
        }
        Why::RulesOfAnyType => "write type: json, or type: form".to_owned(),
        Why::Pointer { .. } => "write it as /model, or /stream_options/include_usage".to_owned(),
        Why::Conflict { .. } => "take one of the two out".to_owned(),
        Why::OutsideOnly(field) => format!("add {} to only, or take the rule out", top(field)),
        Why::OnlyTop => "write the member itself, and rules for what is inside of it beside".to_owned(),
        Why::Idle(_) if mistake.rule == Rule::QueryForbid => "take it out; or write allow: any".to_owned(),
        Why::Idle(_) => "take the rule out".to_owned(),
        Why::Empty if mistake.rule == Rule::OneOf => "write the values: { /model: [gpt-4o-mini] }".to_owned(),
        Why::Empty if mistake.rule == Rule::Only => "write the members: [/model, /messages]".to_owned(),
        Why::Empty => "write at least one field on each side: { when: { /stream: true }, fixed: { /stream_options/include_usage: true } }".to_owned(),
        Why::NotInAForm => "write a text, a number, true or false".to_owned(),
        Why::ParameterName => "write the name as the API documents it, decoded".to_owned(),
        _ => "see docs/smaller-api.md".to_owned(),
    }
}

fn top(field: &str) -> &str {
    let end = field.get(1..).and_then(|rest| rest.find('/')).map_or(field.len(), |at| at + 1);
    field.get(..end).unwrap_or(field)
}
