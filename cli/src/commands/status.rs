//! `assay status`: what a running gateway says of itself.
//!
//! In: the admin listener of the configuration, or an address. Out: its `/status`, as it is.

use crate::args::Status;
use crate::commands::config;
use crate::output::{End, Output, Stop};
use serde_json::Value;
use std::time::Duration;

/// Asks the gateway.
pub(crate) async fn run(args: &Status, output: Output) -> Result<End, Stop> {
    let (address, token) = match &args.admin {
        Some(address) => (address.clone(), None),
        None => {
            let settings = config::load(&args.config)?;
            let admin =
                settings.listeners.admin.as_ref().ok_or_else(|| Stop::no("the configuration has no admin listener"))?;
            let token = admin.token_file.as_ref().map(std::fs::read_to_string).transpose();
            (admin.address.to_string(), token.map_err(|e| Stop::usage(format!("the admin token: {e}")))?)
        }
    };
    let unknown =
        |e: reqwest::Error| Stop::unknown(format!("the gateway at {address} did not answer: {}", e.without_url()));
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().map_err(unknown)?;
    let mut request = client.get(format!("http://{address}/status"));
    if let Some(token) = token {
        request = request.bearer_auth(token.trim());
    }
    let answer = request.send().await.map_err(unknown)?;
    if !answer.status().is_success() {
        return Err(Stop::unknown(format!("the gateway at {address} answered {}", answer.status())));
    }
    let status: Value = answer.json().await.map_err(unknown)?;
    output.answer(&status, || format!("{status:#}"));
    Ok(End::Yes)
}
