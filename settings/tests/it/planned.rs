//! What the design knows and this version does not: refused by name, never ignored.

use crate::folder::{Folder, with};

fn told(text: String) -> String {
    Folder::new().load(text).expect_err("refused").to_string()
}

#[test]
fn planned_keys_are_refused_by_name() {
    let told = told(with("    key: openai\n", "    key: openai\n    budgets: { key: { tokens: 60/1h } }\n"));
    assert!(told.contains("`budgets` is not part of this version"), "{told}");
    assert!(told.contains("= help:"), "{told}");
    assert!(told.ends_with("1 error: this configuration is not used"), "{told}");
}

#[test]
fn planned_words_are_refused_by_name() {
    for (old, new, words) in [
        ("require: [measurement]", "require: [measurement, apple-app-attest]", "appraises `measurement` only"),
        ("level: warn", "level: debug", "would show injected keys"),
    ] {
        let told = told(with(old, new));
        assert!(told.contains(words), "{told}");
        assert!(told.ends_with("1 error: this configuration is not used"), "{told}");
    }
}

#[test]
fn budgets_name_what_there_is_instead() {
    let told = told(with("    key: openai\n", "    key: openai\n    budgets: { }\n"));
    assert!(told.contains("limits: [{ requests: 1000, per: device, window: 1d, count: fixed }]"), "{told}");
}
