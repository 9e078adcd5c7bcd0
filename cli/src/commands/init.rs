//! `assay init`: a commented starter configuration, and keys outside the tree that may go into Git.
//!
//! In: an empty or absent folder. Out: files that `assay run` takes as they are. Nothing is ever overwritten, and what
//! was begun is taken back when a step fails, so that a second try starts from nothing again.

mod paid;

use self::paid::Paid;
use crate::args::Init;
use crate::output::{End, Output, Stop};
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The configuration for a server, and the one for a laptop.
const CONFIG: &str = include_str!("init/assay.yaml");
const CONFIG_DEV: &str = include_str!("init/assay.dev.yaml");
const POLICY: &str = include_str!("init/api.policy.yaml");
const CASES: &str = include_str!("init/api.cases.yaml");
const GITIGNORE: &str =
    "# What a gateway writes, and what must never be in Git.\nstate/\n.*.lock\n.*.tmp\n*.key\n*.token\n";

/// Upstream of the starter file when none is named.
const UPSTREAM: &str = "http://127.0.0.1:8080";

/// Makes the folder.
pub(crate) fn run(args: &Init, output: Output) -> Result<End, Stop> {
    let dir = &args.dir;
    if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(
            Stop::usage(format!("{} is not empty; init never overwrites", dir.display())).hint("name a new folder")
        );
    }
    let upstream = Upstream::parse(args.upstream.as_deref().unwrap_or(UPSTREAM))?;
    let paid = Paid::all(&args.presets, &args.values)?;
    let secrets = secrets_folder(args)?;
    if secrets.exists() {
        return Err(Stop::usage(format!("{} exists already; init never overwrites keys", secrets.display()))
            .hint("name another folder with --secrets"));
    }
    let mut made = Made::default();
    write_all(args, &upstream, &paid, &secrets, &mut made).inspect_err(|_| made.take_back())?;
    let config = dir.join("assay.yaml");
    let mut next: Vec<_> = paid.iter().filter_map(|paid| paid.choice(&config)).collect();
    next.extend(paid.iter().map(|paid| paid.put(&config)));
    next.push(format!("assay run -c {}", config.display()));
    let next = next.join("\n  ");
    let answer = json!({ "dir": dir, "secrets": secrets, "files": made.files, "next": next });
    output.answer(&answer, || {
        let files: Vec<_> = made.files.iter().map(|f| format!("  {}", f.display())).collect();
        format!(
            "Wrote\n{}\nThe folder {} holds the keys: keep it out of Git, and back it up apart from the configuration.\nNext:\n  \
             {next}\n  \
             assay app register FILE --name shop --version V -c {file}\n\
             The policy lets everything through and counts. When apps send tokens:\n  \
             assay policy advise api -c {file}      what enforcing would do\n  \
             assay policy test {cases}      what it promises",
            files.join("\n"),
            secrets.display(),
            file = dir.join("assay.yaml").display(),
            cases = dir.join("tests/api.yaml").display(),
        )
    });
    Ok(End::Yes)
}

fn write_all(args: &Init, upstream: &Upstream, paid: &[Paid], secrets: &Path, made: &mut Made) -> Result<(), Stop> {
    let dir = &args.dir;
    made.folder(dir, 0o755)?;
    made.folder(secrets, 0o700)?;
    let secret = |name: &str| secrets.join(name);
    for name in ["keys-unlock.key", "service-unlock.key"] {
        keystore::MasterKey::create_file(&secret(name), &attest_core::random::SystemRandom)
            .map_err(|e| Stop::unknown(e.to_string()))?;
        made.files.push(secret(name));
    }
    // On a laptop the admin listener asks for none.
    if !args.dev {
        let admin_token = attest_core::b64u::encode(&random_bytes()?);
        made.private(&secret("admin.token"), admin_token.as_bytes())?;
    }

    let text = if args.dev { CONFIG_DEV } else { CONFIG };
    let text = text.replace("@SECRETS@", &shown(args, secrets)?).replace("@UPSTREAM@", &upstream.yaml());
    let text = paid.iter().rev().fold(text, |text, paid| paid.beside(&text));
    made.file(&dir.join("assay.yaml"), &text)?;
    made.folder(&dir.join("policies"), 0o755)?;
    made.file(&dir.join("policies/api.yaml"), POLICY)?;
    made.folder(&dir.join("tests"), 0o755)?;
    made.file(&dir.join("tests/api.yaml"), CASES)?;
    made.folder(&dir.join("schema"), 0o755)?;
    for (name, schema) in [
        ("assay.schema.json", settings::schema()),
        ("policy.schema.json", policies::schema()),
        ("rules.schema.json", settings::rules_schema()),
        ("policy-cases.schema.json", policies::cases::schema()),
    ] {
        made.file(&dir.join("schema").join(name), &format!("{schema:#}\n"))?;
    }
    made.file(&dir.join(".gitignore"), GITIGNORE)?;
    // A gateway with `keys:` needs its store: an empty one, so that the first start works.
    let store = dir.join("keys.sealed");
    made.unsaid.push(dir.join(".keys.sealed.lock"));
    crate::commands::key::create_store(&store, &secret("keys-unlock.key"))?;
    made.files.push(store);
    Ok(())
}

/// What was made so far, to be taken back when a later step fails.
#[derive(Default)]
struct Made {
    files: Vec<PathBuf>,
    /// Made on the way, of no interest to anybody: the key store's lock.
    unsaid: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Made {
    fn folder(&mut self, path: &Path, mode: u32) -> Result<(), Stop> {
        // One by one: the folders above it are taken back, too.
        let missing: Vec<_> = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.is_dir()).collect();
        for folder in missing.into_iter().rev() {
            let mode = if folder == path { mode } else { 0o755 };
            let made = std::fs::DirBuilder::new().mode(mode).create(folder);
            made.map_err(|e| {
                let why = match e.kind() {
                    std::io::ErrorKind::AlreadyExists => format!("{} is a file", folder.display()),
                    _ => e.to_string(),
                };
                Stop::unknown(format!("{} can't be made: {why}", path.display()))
            })?;
            self.folders.push(folder.to_owned());
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, text: &str) -> Result<(), Stop> {
        let written = write_new(path, text.as_bytes(), 0o644);
        written.map_err(|e| Stop::unknown(format!("{} can't be written: {e}", path.display())))?;
        self.files.push(path.to_owned());
        Ok(())
    }

    fn private(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Stop> {
        write_private(path, bytes).map_err(|e| Stop::unknown(format!("{} can't be written: {e}", path.display())))?;
        self.files.push(path.to_owned());
        Ok(())
    }

    fn take_back(&self) {
        for file in self.files.iter().chain(&self.unsaid) {
            let _ = std::fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Writes a new file that only its owner can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    write_new(path, bytes, 0o600)
}

/// Writes a new file, whole or not at all: what a full disk cuts short goes away again.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.inspect_err(|_| drop(std::fs::remove_file(path)))
}

fn random_bytes() -> Result<[u8; 32], Stop> {
    use attest_core::random::Random;
    let mut bytes = [0; 32];
    attest_core::random::SystemRandom.fill(&mut bytes).map_err(|e| Stop::unknown(e.to_string()))?;
    Ok(bytes)
}

/// Beside the folder, never inside it: the folder may go into Git.
fn secrets_folder(args: &Init) -> Result<PathBuf, Stop> {
    if let Some(named) = &args.secrets {
        return Ok(named.clone());
    }
    let dir = absolute(&args.dir)?;
    let name = dir.file_name().ok_or_else(|| Stop::usage(format!("{} has no name of its own", args.dir.display())))?;
    let mut beside = name.to_owned();
    beside.push("-secrets");
    Ok(dir.with_file_name(beside))
}

fn absolute(path: &Path) -> Result<PathBuf, Stop> {
    std::path::absolute(path).map_err(|e| Stop::usage(format!("{}: {e}", path.display())))
}

/// The secrets' folder as the configuration names it: relative to the file where it is the folder's neighbour.
fn shown(args: &Init, secrets: &Path) -> Result<String, Stop> {
    let path = match (&args.secrets, secrets.file_name()) {
        (None, Some(name)) => Path::new("..").join(name),
        _ => absolute(secrets)?,
    };
    Ok(path.display().to_string())
}

/// The API to protect, as the starter file names it.
struct Upstream {
    url: String,
    loopback: bool,
}

impl Upstream {
    fn parse(url: &str) -> Result<Self, Stop> {
        let wrong = |why: &str| {
            Stop::usage(format!("--upstream {url}: {why}"))
                .hint("for example https://api.internal:8443 or http://127.0.0.1:8080")
        };
        let parsed: http::Uri = url.parse().map_err(|_| wrong("not a URL"))?;
        let host = parsed.host().ok_or_else(|| wrong("no host"))?;
        let loopback = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback());
        match parsed.scheme_str() {
            Some("https") => {}
            Some("http") if loopback => {}
            Some("http") => return Err(wrong("plain http is for loopback only; use https")),
            _ => return Err(wrong("neither https nor http")),
        }
        if parsed.path() != "/" && !parsed.path().is_empty() || parsed.query().is_some() {
            return Err(wrong("only scheme, host and port; paths are the route's"));
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), loopback })
    }

    fn yaml(&self) -> String {
        let mut lines = format!("url: {}", self.url);
        if self.loopback {
            lines.push_str("\n    private_addresses: [127.0.0.0/8, \"::1/128\"]   # private addresses are refused unless listed here");
            if self.url.starts_with("http:") {
                lines.push_str("\n    danger_plaintext_loopback: true                # plain HTTP is for loopback alone, and says so");
            }
        }
        lines
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn takes_back_every_folder_that_it_made_and_no_other() {
        let there = tempfile::tempdir().unwrap();
        let (deep, mut made) = (there.path().join("a/b/gw"), Made::default());
        made.folder(&deep, 0o700).unwrap();
        made.file(&deep.join("file"), "text").unwrap();
        assert!(made.file(&deep.join("file"), "again").is_err());
        made.take_back();
        assert!(!there.path().join("a").exists() && there.path().exists());
    }
}
