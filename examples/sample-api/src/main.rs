//! `assay-sample-api`: the paid third-party API of the demo and of the tests.
//!
//! Comes in: `--listen ADDRESS --key-file FILE [--header NAME]`. Goes out: one line
//! `{"listening":"127.0.0.1:PORT"}` on stdout, then an HTTP/1.1 and HTTP/2 server until it is ended.
//! Proven between: nothing about apps. This stands for a vendor who knows only its own key.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod api;
mod options;
mod stream;

use std::process::ExitCode;

use options::{Options, USAGE};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("assay-sample-api: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("assay-sample-api: {problem}");
            ExitCode::from(3)
        }
    }
}

async fn serve(options: Options) -> Result<(), String> {
    let key = options.read_key()?;
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .map_err(|problem| format!("cannot listen on {}: {problem}", options.listen))?;
    let address = listener.local_addr().map_err(|problem| problem.to_string())?;
    // The only line on stdout: whoever started us on port 0 reads the port here.
    println!("{}", serde_json::json!({ "listening": address.to_string() }));
    axum::serve(listener, api::router(options.header, key)).await.map_err(|problem| problem.to_string())
}
