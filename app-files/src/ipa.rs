//! An iOS app archive. Comes in: its archive. Goes out: bundle identifier, team, version; one build without measurement.
//! Proven between: there is one app in it. Who signed it is not checked: the profile is read for what it says, and the
//! operator vouches for the file.

mod plist;

use attest_core::reference::{PackageFacts, Platform};

use crate::app_file::{AppFile, FileBuild, Kind};
use crate::der;
use crate::error::AppFileError;
use crate::progress::Progress;
use crate::zip::Archive;
use plist::Value;

const MAX_FILE: u64 = 4 << 20;
const MAX_TEXT: usize = 255;

const INFO: &str = "Info.plist";
const PROFILE: &str = "embedded.mobileprovision";

const fn wrong(what: &'static str, problem: &'static str) -> AppFileError {
    AppFileError::Ios { what, problem }
}

pub(crate) fn read(
    archive: &Archive<'_>,
    libraries: &[String],
    progress: &Progress<'_>,
) -> Result<AppFile, AppFileError> {
    if let Some(name) = libraries.first() {
        let problem = "nothing of an iOS app is measured: name no libraries";
        return Err(AppFileError::LibraryName { name: name.clone(), problem });
    }
    let app = the_app(archive)?;
    let unpack = |what: &'static str| -> Result<Option<Vec<u8>>, AppFileError> {
        let Some(entry) = archive.entry(&format!("Payload/{app}/{what}")) else { return Ok(None) };
        progress.expect(entry.size);
        let bytes = archive.unpack(entry, MAX_FILE)?;
        progress.advance(entry.size);
        Ok(Some(bytes))
    };
    let info = unpack(INFO)?.ok_or(wrong(INFO, "not in the app's folder"))?;
    let info = plist::parse(&info).ok_or(wrong(INFO, "neither a binary nor an XML property list"))?;
    let bundle = text(&info, "CFBundleIdentifier").filter(|id| is_bundle(id));
    let bundle = bundle.ok_or(wrong(INFO, "it names no bundle identifier, or none that Apple would take"))?;
    let version = text(&info, "CFBundleShortVersionString").or_else(|| text(&info, "CFBundleVersion"));

    let mut notes = vec![
        "nothing of an iOS app is measured: the store encrypts programs and signs them anew, so a file says nothing \
         of what runs"
            .to_owned(),
    ];
    let team = match unpack(PROFILE)? {
        Some(profile) => Some(team(&profile, bundle)?),
        None => {
            notes.push(
                "it has no embedded.mobileprovision (a build from the store has none): the team is not known".into(),
            );
            None
        }
    };
    Ok(AppFile {
        platform: Platform::Ios,
        kind: Kind::Ipa,
        package: PackageFacts { id: Some(bundle.to_owned()), team, signers: Vec::new() },
        version: version.map(ToOwned::to_owned),
        builds: vec![FileBuild { label: String::new(), measurement: None, libraries: Vec::new() }],
        android: None,
        notes,
    })
}

/// The folder of the one app: `Shop.app`.
fn the_app<'a>(archive: &'a Archive<'_>) -> Result<&'a str, AppFileError> {
    let folder =
        |name: &'a str| Some(name.strip_prefix("Payload/")?.split_once('/')?.0).filter(|app| app.ends_with(".app"));
    let mut apps = archive.entries().iter().filter_map(|entry| folder(&entry.name));
    let app = apps.next().ok_or(wrong("Payload", "there is no app in it"))?;
    if apps.any(|other| other != app) { Err(wrong("Payload", "there are two apps in it")) } else { Ok(app) }
}

/// The team of a provisioning profile: a property list inside of a CMS message.
fn team(profile: &[u8], bundle: &str) -> Result<String, AppFileError> {
    let content = der::signed_content(profile).ok_or(wrong(PROFILE, "not a signed message"))?;
    let profile = plist::parse(content).ok_or(wrong(PROFILE, "no property list in it"))?;
    let team = match profile.get("TeamIdentifier") {
        Some(Value::Array(teams)) => match teams.as_slice() {
            [Value::Text(team)] => Some(team),
            _ => None,
        },
        _ => None,
    };
    let team =
        team.filter(|team| is_team(team)).ok_or(wrong(PROFILE, "it does not name one team of ten characters"))?;
    // PREFIX.bundle; the bundle may end in a wildcard. The prefix is the team's, but for very old apps.
    let identifier = profile.get("Entitlements").and_then(|entitlements| text(entitlements, "application-identifier"));
    let (_, allowed) = identifier
        .and_then(|identifier| identifier.split_once('.'))
        .ok_or(wrong(PROFILE, "its entitlements name no application-identifier"))?;
    let fits = match allowed.strip_suffix('*') {
        Some(start) => bundle.starts_with(start),
        None => bundle == allowed,
    };
    if fits { Ok(team.clone()) } else { Err(wrong(PROFILE, "it is another app's profile")) }
}

fn text<'a>(dictionary: &'a Value, key: &str) -> Option<&'a str> {
    match dictionary.get(key) {
        Some(Value::Text(text)) if !text.is_empty() && text.len() <= MAX_TEXT => Some(text),
        _ => None,
    }
}

fn is_bundle(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        && id.split('.').all(|word| !word.is_empty())
}

fn is_team(team: &str) -> bool {
    team.len() == 10 && team.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
