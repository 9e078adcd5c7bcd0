//! `assay key`: a secret goes in by standard input or file, and never comes out.

use std::ffi::OsStr;
use std::path::PathBuf;

use e2e::command::{Ran, assay, assay_fed};
use e2e::files::Files;
use e2e::needles;

use super::{error_of, starter};

const FIRST: &str = "sk_live_first_0123456789abcdef";
const SECOND: &str = "sk_live_second_0123456789abcde";

struct Store {
    files: Files,
    config: PathBuf,
    said: std::cell::RefCell<String>,
}

impl Store {
    fn new() -> Self {
        let (files, config) = starter();
        Self { files, config, said: std::cell::RefCell::default() }
    }

    /// One `assay key` command; what it says is kept, to be searched.
    fn key(&self, words: &[&dyn AsRef<OsStr>], input: &str) -> Ran {
        let all: Vec<&dyn AsRef<OsStr>> = [&"--json" as &dyn AsRef<OsStr>, &"key"]
            .into_iter()
            .chain(words.iter().copied())
            .chain([&"-c" as _, &self.config as _])
            .collect();
        let ran = assay_fed(&all, input.as_bytes());
        self.said.borrow_mut().push_str(&format!("{}\n{}\n", ran.out, ran.err));
        ran
    }

    fn put(&self, name: &str, input: &str) -> Ran {
        self.key(&[&"put", &name, &"--to", &"https://maps.example.com", &"--path", &"/geocode/**"], input)
    }
}

#[test]
fn put_list_rotate_and_remove_never_show_a_value() {
    let store = Store::new();
    let first = store.put("maps", &format!("{FIRST}\n")).ends(0).json();
    assert_eq!((&first["version"], &first["state"]), (&1.into(), &"current".into()));
    let second = store.put("maps", SECOND).ends(0).json();
    assert_eq!((&second["version"], &second["state"]), (&2.into(), &"next".into()));
    assert_ne!(first["fingerprint"], second["fingerprint"]);

    let list = store.key(&[&"list"], "").ends(0).json();
    let versions = list["keys"][0]["versions"].as_array().unwrap().clone();
    assert_eq!(list["keys"][0]["name"], "maps");
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().any(|version| version["fingerprint"] == first["fingerprint"]));
    let plain = assay(&[&"key", &"list", &"-c", &store.config]).ends(0).out;
    for word in ["maps", "https", "maps.example.com:443", "/geocode/**", "authorization: Bearer {key}"] {
        assert!(plain.contains(word), "{plain}");
    }

    let rotated = store.key(&[&"rotate", &"maps"], "").ends(0).json();
    assert_eq!((&rotated["current"], &rotated["previous"]), (&2.into(), &1.into()));
    assert!(error_of(&store.key(&[&"rotate", &"maps"], "").ends(1)).contains("maps"), "nothing waits");
    assert!(error_of(&store.key(&[&"remove", &"maps"], "maps\n").ends(2)).contains("--yes"));
    store.key(&[&"remove", &"maps", &"--yes"], "").ends(0);
    assert!(error_of(&store.key(&[&"remove", &"maps", &"--yes"], "").ends(1)).contains("maps"));
    assert_eq!(store.key(&[&"list"], "").ends(0).json()["keys"], serde_json::json!([]));

    let mut needles = needles::of_secret("the first key", FIRST);
    needles.extend(needles::of_secret("the second key", SECOND));
    let said = format!("{}{plain}", store.said.borrow());
    assert_eq!(needles::found(&needles, said.as_bytes()), [""; 0]);
    for (path, bytes) in store.files.all() {
        assert_eq!(needles::found(&needles, &bytes), [""; 0], "{}", path.display());
    }
}

#[test]
fn a_secret_is_never_taken_as_an_argument() {
    let store = Store::new();
    let to: [&dyn AsRef<OsStr>; 4] = [&"--to", &"https://maps.example.com", &"--path", &"/**"];
    for words in [
        &[&"put" as &dyn AsRef<OsStr>, &"maps", &FIRST][..],
        &[&"put", &"maps", &"--key", &FIRST],
        &[&"put", &"maps", &"--secret", &FIRST],
        &[&"put", &"maps", &"--value", &FIRST],
    ] {
        let all: Vec<_> = words.iter().copied().chain(to).collect();
        store.key(&all, SECOND).ends(2);
    }
    assert_eq!(store.key(&[&"list"], "").ends(0).json()["keys"], serde_json::json!([]), "nothing was put");
    // By file it is, with the line end that an editor left.
    let file = store.files.private("key.txt", format!("{FIRST}\r\n"));
    let words: Vec<&dyn AsRef<OsStr>> =
        [&"put" as &dyn AsRef<OsStr>, &"maps", &"--from-file", &file].into_iter().chain(to).collect();
    let from_file = store.key(&words, "").ends(0).json();
    let again = store.put("other", FIRST).ends(0).json();
    assert_eq!(from_file["fingerprint"], again["fingerprint"], "the line end is not the key's");
}

#[test]
fn bad_secrets_bounds_and_unlock_keys_are_refused_by_name_and_nothing_is_written() {
    let store = Store::new();
    let before = std::fs::read(store.files.at("gw/keys.sealed")).unwrap();
    assert!(error_of(&store.put("maps", "short").ends(1)).contains("16"));
    store.put("maps", "").ends(1);
    store.put("maps", "a key with\na line end in it").ends(1);
    store.put("maps", "a key with a \u{1} control byte").ends(1);
    store.put("maps", &"x".repeat(9000)).ends(1);
    store.put("Not A Name", FIRST).ends(2).complains(&["Not A Name"]);
    let put = |more: &[&dyn AsRef<OsStr>]| {
        let words: Vec<&dyn AsRef<OsStr>> =
            [&"put" as &dyn AsRef<OsStr>, &"maps"].into_iter().chain(more.iter().copied()).collect();
        store.key(&words, FIRST)
    };
    assert!(error_of(&put(&[&"--to", &"http://maps.example.com", &"--path", &"/**"]).ends(2)).contains("http"));
    assert!(error_of(&put(&[&"--to", &"maps.example.com", &"--path", &"/**"]).ends(2)).contains("scheme"));
    assert!(
        error_of(&put(&[&"--to", &"https://maps.example.com/v1", &"--path", &"/**"]).ends(2))
            .contains("maps.example.com/v1")
    );
    put(&[&"--to", &"https://*", &"--path", &"/**"]).ends(2);
    put(&[&"--to", &"https://maps.example.com", &"--path", &"geocode"]).ends(2).complains(&["geocode"]);
    put(&[&"--to", &"https://maps.example.com", &"--path", &"/a/../b"]).ends(2);
    put(&[&"--to", &"https://maps.example.com", &"--path", &"/**", &"--template", &"no place for it"]).ends(2);
    put(&[&"--to", &"https://maps.example.com", &"--path", &"/**", &"--header", &"host"]).ends(2);
    put(&[&"--to", &"https://maps.example.com"]).ends(2).complains(&["--path"]);
    put(&[&"--path", &"/**"]).ends(2).complains(&["--to"]);
    assert!(before == std::fs::read(store.files.at("gw/keys.sealed")).unwrap(), "the store was touched");

    let sealed = store.files.at("gw/keys.sealed");
    let other = store.files.unlock_key("other.key");
    assay(&[&"key", &"list", &"--store", &sealed, &"--unlock", &other])
        .ends(1)
        .complains(&["keys.sealed", "wrong key"]);
    assay(&[&"key", &"list", &"--store", &sealed, &"--unlock", &store.files.at("absent.key")])
        .ends(2)
        .complains(&["absent.key"]);
    let open = store.files.write("open.key", data_encoding::BASE64.encode(&[7; 32]));
    assay(&[&"key", &"list", &"--store", &sealed, &"--unlock", &open]).ends(2).complains(&["open.key"]);
    assay(&[&"key", &"list", &"--store", &sealed]).ends(2).complains(&["--unlock"]);
}
