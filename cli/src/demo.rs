//! `assay demo`: the whole story on loopback, with the real binary, real sockets and a real tracer.
//!
//! In: nothing but the programs beside this one. Out: a table of what was tried, what came back and why; with `--once`
//! exit 0 only if every scene came out right. The folders: `house` starts what there is, `scenes` play, `table` shows.

use crate::args::Demo;
use crate::output::{End, Output, Stop, note, paint, print_out};
use serde_json::json;
use std::path::PathBuf;
use table::{Row, Table};
use tokio::signal::unix::{Signal, SignalKind, signal};

mod house;
mod load;
mod mint;
mod process;
mod scenes;
mod table;
mod tamper;

/// Why the story could not go on: a fault of ours or of this machine, never an attacker's.
#[derive(Debug)]
struct Trouble(String);

impl Trouble {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        Self(format!("a request of the demo failed: {error}"))
    }
}

/// Plays the story.
pub(crate) async fn run(args: &Demo, output: Output) -> Result<End, Stop> {
    let failed = |trouble: Trouble| Stop::unknown(format!("the demo can't go on: {}", trouble.0));
    let mut asked = Asked::new()?;
    note("Starting the attestation service, the gateway and a paid API on loopback …");
    let mut house = tokio::task::spawn_blocking(house::House::build)
        .await
        .map_err(|e| Stop::unknown(e.to_string()))?
        .map_err(failed)?;
    let right = tokio::select! {
        played = play(&mut house, args, output) => played.map_err(failed)?,
        () = asked.stop() => return Err(Stop::unknown("interrupted before the last scene")),
    };
    if !args.once {
        say_what_to_try(&house, output).map_err(failed)?;
        asked.stop().await;
    }
    Ok(right.into())
}

/// Plays the scenes, a row as each ends; true when every one came out right.
async fn play(house: &mut house::House, args: &Demo, output: Output) -> Result<bool, Trouble> {
    let table = Table::fitting(crate::output::width());
    let mut stage = scenes::Stage::new(house, vectors(args))?;
    if !output.is_json() {
        print_out(&format!("\n{}", table.head()));
    }
    let mut rows: Vec<Row> = Vec::new();
    for number in 1..=14 {
        let played = match stage.play(number, args.flood_seconds).await {
            Ok(played) => played,
            Err(trouble) => vec![Row::new(number, "this scene", "could not be played", trouble.0, false)],
        };
        if !output.is_json() {
            if number > 1 {
                print_out(&table.divider());
            }
            for row in &played {
                print_out(&table.row(row));
            }
        }
        rows.extend(played);
    }
    let right = rows.iter().all(|row| row.right);
    let scenes = json!({ "right": right, "rows": rows });
    output.answer(&scenes, || {
        let words = if right {
            paint("Every scene came out right.", "1;32")
        } else {
            paint("Not every scene came out right: see the rows marked ✗.", "1;31")
        };
        format!("\n{words}\n")
    });
    Ok(right)
}

/// Everything is still up: what a person can try by hand.
fn say_what_to_try(house: &house::House, output: Output) -> Result<(), Trouble> {
    let token = tokio::task::block_in_place(|| house.genuine_token())?;
    let lines = format!(
        "Everything is still up. Try:\n\
         \x20 curl -i {paid}                                  # no token: 401\n\
         \x20 curl -i -H 'Assay-Token: {token}' {paid}        # lives {life} s; later: 401 again\n\
         \x20 curl -i {catalogue}                             # anyone, on spare capacity\n\
         \x20 curl -s http://{admin}/status\n\
         \x20 curl -s http://{admin}/metrics | grep assay_\n\
         Files: {files}\n\
         Ctrl-C ends it.",
        paid = house.url("/paid/v1/paid"),
        catalogue = house.url("/catalogue/v1/catalogue/items"),
        life = house::TOKEN_SECONDS,
        admin = house.admin,
        files = house.file("").display(),
    );
    if output.is_json() {
        note(&lines)
    } else {
        print_out(&lines)
    }
    Ok(())
}

/// Ctrl-C and SIGTERM. Listened to from the beginning: whoever ends a demo leaves no process and no key behind.
struct Asked(Signal, Signal);

impl Asked {
    fn new() -> Result<Self, Stop> {
        let listen = |kind| signal(kind).map_err(|e| Stop::unknown(format!("signals: {e}")));
        Ok(Self(listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?))
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// Where published example tokens may be: named, or beside a checkout.
fn vectors(args: &Demo) -> Option<PathBuf> {
    let folder = args.vectors.clone()?;
    let file = folder.join("05-approov-tokens/hello-world.postman_collection.json");
    file.is_file().then_some(file)
}
