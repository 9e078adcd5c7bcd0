//! The `assay` command line: every command of the product, and the only place where errors become words for a person.

mod args;
mod commands;
mod demo;
mod feed;
mod logging;
mod memory;
mod output;
mod span;
mod verifier;
mod words;

use args::{Cli, Command, SchemaOf};
use clap::{CommandFactory, Parser};
use commands::run::Parts;
use output::{End, Output, Stop};
use std::process::ExitCode;

/// A glibc allocator costs the gateway 20 to 30 %: see benches/README.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            if !error.use_stderr() {
                return End::Yes.into();
            }
            // What was meant is not known; that the answer is to be JSON may be.
            if std::env::args_os().any(|argument| argument == "--json") {
                let said = error.to_string();
                let first = said.lines().next().unwrap_or_default().trim_start_matches("error: ");
                Output::new(true).line(&serde_json::json!({ "error": first, "hint": null }));
            }
            return End::Usage.into();
        }
    };
    let output = Output::new(cli.json);
    // Every command may hold secrets in the clear.
    memory::shut();
    // Before anything of TLS or of tokens is built: the first provider wins.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    attest_core::install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.stop(&Stop::unknown(format!("no threads: {error}"))),
    };
    let ended = runtime.block_on(run(&cli.command, output));
    runtime.shutdown_timeout(commands::run::LAST_MOMENT);
    match ended {
        Ok(end) => end.into(),
        Err(stop) => output.stop(&stop),
    }
}

async fn run(command: &Command, output: Output) -> Result<End, Stop> {
    match command {
        Command::Demo(args) => demo::run(args, output).await,
        Command::Init(args) => commands::init::run(args, output),
        Command::Run(args) => commands::run::run(Parts::All, args, output).await,
        Command::Gateway(args) => commands::run::run(Parts::Gateway, args, output).await,
        Command::Service(args) => commands::run::run(Parts::Service, args, output).await,
        Command::Check(args) => commands::check::run(args, output).await,
        Command::Token(args) => commands::token::run(args, output).await,
        Command::Key(args) => commands::key::run(args, output).await,
        Command::Kek(args) => commands::kek::run(args, output).await,
        Command::App(args) => commands::app::run(args, output).await,
        Command::Device(args) => commands::device::run(args, output).await,
        Command::Keyset(args) => commands::keyset::run(args, output).await,
        Command::Revocation(args) => commands::revocation::run(args, output).await,
        Command::Panic(args) => commands::panic::run(args, output).await,
        Command::Fleet(args) => commands::fleet::run(args, output).await,
        Command::Admin(args) => commands::admin::run(args, output).await,
        Command::Audit(args) => commands::audit::run(args, output).await,
        Command::Policy(args) => commands::policy::run(args, output).await,
        Command::Arc(args) => tokio::task::block_in_place(|| commands::arc::run(args, output)),
        Command::Status(args) => commands::status::run(args, output).await,
        Command::Schema { of } => {
            let schema = match of {
                SchemaOf::Config => settings::schema(),
                SchemaOf::Policy => policies::schema(),
                SchemaOf::Rules => settings::rules_schema(),
                SchemaOf::Cases => policies::cases::schema(),
            };
            output.answer(&schema, || format!("{schema:#}"));
            Ok(End::Yes)
        }
        Command::Completions { shell } => {
            // Into memory first: the generator panics when its reader leaves (`… | head`).
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "assay", &mut script);
            let script = String::from_utf8_lossy(&script);
            output.answer(&script, || script.to_string());
            Ok(End::Yes)
        }
    }
}
