//! What `docs/operations.md` tells operators to look at is there: every metric by its name, every test by its name.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::attester::Attester;
use e2e::programs;
use e2e::replicas::{Plan, Replicas};
use e2e::wait::until;
use e2e::wire;

fn page() -> String {
    std::fs::read_to_string(programs::root().join("docs/operations.md")).unwrap()
}

/// Words in code spans that begin with `assay_`, without labels; a command or a field is none of them.
fn metrics(text: &str) -> BTreeSet<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    let names = spans.filter_map(|span| span.split(['{', ' ']).next()).filter(|name| name.starts_with("assay_"));
    names.filter(|name| !name.starts_with("assay_admin_")).collect()
}

#[test]
fn every_metric_that_the_page_names_is_told_by_a_gateway_or_a_service() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let token = Attester::genuine().token(&replicas.services[0].at);
    assert_eq!(replicas.gateways[0].get_as(&token, "/counted/x").status, 200);
    // A family is told from its first value on; an attestation's outcome is written a moment after its answer.
    let families = || -> BTreeSet<String> {
        let told = [&replicas.gateways[0].admin, &replicas.services[0].metrics];
        let text = told.map(|address| wire::get(address, "/metrics", &[]).text()).join("\n");
        text.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned())).collect()
    };
    let families = until("the attestation to be counted", || {
        let families = families();
        families.contains("assay_attestations").then_some(families)
    });
    let page = page();
    let named = metrics(&page);
    assert!(named.len() >= 20, "{named:?}");
    // Counters are told with `_total`, which is no part of their family's name.
    let told = |name: &str| [name, name.trim_end_matches("_total")].iter().any(|name| families.contains(*name));
    let missing: Vec<_> = named.into_iter().filter(|name| !told(name) && !HAS_NOT_HAPPENED.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?} of\n{families:?}");
}

/// Told only after what they count has happened; other tests bring it about.
const HAS_NOT_HAPPENED: [&str; 13] = [
    "assay_accepted_expired_total",
    "assay_budget_usage_unknown_total",
    "assay_candidate_differences_total",
    "assay_ceiling_reached_total",
    "assay_key_answers_total",
    "assay_key_reloads_total",
    "assay_limits_counted_locally_total",
    "assay_reloads_total",
    "assay_scrubbed_total",
    "assay_shed_total",
    "assay_state_write_failures_total",
    "assay_token_mints_total",
    "assay_traces_dropped_total",
];

/// Names of all functions in a source tree's tests.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            functions(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let names =
                text.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
            found.extend(names.filter_map(|line| line.split(['(', '<']).next()).map(str::to_owned));
        }
    }
}

#[test]
fn every_row_of_the_fail_safe_matrix_names_tests_that_exist() {
    let page = page();
    let mut rows =
        page.lines().skip_while(|line| !line.starts_with("| fault |")).skip(2).take_while(|line| line.starts_with('|'));
    let mut written = BTreeSet::new();
    functions(&programs::root(), &mut written);
    let mut counted = 0;
    for row in rows.by_ref() {
        let held_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test in {row}");
        for test in tests {
            assert!(written.contains(test), "no test is called {test}");
            counted += 1;
        }
    }
    assert!(counted >= 12, "{counted}");
}
