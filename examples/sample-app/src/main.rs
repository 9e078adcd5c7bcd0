//! `assay-sample-app`: an app with the SDK inside, as small as one can be.
//!
//! Comes in: where the attestation service is and which URLs to call. Goes out: one line for each call, JSON unless
//! somebody reads along on a terminal.
//! Proven between: nothing by the app itself. It holds no API key; it carries a token and does not know what is in it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod calls;
mod licence;
mod options;
mod report;

use std::io::BufRead;
use std::process::ExitCode;

use attest_client::{Client, SoftwareKey, findings, measure};
use serde_json::json;

use calls::Calls;
use options::{Options, USAGE};
use report::Report;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("assay-sample-app: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("assay-sample-app: {problem}");
            ExitCode::from(3)
        }
    }
}

async fn run(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let report = Report::new(options.json);
    if options.wait {
        report.line(&json!({ "ready": std::process::id() }));
        std::io::stdin().lock().read_line(&mut String::new())?;
    }
    if options.check_licence {
        let holds = licence::holds();
        report.line(&json!({ "licence": holds }));
        return Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(1) });
    }
    if options.measure {
        let measurement = measure::self_image()?.to_text();
        let findings: Vec<_> = findings().iter().map(|finding| finding.as_str()).collect();
        report.line(&json!({ "measurement": measurement, "findings": findings }));
    }
    let Some(service) = &options.service else { return Ok(ExitCode::SUCCESS) };

    let mut builder = Client::builder(service, &options.app, &options.app_version);
    if let Some(path) = &options.device_key {
        builder = builder.device_key(SoftwareKey::in_file(path)?);
    }
    if let Some(path) = &options.trust_only {
        builder = builder.trust_only(std::fs::read(path)?);
    }
    let answered = Calls::new(builder.build()?, options)?.make_all(&report).await;
    Ok(if answered { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
