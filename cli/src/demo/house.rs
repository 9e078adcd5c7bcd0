//! The house of the story: a temporary folder, the programs in it, and the files an operator would have written.
//!
//! In: where the programs are. Out: a running attestation service, gateway and paid API on loopback, on ports that the
//! system chose, a registered app and a sealed key. Everything is done with the commands an operator has.

mod yaml;

pub(super) use yaml::gateway_yaml;

use super::process::Program;
use super::{Trouble, tamper};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use yaml::service_yaml;

/// Tokens of the demo live this long, so that the story can outlive one.
pub(super) const TOKEN_SECONDS: u64 = 6;

/// Clocks may differ by this much; they are one clock here.
pub(super) const LEEWAY_SECONDS: u64 = 1;

/// The published Approov dummy secret (TESTING.md of its quickstarts), base64.
pub(super) const APPROOV_SECRET: &str =
    "h+CX0tOzdAAR9l15bWAqvq7w9olk66daIH+Xk+IAHhVVHszjDzeGobzNnqyRze3lw/WVyWrc2gZfh3XXfBOmww==";

/// Everything that runs, and where.
pub(super) struct House {
    folder: tempfile::TempDir,
    assay: PathBuf,
    app: PathBuf,
    /// The paid API's key: what must never be seen outside of it.
    pub(super) key: String,
    /// The gateway's public and admin listeners.
    pub(super) public: String,
    pub(super) admin: String,
    /// Base URL of the attestation service.
    pub(super) service_url: String,
    pub(super) gateway: Program,
    service: Option<Program>,
    _api: Program,
}

/// What the app said of one run.
#[derive(Debug, Default)]
pub(super) struct AppRun {
    /// The token it was given, when it was asked to show it.
    pub(super) token: Option<String>,
    /// Status and body of each call.
    pub(super) calls: Vec<(u16, Value)>,
    /// Everything it printed, to be searched for what must not be there.
    pub(super) said: String,
}

impl House {
    /// Builds the house and starts everything in it.
    pub(super) fn build() -> Result<Self, Trouble> {
        let assay = std::env::current_exe().map_err(|e| Trouble::new(format!("where am I: {e}")))?;
        let beside = |name: &str| {
            let path = assay.with_file_name(name);
            path.is_file().then_some(path.clone()).ok_or_else(|| {
                Trouble::new(format!(
                    "{} is missing: the demo needs the sample programs beside assay; `make demo` builds them",
                    path.display()
                ))
            })
        };
        let (app, api_program) = (beside("assay-sample-app")?, beside("assay-sample-api")?);
        let folder = tempfile::Builder::new()
            .prefix("assay-demo-")
            .tempdir()
            .map_err(|e| Trouble::new(format!("a temporary folder: {e}")))?;
        let at = |name: &str| folder.path().join(name);

        let key = format!("sk_demo_{}", random_text()?);
        private_file(&at("api.key"), &key)?;
        let api_process = Program::start(
            "the paid API",
            Command::new(&api_program).args(["--listen", "127.0.0.1:0", "--key-file"]).arg(at("api.key")),
        )?;
        let api =
            api_process.expect("where it listens", |line| Some(json(line)?.get("listening")?.as_str()?.to_owned()))?;

        for name in ["service-unlock.key", "keys-unlock.key"] {
            keystore::MasterKey::create_file(&at(name), &attest_core::random::SystemRandom)
                .map_err(|e| Trouble::new(format!("{name}: {e}")))?;
        }
        private_file(&at("gateway.token"), &random_text()?)?;
        private_file(&at("approov.secret"), APPROOV_SECRET)?;
        write(&at("service.yaml"), &service_yaml(0))?;
        // Registered before the first start, so that the story need not wait until a running service looks again.
        let register = ["app", "register"];
        run(&assay, &register, &[&app], &["--name", "shop", "--version", "1.0", "-c"], &at("service.yaml"), None)?;
        let (service, address) = start_service(&assay, &at("service.yaml"))?;
        // From now on the same port, so that the service can come back where apps and gateway look for it.
        write(&at("service.yaml"), &service_yaml(port_of(&address)?))?;
        let service_url = format!("http://{address}/assay/v1");

        let template =
            ["--header", "x-api-key", "--template", "{key}", "--method", "GET", "--method", "POST", "--path", "/v1/**"];
        let origin = format!("http://{api}");
        let mut put = vec!["key", "put", "paid-api", "--to", &origin];
        put.extend(template);
        write(&at("gateway.yaml"), &gateway_yaml(&api, &service_url))?;
        run(&assay, &put, &[], &["-c"], &at("gateway.yaml"), Some(&key))?;

        let gateway = Program::start(
            "the gateway",
            Command::new(&assay).args(["--json", "gateway", "-c"]).arg(at("gateway.yaml")),
        )?;
        let started = gateway.expect("where it listens", |line| json(line)?.get("listening").cloned())?;
        let listener = |name: &str| {
            started
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| Trouble::new(format!("the gateway did not say its {name} address")))
        };
        Ok(Self {
            public: listener("public")?,
            admin: listener("admin")?,
            folder,
            assay,
            app,
            key,
            service_url,
            gateway,
            service: Some(service),
            _api: api_process,
        })
    }

    /// The gateway's public URL of `path`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    /// The app's file.
    pub(super) fn app(&self) -> &Path {
        &self.app
    }

    /// A file of the house.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs an app executable: it measures itself, attests, calls. `before` gets its process id before it measures.
    pub(super) fn run_app(
        &self,
        executable: &Path,
        calls: &[&str],
        before: Option<&dyn Fn(u32) -> Result<(), Trouble>>,
    ) -> Result<AppRun, Trouble> {
        let mut command = Command::new(executable);
        command.args([
            "--service",
            &self.service_url,
            "--app",
            "shop",
            "--app-version",
            "1.0",
            "--show-token",
            "--json",
        ]);
        for path in calls {
            command.args(["--call", &self.url(path)]);
        }
        if before.is_some() {
            command.arg("--wait");
        }
        let mut program = Program::start("the sample app", &mut command)?;
        if let Some(before) = before {
            program.expect("that it is ready", |line| json(line)?.get("ready").map(|_| ()))?;
            before(program.id())?;
            program.tell("go")?;
        }
        let (_, lines) = program.finish()?;
        let mut ran = AppRun { said: lines.join("\n"), ..AppRun::default() };
        for said in lines.iter().filter_map(|line| json(line)) {
            if let Some(token) = said.get("token").and_then(Value::as_str) {
                ran.token = Some(token.to_owned());
            }
            if let Some(status) = said.get("status").and_then(Value::as_u64) {
                let body = said.get("body").and_then(Value::as_str).and_then(json).unwrap_or(Value::Null);
                ran.calls.push((u16::try_from(status).unwrap_or(0), body));
            }
        }
        Ok(ran)
    }

    /// A token for the genuine app.
    pub(super) fn genuine_token(&self) -> Result<String, Trouble> {
        self.run_app(&self.app, &[], None)?.token.ok_or_else(|| Trouble::new("the genuine app got no token"))
    }

    /// The genuine executable, with a breakpoint set in its running image before it measures.
    pub(super) fn run_app_with_breakpoint(&self, calls: &[&str]) -> Result<AppRun, Trouble> {
        self.run_app(&self.app, calls, Some(&|pid| tamper::set_breakpoint(&self.app, pid).map(|_| ())))
    }

    /// Ends the attestation service, as a crash would.
    pub(super) fn stop_service(&mut self) {
        if let Some(service) = self.service.take() {
            service.kill();
        }
    }

    /// Starts the attestation service again, where it was.
    pub(super) fn start_service(&mut self) -> Result<(), Trouble> {
        let (service, _) = start_service(&self.assay, &self.file("service.yaml"))?;
        self.service = Some(service);
        Ok(())
    }

    /// One command of ours about the service, to its end; what it answers.
    pub(super) fn command(&self, words: &[&str]) -> Result<Value, Trouble> {
        let words: Vec<_> = std::iter::once("--json").chain(words.iter().copied()).collect();
        let said = run(&self.assay, &words, &[], &["-c"], &self.file("service.yaml"), None)?;
        json(&said).ok_or_else(|| Trouble::new(format!("assay {} did not answer", words.join(" "))))
    }

    /// What the service found, from the support code in a token.
    pub(super) fn open_arc(&self, token: &str) -> Result<String, Trouble> {
        let claims = token.split('.').nth(1).and_then(|part| attest_core::b64u::decode(part.as_bytes(), 8192).ok());
        let claims: Option<Value> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let code = claims
            .as_ref()
            .and_then(|c| c.get("arc"))
            .and_then(Value::as_str)
            .ok_or_else(|| Trouble::new("the token has no support code"))?;
        let said =
            run(&self.assay, &["--json", "arc", "decode", code], &[], &["-c"], &self.file("service.yaml"), None)?;
        let reasons =
            json(&said).and_then(|v| v.get("reasons").cloned()).and_then(|r| r.as_array().cloned()).unwrap_or_default();
        let reasons: Vec<_> = reasons.iter().filter_map(Value::as_str).map(|r| r.replace('_', " ")).collect();
        Ok(if reasons.is_empty() { "nothing wrong".to_owned() } else { reasons.join(", ") })
    }
}

fn start_service(assay: &Path, config: &Path) -> Result<(Program, String), Trouble> {
    let service =
        Program::start("the attestation service", Command::new(assay).args(["--json", "service", "-c"]).arg(config))?;
    let address = service
        .expect("where it listens", |line| Some(json(line)?.get("listening")?.get("service")?.as_str()?.to_owned()))?;
    Ok((service, address))
}

/// Runs one command of ours to its end and gives its stdout.
fn run(
    assay: &Path,
    words: &[&str],
    files: &[&Path],
    more: &[&str],
    config: &Path,
    input: Option<&str>,
) -> Result<String, Trouble> {
    use std::io::Write;
    let mut command = Command::new(assay);
    command.args(words).args(files).args(more).arg(config);
    command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let what = format!("assay {}", words.join(" "));
    let mut child = command.spawn().map_err(|e| Trouble::new(format!("{what}: {e}")))?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), input) {
        pipe.write_all(text.as_bytes()).map_err(|e| Trouble::new(format!("{what}: {e}")))?;
    }
    let done = child.wait_with_output().map_err(|e| Trouble::new(format!("{what}: {e}")))?;
    if !done.status.success() {
        return Err(Trouble::new(format!("{what} failed: {}", String::from_utf8_lossy(&done.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// One JSON document, or none.
pub(super) fn json(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

fn port_of(address: &str) -> Result<u16, Trouble> {
    address
        .rsplit(':')
        .next()
        .and_then(|p| p.parse().ok())
        .ok_or_else(|| Trouble::new(format!("{address} has no port")))
}

fn random_text() -> Result<String, Trouble> {
    use attest_core::random::Random;
    let mut bytes = [0u8; 24];
    attest_core::random::SystemRandom.fill(&mut bytes).map_err(|e| Trouble::new(e.to_string()))?;
    Ok(attest_core::b64u::encode(&bytes))
}

fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    std::fs::write(path, text).map_err(|e| Trouble::new(format!("{}: {e}", path.display())))
}

fn private_file(path: &Path, text: &str) -> Result<(), Trouble> {
    crate::commands::init::write_private(path, text.as_bytes())
        .map_err(|e| Trouble::new(format!("{}: {e}", path.display())))
}
