//! Attacks: named lists, as an operator, a feed or a pull request brings them. Input: a byte for the kind, then the text.
//!
//! Holds: each problem has its line and can be shown; the same text gives the same problems; a list that loads holds what its entries hold
//! one by one, and nothing else of what is asked.
#![no_main]

use std::net::IpAddr;

use attest_core::target::PathGlob;
use libfuzzer_sys::fuzz_target;
use policies::List;
use policies::lists::Kind;

fuzz_target!(|data: &[u8]| {
    let Some((kind, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let kind = [Kind::Networks, Kind::Devices, Kind::Paths][usize::from(kind % 3)];
    let entries = || {
        let lines = text.trim_start_matches('\u{feff}').split(['\n', '\r']);
        lines.map(|line| line.split(" #").next().unwrap_or_default().split("\t#").next().unwrap_or_default().trim())
    };
    match List::parse(kind, "l", text) {
        Err(problems) => {
            assert_eq!(problems, List::parse(kind, "l", text).expect_err("refused before"));
            assert!(!problems.is_empty() && problems.len() < 200);
            for problem in &problems {
                assert!(problem.line <= text.split(['\n', '\r']).count() && !problem.message.is_empty());
                let shown = problem.render(text);
                assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "a list writes to the terminal: {shown:?}");
            }
        }
        Ok(List::Networks(list)) => {
            let alone: Vec<_> = entries()
                .filter_map(|entry| List::parse(Kind::Networks, "l", entry).ok())
                .filter_map(|list| if let List::Networks(list) = list { Some(list) } else { None })
                .collect();
            let asked = data.chunks_exact(4).filter_map(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(IpAddr::from);
            let wide = data.chunks_exact(16).filter_map(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(IpAddr::from);
            let written = entries().filter_map(|entry| entry.split('/').next()?.parse::<IpAddr>().ok());
            for address in asked.chain(wide).chain(written).take(200) {
                assert_eq!(list.contains(address), alone.iter().any(|one| one.contains(address)), "{address}");
            }
        }
        Ok(List::Devices(list)) => {
            assert!(entries().filter(|entry| !entry.is_empty() && !entry.starts_with('#') && *entry != "none").all(|entry| list.contains(entry)));
            assert!(!list.contains("") && !list.contains("a device that no list can hold"));
        }
        Ok(List::Paths(list)) => {
            let globs: Vec<_> = entries().filter_map(|entry| PathGlob::parse(entry).ok()).collect();
            let asked = globs.iter().flat_map(|glob| {
                let text = glob.as_str();
                [text.replace("/**", ""), text.replace('*', "x"), text.replace("/**", "/x/y"), format!("{text}/z")]
            });
            for path in asked.chain(["/".to_owned()]).filter(|path| path.starts_with('/')).take(200) {
                assert_eq!(list.contains(&path), globs.iter().any(|glob| glob.matches(&path)), "{path}");
            }
        }
    }
});
