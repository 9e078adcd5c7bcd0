//! Programs and libraries as this machine's compiler makes them.

use std::path::{Path, PathBuf};
use std::process::Command;

use app_files::{AppFile, AppFileError, Kind, Options, read};
use attest_core::measurement::{combine, measure_file};
use attest_core::reference::Platform;

use crate::bytes;

fn build(folder: &Path, name: &str, code: &str, arguments: &[&str]) -> PathBuf {
    let source = folder.join(format!("{name}.c"));
    std::fs::write(&source, code).unwrap();
    let out = folder.join(name);
    assert!(Command::new("cc").arg("-o").arg(&out).arg(&source).args(arguments).status().unwrap().success());
    out
}

fn registered(path: &Path, libraries: &[String]) -> Result<AppFile, AppFileError> {
    read(path, &Options { libraries: libraries.to_vec(), ..Options::new(&|_, _| ()) })
}

#[test]
fn a_program_measures_with_the_libraries_that_are_named_wherever_they_are() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let main = build(folder.path(), "shop", "int main(void) { return 0; }", &[]);
    let beside = build(folder.path(), "libone.so", "int one;", &["-shared", "-fPIC"]);
    let away = build(elsewhere.path(), "two", "int two(void) { return 2; }", &["-shared", "-fPIC"]);
    let of = |path: &Path| measure_file(&std::fs::read(path).unwrap()).unwrap();

    let alone = registered(&main, &[]).unwrap();
    assert_eq!((alone.kind, alone.platform, alone.builds.len()), (Kind::Elf, Platform::Linux, 1));
    assert_eq!(alone.builds[0].measurement, Some(of(&main)));
    let names = [format!("libtwo.so={}", away.display()), "libone.so".to_owned()];
    let with = registered(&main, &names).unwrap();
    let expected = combine(&of(&main), &[("libone.so".into(), of(&beside)), ("libtwo.so".into(), of(&away))]);
    assert_eq!(with.builds[0].measurement, Some(expected));
    assert_eq!(with.builds[0].libraries, ["libone.so", "libtwo.so"]);
}

#[test]
fn libraries_that_are_not_there_or_no_names_are_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let main = build(folder.path(), "shop", "int main(void) { return 0; }", &[]);
    std::fs::write(folder.path().join("libtext.so"), "text").unwrap();
    std::fs::create_dir(folder.path().join("libfolder.so")).unwrap();
    let many = (0..65).map(|number| format!("lib{number}.so")).collect::<Vec<_>>();
    let one = |name: &str| vec![name.to_owned()];
    for (libraries, says) in [
        (one("libnone.so"), "no library libnone.so: /"),
        (one("libnone.so=/nonexistent/x"), "/nonexistent/x"),
        (one("libtext.so"), "libtext.so can't be measured"),
        (one("libfolder.so"), "not a file"),
        (one("lib/one.so"), "without its folder"),
        (one(".."), "without its folder"),
        (one("=x"), "without its folder"),
        (vec!["libtext.so".to_owned(); 2], "named twice"),
        (many, "more than 64"),
    ] {
        let problem = registered(&main, &libraries).unwrap_err().to_string();
        assert!(problem.contains(says), "{problem}, not {says}");
    }
}

#[test]
fn what_is_no_file_or_cut_off_is_refused() {
    assert!(matches!(registered(Path::new("/nonexistent"), &[]), Err(AppFileError::Read { .. })));
    assert!(registered(Path::new("/"), &[]).unwrap_err().to_string().contains("not a file"));
    assert!(registered(Path::new("/dev/null"), &[]).unwrap_err().to_string().contains("not a file"));
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(bytes(&own).is_ok());
    for len in [5, 63, 64, 4096, 100_000] {
        assert!(matches!(bytes(&own[..len]), Err(AppFileError::Elf { .. })), "{len}");
    }
    let mut narrow = own;
    narrow[4] = 1;
    assert!(bytes(&narrow).unwrap_err().to_string().contains("not a 64-bit"));
}
