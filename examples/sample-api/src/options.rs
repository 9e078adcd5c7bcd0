//! The command line. Comes in: words. Goes out: checked [`Options`], and the key read from its file.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderName;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: assay-sample-api --listen ADDRESS --key-file FILE [--header NAME]

  --listen ADDRESS   where to listen; port 0 takes a free one, told on stdout
  --key-file FILE    the API key that callers must present
  --header NAME      where they present it (default: x-api-key; `authorization` means `Bearer KEY`)";

/// A checked command line.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) key_file: PathBuf,
    pub(crate) header: HeaderName,
}

impl Options {
    /// `None` when help was asked for; an error names the word that was wrong.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut listen, mut key_file, mut header) = (None, None, HeaderName::from_static("x-api-key"));
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--listen" => {
                    let text = value()?;
                    let address =
                        text.parse().map_err(|_| format!("--listen {text}: not an address like 127.0.0.1:0"))?;
                    listen = Some(address);
                }
                "--key-file" => key_file = Some(PathBuf::from(value()?)),
                "--header" => {
                    let text = value()?;
                    header = text.parse().map_err(|_| format!("--header {text}: not a header name"))?;
                }
                unknown => return Err(format!("unknown option {unknown}")),
            }
        }
        Ok(Some(Self {
            listen: listen.ok_or("--listen is required")?,
            key_file: key_file.ok_or("--key-file is required")?,
            header,
        }))
    }

    /// The key, without the line end that editors add. An empty key would admit everybody: refused.
    pub(crate) fn read_key(&self) -> Result<String, String> {
        let place = self.key_file.display();
        let text = std::fs::read_to_string(&self.key_file).map_err(|problem| format!("key file {place}: {problem}"))?;
        match text.trim() {
            "" => Err(format!("key file {place} is empty")),
            key => Ok(key.to_owned()),
        }
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
        assert_eq!(parse("--listen 127.0.0.1:0").unwrap_err(), "--key-file is required");
        assert_eq!(parse("--key-file k").unwrap_err(), "--listen is required");
        assert_eq!(parse("--listen").unwrap_err(), "--listen needs a value");
        assert_eq!(parse("--colour blue").unwrap_err(), "unknown option --colour");
        assert!(parse("--listen localhost --key-file k").unwrap_err().contains("localhost"));
    }

    #[test]
    fn help_is_not_an_error() {
        assert!(parse("--help").unwrap().is_none());
    }
}
