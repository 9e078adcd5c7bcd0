//! `assay admin token`: who may use the admin API from afar.
//!
//! In: a name, a role, apps. Out: a token, once; the service keeps its hash alone.

use crate::args::{Admin, AdminArg, AdminToken, AdminTokenCreate, AdminTokenRevoke, RoleArg};
use crate::output::{End, Output, Stop, note};
use crate::verifier::{Verifier, stop};
use crate::words::{columns, moment};
use attest_admin::types::{self, CreatedToken, NewToken, Role};
use attest_core::time::{Clock, SystemClock};
use serde_json::json;

/// Runs one of the `admin` commands.
pub(crate) async fn run(command: &Admin, output: Output) -> Result<End, Stop> {
    let Admin::Token(command) = command;
    match command {
        AdminToken::Create(args) => create(args, output).await,
        AdminToken::List(args) => list(args, output).await,
        AdminToken::Revoke(args) => revoke(args, output).await,
    }
}

async fn create(args: &AdminTokenCreate, output: Output) -> Result<End, Stop> {
    if let Some(path) = args.out.as_ref().filter(|path| path.exists()) {
        return Err(Stop::usage(format!("{} exists already; a token never overwrites", path.display())));
    }
    let now = SystemClock.now();
    let role = match args.role {
        RoleArg::Viewer => Role::Viewer,
        RoleArg::Operator => Role::Operator,
        RoleArg::Admin => Role::Admin,
    };
    let apps = (!args.apps.is_empty()).then(|| args.apps.clone());
    let until = args.span.after(now);
    let verifier = Verifier::open(&args.admin)?;
    let made = verifier.create_token(&NewToken { name: args.name.clone(), role, apps, until }).await.map_err(stop)?;
    if let Some(path) = &args.out
        && let Err(error) = super::init::write_private(path, made.token.as_bytes())
    {
        // Nobody has its text: it would be good for nothing but for being found.
        let _ = verifier.revoke_token(&made.name).await;
        return Err(Stop::unknown(format!("{} can't be written: {error}; the token was revoked", path.display())));
    }
    say(&made, args, output);
    Ok(End::Yes)
}

/// The token on standard output, where no file takes it; everything else on standard error, so that `> file` holds the
/// token alone.
fn say(made: &CreatedToken, args: &AdminTokenCreate, output: Output) {
    let ends = moment(made.until, SystemClock.now());
    let name = &made.name;
    let Some(path) = &args.out else {
        note(&format!(
            "{name}: {}, ends {ends}. This is shown once; the service keeps only its hash:",
            word(made.role)
        ));
        return output.answer(made, || made.token.clone());
    };
    let told = json!({ "name": name, "role": made.role, "apps": made.apps, "until": made.until, "file": path });
    output.answer(&told, || {
        format!(
            "{name}: {}, ends {ends}; the token is in {path}\n  use it: assay app list --remote https://… --token-file {path}",
            word(made.role),
            path = path.display()
        )
    });
}

async fn list(args: &AdminArg, output: Output) -> Result<End, Stop> {
    let tokens = Verifier::open(args)?.tokens().await.map_err(stop)?;
    let now = SystemClock.now();
    output.answer(&tokens, || {
        if tokens.items.is_empty() {
            return "no token: assay admin token create NAME --role viewer|operator|admin".to_owned();
        }
        let row = |token: &types::AdminToken| {
            let ends = match token.revoked {
                Some(at) => format!("revoked {}", moment(at, now)),
                None => moment(token.until, now),
            };
            let apps = token.apps.as_ref().map_or_else(|| "all".to_owned(), |apps| apps.join(","));
            [token.name.clone(), word(token.role).to_owned(), apps, ends, token.created_by.clone()]
        };
        let rows: Vec<_> = tokens.items.iter().map(row).collect();
        columns(["NAME", "ROLE", "APPS", "ENDS", "MADE BY"], &rows)
    });
    Ok(End::Yes)
}

async fn revoke(args: &AdminTokenRevoke, output: Output) -> Result<End, Stop> {
    Verifier::open(&args.admin)?.revoke_token(&args.name).await.map_err(stop)?;
    output.answer(&json!({ "revoked": args.name }), || format!("{}: revoked; it is refused from now on", args.name));
    Ok(End::Yes)
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}
