//! What the app prints. Comes in: one JSON object. Goes out: a line of it; for a person on a terminal, its gist.

use std::io::{IsTerminal, Write};

use serde_json::Value;

/// Where lines go and in which form.
pub(crate) struct Report {
    for_a_person: bool,
}

impl Report {
    /// JSON when asked for, and whenever a program reads.
    pub(crate) fn new(json: bool) -> Self {
        Self { for_a_person: !json && std::io::stdout().is_terminal() }
    }

    /// Prints and flushes: whoever waits for the line must not wait for a full buffer. A reader who has gone
    /// away is no reason to stop.
    pub(crate) fn line(&self, line: &Value) {
        let text = if self.for_a_person { gist(line) } else { line.to_string() };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

/// `200  http://...  body`, or all members as `name value`.
fn gist(line: &Value) -> String {
    let text = |name: &str| match line.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        None | Some(Value::Null) => None,
        Some(value) => Some(value.to_string()),
    };
    if let Some(url) = text("url") {
        let status = text("status").or_else(|| text("error")).unwrap_or_default();
        let rest = text("body").or_else(|| text("what")).unwrap_or_default();
        let token = text("token").map(|token| format!("\n     token {token}")).unwrap_or_default();
        return format!("{status}  {url}  {}{token}", rest.trim_end());
    }
    let members = line.as_object().into_iter().flatten();
    members.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_sees_status_url_and_body() {
        let call = json!({ "url": "http://a/", "status": 200, "body": "{\"paid\":true}\n" });
        assert_eq!(gist(&call), "200  http://a/  {\"paid\":true}");
        let failed = json!({ "url": "http://a/", "status": null, "error": "NO_NETWORK", "what": "away" });
        assert_eq!(gist(&failed), "NO_NETWORK  http://a/  away");
        assert_eq!(gist(&json!({ "licence": true })), "licence true");
    }
}
