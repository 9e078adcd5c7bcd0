//! Every piece of YAML of docs/policies.md loads.

use policies::cases::CaseFile;
use policies::lists::Kind;
use policies::{List, Lists, NoIncludes, RouteContext, Severity, check_text};

#[test]
fn every_policy_rule_and_case_of_the_page_loads() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policies.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut lists = Lists::new();
    lists.insert("datacentres", List::parse(Kind::Networks, "d.txt", "203.0.113.0/24\n").unwrap());
    let callers = ["acme".to_owned()];
    let about = RouteContext {
        trusts_proxies: true,
        lists: &lists,
        callers: &callers,
        user: true,
        ..RouteContext::new("shop")
    };
    let (mut policies, mut rules, mut cases) = (0, 0, 0);
    for block in text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        if block.contains("\ncases:") {
            CaseFile::parse("page", block, &NoIncludes).unwrap_or_else(|problems| panic!("{problems:#?}\n{block}"));
            cases += 1;
            continue;
        }
        let whole = if block.contains("default:") {
            policies += 1;
            block.to_owned()
        } else {
            rules += 1;
            format!("policy: shop\ndefault: block\nrules:\n{block}")
        };
        let mut problems = check_text("page", &whole, &about);
        problems.retain(|problem| problem.severity == Severity::Error);
        assert!(problems.is_empty(), "{problems:#?}\n{whole}");
    }
    assert!(policies >= 2 && rules >= 1 && cases >= 1, "{policies} {rules} {cases}");
}
