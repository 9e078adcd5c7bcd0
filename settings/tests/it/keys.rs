//! Routes against the bounds that a sealed key carries.

use attest_core::random::SystemRandom;
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey, bounds::RecipeText};
use settings::{Problem, Settings};

use crate::folder::{Folder, GOOD, with};

fn store(folder: &Folder) -> Keystore {
    let (master, memory) = (MasterKey::generate(&SystemRandom).unwrap(), GenerationMemory::in_process());
    let path = folder.path("secrets/real.sealed");
    Keystore::create(&path, &master, &memory, &SystemRandom).unwrap();
    let mut editor = Keystore::edit(&path, &master, &memory).unwrap();
    let bounds = Bounds::parse(&BoundsText {
        schemes: vec!["https".into()],
        hosts: vec!["api.openai.com".into()],
        methods: vec!["POST".into()],
        paths: vec!["/v1/chat/completions".into(), "/v1/embeddings".into()],
        recipe: RecipeText::Header { name: "authorization".into(), template: "Bearer {key}".into() },
        trust: "public".into(),
    })
    .unwrap();
    let secret = ApiKey::parse(b"sk-openai-0123456789abcdef").unwrap();
    editor.put(&KeyName::parse("openai").unwrap(), &secret, bounds, &SystemRandom).unwrap();
    editor.commit(&memory).unwrap()
}

fn checked(text: String) -> (Vec<Problem>, Settings) {
    let folder = Folder::new();
    let settings = folder.load(&text).unwrap_or_else(|report| panic!("{report}")).settings;
    (settings.check_keys(&store(&folder)), settings)
}

fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).unwrap() + 1
}

#[test]
fn a_route_inside_the_bounds_of_its_key_has_no_problem() {
    assert_eq!(checked(GOOD.to_owned()).0, []);
}

#[test]
fn a_key_pointed_at_another_host_is_refused_with_its_place() {
    let text = with("https://api.openai.com", "https://attacker.example.com");
    let (problems, settings) = checked(text.clone());
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = &problems[0];
    assert_eq!((problem.code, problem.line), ("key_out_of_bounds", line_of(&text, "key: openai")));
    assert!(problem.message.contains("\"openai\"") && problem.message.contains("attacker.example.com"), "{problem}");
    assert_eq!(problem.file, settings.path.display().to_string());
    assert!(problem.render(&text).contains("    key: openai"));
}

#[test]
fn each_operation_outside_the_bounds_is_told_at_its_place() {
    let extra = "        body: { limit: 256KiB }\n      - call: GET /v1/chat/completions\n      - call: POST /v1/**\n      - call: POST /v1/embeddings\n";
    let text = with("        body: { limit: 256KiB }\n", extra);
    let (problems, _) = checked(text.clone());
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [line_of(&text, "GET /v1/chat"), line_of(&text, "POST /v1/**")], "{problems:?}");
}

#[test]
fn a_key_that_is_not_in_the_store_is_told_with_the_command() {
    let (problems, _) = checked(with("key: openai\n", "key: stripe\n"));
    assert_eq!((problems.len(), problems[0].code), (1, "unknown_key"));
    assert!(problems[0].hint.as_ref().unwrap().contains("assay key put stripe"));
}
