//! The forms in which a secret could show. In: a secret. Out: byte strings, each of which betrays it wherever it stands.

use data_encoding::{BASE64, BASE64URL, Encoding, HEXLOWER, HEXUPPER};

/// A form of a secret.
pub struct Needle {
    /// Which form, for messages.
    pub form: String,
    bytes: Vec<u8>,
}

/// Raw, base64 and base64url at all three alignments, hexadecimal and percent-encoded in both cases, as JSON and HTML write
/// it, reversed.
#[must_use]
pub fn of_secret(name: &str, secret: &str) -> Vec<Needle> {
    let bytes = secret.as_bytes();
    assert!(bytes.len() >= 16, "a short secret is found by chance");
    let mut forms = vec![("raw", bytes.to_vec()), ("reversed", bytes.iter().rev().copied().collect())];
    for (form, encoding) in [("base64", &BASE64), ("base64url", &BASE64URL)] {
        forms.extend((0..3).map(|skew| (form, skewed(encoding, bytes, skew))));
    }
    forms.push(("hex", HEXLOWER.encode(bytes).into_bytes()));
    forms.push(("HEX", HEXUPPER.encode(bytes).into_bytes()));
    forms.push(("percent", bytes.iter().flat_map(|b| format!("%{b:02x}").into_bytes()).collect()));
    forms.push(("PERCENT", bytes.iter().flat_map(|b| format!("%{b:02X}").into_bytes()).collect()));
    forms.push(("percent where needed", percent(bytes)));
    let json = serde_json::to_string(secret).unwrap();
    forms.push(("JSON", json.as_bytes()[1..json.len() - 1].to_vec()));
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    forms.push(("HTML", html.replace('\'', "&#39;").into_bytes()));
    forms.into_iter().map(|(form, bytes)| Needle { form: format!("{name}, {form}"), bytes }).collect()
}

/// A text as it is, and no other form: for tokens, which are encoded already.
#[must_use]
pub fn of_text(name: &str, text: &str) -> Needle {
    Needle { form: name.to_owned(), bytes: text.as_bytes().to_vec() }
}

/// The forms that stand somewhere in `hay`.
#[must_use]
pub fn found<'a>(needles: &'a [Needle], hay: &[u8]) -> Vec<&'a str> {
    needles.iter().filter(|needle| needle.is_in(hay)).map(|needle| needle.form.as_str()).collect()
}

impl Needle {
    /// Whether it stands somewhere in `hay`.
    #[must_use]
    pub fn is_in(&self, hay: &[u8]) -> bool {
        hay.windows(self.bytes.len()).any(|window| window == self.bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The characters that depend on the secret alone when `skew` bytes of something else stand before it.
fn skewed(encoding: &Encoding, secret: &[u8], skew: usize) -> Vec<u8> {
    let text = encoding.encode(&[&vec![0; skew], secret].concat());
    let first = (skew * 8).div_ceil(6);
    let last = (skew + secret.len()) * 8 / 6;
    text.as_bytes()[first..last].to_vec()
}

fn percent(bytes: &[u8]) -> Vec<u8> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    bytes.iter().flat_map(|&b| if plain(b) { vec![b] } else { format!("%{b:02X}").into_bytes() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_form_amid_other_bytes() {
        let secret = "sk_live_/+weird&key=\"0123456789\"";
        let needles = of_secret("key", secret);
        for skew in 0..5 {
            let before = "x".repeat(skew);
            let hay = BASE64.encode(format!("{before}{secret}yz").as_bytes());
            assert!(!found(&needles, hay.as_bytes()).is_empty(), "base64 after {skew} bytes");
        }
        assert_eq!(found(&needles, format!("a{secret}b").as_bytes()), ["key, raw"]);
        let html = secret.replace('&', "&amp;").replace('"', "&quot;");
        assert_eq!(found(&needles, html.as_bytes()), ["key, HTML"]);
        assert_eq!(found(&needles, serde_json::json!({ "a": secret }).to_string().as_bytes()), ["key, JSON"]);
        assert!(found(&needles, b"nothing of the kind").is_empty());
    }
}
