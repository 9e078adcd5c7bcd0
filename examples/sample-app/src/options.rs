//! The command line. Comes in: words. Goes out: checked [`Options`], or which word was wrong.

use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: assay-sample-app --service URL --call URL [--call URL]... [options]
       assay-sample-app --measure | --check-licence

  --service URL       the attestation service, such as http://127.0.0.1:8701/assay/v1
  --call URL          a URL to call through the gateway; may be given several times
  --repeat N          make all calls N times (1 to 1000000)
  --header NAME       the header for the token (default: Assay-Token)
  --app NAME          the name it was registered under (default: sample-app)
  --app-version V     the version it was registered under (default: that of this build)
  --device-key FILE   where the device key is kept (default: a new one each time)
  --trust-only FILE   certificates (PEM) to trust for the service, instead of the system's
  --show-token        put the token into each line
  --wait              print {\"ready\":PID}, and begin when a line comes on stdin
  --measure           print what the running program measures, and what looks wrong around it
  --check-licence     tell whether the licence in the program text is whole
  --json              JSON lines on a terminal too";

/// A checked command line.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) service: Option<String>,
    pub(crate) calls: Vec<String>,
    pub(crate) repeat: u32,
    pub(crate) header: String,
    pub(crate) app: String,
    pub(crate) app_version: String,
    pub(crate) device_key: Option<PathBuf>,
    pub(crate) trust_only: Option<PathBuf>,
    pub(crate) show_token: bool,
    pub(crate) wait: bool,
    pub(crate) measure: bool,
    pub(crate) check_licence: bool,
    pub(crate) json: bool,
}

impl Options {
    /// `None` when help was asked for; an error names the word that was wrong.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            service: None,
            calls: Vec::new(),
            repeat: 1,
            header: "Assay-Token".into(),
            app: "sample-app".into(),
            app_version: env!("CARGO_PKG_VERSION").into(),
            device_key: None,
            trust_only: None,
            show_token: false,
            wait: false,
            measure: false,
            check_licence: false,
            json: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--service" => options.service = Some(value()?),
                "--call" => options.calls.push(value()?),
                "--repeat" => options.repeat = repeat(&value()?)?,
                "--header" => options.header = value()?,
                "--app" => options.app = value()?,
                "--app-version" => options.app_version = value()?,
                "--device-key" => options.device_key = Some(value()?.into()),
                "--trust-only" => options.trust_only = Some(value()?.into()),
                "--show-token" => options.show_token = true,
                "--wait" => options.wait = true,
                "--measure" => options.measure = true,
                "--check-licence" => options.check_licence = true,
                "--json" => options.json = true,
                unknown => return Err(format!("unknown option {unknown}")),
            }
        }
        options.checked().map(Some)
    }

    fn checked(self) -> Result<Self, String> {
        match (&self.service, self.calls.is_empty()) {
            (None, false) => Err("--call needs --service".into()),
            (Some(_), true) if !self.show_token => Err("--service needs --call or --show-token".into()),
            (None, true) if !self.measure && !self.check_licence => Err("nothing to do".into()),
            _ => Ok(self),
        }
    }
}

fn repeat(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(times @ 1..=1_000_000) => Ok(times),
        _ => Err(format!("--repeat {text}: not a number from 1 to 1000000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn refuses_what_is_missing_or_unknown_and_names_it() {
        assert_eq!(parse("").unwrap_err(), "nothing to do");
        assert_eq!(parse("--call http://a/").unwrap_err(), "--call needs --service");
        assert_eq!(parse("--service http://a/").unwrap_err(), "--service needs --call or --show-token");
        assert_eq!(parse("--call").unwrap_err(), "--call needs a value");
        assert_eq!(parse("--colour blue").unwrap_err(), "unknown option --colour");
        assert!(parse("--repeat 0 --measure").unwrap_err().contains("--repeat 0"));
    }

    #[test]
    fn keeps_calls_in_order() {
        let options = parse("--service s --call a --call b --repeat 3").unwrap().unwrap();
        assert_eq!((options.calls, options.repeat), (vec!["a".to_owned(), "b".to_owned()], 3));
    }
}
