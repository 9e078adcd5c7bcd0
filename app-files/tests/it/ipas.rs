//! App archives for iOS.

use app_files::{AppFile, AppFileError, Kind, Options, read_bytes};
use attest_core::reference::Platform;
use proptest::prelude::*;

use crate::writer::{Entry, deflated, parts, stored};
use crate::{bytes, fixture};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn ipa(info: &[u8], profile: Option<&[u8]>, more: Vec<Entry>) -> Result<AppFile, AppFileError> {
    let mut entries =
        vec![stored("Payload/Shop.app/Shop", b"encrypted"), deflated("Payload/Shop.app/Info.plist", info)];
    entries.extend(profile.map(|profile| stored("Payload/Shop.app/embedded.mobileprovision", profile)));
    entries.extend(more);
    bytes(&parts(&entries).plain())
}

#[test]
fn bundle_team_and_version_are_read_from_binary_and_xml_alike() {
    for name in ["Info.binary.plist", "Info.xml.plist"] {
        let app = ipa(&file(name), Some(&file("embedded.mobileprovision")), Vec::new()).unwrap();
        assert_eq!((app.kind, app.platform), (Kind::Ipa, Platform::Ios));
        assert_eq!(app.package.id.as_deref(), Some("com.example.shop"));
        assert_eq!(app.package.team.as_deref(), Some("A1B2C3D4E5"));
        assert_eq!(app.version.as_deref(), Some("3.2.0"));
        assert_eq!((app.builds.len(), app.builds[0].measurement), (1, None));
        assert!(app.notes[0].contains("encrypts"), "{:?}", app.notes);
    }
    let from_the_store = ipa(&file("Info.binary.plist"), None, Vec::new()).unwrap();
    assert_eq!(from_the_store.package.team, None);
    assert!(from_the_store.notes[1].contains("the team is not known"));
}

#[test]
fn an_archive_without_one_whole_app_is_refused_by_name() {
    let info = file("Info.xml.plist");
    let profile = file("embedded.mobileprovision");
    let says = |result: Result<AppFile, AppFileError>, text: &str| {
        let problem = result.unwrap_err().to_string();
        assert!(problem.contains(text), "{problem}, not {text}");
    };
    says(ipa(&info, None, vec![stored("Payload/Other.app/Info.plist", b"")]), "two apps");
    says(ipa(b"nothing", None, Vec::new()), "neither a binary nor an XML");
    says(ipa(&profile, None, Vec::new()), "neither a binary nor an XML");
    says(ipa(&info, Some(b"nothing"), Vec::new()), "not a signed message");
    let named = |from: &str, to: &str| String::from_utf8(info.clone()).unwrap().replace(from, to).into_bytes();
    says(ipa(&named("com.example.shop", "com.example.other"), Some(&profile), Vec::new()), "another app's profile");
    says(ipa(&named("com.example.shop", "com/example"), None, Vec::new()), "no bundle identifier");
    says(ipa(&named("CFBundleName", "CFBundleVersion"), None, Vec::new()), "neither a binary nor an XML");
    says(ipa(&named("<plist version", "<!DOCTYPE x [<!ENTITY a 'b'>]><plist version"), None, Vec::new()), "neither");
    let deep = format!("<plist>{}{}</plist>", "<array>".repeat(100_000), "</array>".repeat(100_000));
    says(ipa(deep.as_bytes(), None, Vec::new()), "neither");
    says(bytes(&parts(&[stored("Payload/readme", b"")]).plain()), "no app in it");
    let options = Options { libraries: vec!["libshop.so".into()], ..Options::new(&|_, _| ()) };
    let entries = [deflated("Payload/Shop.app/Info.plist", &info)];
    says(read_bytes(&parts(&entries).plain(), &options), "name no libraries");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_property_list_or_profile_gives_an_answer(
        binary: bool,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut info = file(if binary { "Info.binary.plist" } else { "Info.xml.plist" });
        let mut profile = file("embedded.mobileprovision");
        for (place, value) in changes {
            let at = place.index(info.len());
            info[at] = value;
            let at = place.index(profile.len());
            profile[at] = value;
        }
        let _ = ipa(&info, Some(&profile), Vec::new());
    }
}
