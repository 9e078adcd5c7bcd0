//! `assay.h` and the library say the same: functions, types, numbers, and what is exported.

use std::collections::BTreeMap;
use std::process::Command;

use assay_sdk::code::Code;
use attest_client::Status;

use crate::native::{has, header_folder, library_folder, run};

const HEADER: &str = include_str!("../../include/assay.h");

/// The source files that export something.
const SOURCES: [&str; 7] = [
    include_str!("../../src/about.rs"),
    include_str!("../../src/builder.rs"),
    include_str!("../../src/builder/build.rs"),
    include_str!("../../src/client.rs"),
    include_str!("../../src/device_key.rs"),
    include_str!("../../src/evidence.rs"),
    include_str!("../../src/outcome.rs"),
];

/// The header without comments, lines and extra spaces.
fn bare_header() -> String {
    let mut bare = String::new();
    let mut rest = HEADER;
    while let Some((before, after)) = rest.split_once("/*") {
        bare += before;
        rest = after.split_once("*/").unwrap().1;
    }
    let lines: Vec<_> = (bare + rest).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    lines.join(" ").split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// `name` to return type and parameter types, from the header, in C's words.
pub(crate) fn declared() -> BTreeMap<String, Vec<String>> {
    let bare = bare_header();
    let functions = bare.split(';').filter_map(|statement| {
        let (head, parameters) = statement.trim().trim_start_matches("extern \"C\" {").trim().split_once('(')?;
        if head.starts_with("typedef") || head.contains('{') {
            return None;
        }
        let at = head.find("assay_").filter(|at| head[*at..].chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        let at =
            at.or_else(|| head.rfind(" assay_").map(|at| at + 1)).or_else(|| head.rfind("*assay_").map(|at| at + 1))?;
        let (returns, name) = head.split_at(at);
        let mut types = vec![c_type(returns)];
        let parameters = parameters.strip_suffix(')')?;
        types.extend(parameters.split(',').filter(|one| *one != "void").map(|one| {
            let one = one.trim();
            c_type(&one[..one.rfind([' ', '*']).unwrap() + 1])
        }));
        Some((name.to_owned(), types))
    });
    functions.collect()
}

fn c_type(text: &str) -> String {
    let text = text.trim().replace(' ', "");
    match text.as_str() {
        "assay_code" | "assay_status" | "assay_reaction" | "assay_evidence_kind" => "int32_t".into(),
        _ => text,
    }
}

/// The same from the Rust source.
fn exported() -> BTreeMap<String, Vec<String>> {
    let mut functions = BTreeMap::new();
    for source in SOURCES {
        for one in source.split("#[unsafe(no_mangle)]").skip(1) {
            let signature = one.split_once(" fn ").unwrap().1.split_once(" {\n").unwrap().0;
            let (name, rest) = signature.split_once('(').unwrap();
            let (parameters, returns) = rest.rsplit_once(')').unwrap();
            let returns = returns.trim().strip_prefix("-> ").map_or("void".to_owned(), rust_type);
            let mut types = vec![returns];
            types.extend(
                parameters
                    .split(',')
                    .map(str::trim)
                    .filter(|one| !one.is_empty())
                    .map(|one| rust_type(one.split_once(": ").unwrap().1)),
            );
            functions.insert(name.to_owned(), types);
        }
    }
    functions
}

fn rust_type(text: &str) -> String {
    if let Some(to) = text.strip_prefix("*mut ") {
        return rust_type(to) + "*";
    }
    if let Some(to) = text.strip_prefix("*const ") {
        return format!("const{}*", rust_type(to));
    }
    let text = text.strip_prefix("Option<").and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    match text {
        "i32" => "int32_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "u8" => "uint8_t",
        "usize" => "size_t",
        "c_char" => "char",
        "c_void" => "void",
        "Bytes" => "assay_bytes",
        "AssayBuilder" => "assay_builder",
        "AssayClient" => "assay_client",
        "AssayOutcome" => "assay_outcome",
        "AssayRequest" => "assay_request",
        "PublicKeyFn" => "assay_public_key_fn",
        "SignFn" => "assay_sign_fn",
        "ReleaseFn" => "assay_release_fn",
        "AvailableFn" => "assay_available_fn",
        "EvidenceFn" => "assay_evidence_fn",
        "FetchedFn" => "assay_fetched_fn",
        other => panic!("a type that C does not know: {other}"),
    }
    .to_owned()
}

/// The numbers of the header's enums.
pub(crate) fn constants() -> BTreeMap<String, i32> {
    let bare = bare_header();
    let enums = bare.split("enum {").skip(1).map(|rest| rest.split_once('}').unwrap().0);
    enums
        .flat_map(|one| one.split(','))
        .map(|one| one.split_once('=').unwrap())
        .map(|(name, number)| (name.trim().to_owned(), number.trim().parse().unwrap()))
        .collect()
}

#[test]
fn every_function_is_declared_as_it_is_made() {
    let (declared, exported) = (declared(), exported());
    assert!(declared.len() > 25, "{declared:?}");
    assert_eq!(declared, exported);
}

#[test]
fn every_number_is_the_librarys() {
    let constants = constants();
    for code in Code::ALL {
        // SAFETY: text that is for ever.
        let name = unsafe { std::ffi::CStr::from_ptr(assay_sdk::about::assay_code_name(code.number())) };
        assert_eq!(constants[&format!("ASSAY_{}", name.to_str().unwrap())], code.number());
    }
    let statuses = constants.iter().filter(|(name, _)| name.starts_with("ASSAY_STATUS_"));
    for (name, number) in statuses.clone() {
        // SAFETY: as above.
        let word = unsafe { std::ffi::CStr::from_ptr(assay_sdk::about::assay_status_name(*number)) };
        assert_eq!(name.strip_prefix("ASSAY_STATUS_"), Some(word.to_str().unwrap()));
    }
    assert_eq!(statuses.count(), 9);
    assert_eq!(constants["ASSAY_STATUS_NO_NETWORK"], 1);
    assert_eq!(Status::NoNetwork.as_str(), "NO_NETWORK");
    let version = HEADER.split_once("#define ASSAY_ABI_VERSION ").unwrap().1.lines().next().unwrap();
    assert_eq!(version.parse(), Ok(assay_sdk::about::assay_abi_version()));
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else_of_its_name() {
    if !has("nm") {
        return;
    }
    let output = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library_folder().join("libassay_sdk.so")));
    let symbols = String::from_utf8(output.stdout).unwrap();
    let found: Vec<_> =
        symbols.lines().filter_map(|line| line.rsplit(' ').next()).filter(|name| name.starts_with("assay_")).collect();
    let mut found: Vec<String> = found.into_iter().map(str::to_owned).collect();
    found.sort();
    assert_eq!(found, declared().into_keys().collect::<Vec<_>>());
}

#[test]
fn the_header_is_c99_and_cpp() {
    let folder = tempfile::tempdir().unwrap();
    for (compiler, standard, name) in [("cc", "-std=c99", "h.c"), ("c++", "-std=c++11", "h.cpp")] {
        if !has(compiler) {
            continue;
        }
        let source = folder.path().join(name);
        std::fs::write(&source, "#include \"assay.h\"\n#include \"assay.h\"\nint main(void) { return ASSAY_OK; }\n")
            .unwrap();
        run(Command::new(compiler)
            .args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"])
            .arg(header_folder())
            .arg(source));
    }
}
