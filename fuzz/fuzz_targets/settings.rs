//! Attacks: the configuration file, as it is loaded at start and on every reload.
//!
//! Holds: it loads, or says what is wrong, with at least one error, each in its place and fit to be shown; and twice the
//! same file is twice the same answer.
#![no_main]

use assay_fuzz::private_file;
use libfuzzer_sys::fuzz_target;
use settings::{Overrides, Severity, load};

fuzz_target!(|data: &[u8]| {
    let path = private_file("assay.yaml", data);
    let lines = data.split(|byte| matches!(byte, b'\n' | b'\r')).count();
    let overrides = Overrides::default();
    match (load(&path, &overrides), load(&path, &overrides)) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.settings.digest, other.settings.digest);
            assert_eq!(one.warnings, other.warnings);
            assert!(one.warnings.iter().all(|warning| warning.severity != Severity::Error));
            one.warnings.iter().for_each(|warning| assert!(!one.render(warning).is_empty()));
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.problems, other.problems);
            assert!(one.problems.iter().any(|problem| problem.severity == Severity::Error));
            let own = one.problems.iter().filter(|problem| problem.file == path.display().to_string());
            for problem in own {
                assert!(problem.line <= lines + 1, "line {} of {lines}", problem.line);
                assert!(!problem.message.is_empty() && problem.width > 0);
            }
            let shown = one.to_string();
            assert!(shown.contains("this configuration is not used"));
            assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "a file writes to the terminal: {shown:?}");
        }
        _ => panic!("the same file loads and doesn't"),
    }
});
