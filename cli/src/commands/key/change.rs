//! `assay key rotate`, `remove`, `disable`, `enable`. In: a name. Out: the store's next generation, and the change in the
//! audit log before it.

use super::key_name;
use super::place::{Entry, Place};
use crate::args::{KeyDisable, KeyName as NameArg, KeyRemove, KeyRotate};
use crate::commands::confirm;
use crate::output::{End, Output, Stop};
use crate::words::moment;
use attest_core::time::{Clock, SystemClock, UnixTime};
use audit::Change;
use keystore::KeyName;
use serde_json::json;

/// `assay key rotate`.
pub(super) async fn rotate(args: &KeyRotate, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let place = Place::of(&args.store).await?;
    let rotated = place
        .change(|editor| {
            let rotated = if args.back { editor.rotate_back(&name)? } else { editor.rotate(&name)? };
            let mut entry = Entry::of_key(Change::Rotate, &name);
            entry.detail = args.back.then(|| "back".to_owned());
            entry.version = Some(rotated.current.get());
            Ok((rotated, entry))
        })
        .await?;
    let answer = json!({ "name": name.as_str(), "current": rotated.current, "previous": rotated.previous, "dropped": rotated.dropped });
    output.answer(&answer, || {
        format!(
            "{name}: version {} is current{}, {} is kept to be scrubbed from answers",
            rotated.current,
            if args.back { " again" } else { "" },
            rotated.previous
        )
    });
    Ok(End::Yes)
}

/// `assay key remove`.
pub(super) async fn remove(args: &KeyRemove, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let place = Place::of(&args.store).await?;
    if args.next {
        return remove_next(&name, &place, output).await;
    }
    let routes = place.routes_of(name.as_str());
    let used = match routes.as_slice() {
        [] => "No route of this configuration uses it.".to_owned(),
        routes => format!("Routes that use it will not load: {}.", routes.join(", ")),
    };
    confirm::asked(args.yes, name.as_str(), || {
        format!("Remove {name} with all its versions? {used} Type its name to go on:")
    })?;
    place
        .change(|editor| {
            editor.remove(&name)?;
            Ok(((), Entry::of_key(Change::Remove, &name)))
        })
        .await?;
    output.answer(&json!({ "removed": name.as_str(), "routes": routes }), || {
        format!("removed {name}, all its versions. {used}")
    });
    Ok(End::Yes)
}

/// `assay key remove --next`: nothing uses that version, so nobody is asked.
async fn remove_next(name: &KeyName, place: &Place, output: Output) -> Result<End, Stop> {
    let version = place
        .change(|editor| {
            let version = editor.remove_next(name)?;
            let mut entry = Entry::of_key(Change::Remove, name);
            entry.version = Some(version.get());
            Ok((version, entry))
        })
        .await?;
    output.answer(&json!({ "removed": name.as_str(), "version": version }), || {
        format!("removed version {version} of {name}, which waited; what is in use stays")
    });
    Ok(End::Yes)
}

/// `assay key disable`.
pub(super) async fn disable(args: &KeyDisable, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let place = Place::of(&args.store).await?;
    let now = SystemClock.now();
    let until = args.span.map(|span| UnixTime::from_secs(span.after(now)));
    let at_most = until.map(|until| format!(", at the latest {}", moment(until.secs(), now))).unwrap_or_default();
    let words = format!("until `assay key enable`{at_most}");
    place
        .change(|editor| {
            editor.disable(&name, until)?;
            let mut entry = Entry::of_key(Change::Disable, &name);
            entry.detail = until.map(|until| format!("until {}", until.secs()));
            Ok(((), entry))
        })
        .await?;
    let answer = json!({ "disabled": name.as_str(), "until": until.map(UnixTime::secs) });
    output.answer(&answer, || format!("{name} is disabled {words}: routes that use it answer 503"));
    Ok(End::Yes)
}

/// `assay key enable`.
pub(super) async fn enable(args: &NameArg, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let place = Place::of(&args.store).await?;
    let was = place
        .change(|editor| {
            let was = editor.enable(&name)?;
            Ok((was, Entry::of_key(Change::Enable, &name)))
        })
        .await?;
    output.answer(&json!({ "enabled": name.as_str(), "was_disabled": was }), || match was {
        true => format!("{name} is enabled"),
        false => format!("{name} was not disabled"),
    });
    Ok(End::Yes)
}
