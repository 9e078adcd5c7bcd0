//! `callers.*.webhook:` checked, and its secrets read.

use std::sync::Arc;

use policies::yaml::Place;
use zeroize::Zeroizing;

use crate::{
    check::{Check, Kind, secs},
    file::{
        callers::{GITHUB_HEADER, RawWebhook, STANDARD_HEADER, STRIPE_HEADER, SchemeWord, SignatureWord, SignedText},
        names::FilePath,
        requests::Header,
    },
    model::{HmacScheme, SignatureEncoding, WebhookProof, WebhookScheme, WebhookSecret},
    shape::{Fault, Field},
};

/// Secrets that count at the same time.
const MAX_SECRETS: usize = 4;

impl Check<'_, '_> {
    pub(super) fn caller_webhook(&self, raw: &RawWebhook, owner: Place) -> Option<WebhookProof> {
        let standard = raw.scheme.value == Some(SchemeWord::Standard);
        let secrets = self.webhook_secrets(raw, standard, owner);
        let tolerance = self.span(&raw.tolerance, "tolerance", (secs(10), secs(3600)), secs(300));
        let max_body = if raw.max_body.is_absent() {
            Some(64 << 10)
        } else {
            self.size(&raw.max_body, "max_body", (1 << 10, 64 << 10))
        };
        let (word, at) = self.need(&raw.scheme, owner, "scheme", "stripe, github or hmac")?;
        if *word != SchemeWord::Hmac {
            let fields = [
                ("header", raw.header.at),
                ("encoding", raw.encoding.at),
                ("prefix", raw.prefix.at),
                ("timestamp_header", raw.timestamp_header.at),
                ("signed", raw.signed.at),
            ];
            for (name, at) in fields.into_iter().filter_map(|(name, at)| Some((name, at?))) {
                let fault = Fault::new(format!("`{name}` is for scheme hmac: this one has its own"));
                self.refuse(at, "does_nothing", fault.hint("take the line out, or write scheme: hmac"));
            }
        }
        let (scheme, header) = match word {
            SchemeWord::Stripe => (WebhookScheme::Stripe, STRIPE_HEADER),
            SchemeWord::Github => (WebhookScheme::Github, GITHUB_HEADER),
            SchemeWord::Standard => (WebhookScheme::Standard, STANDARD_HEADER),
            SchemeWord::Hmac => {
                let (Header(header), header_at) = self.need(&raw.header, at, "header", "X-Signature")?;
                let timestamp_header = raw.timestamp_header.value.as_ref().map(|Header(name)| name.clone());
                if timestamp_header.as_ref() == Some(header) {
                    let fault = Fault::new("signature and time can't stand in the same header");
                    self.refuse(header_at, "duplicate", fault.hint("name the header of each"));
                }
                self.refuse_unsigned_time(raw);
                let hmac = HmacScheme {
                    encoding: match raw.encoding.value.unwrap_or(SignatureWord::Hex) {
                        SignatureWord::Hex => SignatureEncoding::Hex,
                        SignatureWord::Base64 => SignatureEncoding::Base64,
                    },
                    prefix: raw.prefix.value.as_ref().map_or_else(String::new, |prefix| prefix.0.clone()),
                    timestamp_header,
                    signed: raw.signed.value.as_ref().map(|SignedText(text)| text.clone()),
                };
                (WebhookScheme::Hmac(hmac), header.clone())
            }
        };
        let proof = WebhookProof { scheme, header, secrets: secrets?, tolerance, max_body: max_body? };
        if let (false, Some(at)) = (proof.has_time(), raw.tolerance.at) {
            let fault = Fault::new("`tolerance` does nothing: this signature covers no time");
            self.refuse(
                at,
                "does_nothing",
                fault.hint(match proof.scheme {
                    WebhookScheme::Hmac(_) => "add timestamp_header: …, if the sender signs one; or take the line out",
                    _ => "take the line out",
                }),
            );
        }
        if matches!(&proof.scheme, WebhookScheme::Hmac(hmac) if hmac.timestamp_header.is_none()) {
            let fault =
                Fault::new("this signature covers no time: a request that was once seen can be sent again for ever");
            self.warn(at, "replayable", fault.hint("add timestamp_header: …, if the sender signs one"));
        }
        Some(proof)
    }

    /// A time that is sent and not signed proves nothing; one that is signed has to come from somewhere.
    fn refuse_unsigned_time(&self, raw: &RawWebhook) {
        let Some((SignedText(signed), at)) = raw.signed.good() else { return };
        match (raw.timestamp_header.at, signed.contains("{timestamp}")) {
            (None, true) => {
                let fault = Fault::new("`{timestamp}` is signed, and no header is named that it comes in");
                self.refuse(at, "unsigned_time", fault.hint("add timestamp_header: …"));
            }
            (Some(header), false) => {
                let fault = Fault::new(
                    "the time in `timestamp_header` is not signed: whoever sends the request could choose it",
                );
                let hint = "put {timestamp} into `signed`, as the sender does; or take the line out";
                self.refuse(header, "unsigned_time", fault.hint(hint));
            }
            _ => {}
        }
    }

    fn webhook_secrets(&self, raw: &RawWebhook, standard: bool, owner: Place) -> Option<Vec<WebhookSecret>> {
        let one = |field: &Field<FilePath>| self.webhook_secret(field, standard);
        match (raw.secret_file.at, raw.secret_files.at) {
            (Some(_), None) => Some(vec![one(&raw.secret_file)?]),
            (None, Some(_)) => {
                let (fields, at) = raw.secret_files.good()?;
                if fields.is_empty() || fields.len() > MAX_SECRETS {
                    let fault = Fault::new(format!("`secret_files` names 1 to {MAX_SECRETS} files"));
                    self.refuse(
                        at,
                        "empty_list",
                        fault.hint("the one in use, and the next while it is being replaced"),
                    );
                    return None;
                }
                // Each is looked at, so that all that is wrong is told.
                let secrets: Vec<_> = fields.iter().map(one).collect();
                let secrets: Vec<_> = secrets.into_iter().collect::<Option<_>>()?;
                let twice = |(index, secret): (usize, &WebhookSecret)| {
                    secrets.iter().take(index).any(|other| other.bytes == secret.bytes)
                };
                if secrets.iter().enumerate().any(twice) {
                    self.refuse(
                        at,
                        "duplicate",
                        Fault::new("two files hold the same secret").hint("take one of them out"),
                    );
                }
                Some(secrets)
            }
            _ => {
                let fault = Fault::new("a webhook needs exactly one of `secret_file` and `secret_files`");
                self.refuse(owner, "missing_field", fault.hint("write secret_file: secrets/webhook.secret"));
                None
            }
        }
    }

    fn webhook_secret(&self, field: &Field<FilePath>, standard: bool) -> Option<WebhookSecret> {
        let (path, content, at) = self.file(field, Kind::Private, 4096)?;
        // GitHub's own example has blanks in it; one at an end is a slip of whoever pasted it.
        let printable = |line: &str| line.trim() == line && line.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        let good = |line: &str| (16..=512).contains(&line.len()) && printable(line);
        match content.line() {
            Some(line) if good(line) && standard && !is_standard(line) => {
                let fault = Fault::new(format!("`{}` holds no secret of Standard Webhooks", path.display()));
                self.refuse(
                    at,
                    "bad_secret_file",
                    fault.hint("base64 of 16 bytes or more behind `whsec_`, as the sender shows it"),
                );
                None
            }
            Some(line) if good(line) => {
                Some(WebhookSecret { path, bytes: Arc::new(Zeroizing::new(line.as_bytes().to_vec())) })
            }
            _ => {
                let fault = Fault::new(format!("`{}` does not hold one secret", path.display()));
                self.refuse(
                    at,
                    "bad_secret_file",
                    fault.hint(
                        "one line of 16 to 512 printable characters, without blanks around it, as the sender shows it",
                    ),
                );
                None
            }
        }
    }
}

/// Base64 of 16 bytes or more, with or without `whsec_` before it.
fn is_standard(line: &str) -> bool {
    let key = data_encoding::BASE64.decode(line.strip_prefix("whsec_").unwrap_or(line).as_bytes()).map(Zeroizing::new);
    key.is_ok_and(|key| key.len() >= 16)
}
