//! What a running gateway is asked at its admin listener.
//!
//! In: a path. Out: the answer's bytes, at most so many. The address and the token come from the command line, else from the configuration.

use crate::args::{ConfigArg, GatewayArg};
use crate::commands::config;
use crate::output::Stop;
use futures_util::StreamExt;
use std::path::PathBuf;
use std::time::Duration;

/// Asks for `path`, which begins with `/`. `None`: there is no such thing (404).
pub(crate) async fn ask(
    args: &GatewayArg,
    config: &ConfigArg,
    path: &str,
    most: usize,
) -> Result<Option<Vec<u8>>, Stop> {
    let (base, token_file) = place(args, config)?;
    let token = token_file.as_ref().map(std::fs::read_to_string).transpose();
    let token = token.map_err(|e| Stop::usage(format!("the admin token: {e}")))?;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
    let client = client.map_err(|e| silent(&base, &e))?;
    let mut request = client.get(format!("{base}{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token.trim());
    }
    let answer = request.send().await.map_err(|e| silent(&base, &e))?;
    match answer.status().as_u16() {
        200 => {}
        404 => return Ok(None),
        other => {
            let stop = Stop::unknown(format!("the gateway at {base} answered {other}"));
            return Err(match other {
                401 => stop.hint("its token: --token-file FILE, or token_file in the configuration"),
                _ => stop,
            });
        }
    }
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|e| silent(&base, &e))?;
        if body.len() + chunk.len() > most {
            return Err(Stop::unknown(format!("the gateway at {base} answered more than {most} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The address as a URL without a slash at its end, and the file with the token.
fn place(args: &GatewayArg, config: &ConfigArg) -> Result<(String, Option<PathBuf>), Stop> {
    if let Some(url) = &args.gateway {
        let url = url.trim_end_matches('/');
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let read = reqwest::Url::parse(&url).map_err(|e| Stop::usage(format!("--gateway {url}: {e}")))?;
        if !read.username().is_empty() || read.password().is_some() {
            return Err(Stop::usage("--gateway: no password in the address").hint("the token comes by --token-file"));
        }
        return Ok((url, args.token_file.clone()));
    }
    let settings = config::load_running(config)
        .map_err(|stop| stop.hint("a running gateway can be asked without the file: --gateway http://ADDRESS:PORT"))?;
    let admin = settings.listeners.admin.ok_or_else(|| {
        Stop::no("the configuration has no admin listener").hint("name a gateway: --gateway http://ADDRESS:PORT")
    })?;
    Ok((format!("http://{}", admin.address), args.token_file.clone().or(admin.token_file)))
}

/// Nobody answered. The innermost cause is the one that helps: "connection refused".
fn silent(base: &str, error: &reqwest::Error) -> Stop {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    Stop::unknown(format!("the gateway at {base} did not answer: {why}"))
}
