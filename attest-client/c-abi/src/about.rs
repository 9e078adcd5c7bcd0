//! About the library: versions, and names for numbers. All text here is for ever.

use std::ffi::{CStr, c_char};

use crate::ABI_VERSION;
use crate::code::{Code, STATUSES};

/// `ASSAY_ABI_VERSION` of this library.
#[unsafe(no_mangle)]
pub extern "C" fn assay_abi_version() -> u32 {
    ABI_VERSION
}

/// The version of the SDK, for logs.
#[unsafe(no_mangle)]
pub extern "C" fn assay_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The word for a code; `UNKNOWN` for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn assay_code_name(code: i32) -> *const c_char {
    named(Code::ALL.into_iter().find(|known| known.number() == code).map(Code::name))
}

/// The word for a status; `UNKNOWN` for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn assay_status_name(status: i32) -> *const c_char {
    let at = usize::try_from(status).ok();
    named(at.and_then(|at| STATUSES.get(at)).map(|(_, name)| *name))
}

fn named(name: Option<&'static CStr>) -> *const c_char {
    name.unwrap_or(c"UNKNOWN").as_ptr()
}
