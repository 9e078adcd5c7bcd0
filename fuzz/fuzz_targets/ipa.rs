//! Attacks: the reader of IPAs: property lists, binary and XML, and the signed message around a profile.
//!
//! Holds: what is read are names that Apple would give; nothing is measured.
#![no_main]

#[path = "../../app-files/tests/it/writer.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests' own writer, of which this needs a part")]
mod writer;

use app_files::{Kind, Options, read_bytes};
use assay_fuzz::edited;
use libfuzzer_sys::fuzz_target;
use writer::{parts, stored};

static BINARY: &[u8] = include_bytes!("../../app-files/tests/fixtures/Info.binary.plist");
static XML: &[u8] = include_bytes!("../../app-files/tests/fixtures/Info.xml.plist");
static PROFILE: &[u8] = include_bytes!("../../app-files/tests/fixtures/embedded.mobileprovision");

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let (info, profile) = match mode % 6 {
        0 => (data.to_vec(), PROFILE.to_vec()),
        1 => ([b"bplist00", data].concat(), PROFILE.to_vec()),
        2 => (edited(BINARY, data), PROFILE.to_vec()),
        3 => (edited(XML, data), PROFILE.to_vec()),
        4 => (XML.to_vec(), edited(PROFILE, data)),
        _ => (BINARY.to_vec(), data.to_vec()),
    };
    let entries =
        [stored("Payload/Shop.app/Info.plist", &info), stored("Payload/Shop.app/embedded.mobileprovision", &profile)];
    let Ok(app) = read_bytes(&parts(&entries).plain(), &Options::new(&|_, _| ())) else { return };
    assert_eq!(app.kind, Kind::Ipa);
    let id = app.package.id.expect("a bundle");
    assert!(!id.is_empty() && id.len() <= 255 && id.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(app.package.team.expect("a team").len(), 10);
    assert!(app.builds.iter().all(|build| build.measurement.is_none()));
});
