//! Files as real tools make them. The fixtures come from `tests/fixtures/make`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod apks;
mod hostile;
mod ipas;
mod manifests;
mod programs;
mod writer;

use app_files::{AppFile, AppFileError, Options, read, read_bytes};

fn fixture(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read_fixture(name: &str, libraries: &[&str]) -> Result<AppFile, AppFileError> {
    let libraries = libraries.iter().map(|name| (*name).to_owned()).collect();
    read(&fixture(name), &Options { libraries, ..Options::new(&|_, _| ()) })
}

fn bytes(bytes: &[u8]) -> Result<AppFile, AppFileError> {
    read_bytes(bytes, &Options::new(&|_, _| ()))
}
