//! The JNI glue and the Java of `examples/sdk/kotlin`, compiled and run against a Verifier; with OkHttp in front of a
//! gateway where its jar is.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use attest_core::evidence_kind::EvidenceKind;
use attest_core::verdict::Verdict;

use crate::native::{has, header_folder, library_folder, root, run};
use crate::verifier::Verifier;

const OKHTTP: [&str; 2] = ["/usr/share/java/okhttp.jar", "/usr/share/java/okio.jar"];

/// The JDK of the `javac` on the path; says so where there is none.
fn jdk() -> Option<PathBuf> {
    let found = ["/usr/bin/javac", "/usr/local/bin/javac"].iter().find_map(|path| std::fs::canonicalize(path).ok());
    let home = found.and_then(|javac| Some(javac.parent()?.parent()?.to_owned()));
    let home = home.filter(|home| home.join("include/jni.h").is_file() && has("cc"));
    if home.is_none() {
        eprintln!("skipped: no JDK with jni.h here");
    }
    home
}

/// Compiles the glue, the wrapper and `program` into `folder`; the folder is the class path and the library path.
fn build(jdk: &Path, folder: &Path, program: &str, with_okhttp: bool) {
    let library = library_folder();
    run(Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"])
        .arg("-I")
        .arg(jdk.join("include"))
        .arg("-I")
        .arg(jdk.join("include/linux"))
        .arg("-I")
        .arg(header_folder())
        .args(["assay_jni.c", "callbacks.c"].map(|name| root().join("examples/sdk/kotlin/jni").join(name)))
        .arg("-o")
        .arg(folder.join("libassay_jni.so"))
        .arg("-L")
        .arg(&library)
        .arg("-lassay_sdk")
        .arg(format!("-Wl,-rpath,{}", library.display())));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/dev/assay/sdk");
    let wrapper = root().join("examples/sdk/kotlin/src/dev/assay/sdk");
    let sources = std::fs::read_dir(wrapper).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".java") && (with_okhttp || name != "AssayInterceptor.java")
    });
    // A jar that isn't there is a warning, and so is release 8 to newer compilers: neither is about this code.
    let class_path = if with_okhttp { OKHTTP.join(":") } else { folder.display().to_string() };
    run(Command::new(jdk.join("bin/javac"))
        .args(["-Xlint:all,-options", "-Werror", "--release", "8", "-encoding", "UTF-8", "-cp", &class_path, "-d"])
        .arg(folder)
        .args(sources)
        .arg(tests.join("TryTokens.java"))
        .args((program != "TryTokens").then(|| tests.join(format!("{program}.java")))));
}

fn java(jdk: &Path, folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = run(Command::new(jdk.join("bin/java"))
        .args(["-Xcheck:jni", "-Dfile.encoding=UTF-8"])
        .arg(format!("-Djava.library.path={}", folder.display()))
        .arg("-cp")
        .arg(format!("{}:{}", folder.display(), OKHTTP.join(":")))
        .arg(format!("dev.assay.sdk.{program}"))
        .args(arguments));
    let text = String::from_utf8(output.stdout).unwrap();
    // -Xcheck:jni tells its complaints on standard output.
    assert!(!text.contains("WARNING in native method") && !text.contains("FATAL ERROR"), "{text}");
    text
}

fn value<'a>(output: &'a str, name: &str) -> &'a str {
    output
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name} in {output}"))
}

#[test]
fn java_gets_tokens_that_verify_and_exceptions_with_a_status() {
    let Some(jdk) = jdk() else { return };
    let folder = tempfile::tempdir().unwrap();
    build(&jdk, folder.path(), "TryTokens", false);
    // The program that runs is the `java` launcher, so that is what is measured and registered.
    let verifier = Verifier::start(&[&jdk.join("bin/java")]);
    let storage = folder.path().join("storage");
    let output = java(&jdk, folder.path(), "TryTokens", &[&verifier.url, storage.to_str().unwrap()]);
    assert_eq!(value(&output, "status"), "SUCCESS");
    for name in ["token", "renewed", "hardware"] {
        assert_eq!(verifier.verdict(value(&output, name), None), Verdict::Attested, "{name}");
    }
    assert_eq!(verifier.verdict(value(&output, "bound"), Some("Bearer älice".as_bytes())), Verdict::Attested);
    assert_eq!(verifier.verdict(value(&output, "bound"), Some(b"Bearer bob")), Verdict::BindingMismatch);
    assert_eq!(value(&output, "reaction"), "RETRY");
    assert_eq!(value(&output, "wait"), "WAIT true");
    assert_eq!(value(&output, "nothing"), "DELIVER");
    assert_eq!(value(&output, "signature"), "64 null");
    assert_eq!(value(&output, "invalidated"), "true");
    assert_eq!(value(&output, "key that throws"), "INTERNAL_ERROR true");
    assert_eq!(value(&output, "platform that throws"), "INTERNAL_ERROR true");
    assert_eq!(value(&output, "label"), "true", "it is handed on");
    assert_eq!(value(&output, "far"), "true");
    assert_eq!(value(&output, "closed"), "closed");
    let request = verifier.last_request();
    let transcript = request.transcript(crate::verifier::KEY_SET);
    assert_eq!(request.evidence(EvidenceKind::PlayIntegrity), Some(&transcript.as_bytes()[..]));
    assert_eq!(request.evidence(EvidenceKind::AndroidKey), None, "not available");
}

/// What a gateway was sent: path, and the token where there was one.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A gateway that wants another token, is busy, or refuses, by path, once each.
fn gateway() -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let recorded = Arc::clone(&seen);
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut lines = BufReader::new(&socket).lines().map_while(Result::ok);
            let Some(path) = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)) else { continue };
            let headers: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let token = headers.iter().find_map(|line| line.strip_prefix("Assay-Token: ")).map(str::to_owned);
            let again = recorded.lock().unwrap().iter().any(|(before, _)| *before == path);
            recorded.lock().unwrap().push((path.clone(), token));
            let (status, code) = match (path.as_str(), again) {
                ("/wanted", false) => (401, "attestation_required"),
                ("/busy", false) => (503, "overloaded"),
                ("/refused", _) => (403, "refused"),
                _ => (200, "fine"),
            };
            let body = format!(r#"{{"code":"{code}"}}"#);
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nretry-after: 0\r\n", body.len());
            let _ = (&socket).write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes());
        }
    });
    (url, seen)
}

#[test]
fn okhttp_stamps_every_request_and_follows_the_answers() {
    let Some(jdk) = jdk() else { return };
    if !OKHTTP.iter().all(|jar| Path::new(jar).is_file()) {
        eprintln!("skipped: no okhttp.jar here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    build(&jdk, folder.path(), "TryOkHttp", true);
    let verifier = Verifier::start(&[&jdk.join("bin/java")]);
    let (gateway, seen) = gateway();
    let storage = folder.path().join("storage");
    let output = java(&jdk, folder.path(), "TryOkHttp", &[&verifier.url, storage.to_str().unwrap(), &gateway]);
    assert_eq!(value(&output, "/wanted"), r#"200 {"code":"fine"}"#);
    assert_eq!(value(&output, "/busy"), r#"200 {"code":"fine"}"#);
    assert_eq!(value(&output, "/refused"), r#"403 {"code":"refused"}"#, "delivered, its body unread");
    assert_eq!(value(&output, "/after"), r#"200 {"code":"fine"}"#);
    assert_eq!(value(&output, "/elsewhere"), "200");

    let seen = seen.lock().unwrap();
    let paths: Vec<_> = seen.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/wanted", "/wanted", "/busy", "/busy", "/refused", "/after", "/elsewhere"]);
    let token = |at: usize| seen[at].1.as_deref().unwrap();
    assert_ne!(token(0), token(1), "a new token was wanted");
    assert!((2..5).all(|at| token(at) == token(1)), "a busy gateway has nothing against the token");
    assert_ne!(token(4), token(5), "a refused token is not sent again");
    assert_eq!(verifier.verdict(token(5), Some(b"Bearer alice")), Verdict::Attested);
    assert_eq!(seen[6].1, None, "no other host sees a token");
}
