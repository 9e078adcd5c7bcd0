//! Vendors' own Python libraries, unmodified, in front of a gateway: its URL as base URL, the attestation token as "api key".
//!
//! Each script runs twice: against the vendor's server with the real key, which shows that script and server understand one
//! another; then through the gateway with a token, which has to look the same. The libraries are installed once, into
//! `target/tmp`, in the versions of `vendor_sdks/requirements.txt`. Where that can't be done the tests say so in one line
//! and pass; with `ASSAY_REQUIRE_VENDOR_SDKS` set they fail.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use e2e::command::run;
use e2e::programs;
use e2e::vendors::{PresetHouse, Upstream};
use serde_json::{Value, json};
use test_servers::vendor::{Fault, Vendor, anthropic, openai, s3, sigv4, stripe};

const SESSION: &str = "not-a-real-session-token";
const KEY: &str = "sk-not-a-real-key-7d1f0b2c9a4e";

fn folder() -> PathBuf {
    programs::root().join("tests/e2e/vendor_sdks")
}

/// The interpreter that has the libraries; nothing where they can't be had.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        installed()
            .inspect_err(|why| {
                assert!(std::env::var_os("ASSAY_REQUIRE_VENDOR_SDKS").is_none(), "vendors' libraries: {why}");
                // Straight to stderr: the harness hides what `eprintln!` prints in a test that passes.
                let _ = writeln!(std::io::stderr(), "skipped: vendors' Python libraries can't be installed: {why}");
            })
            .ok()
    });
    found.as_deref()
}

/// A virtual environment for exactly these versions, made beside its place and moved there whole.
fn installed() -> Result<PathBuf, String> {
    let requirements = folder().join("requirements.txt");
    let text = std::fs::read(&requirements).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    let name = format!("vendor-sdks-{}", &data_encoding::HEXLOWER.encode(digest.as_ref())[..16]);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    if !place.join("bin/python").exists() {
        let beside = place.with_file_name(format!("{name}.{}", std::process::id()));
        let made = make(&beside, &requirements);
        // Another run may have been faster.
        let moved = made.and_then(|()| match std::fs::rename(&beside, &place) {
            Err(error) if !place.exists() => Err(error.to_string()),
            _ => Ok(()),
        });
        let _ = std::fs::remove_dir_all(&beside);
        moved?;
    }
    Ok(place.join("bin/python"))
}

fn make(place: &Path, requirements: &Path) -> Result<(), String> {
    let step = |command: &mut Command| {
        let ran = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let said = String::from_utf8_lossy(&ran.stderr);
        let last = said.trim_end().lines().last().unwrap_or_default().to_owned();
        if ran.status.success() { Ok(()) } else { Err(last) }
    };
    step(Command::new("python3").args(["-m", "venv"]).arg(place))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--timeout", "20", "--retries", "1"];
    step(Command::new(place.join("bin/python")).args(pip).arg("--requirement").arg(requirements))
}

/// Runs steps of a script; what came of each.
fn steps(python: &Path, script: &str, environment: &[(&str, &str)], steps: &[&str]) -> Value {
    let mut command = Command::new(python);
    // Nothing of the developer's own, no proxy and no credentials.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("AWS_EC2_METADATA_DISABLED", "true");
    command.envs(environment.iter().copied()).arg("-I").arg(folder().join(script)).args(steps);
    let ran = run(&mut command, b"").ends(0);
    ran.json()
}

/// The same steps at the vendor's server with its key, and through the gateway with a token.
fn both(
    (python, script): (&Path, &str),
    vendor: &Vendor,
    house: &PresetHouse,
    token: &str,
    chosen: &[&str],
) -> (Value, Value) {
    let direct = steps(python, script, &[("BASE_URL", &vendor.url()), ("API_KEY", KEY)], chosen);
    (direct, steps(python, script, &[("BASE_URL", &house.url()), ("API_KEY", token)], chosen))
}

/// Nothing of the client's credential went to the vendor, and the vendor's key did not come back.
fn nothing_crossed(vendor: &Vendor, house: &PresetHouse, token: &str, answers: &Value) {
    assert!(!answers.to_string().contains(KEY), "{answers}");
    assert!(!house.house.gateway.out().text().contains(KEY));
    for call in vendor.calls() {
        assert!(!call.contains(token), "{} {}: the token went upstream", call.method, call.target);
    }
}

#[test]
fn openai_s_library_streams_uploads_and_retries() {
    let Some(python) = python() else { return };
    let vendor = openai::start(KEY);
    let house = PresetHouse::start(&Upstream {
        operations: "[{ use: chat, body: { one_of: { /model: [gpt-4o-mini] } } }, responses, embeddings, transcriptions]",
        from: "[Assay-Token, bearer]",
        ..Upstream::new("openai", &vendor.url(), KEY)
    });
    let (token, url) = (house.house.token(), house.url());
    let environment = [("BASE_URL", url.as_str()), ("API_KEY", token.as_str())];
    let chosen = ["chat", "stream", "responses", "embeddings", "upload"];
    let (direct, through) = both((python, "use_openai.py"), &vendor, &house, &token, &chosen);
    for step in ["chat", "responses", "embeddings"] {
        assert_eq!(through[step], direct[step], "{step}: {through}");
    }
    assert_eq!(through["chat"], json!({ "text": openai::ANSWER.concat(), "tokens": openai::CHAT_TOKENS }));
    // The client never asked for usage: the vendor leaves it out, the gateway has it told.
    assert_eq!(
        (&direct["stream"]["tokens"], &through["stream"]["tokens"]),
        (&Value::Null, &json!(openai::CHAT_TOKENS))
    );
    assert_eq!(through["stream"]["text"], openai::ANSWER.concat());
    assert_eq!(through["stream"]["pieces"], openai::ANSWER.len());
    let size = |answer: &Value| answer["upload"]["text"].as_str().and_then(|said| said.split(' ').nth(1)?.parse().ok());
    assert!(size(&through).is_some_and(|bytes: usize| bytes > 2_000_000), "{through}");
    nothing_crossed(&vendor, &house, &token, &through);

    vendor.fail_next([Fault::Status(503)]);
    assert_eq!(steps(python, "use_openai.py", &environment, &["chat"])["chat"], direct["chat"], "a retry");
    vendor.fail_next([Fault::Silence]);
    let late = steps(python, "use_openai.py", &environment, &["timeout", "chat"]);
    assert_eq!((&late["timeout"]["raised"], &late["chat"]), (&json!("APITimeoutError"), &direct["chat"]));
    let shut = steps(python, "use_openai.py", &environment, &["files", "dearest"]);
    assert_eq!(shut["files"]["status"], 404, "{shut}");
    assert_eq!(shut["dearest"]["status"], 400, "{shut}");
    let stranger = steps(python, "use_openai.py", &[("BASE_URL", &url), ("API_KEY", "sk-stolen")], &["chat"]);
    assert_eq!(stranger["chat"]["status"], 403, "{stranger}");
}

#[test]
fn anthropic_s_library_streams_and_retries() {
    let Some(python) = python() else { return };
    let vendor = anthropic::start(KEY);
    let house = PresetHouse::start(&Upstream {
        operations: "[messages, count_tokens]",
        from: "[Assay-Token, bearer, x-api-key]",
        ..Upstream::new("anthropic", &vendor.url(), KEY)
    });
    let (token, url) = (house.house.token(), house.url());
    let environment = [("BASE_URL", url.as_str()), ("API_KEY", token.as_str())];
    let (direct, through) =
        both((python, "use_anthropic.py"), &vendor, &house, &token, &["message", "stream", "count"]);
    assert_eq!(through, direct);
    assert_eq!(through["stream"]["text"], anthropic::ANSWER.concat());
    assert_eq!(through["stream"]["tokens"], anthropic::TOKENS);
    nothing_crossed(&vendor, &house, &token, &through);

    vendor.fail_next([Fault::Status(529)]);
    assert_eq!(steps(python, "use_anthropic.py", &environment, &["message"])["message"], direct["message"], "a retry");
    vendor.fail_next([Fault::Silence]);
    let late = steps(python, "use_anthropic.py", &environment, &["timeout", "message"]);
    assert_eq!((&late["timeout"]["raised"], &late["message"]), (&json!("APITimeoutError"), &direct["message"]));
    let shut = steps(python, "use_anthropic.py", &environment, &["tools"]);
    assert_eq!(shut["tools"]["status"], 400, "searches are billed: {shut}");
}

#[test]
fn stripe_s_library_uploads_and_retries_without_paying_twice() {
    let Some(python) = python() else { return };
    let vendor = stripe::start(KEY);
    let upload = "{ call: POST /v1/files, headers: [Idempotency-Key, Stripe-Version], body: { limit: 1MiB } }";
    let house = PresetHouse::start(&Upstream {
        operations: &format!("[create_payment_intent, {upload}]"),
        from: "[Assay-Token, bearer]",
        paths: &["/v1/payment_intents", "/v1/files"],
        ..Upstream::new("stripe", &vendor.url(), KEY)
    });
    let (token, url) = (house.house.token(), house.url());
    let environment = [("BASE_URL", url.as_str()), ("API_KEY", token.as_str())];
    let (direct, through) = both((python, "use_stripe.py"), &vendor, &house, &token, &["pay", "twice"]);
    assert_eq!(through, direct);
    assert_eq!(through["twice"]["same"], true);
    let paper = steps(python, "use_stripe.py", &environment, &["upload"]);
    assert!(paper["upload"]["size"].as_u64().is_some_and(|size| size > 200_000), "{paper}");
    nothing_crossed(&vendor, &house, &token, &through);

    let before = vendor.calls().len();
    vendor.fail_next([Fault::Status(503)]);
    assert_eq!(steps(python, "use_stripe.py", &environment, &["pay"])["pay"], direct["pay"], "a retry");
    let calls = vendor.calls();
    let keys: Vec<_> = calls[before..].iter().map(|call| call.header("idempotency-key")).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys[0].is_some() && keys[0] == keys[1], "the second try is the same payment: {keys:?}");
    vendor.fail_next([Fault::Silence]);
    let late = steps(python, "use_stripe.py", &environment, &["timeout", "pay"]);
    assert_eq!((&late["timeout"]["raised"], &late["pay"]), (&json!("APIConnectionError"), &direct["pay"]));

    let shut = steps(python, "use_stripe.py", &environment, &["refund", "customer", "for_another"]);
    assert_eq!((&shut["refund"]["status"], &shut["customer"]["status"]), (&json!(404), &json!(400)), "{shut}");
    // The merchant's header goes no further than the gateway: the payment is ours.
    assert!(shut["for_another"]["id"].as_str().is_some_and(|id| id.starts_with("pi_")), "{shut}");
}

#[test]
fn boto3_puts_streams_and_uploads_in_parts() {
    let Some(python) = python() else { return };
    let issued = sigv4::Issued {
        id: "AKIANOTAREALKEY00001".to_owned(),
        secret: KEY.to_owned(),
        session: Some(SESSION.to_owned()),
    };
    let secret = format!("{}:{}:{}", issued.id, issued.secret, SESSION);
    let vendor = s3::start(issued.clone(), "eu-central-1");
    let house = PresetHouse::start(&Upstream {
        operations: "[get_object, head_object, put_object, multipart_upload, list_objects]",
        from: "[X-Amz-Security-Token]",
        set: &[("bucket", "my-bucket"), ("region", "eu-central-1")],
        at: "/",
        ..Upstream::new("aws-s3", &vendor.url(), &secret)
    });
    let chosen = ["put", "stream", "upload", "list"];
    let direct = steps(
        python,
        "use_s3.py",
        &[("BASE_URL", &vendor.url()), ("KEY_ID", &issued.id), ("KEY_SECRET", KEY), ("API_KEY", SESSION)],
        &chosen,
    );
    let (token, url) = (house.house.token(), house.url());
    let environment = [("BASE_URL", url.as_str()), ("API_KEY", token.as_str())];
    let through = steps(python, "use_s3.py", &environment, &chosen);
    assert_eq!(through, direct);
    assert_eq!(through["upload"], json!({ "same": true, "bytes": 12 << 20 }));
    nothing_crossed(&vendor, &house, &token, &through);

    vendor.fail_next([Fault::Status(503)]);
    assert_eq!(steps(python, "use_s3.py", &environment, &["put"])["put"], direct["put"], "a retry is signed again");
    vendor.fail_next([Fault::Silence]);
    let late = steps(python, "use_s3.py", &environment, &["timeout", "put"]);
    assert_eq!((&late["timeout"]["raised"], &late["put"]), (&json!("ReadTimeoutError"), &direct["put"]));
    let shut = steps(python, "use_s3.py", &environment, &["acl", "other_bucket", "public"]);
    assert_eq!((&shut["acl"]["status"], &shut["other_bucket"]["status"]), (&json!(400), &json!(404)), "{shut}");
    // The object is put, and nobody else may read it: the header goes no further than the gateway.
    assert_eq!(shut["public"]["put"], true);
    assert!(vendor.calls().iter().all(|call| call.header("x-amz-acl").is_none()));
}
