//! The wrappers in `examples/sdk`: every name of the ABI that they use is in the header and in the library, and each
//! number they copy from it is the header's. What no compiler here reads is held at least to that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::header::{constants, declared};
use crate::native::{has, library_folder, root, run};

/// The files under `folder` with one of these extensions.
fn files(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extensions, found);
        } else if path.extension().is_some_and(|extension| extensions.contains(&extension.to_str().unwrap())) {
            found.push(path);
        }
    }
}

/// Every word that begins with `start`, in the files of a wrapper.
fn words(wrapper: &str, start: &str) -> BTreeSet<String> {
    let mut found = Vec::new();
    files(&root().join("examples/sdk").join(wrapper), &["c", "swift", "dart", "kt", "java"], &mut found);
    assert!(!found.is_empty(), "{wrapper}");
    let mut words = BTreeSet::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let all = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.extend(all.filter(|word| word.starts_with(start)).map(str::to_owned));
    }
    words
}

/// Types and files that begin like functions.
const OTHERS: [&str; 9] = [
    "assay_builder",
    "assay_bytes",
    "assay_client",
    "assay_code",
    "assay_jni",
    "assay_outcome",
    "assay_reaction",
    "assay_request",
    "assay_sdk",
];

#[test]
fn every_function_that_a_wrapper_names_is_in_the_header_and_in_the_library() {
    let declared = declared();
    let exported = has("nm").then(|| {
        let library = library_folder().join("libassay_sdk.so");
        String::from_utf8(run(Command::new("nm").args(["-D", "--defined-only"]).arg(library)).stdout).unwrap()
    });
    for wrapper in ["c", "kotlin", "swift", "dart"] {
        let mut functions = 0;
        for word in words(wrapper, "assay_").iter().filter(|word| !OTHERS.contains(&word.as_str())) {
            // A Dart file's own name, in an import; the glue's own functions.
            if (wrapper == "dart" && word == "assay_http_client")
                || (wrapper == "kotlin" && word.starts_with("assay_jni_"))
            {
                continue;
            }
            assert!(declared.contains_key(word), "{wrapper}: {word} is not in assay.h");
            if let Some(exported) = &exported {
                assert!(exported.lines().any(|line| line.ends_with(&format!(" {word}"))), "{wrapper}: {word}");
            }
            functions += 1;
        }
        assert!(functions >= 10, "{wrapper} uses {functions} functions");
    }
}

#[test]
fn every_constant_that_a_wrapper_names_is_in_the_header() {
    let constants = constants();
    for wrapper in ["c", "kotlin", "swift"] {
        for word in words(wrapper, "ASSAY_") {
            assert!(word == "ASSAY_ABI_VERSION" || constants.contains_key(&word), "{wrapper}: {word}");
        }
    }
}

#[test]
fn numbers_that_a_wrapper_copies_are_the_headers() {
    let constants = constants();
    let read = |path: &str| std::fs::read_to_string(root().join("examples/sdk").join(path)).unwrap();
    let java = read("kotlin/src/dev/assay/sdk/AppEvidence.java");
    for (name, number) in
        constants.iter().filter_map(|(name, number)| Some((name.strip_prefix("ASSAY_EVIDENCE_")?, number)))
    {
        assert!(java.contains(&format!("int {name} = {number};")), "{name}");
    }
    let swift = read("swift/Sources/Assay/AssayPlatform.swift");
    assert!(swift.contains(&format!("case appleAppAttest = {}", constants["ASSAY_EVIDENCE_APPLE_APP_ATTEST"])));
    assert!(swift.contains(&format!("case appleAssertion = {}", constants["ASSAY_EVIDENCE_APPLE_ASSERTION"])));
    // Java and Dart turn a reaction into the enum's entry of that place.
    let order = |deliver: &str, retry: &str, again: &str, wait: &str| {
        let mut names =
            [(constants["ASSAY_REACTION_DELIVER"], deliver), (constants["ASSAY_REACTION_RETRY"], retry)].to_vec();
        names.extend([(constants["ASSAY_REACTION_FETCH_AGAIN"], again), (constants["ASSAY_REACTION_WAIT"], wait)]);
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name.to_owned()).collect::<Vec<_>>().join(", ")
    };
    let client = read("kotlin/src/dev/assay/sdk/AssayClient.java");
    assert!(client.contains(&order("DELIVER", "RETRY", "FETCH_AGAIN", "WAIT")));
    let dart = read("dart/lib/src/assay_client.dart");
    assert!(dart.contains(&format!("enum AssayReaction {{ {} }}", order("deliver", "retry", "fetchAgain", "wait"))));
    assert!(dart.contains(&format!("const _abi = {};", assay_sdk::about::assay_abi_version())));
}

/// The JNI glue has one function for each native method, under the name that the VM looks for.
#[test]
fn every_native_method_has_its_glue() {
    let sdk = root().join("examples/sdk/kotlin");
    let java = std::fs::read_to_string(sdk.join("src/dev/assay/sdk/Native.java")).unwrap();
    let glue = std::fs::read_to_string(sdk.join("jni/assay_jni.c")).unwrap();
    let methods: BTreeSet<_> = java
        .split("static native ")
        .skip(1)
        .map(|rest| rest.split_once('(').unwrap().0.split(' ').next_back().unwrap().to_owned())
        .collect();
    let made: BTreeSet<_> = glue
        .split("\nNATIVE(")
        .skip(1)
        .map(|rest| rest.split_once(", ").unwrap().1.split_once(')').unwrap().0.to_owned())
        .collect();
    assert!(methods.len() > 12);
    assert_eq!(methods, made);
}

/// Kotlin that is more than documentation: compiled where there is a compiler.
#[test]
fn the_kotlin_compiles_against_the_java() {
    if !(has("kotlinc") && has("javac")) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = root().join("examples/sdk/kotlin/src/dev/assay/sdk");
    let java = ["AppEvidence.java", "DeviceKey.java"].map(|name| source.join(name));
    run(Command::new("javac").args(["--release", "8", "-Xlint:-options", "-d"]).arg(folder.path()).args(java));
    run(Command::new("kotlinc")
        .args(["-jvm-target", "1.8", "-Werror", "-cp"])
        .arg(folder.path())
        .arg(source.join("Android.kt"))
        .arg("-d")
        .arg(folder.path()));
}
