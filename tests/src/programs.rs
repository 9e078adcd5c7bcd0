//! Where the programs are that the tests run. In: the path of the test executable. Out: paths of built programs, or a
//! sentence that says how to build them.

use std::path::PathBuf;

/// The product.
#[must_use]
pub fn assay() -> PathBuf {
    built("assay")
}

/// The sample app with the SDK inside.
#[must_use]
pub fn sample_app() -> PathBuf {
    built("assay-sample-app")
}

/// The sample paid API.
#[must_use]
pub fn sample_api() -> PathBuf {
    built("assay-sample-api")
}

/// The source tree's root: examples and documents are read from there.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `target/<profile>/NAME`, from `target/<profile>/deps/e2e-…`.
fn built(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().and_then(|deps| deps.parent()).unwrap().join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo build -p cli -p sample-app -p sample-api` first, or `make test`, which does",
        path.display()
    );
    path
}
