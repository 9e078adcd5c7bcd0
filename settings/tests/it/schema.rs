//! The schemas in the repository are those of the code, and the documentation knows every field.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn in_step(name: &str, schema: &Value) {
    let path = root().join("schema").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        held == text,
        "schema/{name} is not what the code says; run: UPDATE_SCHEMA=1 cargo test -p settings schema"
    );
}

#[test]
fn the_schema_of_the_configuration_is_in_step() {
    in_step("assay.schema.json", &settings::schema());
}

#[test]
fn the_schema_of_policies_is_in_step() {
    in_step("policy.schema.json", &policies::schema());
}

#[test]
fn the_schema_of_cases_is_in_step() {
    in_step("policy-cases.schema.json", &policies::cases::schema());
}

#[test]
fn the_schema_of_included_rules_is_in_step() {
    let schema = settings::rules_schema();
    assert_eq!(schema["required"], serde_json::json!(["rules"]));
    assert_eq!(schema["properties"].as_object().unwrap().len(), 1);
    assert!(schema["properties"]["rules"].is_object());
    in_step("rules.schema.json", &schema);
}

#[test]
fn it_is_draft_7_and_closed() {
    let schema = settings::schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["required"], serde_json::json!(["assay", "state"]));
    assert_eq!(schema["additionalProperties"], false);
    let text = schema.to_string();
    assert!(!text.contains("\"null\"") && !text.contains("uint"), "{text}");
}

/// Names of all properties of the shapes of this file (a policy's are documented with policies).
fn properties(value: &Value, found: &mut BTreeSet<String>) {
    if let Some(own) = value.get("properties").and_then(Value::as_object) {
        for (name, property) in own {
            assert!(
                property.get("description").is_some() || property.get("$ref").is_some(),
                "`{name}` has a description"
            );
            found.insert(name.clone());
        }
    }
}

#[test]
fn the_documentation_names_every_field() {
    let schema = settings::schema();
    let mut found = BTreeSet::new();
    properties(&schema, &mut found);
    let ours = [
        "Listeners",
        "PublicListener",
        "Tls",
        "ConnectionLimits",
        "ProbeListener",
        "AdminListener",
        "State",
        "Database",
        "Shared",
        "Attestation",
        "Serve",
        "ServeLimits",
        "ServeAdmin",
        "Remote",
        "Token",
        "Claims",
        "App",
        "AppPlatform",
        "Weigh",
        "Findings",
        "Issuer",
        "IssuerKeys",
        "Keys",
        "KeyDatabase",
        "Unlock",
        "Vault",
        "AwsKms",
        "ServiceUnlock",
        "OurFaults",
        "ServiceDown",
        "KeySets",
        "Revocations",
        "Upstream",
        "Queue",
        "Timeouts",
        "Route",
        "Match",
        "Rewrite",
        "RouteToken",
        "Ceilings",
        "CeilingAmounts",
        "CeilingReserve",
        "Operation",
        "Body",
        "Log",
        "Traces",
        "Record",
        "PublicTls",
        "Caller",
        "CallerBearer",
        "CallerCertificate",
        "CallerJwt",
        "CallerWebhook",
        "RouteUser",
        "Guard",
        "List",
        "Concurrency",
        "Adaptive",
    ];
    for name in ours {
        let shape = &schema["definitions"][name];
        assert!(shape.is_object(), "{name} is in the schema");
        properties(shape, &mut found);
    }
    let text = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let missing: Vec<_> = found
        .iter()
        .filter(|name| !text.contains(&format!("`{name}`")) && !text.contains(&format!(".{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/configuration.md does not name {missing:?}");
}
