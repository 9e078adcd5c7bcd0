//! Routes against the bounds that a sealed key carries.

use attest_core::random::SystemRandom;
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey, bounds::RecipeText};
use settings::{Problem, Settings};

use crate::folder::{Folder, GOOD, with};

fn store(folder: &Folder) -> Keystore {
    store_of(folder, &[&bounds()])
}

/// The bounds of the key that the good configuration names.
fn bounds() -> BoundsText {
    BoundsText {
        schemes: vec!["https".into()],
        hosts: vec!["api.openai.com".into()],
        methods: vec!["POST".into()],
        paths: vec!["/v1/chat/completions".into(), "/v1/embeddings".into()],
        recipe: RecipeText::Header { name: "authorization".into(), template: "Bearer {key}".into() },
        trust: "public".into(),
    }
}

/// With a version of the key for each of these bounds: the first is the current one, the second the next.
fn store_of(folder: &Folder, versions: &[&BoundsText]) -> Keystore {
    let (master, memory) = (MasterKey::generate(&SystemRandom).unwrap(), GenerationMemory::in_process());
    let path = folder.path("secrets/real.sealed");
    Keystore::create(&path, &master, &memory, &SystemRandom).unwrap();
    let mut editor = Keystore::edit(&path, &master, &memory).unwrap();
    for (number, bounds) in versions.iter().enumerate() {
        let secret = ApiKey::parse(format!("sk-openai-{number}-123456789abcdef").as_bytes()).unwrap();
        let name = KeyName::parse("openai").unwrap();
        editor.put(&name, &secret, Bounds::parse(bounds).unwrap(), &SystemRandom).unwrap();
    }
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
    let hint = problems[0].hint.as_ref().unwrap();
    assert!(hint.starts_with("assay key put stripe --to https://api.openai.com --path"), "{hint}");
    let presets = "preset: aws-s3, set: { bucket: photos, region: eu-central-1 }, url: \"https://s3.example.com:8443\"";
    let text = with("    key: openai\n", "    key: s3\n")
        .replace("openai: { url: https://api.openai.com }", &format!("openai: {{ {presets} }}"));
    let (problems, _) = checked(text);
    let hint = problems[0].hint.as_ref().unwrap();
    let whole = "assay key put s3 --preset aws-s3 --set bucket=photos --set region=eu-central-1 --to https://s3.example.com:8443 <";
    assert!(hint.starts_with(whole), "{hint}");
}

#[test]
fn a_next_version_that_is_bound_elsewhere_is_told_before_it_is_rotated_to() {
    let folder = Folder::new();
    let settings = folder.load(GOOD).unwrap_or_else(|report| panic!("{report}")).settings;
    let elsewhere = BoundsText { hosts: vec!["eu.api.openai.com".into()], ..bounds() };
    let problems = settings.check_keys(&store_of(&folder, &[&bounds(), &elsewhere]));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!((problems[0].code, problems[0].severity), ("next_key_out_of_bounds", settings::Severity::Warning));
    assert_eq!(settings.check_keys(&store_of(&Folder::new(), &[&bounds(), &bounds()])), []);
}

#[test]
fn a_key_that_goes_out_otherwise_than_its_preset_says_is_told() {
    let folder = Folder::new();
    let text = with("openai: { url: https://api.openai.com }", "openai: { preset: openai }");
    let settings = folder.load(&text).unwrap_or_else(|report| panic!("{report}")).settings;
    assert_eq!(settings.check_keys(&store(&folder)), []);
    let recipe = RecipeText::Header { name: "x-api-key".into(), template: "{key}".into() };
    let problems = settings.check_keys(&store_of(&Folder::new(), &[&BoundsText { recipe, ..bounds() }]));
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["key_recipe_differs"]);
}

#[test]
fn all_operations_are_those_that_the_key_allows_at_its_own_host() {
    let all = |text: &str| {
        let (before, after) = text
            .split_once("    operations:\n      - call: POST /v1/chat/completions\n        body: { limit: 256KiB }\n")
            .unwrap();
        format!("{before}    operations: all\n{after}")
    };
    assert_eq!(checked(all(GOOD)).0, []);
    let (problems, _) = checked(all(&with("https://api.openai.com", "https://attacker.example.com")));
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["key_out_of_bounds"]);
}

#[test]
fn a_second_try_after_a_401_is_for_keys_and_told_aloud() {
    let folder = Folder::new();
    let asked = |upstream: &str| with(upstream, &format!("{upstream}    retry_unauthorized: true\n"));
    folder.refuses(asked("  shop-api:\n"), "does_nothing", "take the line out");
    let (settings, problems) = folder.takes(asked("  chat:\n"));
    assert!(settings.route("chat").unwrap().retry_unauthorized);
    assert!(problems.contains(&"sent_twice"), "{problems:?}");
}
