//! Problems in the forms that other programs read.
//!
//! In: [`Problem`]s. Out: annotations of GitHub's workflows, or a SARIF log, which code hosts show beside the changed lines. For a person
//! there is [`Problem::render`], for scripts its JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::problem::{Problem, Severity};

/// One annotation a line: `::error file=shop.yaml,line=3,col=9::what is wrong`.
///
/// # Source
/// GitHub, "Workflow commands": message and properties are escaped as `@actions/core` does it.
#[must_use]
pub fn github(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let command = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let mut properties = vec![format!("title={}", property(problem.code))];
        if !problem.file.is_empty() {
            properties.push(format!("file={}", property(&problem.file)));
            if problem.line > 0 {
                properties.push(format!("line={}", problem.line));
                // A column is shown only where the end is on the same line, which it always is.
                properties.push(format!("col={}", problem.column));
                properties.push(format!("endColumn={}", problem.column.saturating_add(problem.width)));
            }
        }
        let _ = writeln!(out, "::{command} {}::{}", properties.join(","), data(&with_hint(problem)));
    }
    out
}

/// A SARIF 2.1.0 log of one run of this program, whose version is `version`.
///
/// # Source
/// OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", sections 3.13, 3.14, 3.19, 3.27 to 3.30, 3.49.
#[must_use]
pub fn sarif(problems: &[Problem], version: &str) -> Value {
    let mut codes: BTreeMap<&str, usize> = problems.iter().map(|problem| (problem.code, 0)).collect();
    for (index, slot) in codes.values_mut().enumerate() {
        *slot = index;
    }
    let rules: Vec<Value> = codes
        .keys()
        .map(|code| json!({ "id": code, "shortDescription": { "text": code.replace('_', " ") } }))
        .collect();
    let results: Vec<Value> = problems
        .iter()
        .map(|problem| {
            let mut result = json!({
                "ruleId": problem.code,
                "ruleIndex": codes.get(problem.code),
                "level": problem.severity.as_str(),
                "message": { "text": with_hint(problem) },
            });
            if let (Some(location), Some(result)) = (location(problem), result.as_object_mut()) {
                result.insert("locations".to_owned(), json!([location]));
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "assay", "semanticVersion": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn location(problem: &Problem) -> Option<Value> {
    if problem.file.is_empty() {
        return None;
    }
    let mut physical = json!({ "artifactLocation": { "uri": uri(&problem.file) } });
    // A problem with the file as a whole has no region.
    if let (1.., Some(physical)) = (problem.line, physical.as_object_mut()) {
        let column = problem.column.max(1);
        physical.insert(
            "region".to_owned(),
            json!({
                "startLine": problem.line,
                "startColumn": column,
                "endColumn": column.saturating_add(problem.width.max(1)),
            }),
        );
    }
    Some(json!({ "physicalLocation": physical }))
}

fn with_hint(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{} (help: {hint})", problem.message),
        None => problem.message.clone(),
    }
}

/// A path as a URI reference (RFC 3986): relative paths stay relative.
fn uri(path: &str) -> String {
    let mut out = String::new();
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for (index, byte) in path.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte);
        // A colon in the first segment of a relative reference would begin a scheme.
        let colon = byte == b':' && path.get(..index).is_some_and(|before| before.contains('/'));
        if plain || colon {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::Place;

    fn problem(file: &str, line: usize, message: &str) -> Problem {
        let place = Place { line, column: 3, width: 4, ..Place::default() };
        Problem::warning(place, "unknown_field", message).with_hint("did you mean `when`?").in_file(file)
    }

    #[test]
    fn an_annotation_cannot_be_broken_out_of() {
        let text = github(&[problem("a,b:c\n::stop::.yaml", 2, "100 %\r\n::set-output name=x::y")]);
        assert_eq!(
            text,
            "::warning title=unknown_field,file=a%2Cb%3Ac%0A%3A%3Astop%3A%3A.yaml,line=2,col=3,endColumn=7::100 %25%0D%0A::set-output name=x::y (help: did you mean `when`?)\n"
        );
    }

    #[test]
    fn a_problem_with_the_whole_file_has_no_line() {
        assert!(
            github(&[problem("p.yaml", 0, "too long")]).starts_with("::warning title=unknown_field,file=p.yaml::too")
        );
        let log = sarif(&[problem("p.yaml", 0, "too long")], "1.0.0");
        let physical = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "p.yaml");
        assert!(physical.get("region").is_none());
    }

    #[test]
    fn sarif_has_what_the_standard_requires() {
        let mut second = problem("dir with space/a:b.yaml", 7, "second");
        second.code = "missing_field";
        second.severity = Severity::Error;
        let log = sarif(&[problem("/etc/p%.yaml", 2, "first"), second, problem("", 0, "third")], "0.1.0");
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["name"], "assay");
        assert_eq!(run["columnKind"], "unicodeCodePoints");
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
            let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
            assert_eq!(rule["id"], result["ruleId"]);
            assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        }
        let place = |at: usize| &run["results"][at]["locations"][0]["physicalLocation"];
        assert_eq!(place(0)["artifactLocation"]["uri"], "file:///etc/p%25.yaml");
        assert_eq!(place(0)["region"], json!({ "startLine": 2, "startColumn": 3, "endColumn": 7 }));
        assert_eq!(place(1)["artifactLocation"]["uri"], "dir%20with%20space/a:b.yaml");
        assert_eq!(run["results"][1]["level"], "error");
        assert!(run["results"][2].get("locations").is_none());
    }

    #[test]
    fn nothing_wrong_is_an_empty_log_with_its_rules() {
        let log = sarif(&[], "0.1.0");
        assert_eq!(log["runs"][0]["results"], json!([]));
        assert!(github(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn any_message_and_file_is_one_annotation_on_one_line(file in ".*", message in ".*", line in 0_usize..9) {
            let text = github(&[problem(&file, line, &message)]);
            prop_assert_eq!(text.matches('\n').count(), 1);
            prop_assert!(!text.trim_end_matches('\n').contains('\r'));
            let (head, _) = text.strip_prefix("::").unwrap().split_once("::").unwrap();
            // Nothing of the file's name ends the properties early, or adds one.
            let fields = head.split_once(' ').unwrap().1.split(',').count();
            prop_assert_eq!(fields, 1 + if file.is_empty() { 0 } else if line == 0 { 1 } else { 4 });
        }

        #[test]
        fn any_file_is_a_uri_reference(file in ".*") {
            let uri = uri(&file);
            let no_part_of_one = b"\"<>\\^`{|}#?[]";
            prop_assert!(uri.bytes().all(|b| b.is_ascii_graphic() && !no_part_of_one.contains(&b)));
        }
    }
}
