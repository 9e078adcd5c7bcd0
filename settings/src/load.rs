//! The way from a path to [`Settings`], or to everything that is wrong.
//!
//! In: the path of the file, and what the command line overrides. Out: [`Loaded`], or a [`Report`]. Nothing is written and
//! nothing of the running process is touched: a reload builds its whole candidate here and swaps afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use attest_core::time::UnixTime;
use policies::{
    Problem, Severity, problem,
    yaml::{self, Node, Place},
};

use crate::{
    Bundle, MAX_TEXT_BYTES, Settings,
    check::Check,
    file::RawDocument,
    files::Files,
    shape::{self, Notes},
};

/// What the command line says over the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--dev`: every listener is moved to loopback, whatever the file says.
    pub dev: bool,
    /// Instead of `listeners.public.address`.
    pub public: Option<SocketAddr>,
    /// Instead of `listeners.probe.address`.
    pub probe: Option<SocketAddr>,
    /// Instead of `listeners.admin.address`.
    pub admin: Option<SocketAddr>,
    /// Instead of `attestation.serve.address`.
    pub service: Option<SocketAddr>,
    /// The caller is about to make the keystore: that it is not there yet is no error.
    pub fills_keystore: bool,
    /// The time, for warnings about rules that end soon; absent: there are none.
    pub now: Option<UnixTime>,
}

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub settings: Settings,
    /// What is probably not meant, in the order of the file.
    pub warnings: Vec<Problem>,
    texts: BTreeMap<String, String>,
}

/// A configuration that can't be run. Prints itself with places, source lines and remedies.
#[derive(Debug)]
pub struct Report {
    /// All errors and warnings, in the order of the files; at least one error.
    pub problems: Vec<Problem>,
    /// Every file that was looked at, also those that are not there: what to watch until it is mended.
    pub sources: Vec<PathBuf>,
    texts: BTreeMap<String, String>,
}

impl Loaded {
    /// A warning with its source line.
    #[must_use]
    pub fn render(&self, warning: &Problem) -> String {
        warning.render(self.texts.get(&warning.file).map_or("", String::as_str))
    }
}

impl Report {
    /// A problem with its source line.
    #[must_use]
    pub fn render(&self, problem: &Problem) -> String {
        problem.render(self.texts.get(&problem.file).map_or("", String::as_str))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{}", self.render(problem))?;
        }
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        write!(f, "{errors} error{}: this configuration is not used", if errors == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Report {}

/// Loads the configuration file at `path`.
///
/// # Errors
/// Everything that is wrong with it and with the files that it names, at once.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, Report> {
    from(path, Files::beside(path), overrides)
}

/// Loads the configuration that was kept when the file at `path` was good: every text from `bundle`, secrets, certificates
/// and the keystore from where they are now. [`Settings::sources`] are the files all the same: what to watch until they are
/// mended.
///
/// # Errors
/// As [`load()`]; also where `bundle` is that of a file with another name.
pub fn load_bundle(path: &Path, bundle: &Bundle, overrides: &Overrides) -> Result<Loaded, Report> {
    from(path, Files::kept(path, bundle), overrides)
}

fn from(path: &Path, files: Files, overrides: &Overrides) -> Result<Loaded, Report> {
    let files = &files;
    let name = path.display().to_string();
    let outcome = read(path, &name, files).map(|node| build(path, &name, &node, files, overrides));
    let Built { settings, problems, hidden } =
        outcome.unwrap_or_else(|problems| Built { settings: None, problems, hidden: BTreeSet::new() });
    let mut texts = texts(&problems, files);
    if let Some(text) = texts.get_mut(&name) {
        *text = without_lines(text, &hidden);
    }
    match settings {
        Some(settings) if !problem::any_error(&problems) => Ok(Loaded { settings, warnings: problems, texts }),
        _ => Err(Report { problems, sources: files.sources(), texts }),
    }
}

/// The same text with stars in the lines that no report shows.
fn without_lines(text: &str, hidden: &BTreeSet<usize>) -> String {
    let lines = (1..).zip(text.split('\n')).map(|(number, line)| {
        if hidden.contains(&number) { "*".repeat(line.chars().count()) } else { line.to_owned() }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text of each file that a problem stands in: the configuration and policy files, never a secret.
fn texts(problems: &[Problem], files: &Files) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for problem in problems.iter().filter(|problem| problem.line > 0) {
        if !texts.contains_key(&problem.file)
            && let Ok(content) = files.read(Path::new(&problem.file), MAX_TEXT_BYTES)
        {
            let text = String::from_utf8_lossy(&content.bytes);
            texts.insert(problem.file.clone(), problem::without_secrets(problems, &problem.file, &text).into_owned());
        }
    }
    texts
}

fn read(path: &Path, name: &str, files: &Files) -> Result<Node, Vec<Problem>> {
    let whole = |code, message: String| vec![Problem::error(Place::default(), code, message).in_file(name)];
    let content = files.read(path, yaml::MAX_BYTES).map_err(|fault| {
        let hint = if files.are_kept() {
            "what was kept is the configuration of a file with another name"
        } else {
            "`assay init DIR` writes a first configuration"
        };
        whole("unreadable_file", fault.message).into_iter().map(|problem| problem.with_hint(hint)).collect::<Vec<_>>()
    })?;
    let text =
        std::str::from_utf8(&content.bytes).map_err(|_| whole("not_utf8", "the file is not UTF-8 text".to_owned()))?;
    yaml::parse(name, text)
}

/// What is built, if anything can be, all problems, and the lines that no report shows.
struct Built {
    settings: Option<Settings>,
    problems: Vec<Problem>,
    hidden: BTreeSet<usize>,
}

fn build(path: &Path, name: &str, node: &Node, files: &Files, overrides: &Overrides) -> Built {
    let notes = Notes::new(name);
    let raw: Option<RawDocument> = shape::read(node, &notes);
    let check = Check { notes: &notes, files };
    let settings = raw.and_then(|raw| check.document(path, &raw, node.place, overrides));
    let mut problems = notes.problems.into_inner();
    problem::sort(&mut problems);
    Built { settings, problems, hidden: notes.hidden.into_inner() }
}
