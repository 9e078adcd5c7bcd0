//! Reading the fields of a map, with every problem collected.
//!
//! In: a [`Node`]. Out: its fields by name, and a [`Problem`] for each one that is unknown, missing or of the wrong
//! kind. Proven: no field of the file is left unread.

use super::{Entry, Node, Place, Value};
use crate::problem::Problem;

/// The fields of one map of the file.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    entries: &'a [Entry],
    place: Place,
    what: &'a str,
    known: &'a [&'a str],
}

impl<'a> Fields<'a> {
    /// Opens `node`, which is called `what` in messages ("a rule"); `known` are the fields that it may have, and
    /// `elsewhere` names that are natural to try, each with the remedy.
    ///
    /// `None`, with a problem, when it isn't a map.
    pub fn open(
        node: &'a Node,
        what: &'a str,
        known: &'a [&'a str],
        elsewhere: &[(&str, &str)],
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            problems.push(
                Problem::error(node.place, "wrong_type", format!("{what} must be a map, not {}", node.described()))
                    .with_hint(one_sided(node, known).unwrap_or_else(|| format!("its fields are: {}", listed(known)))),
            );
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let mut problem =
                Problem::error(entry.place, "unknown_field", format!("{what} has no field `{}`", entry.key));
            problem.hint = Some(match elsewhere.iter().find(|(name, _)| *name == entry.key) {
                Some((_, remedy)) => (*remedy).to_owned(),
                None => match nearest(&entry.key, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has: {}", listed(known)),
                },
            });
            problems.push(problem);
        }
        Some(Self { entries, place: node.place, what, known })
    }

    /// The value of a field, or nothing when it is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// The value of a field that must be there. Is it there under a name that is almost right, that has been told already.
    pub fn require(&self, name: &str, hint: &str, problems: &mut Vec<Problem>) -> Option<&'a Node> {
        let found = self.get(name);
        let misspelled =
            |entry: &Entry| !self.known.contains(&entry.key.as_str()) && nearest(&entry.key, &[name]).is_some();
        if found.is_none() && !self.entries.iter().any(misspelled) {
            problems.push(
                Problem::error(self.place, "missing_field", format!("{} has no `{name}`", self.what)).with_hint(hint),
            );
        }
        found
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &'a Entry> + use<'a> {
        self.entries.iter()
    }
}

/// Reads a word that must be one of `words`; `what` is the field's name in messages.
///
/// Knows what YAML 1.1 tools make of `off` and `on`, capitals, and near misses.
pub fn one_of<'w>(node: &Node, what: &str, words: &[&'w str], problems: &mut Vec<Problem>) -> Option<&'w str> {
    if let Value::Text(text) = &node.value
        && let Some(word) = words.iter().find(|word| **word == text.as_str())
    {
        return Some(word);
    }
    let hint = match &node.value {
        Value::Bool(false) if words.contains(&"disabled") => {
            "write `disabled`. (A tool that reads YAML 1.1 turns an unquoted `off` into `false`.)".to_owned()
        }
        Value::Bool(true) if words.contains(&"enforce") => {
            "write `enforce`. (A tool that reads YAML 1.1 turns an unquoted `on` into `true`.)".to_owned()
        }
        Value::Text(text) => {
            let lower = text.to_lowercase();
            match lower.as_str() {
                "off" | "no" | "none" | "disable" | "false" if words.contains(&"disabled") => {
                    "write `disabled`".to_owned()
                }
                "on" | "yes" | "enabled" | "enforced" | "true" if words.contains(&"enforce") => {
                    "write `enforce`".to_owned()
                }
                "deny" | "reject" | "refuse" | "forbid" | "drop" if words.contains(&"block") => {
                    "write `block`".to_owned()
                }
                "permit" | "accept" | "pass" if words.contains(&"allow") => "write `allow`".to_owned(),
                "off" | "no" | "none" | "disabled" | "false" if words.contains(&"monitor") => {
                    "write `monitor`: everything is let through and counted".to_owned()
                }
                "ip" | "addr" | "client" | "network" if words.contains(&"address") => "write `address`".to_owned(),
                "customer" | "account" | "subject" if words.contains(&"user") => "write `user`".to_owned(),
                "partner" if words.contains(&"caller") => "write `caller`".to_owned(),
                "global" | "total" | "everyone" if words.contains(&"all") => "write `all`".to_owned(),
                _ => match nearest(&lower, words) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it is one of: {}", listed(words)),
                },
            }
        }
        _ => format!("it is one of: {}", listed(words)),
    };
    problems.push(
        Problem::error(node.place, "unknown_word", format!("`{what}` can't be {}", node.described())).with_hint(hint),
    );
    None
}

/// The remedy where one value stands for a range with `min` and `below`: `>=3.1`, `< 1h`.
fn one_sided(node: &Node, known: &[&str]) -> Option<String> {
    if !matches!(node.value, Value::Text(_) | Value::Int(_) | Value::Float(_)) || !known.contains(&"min") {
        return None;
    }
    let spelled = node.spelled();
    let bare = spelled.trim_start_matches(['>', '<', '=', '~', '^', ' ']);
    let field = if spelled.starts_with('<') && known.contains(&"below") { "below" } else { "min" };
    (!bare.is_empty()).then(|| format!("write {{ {field}: \"{bare}\" }}; its fields are {}", listed(known)))
}

/// Reads text that must be there.
pub fn text<'a>(node: &'a Node, what: &str, problems: &mut Vec<Problem>) -> Option<&'a str> {
    match &node.value {
        Value::Text(text) if !text.is_empty() => {
            problems.extend(yaml_1_1(node));
            Some(text)
        }
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
            let spelled = node.spelled();
            problems.push(
                Problem::error(node.place, "wrong_type", format!("`{what}` must be text, not {}", node.described()))
                    .with_hint(format!("quote it: \"{spelled}\"{}", otherwise_read(&spelled))),
            );
            None
        }
        _ => {
            problems.push(Problem::error(
                node.place,
                "wrong_type",
                format!("`{what}` must be text, not {}", or_empty(node)),
            ));
            None
        }
    }
}

/// A warning where other tools take an unquoted word for something else.
pub(crate) fn yaml_1_1(node: &Node) -> Option<Problem> {
    let Value::Text(text) = &node.value else { return None };
    let meant = match text.to_lowercase().as_str() {
        "on" | "yes" | "y" => "true",
        "off" | "no" | "n" => "false",
        _ => return None,
    };
    // Quotes take two more characters.
    (node.place.width == text.chars().count()).then(|| {
        Problem::warning(
            node.place,
            "yaml_1_1",
            format!("`{text}` is a text here, and `{meant}` to a tool that reads YAML 1.1"),
        )
        .with_hint(format!("quote it: \"{text}\""))
    })
}

/// What an unquoted number is to other tools, where they differ.
fn otherwise_read(spelled: &str) -> String {
    let octal =
        spelled.strip_prefix('0').filter(|rest| rest.len() > 1).and_then(|rest| i64::from_str_radix(rest, 8).ok());
    match octal {
        Some(octal) => format!(" (unquoted, `{spelled}` is {octal} to tools that read a leading 0 as an octal number)"),
        None if spelled.ends_with('0') && spelled.contains('.') => format!(
            " (unquoted, `{spelled}` is `{}` to tools that read it as a number)",
            spelled.trim_end_matches('0').trim_end_matches('.')
        ),
        None => String::new(),
    }
}

/// Whether YAML 1.1 takes it for a number in base 60: `12:30`.
pub(crate) fn is_sexagesimal(text: &str) -> bool {
    text.contains(':')
        && text.split(':').all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads `true` or `false`.
pub fn truth(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<bool> {
    if let Value::Bool(value) = node.value {
        return Some(value);
    }
    let hint = match &node.value {
        Value::Text(text) => match text.to_lowercase().as_str() {
            "yes" | "on" | "y" => "write `true`: only YAML 1.1 took `yes` and `on` for it",
            "no" | "off" | "n" => "write `false`: only YAML 1.1 took `no` and `off` for it",
            _ => "write `true` or `false`, without quotes",
        },
        _ => "write `true` or `false`, without quotes",
    };
    problems.push(
        Problem::error(node.place, "wrong_type", format!("`{what}` must be true or false, not {}", or_empty(node)))
            .with_hint(hint),
    );
    None
}

/// Reads a whole number in `from..=to`.
pub fn number(node: &Node, what: &str, from: i64, to: i64, problems: &mut Vec<Problem>) -> Option<i64> {
    let range = format!("a whole number from {from} to {to}, without quotes");
    let spelled = node.spelled();
    let digits = spelled.trim_end_matches('%').trim_end();
    let plain = spelled.trim_start_matches('0');
    let hint = match &node.value {
        Value::Int(_) | Value::Float(_) if plain.len() < spelled.len() && plain.parse::<i64>().is_ok() => {
            format!("write `{plain}`: some tools read a leading 0 as an octal number")
        }
        _ if spelled.contains('_') && spelled.replace('_', "").parse::<i64>().is_ok() => {
            format!("write `{}`: tools disagree on `_` between digits", spelled.replace('_', ""))
        }
        // Hexadecimal and octal numbers: who counts like this here has made a mistake.
        Value::Int(value) if spelled.starts_with("0x") || spelled.starts_with("0o") => format!("write `{value}`"),
        Value::Int(value) if (from..=to).contains(value) => return Some(*value),
        Value::Text(text) if text.ends_with('%') && digits.parse::<i64>().is_ok() => {
            format!("write `{digits}`, without the `%`")
        }
        Value::Text(text) if text.parse::<i64>().is_ok() => format!("write `{text}`, without quotes"),
        Value::Text(text) if is_sexagesimal(text) => {
            format!("write a plain number: to YAML 1.1 `{text}` is one in base 60. {range}")
        }
        _ => format!("it is {range}"),
    };
    problems.push(
        Problem::error(node.place, "wrong_number", format!("`{what}` can't be {}", or_empty(node))).with_hint(hint),
    );
    None
}

/// The items of a list, or the one value that stands for a list of one. Never empty.
pub fn one_or_many<'a>(node: &'a Node, what: &str, problems: &mut Vec<Problem>) -> &'a [Node] {
    match &node.value {
        Value::List(items) => {
            if items.is_empty() {
                problems.push(
                    Problem::error(
                        node.place,
                        "empty_list",
                        format!("`{what}` is an empty list, which nothing matches"),
                    )
                    .with_hint("name at least one, or leave the field out"),
                );
            }
            items
        }
        _ => std::slice::from_ref(node),
    }
}

/// The nearest of `words`, if it is near enough to be meant.
pub fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let folded = word.to_lowercase().replace('-', "_");
    words
        .iter()
        .map(|candidate| {
            let other = candidate.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&folded, &other), *candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len().min(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "a, b and c" in backticks.
pub fn listed<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn or_empty(node: &Node) -> String {
    match &node.value {
        Value::Text(text) if text.is_empty() => "empty".to_owned(),
        _ => node.described(),
    }
}
