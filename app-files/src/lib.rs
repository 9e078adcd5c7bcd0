//! Apps as they are shipped, read at registration: an ELF program, an APK, an IPA.
//!
//! ```no_run
//! # fn main() -> Result<(), app_files::AppFileError> {
//! let app = app_files::read("shop.apk".as_ref(), &app_files::Options::new(&|_done, _total| ()))?;
//! for build in &app.builds {
//!     println!("{} {:?}", build.label, build.measurement);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | comes in | goes out |
//! | --- | --- | --- |
//! | `elf` | a program and the libraries that are named | one measurement |
//! | `zip` | an archive | entries that every reader of archives would see alike, or a refusal |
//! | `apk` | entries, the signing block | package, version, who signed, native code measured per ABI |
//! | `ipa` | entries | bundle, team, version; no measurement |
//!
//! Files come from outside: sizes, counts, names and depth are bounded, and what two readers could read differently is
//! refused. Nothing is unpacked to disk.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod apk;
mod app_file;
mod der;
mod elf;
mod error;
mod ipa;
mod progress;
mod source;
mod zip;

pub use app_file::{AndroidFacts, AppFile, FileBuild, Kind, Options, read, read_bytes};
pub use error::{AppFileError, SignatureProblem};
