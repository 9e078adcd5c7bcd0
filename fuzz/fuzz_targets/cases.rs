//! Attacks: files of cases, as a pull request brings them. Input: YAML.
//!
//! Holds: each problem has its place in the file and can be shown, without a control byte of the file's; the same text gives the same
//! problems; what loads can be tried, every difference has a place, and no rule is reached by more cases than there are.
#![no_main]

use attest_core::time::UnixTime;
use libfuzzer_sys::fuzz_target;
use policies::cases::{CaseFile, Coverage, Setting};
use policies::{FailSafe, NoIncludes, compile, parse_file};

const POLICY: &str = r#"
policy: shop
default: block
rules:
  - name: genuine
    when: { verdict: attested, app_version: { min: "3.2" } }
    then: { allow: { limits: [{ requests: 60, per: address, window: 1m }] } }
  - name: catalogue
    when: { verdict: [missing, expired], path: "/v1/catalogue/**" }
    then: deprioritize
"#;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = CaseFile::parse("c.yaml", text, &NoIncludes);
    let cases = match read {
        Ok(cases) => cases,
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = text.split(['\n', '\r']).count();
            for problem in &problems {
                assert!(problem.line <= lines + 1 && problem.file == "c.yaml", "{problem:?}");
                let shown = problem.render(text);
                assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "a file writes to the terminal: {shown:?}");
            }
            let again = CaseFile::parse("c.yaml", text, &NoIncludes).expect_err("the same text");
            assert_eq!(again, problems);
            return;
        }
    };
    let raw = parse_file("p.yaml", POLICY).expect("YAML");
    // A file may claim a key for its route; then the policy may not load.
    let Ok((policy, _)) = compile(raw, "p.yaml", &cases.context("shop", &NoIncludes)) else { return };
    let mut coverage = Coverage::new(&policy);
    let now = UnixTime::from_secs(1_800_000_000);
    let setting = Setting { route: None, injects: cases.injects(), fail_safe: FailSafe::Refuse, now };
    let tried = cases.run(&policy, &setting, &mut coverage);
    assert!(tried.cases == cases.len() && tried.failed <= tried.cases);
    assert!(tried.differences.iter().all(|problem| problem.line > 0 && problem.file == "c.yaml"));
    assert!(coverage.rules.iter().all(|(_, reached)| *reached <= tried.cases as u64));
});
