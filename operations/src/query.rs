//! Which query parameters go upstream.
//!
//! In: the query as the client sent it. Out: what is sent of it, with what the operator fixed. Proven between: each
//! parameter is one that he allowed, compared after decoding; what he fixed is there once, and his, and no part of it
//! (`safe[0]` beside `safe`) is.

use std::collections::{BTreeMap, BTreeSet};

use form_urlencoded::byte_serialize;

use crate::folded::alike;
use crate::mistake::{Mistake, Rule, Why};
use crate::refusal::{Refusal, Shown};

/// Rules for a query, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryText {
    /// Which parameters a client may send.
    pub allow: Parameters,
    /// Parameters that every request has, whatever the client sent.
    pub fixed: BTreeMap<String, String>,
    /// Parameters that are refused, where any others are allowed.
    pub forbid: BTreeSet<String>,
}

/// Which parameters a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Any.
    Any,
    /// These, by their decoded names in exactly this spelling; each as often as it likes.
    Listed(BTreeSet<String>),
}

impl QueryText {
    /// No parameter at all.
    #[must_use]
    pub fn none() -> Self {
        Self::only::<String>([])
    }

    /// These parameters.
    #[must_use]
    pub fn only<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let listed = names.into_iter().map(Into::into).collect();
        Self { allow: Parameters::Listed(listed), fixed: BTreeMap::new(), forbid: BTreeSet::new() }
    }

    /// Any parameter.
    #[must_use]
    pub fn any() -> Self {
        Self { allow: Parameters::Any, fixed: BTreeMap::new(), forbid: BTreeSet::new() }
    }
}

/// Rules for a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: QueryText,
    /// `name=value&…`, encoded; empty: nothing is fixed.
    fixed: String,
}

/// The most names in one list.
const MOST_NAMES: usize = 256;
/// The longest name and the longest fixed value, in bytes.
const MOST_NAME: usize = 64;
const MOST_VALUE: usize = 1024;

impl Query {
    /// Checks rules.
    ///
    /// # Errors
    /// Everything that is wrong with them; indexes count in the order of the names.
    pub fn new(text: QueryText) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let allowed = match &text.allow {
            Parameters::Listed(listed) => listed.iter().collect(),
            Parameters::Any => Vec::new(),
        };
        let lists = [
            (Rule::QueryAllow, allowed),
            (Rule::QueryFixed, text.fixed.keys().collect()),
            (Rule::QueryForbid, text.forbid.iter().collect()),
        ];
        for (rule, names) in &lists {
            if names.len() > MOST_NAMES {
                mistakes.push(Mistake::new(*rule, MOST_NAMES, Why::TooMany(MOST_NAMES)));
            }
            for (index, name) in names.iter().enumerate() {
                if name.is_empty() || name.len() > MOST_NAME || !name.bytes().all(|b| b.is_ascii_graphic()) {
                    mistakes.push(Mistake::new(*rule, index, Why::ParameterName));
                }
            }
        }
        for (index, (name, value)) in text.fixed.iter().enumerate() {
            if value.len() > MOST_VALUE || value.chars().any(char::is_control) {
                mistakes.push(Mistake::new(Rule::QueryFixed, index, Why::Value));
            }
            let allowed =
                matches!(&text.allow, Parameters::Listed(listed) if listed.iter().any(|one| is_part(one, name)));
            if allowed || text.forbid.contains(name) {
                let second = if allowed { "allow" } else { "forbid" };
                let why = Why::Conflict { one: name.clone(), first: "fixed", second };
                mistakes.push(Mistake::new(Rule::QueryFixed, index, why));
            }
        }
        if matches!(text.allow, Parameters::Listed(_)) {
            for (index, name) in text.forbid.iter().enumerate() {
                mistakes.push(Mistake::new(Rule::QueryForbid, index, Why::Idle(name.clone())));
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let fixed = text.fixed.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let fixed = fixed.collect::<Vec<_>>().join("&");
        Ok(Self { text, fixed })
    }

    /// No parameter at all.
    #[must_use]
    pub fn none() -> Self {
        Self { text: QueryText::none(), fixed: String::new() }
    }

    /// Any parameter.
    #[must_use]
    pub fn any() -> Self {
        Self { text: QueryText::any(), fixed: String::new() }
    }

    /// The rules as they were written.
    #[must_use]
    pub fn text(&self) -> &QueryText {
        &self.text
    }

    /// Whether every query goes upstream as it is.
    pub(crate) fn is_open(&self) -> bool {
        self.text.allow == Parameters::Any && self.text.forbid.is_empty() && self.fixed.is_empty()
    }

    /// What is sent of `query`: pairs that are allowed, as the client wrote them, then what is fixed. Nothing: no query.
    ///
    /// # Errors
    /// A parameter that is not allowed, or a query that is split differently by different readers.
    pub(crate) fn judge(&self, query: Option<&str>) -> Result<Option<String>, Refusal> {
        let query = query.unwrap_or_default();
        if query.contains(';') {
            // Some readers end a pair there.
            return Err(Refusal::Query);
        }
        let mut sent = String::with_capacity(query.len() + self.fixed.len() + 1);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = decoded(pair.split('=').next().unwrap_or_default()).ok_or(Refusal::Query)?;
            if self.text.fixed.keys().any(|fixed| is_part(&name, fixed)) {
                continue;
            }
            let allowed = match &self.text.allow {
                Parameters::Listed(listed) => listed.contains(&name),
                Parameters::Any => !self.text.forbid.iter().any(|forbidden| is_part(&name, forbidden)),
            };
            if !allowed {
                return Err(Refusal::Parameter(Shown::new(&name)));
            }
            push(&mut sent, pair);
        }
        if !self.fixed.is_empty() {
            push(&mut sent, &self.fixed);
        }
        Ok((!sent.is_empty()).then_some(sent))
    }
}

/// Whether a decoded name is this ruled one in some spelling, or a part of it to readers that take brackets or dots for a
/// path: `expand[]` and `expand[0].id` are parts of `expand`.
fn is_part(name: &str, ruled: &str) -> bool {
    let same = |one: &str, other: &str| one == other || alike(one, other);
    if same(name, ruled) {
        return true;
    }
    if !name.contains(['[', '.']) && !ruled.contains(['[', '.']) {
        return false;
    }
    let mut name = segments(name);
    let mut ruled = segments(ruled).peekable();
    ruled.peek().is_some() && ruled.all(|ruled| name.next().is_some_and(|sent| same(sent, ruled)))
}

fn segments(name: &str) -> impl Iterator<Item = &str> {
    name.split(['[', ']', '.']).filter(|segment| !segment.is_empty())
}

fn push(sent: &mut String, pair: &str) {
    if !sent.is_empty() {
        sent.push('&');
    }
    sent.push_str(pair);
}

fn encoded(text: &str) -> String {
    // `%20`: a plus is a space to some readers only.
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The name as the upstream reads it; nothing where it is not text, or an escape is broken.
fn decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
                let (high, low) = (digit()?, digit()?);
                (high << 4) | low
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: QueryText) -> Query {
        Query::new(text).unwrap()
    }

    #[test]
    fn what_is_not_listed_is_refused_in_every_spelling() {
        let rules = query(QueryText::only(["q", "expand[]"]));
        for bad in ["Q=1", "key=1", "q=1&%6bey=2", "q%00=1", "q[]=1", "=1", "q=1&a", "%ff=1", "q%=1", "q%+1=1"] {
            assert!(rules.judge(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(rules.judge(Some("q=1;key=2")), Err(Refusal::Query));
        assert_eq!(rules.judge(Some("x-goog=1")).unwrap_err().to_string(), "query parameter x-goog is not allowed");
        let long = "a".repeat(41);
        assert!(!rules.judge(Some(&format!("{long}=1"))).unwrap_err().to_string().contains(&long));
        let good = "q=a%20b&expand[]=x&expand%5B%5D=y&%71=2";
        assert_eq!(rules.judge(Some(good)).unwrap().as_deref(), Some(good));
        assert_eq!(rules.judge(None), Ok(None));
        assert_eq!(rules.judge(Some("&")), Ok(None));
    }

    #[test]
    fn what_is_fixed_replaces_the_client_s_own_in_every_spelling() {
        let mut text = QueryText::any();
        text.fixed.insert("api-version".to_owned(), "2024 06".to_owned());
        text.forbid.insert("on_behalf_of".to_owned());
        let rules = query(text);
        for own in ["api-version=1", "API_Version=1", "api%2dversion=1", "api-version=1&api-version=2"] {
            assert_eq!(rules.judge(Some(own)).unwrap().as_deref(), Some("api-version=2024%2006"), "{own}");
        }
        assert_eq!(rules.judge(Some("a=1")).unwrap().as_deref(), Some("a=1&api-version=2024%2006"));
        for bad in ["on_behalf_of=1", "onBehalfOf=1", "on%5fbehalf-OF=x"] {
            assert!(matches!(rules.judge(Some(bad)), Err(Refusal::Parameter(_))), "{bad}");
        }
    }

    #[test]
    fn a_ruled_parameter_is_not_dodged_by_a_part_of_it() {
        let mut text = QueryText::any();
        text.fixed.insert("safe".to_owned(), "strict".to_owned());
        text.forbid.extend(["expand".to_owned(), "filter[owner]".to_owned(), "ids[]".to_owned()]);
        let rules = query(text);
        for own in ["safe[]=off", "safe[0]=off", "Safe%5Bx%5D=off", "safe[=off", "safe%00x=off"] {
            assert_eq!(rules.judge(Some(own)).unwrap().as_deref(), Some("safe=strict"), "{own}");
        }
        for bad in [
            "expand[]=data",
            "expand[0]=data",
            "Expand%5B%5D%5Bx%5D=data",
            "filter[Owner]=1",
            "filter[owner][]=1",
            "filter.owner=1",
            "expand.data=1",
            "filter[owner].id=1",
            "ids=1",
            "ids[0]=1",
        ] {
            assert!(matches!(rules.judge(Some(bad)), Err(Refusal::Parameter(_))), "{bad}");
        }
        let good = "filter[date]=1&filter=2&expanded=3&[]=4&v1.2=5&filter.date=6";
        assert_eq!(rules.judge(Some(good)).unwrap().unwrap(), format!("{good}&safe=strict"));
    }

    #[test]
    fn what_is_fixed_is_not_allowed_too_in_another_spelling() {
        for name in ["api_version", "api-version[]", "API-Version"] {
            let mut text = QueryText::only([name]);
            text.fixed.insert("api-version".to_owned(), "1".to_owned());
            let why = Query::new(text).unwrap_err().remove(0).why;
            assert_eq!(why.to_string(), "`api-version` is ruled twice: fixed and allow can't both hold", "{name}");
        }
    }

    #[test]
    fn rules_that_can_not_hold_are_mistakes() {
        let mut text = QueryText::only(["a", "b c", ""]);
        text.fixed.insert("a".to_owned(), "1\n".to_owned());
        text.forbid.insert("z".to_owned());
        let mistakes = Query::new(text).unwrap_err();
        let whys: Vec<_> = mistakes.iter().map(|mistake| (mistake.rule, mistake.index, mistake.why.clone())).collect();
        let conflict = Why::Conflict { one: "a".to_owned(), first: "fixed", second: "allow" };
        assert_eq!(
            whys,
            [
                (Rule::QueryAllow, 0, Why::ParameterName),
                (Rule::QueryAllow, 2, Why::ParameterName),
                (Rule::QueryFixed, 0, Why::Value),
                (Rule::QueryFixed, 0, conflict),
                (Rule::QueryForbid, 0, Why::Idle("z".to_owned())),
            ]
        );
    }
}
