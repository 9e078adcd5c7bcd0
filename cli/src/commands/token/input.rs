//! Tokens and secrets as they are typed, piped or kept in files.

use crate::output::{Stop, note};
use attest_core::token::MAX_TOKEN_BYTES;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// The token's text: an argument, or standard input for `-`.
pub(super) fn token_text(argument: &str) -> Result<String, Stop> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    // One byte more than any token may have, and its line end: longer input is read no further, and refused as too long.
    let most = MAX_TOKEN_BYTES as u64 + 16;
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|e| Stop::usage(format!("standard input: {e}")))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Approov's header may carry the token after `Bearer `.
pub(super) fn strip_bearer(text: &str) -> &str {
    match text.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer ") => rest,
        _ => text,
    }
}

pub(super) fn decode(
    text: &str,
    option: &str,
    encodings: &[data_encoding::Encoding],
) -> Result<Zeroizing<Vec<u8>>, Stop> {
    let decoded = encodings.iter().find_map(|encoding| encoding.decode(text.trim().as_bytes()).ok());
    decoded.map(Zeroizing::new).ok_or_else(|| Stop::usage(format!("{option}: not in that encoding")))
}

pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Stop> {
    std::fs::read(path).map(Zeroizing::new).map_err(|e| Stop::usage(format!("{}: {e}", path.display())))
}

/// The usual trap with raw secrets: an editor or `echo` put it there.
pub(super) fn ends_with_line(secret_file: &Path) -> bool {
    read(secret_file).is_ok_and(|secret| secret.ends_with(b"\n"))
}

pub(super) fn warn_secret(option: &str) {
    note(&format!(
        "warning: {option} shows the secret in the process list and your shell's history; for published dummy secrets only"
    ));
}
