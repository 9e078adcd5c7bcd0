//! `assay arc decode`: what the service found, from the support code that a user reads out.
//!
//! In: 26 characters, and the service's own state (its arc key is sealed there). Out: the reasons, by name.

use crate::args::Arc;
use crate::commands::config;
use crate::output::{End, Output, Stop};
use crate::verifier::stored;
use serde_json::json;

/// Opens a code.
pub(crate) fn run(command: &Arc, output: Output) -> Result<End, Stop> {
    let Arc::Decode { code, config } = command;
    let hint = "the code's key never leaves the service: run this with the service's configuration";
    let store = stored(&config::load(config)?).map_err(|stop| stop.hint(hint))?;
    let issuer = store.issuer().map_err(|e| Stop::unknown(e.to_string()))?;
    let reasons =
        issuer.arc_key().decode(code.trim()).map_err(|_| Stop::no("this is no support code of this service"))?;
    let names: Vec<_> = reasons.iter_names().collect();
    output.answer(&json!({ "code": code.trim(), "reasons": names }), || {
        if names.is_empty() { "nothing was found against this app".to_owned() } else { names.join("\n") }
    });
    Ok(End::Yes)
}
